"""A request: its record, and its whole life from top to bottom."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from simsplit.messages import Delivery, Scheme

NEVER_S = math.nan
Life = Generator[Any, Any, None]


@dataclass(frozen=True)
class Plan:
    """What one operating point costs, as act one and the hardware files say; all plain numbers.

    Attributes:
        scheme: The way to the answer.
        payload_bits, channel_uses, answer_bits: Per sample.
        device_s: Machine (hardware and its frequency level) → seconds of head + encoder.
        local_s: Machine → seconds of the whole network on the device.
        edge_s: Seconds of decoder + tail for batches of 1, 2, … .
        edge_share, cloud_share: Of ``edge_s`` and ``cloud_s``, mean share of the server's roofline
            that a batch reaches, which sets its power; empty: all of it.
        payloads: Coded bytes per sample, needed for exact fidelity only.
        send_result: Scheme local: the answer goes up.
        papr_db: JSCC: (sample, resource blocks of its grant) → peak to average power in dB.
        airtime_s, min_symbols: JSCC: stop after that time, and what then counts as an answer.
        cloud_s: As ``edge_s`` on the cloud's hardware; empty without a cloud.
        tail: What requests of one batch must share; empty: the operating point.
        believed_device_s, believed_edge_s: What the policies' latency predictor says instead.
        exit_s: Hardware name → seconds of an early exit's head alone.
        confidence: Of each sample's answer, if made on the device.
        encode_s: Machine → seconds of the codec before sending, per sample; empty: none.
        read_answer_s: Machine → seconds to decode the answer that came down, per sample.
        edge_codec_s, cloud_codec_s: The server's seconds to decode what came up and to encode the
            answer, per sample; in a batch one after the other.
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
    papr_db: Callable[[int, int], float] | None = None
    cloud_s: Sequence[float] = ()
    edge_share: Sequence[float] = ()
    cloud_share: Sequence[float] = ()
    tail: str = ""
    believed_device_s: Mapping[str, float] = field(default_factory=dict)
    believed_edge_s: float | None = None
    exit_s: Mapping[str, float] = field(default_factory=dict)
    confidence: Sequence[float] = ()
    encode_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    read_answer_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    edge_codec_s: Sequence[float] = ()
    cloud_codec_s: Sequence[float] = ()


def of_sample(values: Sequence[float], sample: int) -> float:
    """The value of a sample; 0 where there are none."""
    return values[sample] if len(values) else 0.0


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
    access_delay_s: float = math.nan
    payload_bits: int = 0
    header_bits: int = 0
    channel_uses: int = 0
    pilot_uses: int = 0
    batch_size: int = 0
    worker: int = -1
    tier: str = ""
    priority: int = 0
    exit_s: float = 0.0
    device_codec_s: float = 0.0
    edge_codec_s: float = 0.0
    answer_codec_s: float = 0.0
    compute_energy_j: float = 0.0
    tx_energy_j: float = 0.0
    rx_energy_j: float = 0.0
    edge_energy_j: float = 0.0
    answered: bool = False
    pieces: list[tuple[int, float, float]] = field(default_factory=list)

    def close(self, status: str, now_s: float) -> None:
        """The request leaves the system: done, lost, rejected or no_power."""
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
        """What act three scores: whether it arrived, and the pieces of the channel it saw."""
        return Delivery(
            self.request_id,
            self.status == "done",
            self.computed_locally and self.status == "done",
            tuple(count for count, _, _ in self.pieces),
            tuple(snr_db for _, snr_db, _ in self.pieces),
            tuple(variance for _, _, variance in self.pieces),
        )


ROW_FIELDS = tuple(f.name for f in fields(Request) if f.name not in ("pieces", "answered"))
