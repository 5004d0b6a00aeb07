"""A look at a whole data set: which one a name means, what is in its splits, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from simsplit.errors import ScenarioError, SimsplitError
from simsplit.scenario.data import NAMES, DataSpec, data_name, data_spec, find_data, is_on_disk
from simsplit.scenario.data_layouts import spec_of
from simsplit.scenario.load import load
from simsplit.scenario.mistakes import together
from simsplit.tasks.datasets import SPLITS, Dataset, open_dataset
from simsplit.tasks.sets.arrays import check_classes
from simsplit.tasks.sets.contract import DataError, NoSplit
from simsplit.tasks.sets.samples import SampleSet

MOST_FAULTS = 20
MOST_NAMED = 5  # pictures of a remark
MOST_DRAWN = 4096  # samples of a set that simsplit makes itself that are looked at per split


@dataclass(frozen=True)
class NamedData:
    """A data set as somebody named it, and the size at which it is wanted.

    Attributes:
        spec: The set.
        size: height and width in px; None: its own.
    """

    spec: DataSpec
    size: tuple[int, int] | None = None

    def opened(self, split: str) -> Dataset:
        """One of its splits."""
        height, width = self.size or (None, None)
        return open_dataset(self.spec, split, height=height, width=width)


@dataclass
class Survey:
    """What is in a split.

    Attributes:
        split: Its name.
        samples: How many it has.
        counts: Samples (or boxes, or pixels) per class, by head.
        faults: What is wrong, at most `MOST_FAULTS`.
        is_missing: The data set has no such split.
        without_area: Boxes without area, which are left out, by the picture's file or number.
    """

    split: str
    samples: int = 0
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    faults: list[SimsplitError] = field(default_factory=list)
    is_missing: bool = False
    without_area: dict[str, int] = field(default_factory=dict)


def named_data(name: str, *, fit: str | None = None) -> NamedData:
    """The data set of a bundled name, a path, a name below ``SIMSPLIT_DATA``, or a scenario.

    Args:
        name: One of these.
        fit: For pictures on disk of several sizes; ``pad`` if none is said.

    Raises:
        ScenarioError: It is none of these.
    """
    if name in NAMES:
        return NamedData(data_spec(name))
    try:
        path = find_data(name)
    except ScenarioError as error:
        missing = error
    else:
        if path.is_dir() or path.suffix in (".npz", ".h5"):
            return NamedData(spec_of(path, fit=fit or "pad"))
    try:
        task = load(name).task
    except ScenarioError as error:
        if Path(name).suffix in (".yaml", ".yml"):
            raise
        message = "no such bundled data set, folder of data, or scenario"
        choices = (*NAMES, *missing.choices)
        raise ScenarioError(message, value=name, choices=choices) from error
    return NamedData(data_spec(task.dataset), (task.height_px, task.width_px))


def surveyed(data: NamedData, told: Callable[[int, int], None] | None = None) -> list[Survey]:
    """Read every sample of every split.

    Args:
        data: The set.
        told: Hears of samples read and samples altogether, split by split.
    """
    return [_surveyed(data, split, told) for split in SPLITS]


def _surveyed(data: NamedData, split: str, told: Callable[[int, int], None] | None) -> Survey:
    survey = Survey(split)
    try:
        dataset = data.opened(split)
    except NoSplit:
        survey.is_missing = True
        return survey
    except SimsplitError as error:
        survey.faults.append(error)
        return survey
    survey.samples = len(dataset)
    totals = {head: np.zeros(256, np.int64) for head in dataset.heads}
    count = len(dataset) if is_on_disk(data.spec) else min(len(dataset), MOST_DRAWN)
    for position in range(count):
        try:
            row = dataset.arrays([position])
            check_classes(row, dataset.heads)
        except SimsplitError as error:
            survey.faults.append(error)
            if len(survey.faults) == MOST_FAULTS:
                break
        else:
            _count(row, totals)
            _note_boxes(dataset, position, row, survey)
        if told is not None:
            told(position + 1, count)
    for head, names in dataset.heads.items():
        survey.counts[head] = {name: int(n) for name, n in zip(names, totals[head], strict=False)}
    return survey


def _note_boxes(dataset: Dataset, position: int, row: dict[str, Any], survey: Survey) -> None:
    if "boxes" in row and isinstance(dataset, SampleSet) and (n := dataset.without_area(position)):
        files = dataset.files_of(position)
        survey.without_area[files[0].name if files else f"sample {position}"] = n


def _count(row: dict[str, Any], totals: dict[str, Any]) -> None:
    for head, total in totals.items():
        if head in row:
            values = row[head][row[head] >= 0].ravel()
            largest = int(values.max(initial=0))
            if largest >= len(total):
                totals[head] = total = np.pad(total, (0, 1 + largest - len(total)))
            total += np.bincount(values, minlength=len(total))


def tell_faults(data: NamedData, surveys: list[Survey]) -> None:
    """Raise what is wrong with a data set, if anything is.

    Raises:
        SimsplitError: All faults together; or the set has none of the splits.
    """
    faults = [fault for survey in surveys for fault in survey.faults][:MOST_FAULTS]
    if faults:
        raise together(faults)
    if all(survey.is_missing for survey in surveys):
        raise DataError(f"{data_name(data.spec)} has none of the splits {', '.join(SPLITS)}")


def remarks_of(surveys: list[Survey]) -> list[str]:
    """What is left out without being wrong: boxes without area, with the first pictures' names."""
    return [
        f"{survey.split}: {sum(boxes.values())} boxes without area are left out, of "
        f"{len(boxes)} pictures: {', '.join(list(boxes)[:MOST_NAMED])}"
        + (", …" if len(boxes) > MOST_NAMED else "")
        for survey in surveys
        if (boxes := survey.without_area)
    ]


def table_of(surveys: list[Survey]) -> Iterator[list[str]]:
    """Rows: split, samples, head, counts per class."""
    for survey in surveys:
        if survey.is_missing:
            yield [survey.split, "none", "", ""]
            continue
        heads = survey.counts or {"": {}}
        for head, counts in heads.items():
            listed = ", ".join(f"{name} {number}" for name, number in counts.items())
            yield [survey.split, str(survey.samples), head, listed]
