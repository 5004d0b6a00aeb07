"""A KPI over two axes of a sweep as coloured cells, the best choice of every column outlined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.figures.curves import interval_table, stacked
from simsplit.figures.log_axes import plain_log_ticks
from simsplit.figures.style import Style, blank_figure, note_below, style_named, style_of
from simsplit.results import frames
from simsplit.results.drops import frame_note
from simsplit.results.labels import Quantity, label, quantity
from simsplit.results.metrics import higher_is_better

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from pandas import DataFrame


LABEL_WIDTH = 24  # letters of the colour bar's label in a line
_BEST_FRAME = ((2.6, "k"), (1.0, "w"))  # white in black: seen on any colour
COLOUR_MAP = "cividis"  # even in lightness, so that it reads in grey and without colour vision


def draw(folder: Path, options: PlotOptions) -> Drawing:
    """A KPI over two axes: SNR and the split, if there are such and no others are named.

    What else varies (the operating point first) makes a panel each, on one scale of colours. A
    double frame marks the best cell of each column over all panels; a thin single one those whose
    95 % interval overlaps the best's, which these runs cannot tell from it. The data say the same
    in ``best`` and ``alike``.
    """
    whole = frames.sweep_table(folder, options.where, options.label)
    frame, column = frames.kpi(whole, options.metric or "accuracy")
    across, down = _axes(frame, options)
    panels = frames.curves(frame, [across, down], options.by)
    style = style_named(options.style)
    grid = _grid(len(panels), style)
    rows = grid[0] * len(frames.categories(frame[down]))
    with blank_figure(options.style, _height_in(rows, len(panels), grid[0], style)) as figure:
        data = heat_maps(frame, column, (across, down), panels, grid, figure)
        note_below(figure, frame_note(frame))
        return Drawing(figure, data)


def _grid(panels: int, style: Style) -> tuple[int, int]:
    """Rows and columns of panels: below each other in a column, side by side on a page."""
    columns = min(panels, 1 if style.width_in < 5 else 2)
    return -(-panels // columns), columns


def _height_in(rows: int, panels: int, down: int, style: Style) -> float:
    """Rows of cells, titles, tick labels; never less than the colours' label needs."""
    titles = down * (0.033 if panels > 1 else 0.01)
    return style.font_pt * max(0.022 * rows + titles + 0.075, 0.22)


def _axes(frame: DataFrame, options: PlotOptions) -> tuple[str, str]:
    moving = frames.varying(frame)
    across = _across(frame, options, moving)
    if options.against is not None:
        return across, frames.named_column(frame, options.against)
    others = [name for name in moving if name not in (across, options.by)]
    split = [name for name in others if name.endswith("split")]
    axes = [name for name in others if name != frames.POINT]
    if not others:
        raise ScenarioError("a heat map needs two columns that vary", value=moving, choices=moving)
    return across, frames.fewest_curves(frame, [*split, *axes, *others], [across], options.by)


def _across(frame: DataFrame, options: PlotOptions, moving: list[str]) -> str:
    if options.axis is not None:
        return frames.named_column(frame, options.axis)
    numeric = [name for name in moving if frames.is_numeric(frame[name])]
    snr = [name for name in numeric if name.endswith("snr_db")]
    axis = next(iter([*snr, *numeric, *moving]), None)
    if axis is None:
        raise ScenarioError("nothing varies in this table", choices=frames.axes_of(frame))
    return axis


def heat_maps(
    frame: DataFrame,
    column: str,
    axes: tuple[str, str],
    panels: list[frames.Curve],
    grid: tuple[int, int],
    figure: Figure,
) -> DataFrame:
    """A panel of cells for every design, the best of each column and those alike to it framed.

    Args:
        frame: A sweep's tidy table.
        column: KPI.
        axes: Columns across and down.
        panels: Names and rows of the designs (`simsplit.results.frames.curves`).
        grid: Rows and columns of panels.
        figure: Where to draw.

    Returns:
        What was drawn: ``curve``, both axes, the KPI and its interval, ``best`` (double frame),
        ``alike`` (single frame, see `alike_to_best`; a best cell is not alike).
    """
    places = [frames.categories(frame[axis]) for axis in axes]
    tables = _stack(panels, column, axes, places)
    unit = quantity(column, frame[column])
    best = best_of_columns(tables, column)
    low, high = (_stack(panels, f"{column}_ci_{end}", axes, places) for end in ("low", "high"))
    alike = alike_to_best(low, high, best)
    grid_of: Any = figure.subplots(*grid, squeeze=False, sharex=True, sharey=True)
    every = list(grid_of.flat)
    scale = _colours(unit.factor * tables, column)
    for index, (ax, panel) in enumerate(zip(every, panels, strict=False)):
        mesh = _panel(ax, unit.factor * tables[index], (best[index], alike[index]), scale)
        _ticks(ax, places)
        ax.set_title(panel.name, pad=3)
    for ax in every[len(panels) :]:
        ax.set_axis_off()
    _named(figure, grid_of, axes, mesh, unit, every)
    return _drawn(panels, column, axes, places, {"best": best, "alike": alike})


def best_of_columns(tables: NDArray[np.float64], column: str) -> NDArray[np.bool_]:
    """Which cell of each column is the best over all panels, ``(panels, down, across)``.

    Equal cells are all best; a column without a number has none.
    """
    signed = tables if higher_is_better(column) else -tables
    filled = np.where(np.isfinite(signed), signed, -np.inf)
    is_best: NDArray[np.bool_] = (filled == filled.max(axis=(0, 1))) & np.isfinite(signed)
    return is_best


def alike_to_best(
    low: NDArray[np.float64], high: NDArray[np.float64], best: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which cells' interval overlaps or touches that of a best one of their column.

    A best cell is not alike to itself, nor is a cell without an interval. Overlap is the cautious
    test: two means whose intervals just overlap may still differ significantly.

    Args:
        low, high: Ends of the intervals, ``(panels, down, across)``; NaN where there is none.
        best: `best_of_columns`, of the same shape.
    """
    least = np.where(best & np.isfinite(low), low, np.inf).min(axis=(0, 1))
    most = np.where(best & np.isfinite(high), high, -np.inf).max(axis=(0, 1))
    is_alike: NDArray[np.bool_] = (high >= least) & (low <= most) & ~best
    return is_alike


def _stack(
    panels: list[frames.Curve], column: str, axes: tuple[str, str], places: list[list[Any]]
) -> NDArray[np.float64]:
    """A column of the table as ``(panels, down, across)``."""
    return np.stack([_cells(part, column, axes, places) for _, part, _ in panels])


def _cells(
    part: DataFrame, column: str, axes: tuple[str, str], places: list[list[Any]]
) -> NDArray[np.float64]:
    """The KPI as ``(down, across)``; NaN where nothing ran.

    Raises:
        ScenarioError: Two rows of the table share a cell.
    """
    across, down = axes
    if part.duplicated([across, down]).any():
        raise ScenarioError("several rows share a cell of the heat map", value=list(axes))
    table = part.set_index([down, across])[column].unstack()
    return table.reindex(index=places[1], columns=places[0]).to_numpy(float)


def _colours(values: NDArray[np.float64], column: str) -> Any:
    """Linear colours; logarithmic for costs (seconds, joules, bits) that differ by factors."""
    from matplotlib.colors import LogNorm, Normalize

    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    is_cost = column.endswith(("_s", "_j", "_bits", "_uses"))
    return LogNorm(low, high) if is_cost and 0 < low < high / 5 else Normalize(low, high)


def _panel(
    ax: Axes,
    cells: NDArray[np.float64],
    marks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    scale: Any,
) -> Any:
    """Coloured cells with their numbers; ``marks``: double frames and single ones."""
    edges = [np.arange(size + 1) - 0.5 for size in cells.shape[::-1]]
    mesh = ax.pcolormesh(*edges, cells, cmap=COLOUR_MAP, norm=scale, edgecolor="w", linewidth=0.4)
    for down, across in np.argwhere(np.isfinite(cells)):
        _number(ax, across, down, cells, mesh)
    best, alike = marks
    for down, across in np.argwhere(best):
        _outline(ax, across, down, _BEST_FRAME)
    for down, across in np.argwhere(alike):
        _outline(ax, across, down, [(0.9, _ink(mesh, cells[down, across]))])
    ax.set_facecolor("0.9")
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)
    return mesh


def _number(ax: Axes, across: int, down: int, cells: NDArray[np.float64], mesh: Any) -> None:
    """The cell's value, as large as the cell allows, white on dark and black on light."""
    style = style_of(ax.get_figure())  # type: ignore[arg-type]
    value = cells[down, across]
    text = cell_text(value, decimals_of(mesh.norm.vmin, mesh.norm.vmax))
    columns = ax.get_subplotspec().get_gridspec().ncols  # type: ignore[union-attr]
    cell_pt = 72 * (0.72 * style.width_in / columns) / cells.shape[1]
    size = min(style.small_pt, cell_pt / (0.55 * len(text)))
    if size < 0.55 * style.small_pt:
        return  # the colour alone; the numbers are in the CSV
    ax.text(across, down, text, ha="center", va="center", size=size, color=_ink(mesh, value))


def _ink(mesh: Any, value: float) -> str:
    """White on dark and black on light."""
    red, green, blue, _ = mesh.cmap(mesh.norm(value))
    return "k" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "w"


def cell_text(value: float, decimals: int) -> str:
    """A cell's number; a share without its leading zero."""
    text = f"{value:.{decimals}f}"
    return text.replace("0.", ".", 1) if abs(value) < 1 and decimals else text


def decimals_of(low: float, high: float) -> int:
    """Decimals that show three digits of the largest number, and two of how far they differ."""
    most, span = max(abs(low), abs(high)), high - low
    usual = 0 if most >= 100 else 1 if most >= 10 else 2
    fine = math.ceil(1 - math.log10(span)) if span > 0 else 0
    return min(4, max(usual, fine))


def _outline(ax: Axes, across: int, down: int, lines: Sequence[tuple[float, str]]) -> None:
    """A frame of lines on each other, each with its width in points and its colour."""
    from matplotlib.patches import Rectangle

    for width, line in lines:
        corner = (across - 0.44, down - 0.42)
        looks: dict[str, Any] = {"fill": False, "edgecolor": line, "lw": width, "zorder": 3}
        ax.add_patch(Rectangle(corner, 0.88, 0.84, clip_on=False, **looks))


def _ticks(ax: Axes, places: list[list[Any]]) -> None:
    across, down = (frames.ticks_of(values) for values in places)
    step = -(-len(across) // 16)
    ax.set_xticks(range(0, len(across), step), across[::step])
    ax.set_yticks(range(len(down)), down)


def _named(
    figure: Figure, grid_of: Any, axes: tuple[str, str], mesh: Any, unit: Quantity, every: Any
) -> None:
    for ax in grid_of[-1]:
        ax.set_xlabel(label(axes[0]))
    _named_down(figure, grid_of[:, 0], label(axes[1]))
    text = unit.label if "$" in unit.label else "\n".join(wrap(unit.label, LABEL_WIDTH))
    bar: Any = figure.colorbar(mesh, ax=every, label=text, fraction=0.05, pad=0.02)
    if bar.norm.__class__.__name__ == "LogNorm":
        plain_log_ticks(bar.ax, "y")
    bar.outline.set_visible(False)
    bar.solids.set_rasterized(False)  # vectors: PGF needs no picture beside it
    bar.solids.set_edgecolor("face")


def _named_down(figure: Figure, first: Sequence[Axes], text: str) -> None:
    """The name beside every panel of the first column; once for all where they are too low."""
    style = style_of(figure)
    rows = abs(float(np.diff(first[0].get_ylim())[0]))
    if len(first) > 1 and 0.5 * len(text) * style.font_pt > 72 * style.font_pt * 0.022 * rows:
        figure.supylabel(text, fontsize=style.font_pt)
        return
    for ax in first:
        ax.set_ylabel(text)


def _drawn(
    panels: list[frames.Curve],
    column: str,
    axes: tuple[str, str],
    places: list[list[Any]],
    marks: dict[str, NDArray[np.bool_]],
) -> DataFrame:
    parts = []
    for number, (name, part, _) in enumerate(panels):
        table = interval_table(part, name, list(axes), column)
        across = [places[0].index(value) for value in part[axes[0]]]
        down = [places[1].index(value) for value in part[axes[1]]]
        for mark, cells in marks.items():
            table[mark] = cells[number, down, across]
        parts.append(table)
    return stacked(parts)
