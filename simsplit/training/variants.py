"""A recipe with another training seed, or on another fold of its pictures.

What comes of it stands below the recipe's own folder: ``seed2``, ``fold3`` or ``fold3/seed2``, with
a card and the recipe as it was varied. The recipe's own seed and fold are the recipe's own folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from simsplit.errors import ScenarioError
from simsplit.networks.artefact import read_card
from simsplit.scenario.data import is_same_data
from simsplit.scenario.operating_points import WITHOUT_FILE
from simsplit.scenario.places import MODEL, find_file, search_folders
from simsplit.scenario.yaml import copied
from simsplit.tasks.datasets import open_dataset
from simsplit.training.folds import data_key, place_of, put_on_fold, put_seed
from simsplit.training.phases import KINDS as PHASED
from simsplit.training.phases import parse_phased_recipe
from simsplit.training.recipe import parse_net_recipe, with_data

_FILE_KEYS = ("weights", "path", "source")  # whose values may be relative to the recipe
_FOLD_FOLDER = re.compile(r"fold\d+")


@dataclass(frozen=True)
class Variant:
    """What is trained, and where it goes.

    Attributes:
        content: Of the recipe; its files are reached from the original's folder.
        written: The same as a recipe in ``below`` says it, whose digest the card holds.
        below: Folder below the recipe's own; empty for the recipe as it is.
    """

    content: dict[str, Any]
    written: dict[str, Any]
    below: str

    @property
    def text(self) -> str:
        """``written`` as YAML."""
        return yaml.safe_dump(self.written, sort_keys=False, allow_unicode=True, width=100)


def varied(
    content: Mapping[str, Any],
    folder: Path,
    *,
    seed: int | None = None,
    fold: int | None = None,
    beside: Path | None = None,
) -> Variant:
    """A recipe with another seed or fold; without either, or with its own ones, as it is.

    Another fold trains and tests on other pictures: the card is to score all test pictures of that
    fold, and weights of networks that learned from these data become those of the same fold.

    Args:
        content: As the recipe says it.
        folder: Of the recipe.
        seed: Of the training.
        fold: 1 … as many folds as the recipe's data have, or five.
        beside: Folder where other models of the fold are looked for first.

    Raises:
        ScenarioError: Nothing with a seed, no pictures to fold, no such fold, a network that was
            not trained on that fold.
    """
    changed: dict[str, Any] = copied(content)
    below = place_of(content, seed=seed, fold=fold)
    names: dict[str, str] = {}
    if fold is not None and put_on_fold(changed, fold):
        names = _weights_on_fold(changed, folder, fold, beside)
        changed["test_images"] = _test_pictures(changed, folder)
    if seed is not None:
        put_seed(changed, seed)
    written: dict[str, Any] = copied(changed)
    for one in _mappings(written):
        for key in set(one).intersection(_FILE_KEYS):
            one[key] = _seen_from_below(one[key], folder, names, len(Path(below).parts))
    return Variant(changed, written, below)


def _mappings(node: Any) -> Iterator[dict[str, Any]]:
    """A mapping, and all that are in it."""
    if isinstance(node, dict):
        yield node
    for inner in node.values() if isinstance(node, dict) else node:
        if isinstance(inner, dict | list):
            yield from _mappings(inner)


def _seen_from_below(value: Any, folder: Path, names: Mapping[str, str], depth: int) -> Any:
    """A file's name as a recipe so many folders further down says it."""
    if not isinstance(value, str) or not value or "\0" in value:
        return value
    if value in names:
        value = names[value]
    elif not (folder / value).exists():
        return value
    return value if Path(value).is_absolute() else "../" * depth + value


# --- folds ------------------------------------------------------------------------------------


def _test_pictures(content: Mapping[str, Any], folder: Path) -> int:
    """How many test pictures the fold has."""
    key = data_key(content)
    if content["kind"] in PHASED:
        data = parse_phased_recipe(content, folder).data
    else:
        data = with_data(parse_net_recipe(dict(content)), folder).dataset
    return len(open_dataset(data, "test", where=key))


def _weights_on_fold(
    content: dict[str, Any], folder: Path, fold: int, beside: Path | None
) -> dict[str, str]:
    """Replaces weights that learned from this recipe's data by those of the fold.

    Returns:
        How a recipe in this folder names the files that are put there.
    """
    names: dict[str, str] = {}
    for one in _mappings(content):
        name = one.get("weights")
        if not isinstance(name, str) or name in WITHOUT_FILE:
            continue
        try:
            file = find_file(name, "weights", beside=folder)
        except ScenarioError:
            continue  # told with its path when the recipe is read
        if _learned_from(file, content[data_key(content)]):
            whole, own = _without_fold(file.parent), _without_fold(Path(name).parent)
            one["weights"] = str(_file_on_fold(whole, file.name, fold, beside))
            names[one["weights"]] = (own / f"fold{fold}" / file.name).as_posix()
    return names


def _without_fold(folder: Path) -> Path:
    return folder.parent if _FOLD_FOLDER.fullmatch(folder.name) else folder


def _learned_from(weights: Path, data: Mapping[str, Any]) -> bool:
    """Whether the card beside weights says that they learned from the same data, of any fold."""
    if not (weights.parent / "card.json").is_file():
        return False
    card = read_card(weights.parent, with_costs=False)
    theirs = card.get("data", card.get("dataset"))
    if not isinstance(theirs, Mapping):
        return False
    unfolded = [{k: v for k, v in d.items() if "fold" not in k} for d in (theirs, data)]
    return is_same_data(*unfolded)


def _file_on_fold(model: Path, name: str, fold: int, beside: Path | None) -> Path:
    """The weights of a model's fold: in its folder, or in one of that name on the search path."""
    first = [] if beside is None else [beside / model.name]
    elsewhere = (top / sub / model.name for top in search_folders() for sub in MODEL.folders)
    for place in (*first, model, *elsewhere):
        if (file := place / f"fold{fold}" / name).is_file():
            return file.resolve()
    train = f"simsplit train {model.name} --fold {fold} --keep-weights"
    message = f"this network learned from test pictures of the fold; first run `{train}`"
    raise ScenarioError(message, path="fold", value=str(model))
