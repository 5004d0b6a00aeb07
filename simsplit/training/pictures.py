"""How many pictures a recipe of a network or code may ask for: as many as there are."""

from __future__ import annotations

from simsplit.errors import ScenarioError
from simsplit.scenario.data import DataSpec, data_name, data_spec
from simsplit.tasks.datasets import SPLITS, open_dataset
from simsplit.training.phases import CodeRecipe, NetworkRecipe


def check_counts(recipe: NetworkRecipe | CodeRecipe) -> None:
    """``train_images``, ``validation_images`` and ``test_images`` that are said are there.

    What is left out takes what there is, up to its default. Folds differ in size, and a recipe is
    one for all of them: of a fold as many train, and are chosen on, as it has.

    Raises:
        ScenarioError: A split has fewer; the data set has no such split, or is not there.
    """
    height, width = recipe.height, recipe.width
    for split in SPLITS:
        asked: int = getattr(recipe, key := f"{split}_images")
        if not asked:
            continue
        dataset = open_dataset(recipe.data, split, height=height, width=width, where="data")
        there = dataset.capacity if split == "train" else len(dataset)
        is_most = split != "test" and _is_fold(recipe.data)
        if key in recipe.model_fields_set and asked > there and not is_most:
            message = f"the {split} split of {data_name(recipe.data)} has {there:,} pictures"
            raise ScenarioError(message, path=key, value=asked)


def _is_fold(data: str | DataSpec) -> bool:
    return getattr(data_spec(data), "fold", None) is not None
