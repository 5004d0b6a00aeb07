"""A request's whole way, from the device's queue to the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsplit.messages import Scheme

if TYPE_CHECKING:
    from simsplit.sim.device.device import Device
    from simsplit.sim.edge.tiers import EdgeServer
    from simsplit.sim.radio.directions import Downlink, Uplink
    from simsplit.sim.request import Life, Request


def serve(
    request: Request, device: Device, uplink: Uplink, edge: EdgeServer, downlink: Downlink
) -> Life:
    """The request's whole way: device, air, edge, and the answer back; forward only."""
    plan = device.plan_of(request)
    yield from device.compute(request)
    if plan.scheme is Scheme.LOCAL and not plan.send_result:
        request.delivered = True  # nothing had to travel
        return request.close("done", device.env.now)
    yield from uplink.carry(request, device)
    if not request.delivered:
        yield from device.after_loss(request)
        return
    if plan.scheme is Scheme.LOCAL:
        return request.close("done", device.env.now)
    yield from edge.answer(request)
    if request.status == "rejected":
        return
    yield from downlink.carry(request, device, plan.answer_bits[request.sample])
    if request.answered:
        yield from device.read_answer(request)
        return request.close("done", device.env.now)
    yield from device.after_loss(request)
