"""Verbs about one run: run, check, show, report."""

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
    print_summary,
    print_table,
    progress_bars,
)

if TYPE_CHECKING:
    from simsplit.results import Result


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
    as_json: JsonOption = False,
    figures: Annotated[bool, typer.Option(help="Draw the result's figures too.")] = True,
) -> None:
    """Simulate a scenario, store the result with its figures and print its table."""
    from simsplit.replicate import run_or_replicate

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
        )
    if figures:
        from simsplit.plots.drawing import plot_once

        plot_once(result)
    if as_json:
        found = {"folder": str(result.folder), "summary": result.summary}
        print_json(found | {"until": result.manifest["until"]} if until else found)
        return
    print_summary(result.summary)
    if until:
        _print_precision(result)
    typer.echo(f"Result: {result.folder}")


def _print_precision(result: Result) -> None:
    from simsplit.replicate import precision

    sentence, heading, rows = precision(result)
    typer.echo(sentence)
    print_table("Half-widths of the 95 % intervals", heading, rows)
    if not result.manifest["until"]["reached"]:
        typer.secho(
            "Warning: not precise; a larger --max-replications goes on from here", fg="yellow"
        )


@app.command()
@guarded
def check(scenario: ScenarioArg, set_: SetOption = None, as_json: JsonOption = False) -> None:
    """Validate a scenario and print offered load, capacity and expected utilisation."""
    from dataclasses import asdict

    from simsplit.expect import expect
    from simsplit.load import load

    expectation = expect(load(scenario, overrides=set_ or []))
    if as_json:
        print_json(asdict(expectation))
        return
    rows = expectation.rows()
    print_table("Expected, before anything runs", list(rows[0]), [list(r.values()) for r in rows])
    for note in expectation.notes:
        typer.echo(f"- {note}")
    for warning in expectation.warnings:
        typer.secho(f"Warning: {warning}", fg="yellow")


@app.command()
@guarded
def show(result: Path, as_json: JsonOption = False) -> None:
    """Print the table of a result folder."""
    from simsplit.results import read_result

    found = read_result(result)
    if as_json:
        print_json(found.summary)
    else:
        print_summary(found.summary)


@app.command()
@guarded
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a run or of a sweep.")],
) -> None:
    """Write the report of a run or a sweep into its folder: one HTML page that loads nothing."""
    from simsplit.report import report as write_report

    typer.echo(f"Report: {write_report(folder)}")
