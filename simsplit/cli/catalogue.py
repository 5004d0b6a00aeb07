"""Verbs that say what there is: schema, list, data."""

from __future__ import annotations

from itertools import filterfalse
from pathlib import Path
from typing import Annotated

import typer

from simsplit.cli.terminal import app, guarded, print_json, print_table


@app.command()
@guarded
def schema(
    results: Annotated[
        bool, typer.Option("--results", help="Of the files in result and sweep folders instead.")
    ] = False,
) -> None:
    """Print the JSON Schema of scenarios, for editors, or what the files of results hold."""
    from simsplit.results.schema import schema_of_results
    from simsplit.scenario.scenario import Scenario

    print_json(schema_of_results() if results else Scenario.model_json_schema())


@app.command(name="list")
@guarded
def list_() -> None:
    """List bundled scenarios, models, hardware and datasets, and your own."""
    from simsplit.scenario import bundled
    from simsplit.scenario.data import NAMES, own_data
    from simsplit.scenario.places import HARDWARE, MODEL, SCENARIO, SWEEP, own_names

    models = bundled.model_choices()
    rows = [
        ["scenarios", ", ".join(bundled.bundled_names())],
        ["sweeps", ", ".join(bundled.bundled_sweeps())],
        ["models", ", ".join(filter(bundled.is_trained, models))],
        ["to be trained", ", ".join(filterfalse(bundled.is_trained, models))],
        ["hardware", ", ".join(bundled.hardware_choices())],
        ["datasets", ", ".join(NAMES)],
    ]
    print_table("Bundled", ["what", "names"], rows)
    kinds = {"scenarios": SCENARIO, "sweeps": SWEEP, "models": MODEL, "hardware": HARDWARE}
    own = [[what, ", ".join(own_names(kind))] for what, kind in kinds.items()]
    own.append(["datasets", ", ".join(own_data())])
    if any(names for _, names in own):
        title = "Your own, here, on SIMSPLIT_PATH and in SIMSPLIT_DATA"
        print_table(title, ["what", "names"], own)


@app.command()
@guarded
def data(
    name: str,
    show: Annotated[Path, typer.Option("--show", help="Contact sheet to write (PNG).")],
) -> None:
    """Draw a contact sheet of a dataset."""
    from PIL import Image

    from simsplit.errors import ScenarioError
    from simsplit.files import whole_file
    from simsplit.tasks.datasets import contact_sheet, open_dataset

    if show.suffix != ".png":
        raise ScenarioError("a contact sheet's file ends in", value=show.name, choices=[".png"])
    sheet = Image.fromarray(contact_sheet(open_dataset(name, "test")))
    with whole_file(show) as aside:
        sheet.save(aside, format="PNG")
    typer.echo(f"Contact sheet: {show}")
