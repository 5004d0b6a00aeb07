"""Who gets which resource blocks of a slot: retransmissions first, then new data by the scheduler.

Sizes and schemes: TS 38.214 clauses 5.1.3 and 6.1.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from simsplit.phy.sizes import resource_elements
from simsplit.sim.radio.control import symbols_of
from simsplit.sim.radio.flows import Block, Grant

if TYPE_CHECKING:
    from simsplit.phy.mcs import Mcs
    from simsplit.sim.radio.adaptation import Adaptation, Elements
    from simsplit.sim.radio.control import ControlBlocks
    from simsplit.sim.radio.flows import Bearer
    from simsplit.sim.radio.harq import Harq
    from simsplit.sim.radio.queues import FlowQueues
    from simsplit.sim.radio.scheduler import Order


class Grants:
    """The grants of one direction, slot by slot and site by site.

    Args:
        bearers: In the order of the devices.
        queues: Who is ready, and in which order.
        harq: Blocks that wait for another attempt.
        adaptation: The MCS of new data.
        control: The MCS of the control bits of JSCC symbols.
        elements: What a slot of this direction holds.
        n_prb: Width of the carrier in resource blocks.
        most: Grants that one site's slot may hold.
        counts_blocks: New transport blocks are counted in their request's row.

    Attributes:
        elements_of: Data resource elements of 0, 1, … resource blocks in one slot.
        prb_slots_used: Resource blocks x slots that were granted.
    """

    def __init__(
        self,
        bearers: Sequence[Bearer],
        queues: FlowQueues,
        harq: Harq,
        adaptation: Adaptation,
        control: ControlBlocks,
        elements: Elements,
        n_prb: int,
        *,
        most: int,
        counts_blocks: bool,
    ) -> None:
        self.prb_slots_used = 0
        self._bearers, self._queues, self._harq = bearers, queues, harq
        self._choose, self._largest = adaptation.choose, adaptation.largest_bits
        self._n_prb, self._most = n_prb, most
        self._control = control
        self.elements_of = [0] + [resource_elements(n, *elements) for n in range(1, n_prb + 1)]
        self._count = int(counts_blocks)

    def offer(self, bearer: Bearer, slot: int) -> tuple[Mcs, int, int]:
        """MCS, resource blocks and transport block bits if the whole band were granted in a slot.

        Raises:
            ScenarioError: A fixed MCS whose block would not be decodable.
        """
        choice = self._choose(bearer, slot, 0, self._n_prb, math.inf)
        assert choice is not None, "something fits on the whole carrier, or it is an error"
        return choice

    def of_slot(self, site: int, slot: int) -> list[Grant]:
        """Grants of this slot at one site: retransmissions first, then the scheduler's shares.

        Raises:
            ScenarioError: A fixed MCS whose block would not be decodable.
        """
        free, grants = self._harq.grants(site, slot, self._n_prb, self._most)
        order = self._queues.orders[site]
        count = self._most - len(grants)
        if free and count > 0 and len(order):
            free = self._share(order, self._picked(order, grants, count, slot), free, slot, grants)
        self.prb_slots_used += self._n_prb - free
        return grants

    def _picked(
        self, order: Order, grants: Sequence[Grant], count: int, slot: int
    ) -> Sequence[int]:
        """At most ``count`` devices of the order, without those that repeat a block here."""
        if not grants:
            return order.pick(count, slot)
        busy = {grant.flow.bearer.index for grant in grants}
        picked = [i for i in order.pick(count + len(busy), slot) if i not in busy]
        return picked[:count]

    def _share(
        self, order: Order, picked: Sequence[int], free: int, slot: int, grants: list[Grant]
    ) -> int:
        """Grants of new data, as many resource blocks as the order says; what is left of them."""
        if not picked:
            return free
        bearers, first, most, spare = self._bearers, self._n_prb - free, free, 0
        largest = self._largest(free)

        def need(device: int) -> int:
            flow = bearers[device].flows[0]
            if flow.is_analog or flow.is_control or flow.next_bits() < largest:
                return self._need(bearers[device], first, most, slot)
            return most  # no scheme can empty the buffer, though the power's limit may leave some

        for device, share in zip(picked, order.shares(picked, need, most), strict=True):
            may, used = min(share + spare, free), 0
            filled = self._fill(bearers[device], may, self._n_prb - free, slot) if may else None
            if filled is not None:
                grant, bits = filled
                used = grant.n_prb
                free -= used
                grants.append(grant)
                order.served(device, bits, used)
            spare += share - used  # for those after it
        return free

    def _need(self, bearer: Bearer, first: int, free: int, slot: int) -> int:
        """Resource blocks that a bearer would use if all the free ones were its own."""
        flow = bearer.flows[0]
        if flow.is_analog:
            return min(free, -(-flow.remaining // self.elements_of[1]))
        if flow.is_control:
            control = self._control.choose(bearer, slot, first, free)
            return control[1] + control[3]
        choice = self._choose(bearer, slot, first, free, flow.next_bits())
        return 0 if choice is None else choice[1]

    def _fill(
        self, bearer: Bearer, share: int, first: int, slot: int
    ) -> tuple[Grant, float] | None:
        """New data for a share: JSCC symbols, or a transport block no larger than needed.

        What a block of control bits leaves of the share goes to the JSCC symbols that follow.
        """
        flow = bearer.flows[0]
        if flow.is_analog:
            n_prb = min(share, -(-flow.remaining // self.elements_of[1]))
            return Grant(flow, None, first, n_prb), float(self.elements_of[n_prb])
        extra, symbols = 0, None
        if flow.is_control:
            scheme, n_prb, tb_bits, extra = self._control.choose(bearer, slot, first, share)
            symbols = symbols_of(bearer) if extra else None
        else:
            choice = self._choose(bearer, slot, first, share, flow.next_bits())
            if choice is None:
                return None
            scheme, n_prb, tb_bits = choice
        block = Block(scheme, n_prb, self.elements_of[n_prb], tb_bits, *flow.take(tb_bits))
        flow.in_flight += 1
        flow.request.blocks += self._count
        bearer.in_flight += 1
        if not flow.remaining:
            bearer.flows.popleft()
            self._queues.refresh(bearer)
        elif bearer.in_flight >= self._queues.processes:
            self._queues.refresh(bearer)
        grant = Grant(flow, block, first, n_prb + extra, symbols)
        return grant, float(tb_bits + self.elements_of[extra])
