"""Tables of `simsplit rates`: points with their intervals, and deltas of curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simsplit.results.coded_rates import COUNTED
from simsplit.results.labels import label

if TYPE_CHECKING:
    from simsplit.results.coded_rates import Rates

Table = tuple[list[str], list[list[str]]]


def points_table(rates: Rates) -> Table:
    """Header and lines: an operating point, or another seed of its code, each."""
    optional = {
        "seed": any(row["seed"] != "" for row in rates.points),
        "less reference": any("difference" in row for row in rates.points),
    }
    extra = [name for name, is_there in optional.items() if is_there]
    is_whole = rates.headers == COUNTED
    byte = ("byte", "of headers") if is_whole else ("byte without headers", "headers")
    header = ["curve", "point", *byte, label(rates.metric), "device, edge [MMAC]", *extra]
    return header, [_point_cells(row, rates.metric, extra) for row in rates.points]


def _point_cells(row: Mapping[str, Any], metric: str, extra: Sequence[str]) -> list[str]:
    work = [row.get(side, math.nan) / 1e6 for side in ("device_macs", "edge_macs")]
    cells = {
        "seed": str(row["seed"]),
        "less reference": _with_arms(row, "difference") if "difference" in row else "-",
    }
    return [
        row["curve"],
        row["operating_point"],
        f"{row['payload_bits'] / 8:,.0f}",
        f"{row['payload_header_bits'] / 8:,.0f}",
        _with_arms(row, metric),
        "-" if any(map(math.isnan, work)) else f"{work[0]:.3g}, {work[1]:.3g}",
        *(cells[name] for name in extra),
    ]


def deltas_table(rates: Rates) -> Table:
    """Header and lines: a curve against its anchor each."""
    header = ["curve", "against", "rate [%]", label(rates.metric), "both reach", "of either range"]
    lines = [
        [
            row["test"],
            row["anchor"],
            _with_arms(row, "bd_rate_percent"),
            _with_arms(row, "bd_metric"),
            _range(row["overlap_low"], row["overlap_high"]),
            f"{100 * row['overlap_of_anchor']:.0f}, {100 * row['overlap_of_test']:.0f} %",
        ]
        for row in rates.deltas
    ]
    return header, lines


def _range(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"{low:.4g} … {high:.4g}"


def _with_arms(row: Mapping[str, Any], name: str) -> str:
    """A number with both arms of its interval, e.g. ``0.766 -0.046 +0.042``."""
    value, low, high = (row.get(f"{name}{end}", math.nan) for end in ("", "_low", "_high"))
    if math.isnan(value):
        return "-"
    if math.isnan(low) or math.isnan(high):
        return f"{value:.4g}"
    return f"{value:.3g} {low - value:+.2g} {high - value:+.2g}".replace("-", "\N{MINUS SIGN}")
