"""A mobile device: arrivals, a first-in-first-out processor, its power states and its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import simpy

from simsplit.messages import Scheme
from simsplit.radio import Drx
from simsplit.scenario import DeviceGroup, PeriodicArrivals, PoissonArrivals
from simsplit.sim.ledger import Ledger
from simsplit.sim.policy import FixedPolicy
from simsplit.sim.receiver import Receiver, ReceiverPower
from simsplit.sim.request import Life, Plan, Request
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
    """One device of a group. Processor and radio are two components with a ledger each."""

    def __init__(
        self,
        env: simpy.Environment,
        index: int,
        group: DeviceGroup,
        plans: Mapping[str, Plan],
        power: DevicePower,
        drx: Drx | None = None,
    ) -> None:
        self.env = env
        self.index = index
        self.group = group
        self.policy = FixedPolicy(group.operating_point)
        self.processor = Ledger({"idle": power.idle_w, "compute": power.compute_w}, "idle")
        self.power = power
        full_w = power.transmit_w(dbm_to_w(group.tx_power_dbm))
        self.radio = Ledger({"off": 0.0, "transmit": full_w}, "off")
        self.receiver = Receiver(power.receiver, drx)
        self._plans = plans
        self._turn = simpy.Resource(env, capacity=1)

    def plan_of(self, request: Request) -> Plan:
        """The costs of the request's operating point."""
        return self._plans[request.operating_point]

    def compute(self, request: Request) -> Life:
        """Queue for the processor, then run head + encoder (or the whole network, if local)."""
        plan = self.plan_of(request)
        request.computed_locally = plan.scheme is Scheme.LOCAL
        yield from self._process(request, plan.device_s[self.group.hardware])

    def after_loss(self, request: Request) -> Life:
        """The stated consequence of a lost payload: drop it, or answer on the device.

        A local answer that was lost on its way up cannot be mended by computing it again.
        """
        if self.group.on_loss == "drop" or request.computed_locally:
            return request.close("lost", self.env.now)
        request.computed_locally = True
        yield from self._process(request, self.plan_of(request).local_s[self.group.hardware])
        request.close("done", self.env.now)

    def _process(self, request: Request, seconds: float) -> Life:
        with self._turn.request() as turn:
            yield turn
            if np.isnan(request.device_start_s):
                request.device_start_s = self.env.now
            self.processor.enter("compute", self.env.now)
            yield self.env.timeout(seconds)
            self.processor.enter("idle", self.env.now)
        request.compute_energy_j += seconds * self.processor.power_w["compute"]
        if np.isnan(request.device_end_s):
            request.device_end_s = self.env.now

    @property
    def energy_j(self) -> float:
        """Energy booked so far (up to the last change of state)."""
        return self.processor.total_j + self.radio.total_j + self.receiver.ledger.total_j

    def has_power(self) -> bool:
        """False once the battery, if there is one, is empty."""
        if self.group.battery_j is None:
            return True
        self.processor.close(self.env.now)
        return self.energy_j < self.group.battery_j


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
