"""The flows of one direction: who has something to send, and how a flow ends."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import simpy

if TYPE_CHECKING:
    from simsplit.sim.radio.flows import Bearer, Flow, Grant
    from simsplit.sim.radio.scheduler import Order


class Booking(Protocol):
    """What the two directions of the air differ in: who pays, and what is written down.

    ``counts_blocks``: whether transport blocks are counted in the request's row.
    """

    counts_blocks: bool

    def account(self, grant: Grant, elements: int, slot: int) -> None:
        """Book one grant's energy and its ``elements`` used, at the end of its slot."""

    def closed(self, flow: Flow, delivered: bool) -> None:
        """Write the flow's end into its request."""


class FlowQueues:
    """Unsent flows of every bearer, and which bearers are ready for a grant of new data.

    Args:
        orders: One per site: the order in which its ready bearers are served.
        processes: HARQ processes of a bearer; with all of them busy it is not ready.
    """

    def __init__(
        self,
        env: simpy.Environment,
        orders: Sequence[Order],
        processes: int,
        booking: Booking,
    ) -> None:
        self._env = env
        self.orders = orders
        self.processes = processes
        self._booking = booking
        self._wake = env.event()

    def woken(self) -> simpy.Event:
        """An event that fires when a bearer becomes ready, or begins to wait for a process."""
        self._wake = self._env.event()
        return self._wake

    def start(self, flow: Flow) -> None:
        """Queue a flow; its ``sent`` event fires when it is through, lost or stopped."""
        flow.bearer.flows.append(flow)
        self.refresh(flow.bearer)
        if flow.stop_s < math.inf:
            self._env.process(self._stop_in_time(flow))

    def refresh(self, bearer: Bearer) -> None:
        """Enter the bearer into its site's order, or take it out, as it is ready or not."""
        busy = bearer.is_barred or bearer.is_shut or bearer.in_flight >= self.processes
        ready = bool(bearer.flows) and not busy
        if not ready and bearer.is_ready:
            return self.withdraw(bearer)
        if ready and not bearer.is_ready:
            bearer.is_ready = True
            self.orders[bearer.site].add(bearer.index)
        if bearer.flows and not self._wake.triggered:
            self._wake.succeed()

    def withdraw(self, bearer: Bearer) -> None:
        """Take a ready bearer out of its site's order."""
        bearer.is_ready = False
        self.orders[bearer.site].remove(bearer.index)

    def end(self, flow: Flow, *, delivered: bool) -> None:
        """Close a flow that is in no queue any more, and fire its ``sent`` event."""
        flow.is_over = True
        self._booking.closed(flow, delivered)
        if not flow.bearer.is_ready or flow.is_analog:
            self.refresh(flow.bearer)
        flow.sent.succeed(delivered)

    def _stop_in_time(self, flow: Flow) -> Generator[simpy.Event, Any, None]:
        """End a JSCC flow whose airtime is over, with as many symbols as it has sent."""
        yield self._env.timeout(max(0.0, flow.stop_s - self._env.now))
        if not flow.is_over:
            flow.bearer.flows.remove(flow)
            self.end(flow, delivered=flow.total - flow.remaining >= flow.min_symbols)
