"""Figures for a paper: one column wide (3.5 in), readable in grey and without colour vision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.results import Result, measured, read_result
from simsplit.sweep import load_results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pandas import DataFrame

KINDS = ("latency_cdf", "latency_by_stage", "energy_by_part", "cliff")
# Okabe & Ito, Color Universal Design, 2008; ordered so that neighbours differ in grey as well.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), "-", "--")
HATCHES = ("", "///", "...", "\\\\\\", "xxx", "++", "ooo")
WIDTH_IN, HEIGHT_IN = 3.5, 2.5
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


PAGE_IN = 7.16


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


# --- sweeps -----------------------------------------------------------------------------------


def metric_against_snr(frame: DataFrame, metric: str, ax: Axes) -> None:
    """A KPI over SNR, one line per operating point, with its 95 % interval as a band.

    ``frame``: a sweep's tidy table with one column that ends in ``snr_db``.
    """
    axis = snr_column(frame)
    if metric not in frame:
        choices = [name for name in frame.columns if f"{name}_low" in frame]
        raise ScenarioError("the table has no such KPI", value=metric, choices=choices)
    for position, (name, part) in enumerate(frame.groupby("operating_point", sort=False)):
        part = part.sort_values(axis)
        snr_db, mean = part[axis].to_numpy(float), part[metric].to_numpy(float)
        ax.plot(snr_db, mean, label=str(name), **look(position))
        low, high = part[f"{metric}_low"], part[f"{metric}_high"]
        band = (low.to_numpy(float), high.to_numpy(float))
        ax.fill_between(snr_db, *band, color=_colour(position), alpha=0.2, linewidth=0)
    ax.set_xlabel("$E_s/N_0$ [dB]")
    ax.set_ylabel(LABELS.get(metric, metric))
    _grid(ax, "both")
    _legend_above(ax)


def snr_column(frame: DataFrame) -> str:
    """The swept SNR's column."""
    found = [str(n) for n in frame.columns if str(n).endswith(".snr_db")]
    if len(found) != 1:
        raise ScenarioError("the sweep needs exactly one axis that ends in snr_db", value=found)
    return found[0]


# --- one run ----------------------------------------------------------------------------------


def latency_cdf(requests: DataFrame) -> Figure:
    """Fraction of all requests answered within a time, per operating point.

    Lost, rejected and open requests count as never answered: the curve then ends below 1.
    """
    with paper_figure() as (figure, ax):
        for position, (name, part) in enumerate(requests.groupby("operating_point", sort=False)):
            latency_ms = np.sort(1e3 * part["latency_s"].dropna().to_numpy(float))
            share = np.arange(1, latency_ms.size + 1) / len(part)
            every = max(1, latency_ms.size // 5)
            style = look(position) | {"markevery": (position * every // 8, every)}
            ax.step(latency_ms, share, where="post", label=str(name), **style)
        ax.set_xscale("log")
        _plain_log_ticks(ax)
        ax.set_ylim(0, 1.02)
        ax.set_xlabel("latency [ms]")
        ax.set_ylabel("fraction of requests")
        _grid(ax, "both")
        _legend_above(ax)
        return figure


def latency_by_stage(requests: DataFrame) -> Figure:
    """Mean time in every stage of the closed requests, stacked per operating point."""
    closed = requests[requests["latency_s"].notna()]
    stages = stage_times(closed)
    means_ms = 1e3 * stages.groupby(closed["operating_point"], sort=False).mean()
    return _stacked(means_ms, "mean latency [ms]")


def stage_times(closed: DataFrame) -> DataFrame:
    """Seconds per stage; stages not visited are 0; columns sum to ``latency_s``.

    ``other`` is what the stages do not explain, e.g. a local retry after a loss.
    """
    import pandas as pd

    at_edge = closed["edge_arrival_s"].fillna(closed["radio_end_s"])
    times = {
        "device wait": closed["device_start_s"] - closed["arrival_s"],
        "device compute": closed["device_end_s"] - closed["device_start_s"],
        "radio": at_edge - closed["device_end_s"],
        "edge wait": closed["edge_start_s"] - closed["edge_arrival_s"],
        "edge compute": closed["edge_end_s"] - closed["edge_start_s"],
        "downlink": closed["closed_s"] - closed["edge_end_s"],
    }
    stages = pd.DataFrame(times).fillna(0.0)
    other = closed["latency_s"] - stages.sum(axis=1)
    if (other.abs() > 1e-6).any():
        stages["other"] = other
    return stages


def energy_by_part(requests: DataFrame) -> Figure:
    """Mean energy per request: device compute, transmission, edge, stacked per operating point."""
    parts = {
        "device compute": "compute_energy_j",
        "transmission": "tx_energy_j",
        "reception": "rx_energy_j",
        "edge": "edge_energy_j",
    }
    means = requests.groupby("operating_point", sort=False)[list(parts.values())].mean()
    means_mj = 1e3 * means.rename(columns={column: name for name, column in parts.items()})
    return _stacked(means_mj, "energy per request [mJ]")


def _stacked(means: DataFrame, label: str) -> Figure:
    """Horizontal stacked bars, rows of ``means`` from top to bottom, the sum written at the end."""
    with paper_figure(1.1 + 0.28 * len(means)) as (figure, ax):
        position = np.arange(len(means))
        left = np.zeros(len(means))
        for index, name in enumerate(means.columns):
            width = means[name].to_numpy(float)
            style: dict[str, Any] = {"color": _colour(index), "hatch": HATCHES[index]}
            ax.barh(position, width, 0.65, left=left, label=name, edgecolor="k", lw=0.4, **style)
            left = left + width
        for y, total in enumerate(left):
            text = f"{total:.0f}" if total >= 100 else f"{total:#.3g}"
            offset: dict[str, Any] = {"xytext": (3, 0), "textcoords": "offset points"}
            ax.annotate(text, (total, y), va="center", fontsize=7, **offset)
        ax.set_yticks(position, [str(name) for name in means.index])
        ax.invert_yaxis()
        ax.set_xlim(0, 1.12 * float(left.max() or 1.0))
        ax.set_xlabel(label)
        ax.tick_params(axis="y", length=0)
        _grid(ax, "x")
        _legend_above(ax, columns=3)
        return figure


# --- files ------------------------------------------------------------------------------------


def run_figures(result: Result) -> dict[str, Figure]:
    """Every figure of one run by name, over the requests of its measured window."""
    rows = measured(result.scenario, result.requests)
    if rows.empty:
        raise ArtefactError("no request arrived in the measured window", path=str(result.folder))
    order = {point.name: place for place, point in enumerate(result.scenario.operating_points)}
    rows = rows.sort_values("operating_point", key=lambda names: names.map(order), kind="stable")
    return {
        "latency_cdf": latency_cdf(rows),
        "latency_by_stage": latency_by_stage(rows),
        "energy_by_part": energy_by_part(rows),
    }


def plot_result(result: Result, out_dir: Path) -> list[Path]:
    """Write every figure of one run as PNG and PDF."""
    figures = run_figures(result).items()
    return [path for name, figure in figures for path in save(figure, out_dir / name)]


def plot_once(result: Result) -> list[Path]:
    """Write a stored result's figures into its folder ``figures`` unless they are there.

    Nothing is drawn if nothing was stored or no request arrived in the measured window.
    """
    if result.folder is None or measured(result.scenario, result.requests).empty:
        return []
    folder = result.folder / "figures"
    return [] if folder.exists() else plot_result(result, folder)


def plot_cliff(sweep_dir: Path, out: Path, metric: str | None = None) -> list[Path]:
    """Accuracy over SNR of a finished sweep; ``out`` is a file stem or a directory."""
    frame = load_results(sweep_dir)
    if metric is None:
        metric = "score_miou" if "score_miou" in frame else "score_accuracy"
    with paper_figure() as (figure, ax):
        metric_against_snr(frame, metric, ax)
        return save(figure, out / "cliff" if out.is_dir() else out.with_suffix(""))


def plot(folder: Path, kind: str, out: Path) -> list[Path]:
    """Draw one ``kind`` of figure, or ``all`` figures of a run, into the directory ``out``.

    Raises:
        ScenarioError: Unknown kind.
        ArtefactError: ``folder`` is no result (or, for ``cliff``, no sweep).
    """
    if kind not in (*KINDS, "all"):
        choices = (*KINDS, "policies", "all")
        raise ScenarioError("unknown kind of figure", value=kind, choices=choices)
    out.mkdir(parents=True, exist_ok=True)
    if kind == "cliff":
        return plot_cliff(folder, out)
    result = read_result(folder)
    if kind == "all":
        return plot_result(result, out)
    return save(run_figures(result)[kind], out / kind)


# --- looks ------------------------------------------------------------------------------------


def _colour(position: int) -> str:
    return COLOURS[position % len(COLOURS)]


def look(position: int) -> dict[str, Any]:
    """Colour, marker and line of the curve at a position in its figure."""
    place = position % len(COLOURS)
    return {"color": COLOURS[place], "marker": MARKERS[place], "linestyle": LINES[place]}


def _grid(ax: Axes, axis: Any) -> None:
    ax.grid(visible=True, axis=axis, color="0.88", linewidth=0.5)
    ax.set_axisbelow(True)


def _plain_log_ticks(ax: Axes) -> None:
    """Ticks 1, 2, 5, 10 … as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = ax.get_xlim()
    decades = np.log10(high / low)
    subs: Iterable[float] = (1, 2, 5) if decades < 2.5 else (1,)
    ax.xaxis.set_major_locator(LogLocator(subs=list(subs), numticks=12))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())


def _legend_above(ax: Axes, columns: int = 2) -> None:
    """Legend above the axes, so that it never covers data."""
    figure: Any = ax.get_figure()
    figure.legend(loc="outside upper center", ncols=columns, columnspacing=1.2, handlelength=2.6)
