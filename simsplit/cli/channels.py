"""Verbs about measured channels: trace make, trace show."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simsplit.cli.terminal import app, guarded, print_table

trace_app = typer.Typer(help="Measured channels.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(trace_app, name="trace")


class TraceKind(StrEnum):
    """Where a made trace comes from."""

    TDL = "tdl"
    CDL = "cdl"
    RT = "rt"


@trace_app.command()
@guarded
def make(
    kind: Annotated[TraceKind, typer.Argument(help="TR 38.901 TDL or CDL, or ray tracing.")],
    out: Annotated[Path, typer.Option("--out", help="CSV or Parquet to write.")],
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="key=value of the model, e.g. profile=C, speed_mps=3, scene=munich."
        ),
    ] = None,
) -> None:
    """Write a channel trace with Sionna; without --set its defaults (listed on a wrong key)."""
    from simsplit.phy.traces.kinds import make_trace
    from simsplit.scenario.yaml import settings

    file = make_trace(kind.value, out, settings(option or []))
    typer.echo(f"Trace: {file}")


@trace_app.command(name="show")
@guarded
def show_trace(file: Path) -> None:
    """Print what is understood of a trace file: devices, duration, levels, what was decided."""
    import numpy as np

    from simsplit.phy.traces.read import read_trace

    trace = read_trace(file)
    rows = [
        [
            name,
            str(len(level)),
            f"{time[-1]:.4g}",
            *(f"{f(level):.1f}" for f in (np.min, np.median, np.max)),
        ]
        for name, time, level in zip(trace.devices, trace.time_s, trace.level_db, strict=True)
    ]
    unit = "SNR dB" if trace.value == "snr" else "RSRP dBm"
    columns = ["device", "rows", "seconds", f"lowest {unit}", "median", "highest"]
    print_table(str(file), columns, rows)
    for note in trace.notes:
        typer.echo(f"- {note}")
