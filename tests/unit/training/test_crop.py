"""Recipes with ``crop``: random parts of pictures, sized as before; their labels stay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from coded_digits import NETWORK, code_recipe, trained, write_module
from simsplit.errors import ScenarioError
from simsplit.training.batches import Batch, cropped
from simsplit.training.code_course import CodeCourse
from simsplit.training.loop import _arrays, open_course, take_step
from simsplit.training.phases import parse_phased_recipe

FIRST = {"train": "code", "steps": 4, "objectives": {"feature": 1, "rate": 0.05}}
SECOND = {"train": ["decoder", "tail"], "steps": 3, "objectives": {"task": 0.5, "distill": 0.5}}
CODE = {"kind": "entropic", "channels": 4, "stride": 2, "hidden": 12}
SHORT: dict[str, Any] = {"train_images": 64, "test_images": 16, "batch": 16}


def taken_batch(asked: Any, step: int) -> Batch:
    """What a step of a recipe sees."""
    seen: list[Batch] = []
    loop = open_course(asked, "cpu", None)
    data = loop.course.prepare(_arrays(asked, "train", asked.train_images))
    loss = loop.course.loss

    def look(phase: Any, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        seen.append(batch)
        return loss(phase, batch, generator)

    loop.course.loss = look  # type: ignore[method-assign]
    while loop.step <= step:
        take_step(loop, data)
    return seen[-1]


def recipe(**said: Any) -> dict[str, Any]:
    return code_recipe(CODE, cut="input", until="body.2", phases=[FIRST, SECOND], **SHORT, **said)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_module(tmp_path, monkeypatch)
    monkeypatch.chdir(tmp_path)
    trained(tmp_path / "net", NETWORK | SHORT)
    beside = tmp_path / "student"  # where recipes look for the network's weights from
    beside.mkdir()
    return beside


def ramp(count: int, width: int = 64) -> torch.Tensor:
    """Pictures whose red is the column and whose green is the row, in px."""
    across = torch.arange(width, dtype=torch.uint8)
    red, green = across.expand(width, -1), across.unsqueeze(1).expand(-1, width)
    return torch.stack((red, green, torch.zeros_like(red)), -1).expand(count, -1, -1, -1)


def test_parts_lie_within_and_have_the_sides_asked_for() -> None:
    count, width, least = 200, 64, 0.6
    batch = {"image": ramp(count), "label": torch.arange(count)}
    done = cropped(batch, least, torch.Generator().manual_seed(1))
    image = done["image"].float()
    assert done["image"].dtype == torch.uint8 and image.shape == (count, width, width, 3)
    assert torch.equal(done["label"], batch["label"])
    inner = slice(4, width - 4)  # away from borders, where a bilinear sample repeats the last pixel
    red = image[:, 0, inner, 0]
    share = (red[:, -1] - red[:, 0]) / (width - 9)
    assert least - 0.03 <= share.min() < 0.65 and 0.95 < share.max() <= 1.03
    green = image[:, inner, 0, 1]
    assert torch.allclose((green[:, -1] - green[:, 0]) / (width - 9), share, atol=0.04)
    starts = image[:, 0, 0, 0]
    assert starts.min() <= 1 and starts.max() > 0.2 * width  # left and right parts
    assert (starts <= (1 - share + 0.04) * width).all()


def test_a_whole_picture_is_left_alone() -> None:
    batch = {"image": ramp(2)}
    assert cropped(batch, 1.0, torch.Generator()) is batch


def test_a_student_of_cropped_pictures_keeps_nothing_of_whole_ones(folder: Path) -> None:
    asked = parse_phased_recipe(recipe(crop=0.7, flip=True), folder)
    course = open_course(asked, "cpu", None).course
    assert isinstance(course, CodeCourse)
    assert course.features.kept(64, head_learns=False) == {}
    images = [int(taken_batch(asked, step)["image"].unique().numel()) for step in (0, 1)]
    assert min(images) > 17  # digits have 17 levels, parts of them have levels between


def test_a_killed_training_of_cropped_pictures_goes_on_to_the_same_weights(folder: Path) -> None:
    said = recipe(crop=0.7, flip=True, checkpoint_steps=2)
    whole = trained(folder, said)
    killed = folder.parent / "killed"

    def kill(step: int, steps: int, loss: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(killed, said, progress=kill)
    trained(killed, said)
    first, second = (load_file(at / "weights.safetensors") for at in (whole, killed))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("crop", [0, 1.5])
def test_shares_are_above_0_and_at_most_1(folder: Path, crop: float) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_phased_recipe(recipe(crop=crop), folder)
    assert caught.value.path == "crop"


def test_only_labels_of_whole_pictures_may_be_cropped(folder: Path) -> None:
    said = NETWORK | {"crop": 0.7, "network": {"source": "street_net", "answer": "segmentation"}}
    with pytest.raises(ScenarioError, match="labels of whole pictures stay, those of segmentation"):
        parse_phased_recipe(said, folder)


def test_a_recipe_that_says_nothing_of_it_keeps_its_digest(folder: Path) -> None:
    plain, whole = recipe(), recipe(crop=1.0)
    digests = {parse_phased_recipe(said, folder).digest for said in (plain, whole)}
    assert len(digests) == 1
    assert parse_phased_recipe(recipe(crop=0.9), folder).digest not in digests
