"""Where a request spent its time and its energy, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from simsplit.columns import STAGES


@dataclass(frozen=True, slots=True)
class Slice:
    """One stage of one request: integer nanoseconds, and the joules spent in it by part."""

    name: str
    start_ns: int
    end_ns: int
    parts_j: Mapping[str, float] = field(default_factory=dict)


def stages_of(row: Any, end_s: float, compute_w: float) -> list[Slice]:
    """A request's stages in order of time; they fill arrival to closed (or to the run's end).

    Energy of a stage that the row does not have is its last stage's, so that none is left out.

    Args:
        row: A row of requests.parquet with its columns as attributes.
        end_s: When the run ended, for requests that are still open.
        compute_w: The device's power while computing; parts the energy of head and local retry.
    """
    spans = list(_spans(row, end_s))
    if not spans:
        return []
    parts_j: dict[str, dict[str, float]] = {name: {} for name, _, _ in spans}
    head_j, retry_j = _compute_j(row, compute_w)
    for stage, part, joules in (
        ("device compute", "compute", head_j),
        ("radio", "transmit", row.tx_energy_j),
        ("server compute", "server", row.edge_energy_j),
        ("downlink", "receive", row.rx_energy_j),
        (spans[-1][0], "compute", retry_j),
    ):
        if joules > 0:
            held = parts_j[stage if stage in parts_j else spans[-1][0]]
            held[part] = held.get(part, 0.0) + joules
    return [
        Slice(name, nanoseconds(start), nanoseconds(end), parts_j[name])
        for name, start, end in spans
    ]


def _spans(row: Any, end_s: float) -> Iterator[tuple[str, float, float]]:
    closed_s = end_s if math.isnan(row.closed_s) else row.closed_s
    for stage in STAGES:
        start_s, stop_s = getattr(row, stage.start), getattr(row, stage.end)
        stop_s = closed_s if math.isnan(stop_s) else stop_s
        if math.isnan(start_s) or (stage.name == "local retry" and not _retries(row)):
            continue
        if nanoseconds(stop_s) > nanoseconds(start_s) or stage.name == "downlink":
            yield stage.name, start_s, stop_s


def _retries(row: Any) -> bool:
    return math.isnan(row.edge_arrival_s) and bool(row.computed_locally) and row.scheme != "local"


def _compute_j(row: Any, compute_w: float) -> tuple[float, float]:
    """Joules of the first visit to the processor, and of the second after a loss."""
    total_j = row.compute_energy_j
    if row.scheme == "local" or not row.computed_locally:
        return total_j, 0.0
    head_j = min(total_j, compute_w * (row.device_end_s - row.device_start_s))
    return head_j, total_j - head_j


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
