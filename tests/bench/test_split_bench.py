"""Benchmarks of the splitter: `python -m pytest tests/bench -m slow --benchmark-only`."""

from __future__ import annotations

import pytest
import torch

from simsplit.networks.catalogue import open_network
from simsplit.networks.cuts import SplitPoint, cut, points
from simsplit.networks.graph import Graph, trace

pytestmark = pytest.mark.slow
SIZE = 224


def graph_of(name: str) -> Graph:
    return trace(open_network(name, height=SIZE, width=SIZE), torch.zeros(1, 3, SIZE, SIZE))


def listed(name: str) -> list[SplitPoint]:
    return points(graph_of(name))


@pytest.mark.parametrize("name", ["alexnet", "resnet50", "mobilenet_v2", "swin_t"])
def test_listing_all_points(benchmark, name) -> None:
    """From a name to the list, tracing and counting included."""
    offered = benchmark.pedantic(listed, args=(name,), rounds=3, warmup_rounds=1)
    assert len(offered) > 20


def test_one_cut(benchmark) -> None:
    graph = graph_of("resnet50")
    head, tail = benchmark(cut, graph, "layer3.0.add")
    assert head is not tail
