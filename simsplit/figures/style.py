"""A paper figure's looks: sizes, colours, files; readable in grey and without colour vision."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.figures.contract import Drawing
from simsplit.figures.pgf import write_pgf
from simsplit.files import whole_file, write_whole
from simsplit.results.labels import booktabs

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame


# Okabe & Ito, Color Universal Design, 2008; ordered so that neighbours differ in grey as well.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), "-", "--")
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++", "ooo")


@dataclass(frozen=True, slots=True)
class Style:
    """Where a figure goes: its width and usual height in inches, its fonts and lines in points."""

    width_in: float
    height_in: float
    font_pt: float = 8
    small_pt: float = 7
    line_pt: float = 1.1
    marker_pt: float = 3.5
    font: str = "STIXGeneral"
    math: str = "stix"

    def rc(self) -> dict[Any, Any]:
        """Matplotlib's settings."""
        return {
            "font.family": [self.font, "DejaVu Sans"],
            "mathtext.fontset": self.math,
            "font.size": self.font_pt,
            "axes.labelsize": self.font_pt,
            "axes.titlesize": self.font_pt,
            "legend.fontsize": self.small_pt,
            "xtick.labelsize": self.small_pt,
            "ytick.labelsize": self.small_pt,
            "axes.linewidth": 0.55 * self.line_pt,
            "lines.linewidth": self.line_pt,
            "lines.markersize": self.marker_pt,
            "hatch.linewidth": 0.5,
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.frameon": False,
        }


STYLES = {
    "ieee_column": Style(3.5, 2.5),  # IEEE's author centre: 3.5 in a column, 7.16 in the page
    "ieee_page": Style(7.16, 2.7),
    "thesis": Style(5.8, 3.4, 10, 9, 1.3, 4.5),
    "slide": Style(9.0, 5.0, 18, 15, 2.4, 9.0, "DejaVu Sans", "dejavusans"),
}
WIDTH_IN, HEIGHT_IN = STYLES["ieee_column"].width_in, STYLES["ieee_column"].height_in
PAGE_IN = STYLES["ieee_page"].width_in
DPI = 200


def style_named(name: str) -> Style:
    """The style of that name.

    Raises:
        ScenarioError: There is none.
    """
    if name not in STYLES:
        raise ScenarioError("no such style", path="style", value=name, choices=list(STYLES))
    return STYLES[name]


@contextmanager
def blank_figure(style: str = "ieee_column", height_in: float | None = None) -> Iterator[Figure]:
    """An empty figure as wide as the style says; no display, no global state."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    look = style_named(style)
    with mpl.rc_context(look.rc()):
        size = (look.width_in, height_in or look.height_in)
        figure = Figure(figsize=size, dpi=DPI, layout="constrained")
        figure.set_label(style)  # fonts are chosen when a figure is drawn: `save` must know
        FigureCanvasAgg(figure)
        yield figure


@contextmanager
def paper_figure(
    height_in: float | None = None, style: str = "ieee_column"
) -> Iterator[tuple[Figure, Axes]]:
    """A figure with one pair of axes in a style; column-wide for IEEE if left out."""
    with blank_figure(style, height_in) as figure:
        yield figure, figure.add_subplot()


@contextmanager
def page_figure(rows: int, columns: int) -> Iterator[tuple[Figure, Any]]:
    """A figure of small panels over the whole page's width, rows and columns sharing their axes.

    Yields the figure and its axes, ``(rows, columns)``.
    """
    with blank_figure("ieee_page", 0.4 + 1.55 * rows) as figure:
        yield figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey="row")


@contextmanager
def _drawn_as_made(figure: Figure) -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context(style_of(figure).rc()):
        yield


def style_of(figure: Figure) -> Style:
    """The style a figure was made in."""
    return STYLES.get(str(figure.get_label()), STYLES["ieee_column"])


def save(drawing: Drawing | Figure, stem: Path) -> list[Path]:
    """Write ``stem.png`` (200 dpi), ``stem.pdf`` (fonts embedded), ``stem.pgf``; the same bytes
    whenever the same figure is written.

    A `Drawing` leaves its numbers too: ``stem.csv``, and ``stem_<table>.csv`` and ``.tex``.
    """
    if not isinstance(drawing, Drawing):
        return _pictures(drawing, stem)
    paths = [*_pictures(drawing.figure, stem), _beside(stem, ".csv")]
    write_whole(paths[-1], drawing.data.to_csv(index=False, lineterminator="\n"))
    for name, table in drawing.tables.items():
        paths += [_beside(stem, f"_{name}.csv"), _beside(stem, f"_{name}.tex")]
        write_whole(paths[-2], table.to_csv(index=False, lineterminator="\n"))
        write_whole(paths[-1], _printed(table))
    return paths


_HEADINGS = {"bd_rate_percent": "BD rate [%]", "bd_metric": "BD metric"}


def _printed(table: DataFrame) -> str:
    """LaTeX of a table's numbers in four digits, under names in words; a dash for no value."""
    numeric = {str(c) for c in table.columns if table[c].dtype.kind in "if"}
    named = {str(c): _HEADINGS.get(str(c), str(c).replace("_", " ")) for c in table.columns}
    text = table.astype(object).map(_cell).rename(columns=named)
    return booktabs(text, numeric={named[name] for name in numeric})


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return "–" if np.isnan(value) else f"{value:.4g}"


def _beside(stem: Path, ending: str) -> Path:
    return stem.parent / f"{stem.name}{ending}"


def _pictures(figure: Figure, stem: Path) -> list[Path]:
    png, pdf, pgf = (_beside(stem, ending) for ending in (".png", ".pdf", ".pgf"))
    with _drawn_as_made(figure):
        with whole_file(png) as aside:
            figure.savefig(aside, dpi=DPI, metadata={"Software": None})
        with whole_file(pdf) as aside:
            figure.savefig(aside, dpi=DPI, metadata={"CreationDate": None})
        write_pgf(figure, pgf)
    return [png, pdf, pgf]


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file's bytes (200 dpi)."""
    buffer = io.BytesIO()
    with _drawn_as_made(figure):
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()


def colour(position: int) -> str:
    """Colour of the curve or part at a position in its figure."""
    return COLOURS[position % len(COLOURS)]


def hatch(position: int) -> str:
    """Hatch of the part at a position in its stack."""
    return HATCHES[position % len(HATCHES)]


def look(position: int) -> dict[str, Any]:
    """Colour, marker and line of the curve at a position in its figure; 64 differ."""
    index, around = position % len(COLOURS), position // len(COLOURS)
    other = (index + around) % len(COLOURS)
    return {"color": COLOURS[index], "marker": MARKERS[other], "linestyle": LINES[other]}


def look_at(index: tuple[int, int | None]) -> dict[str, Any]:
    """Looks of a design of two settings: colour and marker say the first, line and fill the rest.

    A design of one setting (the second is None) has `look`.
    """
    first, second = index
    if second is None:
        return look(first)
    fill = COLOURS[first % len(COLOURS)] if second % 2 == 0 else "w"
    line = {"linestyle": LINES[second % 6], "markerfacecolor": fill}
    return look(first) | line


def grid(ax: Axes, axis: Any) -> None:
    """A faint grid behind the data."""
    ax.grid(visible=True, axis=axis, color="0.88", linewidth=0.5)
    ax.set_axisbelow(True)


def legend_above(ax: Axes, columns: int | None = None) -> None:
    """Legend above the axes, so that it never covers data; as many columns as fit if left out."""
    lines, names = ax.get_legend_handles_labels()
    shown_above(ax.get_figure(), lines, names, columns)


def shown_above(figure: Any, lines: Any, names: list[str], columns: int | None = None) -> None:
    """These entries as the figure's legend; none for a single one."""
    if len(names) < 2:
        return
    style = style_of(figure)
    if columns is None:
        widest_pt = (0.43 * max(len(name) for name in names) + 5.5) * style.small_pt
        fitting = max(1, int(72 * style.width_in / widest_pt))
        rows = -(-len(names) // fitting)
        columns = -(-len(names) // rows)
        grow(figure, max(0, rows - 3) * 1.6 * style.small_pt / 72)
    figure.legend(
        lines,
        names,
        loc="outside upper center",
        ncols=columns,
        columnspacing=1.2,
        handlelength=2.6,
    )


def note_below(figure: Figure, text: str) -> None:
    """A line below the axes in small letters, which makes the figure higher; none if empty."""
    if not text:
        return
    small_pt = style_of(figure).small_pt
    grow(figure, 1.6 * small_pt / 72)
    figure.supxlabel(text, x=0.99, ha="right", fontsize=small_pt)


def grow(figure: Figure, inches: float) -> None:
    """A long legend or long names make the figure higher, not the axes lower."""
    width, height = figure.get_size_inches()
    figure.set_size_inches(width, height + inches)
