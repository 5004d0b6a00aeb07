"""Verbs about finding designs: optimise, capacity; and about its intervals: coverage."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simsplit.cli.terminal import (
    AllowCodeOption,
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
    from simsplit.study.optimum import OptimisationResult


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
    allow_code: AllowCodeOption = False,
) -> None:
    """Search axes of a scenario for the best designs; goes on where it was stopped."""
    from simsplit.figures.optimum import plot_front
    from simsplit.study import optimise as study
    from simsplit.study import search

    folder = out or Path("results") / f"optimum-{Path(scenario).stem}"
    with progress_bars(quiet=as_json) as progress:
        result = study.optimise(
            scenario,
            search.parse_axes(axis),
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
    drawn = plot_front(result, folder / "figures") if figures else []
    if as_json:
        print_json(result.described(is_finished=True))
        return
    _print_front(result)
    typer.echo(f"Search: {folder / study.FILE}")
    for path in drawn[:1]:
        typer.echo(f"Figure: {path}")


def _print_front(result: OptimisationResult) -> None:
    title = "Best design" if result.best else "Pareto front" if result.front else "Least violated"
    designs = result.front or ([result.closest] if result.closest else [])
    if designs:
        print_table(f"{title}: mean ± half-width of the 95 % interval", *result.table(designs))
    for note in result.notes:
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
    allow_code: AllowCodeOption = False,
) -> None:
    """How many devices fit under conditions; goes on where it was stopped."""
    from simsplit.study import capacity as study

    folder = out or Path("results") / f"capacity-{Path(scenario).stem}"
    result = study.capacity(
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
        print_json(result.described())
        return
    print_table("Counts that were run: mean ± half-width of the 95 % interval", *result.table())
    typer.echo(result.answer)
    for note in result.notes:
        typer.echo(f"- {note}")
    typer.echo(f"Capacity: {folder / study.FILE}")


@app.command()
@guarded
def coverage(
    scenario: ScenarioArg,
    set_: SetOption = None,
    other: Annotated[
        list[str] | None,
        typer.Option("--other", help="path=value of the run that it is compared with."),
    ] = None,
    drops: Annotated[int, typer.Option(min=8, help="Drops; half of them make the truth.")] = 8000,
    repetitions: Annotated[int, typer.Option(min=1, help="Of every case.")] = 400,
    replications: Annotated[int, typer.Option(min=2, help="Drops in a repetition.")] = 40,
    workers: WorkersOption = None,
    out: OutOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Measure how often the 95 % intervals hold the truth: toys, and a scenario of many drops."""
    from simsplit.study.coverage import FILE
    from simsplit.study.coverage import coverage as measure

    folder = out or Path("results") / f"coverage-{Path(scenario).stem}"
    with progress_bars() as progress:
        rows = measure(
            scenario,
            out=folder,
            overrides=set_ or [],
            other=other or [],
            drops=drops,
            repetitions=repetitions,
            replications=replications,
            workers=workers,
            progress=progress,
        )
    cells = [
        [
            *(row.case, row.statistic, row.interval, f"{row.truth:.4g}"),
            *(f"{100 * share:.1f} %" for share in (row.covered, row.without)),
            "yes" if row.holds else "NO",
        ]
        for row in rows
    ]
    heading = ["case", "statistic", "interval", "truth", "covered", "without", "holds"]
    print_table("Coverage of 95 % intervals", heading, cells)
    typer.echo(f"Table: {folder / FILE}")
