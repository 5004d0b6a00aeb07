"""How a payload gets its first uplink slot: scheduling request and grant, own slots, or at once.

A payload joins the cell's queue in the middle of the slot before its first one, so that the order
of events within a moment decides nothing; it then waits its turn like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import simpy

from simsplit.phy.frame import SYMBOLS_PER_SLOT, Frame
from simsplit.scenario.access import (
    ConfiguredAccess,
    DynamicAccess,
    ImmediateAccess,
    least_k2_slots,
)

if TYPE_CHECKING:
    from simsplit.scenario.cell import Cell
    from simsplit.sim.radio.flows import Bearer
    from simsplit.sim.radio.power import Power
    from simsplit.sim.radio.queues import FlowQueues
    from simsplit.sim.request import Request


Admission = Generator[simpy.Event, Any, float]
"""Ends when a payload may be queued, with the time in s at which its first slot begins."""
SR_SYMBOLS = 2  # PUCCH format 0 on one resource block, TS 38.211 clause 6.3.2.3


class Access(Protocol):
    """The form of every access."""

    def admitted(self, request: Request, bearer: Bearer) -> Admission:
        """Wait until the request's payload may be queued."""

    def sent(self, bearer: Bearer, slot: int, *, is_block: bool) -> None:
        """New data of a bearer went in a slot that is just over; ``is_block``: in a new block."""

    def mean_s(self, device: int) -> float:
        """Mean seconds from a payload to its first slot, at an idle device and any time."""


class Immediate:
    """No access: the next slot."""

    def __init__(self, env: simpy.Environment) -> None:
        self._env = env

    def admitted(self, request: Request, bearer: Bearer) -> Admission:
        yield from ()
        return float(self._env.now)

    def sent(self, bearer: Bearer, slot: int, *, is_block: bool) -> None:
        """Nothing to do."""

    def mean_s(self, device: int) -> float:
        return 0.0


class Opportunities:
    """Each device's own uplink slots: one every ``period_slots`` from its offset on.

    In TDD one that is no uplink slot moves on to the next with ``symbols`` for the uplink.

    Args:
        phases: Of the devices, in [0, 1) of the period.
    """

    def __init__(
        self, frame: Frame, period_slots: int, phases: Sequence[float], symbols: int
    ) -> None:
        self._next_uplink, self._symbols = frame.next_uplink_slot, symbols
        self._period = period_slots
        self._offsets = [int(phase * period_slots) for phase in phases]
        self.cycle_slots = math.lcm(period_slots, frame.period_slots)
        self._before = -(-frame.period_slots // period_slots)

    def next(self, device: int, slot: int) -> int:
        """The device's first opportunity at or after a slot."""
        offset, period = self._offsets[device], self._period
        number = max(0, (slot - offset) // period - self._before)
        while True:
            own = self._next_uplink(offset + number * period, self._symbols)
            if own >= slot:
                return own
            number += 1

    def mean_slots(self, device: int, first_slot: Callable[[int], int]) -> float:
        """Mean slots from any moment to the slot that its next opportunity leads to."""
        start = self._offsets[device] + self.cycle_slots
        waits = [
            first_slot(self.next(device, slot + 1)) - slot - 0.5
            for slot in range(start, start + self.cycle_slots)
        ]
        return math.fsum(waits) / len(waits)


def _not_begun(now_s: float, slot_s: float) -> int:
    """The first slot that begins after now."""
    return math.floor(now_s / slot_s + 1e-9) + 1


class DynamicGrants:
    """Scheduling request or buffer status report, then a grant, then the device's preparation.

    Whichever comes first announces a payload: the device's next opportunity for a scheduling
    request (TS 38.321 clause 5.4.4), or its next new block, which carries a buffer status report
    (clause 5.4.5). From the end of that slot on: processing, the next slot with a PDCCH, k2 slots,
    the next uplink slot. A request is sent once and always heard.

    Args:
        phases: As of `Opportunities`.
        powers: Device -> transmit power; the request is sent on one resource block.
    """

    def __init__(
        self,
        env: simpy.Environment,
        cell: Cell,
        spec: DynamicAccess,
        frame: Frame,
        phases: Sequence[float],
        powers: Sequence[Power],
    ) -> None:
        self._env, self._spec, self._powers = env, spec, powers
        self._slot_s, self._listens = cell.slot_s, cell.drx is not None
        self._requests = Opportunities(frame, spec.sr_period_slots, phases, 1)
        self._frame, self._pdcch = frame, max(1, cell.overhead.pdcch_symbols)
        least = least_k2_slots(cell.subcarrier_spacing_hz, cell.overhead.pdcch_symbols)
        self._k2_slots = spec.k2_slots or least
        self._waiting: list[list[tuple[int, simpy.Event]]] = [[] for _ in phases]

    def admitted(self, request: Request, bearer: Bearer) -> Admission:
        env, slot_s = self._env, self._slot_s
        announced = yield from self._announced(request, bearer)
        first = self.first_slot(announced)
        yield env.timeout((first - 0.5) * slot_s - env.now)
        if self._listens:
            bearer.device.receiver.listen(announced * slot_s, env.now)
        return first * slot_s

    def first_slot(self, announced: int) -> int:
        """The first slot for a payload that was announced in a slot."""
        heard = announced + 1 + self._spec.processing_slots
        granted = self._frame.next_downlink_slot(heard, self._pdcch)
        return self._frame.next_uplink_slot(granted + self._k2_slots)

    def sent(self, bearer: Bearer, slot: int, *, is_block: bool) -> None:
        """A new block carries a report of what came before its slot began."""
        waiting = self._waiting[bearer.index]
        if not is_block or not waiting:
            return
        for since, report in waiting:
            if since <= slot:
                report.succeed(slot)
        waiting[:] = [entry for entry in waiting if entry[0] > slot]

    def mean_s(self, device: int) -> float:
        return self._requests.mean_slots(device, self.first_slot) * self._slot_s

    def _announced(self, request: Request, bearer: Bearer) -> Generator[simpy.Event, Any, int]:
        """The slot that tells the base station of the payload: of a report, or of a request."""
        env, waiting = self._env, self._waiting[bearer.index]
        since, report = _not_begun(env.now, self._slot_s), env.event()
        asks = self._requests.next(bearer.index, since)
        waiting.append((since, report))
        over_s = (asks + 1.25) * self._slot_s  # a report in the very slot is there by then
        yield env.any_of([report, env.timeout(over_s - env.now)])
        if report.triggered:
            carried: Any = report.value
            return int(carried)
        waiting.remove((since, report))
        self._ask(request, bearer, asks)
        return asks

    def _ask(self, request: Request, bearer: Bearer, slot: int) -> None:
        """Book the transmitter's energy for a scheduling request."""
        device, seconds = bearer.device, SR_SYMBOLS / SYMBOLS_PER_SLOT * self._slot_s
        power_w = device.power.transmit_w(self._powers[bearer.index].radiated_w(1, slot))
        device.radio.book("transmit", seconds, power_w)
        request.tx_energy_j += power_w * seconds


class ConfiguredGrants:
    """New data go in the device's own slots only; where one had no room, in the next that has.

    Args:
        queues: Where a bearer is shut between its slots.
        phases: As of `Opportunities`.
    """

    def __init__(
        self,
        env: simpy.Environment,
        cell: Cell,
        spec: ConfiguredAccess,
        frame: Frame,
        phases: Sequence[float],
        queues: FlowQueues,
    ) -> None:
        self._env, self._slot_s, self._queues = env, cell.slot_s, queues
        self._own = Opportunities(frame, spec.period_slots, phases, SYMBOLS_PER_SLOT)

    def admitted(self, request: Request, bearer: Bearer) -> Admission:
        first = self._own.next(bearer.index, _not_begun(self._env.now, self._slot_s))
        yield self._until(first)
        return first * self._slot_s

    def sent(self, bearer: Bearer, slot: int, *, is_block: bool) -> None:
        """Shut the bearer until its next own slot."""
        if not bearer.is_shut:
            bearer.is_shut = True
            self._queues.refresh(bearer)
            self._env.process(self._opened(bearer, self._own.next(bearer.index, slot + 1)))

    def mean_s(self, device: int) -> float:
        return self._own.mean_slots(device, lambda slot: slot) * self._slot_s

    def _opened(self, bearer: Bearer, slot: int) -> Generator[simpy.Event, Any, None]:
        yield self._until(slot)
        bearer.is_shut = False
        self._queues.refresh(bearer)

    def _until(self, slot: int) -> simpy.Timeout:
        """Until half a slot before a slot begins, or at once."""
        return self._env.timeout(max(0.0, (slot - 0.5) * self._slot_s - self._env.now))


def build_access(
    env: simpy.Environment,
    cell: Cell,
    frame: Frame,
    random: Callable[[int], np.random.Generator],
    powers: Sequence[Power],
    queues: FlowQueues,
) -> Access:
    """The access that a scenario asks for.

    Args:
        random: Device -> the generator of its phase.
        powers: Of all devices, in their order.
    """
    spec = cell.access
    match spec:
        case ImmediateAccess():
            return Immediate(env)
        case DynamicAccess():
            phases = [float(random(device).random()) for device in range(len(powers))]
            return DynamicGrants(env, cell, spec, frame, phases, powers)
        case ConfiguredAccess():
            phases = [float(random(device).random()) for device in range(len(powers))]
            return ConfiguredGrants(env, cell, spec, frame, phases, queues)
