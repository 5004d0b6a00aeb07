"""Verbs about the cache: cache show, cache clear."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from simsplit.cli.terminal import JsonOption, app, guarded, print_json, print_table

if TYPE_CHECKING:
    from simsplit.tasks.cache_folder import Content

cache_app = typer.Typer(
    help="What is kept between runs.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(cache_app, name="cache")


@cache_app.command(name="show")
@guarded
def show_cache(as_json: JsonOption = False) -> None:
    """Print where the cache is, and how much of what it holds."""
    contents, folder = _room().cache_contents(), _room().cache_directory()
    if as_json:
        kinds = {c.kind: {"entries": c.entries, "size_bytes": c.size_bytes} for c in contents}
        print_json({"folder": str(folder), "kinds": kinds})
        return
    rows = [[c.kind, str(c.entries), _size(c.size_bytes), c.what] for c in contents]
    rows.append(["all", *_sums(contents), ""])
    print_table(f"Cache: {folder}", ["kind", "entries", "size", "what"], rows)


@cache_app.command(name="clear")
@guarded
def clear(
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only datasets, prepared or scored.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete what the cache holds; it is made again when it is needed."""
    what = ", ".join(kind or ()) or "everything"
    if not yes and not typer.confirm(f"Delete {what} in {_room().cache_directory()}?"):
        typer.echo("Nothing was deleted.")
        return
    entries, size = _sums(_room().clear_cache(kind or ()))
    typer.echo(f"Deleted: {entries} entries, {size}")


def _room() -> ModuleType:
    """What knows the cache; imported when a verb is given."""
    from simsplit.tasks import cache_folder

    return cache_folder


def _sums(contents: Sequence[Content]) -> tuple[str, str]:
    return str(sum(c.entries for c in contents)), _size(sum(c.size_bytes for c in contents))


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.1f} MB"
