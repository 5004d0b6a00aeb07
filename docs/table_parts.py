"""What the generated tables of README and docs are made from and of; see `readme_tables`."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError

Rows = list[dict[str, str]]


def project_root() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[1]


def published(folder: str, name: str) -> Rows:
    """The rows of a CSV file in ``results/published``.

    Raises:
        ArtefactError: It has not been made; names the study that makes it.
    """
    with published_file(folder, name).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def published_json(folder: str, name: str) -> Any:
    """The content of a JSON file in ``results/published``.

    Raises:
        ArtefactError: It has not been made; names the study that makes it.
    """
    return json.loads(published_file(folder, name).read_text(encoding="utf-8"))


def published_file(folder: str, name: str) -> Path:
    """A file in ``results/published``.

    Raises:
        ArtefactError: It is not there; names the study that makes it.
    """
    file = project_root() / "results" / "published" / folder / name
    if not file.is_file():
        study = folder.partition("_" if folder.startswith("neurosurgeon") else "/")[0]
        raise ArtefactError(f"not there yet; run `simsplit reproduce {study}`", path=str(file))
    return file


def markdown(
    heading: Sequence[str], rows: Sequence[Sequence[str]], *, numeric_from: int | None = None
) -> str:
    """A table; the columns from ``numeric_from`` on stand to the right."""
    left = len(heading) if numeric_from is None else numeric_from
    rule = ["---" if index < left else "---:" for index in range(len(heading))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heading, rule, *rows))
