"""Quantised features through a range coder whose tables travel with them: nothing is trained.

Two passes (semi-adaptive, as Sayood, "Introduction to Data Compression", calls it): the coder fits
one parametric distribution per channel, writes its parameters ahead of the codes, and codes with
what it wrote. The distribution over codes k is a discrete Laplace with extra weight at its centre,
which is what rectified and sparse features look like:

    P(k) = (1 - z) exp(-|k - m| / b) / sum_n exp(-|n - m| / b) + z [k = m],   0 <= k < 2^bits

with b = 0.3 · 1.5^(s - 1) for s = 1 .. 15 and 1 - z = 2^(-t / 2) for t = 0 .. 15; s = 0 says that
all codes of the channel are m, and none is sent. Probabilities are rounded to multiples of 2^-16, 1
at least, before they are used, so that both ends agree whatever their exponential function: none
of them lies within 1e-7 of that unit from a tie.

Payload of C channels, all of it counted:

    8 bytes                      minimum and maximum, float32
    2 bytes                      low 16 bits of the CRC-32 of range and body
    ceil(C (bits + 8) / 8)       m (``bits`` bits), s and t (4 bits each), channel after channel
    the rest                     32-bit words of constriction's range coder (arXiv 2201.01741)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError, checked_feature
from simsplit.codecs.entropy import range_decode, range_encode, seal, unseal
from simsplit.codecs.quantise import (
    Quantised,
    check_bits,
    dequantise,
    pack_range,
    quantise,
    unpack_range,
)

_SCALES = 0.3 * 1.5 ** np.arange(15)  # b of s = 1 .. 15, in codes
_LEVELS = 16  # of s and of t
_RESOLUTION = 2**16  # of the tables
_SETTING_BITS = 8  # s and t

Setting = tuple[int, int, int]  # m, s, t


class AdaptiveEntropyCodec:
    """Range coder over tables that are fitted to each feature and sent with it.

    Args:
        shape: ``(C, h, w)`` of the features.
        bits: Bit depth, 1 to 8.

    Raises:
        CodecError: Another shape or bit depth.
    """

    def __init__(self, shape: tuple[int, ...], bits: int) -> None:
        if len(shape) != 3:
            raise CodecError(f"tables per channel need shape (C, h, w), not {shape}")
        self.shape = shape
        self.bits = check_bits(bits)

    @property
    def side_bytes(self) -> int:
        """Bytes of the channels' parameters."""
        return -(-self.shape[0] * (self.bits + _SETTING_BITS) // 8)

    def encode(self, array: NDArray[Any]) -> bytes:
        """Feature ``(C, h, w)`` → payload."""
        quantised = quantise(checked_feature(array, self.shape), self.bits)
        rows = quantised.codes.reshape(self.shape[0], -1)
        settings = [fit_channel(row, self.bits) for row in rows]
        coded = [row for row, (_, scale, _) in zip(rows, settings, strict=True) if scale]
        words = range_encode(np.array(coded, np.uint8), self._tables(settings))
        return seal(pack_range(quantised), self._pack(settings) + words)

    def decode(self, payload: bytes) -> NDArray[np.float32]:
        """Payload → feature ``(C, h, w)``; CodecError if the checksum does not fit."""
        low, high = unpack_range(payload)
        body, size = unseal(payload), int(np.prod(self.shape[1:]))
        settings = self._unpack(body[: self.side_bytes])
        codes = np.repeat(np.array([[m] for m, _, _ in settings], np.uint8), size, axis=1)
        is_coded = np.array([scale > 0 for _, scale, _ in settings])
        codes[is_coded] = range_decode(body[self.side_bytes :], self._tables(settings), size)
        return dequantise(Quantised(codes.reshape(self.shape), low, high, self.bits))

    def _tables(self, settings: list[Setting]) -> NDArray[np.float64]:
        """Probabilities ``(coded channels, 2^bits)`` of the channels that are not constant."""
        counts = [channel_table(one, self.bits) for one in settings if one[1]]
        tables = np.array(counts, np.float64).reshape(len(counts), 2**self.bits)
        shares: NDArray[np.float64] = tables / tables.sum(axis=1, keepdims=True)
        return shares

    def _pack(self, settings: list[Setting]) -> bytes:
        words = np.array([m << _SETTING_BITS | s << 4 | t for m, s, t in settings])
        planes = words[:, None] >> np.arange(self.bits + _SETTING_BITS)[::-1] & 1
        return np.packbits(planes.astype(np.uint8)).tobytes()

    def _unpack(self, side: bytes) -> list[Setting]:
        if len(side) != self.side_bytes:
            raise CodecError(f"{len(side)} bytes of parameters where {self.side_bytes} belong")
        width = self.bits + _SETTING_BITS
        planes = np.unpackbits(np.frombuffer(side, np.uint8), count=self.shape[0] * width)
        words = planes.reshape(-1, width) @ (1 << np.arange(width)[::-1])
        return [(int(word) >> 8, int(word) >> 4 & 15, int(word) & 15) for word in words]


def fit_channel(codes: NDArray[np.uint8], bits: int) -> Setting:
    """The parameters m, s and t of the fewest bits: m is the mode or the median of the codes.

    For each m and s the weight at the centre is the most likely one, rounded to its levels.
    """
    counts = np.bincount(codes, minlength=2**bits)
    mode, median = int(counts.argmax()), int(np.median(codes))
    if counts[mode] == codes.size:
        return (mode, 0, 0)
    fits = [_best_of(counts, centre, bits) for centre in sorted({mode, median})]
    return min(fits)[1]


def channel_table(setting: Setting, bits: int) -> NDArray[np.int64]:
    """Frequencies of the codes ``(2^bits,)``, 1 at least; of s = 1 .. 15 only."""
    centre, scale, weight = setting
    rows = _mixed(_laplace(centre, bits)[scale - 1 : scale], centre, np.array([weight]))
    table: NDArray[np.int64] = rows[0]
    return table


def _best_of(counts: NDArray[np.int64], centre: int, bits: int) -> tuple[float, Setting]:
    """Bits and parameters of the best scale at a centre."""
    laplace = _laplace(centre, bits)
    elsewhere = 1 - counts[centre] / counts.sum()
    share = np.maximum(elsewhere, 1e-9) / (1 - laplace[:, centre])
    weights = np.clip(np.rint(-2 * np.log2(share)), 0, _LEVELS - 1).astype(np.int64)
    tables = _mixed(laplace, centre, weights)
    size_bits = (np.log2(tables.sum(axis=1, keepdims=True)) - np.log2(tables)) @ counts
    best = int(size_bits.argmin())
    return float(size_bits[best]), (centre, best + 1, int(weights[best]))


@lru_cache(maxsize=512)
def _laplace(centre: int, bits: int) -> NDArray[np.float64]:
    """Discrete Laplace distributions of all scales ``(15, 2^bits)``."""
    distance = np.abs(np.arange(2**bits) - centre)
    decay = np.exp(-distance / _SCALES[:, None])
    shares: NDArray[np.float64] = decay / decay.sum(axis=1, keepdims=True)
    return shares


def _mixed(
    laplace: NDArray[np.float64], centre: int, weights: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Integer tables of distributions ``(n, 2^bits)`` with their extra weight at the centre."""
    off = 2.0 ** (-weights / 2)
    shares = laplace * off[:, None]
    shares[:, centre] += 1 - off
    return np.maximum(np.rint(shares * _RESOLUTION), 1).astype(np.int64)
