"""What becomes of a transport block: ACK, retransmission (HARQ), bits sent anew (RLC), or loss.

Retransmissions keep the size and scheme of their first attempt. A process is busy until its block's
feedback has come, whatever it says: one round trip after the block's last slot. TS 38.321 clause
5.4.2 (HARQ), TS 38.322 (RLC acknowledged mode).
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import simpy

from simsplit.sim.radio.flows import Grant

if TYPE_CHECKING:
    from simsplit.scenario.cell import Cell
    from simsplit.sim.radio.flows import Bearer, Block, Flow
    from simsplit.sim.radio.queues import FlowQueues


Waiting = tuple[int, int, "Flow", "Block"]
"""(slot from which on it may go, ticket that breaks ties, flow, block)."""


class Harq:
    """Blocks that wait for their next attempt, by site, and the verdicts on those that were sent.

    Args:
        cell: Its ``harq``, ``rlc`` and slot length count.
        queues: Where bits go that must be sent anew; one order per site.
        answered_slot: Slot of a block -> the first slot after feedback on it can have travelled.
    """

    def __init__(
        self,
        env: simpy.Environment,
        cell: Cell,
        queues: FlowQueues,
        answered_slot: Callable[[int], int],
    ) -> None:
        self._env, self._queues, self._answered_slot = env, queues, answered_slot
        self._harq, self._rlc, self._slot_s = cell.harq, cell.rlc, cell.slot_s
        self._again: list[list[Waiting]] = [[] for _ in queues.orders]
        self._freed: deque[tuple[int, Bearer]] = deque()  # slot, by rising slots
        self._tickets = itertools.count()
        self._last = (-1, 0)  # a slot and when it is answered: the same for all its blocks

    def next_due(self) -> int | None:
        """The first slot from which on a block may be sent again, or in which a process is freed
        that a bearer waits for; None if there is none.
        """
        due = [again[0][0] for again in self._again if again]
        waited = (slot for slot, bearer in self._freed if bearer.flows and not bearer.is_ready)
        return min((*due, *itertools.islice(waited, 1)), default=None)

    def free(self, slot: int) -> None:
        """Free the processes whose feedback has come by the beginning of this slot."""
        freed = self._freed
        while freed and freed[0][0] <= slot:
            bearer = freed.popleft()[1]
            bearer.in_flight -= 1
            if bearer.flows and not bearer.is_ready:
                self._queues.refresh(bearer)

    def await_feedback(self, bearer: Bearer, slot: int) -> None:
        """Keep the process of a block sent in this slot, that needs it no more, until feedback."""
        self._freed.append((self._answered(slot), bearer))

    def grants(self, site: int, slot: int, n_prb: int, most: int) -> tuple[int, list[Grant]]:
        """Retransmissions of a site that are due and fit, from the carrier's first block on.

        Args:
            n_prb: Resource blocks that are free.
            most: Grants that the slot may hold.

        Returns:
            Resource blocks that are left, and at most ``most`` grants, one per bearer.
        """
        free, again = n_prb, self._again[site]
        grants: list[Grant] = []
        late: list[Waiting] = []
        busy: set[int] = set()
        while again and again[0][0] <= slot and len(grants) < most:
            entry = heapq.heappop(again)
            flow, block = entry[2], entry[3]
            if flow.is_over:
                self._release(flow.bearer)
                continue
            if block.n_prb > free or id(flow.bearer) in busy:
                late.append(entry)
                continue
            busy.add(id(flow.bearer))
            grants.append(Grant(flow, block, n_prb - free, block.n_prb))
            free -= block.n_prb
        for entry in late:
            heapq.heappush(again, entry)
        return free, grants

    def judge(self, flow: Flow, block: Block, passed: bool, slot: int) -> None:
        """ACK, NACK, RLC or loss of a block that was sent in this slot; its flow is not over."""
        bearer = flow.bearer
        if not passed and len(block.snrs_db) < self._harq.max_transmissions:
            due = self._answered(slot)
            heapq.heappush(self._again[bearer.site], (due, next(self._tickets), flow, block))
            return
        last = self._last
        answered = last[1] if slot == last[0] else self._answered(slot)
        self._freed.append((answered, bearer))
        if passed:
            bearer.passed_bits += block.bits_to - block.bits_from
            flow.in_flight -= 1
            if flow.in_flight == 0 and flow.remaining == 0:
                self._queues.end(flow, delivered=True)
        elif block.rlc_tries < self._rlc.max_retransmissions:
            self._env.process(self._after_status(flow, block))
        else:
            self.lose(flow)

    def _answered(self, slot: int) -> int:
        """From which slot on the process of a block sent in ``slot`` may send again."""
        if slot != self._last[0]:
            round_trip = slot + self._harq.round_trip_slots
            self._last = (slot, max(round_trip, self._answered_slot(slot)))
        return self._last[1]

    def give_up(self, bearer: Bearer) -> None:
        """Queue the bits of a bearer's waiting blocks anew and free its processes.

        It goes to another site, where its MAC begins anew (TS 38.321 clause 5.12).
        """
        kept = []
        for entry in self._again[bearer.site]:
            if entry[2].bearer is bearer:
                self._requeue(entry[2], entry[3], entry[3].rlc_tries)
                self._release(bearer)
            else:
                kept.append(entry)
        heapq.heapify(kept)
        self._again[bearer.site] = kept
        count = len(self._freed)
        self._freed = deque(entry for entry in self._freed if entry[1] is not bearer)
        bearer.in_flight -= count - len(self._freed)
        self._queues.refresh(bearer)

    def _after_status(self, flow: Flow, block: Block) -> Generator[simpy.Event, Any, None]:
        """RLC acknowledged mode: the status report comes, and the bits are queued anew."""
        yield self._env.timeout(self._rlc.status_delay_slots * self._slot_s)
        self._requeue(flow, block, block.rlc_tries + 1)

    def _requeue(self, flow: Flow, block: Block, tries: int) -> None:
        if flow.is_over:
            return
        if not flow.remaining:
            flow.bearer.flows.appendleft(flow)
        flow.again.appendleft((block.bits_from, block.bits_to, tries))
        flow.remaining += block.bits_to - block.bits_from
        flow.in_flight -= 1
        self._queues.refresh(flow.bearer)

    def _release(self, bearer: Bearer) -> None:
        """A HARQ process becomes free."""
        bearer.in_flight -= 1
        if not bearer.is_ready:
            self._queues.refresh(bearer)

    def lose(self, flow: Flow) -> None:
        """A block is lost for good, and with it the payload; what is under way is abandoned."""
        if flow.remaining:
            flow.bearer.flows.remove(flow)
        self._queues.refresh(flow.bearer)
        self._queues.end(flow, delivered=False)
