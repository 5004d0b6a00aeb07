"""Rate-distortion curves of networks and their baselines: a row per encoder, a column per metric.

The study of S. R. Alvar and I. V. Bajić, ICIP 2019, section 3 (`simsplit.results.rate_distortion`),
and the files that it writes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from simsplit.figures.contract import Drawing
from simsplit.figures.log_axes import log_scale
from simsplit.figures.style import (
    Style,
    blank_figure,
    colour,
    grid,
    save,
    shown_above,
    style_of,
)
from simsplit.figures.style import style_named as style_named
from simsplit.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pandas import DataFrame

    from simsplit.results.rate_distortion import Study


PANELS = (
    ("miou", "mean IoU"),
    ("disparity_rmse_px", "disparity RMSE [px]"),
    ("psnr_db", "PSNR [dB]"),
)
TIGHT = 15  # letters across a panel
ROLES = {"baseline": (0, "-"), "proposed": (3, "--")}  # colour, line
# marker, size in the style's markers, filled: PNG and JPEG are one curve, the others single points
CODECS: dict[str, tuple[str, str, float, bool]] = {
    "jpeg_tiles": ("JPEG", "o", 0.75, True),
    "png_tiles": ("PNG", "D", 1.2, True),
    "webp_tiles": ("WebP lossless", "^", 1.4, False),
    "entropy": ("entropy coder", "s", 1.3, False),
}
_MINUS = "\N{MINUS SIGN}"


def draw(points: DataFrame, deltas: DataFrame, style: str = "ieee_page") -> Drawing:
    """Every encoder's curves: seeds as thin lines, their mean with a marker per codec and quality.

    Args:
        points: Columns ``encoder``, ``role`` (baseline, proposed), ``seed``, ``codec``,
            ``quality``, ``payload_bits``, the metrics, and ``on_<metric>``: the point is part of
            that seed's curve.
        deltas: ``encoder``, ``metric``, ``method``, ``bd_rate_percent``, ``check``,
            ``check_percent``.
        style: `simsplit.figures.style.STYLES`.

    Returns:
        The figure and ``points``.

    Raises:
        ScenarioError: No such style.
    """
    encoders = list(dict.fromkeys(points["encoder"]))
    look = style_named(style)
    upright = _ems(look) < 40  # metrics below each other
    shape = (len(PANELS), len(encoders)) if upright else (len(encoders), len(PANELS))
    with blank_figure(style, _height_in(look, *shape)) as figure:
        panels = figure.subplots(*shape, squeeze=False, sharex=True)
        for column, encoder in enumerate(encoders):
            axes = panels[:, column] if upright else panels[column]
            of_encoder, gains = (t[t["encoder"] == encoder] for t in (points, deltas))
            axes[0].set_title(encoder, loc="left")
            for ax, (metric, title) in zip(axes, PANELS, strict=True):
                _panel(ax, of_encoder, metric)
                ax.set_ylabel("" if upright and column else title)
                _say_delta(ax, gains[gains["metric"] == metric], _ems(look) / shape[1])
        for ax in panels[-1]:
            ax.set_xlabel("payload [kbit]")
        shown_above(figure, *_legend(look, points))
    return Drawing(figure, points)


def _ems(look: Style) -> float:
    """A figure's width in letters' sizes."""
    return 72 * look.width_in / look.small_pt


def _height_in(look: Style, rows: int, columns: int) -> float:
    """Panels of three to two below the legend; at least as high as the texts in them need."""
    panel = max(0.72 * look.width_in / columns, 16 * look.small_pt / 72)
    return 6 * look.small_pt / 72 + rows * panel


def _panel(ax: Axes, points: DataFrame, metric: str) -> None:
    look = style_of(ax.get_figure())  # type: ignore[arg-type]
    for role, (index, line) in ROLES.items():
        part = points[points["role"] == role]
        ink: dict[str, Any] = {"color": colour(index), "linestyle": line}
        if part["seed"].nunique() > 1:
            for _, one in part[part[f"on_{metric}"]].groupby("seed"):
                curve = one.sort_values("payload_bits")
                thin = ink | {"lw": 0.5 * look.line_pt, "alpha": 0.55}
                ax.plot(curve["payload_bits"] / 1e3, curve[metric], **thin)
        mean = mean_ladder(part, metric)
        whole = mean[mean["codec"].isin(["png_tiles", "jpeg_tiles"])]
        ax.plot(whole["payload_bits"] / 1e3, whole[metric], **ink, lw=look.line_pt)
        for codec, rungs in mean.groupby("codec"):
            marker = _marker(str(codec), colour(index), look)
            ax.plot(rungs["payload_bits"] / 1e3, rungs[metric], ls="none", **marker)
    log_scale(ax)
    grid(ax, "both")


def mean_ladder(points: DataFrame, metric: str) -> DataFrame:
    """Payload and metric of every rung, means over the seeds, by rising payload."""
    rungs = points.groupby(["codec", "quality"], dropna=False, as_index=False)
    return rungs[["payload_bits", metric]].mean().sort_values("payload_bits")


def _marker(codec: str, ink: str, look: Style) -> dict[str, Any]:
    _, marker, size, filled = CODECS.get(codec, (codec, "v", 1.3, False))
    face, above = (ink, 3) if filled else ("none", 4)
    size *= look.marker_pt
    edge = 0.6 * look.line_pt
    return {"marker": marker, "ms": size, "mfc": face, "mec": ink, "mew": edge, "zorder": above}


def _legend(look: Style, points: DataFrame) -> tuple[list[Any], list[str]]:
    """Networks by colour and line, codecs by marker, in grey."""
    from matplotlib.lines import Line2D

    lines = {
        role: Line2D([], [], color=colour(index), ls=line) for role, (index, line) in ROLES.items()
    }
    seeds = points["seed"].nunique()
    if seeds > 1:
        lines[f"each of {seeds} seeds"] = Line2D([], [], color="0.35", lw=0.5 * look.line_pt)
    present = set(points["codec"])
    for codec in [*(c for c in CODECS if c in present), *sorted(present - set(CODECS))]:
        name = CODECS.get(codec, (codec,))[0]
        if codec == "jpeg_tiles":
            part = points.loc[points["codec"] == codec, "quality"]
            name += f" {part.max():g} … {part.min():g}"
        lines[name] = Line2D([], [], ls="none", **_marker(codec, "0.35", look))
    return list(lines.values()), list(lines)


def _say_delta(ax: Axes, deltas: DataFrame, ems: float) -> None:
    """Mean BD-rates in the corner that rising (falling) curves leave free."""
    falls = bool(len(deltas)) and deltas["metric"].iat[0] == "disparity_rmse_px"
    rates, checks = (deltas[name].to_numpy(float) for name in ("bd_rate_percent", "check_percent"))
    named = zip(
        (_first(deltas[name]) for name in ("method", "check")), (rates, checks), strict=True
    )
    texts = ["BD-rate", *(f"{name} {_percent(values)}" for name, values in named)]
    if 0 < np.isfinite(rates).sum() < rates.size:
        texts.append(f"{np.isfinite(rates).sum()} of {rates.size} seeds")
    style = style_of(ax.get_figure())  # type: ignore[arg-type]
    ax.text(
        0.97,
        0.95 if falls else 0.05,
        "\n".join(texts),
        transform=ax.transAxes,
        ha="right",
        va="top" if falls else "bottom",
        size=style.small_pt * (0.8 if ems < TIGHT else 1.0),
    )


def _percent(values: NDArray[np.float64]) -> str:
    finite = values[np.isfinite(values)]
    return f"{finite.mean():+.1f} %".replace("-", _MINUS) if finite.size else "none"


def _first(values: Any) -> str:
    return str(values.iat[0]) if len(values) else ""


# --- files ------------------------------------------------------------------------------------


def write_study(study: Study, out: Path, style: str = "ieee_page") -> list[Path]:
    """Write ``rd`` (picture, PDF, PGF, CSV of every rung), ``bd.csv`` and ``bd.json``."""
    points, deltas = frames(study)
    paths = save(draw(points, deltas, style), out / "rd")
    table = deltas.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_whole(out / "bd.csv", table)
    text = json.dumps(_rounded(study.summary), indent=1, ensure_ascii=False)
    write_whole(out / "bd.json", text + "\n")
    return [*paths, out / "bd.csv", out / "bd.json"]


def frames(study: Study) -> tuple[DataFrame, DataFrame]:
    """Points and deltas as tables."""
    return pd.DataFrame(study.points), pd.DataFrame(study.deltas)


def _rounded(value: Any) -> Any:
    """Six significant digits: what differs from machine to machine is no result."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
