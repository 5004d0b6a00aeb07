"""What a network's operations cost: one `Operator` per piece of real work, seen while it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from simsplit.errors import ScenarioError
from simsplit.networks.counters import (
    DEFORMABLE,
    FUSED_PRODUCTS,
    RECURRENT,
    WITHOUT_PRODUCT,
    macs,
    plain_name,
    weight_elements,
)
from simsplit.networks.recurrent import Recurrent, WholeRecurrent
from simsplit.operators import Operator, Operators

_FAMILIES = {
    "activation": "relu relu6 hardtanh silu hardswish hardsigmoid gelu sigmoid leaky_relu elu tanh "
    "softplus mish prelu _prelu_kernel glu celu selu log_sigmoid_forward threshold",
    "norm": "native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training "
    "cudnn_batch_norm native_layer_norm native_group_norm _fused_rms_norm",
    "pool": "max_pool2d max_pool2d_with_indices avg_pool2d _adaptive_avg_pool2d "
    "adaptive_max_pool2d mean amax",
    "attention": "_softmax _safe_softmax _log_softmax",
    "elementwise": "add sub rsub mul div neg abs exp log sqrt rsqrt pow cat stack clone copy "
    "_to_copy clamp clamp_min clamp_max maximum minimum where masked_fill fill constant_pad_nd "
    "roll index index_select gather floor round sin cos eq ne lt le gt ge logical_and logical_or "
    "logical_not bitwise_and bitwise_or bitwise_not zeros ones full zeros_like ones_like "
    "full_like arange expand_copy repeat rounding bernoulli index_put",
}
_KINDS = {name: kind for kind, names in _FAMILIES.items() for name in names.split()}
_MATRIX_PRODUCTS = {"mm", "addmm", "bmm", "baddbmm", "linear", "mv", "addmv", "addbmm", "dot"}
_CONVOLUTIONS = {"convolution", "_convolution"}
_POOLS = {"max_pool2d", "max_pool2d_with_indices", "avg_pool2d"}
_NO_WORK = {  # views without an alias in their schema, and memory that nobody fills
    *("_unsafe_view", "_reshape_alias", "detach", "lift_fresh", "alias", "set_"),
    *("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"),
    *("_local_scalar_dense", "sym_size", "is_same_size"),
}


def record(
    call: Callable[..., Any], *inputs: Any, name: str = "", unknown_macs: float | None = None
) -> Operators:
    """The work of ``call(*inputs)``, one `Operator` per aten operation, views left out.

    Figures are per sample; the batch is the first input's dimension 0. If ``call`` is a module (or
    a module's method), its parameters and buffers count as weights, everything else as
    activations. Multiply-accumulates: `simsplit.networks.counters`.

    Raises:
        ScenarioError: An operation with weights and without a counter, and no ``unknown_macs``.
    """
    weights, batch = _weights_of(call), _batch_of(inputs)
    recorder = Recorder(weights, batch=batch, unknown_macs=unknown_macs)
    recorder.name = name
    with torch.no_grad(), every_product_visible(), recorder:
        call(*inputs)
    return tuple(recorder.operators)


def _weights_of(call: Callable[..., Any]) -> Iterable[Tensor]:
    owner = getattr(call, "__self__", call)
    return (*owner.parameters(), *owner.buffers()) if isinstance(owner, nn.Module) else ()


def _batch_of(inputs: tuple[Any, ...]) -> int:
    shaped = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor) and leaf.dim()]
    return max(1, shaped[0].shape[0]) if shaped else 1


@contextmanager
def every_product_visible() -> Iterator[None]:
    """PyTorch's fused attention path, which hides its products, is off inside."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down what runs while it is active, under the name in ``name``.

    Args:
        weights: Tensors that are read once per launch; their views count as they do.
        batch: Samples in what runs.
        unknown_macs: Multiply-accumulates per sample of each call of an operation that reads
            weights and has no counter; None: such an operation is an error that names it.
    """

    def __init__(
        self, weights: Iterable[Tensor], batch: int, unknown_macs: float | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name = ""
        self.unknown_macs = unknown_macs
        self.operators: list[Operator] = []
        self._weights = {_address(tensor) for tensor in weights}
        self._batch = batch
        self._whole, self._counts = WholeRecurrent(self._recurrent), True

    def __enter__(self) -> Self:
        super().__enter__()  # type: ignore[no-untyped-call]
        self._whole.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *failure: Any) -> None:
        self._whole.__exit__(*failure)  # type: ignore[no-untyped-call]
        super().__exit__(*failure)  # type: ignore[no-untyped-call]

    def _recurrent(self, work: Recurrent, run: Callable[[], Any]) -> Any:
        """A recurrent operation counts by its layers, not by what it is made of here."""
        counts, self._counts = self._counts, False
        try:
            out = run()
        finally:
            self._counts = counts
        if counts:
            self.operators += work.operators(self.name, self._batch, self._is_weight)
        return out

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if self._counts and not _is_free(func):
            self.operators.append(self._operator(func, args, kwargs or {}, out))
        return out

    def _operator(self, func: Any, args: Any, kwargs: dict[str, Any], out: Any) -> Operator:
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        weights = [tensor for tensor in read if self._is_weight(tensor)]
        elements = sum(t.numel() for t in read) - sum(t.numel() for t in weights)
        own = weight_elements(func, args, kwargs, weights, out)
        return Operator(
            name=self.name,
            kind=_kind(func, args, with_weights=bool(weights)),
            macs=self._macs(func, args, kwargs, out, mixes=bool(weights) and elements > 0),
            elements_in=elements / self._batch,
            elements_out=_written(out) / self._batch,
            weights=float(own),
            form=plain_name(func),
            window=_window(func, args),
        )

    def _is_weight(self, tensor: Tensor) -> bool:
        return _address(tensor) in self._weights

    def _macs(
        self, func: Any, args: Any, kwargs: dict[str, Any], out: Any, *, mixes: bool
    ) -> float:
        """Per sample; ``mixes``: it reads weights and activations."""
        name = plain_name(func)
        counted = macs(func, args, kwargs, out)
        if counted is not None:
            return counted / self._batch
        if not mixes or name in _KINDS or name in WITHOUT_PRODUCT or _is_free(func):
            return 0.0
        if self.unknown_macs is not None:
            return self.unknown_macs
        where = f" (in {self.name})" if self.name else ""
        raise ScenarioError(
            f"the operation {func._schema.name}{where} reads weights and has no counter, so its "
            "work is unknown; say unknown_macs: N, the multiply-accumulates per sample of each of "
            "its calls, or build it of PyTorch's operations",
            path="unknown_macs",
        )


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _is_free(func: Any) -> bool:
    """Views: the result is the input's memory, not written to."""
    returns = func._schema.returns
    aliases = [value.alias_info for value in returns]
    view = bool(aliases) and all(alias is not None and not alias.is_write for alias in aliases)
    return view or plain_name(func) in _NO_WORK


def _written(out: Any) -> int:
    """Elements of the main result; indices and statistics on the side are not counted."""
    if isinstance(out, tuple):
        return _written(out[0])
    return sum(leaf.numel() for leaf in tree_leaves(out) if isinstance(leaf, Tensor))


def _kind(func: Any, args: Any, *, with_weights: bool) -> str:
    name = plain_name(func)
    if name in _CONVOLUTIONS:
        return "depthwise" if _is_depthwise(args) else "conv"
    if name in _MATRIX_PRODUCTS:
        return "linear" if with_weights else "attention"
    if name.startswith("_scaled_dot_product"):
        return "attention"
    if name in RECURRENT or name in FUSED_PRODUCTS:
        return "linear"
    if name == DEFORMABLE:
        return "conv"
    return _KINDS.get(name, "other")


def _window(func: Any, args: Any) -> float:
    """Positions of the kernel: 9 for 3 x 3; 0 for what has no kernel of its own."""
    name = plain_name(func)
    if name in _CONVOLUTIONS:
        return float(prod(args[1].shape[2:]))
    if name not in _POOLS:
        return 0.0
    sides = args[1]
    return float(sides[0] * sides[-1])


def _is_depthwise(args: Any) -> bool:
    groups = args[8]
    return bool(groups > 1 and groups == args[0].shape[1])
