"""The shared air: slots, grants, transport blocks, HARQ, RLC and JSCC symbols of one direction.

In each slot the scheduler serves up to ``max_grants`` backlogged devices with one transport block
(or one run of JSCC symbols) each, on equal shares of the resource blocks. Retransmissions keep the
size and scheme of their first attempt and come before new data. TS 38.211 clause 4.3 (slots),
TS 38.214 clauses 5.1.3 and 6.1.4 (MCS, sizes), TS 38.321 clause 5.4.2 (HARQ), TS 38.322 (RLC).
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy

from simsplit.phy.link import BlerTable
from simsplit.phy.mcs import Mcs
from simsplit.phy.sizes import resource_elements
from simsplit.radio import AdaptiveMcs, Cell
from simsplit.sim.adaptation import Adaptation, BlockSizes, Elements, Reports
from simsplit.sim.blocks import Block, BlockChannel
from simsplit.sim.scheduler import Order, build_order

if TYPE_CHECKING:
    from simsplit.sim.air import Air
    from simsplit.sim.device import Device
    from simsplit.sim.request import Request

_CSI_FOR_FIXED = (1, 0)  # report period and delay in slots when the MCS needs no reports


@dataclass(slots=True, eq=False)
class Flow:
    """One payload in the air.

    Attributes:
        begun: Bits of the payload that were put into a block at least once, from its front.
        again: Slices (from, to, RLC tries) that must be sent anew.
        remaining: Bits not in a block, or JSCC symbols not yet sent.
        stop_s: A JSCC flow ends then, with what it has sent.
    """

    request: Request
    bearer: Bearer
    sent: simpy.Event
    payload: bytes
    total: int
    is_analog: bool
    stop_s: float = math.inf
    min_symbols: int = 0
    begun: int = 0
    again: deque[tuple[int, int, int]] = field(default_factory=deque)
    remaining: int = 0
    in_flight: int = 0
    snr_sum_db: float = 0.0
    mcs_sum: float = 0.0
    grants: int = 0
    is_over: bool = False

    def __post_init__(self) -> None:
        self.remaining = self.total

    def take(self, bits: int) -> tuple[int, int, int]:
        """The next slice (from, to, RLC tries) of at most so many bits; it leaves the rest."""
        if not self.again:
            start = self.begun
            end = self.begun = min(self.total, start + bits)
            tries = 0
        else:
            start, last, tries = self.again.popleft()
            end = min(last, start + bits)
            if end < last:
                self.again.appendleft((end, last, tries))
        self.remaining -= end - start
        return start, end, tries

    def next_bits(self) -> int:
        """Bits of the slice that comes next."""
        return self.again[0][1] - self.again[0][0] if self.again else self.total - self.begun


@dataclass(slots=True, eq=False)
class Bearer:
    """One device as a cell sees it: unsent flows, busy HARQ processes, SNR offset, last report.

    ``passed_bits`` counts payload bits in blocks that passed their CRC.
    """

    index: int
    device: Device
    weight: float = 1.0
    site: int = 0
    flows: deque[Flow] = field(default_factory=deque)
    in_flight: int = 0
    offset_db: float = 0.0
    passed_bits: int = 0
    report_slot: int = -1
    report_db: float = 0.0
    is_ready: bool = False
    is_barred: bool = False


@dataclass(slots=True, eq=False)
class Grant:
    """Resource blocks of one slot for one flow; ``block`` is None for JSCC symbols."""

    flow: Flow
    block: Block | None
    first_prb: int
    n_prb: int


@dataclass
class RadioUse:
    """Resource blocks x slots that were granted."""

    prb_slots_used: int = 0


class SharedChannel:
    """One direction of the air of all sites; subclasses book power and statistics.

    Args:
        spec: The cell.
        air: Es/N0 of every bearer in every slot.
        blocks: Fates of transport blocks.
        bearers: One per device, in the order of the devices.
        elements: What a slot of this direction holds.
        next_slot: The first slot of this direction at or after a slot.
    """

    def __init__(
        self,
        env: simpy.Environment,
        spec: Cell,
        air: Air,
        table: BlerTable,
        blocks: BlockChannel,
        bearers: Sequence[Bearer],
        elements: Elements,
        next_slot: Callable[[int], int],
    ) -> None:
        self.env, self.spec, self.air = env, spec, air
        self.bearers = bearers
        self.use = RadioUse()
        self.n_prb = air.n_prb
        self._blocks = blocks
        self._next_slot_of = next_slot
        self._slot_s = spec.slot_s
        self._processes = spec.harq.processes
        self._max_grants = spec.scheduler.max_grants
        self._elements_of = [0] + [resource_elements(n, *elements) for n in range(1, air.n_prb + 1)]
        self._pilots = elements[1]
        self._sizes = BlockSizes(elements)
        period, delay = _CSI_FOR_FIXED
        if isinstance(spec.mcs, AdaptiveMcs):
            period, delay = spec.mcs.csi_period_slots, spec.mcs.csi_delay_slots
        self._reports = reports = Reports(air, bearers, period, delay)
        self.adaptation = Adaptation(spec.mcs, table, elements, air.n_prb, reports)
        weights = [bearer.weight for bearer in bearers]
        self._orders: list[Order] = [
            build_order(spec.scheduler, weights, reports.wideband_db, self._deadline_s)
            for _ in range(air.n_sites)
        ]
        self._again: list[list[tuple[int, int, Flow, Block]]] = [[] for _ in self._orders]
        self._tickets = itertools.count()
        self._wake = env.event()
        self.slot = 0
        env.process(self._run_slots())

    # --- what a device may be told ------------------------------------------------------------

    def elements(self, n_prb: int) -> int:
        """Data resource elements of so many resource blocks in one slot."""
        return self._elements_of[n_prb]

    def offer(self, bearer: Bearer) -> tuple[Mcs, int, int]:
        """MCS, resource blocks and transport block bits if the whole band were granted now."""
        scheme, n_prb = self.adaptation.choose(bearer, self._present(), 0, self.n_prb)
        return scheme, n_prb, self._sizes.bits(scheme, n_prb)

    def reported_db(self, bearer: Bearer, n_prb: int) -> float:
        """Es/(N0 + I0) on the first ``n_prb`` resource blocks by the device's last report."""
        return self._reports.snr_db(bearer, self._present(), 0, n_prb)

    def present_db(self, bearer: Bearer, n_prb: int) -> float:
        """The same of this very slot, on the first ``n_prb`` resource blocks."""
        return self.air.expected_db(bearer, self._present(), 0, n_prb)

    # --- flows --------------------------------------------------------------------------------

    def start(self, flow: Flow) -> None:
        """Queue a flow; its ``sent`` event fires when it is through, lost or stopped."""
        flow.bearer.flows.append(flow)
        self.refresh(flow.bearer)
        if flow.stop_s < math.inf:
            self.env.process(self._stop_in_time(flow))

    def refresh(self, bearer: Bearer) -> None:
        """Enter the device into its site's order, or take it out."""
        busy = bearer.is_barred or bearer.in_flight >= self._processes
        ready = bool(bearer.flows) and not busy
        if ready == bearer.is_ready:
            return
        bearer.is_ready = ready
        if not ready:
            return self._orders[bearer.site].remove(bearer.index)
        self._orders[bearer.site].add(bearer.index)
        if not self._wake.triggered:
            self._wake.succeed()

    def move(self, bearer: Bearer, site: int) -> None:
        """Handover: blocks under way are given up and their bits queued anew at the new site."""
        if bearer.is_ready:
            bearer.is_ready = False
            self._orders[bearer.site].remove(bearer.index)
        kept = []
        for entry in self._again[bearer.site]:
            if entry[2].bearer is bearer:
                self._requeue(entry[2], entry[3], entry[3].rlc_tries)
            else:
                kept.append(entry)
        heapq.heapify(kept)
        self._again[bearer.site] = kept
        bearer.site = site
        self.refresh(bearer)

    def _deadline_s(self, device: int) -> float:
        request = self.bearers[device].flows[0].request
        due_s = request.arrival_s + request.deadline_s
        return math.inf if math.isnan(due_s) else due_s

    def _stop_in_time(self, flow: Flow) -> Generator[simpy.Event, Any, None]:
        """End a JSCC flow whose airtime is over, with as many symbols as it has sent."""
        yield self.env.timeout(max(0.0, flow.stop_s - self.env.now))
        if not flow.is_over:
            flow.bearer.flows.remove(flow)
            self._close(flow, delivered=flow.total - flow.remaining >= flow.min_symbols)

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
        """Nothing new to send: wait for new data or for the next retransmission."""
        due = min((again[0][0] for again in self._again if again), default=None)
        slot = None if due is None else self._next_slot_of(max(due, self._present()))
        gap_s = math.inf if slot is None else slot * self._slot_s - self.env.now
        if gap_s > 1e-6 * self._slot_s:
            self._wake = self.env.event()
            alarm = [] if slot is None else [self.env.timeout(gap_s)]
            yield self.env.any_of([self._wake, *alarm])
        if slot is None or any(self._orders):
            return
        if self.env.now > (slot - 1e-6) * self._slot_s:  # else woken by what has gone again
            yield from self._use(slot)

    def _use(self, slot: int) -> Generator[simpy.Event, Any, None]:
        """One slot: grants at its beginning, fates at its end."""
        granted = [self._grant(site, slot) for site in range(len(self._orders))]
        grants = granted[0] if len(granted) == 1 else [g for part in granted for g in part]
        self.slot = slot
        self.air.occupy(slot, grants)
        yield self.env.timeout((slot + 1) * self._slot_s - self.env.now)
        self.slot = slot + 1
        self._deliver(grants, slot)

    def _grant(self, site: int, slot: int) -> list[Grant]:
        """Shares of this slot at one site: retransmissions first, then equal shares."""
        free, grants = self._grant_again(site, slot)
        order = self._orders[site]
        count = self._max_grants - len(grants)
        if free and count > 0 and len(order):
            busy = {id(grant.flow.bearer) for grant in grants}
            picked = [self.bearers[i] for i in order.pick(count, slot)]
            if busy:
                picked = [bearer for bearer in picked if id(bearer) not in busy]
            free = self._share(order, picked, free, slot, grants)
        self.use.prb_slots_used += self.n_prb - free
        return grants

    def _grant_again(self, site: int, slot: int) -> tuple[int, list[Grant]]:
        """Retransmissions that are due and fit; free resource blocks are left over."""
        free, again = self.n_prb, self._again[site]
        grants: list[Grant] = []
        late: list[tuple[int, int, Flow, Block]] = []
        busy: set[int] = set()
        while again and again[0][0] <= slot and len(grants) < self._max_grants:
            entry = heapq.heappop(again)
            flow, block = entry[2], entry[3]
            if flow.is_over:
                continue
            if block.n_prb > free or id(flow.bearer) in busy:
                late.append(entry)
                continue
            busy.add(id(flow.bearer))
            grants.append(Grant(flow, block, self.n_prb - free, block.n_prb))
            free -= block.n_prb
        for entry in late:
            heapq.heappush(again, entry)
        return free, grants

    def _share(
        self, order: Order, picked: list[Bearer], free: int, slot: int, grants: list[Grant]
    ) -> int:
        """Equal shares of what is free; what a device leaves goes to those after it."""
        waiting = len(picked)
        for bearer in picked:
            if not free:
                break
            grant, bits = self._fill(bearer, -(-free // waiting), self.n_prb - free, slot)
            waiting -= 1
            free -= grant.n_prb
            grants.append(grant)
            order.served(bearer.index, bits, grant.n_prb)
        return free

    def _fill(self, bearer: Bearer, share: int, first: int, slot: int) -> tuple[Grant, float]:
        """New data for a share: JSCC symbols or a transport block no larger than needed."""
        flow = bearer.flows[0]
        if flow.is_analog:
            n_prb = min(share, -(-flow.remaining // self._elements_of[1]))
            return Grant(flow, None, first, n_prb), float(self._elements_of[n_prb])
        scheme, share = self.adaptation.choose(bearer, slot, first, share)
        tb_bits, n_prb = self._sizes.bits(scheme, share), share
        wanted = flow.next_bits()
        if tb_bits > wanted:
            n_prb = self._sizes.needed(scheme, wanted, share)
            tb_bits = self._sizes.bits(scheme, n_prb)
        block = Block(scheme, n_prb, self._elements_of[n_prb], tb_bits, *flow.take(tb_bits))
        flow.in_flight += 1
        flow.request.blocks += self._counts
        bearer.in_flight += 1
        if not flow.remaining:
            bearer.flows.popleft()
            self.refresh(bearer)
        elif bearer.in_flight >= self._processes:
            self.refresh(bearer)
        return Grant(flow, block, first, n_prb), float(tb_bits)

    # --- what the slot's air did --------------------------------------------------------------

    def _deliver(self, grants: list[Grant], slot: int) -> None:
        sent: list[tuple[Flow, Block]] = []
        for grant in grants:
            flow, block = grant.flow, grant.block
            elements = self._elements_of[grant.n_prb]
            if block is None and flow.is_over:  # its airtime ended within this slot
                self.account(grant, 0, slot)
                continue
            if block is None:
                self._deliver_symbols(grant, elements, slot)
                continue
            snr_db = self.air.received_db(flow.bearer, slot, grant, block)
            block.snrs_db.append(snr_db)
            self.account(grant, elements, slot)
            flow.grants += 1
            flow.snr_sum_db += snr_db
            flow.mcs_sum += block.scheme.index
            if not flow.is_over:  # else a sibling block failed for good in the meantime
                sent.append((flow, block))
        if sent:
            for (flow, block), passed in zip(sent, self._blocks.passes(sent), strict=True):
                self._judge(flow, block, passed, slot)

    def _deliver_symbols(self, grant: Grant, elements: int, slot: int) -> None:
        flow = grant.flow
        count = min(elements, flow.remaining)
        pieces = self.air.symbol_pieces(flow.bearer, slot, grant, count)
        snr_db = sum(n * level_db for n, level_db, _ in pieces) / count
        flow.remaining -= count
        flow.grants += 1
        flow.snr_sum_db += snr_db
        flow.request.pieces.extend(pieces)
        self.account(grant, count, slot)
        if flow.remaining == 0:
            flow.bearer.flows.remove(flow)
            self.refresh(flow.bearer)
            self._close(flow, delivered=True)

    def _judge(self, flow: Flow, block: Block, passed: bool, slot: int) -> None:
        """ACK, NACK, RLC or loss."""
        bearer, attempts = flow.bearer, len(block.snrs_db)
        if attempts == 1 and self.adaptation.update is not None:
            self.adaptation.update(bearer, passed)
        if flow.is_over:  # an earlier block of this very slot was lost for good
            return
        if passed:
            bearer.passed_bits += block.bits_to - block.bits_from
            self._release(flow)
            if flow.in_flight == 0 and flow.remaining == 0:
                self._close(flow, delivered=True)
        elif attempts < self.spec.harq.max_transmissions:
            due = slot + self.spec.harq.round_trip_slots
            self._queue_again(due, flow, block)
        elif block.rlc_tries < self.spec.rlc.max_retransmissions:
            self.env.process(self._after_status(flow, block))
        else:
            self._lose(flow)

    def _queue_again(self, due: int, flow: Flow, block: Block) -> None:
        heapq.heappush(self._again[flow.bearer.site], (due, next(self._tickets), flow, block))

    def _after_status(self, flow: Flow, block: Block) -> Generator[simpy.Event, Any, None]:
        """RLC acknowledged mode: the status report comes, and the bits are queued anew."""
        yield self.env.timeout(self.spec.rlc.status_delay_slots * self._slot_s)
        if not flow.is_over:
            self._requeue(flow, block, block.rlc_tries + 1)

    def _requeue(self, flow: Flow, block: Block, tries: int) -> None:
        if flow.is_over:
            return
        if not flow.remaining:
            flow.bearer.flows.appendleft(flow)
        flow.again.appendleft((block.bits_from, block.bits_to, tries))
        flow.remaining += block.bits_to - block.bits_from
        self._release(flow)

    def _release(self, flow: Flow) -> None:
        """A HARQ process becomes free."""
        flow.in_flight -= 1
        flow.bearer.in_flight -= 1
        if not flow.bearer.is_ready:
            self.refresh(flow.bearer)

    def _lose(self, flow: Flow) -> None:
        """A block is lost for good, and with it the payload; what is under way is abandoned."""
        flow.bearer.in_flight -= flow.in_flight
        if flow.remaining:
            flow.bearer.flows.remove(flow)
        self.refresh(flow.bearer)
        self._close(flow, delivered=False)

    def _close(self, flow: Flow, *, delivered: bool) -> None:
        flow.is_over = True
        self.closed(flow, delivered)
        if not flow.bearer.is_ready or flow.is_analog:
            self.refresh(flow.bearer)
        flow.sent.succeed(delivered)

    # --- what the directions differ in --------------------------------------------------------

    _counts = 1  # whether blocks are counted in the request's row

    def account(self, grant: Grant, elements: int, slot: int) -> None:
        """Book one grant's energy and resource elements at the end of its slot."""
        raise NotImplementedError

    def closed(self, flow: Flow, delivered: bool) -> None:
        """Write the flow's end into its request."""
        raise NotImplementedError
