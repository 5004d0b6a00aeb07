"""The cell: slots, round-robin shares of the band, transport blocks, HARQ, JSCC symbols, answers.

One uplink carrier. In each slot every backlogged device gets one transport block (or one run of
JSCC symbols) on its share of the resource blocks; retransmissions keep the size of their first
attempt and come before new data. TS 38.211 clause 4.3 (slots), TS 38.214 clause 5.1.3 (MCS, sizes).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import simpy

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.phy.link import (
    BlerTable,
    Mcs,
    is_decodable,
    mcs,
    resource_elements,
    transport_block_bits,
)
from simsplit.scenario import AdaptiveMcs, Cell, FixedMcs
from simsplit.sim.device import Device
from simsplit.sim.request import Life, Request

_SYMBOLS = 14  # TS 38.211 clause 4.3.2, normal cyclic prefix
_DMRS_RE = 12  # one front-loaded DMRS symbol per resource block, TS 38.211 clause 6.4.1.1


class SnrSource(Protocol):
    """Es/N0 in dB of one device in one slot on a grant of ``n_prb`` resource blocks."""

    def snr_db(self, slot: int, n_prb: int) -> float:
        """Fading, path loss and the spreading of transmit power over the grant included."""


@dataclass(slots=True)
class Block:
    """A transport block on its way: fixed scheme and size over all attempts (HARQ)."""

    scheme: Mcs
    n_prb: int
    tb_bits: int
    bits_from: int
    bits_to: int
    snrs_db: list[float] = field(default_factory=list)
    state: Any = None


class BlockChannel(Protocol):
    """Whether a transport block passes its CRC after one more attempt."""

    def passes(self, flow: Flow, block: Block) -> bool:
        """``block.snrs_db`` ends with the SNR of this attempt."""


@dataclass(slots=True)
class Flow:
    """One request's payload in the air."""

    request: Request
    device: Device
    snr: SnrSource
    sent: simpy.Event
    payload: bytes
    remaining: int  # bits not yet put into a block, or JSCC symbols not yet sent
    is_analog: bool
    total: int
    retransmit: list[tuple[int, Block]] = field(default_factory=list)
    in_flight: int = 0
    snr_sum_db: float = 0.0
    mcs_sum: float = 0.0
    is_lost: bool = False

    def is_ready(self, slot: int) -> bool:
        """Something to send in this slot?"""
        return self.remaining > 0 or (bool(self.retransmit) and self.retransmit[0][0] <= slot)


@dataclass
class RadioUse:
    """Resource blocks x slots that were granted."""

    prb_slots_used: int = 0


class Uplink:
    """The shared uplink of all devices."""

    def __init__(
        self,
        env: simpy.Environment,
        spec: Cell,
        table: BlerTable,
        channel: BlockChannel,
        snr_of: Sequence[SnrSource],
    ) -> None:
        self.env = env
        self.spec = spec
        self.use = RadioUse()
        self._channel = channel
        self._snr_of = snr_of
        self._choose = _mcs_rule(spec, table)
        self._flows: list[Flow] = []
        self._wake = env.event()
        self._turn = 0
        self._talking: set[Device] = set()
        env.process(self._run_slots())

    def carry(self, request: Request, device: Device) -> Life:
        """Send the request's payload; ends with ``request.delivered`` true or false."""
        plan = device.plan_of(request)
        is_analog = plan.scheme is Scheme.JSCC
        size = (plan.channel_uses if is_analog else plan.payload_bits)[request.sample]
        request.payload_bits = 0 if is_analog else size
        request.radio_start_s = self.env.now
        payload = plan.payloads[request.sample] if plan.payloads else b""
        snr = self._snr_of[device.index]
        flow = Flow(request, device, snr, self.env.event(), payload, size, is_analog, size)
        self._flows.append(flow)
        if not self._wake.triggered:
            self._wake.succeed()
        yield flow.sent

    def _run_slots(self) -> Generator[simpy.Event, Any, None]:
        slot_s = self.spec.slot_s
        slot = 0
        while True:
            if not self._flows:
                self._silence(set())
                self._wake = self.env.event()
                yield self._wake
            slot = self._next_slot(slot)
            gap_s = max(0.0, slot * slot_s - self.env.now)
            if gap_s > 1e-6 * slot_s:
                self._silence(set())
            yield self.env.timeout(gap_s)
            granted = self._grant(slot)
            self._silence({flow.device for flow, _, _ in granted})
            yield self.env.timeout((slot + 1) * slot_s - self.env.now)
            for flow, block, n_prb in granted:
                self._deliver(flow, block, n_prb, slot)
            slot += 1

    def _next_slot(self, slot: int) -> int:
        """First slot from now on in which a flow has something to send."""
        now_slot = math.ceil(self.env.now / self.spec.slot_s - 1e-9)
        ready = min(
            0 if flow.remaining > 0 else flow.retransmit[0][0]
            for flow in self._flows
            if flow.remaining > 0 or flow.retransmit
        )
        return max(slot, now_slot, ready)

    def _grant(self, slot: int) -> list[tuple[Flow, Block | None, int]]:
        """Shares of this slot: one flow per device, retransmissions first, then equal shares."""
        heads: dict[int, Flow] = {}
        for flow in self._flows:
            if flow.is_ready(slot):
                heads.setdefault(flow.device.index, flow)
        free = self.spec.resource_blocks
        granted: list[tuple[Flow, Block | None, int]] = []
        fresh: list[Flow] = []
        for flow in heads.values():
            if flow.retransmit and flow.retransmit[0][0] <= slot:
                block = flow.retransmit[0][1]
                if block.n_prb <= free:
                    flow.retransmit.pop(0)
                    free -= block.n_prb
                    granted.append((flow, block, block.n_prb))
            else:
                fresh.append(flow)
        self._share(fresh, free, slot, granted)
        self.use.prb_slots_used += sum(n_prb for _, _, n_prb in granted)
        return granted

    def _share(
        self,
        flows: list[Flow],
        free: int,
        slot: int,
        granted: list[tuple[Flow, Block | None, int]],
    ) -> None:
        """Round robin: equal shares of what is free; the turn rotates from slot to slot."""
        count = len(flows)
        self._turn += 1
        for position in range(count):
            if free < 1:
                return
            flow = flows[(position + self._turn) % count]
            share = -(-free // (count - position))
            block, n_prb = self._fill(flow, share, slot)
            free -= n_prb
            granted.append((flow, block, n_prb))

    def _fill(self, flow: Flow, share: int, slot: int) -> tuple[Block | None, int]:
        """New data for a share: JSCC symbols (None) or a transport block no larger than needed."""
        if flow.is_analog:
            per_prb = resource_elements(1, _SYMBOLS, _DMRS_RE)
            return None, min(share, -(-flow.remaining // per_prb))
        scheme = self._choose(flow.snr, slot, share)
        n_prb = _prbs_needed(scheme, flow.remaining, share)
        tb_bits = transport_block_bits(scheme, n_prb, _SYMBOLS, _DMRS_RE)
        start = flow.total - flow.remaining
        block = Block(scheme, n_prb, tb_bits, start, min(start + tb_bits, flow.total))
        flow.remaining = max(0, flow.remaining - tb_bits)
        flow.in_flight += 1
        flow.request.blocks += 1
        return block, n_prb

    def _silence(self, talking: set[Device]) -> None:
        """Radio states follow the grants."""
        now = self.env.now
        for device in self._talking - talking:
            device.radio.enter("off", now)
        for device in talking - self._talking:
            device.radio.enter("transmit", now)
        self._talking = talking

    def _deliver(self, flow: Flow, block: Block | None, n_prb: int, slot: int) -> None:
        """What this slot's air did to the grant."""
        request = flow.request
        power_w = flow.device.radio.power_w["transmit"]
        request.tx_energy_j += power_w * self.spec.slot_s
        elements = resource_elements(n_prb, _SYMBOLS, _DMRS_RE)
        snr_db = flow.snr.snr_db(slot, n_prb)
        flow.snr_sum_db += snr_db
        request.attempts += 1
        if block is None:
            self._deliver_symbols(flow, elements, snr_db)
        else:
            request.channel_uses += elements
            self._deliver_block(flow, block, snr_db, slot)

    def _deliver_symbols(self, flow: Flow, elements: int, snr_db: float) -> None:
        count = min(elements, flow.remaining)
        flow.remaining -= count
        flow.request.channel_uses += count
        flow.request.symbol_counts.append(count)
        flow.request.symbol_snr_db.append(snr_db)
        if flow.remaining == 0:
            self._close(flow, delivered=True)

    def _deliver_block(self, flow: Flow, block: Block, snr_db: float, slot: int) -> None:
        flow.mcs_sum += block.scheme.index
        block.snrs_db.append(snr_db)
        if flow.is_lost:  # a sibling block of the same slot group already failed for good
            return
        if self._channel.passes(flow, block):
            flow.in_flight -= 1
            if flow.in_flight == 0 and flow.remaining == 0:
                self._close(flow, delivered=True)
        elif len(block.snrs_db) >= self.spec.harq.max_transmissions:
            self._close(flow, delivered=False)
        else:
            flow.retransmit.append((slot + self.spec.harq.round_trip_slots, block))

    def _close(self, flow: Flow, *, delivered: bool) -> None:
        request = flow.request
        flow.is_lost = not delivered
        self._flows.remove(flow)
        request.delivered = delivered
        request.radio_end_s = self.env.now
        request.snr_db = flow.snr_sum_db / request.attempts
        if not flow.is_analog:
            request.mcs = flow.mcs_sum / request.attempts
        flow.sent.succeed()


class Downlink:
    """Answers share one carrier first come, first served: bits / rate, then a fixed latency."""

    def __init__(self, env: simpy.Environment, rate_bps: float, latency_s: float) -> None:
        self.env = env
        self.rate_bps = rate_bps
        self.latency_s = latency_s
        self._turn = simpy.Resource(env, capacity=1)

    def carry(self, bits: int) -> Life:
        """Send an answer down."""
        with self._turn.request() as turn:
            yield turn
            yield self.env.timeout(bits / self.rate_bps)
        yield self.env.timeout(self.latency_s)


class TableBlocks:
    """Block fates from the BLER table; chase combining adds the attempts' linear SNRs.

    One uniform number per block, kept over its attempts, makes the marginal error after n attempts
    BLER(sum of SNRs), and a block that passed stays passed.
    """

    def __init__(self, table: BlerTable, uniform_of: Sequence[Callable[[], float]]) -> None:
        self._table = table
        self._uniform_of = uniform_of

    def passes(self, flow: Flow, block: Block) -> bool:
        """True if the block's hardness lies above its error probability."""
        if block.state is None:
            block.state = [self._uniform_of[flow.device.index](), 0.0]
        block.state[1] += 10.0 ** (block.snrs_db[-1] / 10.0)
        snr_db = 10.0 * math.log10(block.state[1])
        error = self._table.transport_block_error(block.scheme, block.tb_bits, snr_db)
        return bool(block.state[0] >= error)


def _mcs_rule(spec: Cell, table: BlerTable) -> Callable[[SnrSource, int, int], Mcs]:
    """How the scheduler picks the scheme of a share in a slot."""
    rule = spec.mcs
    match rule:
        case FixedMcs():
            fixed = mcs(rule.index)
            return lambda snr, slot, n_prb: fixed
        case AdaptiveMcs():
            delay, target, backoff_db = rule.csi_delay_slots, rule.bler_target, rule.backoff_db

            def adaptive(snr: SnrSource, slot: int, n_prb: int) -> Mcs:
                known_db = snr.snr_db(max(0, slot - delay), n_prb) - backoff_db
                return table.select_mcs(known_db, n_prb, target, _SYMBOLS, _DMRS_RE)

            return adaptive


def _prbs_needed(scheme: Mcs, bits: int, share: int) -> int:
    """Fewest resource blocks of the share whose transport block holds the bits and is decodable.

    Raises:
        ScenarioError: The whole share is not decodable (MCS 28 on one block: effective rate above
            0.95, TS 38.214 clause 5.1.3); adaptive schemes never choose it, a fixed one may.
    """
    if not is_decodable(scheme, share, _SYMBOLS, _DMRS_RE):
        message = f"MCS {scheme.index} is not decodable on {share} resource block(s)"
        raise ScenarioError(message, path="cell.mcs.index", value=scheme.index)
    if transport_block_bits(scheme, share, _SYMBOLS, _DMRS_RE) <= bits:
        return share
    per_prb = resource_elements(1, _SYMBOLS, _DMRS_RE) * scheme.spectral_efficiency
    n_prb = min(share, max(1, int(bits / per_prb)))
    while n_prb > 1 and transport_block_bits(scheme, n_prb - 1, _SYMBOLS, _DMRS_RE) >= bits:
        n_prb -= 1
    while transport_block_bits(scheme, n_prb, _SYMBOLS, _DMRS_RE) < bits:
        n_prb += 1
    while not is_decodable(scheme, n_prb, _SYMBOLS, _DMRS_RE):
        n_prb += 1
    return n_prb
