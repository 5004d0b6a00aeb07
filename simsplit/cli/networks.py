"""Verbs about networks and fitted things: splits, profile, train, calibrate, validate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from simsplit.cli.network_tables import (
    CUT_COLUMNS,
    LAW_COLUMNS,
    MEASURED_COLUMNS,
    comparison,
    cut_mappings,
    cut_rows,
    measured_rows,
    predicted_lines,
)
from simsplit.cli.terminal import (
    AllowCodeOption,
    JsonOption,
    app,
    guarded,
    print_json,
    print_table,
    progress_bars,
)


@app.command()
@guarded
def splits(
    model: Annotated[
        str,
        typer.Argument(
            help="torchvision model, timm/NAME, mtl_split …, a .pt2 file, or module:Name."
        ),
    ],
    height_px: Annotated[int, typer.Option("--height-px", min=1)] = 224,
    width_px: Annotated[int, typer.Option("--width-px", min=1)] = 224,
    weights: Annotated[
        str | None, typer.Option(help="A local file; sizes and work need none.")
    ] = None,
    leaf: Annotated[
        list[str] | None, typer.Option("--leaf", help="Submodule that stays whole.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", help="Of the network, name=value as in YAML.")
    ] = None,
    predictor: Annotated[
        str | None, typer.Option("--predictor", help="Predict its latency, kind by kind.")
    ] = None,
    bottlenecks: Annotated[
        bool, typer.Option("--bottlenecks", help="Only cuts smaller than the input.")
    ] = False,
    as_json: JsonOption = False,
    allow_code: AllowCodeOption = False,
) -> None:
    """List where a network can be cut: what would travel, and the work on either side."""
    from simsplit.networks.opened import split_points

    size, points = split_points(
        model,
        height_px=height_px,
        width_px=width_px,
        weights=weights,
        leaves=leaf or (),
        options=option or (),
    )
    lines = [] if predictor is None else predicted_lines(points, predictor)
    points = [point for point in points if point.is_bottleneck or not bottlenecks]
    if as_json:
        print_json({"input_bytes": asdict(size), "points": cut_mappings(points)})
        return
    title = (
        f"{model} at {height_px} x {width_px}: input {size.float32 / 1024:.4g} KiB as float32, "
        f"{size.uint8 / 1024:.4g} as bytes, {(size.jpeg or 0) / 1024:.3g} as JPEG"
    )
    print_table(title, list(CUT_COLUMNS), cut_rows(points))
    for line in lines:
        typer.echo(line)


@app.command()
@guarded
def profile(
    model: Annotated[
        str, typer.Argument(help="torchvision model, package.module:Name, or the word codecs.")
    ],
    batch: Annotated[str, typer.Option("--batch", help="Batch sizes.")] = "1,2,4,8",
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    height_px: Annotated[int, typer.Option("--height-px", min=1)] = 224,
    width_px: Annotated[int, typer.Option("--width-px", min=1)] = 224,
    rounds: Annotated[
        int | None, typer.Option("--rounds", min=1, help="15 of a network, at least 6; codecs 4.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Profile file; other networks in it stay.")
    ] = None,
    hardware: Annotated[
        str | None, typer.Option("--hardware", help="Compare with this file's roofline.")
    ] = None,
    predictor: Annotated[
        str | None, typer.Option("--predictor", help="Compare with this latency predictor.")
    ] = None,
    seven_zip_mips: Annotated[
        float | None,
        typer.Option("--seven-zip-mips", help="Codecs: this core's rating, `7z b -mmt=1`, Tot."),
    ] = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Measure a network on this machine, operator by operator, or what every codec costs.

    Hardware files can name the file.
    """
    if model == "codecs":
        _profile_codecs(out, rounds, seven_zip_mips)
        return
    if seven_zip_mips is not None:
        raise typer.BadParameter("belongs to `simsplit profile codecs`: --seven-zip-mips")
    if rounds is not None and rounds < 6:
        raise typer.BadParameter(f"--rounds of a network are at least 6, found {rounds}")
    from simsplit.hardware.judge import measure_network, whole_numbers

    measured = measure_network(
        model,
        batches=whole_numbers(batch),
        threads=threads,
        size_px=(height_px, width_px),
        rounds=rounds or 15,
        out=out,
        hardware=hardware,
        predictor=predictor,
    )
    print_table(measured.title, list(MEASURED_COLUMNS), measured_rows(measured))
    for line in comparison(measured, hardware, predictor):
        typer.echo(line)
    typer.echo(f"Profile: {measured.file}")


def _profile_codecs(out: Path | None, rounds: int | None, seven_zip_mips: float | None) -> None:
    from simsplit.hardware.fit_codecs import law_rows, profile_here

    with progress_bars() as progress:
        content = profile_here(out, rounds, seven_zip_mips, lambda i, n: progress("rounds", i, n))
    print_table(f"Codecs on {content['machine']['cpu']}", list(LAW_COLUMNS), law_rows(content))
    typer.echo(f"Profile: {out}")


@app.command()
@guarded
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe's file, or a model's name.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder to write; default: the recipe's own, or models/NAME."),
    ] = None,
    max_steps: Annotated[int | None, typer.Option("--max-steps", min=1)] = None,
    threads: Annotated[int, typer.Option("--threads", min=1, help="Of a network's training.")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda or mps: kinds network and code.")] = "cpu",
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Another seed; card in FOLDER/seedN.")
    ] = None,
    fold: Annotated[
        int | None, typer.Option("--fold", min=1, help="Another fold; card in FOLDER/foldN.")
    ] = None,
    keep_weights: Annotated[
        bool, typer.Option("--keep-weights", help="Of another seed or fold too.")
    ] = False,
    if_needed: Annotated[
        bool, typer.Option("--if-needed", help="Unless there is a card of this very recipe.")
    ] = False,
    rescore: Annotated[
        bool, typer.Option("--rescore", help="No training: the card's bytes and scores anew.")
    ] = False,
    allow_code: AllowCodeOption = False,
) -> None:
    """Fit what a recipe describes: a network, or a table of block errors."""
    from simsplit.training.train import rescore as score
    from simsplit.training.train import train as fit
    from simsplit.training.train import trained_already

    if rescore:
        if max_steps is not None or if_needed or keep_weights or (threads, device) != (1, "cpu"):
            raise typer.BadParameter("goes with --out, --seed and --fold only: --rescore")
        typer.echo(f"Scored: {score(recipe, out=out, seed=seed, fold=fold)}")
        return
    which: dict[str, Any] = {"out": out, "seed": seed, "fold": fold, "keep_weights": keep_weights}
    if if_needed and (current := trained_already(recipe, **which)) is not None:
        typer.echo(f"Up to date: {current}")
        return
    with progress_bars() as progress:
        folder = fit(
            recipe,
            max_steps=max_steps,
            progress=lambda i, n, _: progress("fit", i, n),
            threads=threads,
            device=device,
            **which,
        )
    typer.echo(f"Fitted: {folder}")


@app.command()
@guarded
def calibrate(
    out: Annotated[Path | None, typer.Option("--out", help="Folder of the table.")] = None,
    recipe: Annotated[Path | None, typer.Option("--recipe", help="What to simulate.")] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes.")] = 1,
) -> None:
    """Make the table of block error rates by Monte Carlo; goes on where it was stopped."""
    from simsplit.phy.calibrate import calibrate as make_table
    from simsplit.scenario.bundled import models_dir, own_folder
    from simsplit.scenario.yaml import read_mapping

    folder = out or own_folder(models_dir() / "bler_5g")
    content = read_mapping(recipe or models_dir() / "bler_5g" / "recipe.yaml")
    with progress_bars() as progress:
        table = make_table(content, folder, lambda i, n: progress("curves", i, n), workers)
    typer.echo(f"Table: {table}")


@app.command()
@guarded
def validate() -> None:
    """Run the cases with a closed-form answer through the real engine; exit 1 if one is off."""
    from simsplit.study.validate import validate as run_cases

    with progress_bars() as progress:
        cases = run_cases(lambda _, i, n: progress("cases", i, n))
    rows = [
        [c.name, f"{c.expected:.5g}", f"{c.measured:.5g}", f"{c.low:.5g} … {c.high:.5g}", _tick(c)]
        for c in cases
    ]
    print_table("Known answers", ["case", "expected", "measured", "interval", "pass"], rows)
    if not all(case.passed for case in cases):
        raise SystemExit(1)


def _tick(case: Any) -> str:
    return "yes" if case.passed else "NO"
