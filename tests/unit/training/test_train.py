"""The training loop: recipes, interruption and resumption, what it writes, what it minimises."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.networks.artefact import load_artefact
from simsplit.networks.bottleneck import round_to_bits
from simsplit.networks.inference import Inference
from simsplit.networks.split_model import as_images
from simsplit.tasks.datasets import open_dataset
from simsplit.training import card as cards
from simsplit.training import fitting, objectives
from simsplit.training.card import entropy_tables, interval
from simsplit.training.checkpoints import CHECKPOINT
from simsplit.training.fitting import draw_batch, schedule, start
from simsplit.training.recipe import parse_net_recipe
from simsplit.training.train import train

TINY: dict[str, Any] = {
    "kind": "digits",
    "dataset": "digits",
    "height": 8,
    "width": 8,
    "train_images": 96,
    "test_images": 24,
    "steps": 20,
    "warmup_steps": 4,
    "checkpoint_steps": 6,
    "learning_rate": 0.003,
    "flip": False,
}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))


def recipe_in(folder: Path, **changes: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(TINY | changes))
    return folder / "recipe.yaml"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


class Interrupt:
    """Stops a run as Ctrl-C would, after a number of steps."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, step: int, steps: int, loss: float) -> None:
        if step == self.after:
            raise KeyboardInterrupt


def test_an_interrupted_run_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    undisturbed = train(recipe_in(tmp_path / "a"))
    recipe, seen = recipe_in(tmp_path / "b"), []
    for after in (8, 15):  # checkpoints at 6 and 12
        with pytest.raises(KeyboardInterrupt):
            train(recipe, progress=Interrupt(after))
    resumed = train(recipe, progress=lambda step, steps, loss: seen.append((step, steps)))
    assert seen == [(step, 20) for step in range(13, 21)]
    first, second = weights(undisturbed), weights(resumed)
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_another_seed_gives_other_weights(tmp_path: Path) -> None:
    first = weights(train(recipe_in(tmp_path / "a")))
    second = weights(train(recipe_in(tmp_path / "b", seed=2)))
    assert not torch.equal(first["trunk.0.weight"], second["trunk.0.weight"])


def test_checkpoint_of_another_recipe_is_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(recipe_in(tmp_path / "a"), progress=Interrupt(8))
    assert (tmp_path / "a" / CHECKPOINT).exists()
    with pytest.raises(ArtefactError, match="training is not finished; delete it"):
        train(recipe_in(tmp_path / "a", seed=2))


def test_a_finished_training_leaves_no_checkpoint(tmp_path: Path) -> None:
    first = weights(train(recipe_in(tmp_path / "a")))
    assert not (tmp_path / "a" / CHECKPOINT).exists()
    second = weights(train(recipe_in(tmp_path / "a", seed=2)))  # without a question
    assert not torch.equal(first["trunk.0.weight"], second["trunk.0.weight"])


def test_a_trial_leaves_the_real_weights_alone(tmp_path: Path) -> None:
    recipe = recipe_in(tmp_path / "a")
    folder = train(recipe, max_steps=3)
    assert folder == tmp_path / "a" / "partial-3" and not (tmp_path / "a" / CHECKPOINT).exists()
    assert json.loads((folder / "card.json").read_text())["trained"]["steps"] == 3


def test_the_card_tells_what_was_measured(tmp_path: Path) -> None:
    folder = train(recipe_in(tmp_path / "tiny"))
    card = json.loads((folder / "card.json").read_text())
    ways = {"direct", *(f"digital_{b}_bit" for b in (8, 6, 4))}
    ways |= {f"jscc_{snr}_db" for snr in (-5, 0, 5, 10, 15, 20)}
    assert set(card["scores"]) == ways
    for scores in card["scores"].values():
        share = scores["accuracy"]["mean"]
        assert 24 * share == pytest.approx(round(24 * share), abs=24 * 5e-5)  # of 24 pictures
        # 1.96 s / sqrt(n) of zeros and ones: s^2 = p (1 - p) n / (n - 1)
        half = 1.96 * math.sqrt(share * (1 - share) / 23)
        assert scores["accuracy"]["half_width_95"] == pytest.approx(half, abs=1e-3)
    artefact = load_artefact(tmp_path, "tiny")
    test = open_dataset("digits", "test").arrays(range(24))
    with torch.no_grad():
        feature = artefact.model.encode(as_images(torch.from_numpy(test["image"])))
        latent = artefact.model.digital_encode(feature)
        by_way = {"direct": feature}
        for bits in (8, 6, 4):
            rounded = round_to_bits(latent, torch.full((24,), float(bits)))
            by_way[f"digital_{bits}_bit"] = artefact.model.digital_decode(rounded)
        for way, arrived in by_way.items():
            guessed = artefact.model.answer(arrived)["label"].argmax(dim=1).numpy()
            share = float(np.mean(guessed == test["label"]))
            assert card["scores"][way]["accuracy"]["mean"] == pytest.approx(share, abs=5e-5), way
    assert card["parameters"]["total"] == sum(p.numel() for p in artefact.model.parameters())
    assert {bits: table.shape for bits, table in artefact.tables.items()} == {
        bits: (4, 2**bits) for bits in (8, 6, 4)
    }


def test_tables_count_every_code_of_the_range(tmp_path: Path) -> None:
    train(recipe_in(tmp_path / "tiny"))
    artefact = load_artefact(tmp_path, "tiny")
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 1)).astype(np.uint8)
    table = entropy_tables(Inference(artefact.model), images)[4]
    assert table.dtype == np.int64 and table.min() >= 1
    assert 50 * 4 <= table.sum(axis=1).min() <= table.sum(axis=1).max() < 50 * 4 + 16


def test_streets_train_through_the_same_loop(tmp_path: Path) -> None:
    changes = {"kind": "multitask", "dataset": "streets", "height": 32, "width": 64}
    recipe = recipe_in(tmp_path / "s", **changes, train_images=16, test_images=4, flip=True)
    losses: list[float] = []
    folder = train(recipe, max_steps=4, progress=lambda step, steps, loss: losses.append(loss))
    card = json.loads((folder / "card.json").read_text())
    scores = card["scores"]["jscc_10_db"]
    assert set(scores) > {"miou", "pixel_accuracy", "disparity_rmse_px", "psnr_db", "dataset_miou"}
    assert 0.5 < card["constant_answer"]["disparity_px"] < 10
    assert losses[-1] < losses[0]


class TestNestedFromAnother:
    """A nested code trained behind the frozen trunk of another model."""

    NESTED: ClassVar[dict[str, Any]] = {
        "start_from": "tiny",
        "train_only": "jscc",
        "nested": True,
        "steps": 10,
    }

    @pytest.fixture(autouse=True)
    def _start(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (fitting, cards):
            monkeypatch.setattr(module, "models_dir", lambda: tmp_path)
        train(recipe_in(tmp_path / "tiny"))

    def test_only_the_jscc_bottleneck_changes(self, tmp_path: Path) -> None:
        made = train(recipe_in(tmp_path / "nested", **self.NESTED))
        before, after = weights(tmp_path / "tiny"), weights(made)
        assert set(after) - set(before) == {"jscc.symbol_order"}
        same = {key: torch.equal(before[key], after[key]) for key in before}
        assert all(kept for key, kept in same.items() if not key.startswith("jscc."))
        assert not any(same[key] for key in same if key.startswith("jscc.to_symbols"))
        assert load_artefact(tmp_path, "nested").model.jscc.symbol_order is not None
        assert load_artefact(tmp_path, "tiny").model.jscc.symbol_order is None

    def test_an_interrupted_run_ends_as_an_undisturbed_one(self, tmp_path: Path) -> None:
        undisturbed = weights(train(recipe_in(tmp_path / "a", **self.NESTED)))
        with pytest.raises(KeyboardInterrupt):
            train(recipe_in(tmp_path / "b", **self.NESTED), progress=Interrupt(8))
        resumed = weights(train(tmp_path / "b" / "recipe.yaml"))
        assert all(torch.equal(undisturbed[key], resumed[key]) for key in resumed)

    def test_transmissions_are_cut_in_training(self, tmp_path: Path) -> None:
        never, always = (
            weights(train(recipe_in(tmp_path / str(share), **self.NESTED, full_share=share)))
            for share in (1.0, 0.0)
        )
        assert not torch.equal(never["jscc.leave.weight"], always["jscc.leave.weight"])

    def test_the_card_compares_prefixes(self, tmp_path: Path) -> None:
        made = train(recipe_in(tmp_path / "nested", **self.NESTED))
        card = json.loads((made / "card.json").read_text())
        digest = load_artefact(tmp_path, "tiny").card["weights_digest"]
        assert card["started_from"] == {"model": "tiny", "weights_digest": digest}
        assert set(card["prefixes"]) == {"nested", "tiny"}
        k = card["channel_uses"]["jscc"]
        for code in card["prefixes"].values():
            assert set(code) == {f"{k * e // 8}_symbols" for e in (1, 2, 4, 6, 8)}
            whole = code[f"{k}_symbols"]
            assert set(whole) == {"power", "0_db", "10_db", "20_db"}
            assert whole["power"]["mean"] == pytest.approx(1.0, abs=1e-4)
        whole = card["prefixes"]["nested"][f"{k}_symbols"]["10_db"]["accuracy"]
        assert whole == card["scores"]["jscc_10_db"]["accuracy"]

    def test_another_kind_is_no_start(self) -> None:
        changes = {"kind": "multitask", "dataset": "streets", "height": 32, "width": 64}
        recipe = parse_net_recipe(TINY | self.NESTED | changes)
        with pytest.raises(ScenarioError, match=r"start_from: .*digits 8x8"):
            start(recipe, torch.ones(8))

    def test_frozen_parts_must_come_from_somewhere(self) -> None:
        with pytest.raises(ScenarioError, match="start_from"):
            parse_net_recipe(TINY | {"train_only": "jscc"})

    def test_mirrored_features_go_with_mirrored_labels(self) -> None:
        run = start(parse_net_recipe(TINY | self.NESTED | {"flip": True}), torch.ones(8))
        columns = torch.arange(6).expand(32, 4, 6)
        plain = torch.zeros(32, 2, 3, 3)
        data = {"segmentation": columns.clone(), "feature": plain, "mirrored": plain + 5.0}
        batch = draw_batch(data, run, torch.Generator().manual_seed(0))
        assert torch.equal(batch["feature"][:, 0, 0, 0], batch["segmentation"][:, 0, 0].float())
        assert len(batch["feature"]) == run.recipe.shares.jscc


class TestExitFromAnother:
    """An early exit trained behind the frozen first stages of another model."""

    STREETS: ClassVar[dict[str, Any]] = {
        **{"dataset": "streets", "height": 32, "width": 64, "flip": True},
        **{"train_images": 16, "test_images": 6, "steps": 3},
    }
    EXIT: ClassVar[dict[str, Any]] = STREETS | {
        **{"kind": "multitask_exit", "start_from": "tiny", "train_only": "exit"},
        **{"shares": {"direct": 4}, "steps": 8},
    }

    @pytest.fixture(autouse=True)
    def _start(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for module in (fitting, cards):
            monkeypatch.setattr(module, "models_dir", lambda: tmp_path)
        train(recipe_in(tmp_path / "tiny", **self.STREETS, kind="multitask"))

    def test_only_the_exit_is_trained(self, tmp_path: Path) -> None:
        losses: list[float] = []
        recipe = recipe_in(tmp_path / "early", **self.EXIT)
        made = train(recipe, progress=lambda step, steps, loss: losses.append(loss))
        before, after = weights(tmp_path / "tiny"), weights(made)
        assert all(torch.equal(before[key], after[key]) for key in before)
        assert all(key.startswith("exit.") for key in set(after) - set(before))
        assert losses[-1] < losses[0]
        assert int(after["exit.narrow.1.num_batches_tracked"]) == 8

    def test_an_interrupted_run_ends_as_an_undisturbed_one(self, tmp_path: Path) -> None:
        undisturbed = weights(train(recipe_in(tmp_path / "a", **self.EXIT)))
        with pytest.raises(KeyboardInterrupt):
            train(recipe_in(tmp_path / "b", **self.EXIT), progress=Interrupt(7))
        resumed = weights(train(tmp_path / "b" / "recipe.yaml"))
        assert all(torch.equal(undisturbed[key], resumed[key]) for key in resumed)

    def test_the_card_tells_what_the_exit_is_worth(self, tmp_path: Path) -> None:
        made = train(recipe_in(tmp_path / "early", **self.EXIT))
        card = json.loads((made / "card.json").read_text())
        assert card["exit"]["scores"].keys() == card["scores"]["direct"].keys()
        assert len(card["exit"]["thresholds"]) == len(cards.EXIT_SHARES)
        macs = card["macs_by_part"]
        exit_macs = macs["exit_trunk"] + macs["exit_head"]
        assert card["macs"]["exit"] == {"device_macs": exit_macs, "edge_macs": 0.0}
        assert load_artefact(tmp_path, "early").model.has_exit

    def test_a_batch_is_the_direct_share(self) -> None:
        assert parse_net_recipe(TINY | self.EXIT).batch == 4

    @pytest.mark.parametrize("change", [{"kind": "multitask"}, {"train_only": None}])
    def test_kind_and_trained_part_belong_together(self, change: dict[str, Any]) -> None:
        with pytest.raises(ScenarioError, match="need each other"):
            parse_net_recipe(TINY | self.EXIT | change)

    def test_another_size_is_no_start(self) -> None:
        with pytest.raises(ScenarioError, match=r"start_from: .*multitask 32x64"):
            start(parse_net_recipe(TINY | self.EXIT | {"width": 32}), torch.ones(8))


def test_table_of_thresholds_by_hand() -> None:
    confidence = np.arange(10) / 10
    early, whole = np.where(np.arange(10) >= 5, 1.0, 0.0), np.full(10, 0.8)
    rows = cards.threshold_table(confidence, early, whole)
    shares = [row["exit_share"] for row in rows]
    assert shares == sorted(shares) and all(
        abs(s - e) <= 0.1 for s, e in zip(shares, cards.EXIT_SHARES, strict=True)
    )
    half = rows[2]
    assert (half["threshold"], half["exit_share"]) == (0.45, 0.5)
    means = {name: half[name]["mean"] for name in ("exited", "exited_by_whole", "onward", "all")}
    assert means == pytest.approx(
        {"exited": 1.0, "exited_by_whole": 0.8, "onward": 0.8, "all": 0.9}
    )
    assert half["onward_by_exit"]["mean"] == 0.0


def test_costs_counted_anew_change_nothing_else(tmp_path: Path) -> None:
    folder = train(recipe_in(tmp_path / "tiny"))
    file = folder / "card.json"
    told = file.read_text()
    old = json.loads(told)
    old |= {"macs": {}, "macs_by_part": {}}
    del old["operators_by_part"]
    file.write_text(json.dumps(old))
    with pytest.raises(ArtefactError, match="refresh_costs"):
        load_artefact(tmp_path, "tiny")
    cards.refresh_costs(folder)
    assert file.read_text() == told


class TestRecipes:
    def parse(self, **changes: Any) -> Any:
        return parse_net_recipe(TINY | changes)

    def test_unknown_key_names_the_nearest(self) -> None:
        with pytest.raises(ScenarioError, match=r"learning_rat.*Did you mean 'learning_rate'"):
            self.parse(learning_rat=0.1)
        with pytest.raises(ScenarioError, match=r"shares\.jsc: unknown key.*jscc"):
            self.parse(shares={"jsc": 3})

    @pytest.mark.parametrize(("key", "value"), [("steps", 0), ("fading_share", 2), ("seed", -1)])
    def test_bad_value_names_its_path(self, key: str, value: float) -> None:
        with pytest.raises(ScenarioError, match=f"^{key}: "):
            self.parse(**{key: value})

    def test_unknown_kind_and_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ScenarioError, match="Did you mean 'digits'"):
            train(recipe_in(tmp_path, kind="digit"))
        with pytest.raises(ScenarioError, match="no such recipe"):
            train(tmp_path / "nowhere.yaml")

    def test_schedule_follows_seconds_on_a_slow_machine(self) -> None:
        run = start(self.parse(steps=100, budget_s=10.0, warmup_steps=0), torch.ones(8))
        assert schedule(run) == 1.0
        run.step, run.elapsed_s = 10, 5.0
        assert run.done == 0.5 and schedule(run) == pytest.approx(0.5)
        run.elapsed_s = 0.1
        assert run.done == 0.1

    def test_every_image_once_per_epoch(self) -> None:
        run = start(self.parse(train_images=96), torch.ones(8))
        data = {"image": torch.arange(96)}
        drawn = []
        for run.step in range(6):  # 6 batches of 16
            drawn += draw_batch(data, run, torch.Generator().manual_seed(0))["image"].tolist()
        assert sorted(drawn) == list(range(96)) and drawn != sorted(drawn)

    def test_flips_keep_picture_and_labels_together(self) -> None:
        run = start(self.parse(flip=True), torch.ones(8))
        columns = torch.arange(6).expand(32, 4, 6)
        data = {"image": columns.unsqueeze(-1).clone(), "segmentation": columns.clone()}
        batch = draw_batch(data, run, torch.Generator().manual_seed(0))
        assert torch.equal(batch["image"][..., 0], batch["segmentation"])
        first = set(batch["segmentation"][:, 0, 0].tolist())
        assert first == {0, 5}


class TestObjectives:
    labels = torch.randint(0, 3, (2, 8, 8), generator=torch.Generator().manual_seed(0))

    def test_certain_and_right_is_free(self) -> None:
        logits = 50.0 * torch.nn.functional.one_hot(self.labels, 3).permute(0, 3, 1, 2).float()
        loss = objectives.segmentation_loss(logits, self.labels, torch.ones(3), 1.0)
        assert float(loss) == pytest.approx(0.0, abs=1e-3)
        wrong = objectives.segmentation_loss(logits.roll(1, 1), self.labels, torch.ones(3), 1.0)
        assert float(wrong) > 10

    def test_soft_iou_of_hard_answers_is_iou(self) -> None:
        answer = torch.zeros_like(self.labels)
        hard = torch.log(torch.nn.functional.one_hot(answer, 3).permute(0, 3, 1, 2) + 1e-12)
        right = int((self.labels == 0).sum())
        expected = (right + 1) / (self.labels.numel() + 1)
        assert float(objectives.soft_iou(hard, self.labels)[0]) == pytest.approx(expected, rel=1e-4)

    def test_rare_classes_weigh_more_and_the_mean_is_one(self) -> None:
        labels = torch.tensor([0] * 90 + [1] * 10, dtype=torch.uint8)
        equal, uneven = (objectives.class_weights(labels, 2, e) for e in (0.0, 0.5))
        assert equal.tolist() == pytest.approx([1.0, 1.0])
        assert uneven[1] > 2 * uneven[0]
        assert float(0.9 * uneven[0] + 0.1 * uneven[1]) == pytest.approx(1.0)

    def test_disparity_loss_is_rmse_in_px(self) -> None:
        target = torch.zeros(1, 4, 4)
        assert float(objectives.disparity_loss(target + 3.0, target)) == pytest.approx(3.0, 1e-4)

    def test_reconstruction_counts_decibels(self) -> None:
        target = torch.zeros(1, 3, 4, 4)
        near, far = (objectives.reconstruction_loss(target + d, target) for d in (0.1, 1.0))
        assert float(far - near) == pytest.approx(2 * 2.302585, rel=1e-3)


def test_interval_is_the_normal_one() -> None:
    found = interval([0.0, 1.0] * 50)
    assert found == {"mean": 0.5, "half_width_95": pytest.approx(1.96 * 0.5025 / 10, abs=1e-4)}
