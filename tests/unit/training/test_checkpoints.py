"""What a training may be gone on with, or started from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.networks.artefact import Artefact, build_model
from simsplit.seeds import one_thread
from simsplit.training import fitting
from simsplit.training.fitting import restore, save, start
from simsplit.training.recipe import NetRecipe, parse_net_recipe

NETWORK = {"encoder": "encoder2", "widths": [8, 8, 8, 8], "blocks": [1, 1, 1, 1], "stem_stride": 1}


def recipe(**changes: Any) -> NetRecipe:
    said = {
        "kind": "compressible",
        "dataset": "streets",
        "height": 16,
        "width": 32,
        "train_images": 8,
        "test_images": 2,
        "steps": 4,
        "shares": {"direct": 0, "digital": 2, "jscc": 0},
        "objective": "uncertainty",
        "network": NETWORK,
    }
    return parse_net_recipe(said | changes)


def test_another_number_of_threads_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "checkpoint.pt"
    with one_thread(2):
        save(start(recipe(), torch.ones(8)), file)
        restore(start(recipe(), torch.ones(8)), file)
    with one_thread(), pytest.raises(ArtefactError, match="go on with --threads 2"):
        restore(start(recipe(), torch.ones(8)), file)


@pytest.mark.parametrize(
    ("change", "refused"), [({}, False), ({"blocks": [1, 2, 1, 1]}, True), ({"classes": 9}, True)]
)
def test_a_start_has_the_same_network(
    change: dict[str, Any], refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = recipe(network=NETWORK | change)
    assert other.network is not None
    network = other.network.model_dump(mode="json")
    card = {"kind": "compressible", "height": 16, "width": 32, "network": network}
    model = build_model("compressible", 16, 32, network)
    monkeypatch.setattr(fitting, "load_artefact", lambda *_: Artefact("other", model, {}, card))
    if refused:
        with pytest.raises(ScenarioError, match="network is another one"):
            start(recipe(start_from="other"), torch.ones(8))
    else:
        assert start(recipe(start_from="other"), torch.ones(8)).model is model


def test_no_bit_depth_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"^bits: "):
        recipe(bits=[])
