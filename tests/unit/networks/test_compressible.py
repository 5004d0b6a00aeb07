"""The network of compressible features: published shapes and sizes, what it offers, its errors."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from simsplit.codecs.tiles import mosaic_grid, tile
from simsplit.errors import ArtefactError
from simsplit.messages import Scheme
from simsplit.networks.artefact import build_model, load_artefact, write_card, write_weights
from simsplit.networks.compressible import CompressibleNet, UpsamplingHead
from simsplit.networks.inference import Inference, count_operators
from simsplit.operators import total_macs
from simsplit.pipeline.workloads import workloads

CLASSES = 19
EMBEDDED: dict[str, Any] = {
    "widths": [8, 16, 32, 128],
    "blocks": [1, 2, 3, 1],
    "stem_stride": 1,
}
PUBLISHED = {"encoder1": (512, 8, 16), "encoder2": (256, 16, 32)}
MOSAICS = {"encoder1": ((16, 32), (128, 512)), "encoder2": ((16, 16), (256, 512))}
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


def network(height: int = 16, width: int = 32, **changes: Any) -> CompressibleNet:
    small = {"encoder": "encoder2", "widths": (4, 4, 8, 8), "blocks": (1, 1, 1, 1)}
    torch.manual_seed(0)
    return CompressibleNet(height, width, **(small | {"stem_stride": 1} | changes)).eval()


@pytest.fixture(scope="module", params=PUBLISHED)
def full(request: pytest.FixtureRequest) -> tuple[str, CompressibleNet]:
    return request.param, CompressibleNet(encoder=request.param, classes=CLASSES).eval()


class TestFullSize:
    def test_shapes_are_the_published_ones(self, full: tuple[str, CompressibleNet]) -> None:
        encoder, model = full
        picture = torch.rand(1, 3, 256, 512, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            feature = model.encode(picture)
            answers = model.answer(feature)
        assert feature.shape[1:] == PUBLISHED[encoder] == model.latent_shape == model.feature_shape
        assert float(feature.min()) >= 0.0 and float(feature.std()) > 0.0
        assert {name: tuple(value.shape) for name, value in answers.items()} == {
            "segmentation": (1, CLASSES, 256, 512),
            "disparity": (1, 256, 512),
            "reconstruction": (1, 3, 256, 512),
        }
        assert float(answers["disparity"].min()) >= 0.0

    def test_tiles_are_laid_out_as_published(self, full: tuple[str, CompressibleNet]) -> None:
        encoder, model = full
        grid, size = MOSAICS[encoder]
        assert mosaic_grid(model.latent_shape[0]) == grid
        codes = np.arange(np.prod(model.latent_shape), dtype=np.uint32).reshape(model.latent_shape)
        assert tile((codes // codes[0].size % 256).astype(np.uint8)).shape == size

    def test_encoder_has_as_many_parameters_as_that_of_torchvision(
        self, full: tuple[str, CompressibleNet]
    ) -> None:
        from torchvision.models import resnet34

        encoder, model = full
        theirs = resnet34()
        layers = [theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4][: len(model.layers)]
        assert len(layers) == {"encoder1": 4, "encoder2": 3}[encoder]
        for ours, other in zip(model.layers, layers, strict=True):
            assert sizes(ours) == sizes(other)
        assert sizes(model.stem) == sizes(nn.Sequential(theirs.conv1, theirs.bn1))

    def test_encoder_computes_what_that_of_torchvision_does(
        self, full: tuple[str, CompressibleNet]
    ) -> None:
        """Their weights, put in block by block, give their feature."""
        from torchvision.models import resnet34

        encoder, model = full
        torch.manual_seed(1)
        theirs = resnet34().eval()
        parts = [theirs.conv1, theirs.bn1, theirs.relu, theirs.maxpool]
        parts += [theirs.layer1, theirs.layer2, theirs.layer3]
        reference = nn.Sequential(*parts, *([theirs.layer4] if encoder == "encoder1" else []))
        ours = nn.ModuleList((model.stem, model.layers))
        kept = {key: value.clone() for key, value in ours.state_dict().items()}
        pairs = zip(kept, reference.state_dict().values(), strict=True)
        ours.load_state_dict(dict(pairs))
        picture = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(2))
        with torch.inference_mode():
            found, expected = model.encode(picture), reference(4.0 * picture - 2.0)
        ours.load_state_dict(kept)
        assert torch.allclose(found, expected, rtol=1e-4, atol=1e-5)
        assert float(expected.std()) > 0.01

    def test_heads_share_one_skeleton(self, full: tuple[str, CompressibleNet]) -> None:
        """A 2x2 stride-2 transposed and a 3x3 convolution per doubling, and a 1x1 at the end."""
        encoder, model = full
        doublings = {"encoder1": 5, "encoder2": 4}[encoder]
        for name, answers in {"segmentation": CLASSES, "disparity": 1, "reconstruction": 3}.items():
            head = model.get_submodule(f"heads.{name}")
            assert isinstance(head, UpsamplingHead)
            convolutions = [part for part in head.modules() if isinstance(part, CONVOLUTIONS)]
            assert [(type(c).__name__, c.kernel_size[0], c.stride[0]) for c in convolutions] == [
                ("ConvTranspose2d", 2, 2),
                ("Conv2d", 3, 1),
            ] * doublings + [("Conv2d", 1, 1)]
            assert convolutions[0].in_channels == PUBLISHED[encoder][0]
            assert convolutions[-1].out_channels == answers


def sizes(part: nn.Module) -> list[int]:
    """Elements of all parameters, sorted, since the order of definition may differ."""
    return sorted(parameter.numel() for parameter in part.parameters())


class TestEmbedded:
    @pytest.mark.parametrize(
        ("encoder", "shape", "cut"),
        [("encoder1", (128, 8, 16), "layer4"), ("encoder2", (32, 16, 32), "layer3")],
    )
    def test_features_have_the_tiles_of_the_paper(
        self, encoder: str, shape: tuple[int, int, int], cut: str
    ) -> None:
        model = build_model("compressible", 64, 128, EMBEDDED | {"encoder": encoder}).eval()
        with torch.inference_mode():
            feature = model.encode(torch.rand(2, 3, 64, 128))
            answers = model.answer(feature)
        assert feature.shape == (2, *shape) and model.latent_shape == shape
        assert feature[0].numel() == 16_384 and shape[1:] == PUBLISHED[encoder][1:]
        assert model.splits == (cut,)
        assert answers["segmentation"].shape == (2, 8, 64, 128)
        assert type(model).splits == ()  # of that network, not of all

    @pytest.mark.parametrize("stem_stride", [1, 2, 4])
    @pytest.mark.parametrize("encoder", PUBLISHED)
    def test_every_stem_comes_back_to_full_size(self, stem_stride: int, encoder: str) -> None:
        model = network(64, 96, stem_stride=stem_stride, encoder=encoder)
        with torch.inference_mode():
            feature = model.encode(torch.rand(1, 3, 64, 96))
            answers = model.answer(feature)
        assert feature.shape[1:] == model.latent_shape
        assert {value.shape[-2:] for value in answers.values()} == {(64, 96)}


class TestExpansion:
    def test_the_feature_is_wider_and_all_else_as_it_is(self) -> None:
        model, plain = network(expansion=24), network()
        assert model.feature_shape == model.latent_shape == (24, 4, 8)
        state, usual = model.state_dict(), plain.state_dict()
        ours = {key: v.shape for key, v in state.items() if key.startswith(("stem.", "layers."))}
        theirs = {key: v.shape for key, v in usual.items() if key.startswith(("stem.", "layers."))}
        assert ours.items() > theirs.items()
        added = set(ours) - set(theirs)
        assert {key.split(".")[1] for key in added} == {"3"}  # behind layers 1 to 3
        assert ours["layers.3.0.weight"] == (24, 8, 1, 1)

    def test_it_is_never_negative_and_every_answer_has_the_pictures_size(self) -> None:
        model = network(expansion=24, head_widths=(8, 8))
        with torch.inference_mode():
            feature = model.encode(torch.rand(2, 3, 16, 32))
            answers = model.answer(feature)
        assert float(feature.min()) >= 0.0 and float(feature.std()) > 0.0
        assert {value.shape[-2:] for value in answers.values()} == {(16, 32)}

    def test_its_work_is_that_of_the_convolution(self) -> None:
        models = (network(expansion=8), network())
        wide, plain = (total_macs(count_operators(m, 16, 32)["encode"]) for m in models)
        assert wide - plain == 8 * 8 * 4 * 8


class TestErrors:
    @pytest.mark.parametrize("size", [(250, 512), (256, 500)])
    def test_sizes_off_the_stride(self, size: tuple[int, int]) -> None:
        with pytest.raises(ValueError, match=rf"{size[0]}x{size[1]} is not a multiple of 16"):
            CompressibleNet(*size)

    def test_a_size_may_fit_one_encoder_only(self) -> None:
        assert network(48, 80, stem_stride=4).latent_shape == (8, 3, 5)
        with pytest.raises(ValueError, match="multiple of 32"):
            network(48, 80, stem_stride=4, encoder="encoder1")

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"encoder": "encoder3"}, "'encoder3' is none of encoder1, encoder2"),
            ({"stem_stride": 3}, "stem_stride 3 is none of 1, 2, 4"),
            ({"blocks": (1, 1)}, "2 layers where encoder2 has 3"),
            ({"encoder": "encoder1", "widths": (4, 4, 8)}, "3 layers where encoder1 has 4"),
            ({"head_widths": (8,)}, "1 stages"),
            ({"head_widths": ()}, "0 stages"),
        ],
    )
    def test_arguments_that_make_no_network(self, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            network(**changes)


class TestWithoutJscc:
    def test_latent_is_the_feature_itself(self) -> None:
        model, feature = network(), torch.rand(2, 8, 4, 8)
        assert torch.equal(model.digital_encode(feature), feature)
        assert torch.equal(model.digital_decode(feature), feature)
        assert not list(model.digital.parameters())

    def test_there_is_no_such_scheme(self) -> None:
        model = network()
        assert not model.has_jscc and model.symbol_count == 0
        assert not Inference(model).has_jscc
        with pytest.raises(AttributeError, match="jscc"):
            model.jscc_encode(torch.zeros(1, 8, 4, 8))
        parts = count_operators(model, 16, 32)
        assert set(parts) == {"encode", "answer", "digital_encode", "digital_decode"}
        ways = workloads(parts)
        assert set(ways) == {Scheme.LOCAL, Scheme.RAW, Scheme.SEPARATE}
        assert parts["digital_encode"] == parts["digital_decode"] == ()
        assert ways[Scheme.SEPARATE].device == parts["encode"]
        assert ways[Scheme.SEPARATE].edge == parts["answer"]

    def test_products_are_those_counted_by_hand(self) -> None:
        """Elements written times products per element, of the trunk at 16x32 px."""
        macs = sum(one.macs for one in count_operators(network(), 16, 32)["encode"])
        stem = 16 * 32 * 4 * 27
        first = 2 * 16 * 32 * 4 * 36
        second = 2 * 8 * 16 * 4 * 36 + 8 * 16 * 4 * 4  # and the shortcut
        third = 4 * 8 * 8 * (36 + 72) + 4 * 8 * 8 * 4
        assert macs == stem + first + second + third


class TestOnDisk:
    ARGUMENTS: dict[str, Any] = EMBEDDED | {"encoder": "encoder1", "widths": [4, 4, 8, 8]}

    def written(self, folder: Path, **card: Any) -> nn.Module:
        torch.manual_seed(3)
        model = build_model("compressible", 16, 32, self.ARGUMENTS).eval()
        (folder / "net").mkdir()
        write_weights(folder / "net", model, {8: np.ones((8, 256), np.int64)})
        digest = hashlib.sha256((folder / "net" / "weights.safetensors").read_bytes()).hexdigest()
        facts = {"kind": "compressible", "height": 16, "width": 32, "network": self.ARGUMENTS}
        digests = {"weights_digest": digest, "recipe_digest": ""}
        write_card(folder / "net", facts | digests | card)
        return model

    def test_comes_back_as_it_was(self, tmp_path: Path) -> None:
        model = self.written(tmp_path)
        found = load_artefact(tmp_path, "net", with_costs=False)
        assert found.card["network"] == json.loads(json.dumps(self.ARGUMENTS))
        assert found.model.splits == ("layer4",) and found.tables[8].shape == (8, 256)
        picture = torch.rand(1, 3, 16, 32)
        with torch.inference_mode():
            before: dict[str, Tensor] = model(picture)
            after = found.model(picture)
        assert all(torch.equal(before[name], after[name]) for name in before)

    def test_another_network_than_that_of_the_card(self, tmp_path: Path) -> None:
        self.written(tmp_path, network=self.ARGUMENTS | {"encoder": "encoder2"})
        with pytest.raises(ArtefactError, match="do not fit"):
            load_artefact(tmp_path, "net", with_costs=False)

    def test_a_card_that_makes_no_network(self, tmp_path: Path) -> None:
        self.written(tmp_path, network=self.ARGUMENTS | {"stem_stride": 3})
        with pytest.raises(ArtefactError, match="stem_stride 3"):
            load_artefact(tmp_path, "net", with_costs=False)
