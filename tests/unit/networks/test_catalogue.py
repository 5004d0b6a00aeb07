"""Networks by name: sources, seeds, weights files, and what is said when they are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.networks.catalogue import open_network, torchvision_names
from simsplit.scenario.permission import code_allowed

SMALL = {"source": "squeezenet1_1", "height": 64, "width": 64}


def first_weight(module: nn.Module) -> torch.Tensor:
    return next(iter(module.parameters()))


def test_the_seed_makes_the_weights_and_disturbs_nobody() -> None:
    state = torch.random.get_rng_state()
    one, same, other = (open_network(**SMALL, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first_weight(one), first_weight(same))
    assert not torch.equal(first_weight(one), first_weight(other))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not one.training


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_from_a_file(tmp_path: Path, suffix: str) -> None:
    module, path = open_network(**SMALL, seed=1), tmp_path / f"weights{suffix}"
    if suffix == ".pt":
        torch.save(module.state_dict(), path)
    else:
        save_file(module.state_dict(), path)
    again = open_network(**SMALL, weights=path, seed=2)
    assert torch.equal(first_weight(again), first_weight(module))


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(open_network("mobilenet_v3_small", height=64, width=64).state_dict(), path)
    with pytest.raises(ArtefactError, match=r"missing .*features\.0.* and \d+ more"):
        open_network(**SMALL, weights=path)


def test_other_shapes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    torch.save(open_network(**SMALL, options={"num_classes": 7}).state_dict(), path)
    with pytest.raises(ArtefactError, match=r"other shapes: .*classifier\.1"):
        open_network(**SMALL, weights=path)


def test_heads_for_training_alone_are_left_out(tmp_path: Path) -> None:
    module, path = open_network("googlenet", height=64, width=64, seed=1), tmp_path / "weights.pt"
    torch.save({**module.state_dict(), "aux1.conv.conv.weight": torch.zeros(1)}, path)
    again = open_network("googlenet", height=64, width=64, weights=path, seed=2)
    assert again.state_dict().keys() == module.state_dict().keys()
    assert all(torch.equal(again.state_dict()[k], v) for k, v in module.state_dict().items())
    torch.save({**module.state_dict(), "stem.weight": torch.zeros(1)}, path)  # no training head
    with pytest.raises(ArtefactError, match=r"unexpected stem\.weight"):
        open_network("googlenet", height=64, width=64, weights=path)


def test_files_that_hold_no_weights(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no such weights file"):
        open_network(**SMALL, weights=tmp_path / "none.pt")
    for suffix in (".pt", ".safetensors"):
        path = tmp_path / f"text{suffix}"
        path.write_text("no tensors")
        with pytest.raises(ArtefactError, match="neither safetensors nor a state dict"):
            open_network(**SMALL, weights=path)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ArtefactError, match="no state dict"):
        open_network(**SMALL, weights=tmp_path / "list.pt")


def test_nothing_from_a_file_is_executed(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "module.pt")
    with pytest.raises(ArtefactError):
        open_network(**SMALL, weights=tmp_path / "module.pt")


def test_names_that_are_wrong() -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'resnet18'"):
        open_network("resnet81", height=64, width=64)
    with pytest.raises(ScenarioError, match="cannot be imported"):
        open_network("no.such.module:Net", height=64, width=64)
    with pytest.raises(ScenarioError, match="--allow-code"):
        open_network("torch.nn:Linaer", height=64, width=64)
    with code_allowed(), pytest.raises(ScenarioError, match="Did you mean 'Linear'"):
        open_network("torch.nn:Linaer", height=64, width=64)
    with code_allowed(), pytest.raises(ScenarioError, match=r"not derived from torch\.nn\.Module"):
        open_network("pathlib:PurePath", height=64, width=64)
    with pytest.raises(ScenarioError, match="options"):
        open_network(**SMALL, options={"depth": 3})


def test_the_catalogue_leaves_video_and_quantised_networks_out() -> None:
    names = set(torchvision_names())
    assert {"alexnet", "vit_b_16", "fcn_resnet50", "fasterrcnn_resnet50_fpn"} <= names
    assert not names & {"r3d_18", "raft_small", "quantized_resnet18"}


def test_a_vision_transformer_takes_the_images_size() -> None:
    with pytest.raises(ScenarioError, match="square"):
        open_network("vit_b_16", height=64, width=96)
