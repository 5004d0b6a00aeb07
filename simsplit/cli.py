"""The verbs on the command line; no logic. Everything heavy is imported inside its command."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, ParamSpec, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

P = ParamSpec("P")
R = TypeVar("R")

app = typer.Typer(
    name="simsplit",
    help="Wireless split computing: accuracy, latency, energy and bandwidth of a cut network.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help answers in half the time
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Fidelity(StrEnum):
    """How block errors come about."""

    TABLE = "table"
    EXACT = "exact"


ScenarioArg = Annotated[str, typer.Argument(help="YAML file or bundled name.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="path=value, e.g. cell.channel.snr_db=5.")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Result folder.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def _guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A user's mistake is one red message on stderr and exit code 2; Ctrl-C is 130."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        from simsplit.errors import SimsplitError

        try:
            return command(*args, **kwargs)
        except SimsplitError as error:
            _fail(str(error), error.exit_code)
        except OSError as error:
            _fail(f"{error.strerror or error} ({error.filename})", 2)
        except KeyboardInterrupt:
            _fail("stopped", 130)

    return guarded


def _fail(message: str, code: int) -> NoReturn:
    typer.secho(f"Error: {message}", fg="red", err=True)
    raise SystemExit(code)


@app.command()
@_guarded
def run(
    scenario: ScenarioArg,
    set_: SetOption = None,
    seed: Annotated[int | None, typer.Option(min=0)] = None,
    out: OutOption = None,
    duration_s: Annotated[float | None, typer.Option("--duration-s")] = None,
    replications: Annotated[int | None, typer.Option(min=1)] = None,
    fidelity: Annotated[Fidelity | None, typer.Option()] = None,
    as_json: JsonOption = False,
    figures: Annotated[bool, typer.Option(help="Draw the result's figures too.")] = True,
) -> None:
    """Simulate a scenario, store the result with its figures and print its table."""
    from simsplit.run import run as run_scenario

    with _progress(quiet=as_json) as progress:
        result = run_scenario(
            scenario,
            out=out,
            seed=seed,
            duration_s=duration_s,
            replications=replications,
            fidelity=None if fidelity is None else fidelity.value,
            overrides=set_ or [],
            progress=progress,
        )
    if figures:
        from simsplit.plots import plot_once

        plot_once(result)
    if as_json:
        _print_json({"folder": str(result.folder), "summary": result.summary})
        return
    _print_summary(result.summary)
    typer.echo(f"Result: {result.folder}")


@app.command()
@_guarded
def check(scenario: ScenarioArg, set_: SetOption = None, as_json: JsonOption = False) -> None:
    """Validate a scenario and print offered load, capacity and expected utilisation."""
    from dataclasses import asdict

    from simsplit.expect import expect
    from simsplit.load import load

    expectation = expect(load(scenario, overrides=set_ or []))
    if as_json:
        _print_json(asdict(expectation))
        return
    rows = expectation.rows()
    _print_table("Expected, before anything runs", list(rows[0]), [list(r.values()) for r in rows])
    for note in expectation.notes:
        typer.echo(f"- {note}")
    for warning in expectation.warnings:
        typer.secho(f"Warning: {warning}", fg="yellow")


@app.command()
@_guarded
def schema() -> None:
    """Print the JSON Schema of scenarios, for editors."""
    from simsplit.scenario import Scenario

    _print_json(Scenario.model_json_schema())


@app.command(name="list")
@_guarded
def list_() -> None:
    """List bundled scenarios, models, hardware and datasets."""
    from typing import get_args

    from simsplit.load import bundled_names, hardware_choices, model_choices
    from simsplit.scenario import Task

    datasets = get_args(Task.model_fields["dataset"].annotation)
    rows = [
        ["scenarios", ", ".join(bundled_names())],
        ["models", ", ".join(model_choices())],
        ["hardware", ", ".join(hardware_choices())],
        ["datasets", ", ".join(datasets)],
    ]
    _print_table("Bundled", ["what", "names"], rows)


@app.command()
@_guarded
def splits(
    model: Annotated[str, typer.Argument(help="torchvision model, or package.module:Name.")],
    height_px: Annotated[int, typer.Option("--height-px", min=1)] = 224,
    width_px: Annotated[int, typer.Option("--width-px", min=1)] = 224,
    weights: Annotated[
        str, typer.Option(help="A local file; sizes and work need none.")
    ] = "random",
    leaf: Annotated[
        list[str] | None, typer.Option("--leaf", help="Submodule that stays whole.")
    ] = None,
    predictor: Annotated[
        str | None, typer.Option("--predictor", help="Predict its latency, kind by kind.")
    ] = None,
    bottlenecks: Annotated[
        bool, typer.Option("--bottlenecks", help="Only cuts smaller than the input.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List where a network can be cut: what would travel, and the work on either side."""
    from dataclasses import asdict

    from simsplit.splits import (
        COLUMNS,
        predicted_lines,
        split_mappings,
        split_points,
        split_rows,
    )

    size, points = split_points(
        model, height_px=height_px, width_px=width_px, weights=weights, leaves=leaf or ()
    )
    lines = [] if predictor is None else predicted_lines(points, predictor)
    points = [point for point in points if point.is_bottleneck or not bottlenecks]
    if as_json:
        _print_json({"input_bytes": asdict(size), "points": split_mappings(points)})
        return
    title = (
        f"{model} at {height_px} x {width_px}: input {size.float32 / 1024:.4g} KiB as float32, "
        f"{size.uint8 / 1024:.4g} as bytes, {(size.jpeg or 0) / 1024:.3g} as JPEG"
    )
    _print_table(title, list(COLUMNS), split_rows(points))
    for line in lines:
        typer.echo(line)


@app.command()
@_guarded
def profile(
    model: Annotated[str, typer.Argument(help="torchvision model, or package.module:Name.")],
    batch: Annotated[str, typer.Option("--batch", help="Batch sizes.")] = "1,2,4,8",
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    height_px: Annotated[int, typer.Option("--height-px", min=1)] = 224,
    width_px: Annotated[int, typer.Option("--width-px", min=1)] = 224,
    rounds: Annotated[int, typer.Option("--rounds", min=6)] = 15,
    out: Annotated[
        Path | None, typer.Option("--out", help="Profile file; other networks in it stay.")
    ] = None,
    hardware: Annotated[
        str | None, typer.Option("--hardware", help="Compare with this file's roofline.")
    ] = None,
    predictor: Annotated[
        str | None, typer.Option("--predictor", help="Compare with this latency predictor.")
    ] = None,
) -> None:
    """Measure a network on this machine, operator by operator; scenarios can name the file."""
    from simsplit.fit.measure import (
        MEASURED,
        comparison,
        measure_network,
        measured_rows,
        whole_numbers,
    )

    found = measure_network(
        model,
        batches=whole_numbers(batch),
        threads=threads,
        size_px=(height_px, width_px),
        rounds=rounds,
        out=out,
        hardware=hardware,
        predictor=predictor,
    )
    _print_table(found.title, list(MEASURED), measured_rows(found))
    for line in comparison(found, hardware, predictor):
        typer.echo(line)
    typer.echo(f"Profile: {found.file}")


@app.command()
@_guarded
def show(result: Path, as_json: JsonOption = False) -> None:
    """Print the table of a result folder."""
    from simsplit.results import read_result

    found = read_result(result)
    if as_json:
        _print_json(found.summary)
    else:
        _print_summary(found.summary)


@app.command()
@_guarded
def train(
    recipe: Path, max_steps: Annotated[int | None, typer.Option("--max-steps", min=1)] = None
) -> None:
    """Fit what a recipe describes: a network, or a table of block errors."""
    from simsplit.fit.train import train as fit

    with _progress() as progress:
        folder = fit(recipe, max_steps=max_steps, progress=lambda i, n, _: progress("fit", i, n))
    typer.echo(f"Fitted: {folder}")


@app.command()
@_guarded
def calibrate(
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the table.")] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="What to simulate.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 1,
) -> None:
    """Make the table of block error rates by Monte Carlo; goes on where it was stopped."""
    from simsplit.fit.calibrate import calibrate as make_table
    from simsplit.load import models_dir, read_mapping

    folder = out or models_dir() / "bler_5g"
    content = read_mapping(recipe or models_dir() / "bler_5g" / "recipe.yaml")
    with _progress() as progress:
        table = make_table(content, folder, lambda i, n: progress("curves", i, n), workers)
    typer.echo(f"Table: {table}")


trace_app = typer.Typer(help="Measured channels.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(trace_app, name="trace")


class TraceKind(StrEnum):
    """Where a made trace comes from."""

    TDL = "tdl"
    CDL = "cdl"
    RT = "rt"


@trace_app.command()
@_guarded
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
    from simsplit.fit.trace_kinds import make_trace
    from simsplit.safe_yaml import settings

    file = make_trace(kind.value, out, settings(option or []))
    typer.echo(f"Trace: {file}")


@trace_app.command(name="show")
@_guarded
def show_trace(file: Path) -> None:
    """Print what is understood of a trace file: devices, duration, levels, what was decided."""
    import numpy as np

    from simsplit.phy.trace import read_trace

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
    _print_table(str(file), columns, rows)
    for note in trace.notes:
        typer.echo(f"- {note}")


@app.command()
@_guarded
def data(
    name: str,
    show: Annotated[Path, typer.Option("--show", help="Contact sheet to write (PNG).")],
) -> None:
    """Draw a contact sheet of a dataset."""
    from PIL import Image

    from simsplit.tasks.datasets import contact_sheet, open_dataset

    Image.fromarray(contact_sheet(open_dataset(name, "test"))).save(show, format="PNG")
    typer.echo(f"Contact sheet: {show}")


@app.command()
@_guarded
def validate() -> None:
    """Run the cases with a closed-form answer through the real engine; exit 1 if one is off."""
    from simsplit.validate import validate as run_cases

    with _progress() as progress:
        cases = run_cases(lambda _, i, n: progress("cases", i, n))
    rows = [
        [c.name, f"{c.expected:.5g}", f"{c.measured:.5g}", f"{c.low:.5g} … {c.high:.5g}", _tick(c)]
        for c in cases
    ]
    _print_table("Known answers", ["case", "expected", "measured", "interval", "pass"], rows)
    if not all(case.passed for case in cases):
        raise SystemExit(1)


@app.command()
@_guarded
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
    with _progress() as progress:
        run_sweep(
            scenario,
            axes,
            replications=replications,
            out=folder,
            progress=lambda i, n, _: progress("points", i, n),
        )
    typer.echo(f"Sweep: {folder}")


@app.command()
@_guarded
def plot(
    folder: Path,
    kind: Annotated[str, typer.Option("--kind", help="Which figure, or all.")] = "all",
    out: OutOption = None,
) -> None:
    """Draw the figures of a result or sweep; ``policies`` of a sweep over policies."""
    if kind == "policies":
        from simsplit.policy_study import plot_study

        drawn = plot_study(folder, out or folder)
    else:
        from simsplit.plots import plot as draw

        drawn = draw(folder, kind, out or folder)
    for path in drawn:
        typer.echo(f"Figure: {path}")


@app.command()
@_guarded
def report(result: Path) -> None:
    """Write a result's report as one HTML page."""
    from simsplit.report import report as write_report

    typer.echo(f"Report: {write_report(result)}")


@contextmanager
def _progress(*, quiet: bool = False) -> Iterator[Callable[[str, float, float], None]]:
    """A ``progress(message, done, total)`` that draws one bar per message on stderr."""
    from rich.console import Console
    from rich.progress import Progress, TaskID

    console = Console(stderr=True)
    bars: dict[str, TaskID] = {}
    with Progress(console=console, transient=True, disable=quiet or not console.is_terminal) as bar:

        def tell(message: str, done: float, total: float) -> None:
            if message not in bars:
                bars[message] = bar.add_task(message, total=total)
            bar.update(bars[message], completed=done, total=total)

        yield tell


def _tick(case: Any) -> str:
    return "yes" if case.passed else "NO"


def _print_json(content: Mapping[str, Any]) -> None:
    finite = json.loads(json.dumps(content, default=str), parse_constant=lambda _: None)
    typer.echo(json.dumps(finite, indent=2, ensure_ascii=False))


def _print_summary(summary: Mapping[str, Any]) -> None:
    from simsplit.results import print_summary

    print_summary(summary, _console())


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _console() -> Console:
    from rich.console import Console

    return Console(markup=False, width=None if sys.stdout.isatty() else 120)


def main() -> None:
    """Entry point of the ``simsplit`` command; a user's own modules may lie in this folder."""
    sys.path.append(str(Path.cwd()))
    app()
