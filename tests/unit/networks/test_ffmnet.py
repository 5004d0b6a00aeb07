"""FFMNet: one fused tensor at the cut, a pyramid of it alone, tasks, and what it is compared to."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from simsplit.errors import ScenarioError
from simsplit.networks.catalogue import open_network
from simsplit.networks.cuts import SplitPoint, cut, points
from simsplit.networks.graph import trace
from simsplit.networks.published.stages import projected

SMALL: dict[str, Any] = {"width": 0.25, "channels": 16}
ANSWERS = {
    "segmentation": {"segmentation"},
    "detection": {"boxes", "scores", "labels", "centres", "extents"},
}


def ffmnet(height: int = 32, width: int = 64, /, **options: Any) -> nn.Module:
    return open_network("ffmnet", height=height, width=width, options=SMALL | options)


def cuts_of(module: nn.Module, height: int = 32, width: int = 64) -> dict[str, SplitPoint]:
    return {p.name: p for p in points(trace(module, torch.zeros(1, 3, height, width)))}


def pictures(count: int = 2, height: int = 32, width: int = 64) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("fusion", [True, False])
def test_at_128_x_256_one_tensor_of_65_536_values_crosses_the_cut(fusion: bool) -> None:
    module = open_network("ffmnet", height=128, width=256, options={"fusion": fusion})
    cuts = cuts_of(module, 128, 256)
    assert cuts["fuse"].shapes == ((128, 16, 32),) and prod(cuts["fuse"].shapes[0]) == 65_536
    whole = cuts["output"]
    assert 300e6 < whole.head_macs < 400e6
    assert 250e6 < cuts["fuse"].head_macs < 300e6
    assert 2 * whole.head_params < 8e6  # bytes in float16


def test_every_stage_can_be_cut_and_carries_what_is_still_to_be_fused() -> None:
    fine, middle, deep = (16, 8, 16), (32, 4, 8), (64, 2, 4)
    fused, plain = cuts_of(ffmnet()), cuts_of(ffmnet(fusion=False))
    assert [fused[name].shapes for name in ("stem", "layer1")] == [(fine,)] * 2
    assert fused["layer2"].shapes == (fine, middle)
    assert fused["layer3"].shapes == (fine, middle, deep)
    stages = [plain[name].shapes for name in ("stem", "layer1", "layer2", "layer3")]
    assert stages == [(fine,), (fine,), (middle,), (deep,)]
    assert fused["fuse"].shapes == plain["fuse"].shapes == ((16, 4, 8),)
    assert len(fused["pyramid"].shapes) == 1


@pytest.mark.parametrize("fusion", [True, False])
@pytest.mark.parametrize("split", ["layer2", "layer3", "fuse", "pyramid"])
def test_the_halves_together_are_the_network_in_batches(split: str, fusion: bool) -> None:
    module = ffmnet(fusion=fusion)
    graph = trace(module, torch.zeros(1, 3, 32, 64))
    assert graph.takes_batches
    head, tail = cut(graph, split)
    with torch.no_grad():
        whole, behind = module(pictures()), tail(*head(pictures()))
    assert list(whole) == list(behind)
    for name, values in whole.items():
        assert torch.equal(values, behind[name]), name


def test_answers_are_of_the_picture_s_size() -> None:
    given = ffmnet(classes=5, box_classes=4, most_boxes=9)(pictures())
    assert {name: tuple(values.shape) for name, values in given.items()} == {
        "segmentation": (2, 5, 32, 64),
        "centres": (2, 4, 8, 16),
        "extents": (2, 4, 8, 16),
        "boxes": (2, 9, 4),
        "scores": (2, 9),
        "labels": (2, 9),
    }


def test_all_levels_reach_the_fused_tensor_or_the_deepest_alone() -> None:
    """What the tensor at the cut changes with when one stage's output does."""
    stages = [torch.rand(1, c, s, 2 * s) for c, s in ((16, 8), (32, 4), (64, 2))]
    with torch.no_grad():
        fuse = ffmnet().get_submodule("fuse")
        before = fuse(*stages)
        for index in range(3):
            moved = [s + (i == index) for i, s in enumerate(stages)]
            assert not torch.equal(fuse(*moved), before), index
        plain = ffmnet(fusion=False).get_submodule("fuse")
        assert plain(stages[2]).shape == before.shape


def test_the_pyramid_has_three_strides_and_is_merged_from_the_top_down() -> None:
    pyramid, seen = ffmnet().get_submodule("pyramid"), {}
    for name in ("top", "middle", "bottom"):
        part = pyramid.get_submodule(name)
        part.register_forward_hook(lambda *a, name=name: seen.update({name: a[-1]}))
    fused = torch.rand(1, 16, 4, 8)
    with torch.no_grad():
        pyramid(fused)
        assert [tuple(seen[n].shape) for n in ("top", "middle", "bottom")] == [
            (1, 24, 2, 4),
            (1, 24, 4, 8),
            (1, 16, 8, 16),
        ]
        for name, above in (("middle", "top"), ("bottom", "middle")):
            merge = pyramid.get_submodule(name)
            assert not torch.equal(merge(fused, seen[above] + 1), merge(fused, seen[above]))
            assert not torch.equal(merge(fused + 1, seen[above]), merge(fused, seen[above]))


@pytest.mark.parametrize("task", ANSWERS)
def test_a_single_task_network_is_the_same_network_with_one_head(task: str) -> None:
    both, one = ffmnet(), ffmnet(tasks=[task])
    assert set(one(pictures())) == ANSWERS[task]
    assert set(both(pictures())) == ANSWERS["segmentation"] | ANSWERS["detection"]
    states = both.state_dict()
    assert set(one.state_dict()) < set(states)
    for name, values in one.state_dict().items():
        assert values.shape == states[name].shape, name
        if name.startswith(("stem", "layer", "fuse", "pyramid")):
            assert torch.equal(values, states[name]), name  # they start alike
    ours, theirs = cuts_of(one), cuts_of(both)
    assert ours["fuse"].head_macs == theirs["fuse"].head_macs
    assert ours["fuse"].tail_macs < theirs["fuse"].tail_macs


def test_width_leaves_the_cut_as_it_is_and_channels_are_the_cut_s() -> None:
    wide = cuts_of(ffmnet(width=0.5, channels=24))
    assert wide["fuse"].shapes == ((24, 4, 8),)
    assert wide["layer3"].shapes == ((32, 8, 16), (64, 4, 8), (128, 2, 4))


@pytest.mark.parametrize(
    ("stride", "to", "shape"), [(4, 8, (12, 2, 3)), (8, 8, (12, 4, 6)), (16, 4, (12, 16, 24))]
)
def test_projections_change_the_stride(stride: int, to: int, shape: tuple[int, ...]) -> None:
    assert projected(5, 12, stride, to)(torch.zeros(1, 5, 4, 6)).shape == (1, *shape)


@pytest.mark.parametrize(
    ("options", "path", "message"),
    [
        ({"width": 0}, "options.width", "greater than 0"),
        ({"width": 5}, "options.width", "less than or equal to 4"),
        ({"channels": 0}, "options.channels", "greater than or equal to 1"),
        ({"channels": 1025}, "options.channels", "less than or equal to 1024"),
        ({"tasks": []}, "options.tasks", "at least 1"),
        ({"tasks": ["disparity"]}, "options.tasks[0]", "segmentation, detection"),
        ({"tasks": ["detection", "detection"]}, "options.tasks", "each task once"),
        ({"fusion": "no"}, "options.fusion", "boolean"),
        ({"classes": 1}, "options.classes", "greater than or equal to 2"),
        ({"box_classes": 0}, "options.box_classes", "greater than or equal to 1"),
        ({"most_boxes": 101}, "options.most_boxes", "less than or equal to 100"),
        ({"fuse": True}, "options.fuse", "unknown key.*fusion"),
    ],
)
def test_bad_options_are_told_with_path_value_and_choices(
    options: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(ScenarioError, match=message) as told:
        ffmnet(**options)
    assert told.value.path == path
    (said,) = options.values()
    values = {"options.tasks[0]": "disparity", "options.fuse": "fuse"}
    assert told.value.value == values.get(path, said)


@pytest.mark.parametrize("source", ["ffmnet", "street_net"])
@pytest.mark.parametrize(("key", "size"), [("height", (40, 64)), ("width", (32, 72))])
def test_a_side_that_does_not_divide(source: str, key: str, size: tuple[int, int]) -> None:
    with pytest.raises(ScenarioError, match="multiples of 16 px") as told:
        open_network(source, height=size[0], width=size[1])
    assert (told.value.path, told.value.value) == (key, max(size) if key == "width" else 40)
