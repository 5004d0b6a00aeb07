"""Figures of a stored run or sweep, written as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.plots.curves import metric_against_snr
from simsplit.plots.requests import energy_by_part, latency_by_stage, latency_cdf
from simsplit.plots.style import (
    paper_figure,
    save,
)
from simsplit.results import Result, read_result
from simsplit.summary import measured
from simsplit.sweep import load_results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("latency_cdf", "latency_by_stage", "energy_by_part", "cliff")


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
