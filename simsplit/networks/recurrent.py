"""Recurrent layers, counted alike: one operator per layer and direction.

PyTorch computes an LSTM on a CPU in one fused operation per layer and direction, a GRU or an RNN in
a dozen small ones per step. Accelerators fuse them all (cuDNN, oneDNN), so all count as fused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from simsplit.operators import Operator

_NAMES = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_CALLABLES = {getattr(torch, name): name for name in _NAMES}
_REST = ("hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional")
_PADDED = ("input", *_REST, "batch_first")
_PACKED = ("data", "batch_sizes", *_REST)
Run = Callable[[], Any]


class WholeRecurrent(TorchFunctionMode):
    """Hands every recurrent operation, before PyTorch takes it apart, to ``seen``.

    Args:
        seen: Runs the operation (its second argument) and returns what that returns.
    """

    def __init__(self, seen: Callable[[Recurrent, Run], Any]) -> None:
        super().__init__()
        self._seen = seen

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        name, keywords = _name(func), kwargs or {}
        if name is None:
            return func(*args, **keywords)
        return self._seen(Recurrent.of(name, args, keywords), lambda: func(*args, **keywords))


def _name(func: Any) -> str | None:
    """Of a recurrent operation: torch.gru, torch.ops.aten.gru.input …; None: it is another."""
    if isinstance(func, torch._ops.OpOverload):
        namespace, _, name = str(func._schema.name).partition("::")
        return name if namespace == "aten" and name in _NAMES else None
    return _CALLABLES.get(func) if type(func) is type(torch.gru) else None


@dataclass(frozen=True)
class Recurrent:
    """One call of a recurrent operation.

    Attributes:
        form: Which: ``lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``.
        rows: Inputs of all steps and samples of the batch.
        steps: Time steps.
        batch: Sequences.
        width: Of one input.
        parameters: Per layer and direction: weights of input and state, biases, projection.
        ways: Directions, 1 or 2.
    """

    form: str
    rows: int
    steps: int
    batch: int
    width: int
    parameters: tuple[Sequence[Tensor], ...]
    ways: int

    @classmethod
    def of(cls, form: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Recurrent:
        """Of the arguments of the operation, for padded or packed sequences."""
        packed = len(args) > 1 and isinstance(args[1], Tensor) and not args[1].is_floating_point()
        said = dict(zip(_PACKED if packed else _PADDED, args, strict=False)) | dict(kwargs)
        if "batch_sizes" in said:
            data, sizes = said["data"], said["batch_sizes"]
            rows, steps, batch = data.shape[0], len(sizes), int(sizes[0])
        else:
            data = said["input"]
            first, second = data.shape[:2]
            steps, batch = (second, first) if said["batch_first"] else (first, second)
            rows = steps * batch
        ways = 2 if said["bidirectional"] else 1
        flat, count = said["params"], ways * said["num_layers"]
        each = len(flat) // count
        parameters = tuple(flat[i * each : (i + 1) * each] for i in range(count))
        return cls(form, rows, steps, batch, data.shape[-1], parameters, ways)

    def operators(
        self, name: str, samples: int, is_weight: Callable[[Tensor], bool]
    ) -> Iterator[Operator]:
        """Its work per sample: layers, their directions put together, the last states.

        Args:
            name: Node of the graph.
            samples: By which the work is divided.
            is_weight: Whether a tensor is read as weights; else it counts as activations.
        """
        width = self.width
        for index, own in enumerate(self.parameters):
            yield self._layer(own, width, name, samples, is_weight)
            if (index + 1) % self.ways == 0:
                width = self.ways * self._state(own)[0]
                if self.ways == 2:
                    yield _moved("cat", self.rows * width / samples, name)
        for elements in map(sum, zip(*map(self._state, self.parameters), strict=True)):
            yield _moved("stack", self.batch * elements / samples, name)

    def _layer(
        self,
        own: Sequence[Tensor],
        width: int,
        name: str,
        samples: int,
        is_weight: Callable[[Tensor], bool],
    ) -> Operator:
        """Per step and sample every matrix once; weights are read at each step."""
        weights = sum(tensor.numel() for tensor in own if is_weight(tensor))
        others = sum(tensor.numel() for tensor in own) - weights
        read = self.rows * width + self.batch * sum(self._state(own)) + others
        products = self.rows * sum(tensor.numel() for tensor in own if tensor.dim() == 2)
        return Operator(
            name=name,
            kind="linear",
            macs=products / samples,
            elements_in=read / samples,
            elements_out=self.rows * self._state(own)[0] / samples,
            weights=float(self.steps * weights),
            form=self.form,
        )

    def _state(self, own: Sequence[Tensor]) -> tuple[int, ...]:
        """Elements of one layer's state: what it gives out, and an LSTM's cell."""
        rows, given = own[1].shape
        return (given, rows // 4) if self.form == "lstm" else (given,)


def _moved(form: str, elements: float, name: str) -> Operator:
    return Operator(name, "elementwise", 0.0, elements, elements, form=form)
