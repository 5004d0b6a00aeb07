"""Verbs about finding designs: optimise, capacity."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simsplit.cli.terminal import (
    JsonOption,
    OutOption,
    ScenarioArg,
    SetOption,
    app,
    guarded,
    print_json,
    print_table,
    progress_bars,
)

if TYPE_CHECKING:
    from simsplit.optimise.outcome import OptimisationResult

PointOption = Annotated[
    str | None,
    typer.Option("--point", help="Judge by this operating point (else: over all requests)."),
]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Processes (else: all cores).")]


class Sampler(StrEnum):
    """Who proposes the designs."""

    TPE = "tpe"
    NSGA2 = "nsga2"
    RANDOM = "random"


@app.command()
@guarded
def optimise(
    scenario: ScenarioArg,
    axis: Annotated[
        list[str],
        typer.Option(
            "--axis",
            help="path=a,b,c, path=low:high:step, path=uniform(0,23), loguniform(1,100), "
            "int(1,16) or logint(1,1024).",
        ),
    ],
    objective: Annotated[
        list[str], typer.Option("--objective", help="max KPI or min KPI; several: a Pareto front.")
    ],
    where: Annotated[
        str, typer.Option(help="Constraints, e.g. 'deadline_misses <= 1 %, energy_j <= 2'.")
    ] = "",
    trials: Annotated[int, typer.Option(min=1, help="Designs to try.")] = 60,
    batch: Annotated[int, typer.Option(min=1, help="Designs proposed at a time.")] = 4,
    replications: Annotated[int | None, typer.Option(min=1, help="Of every design.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampler.")] = 1,
    sampler: Annotated[Sampler, typer.Option(help="Who proposes.")] = Sampler.TPE,
    point: PointOption = None,
    set_: SetOption = None,
    workers: WorkersOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
    figures: Annotated[bool, typer.Option(help="Draw the Pareto figure too.")] = True,
) -> None:
    """Search axes of a scenario for the best designs; goes on where it was stopped."""
    from simsplit.optimise import FILE
    from simsplit.optimise import optimise as search
    from simsplit.optimise.figure import plot_front
    from simsplit.optimise.search import parse_axes

    folder = out or Path("results") / f"optimum-{Path(scenario).stem}"
    with progress_bars(quiet=as_json) as progress:
        found = search(
            scenario,
            parse_axes(axis),
            objective,
            where,
            out=folder,
            trials=trials,
            batch=batch,
            replications=replications,
            seed=seed,
            sampler=sampler.value,
            point=point,
            overrides=set_ or [],
            workers=workers,
            progress=lambda done, total, _: progress("designs", done, total),
        )
    drawn = plot_front(found, folder / "figures") if figures else []
    if as_json:
        print_json(found.described(is_finished=True))
        return
    _print_front(found)
    typer.echo(f"Search: {folder / FILE}")
    for path in drawn[:1]:
        typer.echo(f"Figure: {path}")


def _print_front(found: OptimisationResult) -> None:
    title = "Best design" if found.best else "Pareto front" if found.front else "Least violated"
    designs = found.front or ([found.closest] if found.closest else [])
    if designs:
        print_table(f"{title}: mean ± half-width of the 95 % interval", *found.table(designs))
    for note in found.notes:
        typer.echo(f"- {note}")


@app.command()
@guarded
def capacity(
    scenario: ScenarioArg,
    where: Annotated[
        str, typer.Option(help="Conditions, e.g. 'accuracy >= 0.6, latency_s.p99 <= 0.1'.")
    ],
    devices: Annotated[
        str, typer.Option(help="auto (the only group), a group, or all in their proportions.")
    ] = "auto",
    max_devices: Annotated[int, typer.Option(min=1, help="Look no further.")] = 1000,
    replications: Annotated[int, typer.Option(min=1, help="Of every count.")] = 5,
    max_replications: Annotated[
        int | None, typer.Option(min=1, help="Where intervals do not decide (else: 4 times).")
    ] = None,
    point: PointOption = None,
    set_: SetOption = None,
    workers: WorkersOption = None,
    out: OutOption = None,
    as_json: JsonOption = False,
) -> None:
    """How many devices fit under conditions; goes on where it was stopped."""
    from simsplit.capacity import FILE
    from simsplit.capacity import capacity as search

    folder = out or Path("results") / f"capacity-{Path(scenario).stem}"
    found = search(
        scenario,
        where,
        out=folder,
        devices=devices,
        max_devices=max_devices,
        replications=replications,
        max_replications=max_replications,
        point=point,
        overrides=set_ or [],
        workers=workers,
        progress=lambda verdict: typer.echo(str(verdict), err=True),
    )
    if as_json:
        print_json(found.described())
        return
    print_table("Counts that were run: mean ± half-width of the 95 % interval", *found.table())
    typer.echo(found.answer)
    for note in found.notes:
        typer.echo(f"- {note}")
    typer.echo(f"Capacity: {folder / FILE}")
