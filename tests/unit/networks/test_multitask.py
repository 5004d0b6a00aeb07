"""The multi-task network: shapes, the cut, what it costs, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from simsplit.errors import ArtefactError
from simsplit.networks import artefact
from simsplit.networks.bottleneck import add_quantisation_noise, quantisation_step, round_to_bits
from simsplit.networks.digits import DigitsNet
from simsplit.networks.inference import FORWARD_BATCH, Inference, confidence_of, count_operators
from simsplit.networks.multitask import MultitaskExitNet, MultitaskNet
from simsplit.networks.split_model import SplitModel, as_images
from simsplit.operators import from_rows, total_macs

MODELS = Path(__file__).parents[3] / "models"
TRAINED = ("digits_cnn", "streets_multitask", "streets_nested", "streets_exit")


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def net() -> MultitaskNet:
    torch.manual_seed(0)
    return MultitaskNet().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (11, 64, 128, 3)).astype(np.uint8)


def test_shapes(net: MultitaskNet) -> None:
    feature = net.encode(torch.rand(2, 3, 64, 128))
    assert feature.shape == (2, 128, 4, 8)
    assert net.digital_encode(feature).shape == (2, *net.latent_shape) == (2, 24, 4, 8)
    assert net.digital_decode(torch.rand(2, 24, 4, 8)).shape == feature.shape
    assert net.jscc_encode(feature).shape == (2, net.symbol_count) == (2, 384)
    answers = net.answer(feature)
    assert answers["segmentation"].shape == (2, 8, 64, 128)
    assert answers["disparity"].shape == (2, 64, 128) and bool((answers["disparity"] >= 0).all())
    assert answers["reconstruction"].shape == (2, 3, 64, 128)


def test_other_sizes_keep_the_bandwidth_ratio() -> None:
    net = MultitaskNet(32, 48)
    assert net.symbol_count * 64 == 32 * 48 * 3
    assert net(torch.rand(1, 3, 32, 48))["disparity"].shape == (1, 32, 48)
    with pytest.raises(ValueError, match="multiple of 16"):
        MultitaskNet(60, 128)


@pytest.mark.parametrize("kind", [MultitaskNet, MultitaskExitNet, DigitsNet])
def test_head_and_tail_are_the_whole(kind: type[SplitModel]) -> None:
    model = kind().eval()
    pictures = torch.rand(3, 3, *((8, 8) if kind is DigitsNet else (64, 128)))
    whole, parts = model(pictures), model.answer(model.encode(pictures))
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], rtol=0, atol=0)


def test_size_is_what_the_design_allows(net: MultitaskNet) -> None:
    assert 0.8e6 < sum(p.numel() for p in net.parameters()) < 1.3e6
    macs = {part: total_macs(work) for part, work in count_operators(net, 64, 128).items()}
    assert 70e6 < macs["encode"] + macs["answer"] < 95e6
    # 3x3 from 128 to 24 channels at 32 positions: a closed form for the counter
    assert macs["digital_encode"] == 9 * 128 * 24 * 32 == macs["digital_decode"]


@pytest.mark.parametrize("name", TRAINED)
def test_operators_of_the_parts_add_up_to_the_cards_products(name: str) -> None:
    found = artefact.load_artefact(MODELS, name)
    card, shape = found.card, (1, 3, found.card["height"], found.card["width"])
    work = {part: from_rows(rows) for part, rows in card["operators_by_part"].items()}
    assert {part: total_macs(operators) for part, operators in work.items()} == card["macs_by_part"]
    assert work == count_operators(found.model, *shape[2:])
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        found.model(torch.zeros(shape))
    assert total_macs(work["encode"] + work["answer"]) == counter.get_total_flops() / 2
    assert card["macs"]["local"]["device_macs"] == counter.get_total_flops() / 2


class TestEarlyExit:
    @pytest.fixture(scope="class")
    @staticmethod
    def early() -> MultitaskExitNet:
        torch.manual_seed(1)
        return MultitaskExitNet().eval().requires_grad_(False)

    def test_it_answers_as_the_whole_network_does(self, early: MultitaskExitNet) -> None:
        pictures = torch.rand(2, 3, 64, 128)
        feature = early.exit_trunk(pictures)
        assert feature.shape == (2, 32, 16, 32)
        answers, whole = early.exit_answer(feature), early(pictures)
        assert {n: v.shape for n, v in answers.items()} == {n: v.shape for n, v in whole.items()}
        assert bool((answers["disparity"] >= 0).all())

    def test_it_shares_the_first_part_of_the_trunk(self, early: MultitaskExitNet) -> None:
        pictures = torch.rand(2, 3, 64, 128)
        onward = early.trunk[6:](early.exit_trunk(pictures))
        torch.testing.assert_close(onward, early.encode(pictures), rtol=0, atol=0)

    def test_it_is_light(self, early: MultitaskExitNet) -> None:
        macs = {part: total_macs(work) for part, work in count_operators(early, 64, 128).items()}
        assert macs["exit_head"] < 7e6
        assert macs["exit_trunk"] + macs["exit_head"] < 0.9 * macs["encode"]

    def test_parameters_are_the_networks_and_the_exits(self, early: MultitaskExitNet) -> None:
        added = set(early.state_dict()) - set(MultitaskNet().state_dict())
        assert added and all(name.startswith("exit.") for name in added)
        assert set(MultitaskNet().state_dict()) < set(early.state_dict())

    def test_the_shipped_one_is_streets_multitask_and_an_exit(self) -> None:
        plain, early = (
            artefact.load_artefact(MODELS, f"streets_{n}") for n in ("multitask", "exit")
        )
        tensors = early.model.state_dict()
        assert all(torch.equal(v, tensors[k]) for k, v in plain.model.state_dict().items())
        assert all(np.array_equal(t, early.tables[bits]) for bits, t in plain.tables.items())
        assert early.model.has_exit and not plain.model.has_exit

    def test_company_changes_no_bit(self, early: MultitaskExitNet, images: np.ndarray) -> None:
        inference = Inference(early)
        features = inference.exit_features(images)
        answers, confidence = inference.exit_answers(features), inference.exit_confidence(features)
        for index in (0, 5, 10):
            alone = inference.exit_features(images[index : index + 1])
            assert inference.exit_confidence(alone)[0] == confidence[index]
            for name, value in inference.exit_answers(alone).items():
                np.testing.assert_array_equal(value[0], answers[name][index])

    def test_confidence_by_hand(self) -> None:
        odds = torch.tensor([[[3.0, 1.0]], [[1.0, 1.0]]])  # (classes, 1, 2): 3/4 and 1/2
        segmentation = torch.stack([odds, torch.ones(2, 1, 2)]).log()
        assert confidence_of({"segmentation": segmentation}).tolist() == pytest.approx([0.625, 0.5])
        assert confidence_of({"label": segmentation[:, :, 0, 0]}).tolist() == pytest.approx(
            [0.75, 0.5]
        )

    @pytest.mark.parametrize("kind", [MultitaskNet, DigitsNet])
    def test_others_have_none(self, kind: type[SplitModel]) -> None:
        assert not kind.has_exit and "exit_head" not in count_operators(kind(), *self.size(kind))
        for call in (kind().exit_trunk, kind().exit_answer):
            with pytest.raises(NotImplementedError, match="no early exit"):
                call(torch.zeros(1, 3, *self.size(kind)))

    @staticmethod
    def size(kind: type[SplitModel]) -> tuple[int, int]:
        return (8, 8) if kind is DigitsNet else (64, 128)


def test_grey_pictures_become_three_channels() -> None:
    grey = torch.tensor([[[[0], [255]]]], dtype=torch.uint8)  # (1, 1, 2, 1)
    assert as_images(grey).tolist() == [[[[0.0, 1.0]]] * 3]


class TestQuantisation:
    latent = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(3))

    def test_rounding_stays_within_half_a_step(self) -> None:
        bits = torch.tensor([4, 8])
        step = quantisation_step(self.latent, bits)
        error = (round_to_bits(self.latent, bits) - self.latent).abs().amax(dim=(1, 2, 3))
        assert bool((error <= step.flatten() / 2 * 1.0001).all()) and bool((error > 0).all())
        assert float(step[0] / step[1]) > 12  # 255 / 15 up to the images' own ranges

    def test_training_noise_is_one_step_wide(self) -> None:
        latent = torch.linspace(-1, 1, 40_000).reshape(1, 4, 100, 100)
        noisy = add_quantisation_noise(latent, torch.tensor([4]), torch.Generator().manual_seed(0))
        noise, step = noisy - latent, 2 / 15
        assert float(noise.abs().max()) <= step / 2 * 1.001
        assert float(noise.std()) == pytest.approx(step / 12**0.5, rel=0.02)

    def test_constant_latent_survives(self) -> None:
        flat = torch.full((1, 2, 3, 3), 1.5)
        torch.testing.assert_close(round_to_bits(flat, torch.tensor([4])), flat)


class TestInference:
    def test_company_changes_no_bit(self, net: MultitaskNet, images: np.ndarray) -> None:
        inference = Inference(net)
        together = inference.answers(inference.features(images))
        for index in (0, 5, 10):
            alone = inference.answers(inference.features(images[index : index + 1]))
            for name, value in alone.items():
                np.testing.assert_array_equal(value[0], together[name][index])

    def test_order_changes_no_bit(self, net: MultitaskNet, images: np.ndarray) -> None:
        inference = Inference(net)
        straight, turned = inference.features(images), inference.features(images[::-1].copy())
        np.testing.assert_array_equal(straight, turned[::-1])

    def test_equals_the_plain_network(self, net: MultitaskNet, images: np.ndarray) -> None:
        assert len(images) % FORWARD_BATCH  # the last batch is filled up
        plain = net.encode(as_images(torch.from_numpy(images))).numpy()
        np.testing.assert_allclose(Inference(net).features(images), plain, atol=1e-4)

    def test_answers_are_bytes_and_pixels(self, net: MultitaskNet, images: np.ndarray) -> None:
        answers = Inference(net).answers(Inference(net).features(images[:1]))
        assert answers["segmentation"].dtype == np.uint8 and answers["segmentation"].max() < 8
        assert answers["reconstruction"].shape == (1, 64, 128, 3)


class TestArtefact:
    @pytest.fixture
    def models(self, tmp_path: Path) -> Path:
        folder = tmp_path / "tiny"
        folder.mkdir()
        (folder / "recipe.yaml").write_text("kind: digits\nseed: 1\n")
        tables = {4: np.arange(1, 65).reshape(4, 16)}
        digest = artefact.write_weights(folder, DigitsNet(), tables)
        recipe = artefact.recipe_digest(folder / "recipe.yaml")
        card = {"kind": "digits", "height": 8, "width": 8}
        card |= {"macs_by_part": {}, "operators_by_part": {}}
        artefact.write_card(folder, card | {"weights_digest": digest, "recipe_digest": recipe})
        return tmp_path

    def test_round_trip(self, models: Path) -> None:
        first, again = (artefact.load_artefact(models, "tiny") for _ in range(2))
        assert not first.model.training and first.digest == again.digest
        np.testing.assert_array_equal(first.tables[4], np.arange(1, 65).reshape(4, 16))
        for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True):
            assert torch.equal(a, b) and not a.requires_grad

    def test_missing_weights_name_file_and_command(self, models: Path) -> None:
        (models / "tiny" / artefact.WEIGHTS).unlink()
        with pytest.raises(ArtefactError, match=r"weights\.safetensors: not trained.*train.*tiny"):
            artefact.load_artefact(models, "tiny")

    def test_foreign_weights_are_refused(self, models: Path) -> None:
        artefact.write_weights(models / "tiny", DigitsNet(), {})
        with pytest.raises(ArtefactError, match=r"not those of card\.json"):
            artefact.load_artefact(models, "tiny")

    def test_changed_recipe_is_stale_but_comments_are_free(self, models: Path) -> None:
        recipe = models / "tiny" / "recipe.yaml"
        recipe.write_text("# a comment\nseed: 1\nkind: digits\n")
        artefact.load_artefact(models, "tiny")
        recipe.write_text("kind: digits\nseed: 2\n")
        with pytest.raises(ArtefactError, match="changed since"):
            artefact.load_artefact(models, "tiny")

    def test_wrong_network_is_refused(self, models: Path) -> None:
        file = models / "tiny" / artefact.CARD
        file.write_text(json.dumps(json.loads(file.read_text()) | {"kind": "multitask"}))
        with pytest.raises(ArtefactError, match=r"do not fit|multiple"):
            artefact.load_artefact(models, "tiny")

    def test_damaged_card_is_refused(self, models: Path) -> None:
        (models / "tiny" / artefact.CARD).write_text("{")
        with pytest.raises(ArtefactError, match="damaged card"):
            artefact.load_artefact(models, "tiny")

    def test_a_card_without_operators_says_how_to_count_them(self, models: Path) -> None:
        file = models / "tiny" / artefact.CARD
        card = json.loads(file.read_text())
        del card["operators_by_part"]
        file.write_text(json.dumps(card))
        with pytest.raises(ArtefactError, match=r"card\.json: .*operators_by_part.*refresh_costs"):
            artefact.load_artefact(models, "tiny")
        assert artefact.load_artefact(models, "tiny", with_costs=False).name == "tiny"

    def test_a_card_of_an_unknown_kind_is_refused(self, models: Path) -> None:
        file = models / "tiny" / artefact.CARD
        file.write_text(json.dumps(json.loads(file.read_text()) | {"kind": "figures"}))
        with pytest.raises(ArtefactError, match=r"do not fit the network \('figures'\)"):
            artefact.load_artefact(models, "tiny")
