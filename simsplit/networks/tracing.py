"""From a module to its list of operations: by torch.fx, or by torch.export where that fails."""

from __future__ import annotations

import io
import linecache
import logging
import math
import traceback
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
import torchvision
from torch import Tensor, fx, nn
from torch.utils._pytree import keystr, tree_flatten, tree_flatten_with_path

from simsplit.errors import ScenarioError
from simsplit.networks.exported import ExportedNet
from simsplit.networks.layouts import Answer

RESERVED_NAMES = ("input", "output")
_LIBRARIES = tuple(str(Path(lib.__file__ or "").parent) for lib in (torch, torchvision))
_WRAPPED: Any = (math, torchvision.ops)  # functions kept whole; the annotation allows only one


class _Tracer(fx.Tracer):
    """Modules of torch.nn, and those that the user names, stay whole."""

    def __init__(self, leaves: Iterable[str]) -> None:
        super().__init__(autowrap_modules=_WRAPPED)
        self._leaves = frozenset(leaves)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        named = module_qualified_name in self._leaves
        return named or bool(super().is_leaf_module(m, module_qualified_name))


def operations(
    module: nn.Module, example: Tensor, leaves: Iterable[str] = ()
) -> tuple[fx.GraphModule, Answer]:
    """The module as a graph whose result for ``example`` is the module's own, bit for bit.

    Modules that declare ``split_leaves`` (paths that stay whole) have them added to ``leaves``.

    Raises:
        ScenarioError: a leaf that is no submodule; an input that the network does not take; control
            flow that depends on data, with the operation and what to do about it.
    """
    whole = _checked_leaves(module, (*leaves, *getattr(module, "split_leaves", ())))
    expected = output_for(module, example)
    if isinstance(module, ExportedNet) and not whole:
        return module.program, Answer.of(expected, rebuilt=True)  # its graph gives a flat list
    try:
        traced = fx.GraphModule(module, _Tracer(whole).trace(module)).eval()
        if answer := _answer(traced, example, expected):
            return traced, answer
        obstacle: Exception = RuntimeError("its torch.fx graph answers otherwise than itself")
    except Exception as error:
        obstacle = error
    return _exported(module, example, expected, whole, obstacle)


def output_for(module: nn.Module, example: Tensor) -> object:
    """What a module gives for an example, without gradients.

    Raises:
        ScenarioError: It does not take such an input.
    """
    try:
        with torch.no_grad():
            return module(example.clone())
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        size = " x ".join(map(str, example.shape))
        raise ScenarioError(f"the network does not take an input of {size}: {first}") from error


def _checked_leaves(module: nn.Module, leaves: tuple[str, ...]) -> tuple[str, ...]:
    paths = [path for path, _ in module.named_modules() if path]
    for leaf in leaves:
        if leaf not in paths:
            raise ScenarioError("no such submodule", path="leaves", value=leaf, choices=paths)
    return leaves


def _exported(
    module: nn.Module,
    example: Tensor,
    expected: object,
    leaves: tuple[str, ...],
    obstacle: Exception,
) -> tuple[fx.GraphModule, Answer]:
    if leaves:  # torch.export looks into every module
        raise _unsplittable(module, obstacle) from obstacle
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(module, (example,), strict=False)
            traced = program.module(check_guards=False)
        if answer := _answer(traced, example, expected):
            return traced, replace(answer, rebuilt=True)  # its graph gives a flat list
    except Exception:
        raise _unsplittable(module, obstacle) from obstacle
    raise _unsplittable(module, obstacle)


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporter says about its failures is said again, in one sentence, by our error."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _answer(traced: fx.GraphModule, example: Tensor, expected: object) -> Answer | None:
    """The structure of the output, if the graph gives what the module gives."""
    with torch.no_grad():
        given = traced(example.clone())
    rebuilt = (
        type(given) is not type(expected) or tree_flatten(given)[1] != tree_flatten(expected)[1]
    )
    return Answer.of(expected, rebuilt=rebuilt) if same_entries(given, expected) else None


def same_entries(one: object, other: object) -> bool:
    """Equal entries at equal places, whatever the containers' types."""
    (ours, _), (theirs, _) = tree_flatten_with_path(one), tree_flatten_with_path(other)
    alike = (
        keystr(a) == keystr(b) and _equal(x, y)
        for (a, x), (b, y) in zip(ours, theirs, strict=False)
    )
    return len(ours) == len(theirs) and all(alike)


def same(one: object, other: object) -> bool:
    """Are two results equal in structure and, bit for bit, in every tensor?"""
    return tree_flatten(one)[1] == tree_flatten(other)[1] and same_entries(one, other)


def _equal(one: object, other: object) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        alike = one.shape == other.shape and one.dtype == other.dtype
        return alike and bool(((one == other) | (one.isnan() & other.isnan())).all())
    return type(one) is type(other) and one == other


def _unsplittable(module: nn.Module, obstacle: Exception) -> ScenarioError:
    culprit, path = _culprit(module, obstacle.__traceback__)
    remedy = f"leaves: [{path}]" if path else "leaves: [its path]"
    reason = str(obstacle).strip().splitlines()[0] if str(obstacle).strip() else repr(obstacle)
    return ScenarioError(
        f"{type(module).__name__} cannot be cut node by node: {culprit} ({reason}). Write control "
        "flow that depends on data with torch.where or torch.cond, so that torch.export takes it, "
        f"or keep the submodule that holds it whole and cut around it: {remedy}"
    )


def _culprit(module: nn.Module, trace: TracebackType | None) -> tuple[str, str]:
    """Where the user's own code stopped the tracer, and the path of the module it is in."""
    where, path = "an operation that neither torch.fx nor torch.export follows", ""
    paths = {id(inner): name for name, inner in module.named_modules()}
    for frame, line in traceback.walk_tb(trace):
        if frame.f_code.co_filename.startswith(_LIBRARIES):
            continue
        owner = frame.f_locals.get("self")
        if not isinstance(owner, nn.Module):
            continue
        source = traceback.extract_stack(frame, limit=1)
        text = _line(frame.f_code.co_filename, line) or (source[-1].line or "")
        path = paths.get(id(owner), path)
        inside = f" (submodule {path})" if path else ""
        where = f"{type(owner).__name__}.{frame.f_code.co_name}{inside}, line {line}: {text}"
    return where, path


def _line(filename: str, number: int) -> str:
    return linecache.getline(filename, number).strip()


def readable_names(graph: fx.Graph, module: nn.Module) -> dict[fx.Node, str]:
    """A unique name for every node: module path, then the operation if the module has several."""
    taken, names = set(RESERVED_NAMES), {}
    for node, wanted in _wanted_names(graph, module):
        names[node] = _unused(wanted, taken)
        taken.add(names[node])
    return names


def _wanted_names(graph: fx.Graph, module: nn.Module) -> Iterator[tuple[fx.Node, str]]:
    for node in graph.nodes:
        if node.op == "call_module":
            yield node, str(node.target)
        elif node.op == "get_attr" or node.op == "placeholder":
            yield node, f"{node.op}.{node.target}"
        else:
            yield node, ".".join(part for part in (_module_path(node), _operation(node)) if part)


def _module_path(node: fx.Node) -> str:
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack.values())[-1][0]) if stack else ""


def _operation(node: fx.Node) -> str:
    if isinstance(node.target, torch._ops.OpOverload):
        return str(node.target._schema.name).split("::")[-1]
    return str(getattr(node.target, "__name__", node.target))


def _unused(wanted: str, taken: set[str]) -> str:
    names = (f"{wanted}_{i}" if i else wanted for i in range(len(taken) + 1))
    return next(name for name in names if name not in taken)
