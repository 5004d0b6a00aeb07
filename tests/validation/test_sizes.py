"""What crosses AlexNet's cuts and what networks cost, against published and hand-made figures.

Sizes: Kang et al., "Neurosurgeon" (ASPLOS 2017) cut AlexNet between its layers; the figures here
follow from the layers' definitions (Krizhevsky, "One weird trick", arXiv:1404.5997, which is
torchvision's AlexNet). Costs: multiply-accumulates (`_ops`, in 10^9) and parameters that
torchvision publishes with each set of weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from simsplit.networks.catalogue import open_network
from simsplit.networks.costs import record
from simsplit.networks.cuts import input_size, points
from simsplit.networks.graph import trace
from simsplit.operators import total_macs

KIB = 1024
PUBLISHED_KIB = {  # to the digits given
    "input": ("input", 588, 0),
    "conv1": ("features.0", 756, 0),
    "pool1": ("features.2", 182, 0),
    "conv2": ("features.3", 547, 0),
    "pool2": ("features.5", 127, 0),
    "conv3": ("features.6", 254, 0),
    "conv5": ("features.10", 169, 0),
    "pool5": ("features.12", 36, 0),
    "fc6": ("classifier.1", 16, 0),
    "fc8": ("output", 3.9, 1),
}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def side(size: int, kernel: int, stride: int, padding: int) -> int:
    """Output of a convolution or pooling (Dumoulin & Visin, arXiv:1603.07285, relation 6)."""
    return (size + 2 * padding - kernel) // stride + 1


def elements_by_hand() -> dict[str, int]:
    conv1 = side(224, 11, 4, 2)
    pool1 = side(conv1, 3, 2, 0)
    conv2 = side(pool1, 5, 1, 2)
    pool2 = side(conv2, 3, 2, 0)
    conv3 = side(pool2, 3, 1, 1)
    conv5 = side(side(conv3, 3, 1, 1), 3, 1, 1)
    pool5 = side(conv5, 3, 2, 0)
    return {
        "input": 3 * 224 * 224,
        "conv1": 64 * conv1**2,
        "pool1": 64 * pool1**2,
        "conv2": 192 * conv2**2,
        "pool2": 192 * pool2**2,
        "conv3": 384 * conv3**2,
        "conv5": 256 * conv5**2,
        "pool5": 256 * pool5**2,
        "fc6": 4096,
        "fc8": 1000,
    }


def test_alexnets_sizes_at_every_layer() -> None:
    graph = trace(open_network("alexnet", height=224, width=224), torch.zeros(1, 3, 224, 224))
    offered = {point.name: point for point in points(graph)}
    by_hand = elements_by_hand()
    for layer, (node, kib, digits) in PUBLISHED_KIB.items():
        assert offered[node].bytes == 4 * by_hand[layer], layer
        assert round(offered[node].bytes / KIB, digits) == kib, layer
    assert input_size((3, 224, 224)).uint8 == 147 * KIB


CLASSIFIERS = (
    "alexnet",
    "squeezenet1_1",
    "resnet18",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "mnasnet0_5",
    "regnet_y_400mf",
)
HEAVY = (
    "vgg16",
    "resnet50",
    "densenet121",
    "googlenet",
    "inception_v3",
    "resnext50_32x4d",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_b_16",
    "swin_t",
    "maxvit_t",
)
AUXILIARY = {"googlenet", "inception_v3"}  # published with the heads that only training uses


def published(name: str) -> dict[str, Any]:
    from torchvision.models import get_model_weights

    return next(iter(get_model_weights(name))).meta


@pytest.mark.parametrize(
    "name", [*CLASSIFIERS, *(pytest.param(n, marks=pytest.mark.slow) for n in HEAVY)]
)
def test_work_is_what_torchvision_publishes(name: str) -> None:
    meta, size = published(name), 299 if name == "inception_v3" else 224
    module = open_network(name, height=size, width=size)
    counted = total_macs(record(module, torch.zeros(1, 3, size, size)))
    assert counted / 1e9 == pytest.approx(meta["_ops"], abs=5.1e-4)  # given to three decimals
    if name not in AUXILIARY:
        assert sum(p.numel() for p in module.parameters()) == meta["num_params"]


def test_the_graph_costs_what_the_network_costs() -> None:
    """Node by node equals all at once, and the weights read are the parameters published."""
    module, x = open_network("alexnet", height=224, width=224), torch.zeros(1, 3, 224, 224)
    graph = trace(module, x)
    assert total_macs(graph.operators) == total_macs(record(module, x))
    assert (
        sum(operator.weights for operator in graph.operators) == published("alexnet")["num_params"]
    )
