"""Verbs about many runs: sweep, status."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simsplit.cli.terminal import (
    AllowCodeOption,
    OutOption,
    SetOption,
    app,
    fail,
    guarded,
    print_table,
    sweep_bar,
)

if TYPE_CHECKING:
    from simsplit.results.sweep_folder import Status
    from simsplit.scenario.sweeps import Sweep


@app.command()
@guarded
def sweep(
    scenario: Annotated[
        str,
        typer.Argument(help="Sweep file, scenario (with --axis), or folder of a sweep to go on."),
    ],
    axis: Annotated[
        list[str] | None,
        typer.Option(
            "--axis",
            help="path=a:b:step, path=a,b,c, path=log(a,b,n); zipped by ';'; "
            "path=uniform(a,b) with --samples; 'path=a,b if CONDITION'.",
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", help="Only points where this holds.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option("--samples", min=1, help="Latin hypercube over sampled axes.")
    ] = None,
    set_: SetOption = None,
    replications: Annotated[int | None, typer.Option(min=1)] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", help="e.g. accuracy:0.01,latency_s.p95:5% (half-widths)."),
    ] = None,
    max_replications: Annotated[int | None, typer.Option("--max-replications", min=2)] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=0, help="Processes; 0: in this one.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Dask scheduler, tcp://host:8786.")
    ] = None,
    is_resumed: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Keep finished points, or run all anew.")
    ] = True,
    out: OutOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Run many points side by side; finished ones are kept, so the same command goes on."""
    from simsplit.study.sweep import Execution, resume, run_sweep

    is_folder = (Path(scenario) / "sweep.json").is_file()
    folder, asked = out or Path(scenario), None
    if is_folder:
        _refuse_options(scenario, axis, where, samples, set_, replications, until, max_replications)
    else:
        asked = _asked(scenario, axis, where, samples, set_ or [])
        asked = _replicated(asked, replications, until, max_replications)
        folder = out or Path("results") / asked.name
    how: dict[str, Any] = {"workers": workers, "scheduler": scheduler, "is_anew": not is_resumed}
    try:
        with sweep_bar() as progress:
            if asked is None:
                resume(folder, progress=progress, **how)
            else:
                run_sweep(asked, folder, Execution(progress=progress, **how))
    except KeyboardInterrupt:
        _stopped(folder)
    _ended(folder)


def _asked(
    scenario: str,
    axis: list[str] | None,
    where: str | None,
    samples: int | None,
    set_: list[str],
) -> Sweep:
    """What the command line asks for: a sweep file, or a scenario with axes."""
    from simsplit.errors import ScenarioError
    from simsplit.scenario.places import SCENARIO, SWEEP, find_named, looked_in, names
    from simsplit.scenario.sweeps import read_sweep, sweep_from_axes, sweep_path

    file = sweep_path(scenario)
    if file is not None and not axis:
        return read_sweep(file, overrides=set_, where=where)
    if file is not None:
        message = "this is a sweep file, which has axes of its own; --axis goes with a scenario"
        raise ScenarioError(message, path="--axis", value=", ".join(axis or ()))
    if not axis:
        if Path(scenario).is_file() or find_named(SCENARIO, scenario) is not None:
            raise ScenarioError("a sweep of a scenario needs --axis", value=scenario)
        message = f"neither a sweep file, nor a scenario, nor a sweep's folder ({looked_in()})"
        choices = [*names(SWEEP), *names(SCENARIO)]
        raise ScenarioError(message, value=scenario, choices=choices)
    return sweep_from_axes(scenario, axis, where=where, samples=samples, overrides=set_)


def _refuse_options(folder: str, *options: object) -> None:
    """A folder goes on as it was asked for."""
    from simsplit.errors import ScenarioError

    if any(option is not None for option in options):
        message = "a sweep's folder says itself what is run: leave out axes, conditions, settings"
        raise ScenarioError(f"{message} and replications", value=folder)


def _replicated(
    asked: Sweep, replications: int | None, until: str | None, max_replications: int | None
) -> Sweep:
    """What the command line says of replications counts more than what the file says."""
    return replace(
        asked,
        replications=asked.replications if replications is None else replications,
        until=asked.until if until is None else until,
        max_replications=max_replications or asked.max_replications,
    )


def _stopped(folder: Path) -> None:
    from simsplit.results.sweep_folder import status as read_status

    progress = read_status(folder)
    text = f"stopped with {progress.done} of {progress.total} points done; go on with"
    fail(f"{text} `simsplit sweep {folder}`", 130)


def _ended(folder: Path) -> None:
    from simsplit.results.sweep_folder import status as read_status

    progress = read_status(folder)
    typer.echo(f"Sweep: {folder} ({progress.done} of {progress.total} points)")
    _tell(progress)
    if progress.failed:
        raise SystemExit(1)
    typer.echo(f"Look: simsplit table {folder}, simsplit plot {folder}, simsplit report {folder}")


def _tell(progress: Status) -> None:
    """What a reader of the sweep must know."""
    if progress.imprecise:
        text = f"At {progress.imprecise} points not every interval is as narrow as asked (--until)"
        typer.secho(text, fg="yellow", err=True)
    if progress.unlisted:
        text = f"{progress.unlisted} results of earlier sweeps lie in the folder; "
        text += "no table lists them"
        typer.secho(text, fg="yellow", err=True)
    alike: dict[str, list[str]] = {}
    for axes, error in progress.failed.items():
        alike.setdefault(error, []).append(axes)
    for error, points in alike.items():
        more = f" and {len(points) - 3} more" if len(points) > 3 else ""
        typer.secho(f"Failed at {'; '.join(points[:3])}{more}: {error}", fg="red", err=True)


@app.command()
@guarded
def status(folder: Path) -> None:
    """Say how far a sweep is: points done, running and failed, and the time to go."""
    from simsplit.results.sweep_folder import status as read_status

    progress = read_status(folder)
    per_point = "–" if progress.seconds_per_point is None else f"{progress.seconds_per_point:.1f} s"
    rest = "–" if progress.remaining_s is None else f"{progress.remaining_s:.0f} s"
    ended = "done" if progress.done == progress.total else "stopped"
    state = "running" if progress.is_running else ended
    rows = [
        ["state", state],
        ["points", f"{progress.done} of {progress.total}"],
        ["under way", ", ".join(progress.running) or "–"],
        ["failed", str(len(progress.failed))],
        ["per point", per_point],
        ["to go", rest],
    ]
    typer.echo(f"{progress.name}: {folder}")
    print_table("", ["what", "value"], rows)
    _tell(progress)
    if state == "stopped":
        typer.echo(f"Go on with: simsplit sweep {folder}")
