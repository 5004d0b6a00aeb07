"""Rate and score of operating points over one set of pictures: a figure and its tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from simsplit.figures.contract import Drawing
from simsplit.figures.log_axes import log_scale
from simsplit.figures.style import (
    LINES,
    MARKERS,
    colour,
    grid,
    legend_above,
    paper_figure,
    save,
    style_of,
)
from simsplit.figures.style import style_named as style_named
from simsplit.files import write_whole
from simsplit.results.coded_rates import LEFT_OUT
from simsplit.results.labels import label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

    from simsplit.results.coded_rates import Rates

_BITS_PER_KB = 8000.0
_GREYS = ("0.2", "0.5", "0.65")


def draw(points: DataFrame, metric: str, style: str = "ieee_column") -> Drawing:
    """The score over the mean payload in kB, a curve per code, with 95 % intervals over pictures.

    What sends nothing (an answer on the device) is a horizontal line in grey. Other training seeds
    of a code are small markers beside the point. The axis says so where headers are left out.

    Args:
        points: As `simsplit.results.coded_rates.Rates.points` has them.
        metric: Column of the score.
        style: `simsplit.figures.style.STYLES`.

    Raises:
        ScenarioError: No such style.
    """
    look = style_named(style)
    sent = points.groupby("curve", sort=False)["payload_bits"].max() > 0
    with paper_figure(1.15 * look.height_in, style) as (figure, ax):
        for index, name in enumerate(sent.index[sent]):
            _curve(ax, points[points["curve"] == name], metric, name, index)
        for index, name in enumerate(sent.index[~sent]):
            _level(ax, points[points["curve"] == name], metric, name, index)
        log_scale(ax)
        ax.set_xlabel(_payload_label(points))
        ax.set_ylabel(label(metric))
        grid(ax, "both")
        legend_above(ax)
    return Drawing(figure, points)


def _payload_label(points: DataFrame) -> str:
    is_shorter = "headers" in points and (points["headers"] == LEFT_OUT).any()
    return "payload without headers [kB]" if is_shorter else "payload [kB]"


def _level(ax: Axes, rows: DataFrame, metric: str, name: str, index: int) -> None:
    value, low, high = rows[[metric, f"{metric}_low", f"{metric}_high"]].to_numpy(float)[0]
    grey = _GREYS[index % len(_GREYS)]
    ax.axhline(value, color=grey, ls=LINES[index % len(LINES)], label=name, zorder=1)
    ax.axhspan(low, high, color=grey, alpha=0.08, lw=0)


def _curve(ax: Axes, rows: DataFrame, metric: str, name: str, index: int) -> None:
    own, others = rows[rows["seed"] == ""], rows[rows["seed"] != ""]
    ink: dict[str, Any] = {"color": colour(index), "ls": LINES[index % len(LINES)], "label": name}
    own = own[own["payload_bits"] > 0].sort_values("payload_bits")  # 0 has no place on the axis
    rate = own["payload_bits"] / _BITS_PER_KB
    arms = [own[metric] - own[f"{metric}_low"], own[f"{metric}_high"] - own[metric]]
    cap = 0.6 * style_of(ax.get_figure()).marker_pt  # type: ignore[arg-type]
    marker = MARKERS[index % len(MARKERS)]
    ax.errorbar(rate, own[metric], arms, marker=marker, capsize=cap, elinewidth=0.6, **ink)
    if len(others):
        thin: dict[str, Any] = {
            "marker": marker,
            "ls": "none",
            "mfc": "none",
            "ms": 2 * cap,
            "mew": 0.6,
        }
        ax.plot(others["payload_bits"] / _BITS_PER_KB, others[metric], color=colour(index), **thin)


def write_rates(rates: Rates, out: Path, style: str = "ieee_column") -> list[Path]:
    """Write ``rates`` (picture, PDF, PGF, CSV of every point) and ``deltas.csv``."""
    points = pd.DataFrame(rates.points)
    paths = save(draw(points, rates.metric, style), out / "rates")
    rounded = points.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_whole(out / "rates.csv", rounded)
    if not rates.deltas:
        return paths
    deltas = pd.DataFrame(rates.deltas)
    text = deltas.to_csv(index=False, float_format="%.4g", lineterminator="\n")
    write_whole(out / "deltas.csv", text)
    return [*paths, out / "deltas.csv"]
