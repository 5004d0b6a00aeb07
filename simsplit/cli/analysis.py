"""Verbs about what results say: compare, bd, rd, rates, cards, warmup."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simsplit.cli.terminal import (
    AllowCodeOption,
    JsonOption,
    ScenarioArg,
    SetOption,
    app,
    guarded,
    print_json,
    print_table,
)

if TYPE_CHECKING:
    from simsplit.results.bd import Delta
    from simsplit.results.coded_rates import Rates
    from simsplit.results.compare import Difference
    from simsplit.results.warmup import Suggestion


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
    from simsplit.results.compare import compare as compare_results
    from simsplit.results.statistics import WITHIN_DROP

    comparison = compare_results(a, b, of=of, with_=with_, kpis=kpi, family=family)
    if as_json:
        verdicts = [{"verdict": d.verdict} | asdict(d) for d in comparison.differences]
        print_json(asdict(comparison) | {"differences": verdicts})
        return
    within = f" {WITHIN_DROP}" if comparison.scope == WITHIN_DROP else ""
    interval = f"{100 * comparison.confidence:.4g} % interval{within}"
    columns = ["KPI", "A", "B", "B - A", interval, "var. ratio", "B is"]
    rows = [_difference_cells(one) for one in comparison.differences]
    print_table(f"A: {comparison.a}, B: {comparison.b}", columns, rows)
    _print_notes([comparison.pairing, *comparison.notes])


def _difference_cells(difference: Difference) -> list[str]:
    from simsplit.results.compare import APART

    ends = f"{_figure(difference.low, 3)} … {_figure(difference.high, 3)}"
    interval = "-" if math.isnan(difference.low) or difference.scope == APART else ends
    ratio = "-" if math.isnan(difference.variance_ratio) else f"{difference.variance_ratio:.2g}"
    levels = [_figure(difference.a, 4), _figure(difference.b, 4), _figure(difference.difference, 3)]
    return [difference.kpi, *levels, interval, ratio, difference.verdict]


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
    from simsplit.results.bd import compared
    from simsplit.results.curve_files import matched, read_curves
    from simsplit.results.kpis import kpi_column

    curves = [read_curves(path, rate, metric, kpi_column, at or ()) for path in (anchor, test)]
    pairs = compared(matched(curves[0], curves[1], point), min_overlap)
    if as_json:
        print_json({"pairs": [asdict(one) for one in pairs]})
        return
    for one in pairs:
        title = f"{one.test.name or 'test'} against {one.anchor.name or 'anchor'}"
        columns = ["method", f"BD {one.anchor.rate_name} %", f"BD {one.anchor.metric_name}"]
        print_table(title, columns, [_delta_cells(delta) for delta in one.deltas])
        _print_notes(one.notes)


def _delta_cells(delta: Delta) -> list[str]:
    rate = "no BD" if delta.rate_percent is None else f"{delta.rate_percent:+.2f}"
    return [delta.method, rate, "no BD" if delta.metric is None else f"{delta.metric:+.4g}"]


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
    validation: Annotated[
        bool, typer.Option("--validation", help="Over the pictures for choosing, not the test's.")
    ] = False,
    style: Annotated[
        str, typer.Option(help="ieee_column, ieee_page, thesis or slide.")
    ] = "ieee_page",
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the files.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare trained networks' rate and distortion over training seeds, from their cards."""
    from simsplit.figures.rd_study import style_named, write_study
    from simsplit.results.ladders import Range, delta_table, named_once, png_table
    from simsplit.results.rate_distortion import study

    style_named(style)  # a wrong one is told before anything is computed
    pictures: Range = "validation" if validation else "test"
    result = study(pairs, method, min_overlap, lowest_quality, pictures)
    files = [] if out is None else write_study(result, out, style)
    if as_json:
        print_json(result.summary)
        return
    columns, lines = delta_table(result.summary)
    title = f"BD-rate of the proposed against the baseline ({method}); below 0: fewer bits"
    print_table(title, columns, named_once(lines))
    columns, lines = png_table(result.summary)
    print_table("Coded as PNG, means over the seeds", columns, named_once(lines))
    _print_notes(result.summary["notes"])
    for path in files:
        typer.echo(f"File: {path}")


@app.command()
@guarded
def rates(
    scenario: ScenarioArg,
    curve: Annotated[
        list[str] | None,
        typer.Option("--curve", help="NAME=point,pattern_*: operating points of one curve."),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", help="Score, e.g. score_accuracy, map50.")
    ] = None,
    anchor: Annotated[
        list[str] | None, typer.Option("--anchor", help="Curve that the others are held against.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Operating point whose scores are taken off the others'.")
    ] = None,
    method: Annotated[
        str, typer.Option("--method", help="Of the deltas: cubic, pchip or akima.")
    ] = "pchip",
    min_overlap: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the anchor's range needed.")
    ] = 0.5,
    headers: Annotated[
        str, typer.Option("--headers", help="Of payloads: counted or left-out.")
    ] = "counted",
    set_: SetOption = None,
    style: Annotated[
        str, typer.Option(help="ieee_column, ieee_page, thesis or slide.")
    ] = "ieee_column",
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the files.")] = None,
    as_json: JsonOption = False,
    allow_code: AllowCodeOption = False,
) -> None:
    """Code every picture at every operating point: rate and score with no air between."""
    from simsplit.figures.coded_rates import style_named, write_rates
    from simsplit.study.measured_rates import curve_options, rates

    style_named(style)  # a wrong one is told before anything is coded
    result = rates(
        scenario,
        curves=curve_options(curve or ()),
        metric=metric,
        anchors=anchor or (),
        reference=reference,
        method=method,
        min_overlap=min_overlap,
        headers=headers,
        overrides=set_ or (),
    )
    files = [] if out is None else write_rates(result, out, style)
    if as_json:
        print_json(asdict(result))
        return
    _print_rates(result, scenario, method)
    for path in files:
        typer.echo(f"File: {path}")


def _print_rates(result: Rates, scenario: str, method: str) -> None:
    from simsplit.results.rate_tables import deltas_table, points_table

    print_table(f"{scenario}: rate and score, 95 % intervals over pictures", *points_table(result))
    if result.deltas:
        title = f"Bjøntegaard deltas ({method}); rate below 0: fewer bits"
        print_table(title, *deltas_table(result))
    missing = [one for one in result.deltas if one["reason"]]
    _print_notes([f"{one['test']} against {one['anchor']}: {one['reason']}" for one in missing])


@app.command()
@guarded
def cards(
    pairs: Annotated[
        list[str],
        typer.Argument(
            metavar="A+A2:B|CODE",
            help="Networks by name in models/, or folders; codes alone against their networks.",
        ),
    ],
    way: Annotated[
        str | None, typer.Option("--way", help="Of the cards' scores: direct, coded, …")
    ] = None,
    score: Annotated[
        list[str] | None, typer.Option("--score", help="Only these, or what begins so: accuracy.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="JSON file of all of it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare ways of training by their cards, paired over the training seeds of both.

    Codes that are named alone are compared with their own networks, picture by picture.
    """
    from simsplit.results import paired_cards as room

    if not any(":" in pair for pair in pairs):
        _print_losses(pairs, way, score or (), out, as_json=as_json)
        return

    result = room.paired_cards(pairs, way, score or ())
    if out is not None:
        room.write_summary(result, out)
    if as_json:
        print_json(asdict(result))
        return
    title = f"Scores, {result.way}: B - A with Student's interval over the training seeds"
    print_table(title, list(room.COLUMNS), room.score_lines(result))
    print_table("Sizes", list(room.SIZE_COLUMNS), room.size_lines(result))
    _print_notes(result.notes)


def _print_losses(
    codes: list[str], way: str | None, score: Sequence[str], out: Path | None, *, as_json: bool
) -> None:
    from simsplit.results import code_losses as room

    rows = room.code_losses(codes, score, way)
    if out is not None:
        room.write_losses(rows, out)
    if as_json:
        print_json(room.as_dict(rows))
        return
    title = "Scores with the code and without it: difference with its interval over the pictures"
    print_table(title, list(room.COLUMNS), room.loss_lines(rows))


@app.command()
@guarded
def warmup(result: Path, as_json: JsonOption = False) -> None:
    """Print how much of a run's beginning MSER-5 leaves out, per group and station."""
    from simsplit.results.store import read_result
    from simsplit.results.warmup import suggest_warmup

    run = read_result(result)
    advice = suggest_warmup(run.scenario, run.requests)
    if as_json:
        print_json(asdict(advice) | {"overrides": advice.overrides, "notes": advice.notes})
        return
    columns = ["group", "station", "requests", "warm-up s", "single replications s"]
    rows = [_suggestion_cells(one) for one in advice.suggestions]
    print_table(f"{run.scenario.name}: MSER-5 over seconds spent there", columns, rows)
    _print_notes(advice.notes)


def _suggestion_cells(suggestion: Suggestion) -> list[str]:
    is_mean, n = suggestion.replications > 1, suggestion.n
    requests = f"{suggestion.replications} x {n}" if is_mean else str(n)
    warmup = suggestion.reason if suggestion.warmup_s is None else f"{suggestion.warmup_s:.3g}"
    single = "-"
    if is_mean and suggestion.single_s:
        single = f"{min(suggestion.single_s):.3g} … {max(suggestion.single_s):.3g}"
    return [suggestion.group, suggestion.station, requests, warmup, single]
