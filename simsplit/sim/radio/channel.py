"""The shared air: slots, grants and what came of them, in one direction of all sites.

In each slot the scheduler serves up to ``max_grants`` backlogged devices with one transport block
(or one run of JSCC symbols) each, on as many of the resource blocks as it says; retransmissions
come before new data. TS 38.211 clause 4.3 (slots).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy
from numpy.typing import NDArray

from simsplit.phy.mcs import Mcs
from simsplit.scenario.cell import AdaptiveMcs, FixedMcs
from simsplit.scenario.schedulers import ProportionalFair
from simsplit.sim.radio.adaptation import Elements, Reports, build_adaptation
from simsplit.sim.radio.control import ControlBlocks
from simsplit.sim.radio.grants import Grants
from simsplit.sim.radio.harq import Harq
from simsplit.sim.radio.queues import FlowQueues
from simsplit.sim.radio.reception import Reception
from simsplit.sim.radio.scheduler import Order, build_order

if TYPE_CHECKING:
    from simsplit.phy.link import BlerTable
    from simsplit.scenario.cell import Cell
    from simsplit.sim.radio.air import Air
    from simsplit.sim.radio.blocks import BlockChannel
    from simsplit.sim.radio.flows import Bearer, Flow
    from simsplit.sim.radio.queues import Booking


_CSI_FOR_FIXED = (1, 0)  # report period and delay in slots when the MCS needs no reports


@dataclass(frozen=True)
class Direction:
    """What one direction of the cell is built from.

    Attributes:
        cell: Its rules: MCS, HARQ, RLC, scheduler, length of a slot.
        air: Es/N0 of every bearer in every slot.
        table: Block error rates; the adaptive MCS has its thresholds from it.
        blocks: Fates of transport blocks.
        bearers: One per device, in the order of the devices.
        elements: What a slot of this direction holds.
        next_slot: The first slot of this direction at or after a slot.
        answered_slot: Slot of a block -> the first slot after feedback on it can have travelled,
            which takes a slot of the other direction.
    """

    cell: Cell
    air: Air
    table: BlerTable
    blocks: BlockChannel
    bearers: Sequence[Bearer]
    elements: Elements
    next_slot: Callable[[int], int]
    answered_slot: Callable[[int], int]


class SharedChannel:
    """One direction of the air of all sites.

    Args:
        booking: Who pays for grants, and what is written down.
    """

    def __init__(self, env: simpy.Environment, direction: Direction, booking: Booking) -> None:
        self.env, self.air, self.bearers = env, direction.air, direction.bearers
        self.n_prb = direction.air.n_prb
        cell = direction.cell
        self._next_slot_of, self._slot_s = direction.next_slot, cell.slot_s
        self._reports = _reports(direction)
        self.adaptation = build_adaptation(
            cell.mcs, direction.table, direction.elements, self.n_prb, self._reports
        )
        self._queues = FlowQueues(
            env, _orders(direction, self._reports), cell.harq.processes, booking
        )
        self._harq = Harq(env, cell, self._queues, direction.answered_slot)
        self._grants = Grants(
            self.bearers,
            self._queues,
            self._harq,
            self.adaptation,
            ControlBlocks(direction.table, direction.elements, self._reports),
            direction.elements,
            self.n_prb,
            most=cell.scheduler.max_grants,
            counts_blocks=booking.counts_blocks,
        )
        self._reception = Reception(
            self.air,
            direction.blocks,
            booking,
            self._grants,
            self._queues,
            self._harq,
            self.adaptation,
        )
        self._orders = self._queues.orders
        self.slot = 0
        self._running_prb = 0
        env.process(self._run_slots())

    # --- what a device may be told ------------------------------------------------------------

    @property
    def prb_slots_used(self) -> int:
        """Resource blocks x slots granted so far."""
        return self._grants.prb_slots_used

    def prb_slots_by(self, now_s: float) -> float:
        """Resource blocks x slots used up to ``now_s``; a slot under way counts in part."""
        left = max(0.0, self.slot + 1 - now_s / self._slot_s)
        return self.prb_slots_used - self._running_prb * left

    def elements(self, n_prb: int) -> int:
        """Data resource elements of so many resource blocks in one slot."""
        return self._grants.elements_of[n_prb]

    def offer(self, bearer: Bearer) -> tuple[Mcs, int, int]:
        """MCS, resource blocks and transport block bits if the whole band were granted now.

        Raises:
            ScenarioError: A fixed MCS whose block would not be decodable.
        """
        return self._grants.offer(bearer, self._present())

    def reported_db(self, bearer: Bearer, n_prb: int) -> float:
        """Es/(N0 + I0) in dB on the first ``n_prb`` resource blocks by the device's last report."""
        return self._reports.snr_db(bearer, self._present(), 0, n_prb)

    def present_db(self, bearer: Bearer, n_prb: int) -> float:
        """Es/(N0 + I0) in dB on the first ``n_prb`` resource blocks of this very slot."""
        return self.air.expected_db(bearer, self._present(), 0, n_prb)

    # --- flows and handover -------------------------------------------------------------------

    def start(self, flow: Flow) -> None:
        """Queue a flow; its ``sent`` event fires when it is through, lost or stopped."""
        self._queues.start(flow)

    def abandon(self, flow: Flow) -> None:
        """Give a flow up, unless it is over already; it ends undelivered."""
        if not flow.is_over:
            self._harq.lose(flow)

    def detach(self, bearer: Bearer, site: int) -> None:
        """Handover begins: the bearer is silent until `attach`.

        Blocks under way are given up and their bits queued anew at the new site.
        """
        bearer.is_barred = True
        if bearer.is_ready:
            self._queues.withdraw(bearer)
        self._harq.give_up(bearer)
        bearer.site = site
        self._queues.refresh(bearer)

    def attach(self, bearer: Bearer) -> None:
        """Handover ends: the bearer may send at its new site."""
        bearer.is_barred = False
        self._queues.refresh(bearer)

    # --- slots --------------------------------------------------------------------------------

    def _run_slots(self) -> Generator[simpy.Event, Any, None]:
        env, slot_s = self.env, self._slot_s
        while True:
            if not any(self._orders):
                yield from self._idle()
                continue
            slot = self._next_slot_of(self._present())
            gap_s = slot * slot_s - env.now
            if gap_s > 0.0:
                yield env.timeout(gap_s)
            yield from self._use(slot)

    def _present(self) -> int:
        """The first slot that has not begun."""
        return max(self.slot, math.ceil(self.env.now / self._slot_s - 1e-9))

    def _idle(self) -> Generator[simpy.Event, Any, None]:
        """Nothing new to send: wait for new data, a free process, or the next retransmission."""
        due = self._harq.next_due()
        slot = None if due is None else self._next_slot_of(max(due, self._present()))
        gap_s = math.inf if slot is None else slot * self._slot_s - self.env.now
        if gap_s > 1e-6 * self._slot_s:
            woken = self._queues.woken()
            alarm = [] if slot is None else [self.env.timeout(gap_s)]
            yield self.env.any_of([woken, *alarm])
        if slot is None or any(self._orders):
            return
        if self.env.now > (slot - 1e-6) * self._slot_s:  # else woken by what has gone again
            yield from self._use(slot)

    def _use(self, slot: int) -> Generator[simpy.Event, Any, None]:
        """One slot: grants at its beginning, fates at its end."""
        self._harq.free(slot)
        used_before = self.prb_slots_used
        granted = [self._grants.of_slot(site, slot) for site in range(len(self._orders))]
        grants = granted[0] if len(granted) == 1 else [g for part in granted for g in part]
        self.slot, self._running_prb = slot, self.prb_slots_used - used_before
        self.air.occupy(slot, grants)
        yield self.env.timeout((slot + 1) * self._slot_s - self.env.now)
        self.slot, self._running_prb = slot + 1, 0
        self._reception.deliver(grants, slot)


def _reports(direction: Direction) -> Reports:
    spec = direction.cell.mcs
    period, delay = _CSI_FOR_FIXED
    if isinstance(spec, AdaptiveMcs):
        period, delay = spec.csi_period_slots, spec.csi_delay_slots
    return Reports(direction.air, direction.bearers, period, delay)


def _orders(direction: Direction, reports: Reports) -> list[Order]:
    """One order per site."""
    weights = [bearer.weight for bearer in direction.bearers]
    deadline_s = partial(_deadline_s, direction.bearers)
    spec, level_db = direction.cell.scheduler, reports.wideband_db
    if isinstance(spec, ProportionalFair) and isinstance(direction.cell.mcs, FixedMcs):
        level_db = _one_level_db
    return [build_order(spec, weights, level_db, deadline_s) for _ in range(direction.air.n_sites)]


def _one_level_db(devices: NDArray[np.int64], slot: int) -> NDArray[np.float64]:
    """Of a fixed MCS, whose rate is the same at every level: proportional fair compares rates."""
    return np.zeros(len(devices))


def _deadline_s(bearers: Sequence[Bearer], device: int) -> float:
    """Absolute deadline of a device's oldest unsent request; infinite if it has none."""
    request = bearers[device].flows[0].request
    due_s = request.arrival_s + request.deadline_s
    return math.inf if math.isnan(due_s) else due_s
