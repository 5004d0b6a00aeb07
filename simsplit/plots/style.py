"""A paper figure's looks: sizes, colours, files; readable in grey and without colour vision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito, Color Universal Design, 2008; ordered so that neighbours differ in grey as well.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), "-", "--")
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++", "ooo")
WIDTH_IN, HEIGHT_IN = 3.5, 2.5
PAGE_IN = 7.16
LABELS = {
    "score_miou": "mean IoU",
    "score_accuracy": "accuracy",
    "score_miou_in_time": "mean IoU, late answers worth 0",
    "score_accuracy_in_time": "accuracy, late answers worth 0",
    "score_pixel_accuracy": "pixel accuracy",
    "score_disparity_rmse_px": "disparity RMSE [px]",
    "score_psnr_db": "PSNR [dB]",
    "latency_s": "mean latency [s]",
    "latency_p50_s": "median latency [s]",
    "latency_p95_s": "95th percentile of latency [s]",
    "latency_p99_s": "99th percentile of latency [s]",
    "energy_j": "energy per request [J]",
    "payload_bits": "payload [bit]",
    "channel_uses": "channel uses per request",
    "delivered": "delivered fraction",
    "deadline_met": "fraction in time",
}
_STYLE: dict[Any, Any] = {
    "font.family": "serif",
    "font.serif": ["STIXGeneral", "DejaVu Serif"],
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "hatch.linewidth": 0.5,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
}


@contextmanager
def paper_figure(height_in: float = HEIGHT_IN) -> Iterator[tuple[Figure, Axes]]:
    """A column-wide figure and its axes in the paper's style; no display, no global state."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.add_subplot()


@contextmanager
def page_figure(rows: int, columns: int) -> Iterator[tuple[Figure, Any]]:
    """A figure of small panels over the whole page's width, rows and columns sharing their axes.

    Yields the figure and its axes, ``(rows, columns)``.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(PAGE_IN, 0.4 + 1.55 * rows), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, figure.subplots(rows, columns, squeeze=False, sharex=True, sharey="row")


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write ``stem.png`` (200 dpi) and ``stem.pdf`` (fonts embedded)."""
    import matplotlib as mpl

    stem.parent.mkdir(parents=True, exist_ok=True)
    paths = [stem.parent / f"{stem.name}.{ending}" for ending in ("png", "pdf")]
    for path in paths:
        metadata = {"CreationDate": None} if path.suffix == ".pdf" else {}
        with mpl.rc_context(_STYLE):  # fonts are chosen when a figure is drawn
            figure.savefig(path, dpi=200, metadata=metadata)
    return paths


def png_bytes(figure: Figure) -> bytes:
    """The figure as a PNG file's bytes (200 dpi)."""
    import io

    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context(_STYLE):
        figure.savefig(buffer, format="png", dpi=200)
    return buffer.getvalue()


def colour(position: int) -> str:
    return COLOURS[position % len(COLOURS)]


def look(position: int) -> dict[str, Any]:
    """Colour, marker and line of the curve at a position in its figure."""
    place = position % len(COLOURS)
    return {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": LINES[place]}


def grid(ax: Axes, axis: Any) -> None:
    ax.grid(visible=True, axis=axis, color="0.88", linewidth=0.5)
    ax.set_axisbelow(True)


def plain_log_ticks(ax: Axes) -> None:
    """Ticks 1, 2, 5, 10 … as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = ax.get_xlim()
    decades = np.log10(high / low)
    subs: Iterable[float] = (1, 2, 5) if decades < 2.5 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=list(subs), numticks=12))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def legend_above(ax: Axes, columns: int = 2) -> None:
    """Legend above the axes, so that it never covers data."""
    figure: Any = ax.get_figure()
    figure.legend(loc="outside upper center", ncols=columns, columnspacing=1.2, handlelength=2.6)
