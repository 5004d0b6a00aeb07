"""Verbs that say what there is: schema, list, data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simsplit.cli.terminal import (
    app,
    guarded,
    print_json,
    print_table,
)


@app.command()
@guarded
def schema(
    results: Annotated[
        bool, typer.Option("--results", help="Of the files in result and sweep folders instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of scenarios, for editors, or what the files of results hold."""
    from simsplit.columns import schema_of_results
    from simsplit.scenario import Scenario

    print_json(schema_of_results() if results else Scenario.model_json_schema())


@app.command(name="list")
@guarded
def list_() -> None:
    """List bundled scenarios, models, hardware and datasets."""
    from itertools import filterfalse
    from typing import get_args

    from simsplit.load import bundled_names, hardware_choices, is_trained, model_choices
    from simsplit.scenario import Task
    from simsplit.sweep_file import bundled_sweeps

    datasets = get_args(Task.model_fields["dataset"].annotation)
    rows = [
        ["scenarios", ", ".join(bundled_names())],
        ["sweeps", ", ".join(bundled_sweeps())],
        ["models", ", ".join(filter(is_trained, model_choices()))],
        ["to be trained", ", ".join(filterfalse(is_trained, model_choices()))],
        ["hardware", ", ".join(hardware_choices())],
        ["datasets", ", ".join(datasets)],
    ]
    print_table("Bundled", ["what", "names"], rows)


@app.command()
@guarded
def data(
    name: str,
    show: Annotated[Path, typer.Option("--show", help="Contact sheet to write (PNG).")],
) -> None:
    """Draw a contact sheet of a dataset."""
    from PIL import Image

    from simsplit.tasks.datasets import contact_sheet, open_dataset

    Image.fromarray(contact_sheet(open_dataset(name, "test"))).save(show, format="PNG")
    typer.echo(f"Contact sheet: {show}")
