"""Verbs that say what there is: schema, list, data."""

from __future__ import annotations

from itertools import filterfalse
from pathlib import Path
from typing import Annotated

import typer

from simsplit.cli.terminal import AllowCodeOption, app, guarded, print_json, print_table


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
        ["trained networks", ", ".join(bundled.trained_choices("network"))],
        ["trained codes", ", ".join(bundled.trained_choices("code"))],
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
    name: Annotated[str, typer.Argument(help="Bundled name, folder or file, or scenario.")],
    show: Annotated[
        Path | None, typer.Option("--show", help="Contact sheet to write (PNG).")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read every sample; list faults and classes.")
    ] = False,
    split: Annotated[str, typer.Option("--split", help="Of the contact sheet.")] = "test",
    fit: Annotated[
        str | None, typer.Option("--fit", help="Of a folder: resize, crop or pad (default).")
    ] = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Draw a contact sheet of a dataset with its truth, or check all of it."""
    from PIL import Image

    from simsplit.errors import ScenarioError
    from simsplit.files import whole_file
    from simsplit.tasks.datasets import contact_sheet
    from simsplit.tasks.survey import named_data, remarks_of, surveyed, table_of, tell_faults

    if show is None and not check:
        raise ScenarioError("nothing to do: say --show FILE.png, --check, or both")
    if show is not None and show.suffix != ".png":
        raise ScenarioError("a contact sheet's file ends in", value=show.name, choices=[".png"])
    if fit not in (None, "resize", "crop", "pad"):
        raise ScenarioError("no such fit", value=fit, choices=["resize", "crop", "pad"])
    chosen = named_data(name, fit=fit)
    if check:
        surveys = surveyed(chosen)
        print_table(name, ["split", "samples", "head", "per class"], list(table_of(surveys)))
        for remark in remarks_of(surveys):
            typer.echo(remark)
        tell_faults(chosen, surveys)
    if show is not None:
        sheet = Image.fromarray(contact_sheet(chosen.opened(split)))
        with whole_file(show) as aside:
            sheet.save(aside, format="PNG")
        typer.echo(f"Contact sheet: {show}")
