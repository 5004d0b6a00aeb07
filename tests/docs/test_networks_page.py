"""The recipes of docs/networks.md are what the program reads, and its figures are the networks'."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from markdown_pages import ROOT, fences, read
from simsplit.networks.catalogue import open_network
from simsplit.networks.cuts import points
from simsplit.networks.graph import trace
from simsplit.training.phases import NetworkRecipe, parse_phased_recipe

PAGE = read(ROOT / "docs" / "networks.md")
RECIPES: list[dict[str, Any]] = [
    yaml.safe_load(content) for language, content in fences(PAGE) if language == "yaml"
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: str(recipe["network"]["source"]))
def test_a_recipe_is_read_and_its_network_opens(recipe: dict[str, Any], tmp_path: Path) -> None:
    parsed = parse_phased_recipe(recipe, tmp_path)
    assert isinstance(parsed, NetworkRecipe)
    network = parsed.network
    size = {"height": parsed.height, "width": parsed.width}
    open_network(network.source, options=network.options, **size)


def test_ffmnet_is_as_large_as_the_page_says() -> None:
    module = open_network("ffmnet", height=128, width=256)
    cut = {p.name: p for p in points(trace(module, torch.zeros(1, 3, 128, 256)))}["fuse"]
    (shape,) = cut.shapes
    million = sum(values.numel() for values in module.parameters()) / 1e6
    said = " ".join(PAGE.split())
    assert f"At 128 x 256 px {' x '.join(map(str, shape))} values cross" in said
    assert f"{cut.head_macs / 1e6:.0f} million multiply-accumulates ahead of the cut" in said
    assert f"{cut.tail_macs / 1e6:.0f} behind it, and {million:.2f} million parameters" in said
