"""The cache: where it is, what it holds, and that emptying it leaves strangers' files alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from simsplit.cli.terminal import app
from simsplit.tasks.cache_folder import cache_contents, cache_directory
from simsplit.tasks.datasets import cached_arrays, open_dataset


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of two data sets and one score, beside something of the user's."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SIMSPLIT_CACHE", str(folder))
    for count in (3, 4):
        cached_arrays(open_dataset("digits", "test"), count)
    (folder / "scored").mkdir()
    np.savez(folder / "scored" / "abc.npz", values=np.zeros(1000))
    (folder / "scored" / ".abc.npz.lock").touch()
    (folder / "scored" / "notes.txt").write_text("mine")
    (folder / "mine.npz").touch()
    return folder


def _ran(*arguments: str, answer: str | None = None) -> str:
    result = CliRunner().invoke(app, ["cache", *arguments], input=answer)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_counts_entries_and_bytes_by_kind(cache: Path) -> None:
    shown = json.loads(_ran("show", "--json"))
    assert shown["folder"] == str(cache)
    assert {kind: one["entries"] for kind, one in shown["kinds"].items()} == {
        "datasets": 2,
        "prepared": 0,
        "scored": 1,
    }
    sizes = [file.stat().st_size for file in (cache / "datasets").iterdir()]
    assert shown["kinds"]["datasets"]["size_bytes"] == sum(sizes) > 0
    assert str(cache) in _ran("show").replace("\n", "")


def test_clear_deletes_entries_and_locks_and_nothing_else(cache: Path) -> None:
    assert "Deleted: 3 entries" in _ran("clear", "--yes")
    left = {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file()}
    assert left == {"mine.npz", "scored/notes.txt"}
    assert [content.entries for content in cache_contents()] == [0, 0, 0]


def test_clear_of_one_kind(cache: Path) -> None:
    _ran("clear", "--yes", "--kind", "scored")
    assert [content.entries for content in cache_contents()] == [2, 0, 0]


def test_clear_asks_first(cache: Path) -> None:
    assert "Nothing was deleted" in _ran("clear", answer="n\n")
    assert cache_contents()[0].entries == 2
    assert "Deleted: 3 entries" in _ran("clear", answer="y\n")


def test_clear_of_no_kind(cache: Path) -> None:
    result = CliRunner().invoke(app, ["cache", "clear", "--yes", "--kind", "score"])
    assert result.exit_code == 2 and "Did you mean 'scored'?" in result.stderr
    assert cache_contents()[0].entries == 2


def test_the_systems_folder_without_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platformdirs = pytest.importorskip("platformdirs")
    monkeypatch.delenv("SIMSPLIT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == platformdirs.user_cache_path("simsplit", appauthor=False)
