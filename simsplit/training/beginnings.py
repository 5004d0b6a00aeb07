"""How the loss of a published training begins, by its card and by its recipe here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from simsplit.networks.artefact import CARD, RECIPE, write_card
from simsplit.training.fitting import beginning_of_net
from simsplit.training.loop import beginning
from simsplit.training.phases import parse_phased_recipe
from simsplit.training.recipe import NETWORKS, parse_net_recipe, read_mapping, with_data


def beginning_here(folder: Path) -> list[float]:
    """The beginning of the loss of a model's recipe, see `simsplit.training.loop.beginning`.

    Args:
        folder: Of a network or code.

    Raises:
        ScenarioError: The recipe says something wrong, or its data are not here.
    """
    content = read_mapping(folder / RECIPE)
    if content["kind"] in NETWORKS:
        return beginning_of_net(with_data(parse_net_recipe(content), folder))
    return beginning(parse_phased_recipe(content, folder))


def refresh_beginning(folder: Path) -> None:
    """Measure the beginning of the loss and write it to the card; all else stays.

    Raises:
        ScenarioError: As `beginning_here`.
    """
    card: dict[str, Any] = json.loads((folder / CARD).read_text())
    card.pop("beginning", None)
    kept: dict[str, Any] = {}
    for key, value in card.items():
        kept |= {key: value} | ({"beginning": beginning_here(folder)} if key == "trained" else {})
    write_card(folder, kept)
