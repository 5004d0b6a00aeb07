"""Boxes from raw maps of a centre-point detector: by hand, in batches, and behind a cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from simsplit.errors import ScenarioError
from simsplit.networks.catalogue import open_network
from simsplit.networks.centre_points import CentreBoxes
from simsplit.networks.cuts import cut, points
from simsplit.networks.graph import trace

GRID, SIZE = (6, 8), (24, 64)  # cells of 4 x 8 px
NOTHING = -20.0


def maps() -> tuple[torch.Tensor, torch.Tensor]:
    """Two centres in picture 0, one in picture 1."""
    centres, extents = torch.full((2, 3, *GRID), NOTHING), torch.zeros(2, 4, *GRID)
    centres[0, 1, 2, 3] = 2.0
    centres[0, 1, 2, 4] = 1.0  # a weaker neighbour of the same class is no centre
    centres[0, 0, 2, 4] = 0.0  # of another class it is one
    extents[0, :, 2, 3] = torch.tensor([0.5, 0.25, np.log(2.0), np.log(3.0)])
    extents[0, :, 2, 4] = torch.tensor([0.0, 0.0, np.log(0.5), np.log(1.0)])
    centres[1, 2, 0, 0] = 3.0
    extents[1, :, 0, 0] = torch.tensor([0.5, 0.5, np.log(2.0), np.log(1.0)])
    return centres, extents


def test_boxes_are_those_of_the_maps() -> None:
    boxes, scores, labels = CentreBoxes(GRID, SIZE, 3, most=2)(*maps())
    assert boxes.shape == (2, 2, 4) and scores.shape == labels.shape == (2, 2)
    assert labels[0].tolist() == [2, 1] and int(labels[1, 0]) == 3
    np.testing.assert_allclose(scores[0], torch.tensor([2.0, 0.0]).sigmoid())
    # x = 8 (3 + 0.5 -+ 1), y = 4 (2 + 0.25 -+ 1.5)
    np.testing.assert_allclose(boxes[0, 0], [20.0, 3.0, 36.0, 15.0], rtol=1e-6)
    np.testing.assert_allclose(boxes[0, 1], [30.0, 6.0, 34.0, 10.0], rtol=1e-6)
    np.testing.assert_allclose(boxes[1, 0], [0.0, 0.0, 12.0, 4.0], atol=1e-6)  # cut at the edge


def test_no_more_boxes_than_cells_and_endless_extents_stay_in_the_picture() -> None:
    boxes, scores, _ = CentreBoxes((1, 2), (4, 8), 3, most=50)(
        torch.zeros(1, 3, 1, 2), torch.full((1, 4, 1, 2), 1e4)
    )
    assert boxes.shape == (1, 6, 4) and scores.shape == (1, 6)
    np.testing.assert_array_equal(boxes[0, :, 2:], np.tile([8.0, 4.0], (6, 1)))


@pytest.mark.parametrize("split", ["stem", "layer1", "layer2", "layer3", "decoder"])
def test_one_tensor_crosses_every_stage(split: str) -> None:
    module = open_network("street_net", height=32, width=64, options={"width": 0.25})
    graph = trace(module, torch.zeros(1, 3, 32, 64))
    assert graph.takes_batches
    crossing = {point.name: point.shapes for point in points(graph)}[split]
    assert len(crossing) == 1
    head, tail = cut(graph, split)
    images = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole, behind = module(images), tail(*head(images))
    assert list(whole) == list(behind)
    for name, values in whole.items():
        assert torch.equal(values, behind[name]), name
    assert whole["boxes"].shape == (2, 32, 4) and whole["segmentation"].shape == (2, 8, 32, 64)


def test_stages_have_the_strides_of_resnet() -> None:
    module = open_network("street_net", height=96, width=192, options={"width": 1.0})
    shapes = {p.name: p.shapes for p in points(trace(module, torch.zeros(1, 3, 96, 192)))}
    assert [shapes[f"layer{i}"] for i in (1, 2, 3)] == [
        ((64, 24, 48),),
        ((128, 12, 24),),
        ((256, 6, 12),),
    ]


@pytest.mark.parametrize(
    ("tasks", "names"),
    [
        (["segmentation"], {"segmentation"}),
        (["disparity"], {"disparity"}),
        (["detection"], {"boxes", "scores", "labels", "centres", "extents"}),
    ],
)
def test_tasks_are_chosen(tasks: list[str], names: set[str]) -> None:
    module = open_network("street_net", height=32, width=32, options={"tasks": tasks})
    assert set(module(torch.zeros(1, 3, 32, 32))) == names
    assert trace(module, torch.zeros(1, 3, 32, 32)).takes_batches


@pytest.mark.parametrize(
    ("options", "path", "message"),
    [
        ({"width": 0}, "options.width", "greater than 0"),
        ({"width": 5}, "options.width", "less than or equal to 4"),
        ({"tasks": []}, "options.tasks", "at least 1"),
        ({"tasks": ["depth"]}, "options.tasks[0]", "disparity"),
        ({"tasks": ["detection", "detection"]}, "options.tasks", "each task once"),
        ({"most_boxes": 0}, "options.most_boxes", "greater than or equal to 1"),
        ({"scale": 1}, "options.scale", "unknown key"),
    ],
)
def test_bad_options_are_told_with_their_path(
    options: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(ScenarioError, match=message) as told:
        open_network("street_net", height=32, width=32, options=options)
    assert told.value.path == path


def test_a_side_that_does_not_divide() -> None:
    with pytest.raises(ScenarioError, match="multiples of 16"):
        open_network("street_net", height=32, width=40)
