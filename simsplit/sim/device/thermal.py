"""A device's temperature as one lump with a thermostat, solved exactly between changes of power.

C dT/dt = P - (T - T_ambient) / R has the solution T(t) = T_inf + (T_0 - T_inf) exp(-t / RC) with
T_inf = T_ambient + P R (lumped capacitance with internal generation: Incropera et al.,
Fundamentals of Heat and Mass Transfer, 7th ed. 2011, section 5.3, eq. 5.25). P is what the
processor draws, idle or computing; the transmitter and the receiver are another part of the case
and are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from simsplit.errors import ScenarioError
from simsplit.scenario.devices import Heat

if TYPE_CHECKING:
    from simsplit.hardware.parts import Thermal


@dataclass(frozen=True, slots=True)
class ThermalBody:
    """One lump of heat with a thermostat.

    Attributes:
        resistance_k_per_w, capacity_j_per_k: To the air around; of the lump.
        throttle_at_c, resume_at_c: Slow from the one on, full speed again from the other down.
        throttled_scale: Factor on the speed while throttled, in (0, 1].
        throttled_compute_w: Watts while throttled and computing.

    Raises:
        ScenarioError: A figure that no body can have.
    """

    resistance_k_per_w: float
    capacity_j_per_k: float
    throttle_at_c: float
    resume_at_c: float
    throttled_scale: float
    throttled_compute_w: float

    def __post_init__(self) -> None:
        if not self.tau_s > 0.0:
            raise ScenarioError("resistance and capacity must be positive", value=self.tau_s)
        if not self.resume_at_c < self.throttle_at_c:
            raise ScenarioError(
                f"resume_at_c must lie below throttle_at_c, {self.throttle_at_c:g}",
                value=self.resume_at_c,
            )
        if not 0.0 < self.throttled_scale <= 1.0:
            raise ScenarioError("throttled_scale must be in (0, 1]", value=self.throttled_scale)

    @property
    def tau_s(self) -> float:
        """Time constant R C in seconds."""
        return self.resistance_k_per_w * self.capacity_j_per_k


def thermal_body(heat: Heat, hardware: Thermal | None, path: str = "heat") -> ThermalBody:
    """The hardware's figures with the scenario's own in their place.

    ``path``: where the heat stands in the YAML, for errors.

    Raises:
        ScenarioError: A figure that neither gives, or one that no body can have.
    """
    figures: dict[str, float] = {}
    for field in fields(ThermalBody):
        value = getattr(heat, field.name)
        if value is None and hardware is not None:
            value = getattr(hardware, field.name)
        if value is None:
            where = f"{path}.{field.name}"
            raise ScenarioError("the hardware file says nothing of heat: say it", path=where)
        figures[field.name] = value
    try:
        return ThermalBody(**figures)
    except ScenarioError as error:
        raise ScenarioError(error.message, path=path, value=error.value) from error


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a computation at one speed and power.

    Attributes:
        duration_s, power_w: Of this stretch.
        scale: Speed, 1 = full.
        work_s: Full-speed seconds still to do at its start.
        start_c: Temperature at its start.
    """

    duration_s: float
    power_w: float
    scale: float
    work_s: float
    start_c: float


class Temperature:
    """Temperature and thermostat of one device; it begins as after a long time idle.

    Args:
        compute_w, idle_w: The processor's powers at full speed and at rest.
    """

    def __init__(
        self, body: ThermalBody, compute_w: float, idle_w: float, ambient_c: float = 25.0
    ) -> None:
        self.body = body
        self.ambient_c = ambient_c
        self.throttled_s = 0.0  # computing, slowed down
        self.is_throttled = False
        self.temperature_c = self.steady_c(idle_w)
        self.max_c = self.temperature_c
        self._compute_w = compute_w
        self._power_w = idle_w
        self._slowed = False
        self._now_s = 0.0
        self._watch()

    def steady_c(self, power_w: float) -> float:
        """T_inf in C: what the temperature tends to at that power."""
        return self.ambient_c + power_w * self.body.resistance_k_per_w

    def after_s(self, seconds: float, from_c: float, power_w: float) -> float:
        """Temperature in C ``seconds`` after ``from_c``, if the power stays."""
        steady_c = self.steady_c(power_w)
        return steady_c + (from_c - steady_c) * math.exp(-seconds / self.body.tau_s)

    def reaches_s(self, limit_c: float, from_c: float, power_w: float) -> float:
        """Seconds to a temperature: RC ln((T_0 - T_inf) / (T_limit - T_inf)); inf if never."""
        steady_c = self.steady_c(power_w)
        if (from_c - limit_c) * (limit_c - steady_c) <= 0.0:
            return math.inf
        return self.body.tau_s * math.log((from_c - steady_c) / (limit_c - steady_c))

    def advance(self, now_s: float) -> None:
        """Temperature and thermostat at ``now_s``, the power having stayed."""
        seconds = now_s - self._now_s
        self.temperature_c = self.after_s(seconds, self.temperature_c, self._power_w)
        self.throttled_s += seconds if self._slowed else 0.0
        self._now_s = now_s
        self._watch()

    def rest(self, now_s: float, power_w: float) -> None:
        """From ``now_s`` on the processor draws that power and computes nothing."""
        self.advance(now_s)
        self._power_w, self._slowed = power_w, False

    def begin(self, piece: Piece, now_s: float) -> None:
        """A piece of `run` begins at ``now_s``; its start temperature is exact at a crossing."""
        self.advance(now_s)
        self.temperature_c = piece.start_c
        self._watch()
        self._power_w, self._slowed = piece.power_w, self.is_throttled

    def run(self, work_s: float, now_s: float) -> Iterator[Piece]:
        """A computation of ``work_s`` full-speed seconds from ``now_s`` on, cut at crossings."""
        self.advance(now_s)
        from_c, slow, body = self.temperature_c, self.is_throttled, self.body
        while True:
            power_w = body.throttled_compute_w if slow else self._compute_w
            scale = body.throttled_scale if slow else 1.0
            limit_c = body.resume_at_c if slow else body.throttle_at_c
            limit_s = self.reaches_s(limit_c, from_c, power_w)
            if work_s <= limit_s * scale:
                yield Piece(work_s / scale, power_w, scale, work_s, from_c)
                return
            yield Piece(limit_s, power_w, scale, work_s, from_c)
            work_s -= limit_s * scale
            from_c, slow = limit_c, not slow

    def _watch(self) -> None:
        """The thermostat: hysteresis between its two limits."""
        self.max_c = max(self.max_c, self.temperature_c)
        if self.temperature_c >= self.body.throttle_at_c:
            self.is_throttled = True
        elif self.temperature_c <= self.body.resume_at_c:
            self.is_throttled = False
