"""What every verb shares: the application, options, errors, progress bars and tables."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from simsplit import __version__

        typer.echo(f"simsplit {__version__}")
        raise typer.Exit


@app.callback()
def _whole_command(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say the version."),
    ] = False,
) -> None:
    """Wireless split computing: accuracy, latency, energy and bandwidth of a cut network."""


ScenarioArg = Annotated[str, typer.Argument(help="YAML file or bundled name.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="path=value, e.g. cell.channel.snr_db=5.")
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Result folder.")]
AllowCodeOption = Annotated[
    bool,
    typer.Option("--allow-code", help="Modules of your own that it names may be imported and run."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """A user's mistake is one red message on stderr and exit code 2; Ctrl-C is 130."""

    @functools.wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        from simsplit.errors import NothingThere, SimsplitError
        from simsplit.scenario.permission import code_allowed

        try:
            with code_allowed(kwargs.get("allow_code") is True):
                return command(*args, **kwargs)
        except NothingThere as nothing:
            typer.secho(f"Nothing to show: {nothing}", fg="yellow", err=True)
            raise SystemExit(0) from None
        except SimsplitError as error:
            fail(str(error), error.exit_code)
        except BrokenPipeError:  # the reader, `head` for one, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        except OSError as error:
            fail(f"{error.strerror or error} ({error.filename})", 2)
        except KeyboardInterrupt:
            fail("stopped", 130)

    return guarded


def fail(message: str, code: int) -> NoReturn:
    """Print a red message on stderr and end with an exit code."""
    typer.secho(f"Error: {message}", fg="red", err=True)
    raise SystemExit(code)


@contextmanager
def progress_bars(*, quiet: bool = False) -> Iterator[Callable[[str, float, float], None]]:
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


@contextmanager
def sweep_bar() -> Iterator[Callable[[int, int, str], None]]:
    """A ``progress(done, total, label)`` with the time to go; plain lines if not on a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("points"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        TextColumn("{task.fields[label]}", markup=False),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("points", total=None, left="", label="")
        state = {"before": -1}

        def tell(done: int, total: int, label: str) -> None:
            if state["before"] < 0:
                state["before"] = done  # points of an earlier call tell nothing of the speed
            elapsed_s = bar.tasks[0].elapsed or 0.0
            fresh = done - state["before"]
            left = f"{_duration((total - done) * elapsed_s / fresh)} to go" if fresh else ""
            bar.update(task, completed=done, total=total, label=label[:60], left=left)

        yield tell


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def print_json(content: Mapping[str, Any]) -> None:
    """Print a mapping as JSON; NaN and infinity, which JSON lacks, become null."""
    finite = json.loads(json.dumps(content, default=str), parse_constant=lambda _: None)
    typer.echo(json.dumps(finite, indent=2, ensure_ascii=False))


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print a result's summary as its tables."""
    from simsplit.results.summary_text import print_summary

    print_summary(summary, console())


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table; the first column is never broken."""
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=position == 0)
    for row in rows:
        table.add_row(*row)
    console().print(table)


def console() -> Console:
    """Where tables are printed: as wide as the terminal, 120 columns elsewhere."""
    from rich.console import Console

    return Console(markup=False, width=None if sys.stdout.isatty() else 120)
