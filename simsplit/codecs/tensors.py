"""Everything that lives at a cut, tensor after tensor, without a word about shapes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError
from simsplit.codecs.quantise import RANGE_HEADER, QuantiseCodec

Shapes = Sequence[tuple[int, ...]]
TensorType = Literal["float32", "float16", "uint8"]
TYPES: Mapping[str, np.dtype[Any]] = {  # PyTorch's name → how it lies in a payload
    "bool": np.dtype("?"),  # eight to a byte, see `_size`
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "uint32": np.dtype("<u4"),
    "uint64": np.dtype("<u8"),
    "int8": np.dtype("i1"),
    "int16": np.dtype("<i2"),
    "int32": np.dtype("<i4"),
    "int64": np.dtype("<i8"),
    "float16": np.dtype("<f2"),
    "bfloat16": np.dtype("<u2"),  # NumPy has none: its sixteen bits
    "float32": np.dtype("<f4"),
    "float64": np.dtype("<f8"),
    "complex64": np.dtype("<c8"),
    "complex128": np.dtype("<c16"),
}
BOOL = "bool"


class PixelsCodec:
    """A picture as it is: one byte per colour value, row by row.

    Args:
        shape: ``(H, W, C)``, known to both ends.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def encode(self, array: NDArray[Any]) -> bytes:
        """uint8 picture of the agreed shape → H * W * C bytes."""
        if array.dtype != np.uint8 or array.shape != self.shape:
            raise CodecError(f"{array.dtype} {array.shape} where uint8 {self.shape} was agreed")
        return np.ascontiguousarray(array).tobytes()

    def decode(self, payload: bytes) -> NDArray[np.uint8]:
        """Bytes → picture; CodecError for a wrong length."""
        if len(payload) != math.prod(self.shape):
            raise CodecError(f"{len(payload)} bytes where {math.prod(self.shape)} were agreed")
        return np.frombuffer(payload, np.uint8).reshape(self.shape)


class TensorsCodec:
    """The tensors that live at a cut, one after another in the order of the graph.

    ``dtype`` says how float32 tensors travel: ``float32`` is lossless; ``float16`` rounds;
    ``uint8`` is min-max quantised tensor by tensor, with minimum and maximum (two float32) ahead of
    each. Tensors of every other type (whole numbers, bools, halves) travel exactly, in their own
    type, little-endian; bools as bits, eight to a byte, each tensor from a byte of its own on.
    Shapes and types are known to both ends.

    Args:
        shapes: Of one sample's tensors.
        dtype: What travels for a float32 tensor.
        types: PyTorch's name of each tensor's type, e.g. ``int64``; float32 if left out.

    Raises:
        CodecError: a type without a place in a payload (`TYPES`).
    """

    def __init__(
        self, shapes: Shapes, dtype: TensorType, types: Sequence[str] | None = None
    ) -> None:
        self.shapes = [tuple(shape) for shape in shapes]
        self.dtype = dtype
        self.types = ["float32"] * len(self.shapes) if types is None else list(types)
        if unknown := sorted(set(self.types) - set(TYPES)):
            raise CodecError(f"{unknown[0]} is none of the types that travel: {', '.join(TYPES)}")

    @property
    def payload_bytes(self) -> int:
        """Length of every payload: it does not depend on the values."""
        return sum(map(self._size, self.shapes, self.types))

    def encode(self, arrays: Sequence[NDArray[Any]]) -> bytes:
        """Tensors of the agreed shapes and types (bfloat16 as `TYPES` says) → payload.

        Raises:
            CodecError: other shapes or types; float16 overflows; NaN or infinity for uint8.
        """
        if [array.shape for array in arrays] != self.shapes:
            raise CodecError(f"shapes {[a.shape for a in arrays]} where {self.shapes} were agreed")
        pairs = zip(arrays, self.shapes, self.types, strict=True)
        return b"".join(self._bytes(array, shape, name) for array, shape, name in pairs)

    def decode(self, payload: bytes) -> list[NDArray[Any]]:
        """Payload → tensors in their own types; CodecError for a wrong length."""
        if len(payload) != self.payload_bytes:
            raise CodecError(f"{len(payload)} bytes where {self.payload_bytes} were agreed")
        tensors, start = [], 0
        for shape, name in zip(self.shapes, self.types, strict=True):
            size = self._size(shape, name)
            tensors.append(self._tensor(payload[start : start + size], shape, name))
            start += size
        return tensors

    def _size(self, shape: tuple[int, ...], name: str) -> int:
        if name == BOOL:
            return math.ceil(math.prod(shape) / 8)
        if name != "float32":
            return math.prod(shape) * TYPES[name].itemsize
        header = RANGE_HEADER.size if self.dtype == "uint8" else 0
        return math.prod(shape) * TYPES[self.dtype].itemsize + header

    def _bytes(self, array: NDArray[Any], shape: tuple[int, ...], name: str) -> bytes:
        if name != "float32":
            return self._exact(array, name)
        if not np.issubdtype(array.dtype, np.floating):
            raise CodecError(f"{array.dtype} where float32 was agreed")
        if self.dtype == "uint8":
            return QuantiseCodec(shape, 8).encode(array)
        with np.errstate(over="ignore"):
            sent = np.ascontiguousarray(array, dtype=TYPES[self.dtype])
        if np.isinf(sent).sum() > np.isinf(array).sum():
            raise CodecError("a value overflows float16")
        return sent.tobytes()

    @staticmethod
    def _exact(array: NDArray[Any], name: str) -> bytes:
        if array.dtype != TYPES[name]:
            raise CodecError(f"{array.dtype} where {name} was agreed")
        if name == BOOL:
            return np.packbits(array).tobytes()
        return np.ascontiguousarray(array, TYPES[name]).tobytes()

    def _tensor(self, payload: bytes, shape: tuple[int, ...], name: str) -> NDArray[Any]:
        if name == BOOL:
            packed = np.frombuffer(payload, np.uint8)
            return np.unpackbits(packed, count=math.prod(shape)).astype(bool).reshape(shape)
        if name != "float32":
            return np.frombuffer(payload, TYPES[name]).reshape(shape)
        if self.dtype == "uint8":
            return QuantiseCodec(shape, 8).decode(payload)
        return np.frombuffer(payload, TYPES[self.dtype]).astype(np.float32).reshape(shape)
