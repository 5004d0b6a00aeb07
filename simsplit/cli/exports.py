"""Verbs about results for other programs: export."""

from __future__ import annotations

import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simsplit.cli.terminal import app, guarded


class Format(StrEnum):
    """What another program reads."""

    PERFETTO = "perfetto"
    CSV = "csv"
    PARQUET = "parquet"


class What(StrEnum):
    """Which table is written as CSV or Parquet."""

    TRAFFIC = "traffic"
    TABLE = "table"


@app.command()
@guarded
def export(
    folder: Annotated[Path, typer.Argument(help="Result folder; a sweep's with --what table.")],
    format_: Annotated[
        Format, typer.Option("--format", help="perfetto: Chrome trace, opens in ui.perfetto.dev.")
    ],
    what: Annotated[
        What | None,
        typer.Option(help="traffic: requests to be replayed (default); table: KPIs by point."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; without it, in the folder.")
    ] = None,
    replication: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Only this one, again for more (perfetto: 0, csv: all)."),
    ] = None,
    start_s: Annotated[
        float | None, typer.Option("--start-s", min=0, help="Requests that arrived from then on.")
    ] = None,
    end_s: Annotated[
        float | None, typer.Option("--end-s", min=0, help="Requests that arrived before then.")
    ] = None,
) -> None:
    """Write a run as a trace for Perfetto, its traffic for replay, or its table."""
    from simsplit.results import export as exporting
    from simsplit.results.perfetto import Window
    from simsplit.results.sweep_table import load_results

    window = Window(
        tuple(replication) if replication else None,
        0.0 if start_s is None else start_s,
        math.inf if end_s is None else end_s,
    )
    job = exporting.Job(format_.value, None if what is None else what.value, out, window)
    is_sweep = what is What.TABLE and (folder / "sweep.json").is_file()
    path, count = job.write(folder, load_results(folder) if is_sweep else None)
    typer.echo(f"Export: {path} ({count} {'rows' if what is What.TABLE else 'requests'})")
