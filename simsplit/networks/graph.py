"""A network as the list of its operations: names, shapes, work, and which values share memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.utils._pytree import tree_leaves

from simsplit.networks.costs import Recorder, every_product_visible
from simsplit.networks.layouts import Answer, Layout
from simsplit.networks.tracing import operations, readable_names, same_entries
from simsplit.operators import Operators

_SHAPE_ATTRIBUTES = {"shape", "dtype", "device", "ndim", "is_cuda", "layout", "is_quantized"}
_SHAPE_METHODS = {"size", "dim", "numel", "ndimension", "is_floating_point", "nelement"}
_SHAPE_FUNCTIONS = (len, torch.numel, torch.is_floating_point)


@dataclass(frozen=True, slots=True)
class Step:
    """One node: what it yields, what it costs, and whose memory it shows.

    Attributes:
        tensors: Layouts of the tensors in its value.
        single: Is the value one tensor?
        root: Node whose memory the value lies in (itself if new; None if several or none).
        parent: Input node whose memory it shows, if any.
        writes: Roots of inputs that it changes in place.
        operators: Its work, one entry per aten operation.
        parameters: Identity → elements of the parameters it reads.
    """

    node: fx.Node
    name: str
    tensors: tuple[Layout, ...]
    single: bool
    root: fx.Node | None
    parent: fx.Node | None
    writes: frozenset[fx.Node]
    operators: Operators
    parameters: Mapping[int, int]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Of its tensors, the example's batch of 1 included."""
        return tuple(layout.shape for layout in self.tensors)

    @property
    def nbytes(self) -> int:
        """Bytes of its tensors."""
        return sum(layout.nbytes for layout in self.tensors)


@dataclass(frozen=True)
class Graph:
    """A traced network, in evaluation mode, for one input size.

    Attributes:
        module: The network as torch.fx runs it; shares its parameters with the original.
        example_shape: ``(1, C, H, W)``.
        steps: Every node in the order of execution; the last one is the output.
        free_nodes: Nodes that both sides of any cut can have for nothing: parameters, constants,
            shapes, and what is computed from these alone.
        answer: Structure of the output.
        original: The module as it was given, in evaluation mode.
    """

    module: fx.GraphModule
    example_shape: tuple[int, ...]
    steps: tuple[Step, ...]
    free_nodes: frozenset[fx.Node]
    answer: Answer
    original: nn.Module = field(repr=False)

    @cached_property
    def index(self) -> dict[fx.Node, int]:
        """Position of each node in ``steps``."""
        return {step.node: i for i, step in enumerate(self.steps)}

    def step(self, node: fx.Node) -> Step:
        """The step of a node."""
        return self.steps[self.index[node]]

    @cached_property
    def operators(self) -> Operators:
        """All the work of one sample, in order; each named after its node."""
        return tuple(operator for step in self.steps for operator in step.operators)

    @cached_property
    def operators_before(self) -> tuple[int, ...]:
        """For a cut before step i: how many of ``operators`` come before it."""
        return tuple(accumulate((len(step.operators) for step in self.steps), initial=0))

    @cached_property
    def takes_batches(self) -> bool:
        """Does the graph answer as the module does for two samples at once, bit for bit?

        What torch.export traced may have the example's batch of 1 written into it.
        """
        return self.why_one_at_a_time is None

    @cached_property
    def why_one_at_a_time(self) -> str | None:
        """What went wrong with two samples at once; None: nothing."""
        return self._tried_with_two[1]

    @cached_property
    def grown(self) -> dict[fx.Node, tuple[int, ...]]:
        """Shape of every single-tensor value for a batch of 2; empty if only 1 can be run.

        `why_one_at_a_time` says what stops two then.
        """
        runs, _ = self._tried_with_two
        if not runs:
            return {}
        shapes = _Shapes(self.module)
        with torch.no_grad():
            shapes.run(self._two())
        return shapes.of

    def _two(self) -> Tensor:
        """The same two samples in every trial."""
        generator = torch.Generator().manual_seed(0)
        return torch.rand((2, *self.example_shape[1:]), generator=generator)

    @cached_property
    def _tried_with_two(self) -> tuple[bool, str | None]:
        """Whether two samples at once run, and why they are not as good as one by one."""
        try:
            with torch.no_grad():
                is_same = same_entries(self.module(self._two()), self.original(self._two()))
        except Exception as error:  # a user's own modules raise whatever they like
            lines = str(error).strip().splitlines()
            return False, ": ".join([type(error).__name__, *lines[:1]])
        differs = "the graph answers two otherwise than the network itself does"
        return True, None if is_same else differs


class _Shapes(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.of: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        if isinstance(value, Tensor):
            self.of[n] = tuple(value.shape)
        return value


def trace(
    module: nn.Module,
    example: Tensor,
    leaves: Iterable[str] = (),
    *,
    unknown_macs: float | None = None,
) -> Graph:
    """The graph of ``module`` (put into evaluation mode) for one example ``(1, C, H, W)``.

    ``leaves`` are paths of submodules that stay whole; ``unknown_macs`` is what each call of an
    operation counts that has weights and no counter (`simsplit.networks.costs.Recorder`). torch.fx
    is tried first, then torch.export (non-strict); whichever is taken gives the module's own result
    bit for bit.

    Raises:
        ScenarioError: neither can follow the module, naming the operation that stopped them; an
            operation with weights and without a counter, and no ``unknown_macs``.
    """
    module.eval()
    traced, answer = operations(module, example, leaves)
    observer = _Observer(traced, readable_names(traced.graph, traced), unknown_macs)
    with torch.no_grad(), every_product_visible(), observer.recorder:
        observer.run(example.clone())
    steps = tuple(observer.steps.values())
    return Graph(traced, tuple(example.shape), steps, _free_nodes(steps), answer, module)


@dataclass
class _Memory:
    """Addresses of a value's tensors → node that owns that memory (None: nobody named yet)."""

    owners: dict[int, fx.Node | None] = field(default_factory=dict)


class _Observer(fx.Interpreter):
    """Runs the graph once and notes a `Step` for every node."""

    def __init__(
        self, module: fx.GraphModule, names: dict[fx.Node, str], unknown_macs: float | None
    ) -> None:
        super().__init__(module)
        self.names = names
        self.steps: dict[fx.Node, Step] = {}
        weights = (*module.parameters(), *module.buffers())
        self.recorder = Recorder(weights, batch=1, unknown_macs=unknown_macs)
        self._memory: dict[fx.Node, _Memory] = {}
        self._constant: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> Any:
        self.recorder.name, seen = self.names[n], len(self.recorder.operators)
        before = {p: _versions(self.env[p]) for p in n.all_input_nodes}
        value = super().run_node(n)
        changed = [p for p in before if _versions(self.env[p]) != before[p]]
        writes = frozenset(
            root for p in changed for root in self._memory[p].owners.values() if root
        )
        self._note(n, value, writes, tuple(self.recorder.operators[seen:]))
        return value

    def _note(
        self, n: fx.Node, value: Any, writes: frozenset[fx.Node], operators: Operators
    ) -> None:
        single = isinstance(value, Tensor)
        tensors = _tensors(value)
        parent = self._remember(n, tensors, single)
        owners = set(self._memory[n].owners.values())
        self.steps[n] = Step(
            node=n,
            name=self.names[n],
            tensors=tuple(Layout.of(tensor) for tensor in tensors),
            single=single,
            root=owners.pop() if len(owners) == 1 else None,
            parent=parent,
            writes=writes,
            operators=operators,
            parameters=self._parameters(n),
        )

    def _remember(self, n: fx.Node, tensors: list[Tensor], single: bool) -> fx.Node | None:
        """Whose memory the tensors lie in; the input that already showed it, if it was one."""
        memory, parents = _Memory(), set()
        for address in {tensor.untyped_storage().data_ptr() for tensor in tensors} - {0}:
            shown = [p for p in n.all_input_nodes if address in self._memory[p].owners]
            owner = self._memory[shown[0]].owners[address] if shown else None
            if owner is None and single:
                owner = n
                for p in shown:
                    self._memory[p].owners[address] = n
            elif shown:
                parents.add(shown[0])
            memory.owners[address] = owner
        self._memory[n] = memory
        return parents.pop() if len(parents) == 1 else None

    def _parameters(self, n: fx.Node) -> dict[int, int]:
        elements_by_id = {id(p): p.numel() for p in self._own_parameters(n)}
        for source in self._constant.intersection(n.all_input_nodes):
            elements_by_id |= self.steps[source].parameters
        settled = n.op != "placeholder" and self._constant.issuperset(n.all_input_nodes)
        if settled or reads_shape_only(n):
            self._constant.add(n)
        return elements_by_id

    def _own_parameters(self, n: fx.Node) -> Iterable[nn.Parameter]:
        if n.op == "call_module":
            return self.fetch_attr(str(n.target)).parameters()  # type: ignore[no-any-return]
        if n.op == "get_attr" and isinstance(self.fetch_attr(str(n.target)), nn.Parameter):
            return (self.fetch_attr(str(n.target)),)
        return ()


def _tensors(value: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


def _versions(value: Any) -> list[int]:
    return [tensor._version for tensor in _tensors(value)]


def reads_shape_only(node: fx.Node) -> bool:
    """Does the node ask a tensor for its shape, type or device, not for its content?"""
    if node.op == "call_method":
        return node.target in _SHAPE_METHODS
    if node.target is getattr:
        return node.args[1] in _SHAPE_ATTRIBUTES
    name = str(getattr(node.target, "name", lambda: "")()) if node.op == "call_function" else ""
    return node.target in _SHAPE_FUNCTIONS or name.startswith(("aten::sym_size", "aten::sym_numel"))


def _free_nodes(steps: tuple[Step, ...]) -> frozenset[fx.Node]:
    """What depends on the input through shapes at most; not memory that is written to later."""
    written: set[fx.Node] = set()
    while True:
        free = _free_nodes_unless(steps, written)
        spoilt = {root for step in steps if step.node not in free for root in step.writes & free}
        if spoilt <= written:
            return frozenset(free)
        written |= spoilt


def _free_nodes_unless(steps: tuple[Step, ...], written: set[fx.Node]) -> set[fx.Node]:
    free: set[fx.Node] = set()
    for step in steps:
        node = step.node
        if node.op in ("placeholder", "output") or step.root in written:
            continue
        if reads_shape_only(node) or all(p in free for p in node.all_input_nodes):
            free.add(node)
    return free
