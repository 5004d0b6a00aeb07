"""The examples of README.md and docs/: Python is run as it stands, commands parse.

A block that takes more than a few seconds is named in ``SLOW`` and runs with the slow tests.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import typer

from markdown_pages import NAMES, PAGES, ROOT, block_lines, fences, inline_code, read
from simsplit.cli import app

SLOW = ("README.md 1", "docs/sweeps.md 1")
BLOCKS = {
    f"{name} {number}": content
    for name, page in zip(NAMES, PAGES, strict=True)
    for number, content in enumerate(
        (content for language, content in fences(read(page)) if language == "python"), 1
    )
}
COMMANDS = sorted(
    {line for page in PAGES for line in block_lines(read(page)) if line.startswith("simsplit ")}
)
INLINE = sorted(
    {code for page in PAGES for code in inline_code(read(page)) if code.startswith("simsplit ")}
)
MAKE = sorted(
    {
        line
        for page in PAGES
        for line in (*block_lines(read(page)), *inline_code(read(page)))
        if line.startswith("make ")
    }
)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in BLOCKS]
)
def test_an_example_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[name], name, "exec"), {"__name__": "__main__"})


def test_slow_examples_exist() -> None:
    assert set(SLOW) <= BLOCKS.keys()


# --- commands ---------------------------------------------------------------------------------


def parse(words: Sequence[str]) -> None:
    """Parse a command line without running it; raises what Typer would tell the user."""
    command: Any = typer.main.get_command(app)
    arguments, context = list(words[1:]), None
    while hasattr(command, "resolve_command"):
        context = command.make_context(words[0], arguments, parent=context)
        name, command, arguments = command.resolve_command(context, _left_over(context))
    command.make_context(name, arguments, parent=context)


def _left_over(context: Any) -> list[str]:
    """What a group leaves to its commands."""
    return [*context._protected_args, *context.args]


def command_of(words: Sequence[str]) -> Any:
    """The command that the words name, groups followed."""
    command: Any = typer.main.get_command(app)
    for word in words[1:]:
        if not hasattr(command, "commands"):
            break
        assert word in command.commands, f"no command '{word}'"
        command = command.commands[word]
    return command


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_parses(line: str) -> None:
    parse(shlex.split(line, comments=True))


@pytest.mark.parametrize("line", INLINE)
def test_a_command_in_a_sentence_exists(line: str) -> None:
    """Placeholders may stand for arguments there; commands and options must exist."""
    words = line.replace("…", "").split()
    if words[1].startswith("-") or words[1] == "COMMAND":
        return
    options = {name for parameter in command_of(words).params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options | {"--help"}


@pytest.mark.parametrize("line", MAKE)
def test_a_target_of_make_exists(line: str) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    assert line.split()[1] in targets


@pytest.mark.parametrize(
    "line",
    [
        "simsplit fly urban_5g",
        "simsplit run",
        "simsplit run urban_5g --speed 3",
        "simsplit run urban_5g --seed many",
        "simsplit trace make wind --out tdl.csv",
    ],
)
def test_a_wrong_command_is_seen(line: str) -> None:
    with pytest.raises(Exception, match=r"(?i)no such|missing|valid|is not one of"):
        parse(shlex.split(line))


def test_there_is_something_to_test() -> None:
    assert len(BLOCKS) >= 4 and len(COMMANDS) >= 15 and len(INLINE) >= 10 and len(MAKE) >= 4
