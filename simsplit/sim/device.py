"""A mobile device: arrivals, a first-in-first-out processor, power states, battery and heat.

The battery feeds all ledgers (processor, transmitter, receiver). It is followed at every change of
the processor's state and whenever somebody asks. Empty, the device starts no new request; what is
under way is finished, which may take the level below zero; a processor that idles then draws no
more than is harvested (nothing without), from the very moment the battery ran empty. A receiver
with DRX goes on listening. Heat comes from the processor alone (`simsplit.sim.thermal`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import simpy

from simsplit.body import Battery
from simsplit.messages import Scheme
from simsplit.radio import Drx
from simsplit.scenario import DeviceGroup, PeriodicArrivals, PoissonArrivals
from simsplit.sim.battery import Charge
from simsplit.sim.decision import Policy
from simsplit.sim.ledger import Ledger
from simsplit.sim.receiver import Receiver, ReceiverPower
from simsplit.sim.request import Life, Plan, Request
from simsplit.sim.thermal import Piece, Thermal, ThermalBody
from simsplit.units import dbm_to_w


@dataclass(frozen=True)
class DevicePower:
    """Watts by state: processor idle and compute; transmitter and receiver beyond idle.

    Attributes:
        pa_efficiency: Radiated over fed power of the amplifier.
        tx_circuit_w: The transmitter's other circuits.
    """

    idle_w: float
    compute_w: float
    pa_efficiency: float = 1.0
    tx_circuit_w: float = 0.0
    receiver: ReceiverPower = field(default_factory=ReceiverPower)

    def transmit_w(self, radiated_w: float) -> float:
        """Watts drawn while radiating: P / eta_PA + circuits (Cui et al. 2005, eq. 5)."""
        return radiated_w / self.pa_efficiency + self.tx_circuit_w


class _SlotLedger(Ledger):
    """A transmitter's ledger that has the battery followed slot by slot.

    Only a battery that can be full needs it: what it cannot hold depends on when power is drawn.
    """

    def __init__(self, power_w: Mapping[str, float], state: str, device: Device) -> None:
        super().__init__(power_w, state)
        self._device = device

    def book(self, state: str, seconds: float, power_w: float | None = None) -> None:
        """See `Ledger`; the time ends now."""
        self._device.follow(self._device.env.now - seconds)
        super().book(state, seconds, power_w)
        self._device.settle()


class _Receiver(Receiver):
    """A receiver that can say what it has drawn before it books it."""

    def total_j(self, now_s: float) -> float:
        """Energy up to ``now_s``: booked, and listening and asleep since the last activity."""
        watts = self.ledger.power_w
        gap_s = max(0.0, now_s - self._active_s)
        listened_s = self._listened_s(gap_s)
        since_j = listened_s * watts["listen"] + (gap_s - listened_s) * watts["sleep"]
        return self.ledger.total_j + since_j


class Device:
    """One device of a group. Processor and radio are two components with a ledger each.

    The world gives it its ``policy``.

    Args:
        thermal: Its heat; None: it never gets too hot.
        battery: None: that of the group's ``battery_j``, or mains if there is none.
        ambient_c: Temperature of the air around it.
    """

    policy: Policy

    def __init__(
        self,
        env: simpy.Environment,
        index: int,
        group: DeviceGroup,
        plans: Mapping[str, Plan],
        power: DevicePower,
        drx: Drx | None = None,
        *,
        thermal: ThermalBody | None = None,
        battery: Battery | None = None,
        ambient_c: float = 25.0,
    ) -> None:
        self.env = env
        self.index = index
        self.group = group
        self.processor = Ledger({"idle": power.idle_w, "compute": power.compute_w}, "idle")
        self.power = power
        self.receiver = _Receiver(power.receiver, drx)
        self._charge = _charge(group, battery)
        self._heat: Thermal | None = None
        if thermal is not None:
            self._heat = Thermal(thermal, power.compute_w, power.idle_w, ambient_c)
        self.radio = self._make_radio()
        self._plans = plans
        self._turn = simpy.Resource(env, capacity=1)
        self._jobs: deque[float] = deque()  # full-speed seconds to do; the first one runs
        self._begun_s, self._speed = 0.0, 0.0
        self._go_idle(env.now)

    def _make_radio(self) -> Ledger:
        watts = {"off": 0.0, "transmit": self.power.transmit_w(dbm_to_w(self.group.tx_power_dbm))}
        if self._charge is not None and self._charge.spec.harvest_w > 0.0:
            return _SlotLedger(watts, "off", self)
        return Ledger(watts, "off")

    def plan_of(self, request: Request) -> Plan:
        """The costs of the request's operating point."""
        return self._plans[request.operating_point]

    def compute(self, request: Request) -> Life:
        """Queue for the processor, then run head + encoder (or the whole network, if local).

        An early exit that was tried, ``exit_s``, belongs to the same visit.
        """
        plan = self.plan_of(request)
        request.computed_locally = plan.scheme is Scheme.LOCAL
        yield from self._process(request, plan.device_s[self.group.machine] + request.exit_s)

    def after_loss(self, request: Request) -> Life:
        """The stated consequence of a lost payload: drop it, or answer on the device.

        A local answer that was lost on its way up cannot be mended by computing it again.
        """
        if self.group.on_loss == "drop" or request.computed_locally:
            return request.close("lost", self.env.now)
        request.computed_locally = True
        yield from self._process(request, self.plan_of(request).local_s[self.group.machine])
        request.close("done", self.env.now)

    def _process(self, request: Request, seconds: float) -> Life:
        self._jobs.append(seconds)
        with self._turn.request() as turn:
            yield turn
            if np.isnan(request.device_start_s):
                request.device_start_s = self.env.now
            self.settle()
            for piece in self._pieces(seconds):
                self._begin(piece)
                yield self.env.timeout(piece.duration_s)
                self.settle()
                request.compute_energy_j += piece.duration_s * piece.power_w
            self._rest()
        if np.isnan(request.device_end_s):
            request.device_end_s = self.env.now

    def _pieces(self, seconds: float) -> Iterable[Piece]:
        """One piece at full speed, or what heat makes of it."""
        if self._heat is not None:
            return self._heat.run(seconds, self.env.now)
        return (Piece(seconds, self.processor.power_w["compute"], 1.0, seconds, np.nan),)

    def _begin(self, piece: Piece) -> None:
        now_s = self.env.now
        self.processor.enter("compute", now_s, piece.power_w)
        self._jobs[0], self._begun_s, self._speed = piece.work_s, now_s, piece.scale
        if self._heat is not None:
            self._heat.begin(piece, now_s)

    def _rest(self) -> None:
        self._jobs.popleft()
        self._speed = 0.0
        self._go_idle(self.env.now)

    def _go_idle(self, now_s: float) -> None:
        """Nothing to compute; on an empty battery the device lives from what it harvests."""
        idle_w = self.processor.power_w["idle"]
        if self._charge is not None and self._charge.is_empty:
            idle_w = min(idle_w, self._charge.spec.harvest_w)
        self._idle(now_s, idle_w)

    def _idle(self, now_s: float, idle_w: float) -> None:
        self._idle_w = idle_w
        self.processor.enter("idle", now_s, idle_w)
        if self._heat is not None:
            self._heat.rest(now_s, idle_w)

    @property
    def backlog_s(self) -> float:
        """Full-speed seconds of work that wait for the processor or are running."""
        return sum(self._jobs) - self._speed * (self.env.now - self._begun_s)

    @property
    def energy_j(self) -> float:
        """Energy booked so far (up to the last change of state)."""
        return self.processor.total_j + self.radio.total_j + self.receiver.ledger.total_j

    # --- battery and heat -------------------------------------------------------------------------

    def has_power(self) -> bool:
        """False once the battery, if there is one, is empty."""
        self.settle()
        return self._charge is None or not self._charge.is_empty

    @property
    def battery_share(self) -> float | None:
        """Energy left over capacity, now; None on mains."""
        self.settle()
        return None if self._charge is None else self._charge.share

    @property
    def temperature_c(self) -> float | None:
        """Temperature now; None if heat is no matter."""
        self.settle()
        if self._heat is None:
            return None
        self._heat.advance(self.env.now)
        return self._heat.temperature_c

    def station_extra(self) -> dict[str, float | None]:
        """Battery and heat up to now, of a device that has them; to be asked before ledgers close.

        ``battery_empty_s`` is when the battery first was empty, None if never.
        """
        extra: dict[str, float | None] = {}
        if self._charge is not None:
            extra["battery_share"] = self.battery_share
            extra["battery_empty_s"] = self._charge.empty_s
            extra["battery_spilled_j"] = self._charge.spilled_j
        if self._heat is not None:
            extra["temperature_c"] = self.temperature_c
            extra["max_temperature_c"] = self._heat.max_c
            extra["throttled_s"] = self._heat.throttled_s
        return extra

    def settle(self) -> None:
        """Follow the battery up to now."""
        self.follow(self.env.now)

    def follow(self, now_s: float) -> None:
        """Follow the battery up to ``now_s``; a moment before the last one changes nothing."""
        charge = self._charge
        if charge is None or now_s < charge.now_s:
            return
        off_s = self._off_s(charge, now_s) if self.processor.state == "idle" else None
        if off_s is not None:
            self._idle(off_s, min(self._idle_w, charge.spec.harvest_w))
        self.processor.close(now_s)
        charge.follow(now_s, self._consumed_j(now_s), off_s)

    def _off_s(self, charge: Charge, now_s: float) -> float | None:
        """When the battery ran empty under an idle processor, up to now; None if it did not."""
        unbooked_s = now_s - sum(self.processor.seconds.values())
        consumed_j = self._consumed_j(now_s) + unbooked_s * self._idle_w
        return charge.empties_s(now_s, consumed_j)

    def _consumed_j(self, now_s: float) -> float:
        """Booked energy and, of the receiver, what it books only afterwards."""
        return self.processor.total_j + self.radio.total_j + self.receiver.total_j(now_s)


def _charge(group: DeviceGroup, battery: Battery | None) -> Charge | None:
    if battery is None and group.battery_j is not None:
        battery = Battery(capacity_j=group.battery_j)
    return None if battery is None else Charge(battery)


def arrival_gaps_s(
    group: DeviceGroup, device: int, trace_s: Sequence[float], rng: np.random.Generator
) -> Iterator[float]:
    """Seconds from one arrival to the next, without end (a trace ends)."""
    spec = group.arrivals
    if isinstance(spec, PoissonArrivals):
        while True:
            yield float(rng.exponential(1.0 / spec.rate_hz))
    if isinstance(spec, PeriodicArrivals):
        yield 0.0 if spec.in_phase else float(rng.uniform(0.0, spec.period_s))
        while True:
            yield spec.period_s
    yield from np.diff(np.asarray(trace_s), prepend=0.0).tolist()
