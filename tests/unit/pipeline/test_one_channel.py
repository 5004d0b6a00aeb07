"""A network of one channel on pictures of one channel; colour is refused, grey is repeated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from simsplit.errors import ScenarioError
from simsplit.networks.graph import trace
from simsplit.networks.opened import input_channels
from simsplit.pipeline import traced
from simsplit.pipeline.traced import CutChain, TracedNetwork
from simsplit.scenario.operating_points import Network, OperatingPoint


def cut_chain(monkeypatch: pytest.MonkeyPatch, of_network: int, of_pictures: int) -> CutChain:
    module = nn.Sequential(nn.Conv2d(of_network, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3))
    graph = trace(module, torch.zeros(1, input_channels(module), 8, 8))
    monkeypatch.setattr(traced, "open_graph", lambda *_, **__: graph)
    spec = {"name": "p", "scheme": "separate", "network": "net", "split": "1"}
    point = OperatingPoint.model_validate({**spec, "codec": {"kind": "tensor"}})
    image = np.random.default_rng(1).integers(0, 256, (2, 8, 8, of_pictures), np.uint8)
    network = Network(name="net", source="a:B", weights="random")
    return CutChain(point, TracedNetwork(network, {"image": image}), with_content=True)


@pytest.mark.parametrize(("of_network", "of_pictures"), [(1, 1), (3, 1), (3, 3)])
def test_the_pictures_fit(
    monkeypatch: pytest.MonkeyPatch, of_network: int, of_pictures: int
) -> None:
    chain = cut_chain(monkeypatch, of_network, of_pictures)
    pixels = torch.from_numpy(chain.network.truth["image"][:1]).permute(0, 3, 1, 2) / 255
    with torch.no_grad():
        whole = chain.network.graph.original(pixels.expand(-1, of_network, -1, -1))
    assert chain.make().payload_bits.tolist() == [32 * 144] * 2
    assert torch.equal(chain.received(chain.make().payloads[0]), whole)


def test_colour_for_one_channel_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScenarioError, match=r"takes 1 channel\(s\), the pictures have 3"):
        cut_chain(monkeypatch, 1, 3).make()
