"""What became of a slot's grants: symbols received one by one, transport blocks all at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simsplit.sim.radio.adaptation import Adaptation
    from simsplit.sim.radio.air import Air
    from simsplit.sim.radio.blocks import BlockChannel
    from simsplit.sim.radio.flows import Block, Flow, Grant
    from simsplit.sim.radio.grants import Grants
    from simsplit.sim.radio.harq import Harq
    from simsplit.sim.radio.queues import Booking, FlowQueues


class Reception:
    """The end of a slot: SNRs by the air, fates by the block channel, verdicts by HARQ."""

    def __init__(
        self,
        air: Air,
        blocks: BlockChannel,
        booking: Booking,
        grants: Grants,
        queues: FlowQueues,
        harq: Harq,
        adaptation: Adaptation,
    ) -> None:
        self._air, self._blocks, self._booking = air, blocks, booking
        self._elements_of, self._queues = grants.elements_of, queues
        self._judge, self._await = harq.judge, harq.await_feedback
        self._update = adaptation.update

    def deliver(self, grants: Sequence[Grant], slot: int) -> None:
        """Receive the grants of a slot that is just over, in their order."""
        sent: list[tuple[Flow, Block]] = []
        for grant in grants:
            flow, block = grant.flow, grant.block
            if block is None:
                self._deliver_symbols(grant, slot)
                continue
            elements = self._elements_of[block.n_prb]
            if grant.symbols is not None:
                room = self._elements_of[grant.n_prb] - elements
                elements += self._take_symbols(grant.symbols, grant, slot, room)
            snr_db = self._air.received_db(flow.bearer, slot, grant, block)
            block.snrs_db.append(snr_db)
            self._booking.account(grant, elements, slot)
            flow.grants += 1
            flow.snr_sum_db += snr_db
            flow.mcs_sum += block.scheme.index
            if flow.is_over:  # a sibling block failed for good in the meantime
                self._await(flow.bearer, slot)
            else:
                sent.append((flow, block))
        if sent:
            for (flow, block), passed in zip(sent, self._blocks.passes(sent), strict=True):
                if self._update is not None and len(block.snrs_db) == 1 and not flow.is_control:
                    self._update(flow.bearer, passed)
                if flow.is_over:  # an earlier block of this very slot was lost for good
                    self._await(flow.bearer, slot)
                else:
                    self._judge(flow, block, passed, slot)

    def _deliver_symbols(self, grant: Grant, slot: int) -> None:
        """A grant of symbols alone."""
        count = self._take_symbols(grant.flow, grant, slot, self._elements_of[grant.n_prb])
        self._booking.account(grant, count, slot)

    def _take_symbols(self, flow: Flow, grant: Grant, slot: int, room: int) -> int:
        """Receive as many symbols of a flow as had room on a grant; their number."""
        if flow.is_over:  # its airtime ended within this slot
            return 0
        count = min(room, flow.remaining)
        pieces = self._air.symbol_pieces(flow.bearer, slot, grant, count)
        if flow.papr_db is not None and not flow.grants:
            flow.request.papr_db = flow.papr_db(grant.n_prb)
        flow.remaining -= count
        flow.grants += 1
        flow.snr_sum_db += sum(n * level_db for n, level_db, _ in pieces) / count
        flow.request.pieces.extend(pieces)
        if flow.remaining == 0:
            flow.bearer.flows.remove(flow)
            self._queues.refresh(flow.bearer)
            self._queues.end(flow, delivered=True)
        return count
