"""Verbs about hardware files: what they rest on, and their fit to published latencies."""

from __future__ import annotations

from typing import Annotated

import typer

from simsplit.cli.terminal import app, guarded, print_table


@app.command()
@guarded
def hardware(
    name: Annotated[
        str | None, typer.Argument(help="A hardware file's name or path; default: all of them.")
    ] = None,
    fit: Annotated[
        bool, typer.Option("--fit", help="Fit a bundled file to its published latencies anew.")
    ] = False,
) -> None:
    """List hardware files and what their latencies rest on, or show one with its sources."""
    from simsplit.hardware import evidence

    if name is None and not fit:
        print_table("Hardware", list(evidence.LIST_COLUMNS), evidence.list_rows())
        return
    from simsplit.hardware import fit_roofline, published

    if fit:
        typer.echo(f"Fitted: {fit_roofline.fit_file(name)}")
    shown = str(name)
    print_table(shown, list(evidence.FIGURE_COLUMNS), evidence.figure_rows(shown))
    rows = published.latency_rows(shown)
    if rows:
        print_table("Published latencies", list(published.LATENCY_COLUMNS), rows)
    typer.echo(evidence.verdict(shown))
