"""How many requests were where, over simulated time: exact means per interval, from the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame, Series

PLACES = ("at the device", "on the air", "at the server", "on the way back")
INTERVALS = 100


def under_way(
    requests: DataFrame, end_s: float, intervals: int = INTERVALS
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]:
    """Mean number of requests per place and interval of [0, end_s), mean over replications.

    Edges in s, ``(intervals + 1,)``, and per place of `PLACES` the counts, ``(intervals,)``. A
    request that never left a place stays there.
    """
    edges_s: NDArray[np.float64] = np.linspace(0.0, end_s, intervals + 1)
    replications = max(1, requests["replication"].nunique())
    counts = {
        place: mean_number(start, end, edges_s) / replications
        for place, (start, end) in _stays(requests).items()
    }
    return edges_s, counts


def _stays(rows: DataFrame) -> dict[str, tuple[Series[float], Series[float]]]:
    closed = rows["closed_s"]
    on_air = rows["device_end_s"].where(rows["radio_start_s"].notna())
    landed = rows["edge_arrival_s"].fillna(rows["radio_end_s"]).fillna(closed)
    again = rows["radio_end_s"].where(rows["computed_locally"] & rows["edge_arrival_s"].isna())
    at_device = _joined(rows["arrival_s"], again), _joined(rows["device_end_s"], closed)
    stays = (
        at_device,
        (on_air, landed),
        (rows["edge_arrival_s"], rows["edge_end_s"].fillna(closed)),
        (rows["edge_end_s"], closed),
    )
    return dict(zip(PLACES, stays, strict=True))


def _joined(first: Series[float], second: Series[float]) -> Series[float]:
    import pandas as pd

    return pd.concat([first, second], ignore_index=True)


def mean_number(
    start: Series[float], end: Series[float], edges_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Time average, per interval, of how many of the stays [start, end) are going on.

    Stays without a start never began, those without an end last for ever. With F_t(T) = sum over
    t_i < T of (T - t_i), the integral of the number from 0 to T is F_start(T) - F_end(T).
    """
    begun = start.notna().to_numpy()
    starts, ends = (np.asarray(times, np.float64)[begun] for times in (start, end))
    integral = _elapsed(starts, edges_s) - _elapsed(ends[np.isfinite(ends)], edges_s)
    means: NDArray[np.float64] = np.diff(integral) / np.diff(edges_s)
    return means


def _elapsed(times: NDArray[np.float64], edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum of (T - t) over the times t before T, for every edge T."""
    ordered = np.sort(times)
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    count = np.searchsorted(ordered, edges_s)
    return np.asarray(count * edges_s - sums[count], float)
