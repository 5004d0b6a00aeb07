"""Quantised features through a range coder with one static integer table per channel.

Payload: minimum and maximum (float32 each), the low 16 bits of the CRC-32 of all that follows and
of the range, then the coder's 32-bit words. The checksum is there because a damaged range-coder
stream decodes silently into wrong symbols. Coder: constriction's range encoder (Bamler,
arXiv 2201.01741). The tables are integers in the weights file, never computed in float at run
time, so both ends agree on every device.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError, checked_feature
from simsplit.codecs.quantise import (
    RANGE_HEADER,
    Quantised,
    dequantise,
    pack_range,
    quantise,
    unpack_range,
)

_CHECK = struct.Struct("<H")
_HEADER_BYTES = RANGE_HEADER.size + _CHECK.size


class EntropyCodec:
    """Range coder over per-channel frequency tables.

    Args:
        shape: ``(C, h, w)`` of the features.
        tables: ``(C, 2^bits)`` positive integers: how often each code occurs in each channel.

    Raises:
        CodecError: The tables do not fit the shape, or have an entry below 1.
    """

    def __init__(self, shape: tuple[int, ...], tables: NDArray[np.integer[Any]]) -> None:
        self.shape = shape
        self.bits = _depth(shape, tables)
        self._probabilities = tables / tables.sum(axis=1, keepdims=True)

    def encode(self, array: NDArray[Any]) -> bytes:
        """Feature ``(C, h, w)`` → payload, within some 20 bits + header of its information."""
        quantised = quantise(checked_feature(array, self.shape), self.bits)
        rows = quantised.codes.reshape(len(quantised.codes), -1)
        return seal(pack_range(quantised), range_encode(rows, self._probabilities))

    def decode(self, payload: bytes) -> NDArray[np.float32]:
        """Payload → feature ``(C, h, w)``; CodecError if the checksum does not fit."""
        low, high = unpack_range(payload)
        size = int(np.prod(self.shape[1:]))
        codes = range_decode(unseal(payload), self._probabilities, size).reshape(self.shape)
        return dequantise(Quantised(codes, low, high, self.bits))


def seal(packed_range: bytes, body: bytes) -> bytes:
    """Range, checksum of range and body (CRC-32's low 16 bits), and body as one payload."""
    return packed_range + _check(packed_range + body) + body


def unseal(payload: bytes) -> bytes:
    """The body of a sealed payload; CodecError if its checksum does not fit."""
    body = payload[_HEADER_BYTES:]
    if payload[RANGE_HEADER.size : _HEADER_BYTES] != _check(payload[: RANGE_HEADER.size] + body):
        raise CodecError("entropy-coded payload is damaged: checksum differs")
    return body


def range_encode(rows: NDArray[np.uint8], probabilities: NDArray[np.float64]) -> bytes:
    """Codes ``(rows, size)`` → 32-bit words, each row by its row of ``(rows, 2^bits)``."""
    import constriction

    encoder = constriction.stream.queue.RangeEncoder()
    for row, model in zip(rows, _models(probabilities), strict=True):
        encoder.encode(row.astype(np.int32), model)
    return np.asarray(encoder.get_compressed(), dtype="<u4").tobytes()


def range_decode(words: bytes, probabilities: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Inverse of :func:`range_encode`, ``size`` codes per row; CodecError for impossible words."""
    import constriction

    if len(words) % 4:
        raise CodecError(f"entropy-coded payload is damaged: {len(words)} bytes are no words")
    stream = np.frombuffer(words, "<u4").astype(np.uint32)
    decoder = constriction.stream.queue.RangeDecoder(stream)
    try:
        rows = [decoder.decode(model, size) for model in _models(probabilities)]
    except AssertionError as error:
        raise CodecError(f"entropy-coded payload is damaged: {error}") from None
    return np.array(rows, np.uint8).reshape(len(probabilities), size)


def count_codes(codes: NDArray[np.uint8], bits: int) -> NDArray[np.int64]:
    """Frequency tables ``(C, 2^bits)`` of codes ``(N, C, h, w)``, floored at 1."""
    channels = codes.shape[1]
    rows = codes.transpose(1, 0, 2, 3).reshape(channels, -1)
    counts = [np.bincount(row, minlength=2**bits) for row in rows]
    return np.maximum(np.stack(counts), 1).astype(np.int64)


def _models(probabilities: NDArray[np.float64]) -> list[Any]:
    import constriction

    categorical = constriction.stream.model.Categorical
    return [categorical(row, perfect=False) for row in probabilities]


def _depth(shape: tuple[int, ...], tables: NDArray[np.integer[Any]]) -> int:
    if len(shape) != 3 or tables.ndim != 2 or len(tables) != shape[0]:
        raise CodecError(f"tables {tables.shape} do not fit features of shape {shape}")
    bits = int(tables.shape[1]).bit_length() - 1
    if not tables.size or tables.shape[1] != 2**bits or tables.min() < 1:
        raise CodecError("a table holds 2^bits frequencies of at least 1")
    return bits


def _check(body: bytes) -> bytes:
    return _CHECK.pack(zlib.crc32(body) & 0xFFFF)
