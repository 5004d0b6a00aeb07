"""Tensors of every type at a cut: their bits, and the answer behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from simsplit.errors import ScenarioError
from simsplit.networks.cuts import points
from simsplit.networks.graph import Graph, trace
from simsplit.pipeline import traced
from simsplit.pipeline.traced import CutChain, TracedNetwork
from simsplit.scenario.operating_points import Network, OperatingPoint

TYPES = ["int64", "int32", "uint8", "bool", "float16", "bfloat16"]
DTYPES = ["float32", "float16", "uint8"]


class Typed(nn.Module):
    """What travels behind ``to`` is of the type that is asked for."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.type: torch.dtype = getattr(torch, name)

    def forward(self, x: Tensor) -> Tensor:
        z = (3 * self.conv(x).abs()).to(self.type)
        return z.to(torch.float32).mean((2, 3))


class Strongest(nn.Module):
    """The eight strongest values and their places travel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3), nn.Linear(144, 10)

    def forward(self, x: Tensor) -> Tensor:
        z = self.conv(x).flatten(1)
        values, places = z.topk(8, dim=1)
        spread = torch.zeros(len(values), 144).scatter(1, places, values)
        return self.last(spread)  # type: ignore[no-any-return]


class Windows(nn.Module):
    """Four windows per picture stand in the first dimension, as in Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.last = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x).unflatten(2, (2, 4)).unflatten(4, (2, 4)).permute(0, 2, 4, 1, 3, 5)
        windows = y.reshape(-1, 4, 16).relu()
        return self.last(windows).reshape(-1, 4 * 4 * 5).sum(1, keepdim=True)


def cut_chain(
    monkeypatch: pytest.MonkeyPatch, module: nn.Module, split: str, codec: dict[str, Any]
) -> CutChain:
    """Of a seeded network; no module is imported by name."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(3))
    graph = trace(module, torch.zeros(1, 3, 8, 8))
    monkeypatch.setattr(traced, "open_graph", lambda *_, **__: graph)
    network = Network(name="net", source="a:B", weights="random")
    spec = {"name": "p", "scheme": "separate", "network": "net", "split": split, "codec": codec}
    image = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
    point = OperatingPoint.model_validate(spec)
    return CutChain(point, TracedNetwork(network, {"image": image}), with_content=True)


def largest_error(chain: CutChain) -> float:
    """Of the answers behind the cut against the whole network's, over all samples."""
    wholes = [*chain.network.whole(chain.network.truth["image"])]
    received = [chain.received(payload) for payload in chain.make().payloads]
    return max(float((a - b).abs().max()) for a, b in zip(received, wholes, strict=True))


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_other_types_are_exact_and_their_bits_counted(
    monkeypatch: pytest.MonkeyPatch, name: str, dtype: str
) -> None:
    chain = cut_chain(monkeypatch, Typed(name), "to", {"kind": "tensor", "dtype": dtype})
    each = 1 if name == "bool" else 8 * getattr(torch, name).itemsize
    bits = 4 * 6 * 6 * each
    assert chain.make().payload_bits.tolist() == [bits] * 3
    assert largest_error(chain) == 0


@pytest.mark.parametrize(("dtype", "size", "error"), [("float32", 4, 0), ("uint8", 1, 0.5)])
def test_the_places_of_a_top_k_arrive(
    monkeypatch: pytest.MonkeyPatch, dtype: str, size: int, error: float
) -> None:
    codec = {"kind": "tensor", "dtype": dtype}
    chain = cut_chain(monkeypatch, Strongest(), "getitem_1", codec)
    header = 8 if dtype == "uint8" else 0
    assert chain.make().payload_bits.tolist() == [8 * (8 * size + header + 8 * 8)] * 3
    assert largest_error(chain) <= error


def test_sizes_without_values_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = cut_chain(monkeypatch, Strongest(), "getitem_1", {"kind": "tensor", "dtype": "uint8"})
    bits = chain.make().payload_bits.tolist()
    chain.is_kept = False
    assert chain.make().payload_bits.tolist() == bits and not chain.make().payloads


def test_windows_in_the_first_dimension_all_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = cut_chain(monkeypatch, Windows(), "relu", {"kind": "tensor", "dtype": "float32"})
    assert chain.make().payload_bits.tolist() == [32 * 4 * 64] * 3
    assert largest_error(chain) == 0


def test_tiles_are_for_float32_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = cut_chain(monkeypatch, Typed("int64"), "to", {"kind": "png_tiles"})
    with pytest.raises(ScenarioError, match=r"needs one \(C, h, w\) at the cut, float32.*int64"):
        chain.make()


def test_a_shape_that_depends_on_the_picture_is_refused() -> None:
    graph = trace(Typed("int64"), torch.zeros(1, 3, 8, 8))
    layout = next(point for point in points(graph) if point.name == "to").layouts[0]
    for wrong in (torch.zeros(1, 4, 6, 5, dtype=torch.int64), torch.zeros(1, 4, 6, 6)):
        with pytest.raises(ScenarioError, match="its shape depends on the picture"):
            layout.to_array(wrong)


@pytest.mark.parametrize("name", [*TYPES, "float32", "float64", "complex64"])
def test_arrays_and_tensors_are_the_same_bits(name: str) -> None:
    tensor = (torch.arange(24) / 7).to(getattr(torch, name)).reshape(2, 3, 4).mT
    layout = replace(_layout(trace(Typed("int64"), torch.zeros(1, 3, 8, 8))), shape=(2, 4, 3))
    layout = replace(layout, dtype=tensor.dtype)
    back = layout.to_tensor(layout.to_array(tensor))
    assert back.dtype == tensor.dtype and torch.equal(back, tensor)


def _layout(graph: Graph) -> Any:
    return graph.steps[0].tensors[0]
