"""What a sweep left behind, as a report needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from simsplit.results.frames import axes_of
from simsplit.results.labels import value_text
from simsplit.results.store import read_result
from simsplit.results.sweep_table import load_results
from simsplit.scenario.scenario import Scenario


@dataclass(frozen=True)
class SweepFolder:
    """A sweep's table and how it was said.

    Attributes:
        described: ``sweep.json``; only ``points`` is sure to be in it.
        rows: Tidy rows (`simsplit.results.sweep_table.load_results`): axes, operating point, KPIs,
            folder.
        axes: Columns of ``rows`` that are axes.
    """

    folder: Path
    described: Mapping[str, Any]
    rows: list[dict[str, Any]]
    axes: list[str]

    @cached_property
    def folders(self) -> list[str]:
        """Folders of the finished points, each once."""
        return list(dict.fromkeys(str(row["folder"]) for row in self.rows))

    @cached_property
    def scenario(self) -> Scenario:
        """The scenario of the first finished point."""
        return read_result(self.folder / self.folders[0]).scenario

    @cached_property
    def manifests(self) -> list[dict[str, Any]]:
        """Where every finished point comes from."""
        return [_read(self.folder / name / "manifest.json") for name in self.folders]

    @cached_property
    def missing(self) -> list[str]:
        """Points that have no result."""
        finished = set(self.folders)
        return [name for name in self.described["points"] if name not in finished]

    @cached_property
    def failed(self) -> dict[str, str]:
        """Points that failed, with their error; those that succeeded later are left out."""
        notes = sorted((self.folder / "failed").glob("*"))
        errors = {path.name.split(".")[0]: _error(path) for path in notes if path.is_file()}
        return {name: error for name, error in errors.items() if name not in set(self.folders)}

    def values(self, axis: str) -> list[Any]:
        """Values of an axis at the finished points, each once, numbers in order."""
        values = [row[axis] for row in self.rows if not is_missing(row[axis])]
        once = list(dict.fromkeys(values))
        return sorted(once) if all(is_number(value) for value in once) else once


def read_sweep_folder(folder: Path) -> SweepFolder:
    """Read a sweep's folder.

    Raises:
        ArtefactError: No readable ``sweep.json``, or no finished point.
    """
    table = load_results(folder)
    described = _read(folder / "sweep.json")
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    return SweepFolder(folder, described, rows, axes_of(table))


def is_number(value: Any) -> bool:
    """Whether a value of an axis has a place on a line."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_missing(value: Any) -> bool:
    """Whether an axis does not apply at a point."""
    return value is None or (isinstance(value, float) and value != value)


def axis_text(value: Any) -> str:
    """A value of an axis as text; – where it does not apply."""
    return "–" if is_missing(value) else value_text(value)


def _read(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    return content if isinstance(content, dict) else {}


def _error(path: Path) -> str:
    """The message in a note about a failed point: its key ``error`` or ``message``, or its end."""
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    try:
        note = json.loads(text)
    except ValueError:
        return text.splitlines()[-1] if text else "no message"
    if not isinstance(note, dict):
        return str(note)
    return str(note.get("error") or note.get("message") or text)
