"""Another training seed or fold of a recipe: whether it can have one, and the folder for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simsplit.errors import ScenarioError
from simsplit.scenario.yaml import copied
from simsplit.training.recipe import NETWORKS, TRAINED

SEED = 1  # of a recipe that says none
FOLDS = 5  # of a recipe whose data say none
_MOST_LISTED = 20  # folds in an error


def place_of(
    content: Mapping[str, Any], *, seed: int | None = None, fold: int | None = None
) -> str:
    """The folder of a seed and fold below the recipe's own; empty for the recipe's own ones.

    Raises:
        ScenarioError: Nothing with a seed, no pictures to fold, no such fold.
    """
    changed: dict[str, Any] = copied(content)
    on_fold = fold is not None and put_on_fold(changed, fold)
    with_seed = seed is not None and put_seed(changed, seed)
    parts = (on_fold and f"fold{fold}", with_seed and f"seed{seed}")
    return "/".join(part for part in parts if part)


def put_seed(content: dict[str, Any], seed: int) -> bool:
    """Whether the recipe had another seed; now it has this one."""
    if content["kind"] not in TRAINED:
        message = "only networks and codes have a training seed; this recipe is of kind"
        raise ScenarioError(message, path="seed", value=content["kind"])
    if content.get("seed", SEED) == seed:
        return False
    content["seed"] = seed
    return True


def put_on_fold(content: dict[str, Any], fold: int) -> bool:
    """Whether the recipe had another fold, or none; now it has this one."""
    data = content.get(data_key(content))
    if not isinstance(data, dict) or data.get("kind") != "image_folder":
        kind = data.get("kind") if isinstance(data, dict) else data
        message = "only data of kind image_folder have folds; those of this recipe are"
        raise ScenarioError(message, path="fold", value=kind)
    folds = data.get("folds", FOLDS)
    if isinstance(folds, int) and not 1 <= fold <= folds:
        choices = [str(number) for number in range(1, folds + 1)] if folds <= _MOST_LISTED else []
        raise ScenarioError(f"no such fold among {folds}", path="fold", value=fold, choices=choices)
    if data.get("fold") == fold:
        return False
    data |= {"folds": folds, "fold": fold}
    return True


def data_key(content: Mapping[str, Any]) -> str:
    """Under which key a recipe says its data."""
    return "dataset" if content["kind"] in NETWORKS else "data"
