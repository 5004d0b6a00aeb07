"""How long each request was in which stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simsplit.plots.timeline import STAGES, stage_intervals

if TYPE_CHECKING:
    from pandas import DataFrame

_ALWAYS = STAGES[:6]  # the others only where a request was in them


def stages_ms(closed: DataFrame) -> DataFrame:
    """Milliseconds of closed requests per stage, 0 where not visited; a row sums to its latency."""
    numbered = closed.assign(request_id=np.arange(len(closed)))  # ids may recur in replications
    pieces = stage_intervals(numbered)
    pieces["ms"] = 1e3 * (pieces["end_s"] - pieces["start_s"])
    table = pieces.pivot_table(index="request_id", columns="stage", values="ms", aggfunc="sum")
    visited = [name for name in STAGES if name in _ALWAYS or name in table.columns]
    whole = table.reindex(index=range(len(closed)), columns=visited).fillna(0.0)
    return whole.set_axis(closed.index)


def stage_position(name: str) -> int:
    """Which colour and hatching a stage has; black, where no hatching shows, is left for last."""
    return (*_ALWAYS, "other", "local retry").index(name)
