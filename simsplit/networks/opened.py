"""A network opened for cutting: its graph, its digest, the cuts it offers and their costs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from simsplit.files import file_digest, json_digest
from simsplit.networks.catalogue import open_network
from simsplit.networks.cuts import input_size, points
from simsplit.networks.graph import trace
from simsplit.networks.preprocess import network_size, preprocess_of
from simsplit.scenario.operating_points import EVERY, Network, OperatingPoint
from simsplit.scenario.user_code import source_digest

if TYPE_CHECKING:
    from simsplit.networks.cuts import InputSize, SplitPoint
    from simsplit.networks.graph import Graph


@lru_cache(maxsize=8)
def _graph(network_json: str, height: int, width: int, digest: str | None) -> Graph:
    """The traced network of a spec (as JSON, which can be hashed) at a picture size.

    ``digest``: of its source's files; a network whose code has changed is another one.
    """
    import torch

    spec = Network.model_validate_json(network_json)
    module = open_network(
        spec.source,
        height=height,
        width=width,
        weights="random" if spec.weights == "random" else Path(spec.weights),
        seed=spec.seed,
        options=spec.options,
    )
    return trace(module, torch.zeros(1, 3, height, width), spec.leaves)


def open_graph(network: Network, height: int, width: int) -> Graph:
    """The network's graph for pictures of a size, as they circulate; traced once per process.

    Raises:
        ScenarioError, ArtefactError: Unknown network, weights that do not fit, no graph.
    """
    unsaid = {"name": "network", "answer": None, "preprocess": None}
    nameless = network.model_copy(update=unsaid)
    digest = source_digest(network.source)
    if network.preprocess is not None:
        path = f"networks.{network.name}.preprocess"
        height, width = network_size(preprocess_of(network.preprocess, path), height, width, path)
    return _graph(nameless.model_dump_json(), height, width, digest)


def network_digest(network: Network) -> str:
    """SHA-256 of all that makes a network's numbers.

    Its spec, weights, the files of its source (`simsplit.sources.source_files`), and torchvision.
    """
    content = network.model_dump(mode="json", exclude={"name", "weights"})
    weights = None if network.weights == "random" else file_digest(Path(network.weights))
    source = source_digest(network.source)
    return json_digest([content, weights, source, version("torchvision")])


def _points(graph: Graph) -> list[SplitPoint]:
    return points(graph)


def cut_names(network: Network, height: int, width: int) -> list[str]:
    """Names of all inner cuts, in the order of the graph."""
    ends = ("input", "output")
    return [p.name for p in _points(open_graph(network, height, width)) if p.name not in ends]


def every_cut(point: OperatingPoint, cuts: Sequence[str]) -> list[OperatingPoint]:
    """The operating points that a ``split: every`` stands for."""
    if point.split != EVERY:
        return [point]
    return [
        point.model_copy(update={"name": f"{point.name}-{cut}", "split": cut, "of": point.name})
        for cut in cuts
    ]


def split_points(
    source: str,
    *,
    height_px: int = 224,
    width_px: int = 224,
    weights: str = "random",
    leaves: Sequence[str] = (),
) -> tuple[InputSize, list[SplitPoint]]:
    """Size of the input, and every place where the network can be cut.

    Args:
        source: torchvision model or ``package.module:Name``.
        height_px, width_px: Of the picture.
        weights: ``random`` or a local file.
        leaves: Submodules that stay whole.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.networks.opened.open_graph`.
    """
    if weights != "random":
        weights = str(Path(weights).resolve())
    network = Network(name="network", source=source, weights=weights, leaves=tuple(leaves))
    graph = open_graph(network, height_px, width_px)
    return input_size((3, height_px, width_px)), points(graph)
