"""What a cut carries, and the two networks that it leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from simsplit.networks.graph import Graph, Step, reads_shape_only
from simsplit.networks.layouts import Answer, Layout


@dataclass(frozen=True, slots=True)
class Crossing:
    """What passes a cut after the step at position ``at``.

    Attributes:
        carried: Nodes whose tensors are carried, in order.
        same: Live nodes that are the same tensor as a carried one → that one.
    """

    at: int
    carried: tuple[fx.Node, ...]
    same: Mapping[fx.Node, fx.Node]


def crossings(graph: Graph) -> Iterable[tuple[Step, Crossing | None]]:
    """Every step that may end a head, with what is carried; None where no tensor can stand for it.

    None: a live value is a tuple whose elements have not been taken yet, or a number.
    """
    last = _last_uses(graph)
    live: list[fx.Node] = []
    for at, step in enumerate(graph.steps[:-1]):
        live = [node for node in (*live, step.node) if last.get(node, -1) > at]
        if step.node not in graph.free_nodes:
            yield step, _crossing(graph, at, live)


def _last_uses(graph: Graph) -> dict[fx.Node, int]:
    """Position of the last step that reads each node's content."""
    last: dict[fx.Node, int] = {}
    for at, step in enumerate(graph.steps):
        if not reads_shape_only(step.node):
            inputs = (p for p in step.node.all_input_nodes if p not in graph.free_nodes)
            last.update(dict.fromkeys(inputs, at))
    return last


def _crossing(graph: Graph, at: int, live: list[fx.Node]) -> Crossing | None:
    if not live or not all(graph.step(node).single for node in live):
        return None
    written = writes(graph.steps[at + 1 :])
    groups: dict[fx.Node | None, list[fx.Node]] = {}
    for node in live:
        groups.setdefault(graph.step(node).root, []).append(node)
    chosen: dict[fx.Node, fx.Node] = {}
    for root, members in groups.items():
        chosen |= _stand_for(graph, root, members, root in written)
    carried = sorted(set(chosen.values()), key=graph.index.__getitem__)
    return Crossing(at, tuple(carried), chosen)


def writes(steps: Iterable[Step]) -> frozenset[fx.Node]:
    """Roots of the memory that these steps change in place."""
    return frozenset(root for step in steps for root in step.writes)


def _stand_for(
    graph: Graph, root: fx.Node | None, members: list[fx.Node], written: bool
) -> dict[fx.Node, fx.Node]:
    """The fewest bytes that stand for all live values in one piece of memory."""
    first: dict[Layout, fx.Node] = {}
    same = {node: first.setdefault(graph.step(node).tensors[0], node) for node in members}
    if root is None or not all(_leads_back(graph, node, root) for node in members):
        return same
    whole, parts = graph.step(root).nbytes, sum(layout.nbytes for layout in first)
    several = len(first) > 1 and (written or whole <= parts)
    return {root: root} if several or whole < parts else same


def _leads_back(graph: Graph, node: fx.Node, root: fx.Node) -> bool:
    """Can ``node`` be had again from ``root`` by taking views alone?"""
    while node is not root:
        step = graph.step(node)
        others = [p for p in node.all_input_nodes if p is not step.parent]
        if step.parent is None or not all(p in graph.free_nodes for p in others):
            return False
        if step.writes and not _is_parent_itself(graph, step):
            return False
        node = step.parent
    return True


def _is_parent_itself(graph: Graph, step: Step) -> bool:
    parent = graph.step(step.parent) if step.parent is not None else None
    return parent is not None and step.single and parent.tensors == step.tensors


class _Builder:
    """Writes one half's graph, node by node, out of the whole one's."""

    def __init__(self, graph: Graph) -> None:
        self.source = graph
        self.graph = fx.Graph()
        self.at: dict[fx.Node, fx.Node] = {}
        self._reference: fx.Node | None = None

    def receive(self, crossing: Crossing, written: frozenset[fx.Node]) -> None:
        """Inputs of the half; what it writes to is copied first."""
        carried = crossing.carried
        inputs = [self.graph.placeholder(f"carried_{i}") for i in range(len(carried))]
        for node, given in zip(carried, inputs, strict=True):
            copied = self.source.step(node).root in written
            self.at[node] = self.graph.call_function(torch.clone, (given,)) if copied else given
        self.at |= {node: self.at[given] for node, given in crossing.same.items()}
        self._reference = carried[0]

    def run(self, steps: Iterable[Step]) -> None:
        """Appends these steps; what is known on both sides comes when somebody reads it."""
        for step in steps:
            wanted = step.node not in self.source.free_nodes or not step.node.users
            if wanted and step.node not in self.at:
                self.at[step.node] = self.graph.node_copy(step.node, self.value)

    def value(self, node: fx.Node) -> fx.Node:
        """The half's own node for one of the whole graph's, made now if need be."""
        if node not in self.at:
            self.at[node] = self._again(self.source.step(node))
        return self.at[node]

    def _again(self, step: Step) -> fx.Node:
        if reads_shape_only(step.node):
            return self.graph.node_copy(step.node, self._shaped)
        if step.node not in self.source.free_nodes:
            assert step.parent is not None, f"{step.name} is neither carried nor a view"
            if step.writes:  # changed in place before the cut: by now the same as its parent
                return self.value(step.parent)
        return self.graph.node_copy(step.node, self.value)

    def _shaped(self, node: fx.Node) -> fx.Node:
        """Something with the node's shape: itself, or a stand-in that holds no data."""
        step = self.source.step(node)
        if node in self.at or node in self.source.free_nodes or not step.single:
            return self.value(node)
        assert self._reference is not None
        reference, layout = self.source.step(self._reference).tensors[0], step.tensors[0]
        grown = self.source.grown
        args = (
            self.value(self._reference),
            _growth(reference.shape, grown.get(self._reference, reference.shape)),
            layout.shape,
            _growth(layout.shape, grown.get(node, layout.shape)),
            layout.dtype,
        )
        return self.graph.call_function(stand_in, args)


def _growth(shape: tuple[int, ...], grown: tuple[int, ...]) -> tuple[int, ...]:
    """Elements that each sample adds to each dimension."""
    return tuple(two - one for one, two in zip(shape, grown, strict=True))


def stand_in(
    reference: Tensor,
    reference_growth: tuple[int, ...],
    shape: tuple[int, ...],
    growth: tuple[int, ...],
    dtype: torch.dtype,
) -> Tensor:
    """A tensor without data that has the shape another one would have for this batch."""
    more = _samples(reference, reference_growth) - 1
    full = [one + more * step for one, step in zip(shape, growth, strict=True)]
    return torch.empty(1, dtype=dtype, device=reference.device).expand(full)


def _samples(reference: Tensor, growth: tuple[int, ...]) -> int:
    """Batch of a tensor whose dimension 0 holds ``growth[0]`` entries per sample."""
    return reference.shape[0] // growth[0] if growth and growth[0] else 1


class Head(nn.Module):
    """The part before a cut: ``head(x)`` gives the carried tensors."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Input ``(B, C, H, W)`` → carried tensors, in the order of the point's shapes."""
        return tuple(self.net(x))


class Tail(nn.Module):
    """The part behind a cut: ``tail(*tensors)`` gives the whole network's output."""

    def __init__(self, net: nn.Module, answer: Answer) -> None:
        super().__init__()
        self.net, self.answer = net, answer

    def forward(self, *carried: Tensor) -> Any:
        """Carried tensors, unchanged by this → the output in the network's own structure."""
        return self.answer.conform(self.net(*carried))


class _Flat(nn.Module):
    """The whole network with its output's tensors in a row."""

    def __init__(self, net: nn.Module, answer: Answer) -> None:
        super().__init__()
        self.net, self.answer = net, answer

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return self.answer.flatten(self.net(x))


class _Structure(nn.Module):
    """Puts an output's tensors back into the network's structure."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, *tensors: Tensor) -> Any:
        return self.answer.restore(tensors)


def halves(graph: Graph, crossing: Crossing) -> tuple[Head, Tail]:
    """The two networks of a cut inside the graph."""
    steps, at = graph.steps, crossing.at
    head, tail = _Builder(graph), _Builder(graph)
    head.run(steps[: at + 1])
    head.graph.output(tuple(head.value(node) for node in crossing.carried))
    if _writes_to_input(graph, steps[: at + 1]):
        _copy_input_first(head.graph)
    tail.receive(crossing, writes(steps[at + 1 :]))
    tail.run(steps[at + 1 :])
    return Head(_runnable(graph, head.graph)), Tail(_runnable(graph, tail.graph), graph.answer)


def _writes_to_input(graph: Graph, steps: Iterable[Step]) -> bool:
    return any(root.op == "placeholder" for root in writes(steps))


def _copy_input_first(graph: fx.Graph) -> None:
    given = next(node for node in graph.nodes if node.op == "placeholder")
    with graph.inserting_after(given):
        copied = graph.call_function(torch.clone, (given,))
    given.replace_all_uses_with(copied, delete_user_cb=lambda user: user is not copied)


def _runnable(graph: Graph, half: fx.Graph) -> fx.GraphModule:
    half.lint()
    return fx.GraphModule(graph.module, half).eval()


def whole_on_the_device(graph: Graph) -> tuple[Head, Tail]:
    """Everything before the cut; only the output's tensors are carried, each once."""
    whole = _Builder(graph)
    whole.run(graph.steps)
    if _writes_to_input(graph, graph.steps):
        _copy_input_first(whole.graph)
    net = _Flat(_runnable(graph, whole.graph), graph.answer)
    return Head(net), Tail(_Structure(graph.answer), graph.answer)
