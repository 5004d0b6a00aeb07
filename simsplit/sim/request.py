"""A request: its record, and its whole life from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from simsplit.messages import Delivery, Scheme

if TYPE_CHECKING:
    from simsplit.sim.device import Device
    from simsplit.sim.downlink import Downlink
    from simsplit.sim.edge import EdgeServer
    from simsplit.sim.uplink import Uplink

NEVER_S = math.nan
Life = Generator[Any, Any, None]


@dataclass(frozen=True)
class Plan:
    """What one operating point costs, as act one and the hardware files say; all plain numbers.

    Attributes:
        scheme: The way to the answer.
        payload_bits, channel_uses, answer_bits: Per sample (see `Prepared`).
        device_s: Machine (hardware and its frequency level) → seconds of head + encoder.
        local_s: Machine → seconds of the whole network on the device.
        edge_s: Seconds of decoder + tail for batches of 1, 2, … .
        payloads: Coded bytes per sample, needed for exact fidelity only.
        send_result: Scheme local: the answer goes up.
        papr_db: JSCC: peak to average power of each sample's waveform.
        airtime_s, min_symbols: JSCC: stop after that time, and what then counts as an answer.
        cloud_s: As ``edge_s`` on the cloud's hardware; empty without a cloud.
        tail: What requests of one batch must share; empty: the operating point.
        believed_device_s, believed_edge_s: What the policies' latency predictor says instead.
        exit_s: Hardware name → seconds of an early exit's head alone.
        confidence: Of each sample's answer, if made on the device.
    """

    scheme: Scheme
    payload_bits: Sequence[int]
    channel_uses: Sequence[int]
    answer_bits: Sequence[int]
    device_s: Mapping[str, float]
    local_s: Mapping[str, float]
    edge_s: Sequence[float]
    payloads: Sequence[bytes] = ()
    send_result: bool = False
    airtime_s: float | None = None
    min_symbols: int = 0
    papr_db: Sequence[float] = ()
    cloud_s: Sequence[float] = ()
    tail: str = ""
    believed_device_s: Mapping[str, float] = field(default_factory=dict)
    believed_edge_s: float | None = None
    exit_s: Mapping[str, float] = field(default_factory=dict)
    confidence: Sequence[float] = ()


@dataclass(slots=True)
class Request:
    """One request's flat row; times in seconds, NaN where a stage was not visited."""

    request_id: int
    replication: int
    device: int
    group: str
    operating_point: str
    scheme: str
    sample: int
    arrival_s: float
    deadline_s: float = math.nan
    device_start_s: float = NEVER_S
    device_end_s: float = NEVER_S
    radio_start_s: float = NEVER_S
    radio_end_s: float = NEVER_S
    edge_arrival_s: float = NEVER_S
    edge_start_s: float = NEVER_S
    edge_end_s: float = NEVER_S
    closed_s: float = NEVER_S
    status: str = "open"
    delivered: bool = False
    computed_locally: bool = False
    snr_db: float = math.nan
    mcs: float = math.nan
    papr_db: float = math.nan
    blocks: int = 0
    attempts: int = 0
    payload_bits: int = 0
    channel_uses: int = 0
    pilot_uses: int = 0
    batch_size: int = 0
    worker: int = -1
    tier: str = ""
    priority: int = 0
    exit_s: float = 0.0
    compute_energy_j: float = 0.0
    tx_energy_j: float = 0.0
    rx_energy_j: float = 0.0
    edge_energy_j: float = 0.0
    answered: bool = False
    pieces: list[tuple[int, float, float]] = field(default_factory=list)

    def close(self, status: str, now_s: float) -> None:
        """The request leaves the system."""
        self.status = status
        self.closed_s = now_s

    def row(self) -> dict[str, Any]:
        """The flat row without the per-grant lists, with the derived columns."""
        row = {name: getattr(self, name) for name in ROW_FIELDS}
        answered = self.status == "done"
        row["latency_s"] = self.closed_s - self.arrival_s if answered else math.nan
        radio_j = self.tx_energy_j + self.rx_energy_j
        row["energy_j"] = self.compute_energy_j + radio_j + self.edge_energy_j
        in_time = math.isnan(self.deadline_s) or row["latency_s"] <= self.deadline_s
        row["deadline_met"] = answered and in_time
        return row

    def delivery(self) -> Delivery:
        """What act three scores."""
        return Delivery(
            self.request_id,
            self.status == "done",
            self.computed_locally and self.status == "done",
            tuple(count for count, _, _ in self.pieces),
            tuple(snr_db for _, snr_db, _ in self.pieces),
            tuple(variance for _, _, variance in self.pieces),
        )


ROW_FIELDS = tuple(f.name for f in fields(Request) if f.name not in ("pieces", "answered"))


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
        return request.close("done", device.env.now)
    yield from device.after_loss(request)
