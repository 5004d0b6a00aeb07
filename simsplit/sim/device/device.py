"""A mobile device: a first-in-first-out processor, a radio, and what feeds them.

Empty, a battery lets the device start no new request; what is under way is finished. Heat comes
from the processor alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import simpy

from simsplit.messages import Scheme
from simsplit.scenario.cell import Drx
from simsplit.scenario.devices import Battery, DeviceGroup
from simsplit.sim.device.processor import Processor
from simsplit.sim.device.receiver import Receiver, ReceiverPower
from simsplit.sim.device.supply import Mains, OnBattery, Supply, charge_of, idle_limit_w
from simsplit.sim.device.thermal import Temperature, ThermalBody
from simsplit.sim.request import Life, Plan, Request, of_sample
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


class Device:
    """One device of a group. Processor, transmitter and receiver have a ledger each.

    Args:
        index: Its number in the scenario.
        plans: Operating point → costs.
        thermal: Its heat; None: it never gets too hot.
        battery: None: that of the group's ``battery_j``, or mains if there is none.
        ambient_c: Temperature of the air around it.
    """

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
        self.env, self.index, self.group, self.power = env, index, group, power
        self.receiver = Receiver(power.receiver, drx)
        idle_w, compute_w = power.idle_w, power.compute_w
        charge = charge_of(battery, group.battery_j)
        heat = None if thermal is None else Temperature(thermal, compute_w, idle_w, ambient_c)
        self.processor = Processor(idle_w, compute_w, heat, idle_limit_w(charge), env.now)
        transmit_w = power.transmit_w(dbm_to_w(group.tx_power_dbm))
        self._supply: Supply = Mains(transmit_w)
        if charge is not None:
            self._supply = OnBattery(env, charge, self.processor, self.receiver, transmit_w)
        self.radio = self._supply.radio
        self._plans = plans
        self._turn = simpy.Resource(env, capacity=1)

    # --- requests -----------------------------------------------------------------------------

    def plan_of(self, request: Request) -> Plan:
        """The costs of the request's operating point."""
        return self._plans[request.operating_point]

    def compute(self, request: Request) -> Life:
        """Queue for the processor, then run head + encoder (or the whole network, if local).

        The codec, and an early exit that was tried (``exit_s``), belong to the same visit.
        """
        plan, machine = self.plan_of(request), self.group.machine
        request.computed_locally = plan.scheme is Scheme.LOCAL
        codec_s = of_sample(plan.encode_s.get(machine, ()), request.sample)
        request.device_codec_s = codec_s
        yield from self._process(request, plan.device_s[machine] + codec_s + request.exit_s)

    def read_answer(self, request: Request) -> Life:
        """Queue for the processor again and decode the answer, if that takes any time."""
        seconds = self.plan_of(request).read_answer_s.get(self.group.machine, ())
        request.answer_codec_s = of_sample(seconds, request.sample)
        if request.answer_codec_s:
            yield from self._process(request, request.answer_codec_s)

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
        env, processor, supply = self.env, self.processor, self._supply
        processor.queue(seconds)
        with self._turn.request() as turn:
            yield turn
            if np.isnan(request.device_start_s):
                request.device_start_s = env.now
            supply.follow(env.now)
            for piece in processor.pieces(seconds, env.now):
                processor.begin(piece, env.now)
                yield env.timeout(piece.duration_s)
                supply.follow(env.now)
                request.compute_energy_j += piece.duration_s * piece.power_w
            processor.finish(env.now, supply.idle_limit_w)
        if np.isnan(request.device_end_s):
            request.device_end_s = env.now

    # --- what it can say of itself ------------------------------------------------------------

    @property
    def backlog_s(self) -> float:
        """Full-speed seconds of work that wait for the processor or are running."""
        return self.processor.backlog_s(self.env.now)

    @property
    def energy_j(self) -> float:
        """Energy booked so far in J (up to the last change of state)."""
        booked_j = self.processor.ledger.total_j + self.radio.total_j
        return booked_j + self.receiver.ledger.total_j

    def has_power(self) -> bool:
        """Whether a new request may start now: False while a battery is empty."""
        self._supply.follow(self.env.now)
        return not self._supply.is_empty

    @property
    def battery_share(self) -> float | None:
        """Energy left over capacity, now; below 0 where it was overdrawn; None on mains."""
        self._supply.follow(self.env.now)
        return self._supply.share

    @property
    def temperature_c(self) -> float | None:
        """Temperature in C, now; None if the device has no heat."""
        self._supply.follow(self.env.now)
        heat = self.processor.heat
        if heat is None:
            return None
        heat.advance(self.env.now)
        return heat.temperature_c

    def station_extra(self) -> dict[str, float | None]:
        """Battery and heat up to now, of a device that has them; to be asked before ledgers close.

        ``battery_share``, ``battery_empty_s`` (when the battery first was empty, None if never),
        ``battery_spilled_j``; ``temperature_c``, ``max_temperature_c``, ``throttled_s``.
        """
        temperature_c, heat = self.temperature_c, self.processor.heat
        extra = self._supply.station()
        if heat is not None:
            extra["temperature_c"] = temperature_c
            extra["max_temperature_c"] = heat.max_c
            extra["throttled_s"] = heat.throttled_s
        return extra
