"""The downlink: answers from the sites to the devices, over a pipe or over the same kind of air."""

from __future__ import annotations

from typing import Protocol

import simpy

from simsplit.radio import FixedRateDownlink
from simsplit.sim.cell import Flow, Grant, SharedChannel
from simsplit.sim.device import Device
from simsplit.sim.request import Life, Request


class Downlink(Protocol):
    """The contract of both kinds."""

    def carry(self, request: Request, device: Device, bits: int) -> Life:
        """Send an answer down; ends with ``request.answered`` true or false."""


class Pipe:
    """Answers share one carrier first come, first served: bits / rate, then a fixed latency."""

    def __init__(self, env: simpy.Environment, spec: FixedRateDownlink) -> None:
        self.env, self._spec = env, spec
        self._turn = simpy.Resource(env, capacity=1)

    def carry(self, request: Request, device: Device, bits: int) -> Life:
        """See `Downlink`."""
        with self._turn.request() as turn:
            yield turn
            yield self.env.timeout(bits / self._spec.rate_bps)
        yield self.env.timeout(self._spec.latency_s)
        request.answered = True


class AirDownlink(SharedChannel):
    """Answers in transport blocks; the device's receiver pays for every slot it listens to.

    Feedback of a block is known at the base station one HARQ round trip later, as in the uplink;
    the outer loop hears it at once.
    """

    _counts = 0
    latency_s = 0.0

    def carry(self, request: Request, device: Device, bits: int) -> Life:
        """See `Downlink`."""
        yield self.env.timeout(self.latency_s)
        wait_s = device.receiver.ready_in_s(self.env.now)
        if wait_s > 0.0:
            yield self.env.timeout(wait_s)
            device.receiver.listen(self.env.now, self.env.now)
        if not bits:
            request.answered = True
            return
        bearer = self.bearers[device.index]
        flow = Flow(request, bearer, self.env.event(), bytes(-(-bits // 8)), bits, False)
        self.start(flow)
        request.answered = yield flow.sent

    def account(self, grant: Grant, elements: int, slot: int) -> None:
        """See `SharedChannel`."""
        receiver = grant.flow.bearer.device.receiver
        added_s = receiver.receive(slot * self._slot_s, (slot + 1) * self._slot_s)
        grant.flow.request.rx_energy_j += receiver.ledger.power_w["receive"] * added_s

    def closed(self, flow: Flow, delivered: bool) -> None:
        """See `SharedChannel`; whether the answer came is the event's value."""
