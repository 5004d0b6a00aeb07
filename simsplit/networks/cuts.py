"""Cut any network at any node: where it can be cut, what crosses there, and the two halves."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

from simsplit.errors import ScenarioError
from simsplit.networks.graph import Graph, Step
from simsplit.networks.halves import Crossing, Head, Tail, crossings, halves, whole_on_the_device
from simsplit.networks.layouts import Layout
from simsplit.operators import Operators, total_macs

if TYPE_CHECKING:
    import numpy as np


INPUT, OUTPUT = "input", "output"
JPEG_QUALITY = 75


@dataclass(frozen=True)
class SplitPoint:
    """A place to cut a network; everything before it runs on the device, the rest on the server.

    Attributes:
        name: The last node before the cut, or ``input`` or ``output``.
        shapes: Of the carried tensors, per sample (the batch of 1 left out where it stands first).
        bytes: Of the carried tensors per sample, in their own types (float32 as a rule).
        head_macs, tail_macs: Multiply-accumulates per sample on each side.
        head_params, tail_params: Parameters read on each side; shared ones count on both.
        is_bottleneck: Fewer bytes than the uint8 input.
        input_shape: Of one input sample.
        layouts: Of the carried tensors, batch of 1 included.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    bytes: int
    head_macs: float
    tail_macs: float
    head_params: int
    tail_params: int
    is_bottleneck: bool
    input_shape: tuple[int, ...] = field(repr=False, compare=False)
    layouts: tuple[Layout, ...] = field(repr=False, compare=False)
    operators: Operators = field(repr=False, compare=False)
    operators_before: int = field(repr=False, compare=False)

    @property
    def types(self) -> tuple[str, ...]:
        """PyTorch's names of the carried tensors' types, e.g. ``int64``; in the order of shapes."""
        return tuple(layout.type_name for layout in self.layouts)

    @property
    def below_jpeg(self) -> bool:
        """Fewer bytes than the input as a JPEG of quality 75 (worked out when asked)."""
        jpeg = input_size(self.input_shape).jpeg
        return jpeg is not None and self.bytes < jpeg

    @property
    def head_operators(self) -> Operators:
        """Work on the device, in order."""
        return self.operators[: self.operators_before]

    @property
    def tail_operators(self) -> Operators:
        """Work on the server, in order."""
        return self.operators[self.operators_before :]


@dataclass(frozen=True)
class InputSize:
    """Bytes of one input sample as float32, as uint8, and as a JPEG (None if it is no picture)."""

    float32: int
    uint8: int
    jpeg: float | None


def points(graph: Graph) -> list[SplitPoint]:
    """Every valid cut in the order of execution, from ``input`` to ``output``.

    A cut after a node carries every value that is made before and read behind it: each piece of
    memory once, parameters and shapes never. Left out are cuts where a tuple whose elements have
    not been taken yet, or a number computed from data, would have to be carried.
    """
    return [_point(graph, name, at, layouts) for name, at, layouts in _named_cuts(graph)]


def cut(graph: Graph, name: str) -> tuple[Head, Tail]:
    """The two halves at a point: ``tail(*head(x))`` is the network's output, bit for bit.

    Both share their parameters with the graph's network; neither changes what it is given.

    Raises:
        ScenarioError: no such point.
    """
    if name == OUTPUT:
        return whole_on_the_device(graph)
    crossing_by_name = {_name(step): crossing for step, crossing in _cuts(graph)}
    if name not in crossing_by_name:
        raise ScenarioError("no such split point", value=name, choices=[*crossing_by_name, OUTPUT])
    return halves(graph, crossing_by_name[name])


def _cuts(graph: Graph) -> Iterator[tuple[Step, Crossing]]:
    """All inner cuts and ``input``; what follows the last one is more than the output."""
    end = max(i for i, s in enumerate(graph.steps[:-1]) if s.node not in graph.free_nodes)
    for step, crossing in crossings(graph):
        if crossing is not None and crossing.at != end:
            yield step, crossing


def _name(step: Step) -> str:
    return INPUT if step.node.op == "placeholder" else step.name


def _named_cuts(graph: Graph) -> Iterator[tuple[str, int, tuple[Layout, ...]]]:
    for step, crossing in _cuts(graph):
        layouts = tuple(graph.step(node).tensors[0] for node in crossing.carried)
        yield _name(step), crossing.at + 1, layouts
    yield OUTPUT, len(graph.steps), graph.answer.layouts


def _point(graph: Graph, name: str, at: int, layouts: tuple[Layout, ...]) -> SplitPoint:
    shape, before = tuple(graph.example_shape[1:]), graph.operators_before[at]
    carried = sum(layout.sent_bytes for layout in layouts)
    return SplitPoint(
        name=name,
        shapes=tuple(layout.sample_shape for layout in layouts),
        bytes=carried,
        head_macs=total_macs(graph.operators[:before]),
        tail_macs=total_macs(graph.operators[before:]),
        head_params=_parameters(graph, graph.steps[:at]),
        tail_params=_parameters(graph, graph.steps[at:]),
        is_bottleneck=carried < prod(shape),
        input_shape=shape,
        layouts=layouts,
        operators=graph.operators,
        operators_before=before,
    )


def _parameters(graph: Graph, steps: tuple[Step, ...]) -> int:
    elements_by_id: dict[int, int] = {}
    for step in steps:
        if step.node not in graph.free_nodes:
            elements_by_id |= step.parameters
    return sum(elements_by_id.values())


@lru_cache(maxsize=32)
def input_size(shape: tuple[int, ...]) -> InputSize:
    """Of one sample ``(C, H, W)``; JPEG: mean over scikit-learn's two photographs, quality 75.

    The photographs are cut to the input's aspect ratio around their centre, then resized to it.
    """
    elements = prod(shape)
    jpeg = _jpeg_bytes(*shape) if len(shape) == 3 and shape[0] in (1, 3) else None
    return InputSize(4 * elements, elements, jpeg)


def _jpeg_bytes(channels: int, height: int, width: int) -> float:
    from sklearn.datasets import load_sample_images

    sizes = [_jpeg(image, channels, height, width) for image in load_sample_images().images]
    return sum(sizes) / len(sizes)


def _jpeg(pixels: np.ndarray[Any, Any], channels: int, height: int, width: int) -> int:
    from PIL import Image, ImageOps

    image = Image.fromarray(pixels).convert("RGB" if channels == 3 else "L")
    fitted = ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    fitted.save(file, "JPEG", quality=JPEG_QUALITY)
    return len(file.getvalue())
