"""Verbs about studies: reproduce."""

from __future__ import annotations

import contextlib
import io
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simsplit.cli.terminal import AllowCodeOption, app, guarded, print_table

if TYPE_CHECKING:
    from simsplit.study.reproduce import Action, Command

RESULTS = Path("results")
SHORT = RESULTS / "short"


@app.command()
@guarded
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(help="Studies: bundled names, study files, or all.")
    ] = None,
    is_list: Annotated[
        bool, typer.Option("--list", help="Print the studies: what, where published, minutes.")
    ] = False,
    is_dry: Annotated[
        bool, typer.Option("--dry-run", help="Print the commands; run nothing.")
    ] = False,
    is_short: Annotated[
        bool, typer.Option("--short", help="Shortened, as a test; into results/short.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for all results (else: results).")
    ] = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Make published figures and tables anew; what was finished is kept, so one can go on."""
    if is_list:
        _print_studies()
        return
    root = out or (SHORT if is_short else RESULTS)
    planned = _planned(names or [], root, is_short)  # all are checked before the first is begun
    for name, actions in planned.items():
        if is_dry:
            typer.echo("\n".join(str(action) for action in actions))
        else:
            _do_all(name, actions)


def _planned(names: list[str], root: Path, is_short: bool) -> dict[str, list[Action]]:
    from simsplit.errors import ScenarioError
    from simsplit.scenario.studies import read_study, studies_of
    from simsplit.study.reproduce import actions

    if is_short and root.resolve() == RESULTS.resolve():
        message = "what is shortened must not take the place of published results"
        raise ScenarioError(f"{message}; choose another folder", path="--out", value=str(root))
    return {
        name: actions(read_study(path), root, beside=path.parent, is_short=is_short)
        for name, path in studies_of(names).items()
    }


def _print_studies() -> None:
    from simsplit.scenario.studies import read_study, studies_of

    studies = [read_study(path) for path in studies_of(["all"]).values()]
    rows = [[s.name, s.title, ", ".join(s.published), f"{s.minutes:g}"] for s in studies]
    print_table("Studies: simsplit reproduce NAME", ["name", "what", "where", "minutes"], rows)
    total = sum(study.minutes for study in studies)
    typer.echo(f"All of them, simsplit reproduce all: about {total:g} minutes on two cores")


def _do_all(name: str, actions: list[Action]) -> None:
    from simsplit.study.reproduce import Command

    started_s = time.perf_counter()
    for number, action in enumerate(actions, 1):
        typer.secho(f"{name} {number}/{len(actions)}: {action}", bold=True)
        try:
            if isinstance(action, Command):
                _run(action)
            else:
                typer.echo(action.do())
        except SystemExit as stopped:
            if stopped.code:
                text = (
                    f"{name} stopped at step {number} of {len(actions)}; the same command goes on"
                )
                typer.secho(text, fg="red", err=True)
                raise
    typer.echo(f"{name}: done in {(time.perf_counter() - started_s) / 60:.1f} minutes")


def _run(command: Command) -> None:
    """Run a command of this command line in this process."""
    if command.into is None:
        app(list(command.words), standalone_mode=False)
        return
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            app(list(command.words), standalone_mode=False)
    except SystemExit as stopped:
        if stopped.code:
            raise
    command.keep(printed.getvalue() or "Nothing to show.\n")
