"""Integers by static tables: exact, escapes included, damage noticed."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.codecs.contract import CodecError
from simsplit.codecs.integers import IntegersCodec

SHAPE = (3, 4, 5)


def codec(low: int = -4, entries: int = 9) -> IntegersCodec:
    around = 1 + np.round(1000 * np.exp(-np.abs(np.arange(entries) - entries // 2))).astype(int)
    table = np.append(around, 1)
    return IntegersCodec(SHAPE, np.stack([table] * 3), low)


@pytest.mark.parametrize("spread", [0.5, 2.0, 300.0])
def test_every_integer_comes_back(spread: float) -> None:
    values = np.round(np.random.default_rng(1).normal(0, spread, SHAPE)).astype(np.int64)
    payload = codec().encode(values)
    assert np.array_equal(codec().decode(payload), values)
    assert codec().information_bits(values) <= 8 * len(payload)


def test_an_escape_costs_its_symbol_and_sixteen_bits() -> None:
    values = np.zeros(SHAPE, np.int64)
    before = codec().information_bits(values)
    values[0, 0, 0] = 1000
    table = codec()._probabilities[0]
    dearer = -np.log2(table[-1]) + 16 + np.log2(table[4])
    assert codec().information_bits(values) - before == pytest.approx(dearer)
    assert np.array_equal(codec().decode(codec().encode(values)), values)


@pytest.mark.parametrize("value", [-(2**15) - 1, 2**15])
def test_beyond_sixteen_bits(value: int) -> None:
    with pytest.raises(CodecError, match="beyond 16 bits"):
        codec().encode(np.full(SHAPE, value, np.int64))


def test_the_ends_of_sixteen_bits() -> None:
    for value in (-(2**15), 2**15 - 1):
        array = np.full(SHAPE, value, np.int64)
        assert np.array_equal(codec().decode(codec().encode(array)), array)


@pytest.mark.parametrize("cut", [0, 1, 3, -1, -4])
def test_a_shortened_payload(cut: int) -> None:
    payload = codec().encode(np.ones(SHAPE, np.int64))
    with pytest.raises(CodecError):
        codec().decode(payload[:cut])


@pytest.mark.parametrize(
    "array", [np.zeros(SHAPE, np.float32), np.zeros((3, 5, 4), np.int64)], ids=["type", "shape"]
)
def test_what_is_not_agreed(array: np.ndarray) -> None:
    with pytest.raises(CodecError, match="integers"):
        codec().encode(array)


def test_tables_that_cannot_be() -> None:
    for table in (np.ones((2, 4), int), np.zeros((3, 4), int), np.ones((3, 1), int)):
        with pytest.raises(CodecError):
            IntegersCodec(SHAPE, table, 0)
