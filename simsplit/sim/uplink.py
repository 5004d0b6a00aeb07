"""The uplink: payloads from the devices to their sites, with the devices' transmit power booked."""

from __future__ import annotations

import math

from simsplit.messages import Scheme
from simsplit.sim.cell import Flow, Grant, SharedChannel
from simsplit.sim.device import Device
from simsplit.sim.request import Life, Request


class Uplink(SharedChannel):
    """The shared uplink of all devices."""

    def carry(self, request: Request, device: Device) -> Life:
        """Send the request's payload; ends with ``request.delivered`` true or false."""
        plan = device.plan_of(request)
        is_analog = plan.scheme is Scheme.JSCC
        size = (plan.channel_uses if is_analog else plan.payload_bits)[request.sample]
        request.payload_bits = 0 if is_analog else size
        request.radio_start_s = self.env.now
        if plan.papr_db:
            request.papr_db = plan.papr_db[request.sample]
        payload = plan.payloads[request.sample] if plan.payloads else b""
        flow = Flow(
            request,
            self.bearers[device.index],
            self.env.event(),
            payload,
            size,
            is_analog,
            stop_s=math.inf if plan.airtime_s is None else self.env.now + plan.airtime_s,
            min_symbols=plan.min_symbols,
        )
        self.start(flow)
        yield flow.sent

    def account(self, grant: Grant, elements: int, slot: int) -> None:
        """See `SharedChannel`; a grant also keeps the receiver awake."""
        flow, slot_s = grant.flow, self._slot_s
        request, device = flow.request, flow.bearer.device
        radiated_w = self.air.powers[flow.bearer.index].radiated_w(grant.n_prb, slot)
        power_w = device.power.transmit_w(radiated_w)
        device.radio.book("transmit", slot_s, power_w)
        request.tx_energy_j += power_w * slot_s
        request.attempts += 1
        request.channel_uses += elements
        request.pilot_uses += grant.n_prb * self._pilots
        if self.spec.drx is not None:
            device.receiver.listen(slot * slot_s, (slot + 1) * slot_s)

    def closed(self, flow: Flow, delivered: bool) -> None:
        """See `SharedChannel`."""
        request = flow.request
        request.delivered = delivered
        request.radio_end_s = self.env.now
        if flow.grants:
            request.snr_db = flow.snr_sum_db / flow.grants
            if not flow.is_analog:
                request.mcs = flow.mcs_sum / flow.grants
