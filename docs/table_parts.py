"""What the generated tables of README and docs are made from and of; see `readme_tables`."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError
from simsplit.results.arms import arms_text

Rows = list[dict[str, str]]

_OWN_DATA = {"entropic_photos": "scenarios/own_data/entropic_photos_study.yaml"}


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
        study = _OWN_DATA.get(study, study)
        raise ArtefactError(f"not there yet; run `simsplit reproduce {study}`", path=str(file))
    return file


def markdown(
    heading: Sequence[str], rows: Sequence[Sequence[str]], *, numeric_from: int | None = None
) -> str:
    """A table; the columns from ``numeric_from`` on stand to the right."""
    left = len(heading) if numeric_from is None else numeric_from
    rule = ["---" if index < left else "---:" for index in range(len(heading))]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heading, rule, *rows))


@dataclass(frozen=True, slots=True)
class Value:
    """A mean and its 95 % interval; NaN ends: there is none."""

    mean: float
    low: float
    high: float

    def overlaps(self, other: Value) -> bool:
        """Whether the intervals meet, so that the two cannot be told apart."""
        return self.low <= other.high and other.low <= self.high


NEGLIGIBLE = 0.05
"""Half-widths up to this, in the unit of the table (ms, mJ), are not printed."""

Reader = Callable[[Mapping[str, str]], Value]


def read(column: str, factor: float = 1e3) -> Reader:
    """Reads a KPI of a row in thousandths."""

    def value(row: Mapping[str, str]) -> Value:
        ends = (row[column + end] for end in ("", "_ci_low", "_ci_high"))
        return Value(*(factor * float(text) if text else math.nan for text in ends))

    return value


def cell(value: Value, least: float) -> str:
    """A value and its interval unless that is negligible, the least in bold; a dash for none."""
    if math.isnan(value.mean):
        return "—"
    text = number(value.mean)
    text = f"**{text}**" if value.mean == least else text
    half = (value.high - value.low) / 2
    if not half > NEGLIGIBLE:  # nor if there is no interval
        return text
    return with_arms(text, value.mean - value.low, value.high - value.mean)


def with_arms(text: str, down: float, up: float) -> str:
    """A number and its interval; lopsided only where that is seen in what is printed."""
    down, up = (round(arm, 1 if arm < 100 else 0) for arm in (down, up))
    return f"{text} {arms_text(down, up, number)}"


def number(value: float) -> str:
    """With a decimal below 100."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def carried(file: Path) -> tuple[int, list[str]]:
    """What stands in a ``capacity.json``: the count, and the row that says it."""
    outcome = json.loads(file.read_text(encoding="utf-8"))
    misses = outcome["largest_feasible"]["kpis"]["deadline_misses <= 0.02"]
    mean, low, high = (100 * misses[key] for key in ("mean", "ci_low", "ci_high"))
    interval = arms_text(mean - low, high - mean, lambda arm: f"{arm:.1f}")
    return outcome["capacity"], [
        str(outcome["capacity"]),
        f"{outcome['surely_fits']} … {outcome['surely_not']}",
        f"{mean:.1f} {interval}",
        str(outcome["largest_feasible"]["replications"]),
    ]
