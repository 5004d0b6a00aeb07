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


@pytest.mark.parametrize("seed", range(8))
def test_no_more_than_a_byte_above_the_information(seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(100):
        shape = (int(random.integers(1, 4)), 1, int(random.integers(1, 120)))
        table = random.integers(1, int(random.choice([2, 100, 100_000])), (shape[0], 9))
        coder = IntegersCodec(shape, table, -4)
        values = random.integers(-5, 6, shape)
        payload = coder.encode(values)
        assert np.array_equal(coder.decode(payload), values)
        assert 8 * len(payload) - 16 <= coder.information_bits(values) + 8.5


def test_the_number_zero_needs_no_byte() -> None:
    values = np.full(SHAPE, -4, np.int64)
    assert len(codec().encode(values)) == 2
    assert np.array_equal(codec().decode(codec().encode(values)), values)


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
