"""A metric over an axis of a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simsplit.errors import ScenarioError
from simsplit.plots.style import (
    LABELS,
    colour,
    grid,
    legend_above,
    look,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


def metric_against_snr(frame: DataFrame, metric: str, ax: Axes) -> None:
    """A KPI over SNR, one line per operating point, with its 95 % interval as a band.

    ``frame``: a sweep's tidy table with one column that ends in ``snr_db``.
    """
    axis = snr_column(frame)
    if metric not in frame:
        choices = [name for name in frame.columns if f"{name}_ci_low" in frame]
        raise ScenarioError("the table has no such KPI", value=metric, choices=choices)
    for position, (name, part) in enumerate(frame.groupby("operating_point", sort=False)):
        part = part.sort_values(axis)
        snr_db, mean = part[axis].to_numpy(float), part[metric].to_numpy(float)
        ax.plot(snr_db, mean, label=str(name), **look(position))
        low, high = part[f"{metric}_ci_low"], part[f"{metric}_ci_high"]
        band = (low.to_numpy(float), high.to_numpy(float))
        ax.fill_between(snr_db, *band, color=colour(position), alpha=0.2, linewidth=0)
    ax.set_xlabel("$E_s/N_0$ [dB]")
    ax.set_ylabel(LABELS.get(metric, metric))
    grid(ax, "both")
    legend_above(ax)


def snr_column(frame: DataFrame) -> str:
    """The swept SNR's column."""
    found = [str(n) for n in frame.columns if str(n).endswith(".snr_db")]
    if len(found) != 1:
        raise ScenarioError("the sweep needs exactly one axis that ends in snr_db", value=found)
    return found[0]
