"""Policies over an axis of a sweep: latency, energy and score, one panel each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simsplit.errors import ArtefactError
from simsplit.figures.log_axes import log_scale
from simsplit.figures.style import look, note_below, page_figure, paper_figure, save
from simsplit.files import write_whole
from simsplit.results.drops import frame_note
from simsplit.results.frames import axes_of, is_numeric, sweep_table
from simsplit.results.labels import LABELS
from simsplit.results.policies import gains, scores, study
from simsplit.results.sweep_folder import read_description

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


# --- the figure -------------------------------------------------------------------------------


PANELS = (
    ("latency_s", 1e3, "mean latency [ms]"),
    ("energy_j", 1e3, "device energy [mJ]"),
    ("device_share", 1e2, "work on device [%]"),
)


def plot_study(sweep_dir: Path, out: Path) -> list[Path]:
    """Latency and share of the work on the device against the swept number, network by network.

    Also writes ``policies.csv`` and ``policy_gains.csv`` beside it. A sweep over policies alone
    gives bars of the score in time (`plot_scores`).
    """
    if len(read_description(sweep_dir).axes) == 1:
        return plot_scores(sweep_dir, out)
    frame = study(sweep_dir)
    write_whole(out / "policies.csv", frame.to_csv(index=False, float_format="%.6g"))
    gain_table = gains(frame).to_csv(index=False, float_format="%.4g")
    write_whole(out / "policy_gains.csv", gain_table)
    networks = list(dict.fromkeys(frame["network"]))
    axis, label = _abscissa(frame)
    with page_figure(len(PANELS), len(networks)) as (figure, grid):
        for column, network in enumerate(networks):
            part = frame[frame["network"] == network]
            for row, (measure, scale, _) in enumerate(PANELS):
                _panel(grid[row][column], part, axis, measure, scale)
            grid[0][column].set_title(network or " ", fontsize=8)
            grid[-1][column].set_xlabel(label)
        for row, (measure, _, title) in enumerate(PANELS):
            grid[row][0].set_ylabel(title)
            if measure != "device_share":
                log_scale(grid[row][0], "y")
        lines, names = grid[0][0].get_legend_handles_labels()
        figure.legend(lines, names, loc="outside upper center", ncols=len(names))
        paths = save(figure, out / "policies")
    return [*paths, out / "policies.csv", out / "policy_gains.csv"]


def _abscissa(frame: DataFrame) -> tuple[str, str]:
    """The swept number and its label; resource blocks stand for the rate that they gave."""
    numeric = [a for a in axes_of(frame) if frame[a].nunique() > 1 and is_numeric(frame[a])]
    if len(numeric) != 1:
        raise ArtefactError(f"the sweep needs one numeric axis, found {numeric}")
    axis = numeric[0]
    if axis == "cell.resource_blocks":
        return "rate_bps", "uplink rate [Mbit/s]"
    if axis.endswith(".arrivals.rate_hz"):
        return axis, f"requests of {axis.split('.')[1]} [1/s]"
    return axis, LABELS.get(axis, axis)


def _panel(ax: Axes, part: DataFrame, axis: str, measure: str, scale: float) -> None:
    unit = 1e-6 if axis == "rate_bps" else 1.0
    for position, (policy, rows) in enumerate(part.groupby("policy", sort=False)):
        rows = rows.sort_values(axis)
        x, y = unit * rows[axis].to_numpy(float), scale * rows[measure].to_numpy(float)
        ax.plot(x, y, label=str(policy), **look(position))
    if axis == "rate_bps":
        log_scale(ax)
    ax.grid(visible=True, color="0.88", linewidth=0.5)
    ax.set_axisbelow(True)


def plot_scores(sweep_dir: Path, out: Path) -> list[Path]:
    """Bars of the score in time, policy by policy, with 95 % intervals; and ``policies.csv``."""
    frame = scores(sweep_dir)
    write_whole(out / "policies.csv", frame.to_csv(index=False, float_format="%.6g"))
    rows = np.arange(len(frame))
    with paper_figure(0.9 + 0.3 * len(frame)) as (figure, ax):
        mean = frame["score"].to_numpy(float)
        ends = frame[["score_low", "score_high"]].to_numpy(float)
        low, high = np.where(np.isnan(ends), mean[:, None], ends).T  # no interval, no bar
        colours = [look(i)["color"] for i in range(len(frame))]
        ax.barh(rows, mean, 0.6, color=colours, edgecolor="k", lw=0.4)
        ax.errorbar(mean, rows, xerr=(mean - low, high - mean), fmt="none", ecolor="k", capsize=2)
        for y, value in enumerate(mean):
            ax.annotate(f"{value:.3f}", (high[y], y), xytext=(4, 0), va="center",
                        textcoords="offset points", fontsize=7)  # fmt: skip
        ax.set_yticks(rows, [label.replace("_", " ") for label in frame["policy"]])
        ax.invert_yaxis()
        ax.set_xlim(0, 1.15 * float(np.nanmax(high, initial=0.0)) or 1.0)
        ax.set_xlabel(LABELS.get(str(frame["metric"].iat[0]), str(frame["metric"].iat[0])))
        ax.tick_params(axis="y", length=0)
        note_below(figure, frame_note(sweep_table(sweep_dir)))
        paths = save(figure, out / "policies")
    return [*paths, out / "policies.csv"]
