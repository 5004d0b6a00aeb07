"""A card's bytes and scores anew, from the weights beside it: nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import file_digest, json_digest
from simsplit.networks.artefact import WEIGHTS, read_card, write_card
from simsplit.seeds import one_thread
from simsplit.training.code_card import measured_code, measured_network
from simsplit.training.loop import scored_ranges
from simsplit.training.phases import KINDS, CodeRecipe, parse_phased_recipe
from simsplit.training.variants import Variant


def rescore_card(variant: Variant, beside: Path, folder: Path) -> Path:
    """Measures what a training left and writes it into the card; weights and training stay.

    Args:
        variant: The recipe, maybe of another seed or fold.
        beside: Folder of the recipe.
        folder: Of card and weights.

    Raises:
        ScenarioError: A recipe of another kind than network and code, or not the card's.
        ArtefactError: Card or weights are missing or damaged.
    """
    kind = variant.content["kind"]
    if kind not in KINDS:
        message = "only cards of networks and codes are scored anew; this recipe is of kind"
        raise ScenarioError(message, path="rescore", value=kind)
    card = read_card(folder, with_costs=False)
    _check_same(card, variant.written, folder)
    recipe = parse_phased_recipe(variant.content, beside)
    ranges = scored_ranges(recipe)
    with one_thread(1):
        if isinstance(recipe, CodeRecipe):
            numbers = measured_code(recipe, folder, ranges)
        else:
            numbers = measured_network(recipe, folder, ranges)
    write_card(folder, card | numbers)
    return folder


def _check_same(card: Mapping[str, Any], content: Mapping[str, Any], folder: Path) -> None:
    if card.get("recipe_digest") != json_digest(content):
        message = "the card there is of another recipe: train it first"
        raise ScenarioError(message, path="rescore", value=str(folder))
    if card["weights_digest"] != file_digest(folder / WEIGHTS):
        raise ArtefactError("the weights there are not those of its card", path=str(folder))
