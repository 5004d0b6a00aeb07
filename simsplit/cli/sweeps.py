"""Verbs about many runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simsplit.cli.terminal import (
    OutOption,
    ScenarioArg,
    app,
    guarded,
    progress_bars,
)


@app.command()
@guarded
def sweep(
    scenario: ScenarioArg,
    axis: Annotated[list[str], typer.Option("--axis", help="path=a:b:step or path=a,b,c.")],
    replications: Annotated[int | None, typer.Option(min=1)] = None,
    out: OutOption = None,
) -> None:
    """Run a scenario over a grid of values."""
    from simsplit.sweep import parse_axis
    from simsplit.sweep import sweep as run_sweep

    axes = dict(parse_axis(text) for text in axis)
    folder = out or Path("results") / f"sweep-{Path(scenario).stem}"
    with progress_bars() as progress:
        run_sweep(
            scenario,
            axes,
            replications=replications,
            out=folder,
            progress=lambda i, n, _: progress("points", i, n),
        )
    typer.echo(f"Sweep: {folder}")
