"""Multiply-accumulates of single operations: PyTorch's own counters, and those that it lacks.

A multiply-accumulate is one product of a matrix product, a convolution or what is written as one.
Activations, norms, pooling, interpolation and gates have none: their work is elements moved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from torch import Tensor
from torch.utils.flop_counter import flop_registry

RECURRENT = {"lstm", "gru", "rnn_tanh", "rnn_relu", "mkldnn_rnn_layer"}
FUSED_PRODUCTS = {"_trilinear"}  # nn.Bilinear
DEFORMABLE = "deform_conv2d"
EMBEDDINGS = {"embedding", "_embedding_bag", "_embedding_bag_forward_only"}
WITHOUT_PRODUCT = EMBEDDINGS | {  # read weights and activations, but multiply no matrices
    *("lerp", "addcmul", "addcdiv", "fmod", "remainder", "hypot", "atan2", "copysign", "heaviside"),
    *("scatter", "scatter_add", "scatter_reduce", "gather", "index_add", "index_copy", "take"),
    *("masked_scatter", "slice_scatter", "select_scatter", "isclose", "equal", "bucketize"),
    *("searchsorted", "cross", "linalg_cross", "xlogy", "floor_divide", "true_divide", "logaddexp"),
    *("logical_xor", "bitwise_xor", "instance_norm", "grid_sampler_2d", "copysign", "resize"),
    *("_fused_dropout", "native_dropout", "_assert_async", "_assert_tensor_metadata"),
}


def plain_name(func: Any) -> str:
    """An aten operation's name without namespace, overload and the underscore of in-place ones."""
    name = str(func._schema.name).split("::")[-1]
    return name.removesuffix("_") if not name.endswith("__") else name


def macs(func: Any, args: Any, kwargs: Mapping[str, Any], out: Any) -> float | None:
    """Multiply-accumulates of one call, over its whole batch; None: there is no counter for it."""
    own = _COUNTERS.get(plain_name(func))
    if own is not None:
        return own(args, out)
    count = flop_registry.get(func._overloadpacket)
    return None if count is None else float(count(*args, **kwargs, out_val=out)) / 2


def weight_elements(
    func: Any, args: Any, kwargs: Mapping[str, Any], weights: list[Tensor], out: Any
) -> float:
    """Parameters read: all of them; rows of an embedding; at every step in a recurrent layer."""
    name, elements = plain_name(func), sum(tensor.numel() for tensor in weights)
    if name in EMBEDDINGS and weights:
        return float(min(elements, args[1].numel() * args[0].shape[-1]))
    return elements * _steps(name, args) if name in RECURRENT else elements


# --- recurrent layers -------------------------------------------------------------------------


def _steps(name: str, args: Any) -> int:
    """Time steps of a recurrent operation."""
    if name == "mkldnn_rnn_layer":  # one layer in one direction; input (T, B, I)
        return int(args[0].shape[0])
    if _is_packed(args):
        return len(args[1])
    return int(args[0].shape[1 if args[-1] is True else 0])  # last argument: batch_first


def _is_packed(args: Any) -> bool:
    """Overload for packed sequences: data, batch sizes, hidden states, parameters …"""
    return isinstance(args[1], Tensor) and not args[1].is_floating_point()


def _recurrent(args: Any, out: Any) -> float:
    """Per step and sample every matrix once: weights of input, state and projection, all layers."""
    packed = _is_packed(args)
    rows = args[0].shape[0] if packed else prod(args[0].shape[:2])
    matrices = (tensor.numel() for tensor in args[3 if packed else 2] if tensor.dim() == 2)
    return float(rows * sum(matrices))


def _recurrent_layer(args: Any, out: Any) -> float:
    """oneDNN's fused layer: input ``(T, B, I)``, weights of input and state."""
    return float(prod(args[0].shape[:2]) * (args[1].numel() + args[2].numel()))


# --- other products ---------------------------------------------------------------------------


def _bilinear(args: Any, out: Any) -> float:
    """x1^T A_k x2 for every k; ``args[1]`` is A ``(out, in1, in2)``: A_k x2, then x1^T of that."""
    outputs, first, second = args[1].shape[-3:]
    return float(args[0].shape[0] * outputs * first * (second + 1))


def _deformable(args: Any, out: Any) -> float:
    """That of a convolution; the sampling before it moves elements."""
    return float(out.numel() * prod(args[1].shape[1:]))


def _attention(args: Any, out: Any) -> float:
    """Both products of softmax(Q K^T) V; tensors are ``(B, heads, tokens, width)``."""
    query, key, value = args[:3]
    scores = prod(query.shape[:-1]) * key.shape[-2]
    return float(scores * (query.shape[-1] + value.shape[-1]))


def _linear(args: Any, out: Any) -> float:
    return float(out.numel() * args[0].shape[-1])


def _matrix_vector(args: Any, out: Any) -> float:
    matrix = args[1] if args[0].dim() == 1 and args[1].dim() == 2 else args[0]
    return float(matrix.numel())


def _dot(args: Any, out: Any) -> float:
    return float(args[0].numel())


def _summed_products(args: Any, out: Any) -> float:
    """addbmm: all products ``(b, n, m) @ (b, m, p)`` are summed up."""
    return float(args[1].numel() * args[2].shape[-1])


def _distances(args: Any, out: Any) -> float:
    """Squared distances as products: one per coordinate and pair."""
    return float(out.numel() * args[0].shape[-1])


_COUNTERS: Mapping[str, Callable[[Any, Any], float]] = {
    **dict.fromkeys(RECURRENT - {"mkldnn_rnn_layer"}, _recurrent),
    "mkldnn_rnn_layer": _recurrent_layer,
    "_trilinear": _bilinear,
    DEFORMABLE: _deformable,
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "linear": _linear,
    "mv": _matrix_vector,
    "addmv": _matrix_vector,
    "dot": _dot,
    "vdot": _dot,
    "addbmm": _summed_products,
    "_cdist_forward": _distances,
    "_euclidean_dist": _distances,
}
