"""Both directions of the air: payloads from devices to sites, answers from sites to devices.

Uplink and downlink over the air are shared channels that differ in who pays: the uplink books the
devices' transmitters, the downlink their receivers. A downlink may also be a pipe of fixed rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

import simpy

from simsplit.messages import Scheme
from simsplit.scenario.access import control_bits, decoding_s, header_bits
from simsplit.sim.radio.channel import Direction, SharedChannel
from simsplit.sim.radio.flows import Flow, Grant

if TYPE_CHECKING:
    from simsplit.scenario.access import Headers
    from simsplit.scenario.cell import Cell, FixedRateDownlink
    from simsplit.sim.device.device import Device
    from simsplit.sim.radio.access import Access
    from simsplit.sim.radio.flows import Bearer
    from simsplit.sim.radio.power import Power
    from simsplit.sim.radio.queues import FlowQueues
    from simsplit.sim.request import Life, Plan, Request


# --- uplink -----------------------------------------------------------------------------------


class UplinkBooking:
    """The device's transmitter pays for its grants; attempts and elements go into the row.

    Args:
        powers: Device -> transmit power.
        pilots: Pilots per resource block and slot.
    """

    counts_blocks = True

    def __init__(
        self, env: simpy.Environment, cell: Cell, powers: Sequence[Power], pilots: int
    ) -> None:
        self._env, self._powers, self._pilots = env, powers, pilots
        self._slot_s = cell.slot_s
        self._listens = cell.drx is not None
        self.access: Access | None = None  # to be told of new data, if there is one

    def account(self, grant: Grant, elements: int, slot: int) -> None:
        """Book one slot of the transmitter; with DRX a grant also keeps the receiver awake."""
        flow, slot_s = grant.flow, self._slot_s
        request, device = flow.request, flow.bearer.device
        radiated_w = self._powers[flow.bearer.index].radiated_w(grant.n_prb, slot)
        power_w = device.power.transmit_w(radiated_w)
        device.radio.book("transmit", slot_s, power_w)
        request.tx_energy_j += power_w * slot_s
        request.attempts += 1
        request.channel_uses += elements
        request.pilot_uses += grant.n_prb * self._pilots
        if self._listens:
            device.receiver.listen(slot * slot_s, (slot + 1) * slot_s)
        block, access = grant.block, self.access
        if access is not None and (block is None or len(block.snrs_db) == 1):
            access.sent(flow.bearer, slot, is_block=block is not None)

    def closed(self, flow: Flow, delivered: bool) -> None:
        request = flow.request
        if flow.is_control:
            return  # its symbols tell
        request.delivered = delivered
        request.radio_end_s = self._env.now
        if flow.grants:
            request.snr_db = flow.snr_sum_db / flow.grants
            if not flow.is_analog:
                request.mcs = flow.mcs_sum / flow.grants


class Uplink(SharedChannel):
    """The shared uplink of all devices: access, headers, the air, decoding.

    Args:
        make_access: Builds the cell's access on the uplink's queues.
    """

    def __init__(
        self,
        env: simpy.Environment,
        direction: Direction,
        make_access: Callable[[FlowQueues], Access],
    ) -> None:
        pilots, cell = direction.elements[1], direction.cell
        booking = UplinkBooking(env, cell, direction.air.powers, pilots)
        super().__init__(env, direction, booking)
        self.access = booking.access = make_access(self._queues)
        self.decoding_s = _decoding_s(cell)[0]
        self._headers = cell.headers
        self._wakes = cell.drx is not None

    def carry(self, request: Request, device: Device) -> Life:
        """Send the request's payload, once the receiver is awake for its grants.

        Ends with ``request.delivered`` true or false.
        """
        plan, bearer = device.plan_of(request), self.bearers[device.index]
        is_analog = plan.scheme is Scheme.JSCC
        size = request.payload_bits = 0 if is_analog else plan.payload_bits[request.sample]
        headers = self._headers
        request.header_bits = control_bits(headers) if is_analog else header_bits(headers, size)
        request.radio_start_s = self.env.now
        if self._wakes:
            yield from _wake(device, self.env)
        asked_s = self.env.now
        first_s = yield from self.access.admitted(request, bearer)
        request.access_delay_s = first_s - asked_s
        if is_analog:
            yield from self._send_symbols(request, plan, bearer, first_s)
        else:
            yield from self._send_bits(request, plan, bearer)
        if self.decoding_s:
            yield self.env.timeout(self.decoding_s)
            request.radio_end_s = self.env.now

    def _send_bits(self, request: Request, plan: Plan, bearer: Bearer) -> Life:
        """Headers and payload, in that order, as one flow."""
        headers = request.header_bits
        payload = plan.payloads[request.sample] if plan.payloads else b""
        packed, size = bytes(headers // 8) + payload, headers + request.payload_bits
        flow = Flow(request, bearer, self.env.event(), packed, size, False)
        self.start(flow)
        yield flow.sent

    def _send_symbols(self, request: Request, plan: Plan, bearer: Bearer, first_s: float) -> Life:
        """Control bits and symbols, each a flow; one of them lost, the other is given up."""
        symbols = Flow(
            request,
            bearer,
            self.env.event(),
            b"",
            plan.channel_uses[request.sample],
            True,
            stop_s=math.inf if plan.airtime_s is None else first_s + plan.airtime_s,
            min_symbols=plan.min_symbols,
            papr_db=partial(plan.papr_db, request.sample) if plan.papr_db else None,
        )
        size = request.header_bits
        if not size:
            self.start(symbols)
            yield symbols.sent
            return
        control = Flow(request, bearer, self.env.event(), bytes(size // 8), size, False, True)
        self.start(control)
        self.start(symbols)
        yield self.env.any_of([control.sent, symbols.sent])
        for flow, other in ((control, symbols), (symbols, control)):
            if flow.is_over and not flow.sent.value:
                self.abandon(other)
        yield self.env.all_of([control.sent, symbols.sent])
        request.delivered = bool(control.sent.value and symbols.sent.value)
        request.radio_end_s = self.env.now


def _decoding_s(cell: Cell) -> tuple[float, float]:
    """Seconds of decoding in the base station and in the device."""
    return decoding_s(cell.decoding, cell.subcarrier_spacing_hz, cell.overhead.dmrs_symbols)


def _wake(device: Device, env: simpy.Environment) -> Life:
    """The time until a sleeping receiver is awake, if it sleeps (`Receiver.wakes_in_s`)."""
    wait_s = device.receiver.wakes_in_s(env.now)
    if wait_s > 0.0:
        yield env.timeout(wait_s)
    device.receiver.listen(env.now, env.now)


# --- downlink ---------------------------------------------------------------------------------


class Downlink(Protocol):
    """How answers come down: a pipe of fixed rate, or the air.

    ``decoding_s``: what the device needs after the last block's slot.
    """

    decoding_s: float

    def carry(self, request: Request, device: Device, bits: int) -> Life:
        """Send an answer of so many bits down; ends with ``request.answered`` true or false."""


class Pipe:
    """Answers share one carrier first come, first served: bits / rate, then a fixed latency.

    Headers are sent too; the latency holds whatever the device needs to decode.
    """

    decoding_s = 0.0

    def __init__(self, env: simpy.Environment, spec: FixedRateDownlink, headers: Headers) -> None:
        self.env, self._spec, self._headers = env, spec, headers
        self._turn = simpy.Resource(env, capacity=1)

    def carry(self, request: Request, device: Device, bits: int) -> Life:
        with self._turn.request() as turn:
            yield turn
            sent_bits = bits + header_bits(self._headers, bits)
            yield self.env.timeout(sent_bits / self._spec.rate_bps)
        yield self.env.timeout(self._spec.latency_s)
        request.answered = True


class DownlinkBooking:
    """The device's receiver pays for every slot that it listens to; the row counts no blocks."""

    counts_blocks = False

    def __init__(self, slot_s: float) -> None:
        self._slot_s = slot_s

    def account(self, grant: Grant, elements: int, slot: int) -> None:
        receiver = grant.flow.bearer.device.receiver
        added_s = receiver.receive(slot * self._slot_s, (slot + 1) * self._slot_s)
        grant.flow.request.rx_energy_j += receiver.ledger.power_w["receive"] * added_s

    def closed(self, flow: Flow, delivered: bool) -> None:
        """Nothing to write down: whether the answer came is the event's value."""


class AirDownlink(SharedChannel):
    """Answers with their headers in transport blocks, after a fixed latency; then decoding.

    Feedback of a block reaches the base station one HARQ round trip later, as in the uplink; the
    outer loop hears it at once.
    """

    def __init__(self, env: simpy.Environment, direction: Direction, latency_s: float) -> None:
        super().__init__(env, direction, DownlinkBooking(direction.cell.slot_s))
        self._latency_s, self._headers = latency_s, direction.cell.headers
        self.decoding_s = _decoding_s(direction.cell)[1]

    def carry(self, request: Request, device: Device, bits: int) -> Life:
        """Wait for the latency and the receiver to be awake, then send."""
        yield self.env.timeout(self._latency_s)
        wait_s = device.receiver.ready_in_s(self.env.now)
        if wait_s > 0.0:
            yield self.env.timeout(wait_s)
            device.receiver.listen(self.env.now, self.env.now)
        if not bits:
            request.answered = True
            return
        bearer = self.bearers[device.index]
        size = bits + header_bits(self._headers, bits)
        flow = Flow(request, bearer, self.env.event(), bytes(-(-size // 8)), size, False)
        self.start(flow)
        answered = yield flow.sent
        if self.decoding_s:
            yield self.env.timeout(self.decoding_s)
        request.answered = answered
