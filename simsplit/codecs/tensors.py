"""Everything that lives at a cut, tensor after tensor, without a word about shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError
from simsplit.codecs.quantise import RANGE_HEADER, QuantiseCodec

Shapes = Sequence[tuple[int, ...]]
TensorType = Literal["float32", "float16", "uint8"]
_BYTES = {"float32": 4, "float16": 2, "uint8": 1}


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
    """The float tensors that live at a cut, one after another in the order of the graph.

    ``float32`` is lossless; ``float16`` rounds; ``uint8`` is min-max quantised tensor by tensor,
    with minimum and maximum (two float32) ahead of each. Shapes are known to both ends.

    Args:
        shapes: Of one sample's tensors.
        dtype: What travels.
    """

    def __init__(self, shapes: Shapes, dtype: TensorType) -> None:
        self.shapes = [tuple(shape) for shape in shapes]
        self.dtype = dtype

    @property
    def payload_bytes(self) -> int:
        """Length of every payload: it does not depend on the values."""
        values = sum(math.prod(shape) for shape in self.shapes)
        headers = RANGE_HEADER.size * len(self.shapes) if self.dtype == "uint8" else 0
        return values * _BYTES[self.dtype] + headers

    def encode(self, arrays: Sequence[NDArray[Any]]) -> bytes:
        """Tensors of the agreed shapes → payload. Raises CodecError if float16 overflows."""
        if [array.shape for array in arrays] != self.shapes:
            raise CodecError(f"shapes {[a.shape for a in arrays]} where {self.shapes} were agreed")
        pairs = zip(arrays, self.shapes, strict=True)
        return b"".join(self._bytes(array, shape) for array, shape in pairs)

    def decode(self, payload: bytes) -> list[NDArray[np.float32]]:
        """Payload → float32 tensors; CodecError for a wrong length."""
        if len(payload) != self.payload_bytes:
            raise CodecError(f"{len(payload)} bytes where {self.payload_bytes} were agreed")
        tensors, start = [], 0
        for shape in self.shapes:
            size = TensorsCodec([shape], self.dtype).payload_bytes
            tensors.append(self._tensor(payload[start : start + size], shape))
            start += size
        return tensors

    def _bytes(self, array: NDArray[Any], shape: tuple[int, ...]) -> bytes:
        if self.dtype == "uint8":
            return QuantiseCodec(shape, 8).encode(array)
        with np.errstate(over="ignore"):
            sent = np.ascontiguousarray(array, dtype=self.dtype)
        if np.isinf(sent).sum() > np.isinf(array).sum():
            raise CodecError("a value overflows float16")
        return sent.tobytes()

    def _tensor(self, payload: bytes, shape: tuple[int, ...]) -> NDArray[np.float32]:
        if self.dtype == "uint8":
            return QuantiseCodec(shape, 8).decode(payload)
        return np.frombuffer(payload, self.dtype).astype(np.float32).reshape(shape)
