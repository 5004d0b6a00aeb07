"""What every codec promises: arrays become bytes, bytes become arrays again or an error."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class CodecError(ValueError):
    """An array that cannot be coded, or a payload that this codec cannot have written."""


class Codec(Protocol):
    """Coder and decoder of one array; the payload's size is ``len(bytes) * 8`` bits.

    What both ends know beforehand (shape, bit depth, tables) is given to the constructor and costs
    nothing; everything that depends on the array is in the payload, header included.
    """

    def encode(self, array: NDArray[Any]) -> bytes:
        """Array → payload. Raises CodecError for a wrong shape or type, NaN or infinity."""

    def decode(self, payload: bytes) -> NDArray[Any]:
        """Payload → array. Raises CodecError for a payload that is visibly damaged."""


def checked_feature(array: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The array as float32.

    Raises:
        CodecError: Other shape than agreed, no element, NaN or infinity.
    """
    if array.shape != shape:
        raise CodecError(f"shape {array.shape} where {shape} was agreed")
    if array.size == 0:
        raise CodecError(f"nothing to code in shape {shape}")
    feature = np.asarray(array, dtype=np.float32)
    if not np.isfinite(feature).all():
        raise CodecError("NaN or infinity cannot be quantised")
    return feature
