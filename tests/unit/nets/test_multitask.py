"""The multi-task network: shapes, the cut, what it costs, and its files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from simsplit.errors import ArtefactError
from simsplit.nets import artefact
from simsplit.nets.bottleneck import add_quantisation_noise, quantisation_step, round_to_bits
from simsplit.nets.contract import SplitModel, as_images
from simsplit.nets.digits import DigitsNet
from simsplit.nets.inference import FORWARD_BATCH, Inference, count_macs
from simsplit.nets.multitask import MultitaskNet


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


@pytest.mark.parametrize("kind", [MultitaskNet, DigitsNet])
def test_head_and_tail_are_the_whole(kind: type[SplitModel]) -> None:
    model = kind().eval()
    pictures = torch.rand(3, 3, *((64, 128) if kind is MultitaskNet else (8, 8)))
    whole, parts = model(pictures), model.answer(model.encode(pictures))
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[name], rtol=0, atol=0)


def test_size_is_what_the_design_allows(net: MultitaskNet) -> None:
    assert 0.8e6 < sum(p.numel() for p in net.parameters()) < 1.3e6
    macs = count_macs(net, 64, 128)
    assert 70e6 < macs["encode"] + macs["answer"] < 95e6
    # 3x3 from 128 to 24 channels at 32 positions: a closed form for the counter
    assert macs["digital_encode"] == 9 * 128 * 24 * 32 == macs["digital_decode"]


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
