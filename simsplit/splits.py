"""Where a network can be cut, as `simsplit splits` lists it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.network_pipeline import open_graph
from simsplit.scenario import Network

if TYPE_CHECKING:
    from simsplit.nets.split import InputSize, SplitPoint

COLUMNS = ("cut", "carried", "KiB", "head MMAC", "tail MMAC", "head k", "tail k", "smaller than")


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
        ScenarioError, ArtefactError: See `simsplit.network_pipeline.open_graph`.
    """
    from simsplit.nets.split import input_size, points

    if weights != "random":
        weights = str(Path(weights).resolve())
    network = Network(name="network", source=source, weights=weights, leaves=tuple(leaves))
    graph = open_graph(network, height_px, width_px)
    return input_size((3, height_px, width_px)), points(graph)


def predicted_lines(points: Sequence[SplitPoint], predictor: str) -> list[str]:
    """What a latency predictor says of the whole network, kind by kind, batch of one."""
    from simsplit.load import models_dir
    from simsplit.predictor import predict_rows, read_model

    rows = predict_rows(read_model(models_dir() / predictor), points[-1].head_operators)
    return [
        f"{predictor}: {row['kind']} {1e3 * row['seconds']:.4g} ms, {row['operators']} operators, "
        f"{100 * row['guessed_share']:.0f} % beyond what was measured"
        for row in rows
    ]


def split_rows(points: Iterable[SplitPoint]) -> list[list[str]]:
    """The table's rows: sizes at float32, work and parameters on either side."""
    return [
        [
            point.name,
            " + ".join("x".join(map(str, shape)) for shape in point.shapes),
            _figure(point.bytes / 1024),
            _figure(point.head_macs / 1e6),
            _figure(point.tail_macs / 1e6),
            _figure(point.head_params / 1e3),
            _figure(point.tail_params / 1e3),
            _smaller_than(point),
        ]
        for point in points
    ]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _smaller_than(point: SplitPoint) -> str:
    if point.below_jpeg:
        return "input, JPEG"
    return "input" if point.is_bottleneck else ""


def split_mappings(points: Iterable[SplitPoint]) -> list[dict[str, Any]]:
    """The same for JSON, in plain units: bytes, multiply-accumulates, parameters."""
    keys = ("name", "shapes", "bytes", "head_macs", "tail_macs", "head_params", "tail_params")
    flags = ("is_bottleneck", "below_jpeg")
    return [{key: getattr(point, key) for key in (*keys, *flags)} for point in points]
