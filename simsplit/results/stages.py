"""Where a request spent its time and its energy, stage by stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.messages import Scheme
from simsplit.results import stage_table

if TYPE_CHECKING:
    from pandas import DataFrame, Series


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
        ("edge compute", "server", row.edge_energy_j),
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
    for stage in stage_table.STAGES:
        start_s, stop_s = getattr(row, stage.start), getattr(row, stage.end)
        stop_s = closed_s if math.isnan(stop_s) else stop_s
        if math.isnan(start_s) or (stage.name == "local retry" and not _retries(row)):
            continue
        if nanoseconds(stop_s) > nanoseconds(start_s) or stage.name == "downlink":
            yield stage.name, start_s, stop_s


def _retries(row: Any) -> bool:
    is_lost = math.isnan(row.edge_arrival_s)
    return is_lost and bool(row.computed_locally) and row.scheme != Scheme.LOCAL


def _compute_j(row: Any, compute_w: float) -> tuple[float, float]:
    """Joules of the first visit to the processor, and of the second: a retry, or the answer's."""
    total_j = row.compute_energy_j
    returns = row.computed_locally or getattr(row, "answer_codec_s", 0.0) > 0
    if row.scheme == Scheme.LOCAL or not returns:
        return total_j, 0.0
    head_j = min(total_j, compute_w * (row.device_end_s - row.device_start_s))
    return head_j, total_j - head_j


def nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


STAGES = (*(stage.name for stage in stage_table.STAGES), "other")
ALWAYS, RARE = STAGES[:6], STAGES[6:]
"""Stages of every figure in the order of a request's way, and those shown where one was in them."""

# Stages tile a request's time, so the radio's reaches from the device to the edge or the giving up.
_BOUNDS = tuple(
    (s.name, *(("device_end_s", "at_edge_s") if s.name == "radio" else (s.start, s.end)))
    for s in stage_table.STAGES[:5]
)


# --- the numbers ------------------------------------------------------------------------------


def stage_intervals(rows: DataFrame, until_s: float | None = None) -> DataFrame:
    """When each request was in which stage; a request's intervals tile [arrival_s, closed_s].

    The radio's stage ends where the edge has the request, or where the sender gave it up. Hops to a
    cloud and back count as edge wait and downlink. ``local retry`` is everything after a lost
    payload that the device answers itself: waiting for its processor and computing. If it was the
    answer that was lost, it holds the failed attempts of the downlink as well, whose end is not
    written down. ``other`` is what no stage explains.

    Args:
        rows: Requests as a run stores them.
        until_s: When the clock stopped. Requests still open then end there, in the stage they had
            reached (a batch that has begun is written down when it ends: it counts as edge wait);
            None: their unfinished stage is left out.

    Returns:
        ``request_id``, ``stage`` (one of `STAGES`), ``start_s``, ``end_s``; no interval is empty;
        in the order of arrivals, then of time.
    """
    import pandas as pd

    rows = rows.sort_values(["arrival_s", "request_id"], kind="stable")
    times = _times(rows)
    parts = [_part(rows, times, *bound) for bound in _BOUNDS]
    parts.append(_rest(rows, times, until_s))
    pieces = pd.concat(parts)
    pieces = pieces[pieces["end_s"] > pieces["start_s"]]
    order = pieces["place"].map({label: number for number, label in enumerate(rows.index)})
    pieces = pieces.assign(order=order).sort_values(["order", "start_s"], kind="stable")
    return pieces[["request_id", "stage", "start_s", "end_s"]].reset_index(drop=True)


def _times(rows: DataFrame) -> DataFrame:
    """The columns of `_BOUNDS`; those of stages that were not visited are NaN."""
    names = ["arrival_s", "device_start_s", "device_end_s", "edge_arrival_s", "edge_start_s"]
    times = rows[[*names, "edge_end_s"]].astype(float)
    at_edge_s = times["edge_arrival_s"].fillna(rows["radio_end_s"].astype(float))
    return times.assign(at_edge_s=at_edge_s)


def _part(rows: DataFrame, times: DataFrame, stage: str, start: str, end: str) -> DataFrame:
    return _frame(rows, stage, times[start], times[end])


def _frame(rows: DataFrame, stage: Any, start_s: Series, end_s: Series) -> DataFrame:
    import pandas as pd

    columns = {"request_id": rows["request_id"], "stage": stage, "start_s": start_s, "end_s": end_s}
    return pd.DataFrame(columns).assign(place=rows.index)


def _rest(rows: DataFrame, times: DataFrame, until_s: float | None) -> DataFrame:
    """From the last thing written down to the close."""
    end_s = rows["closed_s"].astype(float)
    if until_s is not None:
        end_s = end_s.fillna(until_s)
    return _frame(rows, _last_stage(rows, times), times.max(axis=1), end_s)


def _last_stage(rows: DataFrame, times: DataFrame) -> Any:
    """What a request did after the last time that was written down."""
    has = times.notna()
    is_open = rows["closed_s"].isna()
    retried = is_retried(rows)
    conditions = {
        "local retry": retried,
        "downlink": has["edge_end_s"],
        "edge wait": has["edge_arrival_s"],
        "radio": is_open & has["device_end_s"] & ~has["at_edge_s"],
        "device compute": is_open & has["device_start_s"] & ~has["device_end_s"],
        "device wait": is_open & ~has["device_start_s"],
    }
    return np.select([c.to_numpy(bool) for c in conditions.values()], list(conditions), "other")


def is_retried(rows: DataFrame) -> Series:
    """Whether a request of another scheme than ``local`` was computed on the device in the end."""
    retried: Series = rows["computed_locally"].astype(bool) & (
        rows["scheme"].astype(str) != Scheme.LOCAL
    )
    return retried


def stages_ms(closed: DataFrame) -> DataFrame:
    """Milliseconds of closed requests per stage, 0 where not visited; a row sums to its latency."""
    numbered = closed.assign(request_id=np.arange(len(closed)))  # ids may recur in replications
    pieces = stage_intervals(numbered)
    pieces["ms"] = 1e3 * (pieces["end_s"] - pieces["start_s"])
    table = pieces.pivot_table(index="request_id", columns="stage", values="ms", aggfunc="sum")
    visited = [name for name in STAGES if name in ALWAYS or name in table.columns]
    whole = table.reindex(index=range(len(closed)), columns=visited).fillna(0.0)
    return whole.set_axis(closed.index)


def stage_position(name: str) -> int:
    """Which colour and hatching a stage has; black, where no hatching shows, is left for last."""
    return (*ALWAYS, "other", "local retry").index(name)
