"""The code that a spec names, for features of one shape."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from simsplit.errors import ScenarioError
from simsplit.networks.codes.bottleneck import BottleneckCode
from simsplit.networks.codes.contract import AnalogCode, DigitalCode, Shape
from simsplit.networks.codes.custom import custom_code
from simsplit.networks.codes.entropic import EntropicCode
from simsplit.networks.codes.jscc import JsccCode
from simsplit.networks.cuts import OUTPUT, points
from simsplit.networks.graph import Graph
from simsplit.networks.layouts import Layout
from simsplit.scenario.code_specs import (
    BottleneckCodeSpec,
    CodeSpec,
    CustomCodeSpec,
    EntropicCodeSpec,
    JsccCodeSpec,
)


def make_code(
    spec: CodeSpec, shape: Shape, seed: int = 0, *, until: Shape | None = None
) -> DigitalCode | AnalogCode:
    """A fresh code in evaluation mode, its weights drawn from the seed alone.

    Args:
        spec: What a recipe says.
        shape: Of one sample's feature at the cut.
        seed: Of the weights.
        until: Shape of what the decoder gives; None: the feature that the encoder takes.

    Raises:
        ScenarioError: The spec does not fit the shape, or a user's class breaks the contract.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _made(spec, shape, until).eval()


def _made(spec: CodeSpec, shape: Shape, until: Shape | None) -> DigitalCode | AnalogCode:
    match spec:
        case BottleneckCodeSpec():
            return BottleneckCode(spec, shape, until)
        case EntropicCodeSpec():
            return EntropicCode(spec, shape, until)
        case JsccCodeSpec():
            return JsccCode(spec, shape, until)
        case CustomCodeSpec():
            return custom_code(spec, shape, until)


def cut_shapes(graph: Graph, cut: str, until: str | None = None) -> tuple[Shape, Shape | None]:
    """Shapes of the one float tensor that crosses a cut, and of that at a node behind it.

    Args:
        graph: Of the network.
        cut: Where the encoder takes its feature.
        until: The node whose tensor the decoder gives; None or ``cut``: the same one.

    Returns:
        Per sample; the second is None where both are the same tensor.

    Raises:
        ScenarioError: No such cut, more than one tensor crosses it, or not one of float32.
    """
    layouts_by_cut = {p.name: p.layouts for p in points(graph) if p.name != OUTPUT}
    shape, names = _one_shape(layouts_by_cut, cut, "cut"), [*layouts_by_cut]
    if until is None or until == cut:
        return shape, None
    if until in names[: names.index(cut)]:
        message, behind = f"until lies behind the cut {cut}", names[names.index(cut) :]
        raise ScenarioError(message, path="until", value=until, choices=behind)
    return shape, _one_shape(layouts_by_cut, until, "until")


def _one_shape(layouts_by_cut: Mapping[str, tuple[Layout, ...]], cut: str, path: str) -> Shape:
    if cut not in layouts_by_cut:
        raise ScenarioError("no such cut", path=path, value=cut, choices=[*layouts_by_cut])
    layouts = layouts_by_cut[cut]
    one = len(layouts) == 1 and layouts[0].dtype == torch.float32 and layouts[0].shape[0] == 1
    if not one:
        crossing = ", ".join(f"{layout.dtype} {tuple(layout.shape)}" for layout in layouts)
        message = f"a code takes one float32 tensor; here cross {crossing}"
        raise ScenarioError(message, path=path, value=cut)
    return layouts[0].shape[1:]
