"""Uniform n-bit quantisation over an array's own range, and the codec that packs the codes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError, checked_feature

MAX_BITS = 8
RANGE_HEADER = struct.Struct("<ff")  # lowest and highest value, float32


@dataclass(frozen=True)
class Quantised:
    """Codes 0 .. 2^bits - 1 of any shape and the range they span."""

    codes: NDArray[np.uint8]
    low: float
    high: float
    bits: int

    @property
    def step(self) -> float:
        """Distance of neighbouring codes, in the array's unit."""
        return (self.high - self.low) / float(2**self.bits - 1)


def check_bits(bits: int) -> int:
    """The bit depth, if it is 1 to 8; CodecError otherwise."""
    if not 1 <= bits <= MAX_BITS:
        raise CodecError(f"bit depth {bits} is not within 1..{MAX_BITS}")
    return bits


def quantise(feature: NDArray[np.float32], bits: int) -> Quantised:
    """Round to the nearest of 2^bits levels between minimum and maximum (any shape).

    The error is at most half a step; a constant array has step 0 and is exact. Raises CodecError
    if the range itself overflows float32.
    """
    low, high = float(feature.min()), float(feature.max())
    if high - low > float(np.finfo(np.float32).max):
        raise CodecError(f"the range {low:g} .. {high:g} overflows float32")
    if high == low:
        return Quantised(np.zeros(feature.shape, np.uint8), low, high, check_bits(bits))
    share = (feature.astype(np.float64) - low) / (high - low)
    codes = np.rint(share * (2 ** check_bits(bits) - 1)).astype(np.uint8)
    return Quantised(codes, low, high, bits)


def dequantise(quantised: Quantised) -> NDArray[np.float32]:
    """The levels that the codes stand for, float32, same shape."""
    return (quantised.low + quantised.codes * np.float64(quantised.step)).astype(np.float32)


def pack_range(quantised: Quantised) -> bytes:
    """Eight bytes: minimum and maximum as little-endian float32."""
    return RANGE_HEADER.pack(quantised.low, quantised.high)


def unpack_range(payload: bytes) -> tuple[float, float]:
    """Minimum and maximum from the first eight bytes; CodecError if they cannot be a range."""
    if len(payload) < RANGE_HEADER.size:
        raise CodecError(f"payload of {len(payload)} bytes is shorter than its header")
    low, high = RANGE_HEADER.unpack_from(payload)
    if not (np.isfinite(low) and np.isfinite(high) and low <= high):
        raise CodecError(f"header says {low} .. {high}, which is no range")
    return low, high


class QuantiseCodec:
    """Fixed-length codes, packed without gaps behind the 8-byte range header.

    A flipped bit among the codes changes one value and cannot be seen; CRC is the link's affair.

    Args:
        shape: Shape of the arrays.
        bits: Bit depth, 1 to 8.
    """

    def __init__(self, shape: tuple[int, ...], bits: int) -> None:
        self.shape = shape
        self.bits = check_bits(bits)

    def encode(self, array: NDArray[Any]) -> bytes:
        """Array of the agreed shape → 8 + ceil(size · bits / 8) bytes."""
        quantised = quantise(checked_feature(array, self.shape), self.bits)
        planes = np.unpackbits(quantised.codes.reshape(-1, 1), axis=1)[:, -self.bits :]
        return pack_range(quantised) + np.packbits(planes).tobytes()

    def decode(self, payload: bytes) -> NDArray[np.float32]:
        """Payload → float32 array; CodecError for a wrong length or an impossible range."""
        low, high = unpack_range(payload)
        body = np.frombuffer(payload, np.uint8, offset=RANGE_HEADER.size)
        size = int(np.prod(self.shape))
        if len(body) != -(-size * self.bits // 8):
            raise CodecError(f"{len(body)} bytes where {size} codes of {self.bits} bits belong")
        planes = np.unpackbits(body, count=size * self.bits).reshape(size, self.bits)
        weights = 1 << np.arange(self.bits - 1, -1, -1)
        codes = (planes @ weights).astype(np.uint8).reshape(self.shape)
        return dequantise(Quantised(codes, low, high, self.bits))
