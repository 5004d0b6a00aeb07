"""What passes between the rooms: what a sample costs to send, what the air did, what came out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.operators import Operators, total_macs

Scores = tuple[tuple[str, float], ...]  # metric name and value


class Scheme(StrEnum):
    """How an operating point brings the task from the device to the edge."""

    LOCAL = "local"  # whole network on the device
    RAW = "raw"  # compressed image over LDPC to the edge
    SEPARATE = "separate"  # coded feature over LDPC to the edge
    JSCC = "jscc"  # feature as analog channel symbols to the edge

    @property
    def is_digital(self) -> bool:
        """True if the payload is bits that pass a CRC or do not."""
        return self is not Scheme.JSCC


@dataclass(frozen=True)
class Prepared:
    """Act one's result for one operating point: what every sample costs to send.

    Attributes:
        payload_bits: ``(N,)`` int64, ``len(bytes) * 8`` with header; 0 if nothing digital goes.
        channel_uses: ``(N,)`` int64, complex JSCC symbols; 0 for digital schemes.
        answer_bits: ``(N,)`` int64, size of the answer that goes down (or up, for ``local``).
        payloads: The coded bytes per sample (digital schemes).
        symbols: ``(N, k)`` complex64 with mean power 1 per sample (JSCC).
        confidence: ``(N,)`` float64 in [0, 1] of answers made on the device; None if unknown.
        map_bits: ``(N,)`` int64, of ``answer_bits`` those of maps of classes, which are coded as
            PNG; None: all.
    """

    payload_bits: NDArray[np.int64]
    channel_uses: NDArray[np.int64]
    answer_bits: NDArray[np.int64]
    payloads: tuple[bytes, ...] = ()
    symbols: NDArray[np.complex64] | None = None
    confidence: NDArray[np.float64] | None = None
    map_bits: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Operators per request of one operating point on either side of its cut.

    Attributes:
        device, edge: Head and encoder; decoder and tail.
        local: The whole network on the device, for ``on_loss: retry_locally``.
        exit_head: What a tried early exit costs beyond what the point computes anyway: its head,
            and for ``raw`` its trunk too; empty if the network has none.
        network: What a measured profile calls the network; empty: none was measured.
        tail: What requests of one batch at the server must share; empty: the operating point.
        coded: Shapes of what the operating point's codec codes; empty: it has none.
        answer_map: ``(H, W)`` of an answer that travels as a PNG; empty: it needs no coding.
        range_coded: Of a trained code: symbols, channels and table entries of its range coder;
            empty: it has none.
    """

    device: Operators
    edge: Operators
    local: Operators
    exit_head: Operators = ()
    network: str = ""
    tail: str = ""
    coded: tuple[tuple[int, ...], ...] = ()
    answer_map: tuple[int, ...] = ()
    range_coded: tuple[int, ...] = ()

    @property
    def device_macs(self) -> float:
        """Multiply-accumulates on the device."""
        return total_macs(self.device)

    @property
    def edge_macs(self) -> float:
        """Multiply-accumulates at the edge."""
        return total_macs(self.edge)


@dataclass(frozen=True, slots=True)
class Delivery:
    """Act two's result for one request: what the air did to its payload.

    Attributes:
        request_id: Names the request; with the run seed it keys the JSCC noise.
        arrived: Digital: every block passed its CRC. JSCC: enough symbols were sent.
        computed_locally: The answer was made on the device (scheme ``local`` or a local retry).
        symbol_counts: JSCC: symbols that share one channel coefficient, piece by piece in order;
            their sum is k, or less if the airtime was short.
        symbol_snr_db: JSCC: Es/(N0 + I0) of each piece in dB, fading included.
        symbol_error_variance: JSCC: E|h_hat - h|^2 / |h|^2-normalised error of the channel
            estimate of each piece; empty or 0 if the channel is known.
    """

    request_id: int
    arrived: bool
    computed_locally: bool = False
    symbol_counts: tuple[int, ...] = ()
    symbol_snr_db: tuple[float, ...] = ()
    symbol_error_variance: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What act three is asked about one request.

    Attributes:
        operating_point: Its name.
        sample: Index of the sample.
        delivery: What the air did.
    """

    operating_point: str
    sample: int
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one request tells of the pooled scores of one answer (see tasks/evidence.py).

    Attributes:
        ending: Of the scores' names: ``_<name>`` of the answer, or empty.
        values: By the names of the table in tasks/evidence.py.
        is_lost: Nothing arrived: pixels and boxes of the truth are there, answered by nobody.
        pool: Of a metric of the user's own: what makes one number of many requests' values.
    """

    ending: str
    values: Mapping[str, NDArray[Any]]
    is_lost: bool = False
    pool: Callable[[Sequence[NDArray[Any]]], float] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Act three's result for one request: the task's metrics by name (see tasks/metrics.py).

    ``evidence``: what it tells of scores over many requests, one entry per answer that has any.
    """

    scores: Scores
    evidence: tuple[Evidence, ...] = field(default=(), compare=False)

    def as_dict(self) -> dict[str, float]:
        """Metric name → value."""
        return dict(self.scores)
