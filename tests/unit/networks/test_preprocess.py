"""What a network sees of the pixels that circulate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from pydantic import ValidationError

from simsplit.errors import ScenarioError
from simsplit.networks.preprocess import check_whole, network_input, network_size, preprocess_of
from simsplit.networks.split_model import as_images
from simsplit.scenario.preprocess import Preprocess

PIXELS = torch.randint(
    0, 256, (2, 70, 100, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
)


def test_nothing_said_is_what_it_always_was() -> None:
    assert torch.equal(network_input(PIXELS), as_images(PIXELS))
    grey = PIXELS[..., :1]
    assert torch.equal(network_input(grey), as_images(grey))
    assert network_input(grey, None, 1).shape == (2, 1, 70, 100)


def test_scale_mean_and_deviation_by_hand() -> None:
    said = Preprocess(scale=2.0, mean=(1.0,), std=(4.0,))
    pixel = torch.full((1, 1, 1, 3), 10, dtype=torch.uint8)
    assert network_input(pixel, said).flatten().tolist() == [4.75] * 3
    usual = Preprocess(mean=(0.5, 0.25, 0.0), std=(1.0, 0.5, 2.0))
    found = network_input(torch.full((1, 1, 1, 3), 255, dtype=torch.uint8), usual)
    assert found.flatten().tolist() == [0.5, 1.5, 0.5]


WEIGHTS = (
    "ResNet18_Weights.IMAGENET1K_V1",
    "EfficientNet_B1_Weights.IMAGENET1K_V2",
    "ViT_B_16_Weights.IMAGENET1K_SWAG_E2E_V1",
    "FCN_ResNet50_Weights.DEFAULT",
    "FasterRCNN_ResNet50_FPN_Weights.DEFAULT",
)


@pytest.mark.parametrize("name", WEIGHTS)
def test_torchvisions_weights_are_preprocessed_as_torchvision_does(name: str) -> None:
    theirs: Any = torchvision.models.get_weight(name).transforms()
    said = preprocess_of(name)
    found = network_input(PIXELS, said)
    assert torch.equal(found, theirs(PIXELS.permute(0, 3, 1, 2)))
    assert tuple(found.shape[2:]) == network_size(said, 70, 100)


def test_sizes_are_of_the_shorter_side_or_of_both() -> None:
    assert network_size(Preprocess(size_px=35), 70, 100) == (35, 50)
    assert network_size(Preprocess(size_px=35), 100, 70) == (50, 35)
    assert network_size(Preprocess(size_px=(32, 16)), 70, 100) == (32, 16)
    assert network_size(Preprocess(size_px=35, crop_px=(20, 30)), 70, 100) == (20, 30)


def test_a_picture_is_the_same_in_any_batch() -> None:
    said = Preprocess(size_px=33, crop_px=30, mean=(0.4,), std=(0.2,))
    assert torch.equal(network_input(PIXELS, said)[1:], network_input(PIXELS[1:], said))


def test_grey_is_luma_when_said() -> None:
    pixel = torch.tensor([200, 100, 50], dtype=torch.uint8).reshape(1, 1, 1, 3)
    found = network_input(pixel, Preprocess(channels=1))
    assert float(found) == pytest.approx(round(0.299 * 200 + 0.587 * 100 + 0.114 * 50) / 255)
    with pytest.raises(ScenarioError, match="takes 1 channel"):
        network_input(pixel, None, 1)


def test_mistakes_are_told() -> None:
    with pytest.raises(ScenarioError, match=r"no weights of that name.*Did you mean 'ResNet18_W"):
        preprocess_of("ResNet18_Weights.IMAGENET", "networks.net.preprocess")
    with pytest.raises(ScenarioError, match=r"preprocess.crop_px: a crop of 80 x 80 from"):
        network_size(Preprocess(crop_px=80), 70, 100)
    with pytest.raises(ScenarioError, match="answer of kind 'detection' without its borders"):
        check_whole(Preprocess(crop_px=8), ["detection"])
    check_whole(Preprocess(crop_px=8), ["classification"])
    for wrong in (
        {"mean": [0.1, 0.2]},
        {"mean": [0.1], "std": [1.0, 1.0, 1.0]},
        {"std": [0.0]},
        {"channels": 2},
        {"channels": 1, "mean": [0.1, 0.2, 0.3]},
        {"size_px": 0},
        {"scale": -1},
        {"sise_px": 3},
    ):
        with pytest.raises(ValidationError):
            Preprocess.model_validate(wrong)
