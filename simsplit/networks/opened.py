"""A network opened for cutting: its graph, its digest, the cuts it offers and their costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from simsplit.files import json_digest
from simsplit.networks.catalogue import READING, TIMM, Weights, open_network
from simsplit.networks.cuts import input_size, points
from simsplit.networks.graph import trace
from simsplit.networks.preprocess import network_size, preprocess_of
from simsplit.scenario.answers import answers_of
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.network_files import PROGRAM, with_digests
from simsplit.scenario.operating_points import (
    EVERY,
    INCLUDED,
    RANDOM,
    WITHOUT_FILE,
    Network,
    OperatingPoint,
)
from simsplit.scenario.user_code import source_digest
from simsplit.scenario.yaml import settings

if TYPE_CHECKING:
    from torch import nn

    from simsplit.networks.cuts import InputSize, SplitPoint
    from simsplit.networks.graph import Graph


@lru_cache(maxsize=8)
def _graph(
    network_json: str, height: int, width: int, channels: int | None, digest: str | None
) -> Graph:
    """The traced network of a spec (as JSON, which can be hashed) at a picture size.

    ``channels``: of its input, if the scenario says it. ``digest``: of its source's files; a
    network whose code has changed is another one.
    """
    import torch

    spec = Network.model_validate_json(network_json)
    module = open_module(spec, height, width)
    example = torch.zeros(1, channels or input_channels(module), height, width)
    return trace(module, example, spec.leaves, unknown_macs=spec.unknown_macs)


def open_module(spec: Network, height: int, width: int) -> nn.Module:
    """The module of a spec for pictures of a size, with its weights, in evaluation mode.

    Raises:
        ScenarioError, ArtefactError: As of `simsplit.networks.catalogue.open_network`.
    """
    return open_network(
        spec.source,
        height=height,
        width=width,
        weights=_weights(spec.weights),
        seed=spec.seed,
        options=spec.options,
        weights_key=spec.weights_key,
        weights_prefix=spec.weights_prefix,
        weights_fresh=spec.weights_fresh or (),
    )


def _weights(said: str) -> Weights:
    return said if said in WITHOUT_FILE else Path(said)  # type: ignore[return-value]


def input_channels(module: nn.Module) -> int:
    """Channels of the pictures that a network takes: 1 or 3.

    What it says itself (``in_channels``, or an exported program's input), else what its first
    convolution takes; 3 if that is neither.
    """
    from torch import nn

    said = getattr(module, "in_channels", None)
    if said in (1, 3):
        return int(said)
    first = next((inner for inner in module.modules() if isinstance(inner, nn.Conv2d)), None)
    return 1 if first is not None and first.in_channels == 1 else 3


def open_graph(network: Network, height: int, width: int) -> Graph:
    """The network's graph for pictures of a size, as they circulate; traced once per process.

    Raises:
        ScenarioError, ArtefactError: Unknown network, weights that do not fit, no graph.
    """
    unsaid = {"name": "network", "answer": None, "preprocess": None}
    nameless = network.model_copy(update=unsaid)
    digest = source_digest(network.source)
    channels = None
    if network.preprocess is not None:
        path = f"networks.{network.name}.preprocess"
        preprocess = preprocess_of(network.preprocess, path)
        channels = preprocess.channels
        height, width = network_size(preprocess, height, width, path)
    return _graph(nameless.model_dump_json(), height, width, channels, digest)


def weights_notes(networks: Iterable[Network], height: int, width: int) -> Iterator[str]:
    """How weights files were read that are no plain state dict of their network.

    Raises:
        ScenarioError, ArtefactError: See `open_graph`.
    """
    for network in networks:
        if network.weights not in WITHOUT_FILE:
            how = getattr(open_graph(network, height, width).original, READING, "")
            if how:
                yield f"networks.{network.name}.weights: read with {how}"


def network_digest(network: Network) -> str:
    """SHA-256 of all that makes a network's numbers.

    Its spec, weights, the files of its source (`simsplit.sources.source_files`), and torchvision.
    """
    content = with_digests(network.model_dump(mode="json", exclude={"name"}))
    weights = content.pop("weights")
    source = source_digest(network.source)
    libraries = [version("torchvision"), *_versions(network.source)]
    own = [source_digest(a.target) for a in answers_of(network.answer) if a.kind == "custom"]
    numbers = None if weights == RANDOM else weights
    return json_digest([content, numbers, source, *libraries, *own])


def _versions(source: str) -> list[str]:
    """Of the library that a source comes from, beside torchvision's."""
    return [version("timm")] if source.startswith(TIMM) and find_spec("timm") else []


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
    weights: str | None = None,
    leaves: Sequence[str] = (),
    options: Sequence[str] = (),
) -> tuple[InputSize, list[SplitPoint]]:
    """Size of the input, and every place where the network can be cut.

    Args:
        source: torchvision model, ``timm/NAME``, ``.pt2`` file or ``package.module:Name``.
        height_px, width_px: Of the picture.
        weights: ``random`` or a local file; None: random, or those in the ``.pt2``.
        leaves: Submodules that stay whole.
        options: Of the source, each ``name=value`` with a value as YAML has it.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.networks.opened.open_graph`.
    """
    if source.endswith(PROGRAM):
        source = str(Path(source).resolve())
    weights = weights or (INCLUDED if source.endswith(PROGRAM) else RANDOM)
    if weights not in WITHOUT_FILE:
        weights = str(Path(weights).resolve())
    said = settings(options)
    raw = {"name": "network", "source": source, "weights": weights, "leaves": tuple(leaves)}
    try:
        network = Network.model_validate(raw | {"options": said})
    except ValidationError as error:
        raise mistake(error, raw | {"options": said}, Network) from None
    graph = open_graph(network, height_px, width_px)
    return input_size(tuple(graph.example_shape[1:])), points(graph)
