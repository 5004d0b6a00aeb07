"""Verbs about figures and tables: plot, table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simsplit.cli.terminal import app, guarded, print_table

KIND_HELP = (
    "Which figure. Of a run: latency_cdf, latency_by_stage, energy_by_part, timeline, queue, "
    "radio_map; of a sweep: metric, rate_distortion, stages, pareto, heatmap, policies; or all."
)
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where", help="Rows to take, e.g. 'snr_db == 4, 8 and accuracy >= 0.6'; may be repeated."
    ),
]


@app.command()
@guarded
def plot(
    folder: Annotated[Path, typer.Argument(help="Folder of a run or a sweep.")],
    kind: Annotated[str, typer.Option("--kind", help=KIND_HELP)] = "all",
    metric: Annotated[str | None, typer.Option(help="KPI, e.g. accuracy, latency_s.p95.")] = None,
    axis: Annotated[str | None, typer.Option(help="Axis or KPI across.")] = None,
    against: Annotated[str | None, typer.Option(help="Second axis or KPI.")] = None,
    by: Annotated[str | None, typer.Option(help="Column that parts the curves.")] = None,
    where: WhereOption = None,
    device: Annotated[int | None, typer.Option(min=0, help="Device of a timeline.")] = None,
    start_s: Annotated[float | None, typer.Option("--start-s", help="Window's start.")] = None,
    end_s: Annotated[float | None, typer.Option("--end-s", help="Window's end.")] = None,
    style: Annotated[
        str, typer.Option(help="ieee_column, ieee_page, thesis or slide.")
    ] = "ieee_column",
    scale: Annotated[str | None, typer.Option(help="Vertical axis: linear or log.")] = None,
    limits: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH", help="Ends of the vertical axis, in the unit that it shows."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", help="NAME=TEXT: an operating point's name in print."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the files.")] = None,
) -> None:
    """Draw figures of a run or sweep: PNG, PDF, PGF, and their numbers as CSV."""
    from simsplit.figures import contract, kinds

    chosen = (metric, axis, against, by, device, start_s, end_s, style)
    labels = contract.label_options(label or ())
    options = contract.PlotOptions(*chosen, tuple(where or ()), scale, limits, labels)
    left_out: dict[str, str] = {}
    if kind == "all":
        drawn, left_out = kinds.plot_all(folder, out or folder, options)
    else:
        drawn = kinds.plot(folder, kind, out, options)
    for path in drawn:
        typer.echo(f"Figure: {path}")
    for name, reason in left_out.items():
        typer.secho(f"Left out: {name}: {reason}", fg="yellow", err=True)


@app.command()
@guarded
def table(
    folder: Annotated[Path, typer.Argument(help="Folder of a run or a sweep.")],
    columns: Annotated[
        str | None, typer.Option(help="E.g. axis,operating_point,accuracy,latency_s.p95,energy_j.")
    ] = None,
    where: WhereOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="File: .tex, .md or .csv.")] = None,
) -> None:
    """Print or write a table of a run or sweep, KPIs as mean ± half-width of the 95 % interval."""
    from simsplit.results import tables

    names = [name.strip() for name in (columns or "").split(",") if name.strip()]
    made = tables.table(tables.read_table(folder, where or ()), names)
    if out is not None:
        typer.echo(f"Table: {tables.write_table(made, out)}")
        return
    print_table(str(folder), tables.headings(made), made.text.to_numpy().tolist())
    if made.note:
        typer.echo(made.note)
