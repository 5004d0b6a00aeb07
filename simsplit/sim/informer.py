"""What every device gets to know, with the delays of reality; and the truth, for the oracle only.

Channel: the device's last report, as old as the cell's reports are. Rate: bits per resource
element of the MCS that this report gives on the whole band, less the block errors at the reported
level, times the resource elements per second that the device measured on its own transfers (bits
sent over seconds, so that retransmissions and other devices count). What was measured fades towards
the whole cell's speed with a time constant of 10 s, so that one bad spell does not keep a device
from ever trying again. Access and decoding: their means, which the cell's rules give. Server: its
last load report. The oracle gets the channel, the competing devices and the server's queue of this
very moment, and the mean access.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import simpy

from simsplit.messages import Scheme
from simsplit.phy.link import BlerTable
from simsplit.scenario.access import Headers, control_bits, header_bits
from simsplit.scenario.cell import Cell, FixedRateDownlink
from simsplit.sim.device.device import Device
from simsplit.sim.edge.load_report import Load
from simsplit.sim.edge.tiers import EdgeServer
from simsplit.sim.policy.knowledge import Costs, Knowledge, RateMeter, air_seconds
from simsplit.sim.radio.flows import Bearer
from simsplit.sim.radio.frame import uplink_share
from simsplit.sim.radio.network import RadioNetwork
from simsplit.sim.request import Plan, Request
from simsplit.units import dbm_to_w

AirSeconds = Callable[[float, float], float]
MEMORY_S = 10.0  # of a measured rate
METERED_SLOTS = 8  # a shorter transfer says more about its padding than about the cell
CONTROL_BITS_PER_RE = 0.6  # of JSCC's control bits, QPSK at MCS 4's rate
ANSWER_SLOTS = 1.5  # of a downlink over the air: half a slot of waiting and one of sending


class Informer:
    """Tells devices what they know at the moment they choose; keeps their measured rates.

    Args:
        table: Block error rates, for the errors to expect at a level.
    """

    def __init__(
        self,
        env: simpy.Environment,
        cell: Cell,
        radio: RadioNetwork,
        edge: EdgeServer,
        table: BlerTable,
    ) -> None:
        self.env, self._cell, self._radio, self._edge = env, cell, radio, edge
        self._table = table
        uplink = radio.uplink
        self._share = uplink_share(radio.frame)
        self._whole_per_s = uplink.elements(uplink.n_prb) / cell.slot_s * self._share
        self._meters = [RateMeter(self._whole_per_s) for _ in uplink.bearers]
        self._measured_s = [-math.inf for _ in uplink.bearers]
        self._access_s = [
            uplink.access.mean_s(bearer.index) + uplink.decoding_s for bearer in uplink.bearers
        ]

    def knowledge(self, device: Device) -> Knowledge:
        """What the device knows now: its last reports and measurements, as old as they are."""
        bearer = self._radio.uplink.bearers[device.index]
        snr_db = self._radio.uplink.reported_db(bearer, self._radio.uplink.n_prb)
        bits = self._bits_per_re(bearer)
        air_s = partial(
            air_seconds,
            bits_per_re=bits,
            re_per_s=self._believed_per_s(device.index),
            slot_s=self._cell.slot_s,
        )
        return self._made(device, snr_db, air_s, self._edge.reports.latest(self.env.now))

    def truth(self, device: Device) -> Knowledge:
        """The channel, the cell and the server as they are now."""
        uplink = self._radio.uplink
        bearer = uplink.bearers[device.index]
        rivals = sum(bool(b.flows) for b in uplink.bearers if b.site == bearer.site and b != bearer)
        scheme, n_prb, tb_bits = uplink.offer(bearer)
        snr_db = uplink.present_db(bearer, n_prb)
        n_re = uplink.elements(n_prb)
        error = self._table.transport_block_error(scheme, tb_bits, snr_db, n_re=n_re)
        air_s = partial(
            slotted_seconds,
            bits_per_slot=tb_bits,
            uses_per_slot=uplink.elements(uplink.n_prb),
            error=error,
            slot_s=self._cell.slot_s * (1 + rivals) / self._share,
        )
        return self._made(device, snr_db, air_s, self._edge.load())

    def observe(self, device: Device, request: Request) -> None:
        """Measure the rate of a transfer that just ended (not those of a few slots)."""
        seconds = request.radio_end_s - request.radio_start_s
        seconds -= request.access_delay_s + self._radio.uplink.decoding_s
        if not (request.delivered and seconds > METERED_SLOTS * self._cell.slot_s):
            return
        amount = float(request.channel_uses)
        if request.payload_bits:
            bearer = self._radio.uplink.bearers[device.index]
            bits = self._bits_per_re(bearer)
            amount = (request.payload_bits + request.header_bits) / bits if bits else 0.0
        self._meters[device.index].observe(amount, seconds)
        self._measured_s[device.index] = self.env.now

    def _believed_per_s(self, device: int) -> float:
        """The metered speed, fading towards the whole cell's since it was last measured."""
        kept = math.exp((self._measured_s[device] - self.env.now) / MEMORY_S)
        return self._whole_per_s + kept * (self._meters[device].per_s - self._whole_per_s)

    def _bits_per_re(self, bearer: Bearer) -> float:
        """Of the whole band at the MCS that the last report gives, less the errors at its level."""
        uplink = self._radio.uplink
        scheme, n_prb, tb_bits = uplink.offer(bearer)
        snr_db, n_re = uplink.reported_db(bearer, n_prb), uplink.elements(n_prb)
        error = self._table.transport_block_error(scheme, tb_bits, snr_db, n_re=n_re)
        return tb_bits / uplink.elements(uplink.n_prb) * (1.0 - error)

    def _made(self, device: Device, snr_db: float, air_s: AirSeconds, load: Load) -> Knowledge:
        group, power = device.group, device.power
        return Knowledge(
            now_s=self.env.now,
            snr_db=snr_db,
            air_s=air_s,
            queue_s=device.backlog_s,
            edge_wait_s=load.wait_s,
            edge_load=1.0,  # the wait in seconds says it
            access_s=self._access_s[device.index],
            downlink_s=self._answer_s,
            deadline_s=math.inf if group.deadline_s is None else group.deadline_s,
            battery_share=1.0 if device.battery_share is None else device.battery_share,
            compute_w=power.compute_w,
            transmit_w=power.transmit_w(dbm_to_w(group.tx_power_dbm)),
            receive_w=power.receiver.receive_w,
            idle_w=power.idle_w,
            transmit_share=self._share,
            receive_share=self._receive_share,
        )

    @property
    def _receive_share(self) -> float:
        """Of an answer's way down: one slot over the air, nothing of a pipe of fixed rate."""
        if isinstance(self._cell.downlink, FixedRateDownlink):
            return 0.0
        return self._cell.slot_s / self._answer_s

    @property
    def _answer_s(self) -> float:
        spec = self._cell.downlink
        if isinstance(spec, FixedRateDownlink):
            return spec.latency_s
        return spec.latency_s + ANSWER_SLOTS * self._cell.slot_s + self._radio.downlink.decoding_s


def slotted_seconds(
    bits: float,
    uses: float,
    *,
    bits_per_slot: float,
    uses_per_slot: float,
    error: float,
    slot_s: float,
) -> float:
    """Seconds to carry a payload in whole slots, half a slot until the first, one more per error.

    ``slot_s``: between two slots of this device, 1 + rivals over the direction's share of them.
    """
    if not bits and not uses:
        return 0.0
    if bits and (error >= 1.0 or not bits_per_slot):
        return math.inf
    slots = math.ceil(bits / bits_per_slot) / (1.0 - error) if bits else 0.0
    return (slots + math.ceil(uses / uses_per_slot) + 0.5) * slot_s


def costs_of(
    plans: Mapping[str, Plan], machine: str, headers: Headers, *, true: bool
) -> dict[str, Costs]:
    """What a device believes its operating points cost; or, for the oracle, what they do cost."""
    return {name: _costs(name, plan, machine, headers, true=true) for name, plan in plans.items()}


def _costs(name: str, plan: Plan, machine: str, headers: Headers, *, true: bool) -> Costs:
    device_s, edge_s = plan.device_s[machine], plan.edge_s[0]
    if not true:
        device_s = plan.believed_device_s.get(machine, device_s)
        edge_s = edge_s if plan.believed_edge_s is None else plan.believed_edge_s
    is_analog = plan.scheme is Scheme.JSCC
    control_uses = control_bits(headers) / CONTROL_BITS_PER_RE if is_analog else 0.0
    return Costs(
        name,
        plan.scheme,
        device_s + _mean(plan.encode_s.get(machine, ())),
        edge_s + _mean(plan.edge_codec_s),
        _mean([bits + header_bits(headers, bits) for bits in plan.payload_bits]),
        _mean(plan.channel_uses) + control_uses,
        _mean(plan.answer_bits),
        sends=plan.scheme is not Scheme.LOCAL or plan.send_result,
        read_answer_s=_mean(plan.read_answer_s.get(machine, ())),
    )


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if len(values) else 0.0


def exit_seconds(plans: Mapping[str, Plan], machine: str) -> dict[str, float]:
    """Point → extra device seconds if an exit was tried first and was not confident.

    The exit's head alone where the device runs the exit's trunk anyway; where it would have run
    nothing (``raw``), trunk and head of the workload.
    """
    return {name: plan.exit_s[machine] for name, plan in plans.items() if machine in plan.exit_s}
