"""What a study's steps name besides files: held against what there is before the first one runs.

Models of ``cards`` and ``rd``, points and curves of ``rates``, seeds and folds of ``train``. What a
step ``train`` makes counts as there for the steps behind it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError, Mistakes, ScenarioError, SimsplitError
from simsplit.results.ladders import ends_of, model_folder, seed_folders
from simsplit.results.paired_cards import sides_of
from simsplit.scenario.bundled import own_folder
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.studies import CardsStep, RatesStep, RdStep
from simsplit.scenario.study_trainings import Training
from simsplit.study.measured_rates import curve_options, points_of_curves
from simsplit.training.folds import place_of

_CARDS = ("card.json", "seed*/card.json", "fold*/card.json", "fold*/seed*/card.json")


# --- trainings --------------------------------------------------------------------------------


@dataclass
class Made:
    """Folders that steps ``train`` will have written a card into, of those checked so far."""

    folders: set[Path] = field(default_factory=set)

    def add(self, asked: Training, recipe: Path, content: Mapping[str, Any], path: str) -> None:
        """What a step trains.

        Args:
            asked: Recipe, seeds and folds.
            recipe: Its file.
            content: What it says.
            path: Of the step's options in the study, for errors.

        Raises:
            ScenarioError: The recipe has no seed or no folds, or not this one.
        """
        for below in _places(asked, content, path):
            for top in (recipe.parent, own_folder(recipe.parent)):
                self.folders.add((top / below).resolve())

    def holds(self, folder: Path) -> bool:
        """Whether a card will be written into this very folder."""
        return folder.resolve() in self.folders

    def holds_below(self, folder: Path) -> bool:
        """Whether a card will be written into this folder, or one below it."""
        return any(made.is_relative_to(folder.resolve()) for made in self.folders)

    def unmade(self, error: SimsplitError) -> list[SimsplitError]:
        """What of an error is left once these trainings have written what they write."""
        each = error.mistakes if isinstance(error, Mistakes) else (error,)
        return [one for one in each if not self._makes(one)]

    def _makes(self, error: SimsplitError) -> bool:
        """Weights are named by their file, codes by their folder; both as the user wrote them."""
        key, value = error.path.rpartition(".")[2], error.value
        if key not in ("weights", "code") or not isinstance(value, str):
            return False
        named = Path(value).parent if key == "weights" else Path(value)
        named = Path(*(part for part in named.parts if part not in ("..", ".")))
        ends = len(named.parts)
        return bool(ends) and any(
            made.parts[-ends:] == named.parts[-ends:] for made in self.folders
        )


def _places(asked: Training, content: Mapping[str, Any], path: str) -> Iterator[str]:
    """Folders below the recipe's own that are written."""
    folds, seeds = (list(enumerate(some or [None])) for some in (asked.folds, asked.seeds))
    for (index, fold), (_, seed) in product(folds, seeds):
        try:
            yield place_of(content, seed=seed, fold=fold)
        except ScenarioError as error:
            is_number = error.path == "fold" and error.value == fold
            place = f"folds[{index}]" if is_number else f"{error.path}s"
            error.path = f"{path}.{place}"
            raise


# --- cards ------------------------------------------------------------------------------------


def check_cards(step: CardsStep, made: Made, path: str) -> list[str]:
    """Networks of ``A:B`` or ``A+A2:B``, or codes alone, are there.

    Returns:
        Those whose cards only steps before this one will have made.

    Raises:
        ScenarioError: Not of that form, no such model, or one that nobody trains.
    """
    is_pairs = any(":" in text for text in step.cards)
    later: list[str] = []
    for index, text in enumerate(step.cards):
        with_place = f"{path}.cards[{index}]"
        if text in step.cards[:index]:
            raise ScenarioError("the same comparison twice", path=with_place, value=text)
        if is_pairs and ":" not in text:
            message = "either networks to compare, A:B or A+A2:B, or codes alone; not both"
            raise ScenarioError(message, path=with_place, value=text)
        try:
            several, one = sides_of(text) if is_pairs else ([], text)
            later += [n for n in (*several, one) if _is_made_later(n, made, any_fold=not is_pairs)]
        except SimsplitError as error:
            raise _at(error, with_place, text) from None
    return later


def check_pairs(step: RdStep, made: Made, path: str) -> list[str]:
    """Networks of ``ANCHOR:TEST`` are there; as `check_cards`."""
    later: list[str] = []
    for index, text in enumerate(step.rd):
        try:
            later += [n for n in ends_of(text) if _is_made_later(n, made, any_fold=False)]
        except SimsplitError as error:
            raise _at(error, f"{path}.rd[{index}]", text) from None
    return later


def _is_made_later(name: str, made: Made, *, any_fold: bool) -> bool:
    """Whether a model has no card yet, but a step before will have written one.

    Args:
        name: Of the model.
        made: By the steps before.
        any_fold: Cards of folds count too.

    Raises:
        ScenarioError: No such model; no card, and no step that writes one.
    """
    folder = model_folder(name)
    if any_fold:
        if any(found for pattern in _CARDS for found in folder.glob(pattern)):
            return False
        is_made = made.holds_below(folder)
    else:
        if any((path / "card.json").is_file() for path in seed_folders(folder).values()):
            return False
        own = (f for f in made.folders if f.parent == folder and f.name.startswith("seed"))
        is_made = made.holds(folder) or any(own)
    if not is_made:
        message = "no card yet, and no step before this one trains it"
        raise ScenarioError(message, value=name)
    return True


def _at(error: SimsplitError, path: str, text: str) -> SimsplitError:
    """The error with its place in the study; of one of several models it names that one."""
    if isinstance(error, ArtefactError):
        return ArtefactError(f"{error.path}: {error.message}", path=path, value=text)
    return ScenarioError(error.message, path=path, value=error.value, choices=error.choices)


# --- rates ------------------------------------------------------------------------------------


def check_rates(step: RatesStep, scenario: Scenario, path: str) -> None:
    """Curves, anchors and the reference are points and curves of the scenario.

    Raises:
        ScenarioError: One is not; the path is that of the key in the study.
    """
    for name, points in step.curve.items():
        if "=" in name or not points.strip(", "):
            message = "a curve is NAME: point, pattern_*; its name has no '='"
            raise ScenarioError(message, path=f"{path}.curve.{name}", value=points)
    try:
        curves = curve_options([f"{name}={points}" for name, points in step.curve.items()])
        points_of_curves(scenario, curves, step.anchor, step.reference)
    except ScenarioError as error:
        key = error.path.replace("curves.", "curve.", 1).replace("--", "", 1)
        if key == "anchor" and error.value in step.anchor:
            key = f"anchor[{step.anchor.index(str(error.value))}]"
        raise ScenarioError(
            error.message, path=f"{path}.{key}", value=error.value, choices=error.choices
        ) from None
