"""The Pareto figure of a search: its front, what the front dominates, and what is not allowed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from simsplit.figures.contract import Drawing
from simsplit.figures.style import COLOURS, blank_figure, grid, save, shown_above, style_named
from simsplit.results.kpis import kpi_column
from simsplit.results.labels import quantity
from simsplit.results.metrics import COMPLEMENTS, MEANS, QUANTILES
from simsplit.study.optimum import OptimisationResult
from simsplit.study.search import Design

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


LOOKS: dict[str, dict[str, Any]] = {
    "infeasible": {"marker": "x", "color": "0.6", "zorder": 1},
    "dominated": {"marker": "o", "color": COLOURS[0], "markerfacecolor": "w", "alpha": 0.35},
    "front": {"marker": "o", "color": COLOURS[0], "zorder": 3},
}


def plot_front(result: OptimisationResult, out: Path, style: str = "ieee_column") -> list[Path]:
    """Write ``pareto.*`` into ``out``: the first objective against each of the others.

    Nothing is drawn of one objective, or if no design has its KPIs.
    """
    if len(result.search.objectives) < 2 or not any(map(_is_known, result.designs)):
        return []
    return save(draw_front(result, style), out / "pareto")


def draw_front(result: OptimisationResult, style: str = "ieee_column") -> Drawing:
    """The figure, and a row per design: axes, objectives with intervals, ``state``."""
    table = design_table(result)
    first, *others = (_column(objective.kpi) for objective in result.search.objectives)
    height_in = style_named(style).height_in * (0.2 + 0.8 * len(others))
    with blank_figure(style, height_in) as figure:
        panels = figure.subplots(len(others), 1, squeeze=False)[:, 0]
        for ax, other in zip(panels, others, strict=True):
            _panel(ax, table, other, first)
            if len(others) == 1:
                where = "pre" if result.search.objectives[1].is_max else "post"
                _stair(ax, table, other, first, where)
        handles, names = panels[0].get_legend_handles_labels()
        shown_above(figure, handles[::-1], names[::-1])
        return Drawing(figure, table)


def design_table(result: OptimisationResult) -> DataFrame:
    """A row per design with all its KPIs, the front last."""
    front = {id(design) for design in result.front}
    rows = []
    for design in filter(_is_known, result.designs):
        kept = "front" if id(design) in front else "dominated"
        row: dict[str, Any] = dict(design.values)
        row |= {"state": kept if design.is_feasible else "infeasible"}
        for objective, i in zip(result.search.objectives, design.objectives, strict=True):
            column = _column(objective.kpi)
            row |= {column: i.mean, f"{column}_ci_low": i.low, f"{column}_ci_high": i.high}
        rows.append(row)
    table = pd.DataFrame(rows)
    order = table["state"].map(list(LOOKS).index)
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _is_known(design: Design) -> bool:
    return design.violation >= 0  # not NaN


def _column(kpi: str) -> str:
    """What the KPI is called in a table, so that it is labelled as everywhere."""
    kpis = [*MEANS, *QUANTILES]
    if kpi in COMPLEMENTS or kpi == "accuracy" or kpi.startswith("score_"):
        return kpi
    return kpi_column(kpi, [*kpis, *(f"{name}_ci_low" for name in kpis)])


def _panel(ax: Axes, table: DataFrame, across: str, up: str) -> None:
    units = {column: quantity(column, table[column]) for column in (across, up)}
    for state, part in table.groupby("state", sort=False):
        x, y = (units[column].factor * part[column] for column in (across, up))
        errors = [_error(part, column, units[column].factor) for column in (across, up)]
        fine: dict[str, Any] = {"elinewidth": 0.5, "capsize": 0, "linestyle": "none"}
        ax.errorbar(
            x, y, xerr=errors[0], yerr=errors[1], label=str(state), **fine, **LOOKS[str(state)]
        )
    ax.set_xlabel(units[across].label)
    ax.set_ylabel(units[up].label)
    ax.margins(0.08)
    grid(ax, "both")


def _error(part: DataFrame, column: str, factor: float) -> Any:
    """How far the intervals reach down and up ``(2, designs)``; NaN draws nothing."""
    mean = part[column]
    ends = [mean - part[f"{column}_ci_low"], part[f"{column}_ci_high"] - mean]
    return [(factor * end).to_numpy(float) for end in ends]


def _stair(ax: Axes, table: DataFrame, across: str, up: str, where: Any) -> None:
    """What the front attains: from each of its designs on until the next does better."""
    front = table[table["state"] == "front"].sort_values(across)
    x, y = (quantity(c, table[c]).factor * front[c] for c in (across, up))
    ax.step(x, y, where=where, color="0.45", lw=0.8, zorder=2)
