"""Integers through a range coder with one static integer table per channel, and an escape.

Payload: the low 16 bits of the CRC-32 of what follows, then the range coder's number, most
significant byte first, cut to the fewest bytes that still lie in the coder's last interval (the
receiver knows how many came and reads zeros behind them). A value that the table does not hold is
sent as the table's last symbol, the escape, and once more behind all others as one of 2^16 equally
likely values. Tables are integers in the weights file, never computed in float at run time, so both
ends agree on every device. Coder: constriction (Bamler, arXiv 2201.01741).
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from constriction import stream
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError

_CHECK = struct.Struct("<H")
ESCAPE_VALUES = 2**16
ESCAPE_LOW = -(2**15)


class IntegersCodec:
    """Range coder of integer arrays.

    Args:
        shape: ``(C, h, w)`` of the arrays.
        tables: ``(C, S + 1)`` positive integers: frequencies of ``low`` .. ``low + S - 1``, and of
            the escape.
        low: Value of the first entry.

    Raises:
        CodecError: The tables do not fit the shape, or have an entry below 1.
    """

    def __init__(self, shape: tuple[int, ...], tables: NDArray[np.integer[Any]], low: int) -> None:
        if len(shape) != 3 or tables.ndim != 2 or len(tables) != shape[0] or tables.shape[1] < 2:
            raise CodecError(f"tables {tables.shape} do not fit integers of shape {shape}")
        if tables.min() < 1:
            raise CodecError("a table holds frequencies of at least 1")
        self.shape, self.low = shape, low
        self._probabilities = tables / tables.sum(axis=1, keepdims=True)

    @property
    def _escape(self) -> int:
        return int(self._probabilities.shape[1]) - 1

    def encode(self, array: NDArray[np.integer[Any]]) -> bytes:
        """Integers of the agreed shape → payload; CodecError for other ones or beyond 16 bits."""
        symbols, escaped = self._symbols(array)
        encoder = stream.queue.RangeEncoder()
        for row, model in zip(symbols, self._models(), strict=True):
            encoder.encode(row, model)
        if escaped.size:
            encoder.encode(escaped, stream.model.Uniform(ESCAPE_VALUES))
        body = shortest_body(encoder)
        return _CHECK.pack(zlib.crc32(body) & 0xFFFF) + body

    def decode(self, payload: bytes) -> NDArray[np.int32]:
        """Payload → integers; CodecError if the checksum does not fit."""
        body = payload[_CHECK.size :]
        if payload[: _CHECK.size] != _CHECK.pack(zlib.crc32(body) & 0xFFFF):
            raise CodecError("entropy-coded payload is damaged: checksum differs")
        decoder = _decoder(body)
        size = int(np.prod(self.shape[1:]))
        try:
            rows = [np.asarray(decoder.decode(model, size)) for model in self._models()]
            symbols = np.array(rows, np.int32)
            outside = symbols == self._escape
            values = symbols + np.int32(self.low)
            if outside.any():
                uniform = stream.model.Uniform(ESCAPE_VALUES)
                values[outside] = decoder.decode(uniform, int(outside.sum())) + ESCAPE_LOW
        except AssertionError as error:
            raise CodecError(f"entropy-coded payload is damaged: {error}") from None
        return values.reshape(self.shape)

    def information_bits(self, array: NDArray[np.integer[Any]]) -> float:
        """-log2 of the probability of all that is coded, checksum apart."""
        symbols, escaped = self._symbols(array)
        shares = np.take_along_axis(self._probabilities, symbols.astype(np.int64), axis=1)
        return float(-np.log2(shares).sum() + 16.0 * escaped.size)

    def _symbols(self, array: NDArray[Any]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Table positions ``(C, h w)``, and what is escaped as 0 .. 2^16 - 1."""
        if array.shape != self.shape or not np.issubdtype(array.dtype, np.integer):
            raise CodecError(f"{array.dtype} {array.shape} where integers {self.shape} belong")
        rows = array.reshape(len(array), -1).astype(np.int64)
        symbols = rows - self.low
        outside = (symbols < 0) | (symbols >= self._escape)
        escaped = rows[outside] - ESCAPE_LOW
        if escaped.size and not 0 <= escaped.min() <= escaped.max() < ESCAPE_VALUES:
            raise CodecError("a value is beyond 16 bits")
        symbols[outside] = self._escape
        return symbols.astype(np.int32), escaped.astype(np.int32)

    def _models(self) -> list[Any]:
        return [stream.model.Categorical(row, perfect=False) for row in self._probabilities]


def shortest_body(encoder: stream.queue.RangeEncoder) -> bytes:
    """The fewest bytes that decode as ``encoder``'s words do, zeros read behind them.

    constriction ends with a whole word of 32 bits. Any number of the last interval decodes to the
    same symbols, whose lower end (64 bits of it, a carry into earlier words apart) and width
    ``encoder.pos()`` tells: sent is the one with the most zero bytes at its end, without them.
    """
    settled, (lower, width) = encoder.pos()
    words = np.asarray(encoder.get_compressed(), dtype=">u4")
    size: int = 4 * (settled + 2)
    sealed = int.from_bytes(words.tobytes().ljust(size, b"\0"), "big")
    start: int = sealed - (sealed - lower) % 2**64  # carry included
    for cut in range(8, -1, -1):
        number = -(-start >> 8 * cut) << 8 * cut
        if number < start + width:
            break
    return number.to_bytes(size, "big").rstrip(b"\0")


def _decoder(body: bytes) -> stream.queue.RangeDecoder:
    padded = body.ljust(4 * (-(-len(body) // 4) + 1), b"\0")
    return stream.queue.RangeDecoder(np.frombuffer(padded, ">u4").astype(np.uint32))
