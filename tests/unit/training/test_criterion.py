"""What a recipe makes training minimise: which objectives, which weights, what is learned."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from simsplit.training import fitting, objectives
from simsplit.training.checkpoints import CHECKPOINT
from simsplit.training.fitting import restore, save, start, take_step
from simsplit.training.objectives import Criterion, class_weights_of
from simsplit.training.recipe import NetRecipe, parse_net_recipe
from simsplit.training.train import train

TINY: dict[str, Any] = {
    "kind": "compressible",
    "dataset": "streets",
    "height": 16,
    "width": 32,
    "train_images": 12,
    "test_images": 3,
    "steps": 12,
    "warmup_steps": 2,
    "checkpoint_steps": 4,
    "learning_rate": 0.01,
    "shares": {"direct": 2, "digital": 2, "jscc": 0},
    "objective": "uncertainty",
    "network": {
        "encoder": "encoder2",
        "widths": [4, 4, 8, 8],
        "blocks": [1, 1, 1, 1],
        "stem_stride": 1,
        "head_widths": [8, 8],
    },
}
TASKS = {"segmentation", "disparity", "reconstruction"}


def recipe(**changes: Any) -> NetRecipe:
    return parse_net_recipe(TINY | changes)


def criterion(s: float = 0.0, **changes: Any) -> Criterion:
    made = Criterion(recipe(**changes), torch.linspace(0.5, 2.0, 8))
    for parameter in made.parameters():
        torch.nn.init.constant_(parameter, s)
    return made


def answers_and_batch() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(3)
    answers = {
        "segmentation": torch.randn(2, 8, 4, 6, generator=generator),
        "disparity": 9 * torch.rand(2, 4, 6, generator=generator),
        "reconstruction": torch.rand(2, 3, 4, 6, generator=generator),
    }
    batch = {
        "segmentation": torch.randint(8, (2, 4, 6), generator=generator).to(torch.uint8),
        "disparity": 9 * torch.rand(2, 4, 6, generator=generator),
        "image": torch.randint(256, (2, 4, 6, 3), generator=generator).to(torch.uint8),
    }
    batch["segmentation"][0, 0] = objectives.IGNORED
    batch["disparity"][1, 2] = torch.nan
    return answers, batch


FEATURE = torch.rand(2, 4, 4, 4, generator=torch.Generator().manual_seed(5))


def expected_tasks(s: float, picture: str = "image") -> float:
    """exp(-s) CE + exp(-s) (MSE + MAE) / 2 + 3 s / 2 of the batch, task by task."""
    answers, batch = answers_and_batch()
    batch["clean"] = 255 - batch["image"]
    log_p = answers["segmentation"].double().log_softmax(1)
    weight = torch.linspace(0.5, 2.0, 8).double()
    labelled = batch["segmentation"] != objectives.IGNORED
    labels = batch["segmentation"].long() * labelled
    pixel = weight[labels] * labelled
    entropy = -(pixel * log_p.gather(1, labels[:, None])[:, 0]).sum() / pixel.sum()
    square = (answers["disparity"] - batch["disparity"]).double().square().nanmean()
    target = batch[picture].permute(0, 3, 1, 2).double() / 255
    absolute = (answers["reconstruction"] - target).abs().mean()
    return float(math.exp(-s) * (entropy + square / 2 + absolute / 2) + 1.5 * s)


@pytest.mark.parametrize("s", [0.0, -1.2, 0.7])
def test_tasks_alone(s: float) -> None:
    loss = criterion(s)(*answers_and_batch(), FEATURE)
    assert float(loss.detach()) == pytest.approx(expected_tasks(s), rel=1e-5)


def test_a_clean_picture_is_the_target_where_there_is_one() -> None:
    answers, batch = answers_and_batch()
    loss = criterion()(answers, batch | {"clean": 255 - batch["image"]}, FEATURE)
    assert float(loss.detach()) == pytest.approx(expected_tasks(0.0, "clean"), rel=1e-5)
    assert expected_tasks(0.0, "clean") != pytest.approx(expected_tasks(0.0), rel=1e-3)


def test_compressibility_with_a_fixed_weight_has_no_variance() -> None:
    made = criterion(0.7, compressibility=2.5)
    loss = made(*answers_and_batch(), FEATURE)
    added = 2.5 * float(objectives.compressibility_loss(FEATURE))
    assert float(loss.detach()) == pytest.approx(expected_tasks(0.7) + added, rel=1e-5)
    assert set(made.log_variances()) == TASKS


def test_compressibility_may_be_normalised_by_energy() -> None:
    made = criterion(0.0, compressibility=2.5, compressibility_by="energy")
    added = 2.5 * float(objectives.compressibility_loss(FEATURE, "energy"))
    loss = made(*answers_and_batch(), FEATURE)
    assert float(loss.detach()) == pytest.approx(expected_tasks(0.0) + added, rel=1e-5)


@pytest.mark.parametrize("weight", [2.5, "learned"])
def test_compressibility_may_begin_later(weight: Any) -> None:
    made = criterion(0.7, compressibility=weight, compressibility_from_step=10)
    before, after = (float(made(*answers_and_batch(), FEATURE, step).detach()) for step in (9, 10))
    assert before == pytest.approx(expected_tasks(0.7), rel=1e-5)
    at_once = criterion(0.7, compressibility=weight)(*answers_and_batch(), FEATURE)
    assert after == float(at_once.detach())


def test_learned_compressibility_is_a_regression() -> None:
    made = criterion(0.7, compressibility="learned")
    loss = made(*answers_and_batch(), FEATURE)
    added = math.exp(-0.7) * float(objectives.compressibility_loss(FEATURE)) / 2 + 0.35
    assert float(loss.detach()) == pytest.approx(expected_tasks(0.7) + added, rel=1e-5)
    assert set(made.log_variances()) == TASKS | {"compressibility"}


def test_weighted_recipes_and_digits_learn_no_weights() -> None:
    digits = {"kind": "digits", "dataset": "digits", "height": 8, "width": 8, "network": None}
    plain = Criterion(recipe(**digits, objective="weighted", shares={}, flip=False), torch.ones(1))
    assert not list(plain.parameters())
    logits, labels = torch.randn(4, 10), torch.tensor([1, 2, 3, 9], dtype=torch.uint8)
    found = float(plain({"label": logits}, {"label": labels}, None))
    assert found == pytest.approx(float(-logits.log_softmax(1)[range(4), labels.long()].mean()))


def test_class_weights_follow_the_classes_of_the_network() -> None:
    segmentation = torch.tensor([0, 0, 0, 5, objectives.IGNORED], dtype=torch.uint8)
    network = TINY["network"] | {"classes": 19}
    weights = class_weights_of(recipe(network=network), {"segmentation": segmentation})
    assert weights.shape == (19,) and weights[18] > weights[0]
    assert class_weights_of(recipe(), {"segmentation": segmentation[:3]}).shape == (8,)
    assert class_weights_of(recipe(), {}).tolist() == [1.0]


class TestLogVariances:
    """They are trained with the network, kept in checkpoints, and told at the end."""

    @pytest.fixture(autouse=True)
    def _own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))

    @pytest.fixture(params=[0, 5], ids=["at once", "from step 5"])
    def said(self, request: pytest.FixtureRequest) -> dict[str, Any]:
        return {"compressibility": "learned", "compressibility_from_step": request.param}

    def facts(
        self, folder: Path, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **hooks: Any
    ) -> dict[str, Any]:
        told: list[dict[str, Any]] = []
        monkeypatch.setattr(fitting, "finish", lambda *args: told.append(args[-1]))
        folder.mkdir(exist_ok=True)
        file = folder / "recipe.yaml"
        file.write_text(yaml.safe_dump(TINY | said))
        train(file, **hooks)
        return told[0]

    def test_an_interrupted_run_tells_those_of_an_undisturbed_one(
        self, said: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def interrupt(step: int, steps: int, loss: float) -> None:
            if step == 6:  # a checkpoint is at 4
                raise KeyboardInterrupt

        undisturbed = self.facts(tmp_path / "a", said, monkeypatch)
        with pytest.raises(KeyboardInterrupt):
            self.facts(tmp_path / "b", said, monkeypatch, progress=interrupt)
        resumed = self.facts(tmp_path / "b", said, monkeypatch)
        assert resumed["log_variance"] == undisturbed["log_variance"]
        assert set(resumed["log_variance"]) == TASKS | {"compressibility"}
        assert all(value != 0.0 for value in resumed["log_variance"].values())
        json.dumps(resumed)

    def test_a_checkpoint_holds_them_and_their_moments(self, tmp_path: Path) -> None:
        run = start(recipe(), torch.ones(8))
        value = torch.nn.init.constant_(run.criterion.learned.log_variance["disparity"], -2.25)
        run.optimizer.state[value] = {
            "step": torch.tensor(3.0),
            "exp_avg": torch.tensor(0.5),
            "exp_avg_sq": torch.tensor(0.25),
        }
        save(run, tmp_path / CHECKPOINT)
        fresh = start(recipe(), torch.ones(8))
        restore(fresh, tmp_path / CHECKPOINT)
        back = fresh.criterion.learned.log_variance["disparity"]
        assert fresh.criterion.log_variances()["disparity"] == -2.25
        assert float(fresh.optimizer.state[back]["exp_avg"]) == 0.5

    def test_large_losses_raise_their_variance(self) -> None:
        """One step: ds = -lr sign(1 - L exp(-s)) / 2 at s = 0, so up where L > 1 (regression)."""
        run = start(recipe(compressibility="learned"), torch.ones(8))
        take_step(run, noise())
        found = run.criterion.log_variances()
        assert found["segmentation"] > 0 and found["disparity"] > 0  # 2 CE and MSE are above 1
        assert found["reconstruction"] < 0 and found["compressibility"] < 0  # both below 1


def noise() -> dict[str, Tensor]:
    """Four pictures of noise with labels of noise, 60 px near."""
    generator = torch.Generator().manual_seed(0)
    size = (4, 16, 32)
    return {
        "image": torch.randint(256, (*size, 3), generator=generator).to(torch.uint8),
        "segmentation": torch.randint(8, size, generator=generator).to(torch.uint8),
        "disparity": torch.full(size, 60.0),
    }


def test_until_the_loss_begins_training_is_that_of_the_baseline() -> None:
    later = {"compressibility": 5.0, "compressibility_from_step": 3}
    baseline, proposed = (start(recipe(**c), torch.ones(8)) for c in ({}, later))
    same = []
    for _ in range(5):
        for run in (baseline, proposed):
            take_step(run, noise())
        pairs = zip(baseline.model.parameters(), proposed.model.parameters(), strict=True)
        same.append(all(torch.equal(one, other) for one, other in pairs))
    assert same == [True, True, True, False, False]
