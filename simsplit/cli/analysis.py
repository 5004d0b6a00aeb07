"""Verbs about what results say: compare, bd, rd, warmup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simsplit.cli.terminal import JsonOption, app, guarded, print_json, print_table

if TYPE_CHECKING:
    from simsplit.bd import Delta
    from simsplit.compare import Difference
    from simsplit.warmup import Suggestion


@app.command()
@guarded
def compare(
    a: Annotated[Path, typer.Argument(help="Result folder.")],
    b: Annotated[Path | None, typer.Argument(help="Another one, or none: parts of A.")] = None,
    of: Annotated[
        str | None, typer.Option("--of", help="Only this operating point or group (of A).")
    ] = None,
    with_: Annotated[str | None, typer.Option("--with", help="B's, if it is another one.")] = None,
    kpi: Annotated[
        list[str] | None, typer.Option("--kpi", help="Only these, e.g. accuracy, latency_s.p95.")
    ] = None,
    family: Annotated[
        bool, typer.Option("--family", help="All intervals hold together (Bonferroni).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Print what is different between two results: every KPI's B - A with a paired interval."""
    from dataclasses import asdict

    from simsplit.compare import compare as compare_sides
    from simsplit.compare import sides
    from simsplit.results import read_result

    second = None if b is None else read_result(b)
    found = compare_sides(*sides(read_result(a), second, of, with_), kpis=kpi, family=family)
    if as_json:
        verdicts = [{"verdict": d.verdict} | asdict(d) for d in found.differences]
        print_json(asdict(found) | {"differences": verdicts})
        return
    interval = f"{100 * found.confidence:.4g} % interval"
    columns = ["KPI", "A", "B", "B - A", interval, "var. ratio", "B is"]
    rows = [_difference_cells(one) for one in found.differences]
    print_table(f"A: {found.a}, B: {found.b}", columns, rows)
    _print_notes([found.pairing, *found.notes])


def _difference_cells(found: Difference) -> list[str]:
    ends = f"{_figure(found.low, 3)} … {_figure(found.high, 3)}"
    interval = "-" if math.isnan(found.low) else ends
    ratio = "-" if math.isnan(found.variance_ratio) else f"{found.variance_ratio:.2g}"
    levels = [_figure(found.a, 4), _figure(found.b, 4), _figure(found.difference, 3)]
    return [found.kpi, *levels, interval, ratio, found.verdict]


def _figure(number: float, digits: int) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.{digits}g}"


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        typer.echo(f"- {note}")


@app.command()
@guarded
def bd(
    anchor: Annotated[Path, typer.Argument(help="Sweep, its points.csv, or two columns.")],
    test: Annotated[Path, typer.Argument(help="What is compared with it.")],
    rate: Annotated[str, typer.Option("--rate", help="Column.")] = "payload_bits",
    metric: Annotated[str, typer.Option("--metric", help="Column.")] = "accuracy",
    point: Annotated[
        str | None, typer.Option("--point", help="Operating point, or ANCHOR:TEST.")
    ] = None,
    at: Annotated[
        list[str] | None, typer.Option("--at", help="Only rows with column=value.")
    ] = None,
    min_overlap: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the anchor's range needed.")
    ] = 0.5,
    as_json: JsonOption = False,
) -> None:
    """Print Bjøntegaard deltas of rate and metric: cubic (VCEG-M33), PCHIP (JVET) and Akima."""
    from dataclasses import asdict

    from simsplit.bd import compared, matched, read_curves
    from simsplit.kpis import kpi_column

    curves = [read_curves(path, rate, metric, kpi_column, at or ()) for path in (anchor, test)]
    found = compared(matched(curves[0], curves[1], point), min_overlap)
    if as_json:
        print_json({"pairs": [asdict(one) for one in found]})
        return
    for one in found:
        title = f"{one.test.name or 'test'} against {one.anchor.name or 'anchor'}"
        columns = ["method", f"BD {one.anchor.rate_name} %", f"BD {one.anchor.metric_name}"]
        print_table(title, columns, [_delta_cells(delta) for delta in one.deltas])
        _print_notes(one.notes)


def _delta_cells(found: Delta) -> list[str]:
    rate = "no BD" if found.rate_percent is None else f"{found.rate_percent:+.2f}"
    return [found.method, rate, "no BD" if found.metric is None else f"{found.metric:+.4g}"]


@app.command()
@guarded
def rd(
    pairs: Annotated[
        list[str],
        typer.Argument(metavar="ANCHOR:TEST", help="Networks by name in models/, or folders."),
    ],
    method: Annotated[
        str, typer.Option("--method", help="Of the BD-rate: cubic, pchip or akima.")
    ] = "cubic",
    min_overlap: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the anchor's range needed.")
    ] = 0.5,
    lowest_quality: Annotated[
        int, typer.Option(min=1, max=95, help="Of JPEG; the paper's ladder ends at 80.")
    ] = 1,
    style: Annotated[
        str, typer.Option(help="ieee_column, ieee_page, thesis or slide.")
    ] = "ieee_page",
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the files.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare trained networks' rate and distortion over training seeds, from their cards."""
    from simsplit.rate_distortion.study import study, write_study
    from simsplit.rate_distortion.texts import delta_table, named_once, png_table

    found = study(pairs, method, min_overlap, lowest_quality)
    files = [] if out is None else write_study(found, out, style)
    if as_json:
        print_json(found.summary)
        return
    columns, lines = delta_table(found.summary)
    title = f"BD-rate of the proposed against the baseline ({method}); below 0: fewer bits"
    print_table(title, columns, named_once(lines))
    columns, lines = png_table(found.summary)
    print_table("Coded as PNG, means over the seeds", columns, named_once(lines))
    _print_notes(found.summary["notes"])
    for path in files:
        typer.echo(f"File: {path}")


@app.command()
@guarded
def warmup(result: Path, as_json: JsonOption = False) -> None:
    """Print how much of a run's beginning MSER-5 leaves out, per group and station."""
    from dataclasses import asdict

    from simsplit.results import read_result
    from simsplit.warmup import suggest_warmup

    run = read_result(result)
    found = suggest_warmup(run.scenario, run.requests)
    if as_json:
        print_json(asdict(found) | {"overrides": found.overrides, "notes": found.notes})
        return
    columns = ["group", "station", "requests", "warm-up s", "single replications s"]
    rows = [_suggestion_cells(one) for one in found.suggestions]
    print_table(f"{run.scenario.name}: MSER-5 over seconds spent there", columns, rows)
    _print_notes(found.notes)


def _suggestion_cells(found: Suggestion) -> list[str]:
    mean = f"{found.replications} x {found.n}" if found.replications > 1 else str(found.n)
    warmup = found.reason if found.warmup_s is None else f"{found.warmup_s:.3g}"
    single = "-"
    if found.replications > 1 and found.single_s:
        single = f"{min(found.single_s):.3g} … {max(found.single_s):.3g}"
    return [found.group, found.station, mean, warmup, single]
