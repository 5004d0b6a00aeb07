"""The code that a spec names, for features of one shape."""

from __future__ import annotations

import torch

from simsplit.errors import ScenarioError
from simsplit.networks.codes.bottleneck import BottleneckCode
from simsplit.networks.codes.contract import AnalogCode, DigitalCode, Shape
from simsplit.networks.codes.custom import custom_code
from simsplit.networks.codes.entropic import EntropicCode
from simsplit.networks.codes.jscc import JsccCode
from simsplit.networks.cuts import OUTPUT, points
from simsplit.networks.graph import Graph
from simsplit.scenario.codes import (
    BottleneckCodeSpec,
    CodeSpec,
    CustomCodeSpec,
    EntropicCodeSpec,
    JsccCodeSpec,
)


def make_code(spec: CodeSpec, shape: Shape, seed: int = 0) -> DigitalCode | AnalogCode:
    """A fresh code in evaluation mode, its weights drawn from the seed alone.

    Raises:
        ScenarioError: The spec does not fit the shape, or a user's class breaks the contract.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _made(spec, shape).eval()


def _made(spec: CodeSpec, shape: Shape) -> DigitalCode | AnalogCode:
    match spec:
        case BottleneckCodeSpec():
            return BottleneckCode(spec, shape)
        case EntropicCodeSpec():
            return EntropicCode(spec, shape)
        case JsccCodeSpec():
            return JsccCode(spec, shape)
        case CustomCodeSpec():
            return custom_code(spec, shape)


def cut_shape(graph: Graph, cut: str) -> Shape:
    """Shape of the one float tensor that crosses a cut, per sample.

    Raises:
        ScenarioError: No such cut, more than one tensor crosses it, or not one of float32.
    """
    layouts_by_cut = {p.name: p.layouts for p in points(graph) if p.name != OUTPUT}
    if cut not in layouts_by_cut:
        raise ScenarioError("no such cut", path="cut", value=cut, choices=[*layouts_by_cut])
    layouts = layouts_by_cut[cut]
    one = len(layouts) == 1 and layouts[0].dtype == torch.float32 and layouts[0].shape[0] == 1
    if not one:
        crossing = ", ".join(f"{layout.dtype} {tuple(layout.shape)}" for layout in layouts)
        message = f"a code takes one float32 tensor; here cross {crossing}"
        raise ScenarioError(message, path="cut", value=cut)
    return layouts[0].shape[1:]
