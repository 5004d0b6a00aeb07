"""Figures of a stored run or sweep, written as files: which kinds there are, and who draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from simsplit.errors import ScenarioError, SimsplitError
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.figures.policies import plot_study
from simsplit.figures.requests import (
    cdf_drawing,
    energy_drawing,
    measured_requests,
    parts_of,
    stage_drawing,
)
from simsplit.figures.style import save
from simsplit.results.frames import POINT
from simsplit.results.store import Result
from simsplit.results.sweep_folder import RUN, SWEEP, kind_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Kind:
    """Who draws a kind of figure (``module:function``), the folder and the options it takes.

    ``takes``: names in `PlotOptions`; every kind takes ``style`` as well.
    """

    target: str
    needs: str
    takes: tuple[str, ...]
    in_all: bool = True


_OF_REQUESTS = ("by", "where", "label")
_OVER_TIME = ("device", "start_s", "end_s", "where")
_CURVES = ("metric", "axis", "by", "where", "scale", "limits", "label")
_PLANE = ("metric", "axis", "against", "by", "where", "label")

KINDS: dict[str, Kind] = {
    "latency_cdf": Kind("requests:draw_latency_cdf", RUN, _OF_REQUESTS),
    "latency_by_stage": Kind("requests:draw_latency_by_stage", RUN, _OF_REQUESTS),
    "energy_by_part": Kind("requests:draw_energy_by_part", RUN, _OF_REQUESTS),
    "timeline": Kind("timeline:draw", RUN, _OVER_TIME),
    "queue": Kind("queue:draw", RUN, _OVER_TIME),
    "radio_map": Kind("radio_map:draw", RUN, ("device",)),
    "metric": Kind("curves:draw", SWEEP, _CURVES),
    "cliff": Kind("curves:draw", SWEEP, _CURVES, in_all=False),
    "rate_distortion": Kind("rate_distortion:draw", SWEEP, _PLANE),
    "stages": Kind("stages:draw", SWEEP, ("axis", "by", "where", "label")),
    "pareto": Kind("pareto:draw", SWEEP, _PLANE),
    "heatmap": Kind("heatmap:draw", SWEEP, _PLANE),
}


def draw(folder: Path, kind: str, options: PlotOptions | None = None) -> Drawing:
    """One figure of a stored run or sweep.

    Raises:
        ScenarioError: Unknown kind, a kind that this folder does not have, an option that the kind
            does not take, an unknown column.
        ArtefactError: ``folder`` holds neither a run nor a sweep.
    """
    if kind not in KINDS:
        choices = (*KINDS, "policies", "all")
        raise ScenarioError("unknown kind of figure", value=kind, choices=choices)
    holds = kind_of(folder)
    if KINDS[kind].needs != holds:
        message = f"the folder holds one {holds}, the figure needs a {KINDS[kind].needs}"
        raise ScenarioError(message, path=str(folder), value=kind, choices=kinds_of(holds))
    refuse_others(kind, options or PlotOptions(), (*KINDS[kind].takes, "style"))
    module, _, function = KINDS[kind].target.partition(":")
    made = getattr(import_module(f"simsplit.figures.{module}"), function)
    drawing: Drawing = made(Path(folder), options or PlotOptions())
    return drawing


def refuse_others(kind: str, options: PlotOptions, takes: Sequence[str]) -> None:
    """Nothing, if every option that was given is among those that a figure ``takes``.

    Raises:
        ScenarioError: One is not; names it, the kinds that take it, and what would do.
    """
    others = [name for name in given(options) if name not in takes]
    if others:
        rest = "" if takes else ", nor any other option"
        message = f"the figure {kind} does not take {', '.join(map(_flag, others))}{rest}"
        message += "".join(map(_taken_by, others))
        raise ScenarioError(message, choices=[_flag(name) for name in takes])


def given(options: PlotOptions) -> list[str]:
    """Names of the options that differ from what they are if left out."""
    usual = PlotOptions()
    names = [item.name for item in fields(PlotOptions)]
    return [name for name in names if getattr(options, name) != getattr(usual, name)]


def _taken_by(name: str) -> str:
    """Which kinds an option is for."""
    kinds = [kind for kind, about in KINDS.items() if name in about.takes]
    return f"; {_flag(name)} is for {', '.join(kinds)}"


def _flag(name: str) -> str:
    """How the command line calls an option."""
    return "--" + name.replace("_", "-")


def kinds_of(holds: str) -> list[str]:
    """Kinds of figure that a run or a sweep has."""
    return [name for name, kind in KINDS.items() if kind.needs == holds]


def plot(
    folder: str | Path,
    kind: str = "all",
    out: str | Path | None = None,
    options: PlotOptions | None = None,
) -> list[Path]:
    """Draw figures of a run or a sweep as PNG, PDF, PGF, and their numbers as CSV.

    Args:
        folder: Of a run or a sweep.
        kind: One of `KINDS`, ``policies``, or ``all`` that the folder has.
        out: Directory of the files; the folder itself if None.
        options: Metric, axis, style …; see `PlotOptions`.

    Returns:
        The files.

    Raises:
        ScenarioError, ArtefactError: See `draw`.
    """
    folder = Path(folder)
    out = folder if out is None else Path(out)
    if kind == "all":
        return plot_all(folder, out, options)[0]
    if kind == "policies":
        refuse_others(kind, options or PlotOptions(), ())
        return plot_study(folder, out)
    return save(draw(folder, kind, options), out / kind)


def plot_all(
    folder: Path, out: Path, options: PlotOptions | None = None
) -> tuple[list[Path], dict[str, str]]:
    """Draw every figure that the folder has and that takes the options given.

    Returns:
        The files, and why a kind was left out: columns that are not there or do not vary.

    Raises:
        SimsplitError: Not one could be drawn; the first reason.
    """
    paths: list[Path] = []
    errors: dict[str, SimsplitError] = {}
    for kind in _kinds_for(kind_of(folder), options or PlotOptions()):
        try:
            paths += plot(folder, kind, out, options)
        except SimsplitError as error:
            errors[kind] = error
    if not paths:
        raise next(iter(errors.values()))
    return paths, {kind: str(error) for kind, error in errors.items()}


def _kinds_for(holds: str, options: PlotOptions) -> list[str]:
    """Kinds drawn without being named, that take the options given.

    Raises:
        ScenarioError: No kind takes them all.
    """
    kinds = {name: KINDS[name] for name in kinds_of(holds) if KINDS[name].in_all}
    asked = set(given(options)) - {"style"}
    able = [name for name, kind in kinds.items() if asked <= set(kind.takes)]
    if not able:
        options_taken = dict.fromkeys(name for kind in kinds.values() for name in kind.takes)
        flags = " with ".join(_flag(name) for name in given(options))
        message = f"no figure of a {holds} takes {flags}"
        if len(asked) == 1:
            message += "".join(map(_taken_by, asked))
        raise ScenarioError(message, choices=[_flag(name) for name in options_taken])
    return able


def run_figures(result: Result) -> dict[str, Figure]:
    """The figures of one run's requests by name, over its measured window."""
    return {name: drawing.figure for name, drawing in run_drawings(result).items()}


def run_drawings(result: Result) -> dict[str, Drawing]:
    """Latency distribution, latency by stage and energy by part of one run, with their numbers."""
    rows, names = measured_requests(result), parts_of(result.scenario, POINT)
    return {
        "latency_cdf": cdf_drawing(rows, names=names),
        "latency_by_stage": stage_drawing(rows, names=names),
        "energy_by_part": energy_drawing(rows, names=names),
    }


def plot_result(result: Result, out_dir: Path) -> list[Path]:
    """Write a result's figures (`run_drawings`) into a folder; gives the files."""
    drawings = run_drawings(result).items()
    return [path for name, drawing in drawings for path in save(drawing, out_dir / name)]


def plot_once(result: Result) -> list[Path]:
    """Write a stored result's figures into its folder ``figures`` unless they are there.

    Nothing is drawn if nothing was stored.
    """
    if result.folder is None:
        return []
    folder = result.folder / "figures"
    return [] if folder.exists() else plot_result(result, folder)
