"""Networks of published systems: by name, with options that are checked, and what they give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from simsplit.errors import ScenarioError
from simsplit.networks.catalogue import open_network
from simsplit.networks.cuts import cut, points
from simsplit.networks.graph import trace
from simsplit.networks.published import PUBLISHED
from simsplit.operators import total_macs
from simsplit.pipeline.scenario import open_pipeline
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.load import load
from simsplit.scenario.yaml import read_mapping

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


# --- heads that pool --------------------------------------------------------------------------


def test_nothing_changes_where_heads_do_not_pool() -> None:
    """Names and numbers of the weights, and the answers, are those of the option left out."""
    torch.manual_seed(4)
    x = torch.rand(2, 3, 64, 64)
    for shared in (True, False):
        usual, none = (mtl_split(shared=shared, **o).eval() for o in ({}, {"pool": None}))
        state, same = usual.state_dict(), none.state_dict()
        assert list(state) == list(same) and all(torch.equal(state[k], same[k]) for k in state)
        heads = [name for name in state if name.startswith("heads.")]
        parts = ("0.weight", "0.bias", "3.weight", "3.bias")
        assert heads == [f"heads.{task}.{part}" for task in HEADS for part in parts]
        given = usual(x)
        assert all(torch.equal(given[task], logits) for task, logits in none(x).items())
    by_hand = mtl_split().eval()
    flat = by_hand.get_submodule("backbone")(x).flatten(1)
    for task, logits in by_hand(x).items():
        assert torch.equal(logits, by_hand.get_submodule(f"heads.{task}")(flat))


@pytest.mark.parametrize("shared", [True, False])
def test_a_head_that_pools_sees_means_over_fields_of_the_map(shared: bool) -> None:
    module = mtl_split(64, 128, pool=[2, 4], shared=shared).eval()
    x = torch.rand(2, 3, 64, 128, generator=torch.Generator().manual_seed(1))
    given = module(x)
    for task, classes in HEADS.items():
        backbone = module.get_submodule("backbone" if shared else f"backbones.{task}")
        fields = backbone(x).unflatten(2, (2, 2)).unflatten(4, (4, 2))  # (B, C, 2, 2, 4, 2)
        means = fields.mean(dim=(3, 5)).flatten(1)
        first, last = (module.get_submodule(f"heads.{task}.{place}") for place in (2, 5))
        assert isinstance(first, nn.Linear) and first.in_features == 64 * 2 * 4
        assert torch.allclose(given[task], last(first(means).relu()), atol=1e-6)
        assert given[task].shape == (2, classes)


def test_pooling_all_places_is_no_pooling() -> None:
    """But for where the weights' names stand: two steps without any come first."""
    whole, pooled = mtl_split().eval(), mtl_split(pool=[4, 4]).eval()
    pooled.load_state_dict(dict(zip(pooled.state_dict(), whole.state_dict().values(), strict=True)))
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    given = pooled(x)
    assert all(torch.equal(given[task], logits) for task, logits in whole(x).items())


@pytest.mark.parametrize(("backbone", "shared"), [("vgg", True), ("resnet", False)])
def test_a_network_that_pools_is_cut_everywhere_and_sends_the_map(
    backbone: str, shared: bool
) -> None:
    """Head and tail give the whole network's numbers at every cut; a pool is one node of a head."""
    module = mtl_split(backbone=backbone, pool=[2, 2], shared=shared).eval()
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    graph = trace(module, x)
    names = [point.name for point in points(graph)]
    usual = [p.name for p in points(trace(mtl_split(backbone=backbone, shared=shared), x))]
    of_head = [name for name in names if name.startswith("heads.scale.")]
    assert [name.split(".")[2] for name in of_head] == list("012345")
    before = names.index(of_head[0])
    assert names[:before] == usual[:before] and usual[before].startswith("flatten")
    with torch.no_grad():
        whole = module(x)
        for name in names:
            head, tail = cut(graph, name)
            given = tail(*head(x))
            assert all(torch.equal(given[task], logits) for task, logits in whole.items()), name


def test_a_network_that_pools_is_exported_as_any(tmp_path: Path) -> None:
    module = mtl_split(pool=[2, 1]).eval()
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    torch.export.save(torch.export.export(module, (x,)), tmp_path / "net.pt2")
    opened = open_network(str(tmp_path / "net.pt2"), height=64, width=64, weights="included")
    graph = trace(opened, x)
    with torch.no_grad():
        given, whole = graph.module(x), module(x)
    assert all(torch.equal(given[task], logits) for task, logits in whole.items())
    assert total_macs(graph.operators) == total_macs(trace(module, x).operators)


def test_streets_second_network_is_small() -> None:
    """Its heads would weigh 10.6 MB on the whole map of 6 x 12 places."""
    recipe = read_mapping(models_dir() / "streets_attributes" / "recipe.yaml")
    options, size = recipe["network"]["options"], (recipe["height"], recipe["width"])
    values = sum(v.numel() for v in mtl_split(*size, **options).state_dict().values())
    assert 2 * values < 1.5e6  # bytes, of float16
    second = read_mapping(models_dir() / "streets_second" / "recipe.yaml")
    assert second["network"]["options"] == options


# --- mistakes ---------------------------------------------------------------------------------


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
        ({"pool": [2]}, "options.pool", "at least 2"),
        ({"pool": 2}, "options.pool", "list"),
        ({"pool": [2, 0]}, "options.pool[1]", "greater than or equal to 1"),
        ({"pool": [8, 2]}, "options.pool[0]", "the map has 4 rows at this size.*Choices: 1, 2, 4"),
        ({"pool": [2, 3]}, "options.pool[1]", "the map has 4 columns .*found: 3.*Choices: 1, 2, 4"),
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
