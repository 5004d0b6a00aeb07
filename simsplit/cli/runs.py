"""Verbs about one run: run, check, show, report."""

from __future__ import annotations

from dataclasses import asdict
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
    print_summary,
    print_table,
    progress_bars,
)

if TYPE_CHECKING:
    from simsplit.results.store import Result


class Fidelity(StrEnum):
    """How block errors come about."""

    TABLE = "table"
    EXACT = "exact"


@app.command()
@guarded
def run(
    scenario: ScenarioArg,
    set_: SetOption = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    out: OutOption = None,
    duration_s: Annotated[float | None, typer.Option("--duration-s")] = None,
    replications: Annotated[int | None, typer.Option(min=1)] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            help="Replicate until every 95 % interval is this narrow (half-widths), "
            "e.g. accuracy:0.01,latency_s.p95:5%.",
        ),
    ] = None,
    max_replications: Annotated[
        int | None, typer.Option("--max-replications", help="With --until: at most; 100.")
    ] = None,
    min_replications: Annotated[
        int | None, typer.Option("--min-replications", help="With --until: at least; 10.")
    ] = None,
    fidelity: Annotated[Fidelity | None, typer.Option()] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", min=0, help="Processes for replications; 0: in this one."),
    ] = None,
    as_json: JsonOption = False,
    figures: Annotated[bool, typer.Option(help="Draw the result's figures too.")] = True,
    allow_code: AllowCodeOption = False,
) -> None:
    """Simulate a scenario, store the result with its figures and print its table."""
    from simsplit.study.replicate import run_or_replicate

    with progress_bars(quiet=as_json) as progress:
        result = run_or_replicate(
            scenario,
            until=until,
            limit=max_replications,
            minimum=min_replications,
            out=out,
            seed=seed,
            duration_s=duration_s,
            replications=replications,
            fidelity=None if fidelity is None else fidelity.value,
            overrides=set_ or [],
            progress=progress,
            workers=workers,
        )
    if figures:
        from simsplit.figures.kinds import plot_once

        plot_once(result)
    if as_json:
        content = {"folder": str(result.folder), "summary": result.summary}
        print_json(content | {"until": result.manifest["until"]} if until else content)
        return
    print_summary(result.summary)
    if until:
        _print_precision(result)
    typer.echo(f"Result: {result.folder}")


def _print_precision(result: Result) -> None:
    from simsplit.study.replicate import precision

    sentence, heading, rows = precision(result)
    typer.echo(sentence)
    print_table("Half-widths of the 95 % intervals", heading, rows)
    if not result.manifest["until"]["reached"]:
        typer.secho(
            "Warning: not precise; a larger --max-replications goes on from here", fg="yellow"
        )


@app.command()
@guarded
def check(
    scenario: ScenarioArg,
    set_: SetOption = None,
    as_json: JsonOption = False,
    allow_code: AllowCodeOption = False,
) -> None:
    """Open what a scenario names, list all mistakes, and print expected loads and defaults."""
    from simsplit.study.check import check as checked
    from simsplit.study.defaults import default_lines

    expectation = checked(scenario, overrides=set_ or [])
    if as_json:
        print_json(asdict(expectation) | {"offered_hz": expectation.offered_hz})
        return
    rows = expectation.rows()
    basis = f"{expectation.pilot_requests} requests in a pilot of {expectation.drops} drops"
    title = f"Expected: rates x mean work of {basis}" if expectation.drops else "Asked for"
    print_table(title, list(rows[0]), [list(r.values()) for r in rows])
    typer.echo("Left to defaults:")
    for line in default_lines(expectation.defaults):
        typer.echo(line)
    for note in expectation.notes:
        typer.echo(f"- {note}")
    for warning in expectation.warnings:
        typer.secho(f"Warning: {warning}", fg="yellow")


@app.command()
@guarded
def show(result: Path, as_json: JsonOption = False) -> None:
    """Print the table of a result folder."""
    from simsplit.results.store import read_result

    stored = read_result(result)
    if as_json:
        print_json(stored.summary)
    else:
        print_summary(stored.summary)


@app.command()
@guarded
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run or of a sweep.")],
) -> None:
    """Write the report of a run or a sweep into its folder: one HTML page that loads nothing."""
    from simsplit.pages.report import report as write_report

    typer.echo(f"Report: {write_report(folder)}")
