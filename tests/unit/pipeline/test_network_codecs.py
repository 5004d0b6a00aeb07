"""Codecs of pictures and features at the cuts of any network of ``networks:``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from simsplit.codecs.picture import is_available
from simsplit.errors import ScenarioError
from simsplit.messages import Delivery, ScoreRequest
from simsplit.pipeline.chains import PictureChain
from simsplit.pipeline.coded import network_chains
from simsplit.pipeline.pipeline import Pipeline
from simsplit.pipeline.traced import CutChain
from simsplit.scenario.operating_points import Network, OperatingPoint
from simsplit.tasks.datasets import open_dataset

MODULE = """
import torch
from torch import nn


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, 1, 1)
        self.last = nn.Linear(6 * 64, 10)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        return self.last(torch.flatten(x, 1))
"""
LOSSLESS: dict[str, dict[str, Any]] = {
    "png_tiles": {"kind": "png_tiles"},
    "adaptive": {"kind": "adaptive_entropy"},
    "webp_tiles": {"kind": "webp_tiles", "lossless": True},
}
LOSSY: dict[str, dict[str, Any]] = {
    "jpeg": {"kind": "jpeg_tiles", "quality": 90},
    "webp": {"kind": "webp_tiles", "quality": 90},
}
PICTURES: dict[str, dict[str, Any]] = {
    "png": {"kind": "png"},
    "webp_picture": {"kind": "webp", "lossless": True},
}
AVIF: dict[str, dict[str, Any]] = {"avif": {"kind": "avif_tiles", "quality": 90}}


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user's own module on the path, and a weights file for it."""
    (tmp_path / "tiny_net.py").write_text(MODULE)
    monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path))  # by which it may be imported
    monkeypatch.syspath_prepend(str(tmp_path))
    from tiny_net import Tiny  # type: ignore[import-not-found]

    torch.manual_seed(3)
    save_file(Tiny().state_dict(), tmp_path / "tiny.safetensors")
    yield tmp_path / "tiny.safetensors"
    sys.modules.pop("tiny_net", None)


def opened(weights: Path, codecs: dict[str, dict[str, Any]], cut: str = "relu") -> Pipeline:
    common = {"network": "net", "scheme": "separate", "split": cut}
    raw = {"network": "net", "scheme": "raw"}
    points = [
        OperatingPoint.model_validate(
            {"name": name, "codec": codec} | (raw if name in PICTURES else common)
        )
        for name, codec in codecs.items()
    ]
    network = Network(name="net", source="tiny_net:Tiny", weights=str(weights), answer="label")
    truth = open_dataset("digits", "test").arrays(range(3))
    return Pipeline(network_chains(network, points, truth), seed=0)


def received(pipeline: Pipeline, name: str, sample: int) -> torch.Tensor:
    """The network's output on an intact payload of the sample."""
    chain, payload = pipeline.chains[name], pipeline.prepared(name).payloads[sample]
    if isinstance(chain, CutChain):
        output = chain.received(payload)
    else:
        assert isinstance(chain, PictureChain)
        (output,) = chain.network.whole([chain.codec.decode(payload)])
    assert isinstance(output, torch.Tensor)
    return output


def test_lossless_codecs_bring_the_same_answers(weights: Path) -> None:
    chain = opened(weights, LOSSLESS)
    answers = {name: [received(chain, name, sample) for sample in range(3)] for name in LOSSLESS}
    for name in LOSSLESS:
        prepared = chain.prepared(name)
        assert prepared.payload_bits.tolist() == [8 * len(one) for one in prepared.payloads]
        np.testing.assert_array_equal(torch.stack(answers[name]), torch.stack(answers["adaptive"]))
    assert len({chain.prepared(name).payloads for name in LOSSLESS}) == len(LOSSLESS)


def test_lossy_codecs_bring_others(weights: Path) -> None:
    chain = opened(weights, LOSSLESS | LOSSY)
    exact = received(chain, "adaptive", 0)
    for name in LOSSY:
        assert 0 < float((received(chain, name, 0) - exact).abs().max()) < 1
        assert chain.score([ScoreRequest(name, 0, Delivery(0, True))])[0].as_dict()["accuracy"] in (
            0,
            1,
        )


def test_lossless_pictures_are_the_same_picture(weights: Path) -> None:
    chain = opened(weights, PICTURES)
    png, webp = (received(chain, name, 0) for name in PICTURES)
    np.testing.assert_allclose(png, webp, atol=1e-6)  # one channel, or three that are equal


def test_avif(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if is_available("avif"):
        assert opened(weights, AVIF).prepared("avif").payload_bits.min() > 8 * 250
    monkeypatch.setattr("simsplit.codecs.build.is_available", lambda _: False)
    with pytest.raises(ScenarioError, match=r"operating_points\.avif\.codec\.kind: .*without AVIF"):
        opened(weights, AVIF)


@pytest.mark.parametrize("kind", ["jpeg_tiles", "adaptive_entropy"])
def test_a_vector_has_no_channels(weights: Path, kind: str) -> None:
    codec = {"kind": kind} | ({"quality": 90} if kind == "jpeg_tiles" else {})
    with pytest.raises(ScenarioError, match=rf"codec '{kind}' needs one \(C, h, w\) at the cut"):
        opened(weights, {"p": codec}, cut="flatten").prepared("p")
