"""Networks of published systems: by name, with options that are checked, and what they give."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from simsplit.errors import ScenarioError
from simsplit.networks.catalogue import open_network
from simsplit.networks.cuts import points
from simsplit.networks.graph import trace
from simsplit.networks.published import PUBLISHED
from simsplit.pipeline.scenario import open_pipeline
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.load import load

BACKBONES = ("vgg", "resnet", "mobilenet")
HEADS = {"scale": 8, "shape": 4}
OPTIONS = {"backbone": "resnet", "heads": HEADS}


def mtl_split(height: int = 64, width: int = 64, /, **options: Any) -> nn.Module:
    said = OPTIONS | options
    return open_network("mtl_split", height=height, width=width, options=said)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_head_per_task_behind_one_vector(backbone: str) -> None:
    module = mtl_split(backbone=backbone)
    given = module(torch.zeros(2, 3, 64, 64))
    assert {task: tuple(logits.shape) for task, logits in given.items()} == {
        "scale": (2, 8),
        "shape": (2, 4),
    }
    values = {"vgg": 1024, "resnet": 1024, "mobilenet": 1152}[backbone]
    cuts = {point.name: point for point in points(trace(module, torch.zeros(1, 3, 64, 64)))}
    assert cuts["flatten"].shapes == ((values,),)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_head_is_the_papers(backbone: str) -> None:
    """Linear(-> 256), dropout 0.1, ReLU, Linear(-> classes)."""
    head = mtl_split(backbone=backbone).get_submodule("heads.scale")
    kinds = [type(layer) for layer in head.children()]
    assert kinds == [nn.Linear, nn.Dropout, nn.ReLU, nn.Linear]
    first, dropout, _, last = head.children()
    assert isinstance(first, nn.Linear) and isinstance(last, nn.Linear)
    assert (first.out_features, last.out_features) == (256, 8)
    assert isinstance(dropout, nn.Dropout) and dropout.p == 0.1


def test_backbones_are_the_same_whatever_the_heads() -> None:
    """Several heads or one: the part on the device starts from the same numbers."""
    several, one = mtl_split(), mtl_split(heads={"shape": 4})
    state = several.get_submodule("backbone").state_dict()
    for name, values in one.get_submodule("backbone").state_dict().items():
        assert torch.equal(values, state[name]), name


def test_a_wide_picture_has_a_longer_vector_and_width_scales_it() -> None:
    wide = mtl_split(64, 128, width=4)
    cuts = {point.name: point for point in points(trace(wide, torch.zeros(1, 3, 64, 128)))}
    assert cuts["flatten"].shapes == ((4 * 8 * 4 * 8,),)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_side_by_side_is_two_single_task_networks(backbone: str) -> None:
    """Their answers, their parameters, and one map at the cut with both features."""
    together = mtl_split(backbone=backbone, shared=False).eval()
    alone = {
        task: mtl_split(backbone=backbone, heads={task: n}).eval() for task, n in HEADS.items()
    }
    for task, module in alone.items():
        for part, of in (("backbone", f"backbones.{task}"), (f"heads.{task}", f"heads.{task}")):
            module.get_submodule(part).load_state_dict(together.get_submodule(of).state_dict())
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    given = together(x)
    for task, module in alone.items():
        assert torch.equal(given[task], module(x)[task])
    counts = [sum(p.numel() for p in net.parameters()) for net in (together, *alone.values())]
    assert counts[0] == sum(counts[1:])
    shared, apart = (
        {p.name: p for p in points(trace(net, torch.zeros(1, 3, 64, 64)))}
        for net in (mtl_split(backbone=backbone), together)
    )
    one, both = shared["flatten"], apart["cat"]
    assert both.bytes == 2 * one.bytes and len(both.shapes) == 1
    assert (both.head_params, both.head_macs) == (2 * one.head_params, 2 * one.head_macs)


@pytest.mark.parametrize(
    ("options", "path", "message"),
    [
        ({"backbone": "alexnet"}, "options.backbone", "vgg"),
        ({"width": 0}, "options.width", "greater than or equal to 1"),
        ({"heads": {}}, "options.heads", "at least 1"),
        ({"heads": {"shape": 1}}, "options.heads.shape", "greater than or equal to 2"),
        ({"heads": {"shape": "four"}}, "options.heads.shape", "integer"),
        ({"dropout": 1.0}, "options.dropout", "less than 1"),
        ({"hidden": 12}, "options.hidden", "unknown key"),
        ({"shared": "no"}, "options.shared", "boolean"),
    ],
)
def test_bad_options_are_told_with_their_path(
    options: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(ScenarioError, match=message) as told:
        mtl_split(**options)
    assert told.value.path == path


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        *((name, "what every module of PyTorch has") for name in ("forward", "train", "keys")),
        *((name, "what every module of PyTorch has") for name in ("pop", "training", "to")),
        *((name, "a word of Python") for name in ("class", "in")),
    ],
)
def test_a_head_s_name_that_is_taken_is_told(name: str, message: str, shared: bool) -> None:
    with pytest.raises(ScenarioError, match=f"a head cannot be called like {message}") as told:
        mtl_split(heads={"shape": 4, name: 3}, shared=shared)
    assert (told.value.path, told.value.value) == (f"options.heads.{name}", name)


def test_a_head_s_name_that_is_none_is_told_by_its_own_place() -> None:
    with pytest.raises(ScenarioError, match="must match pattern") as told:
        mtl_split(heads={"Shape": 4})
    assert (told.value.path, told.value.value) == ("options.heads.Shape", "Shape")


def test_a_missing_option_is_told() -> None:
    with pytest.raises(ScenarioError, match="required") as told:
        open_network("mtl_split", height=64, width=64, options={"backbone": "vgg"})
    assert told.value.path == "options.heads"


def test_a_size_that_does_not_divide() -> None:
    with pytest.raises(ScenarioError, match="multiples of 16"):
        mtl_split(64, 72)


def test_an_unknown_name_lists_them_among_the_choices() -> None:
    with pytest.raises(ScenarioError, match="mtl_split"):
        open_network("mtl_splits", height=64, width=64)
    assert "mtl_split" in PUBLISHED


def test_a_scenario_tells_every_mistake_with_its_entry() -> None:
    """Several at once, each with its path below ``networks.shared``."""
    overrides = ["networks.shared.options={heads: {scale: 1}}"]
    scenario = load("mtl_split", overrides=overrides)
    with pytest.raises(ScenarioError) as told:
        open_pipeline(scenario, models_dir(), None)
    text = str(told.value)
    assert "networks.shared.options.backbone: this key is required" in text
    assert "networks.shared.options.heads.scale: must be greater than or equal to 2" in text
