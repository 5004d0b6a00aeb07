"""Unit: fates of transport blocks by table, by the coded link, and by both."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from simsplit.errors import OutOfTable
from simsplit.phy.coded import CodedLink
from simsplit.phy.link import BlerTable
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import resource_elements, transport_block_bits
from simsplit.phy.waterfalls import Curve
from simsplit.scenario.cell import Harq
from simsplit.sim.radio.blocks import TableBlocks
from simsplit.sim.radio.exact_blocks import ExactBlocks, ExactOutside
from simsplit.sim.radio.flows import Block
from simsplit.study.worlds import step_table

CHASE = Harq()
REDUNDANCY = Harq(combining="incremental_redundancy")
GAINS_DB = (0.0, 1.0, 1.5)


def block(index: int = 11, n_prb: int = 2) -> Block:
    scheme, n_re = mcs(index), resource_elements(n_prb)
    bits = transport_block_bits(scheme, n_prb)
    return Block(scheme, n_prb, n_re, bits, 0, bits)


def flow(payload: bytes = b"") -> SimpleNamespace:
    return SimpleNamespace(bearer=SimpleNamespace(index=0), payload=payload)


def table_blocks(harq: Harq, uniform=lambda: 0.5) -> TableBlocks:
    return TableBlocks(step_table(mu_db=10.0, gains_db=GAINS_DB), [uniform], harq)


def error_after(harq: Harq, *snrs_db: float) -> float:
    made = block()
    made.snrs_db.extend(snrs_db)
    return table_blocks(harq).error(made)


def test_chase_adds_linear_snrs():
    twice_db = 10 * math.log10(10**0.7 + 10**0.8)
    assert error_after(CHASE, 7.0, 8.0) == pytest.approx(stats.norm.sf(twice_db - 10.0))


def test_incremental_redundancy_uses_the_curve_of_its_attempt():
    for attempts in (1, 2, 3):
        expected = stats.norm.sf(9.0 - 10.0 + GAINS_DB[attempts - 1])
        assert error_after(REDUNDANCY, *[9.0] * attempts) == pytest.approx(expected, abs=1e-3)
    fourth = stats.norm.sf(9.0 + 10 * math.log10(4 / 3) - 10.0 + GAINS_DB[2])
    assert error_after(REDUNDANCY, *[9.0] * 4) == pytest.approx(fourth, abs=1e-3)


def test_a_block_that_passed_stays_passed_and_errors_never_rise():
    for harq in (CHASE, REDUNDANCY):
        errors = [error_after(harq, *[8.0] * n) for n in range(1, 8)]
        assert errors == sorted(errors, reverse=True)


def test_hardness_is_drawn_once():
    draws = iter([0.6, 0.1])
    made, channel = block(), table_blocks(CHASE, lambda: next(draws))
    made.snrs_db.append(9.9)
    assert channel.passes([(flow(), made)]) == [True]
    assert made.state == 0.6 and next(draws) == 0.1


def test_whole_code_word_makes_redundancy_chase():
    """MCS 0 has rate 0.117, below the mother code's: no curve but the first is asked for."""
    sizes = (math.log2(24), math.log2(8448))
    table = BlerTable(
        {(mcs(0).bits_per_symbol, 120.0, 2, 1): Curve(sizes, (-50.0,) * 2, (1.0,) * 2)}
    )
    made = block(0, 10)
    made.snrs_db.extend([-60.0, -60.0])
    assert TableBlocks(table, [lambda: 0.5], REDUNDANCY).error(made) > 0.99


def exact(harq: Harq, seed: int = 1) -> ExactBlocks:
    return ExactBlocks(CodedLink(3), [np.random.default_rng(seed)], harq)


def send(channel, made: Block, snr_db: float) -> bool:
    made.snrs_db.append(snr_db)
    return channel.passes([(flow(bytes(range(256))), made)])[0]


def test_exact_blocks_pass_at_high_and_fail_at_low_snr():
    assert send(exact(CHASE), block(), 15.0)
    assert not send(exact(CHASE), block(), -5.0)


@pytest.mark.parametrize("harq", [CHASE, REDUNDANCY], ids=["chase", "redundancy"])
def test_exact_attempts_are_combined(harq):
    """3 dB below the waterfall one attempt fails; two together pass."""
    channel, made = exact(harq), block(11, 10)
    assert not send(channel, made, 1.5)
    assert send(channel, made, 3.0)


def test_exact_fates_do_not_depend_on_the_batch():
    """Two devices' blocks alone and together give the same soft bits."""
    alone, together = [], []
    for devices in ([0], [1], [0, 1]):
        randoms = [np.random.default_rng(7), np.random.default_rng(8)]
        channel = ExactBlocks(CodedLink(3), randoms, CHASE)
        blocks = [block() for _ in devices]
        for made in blocks:
            made.snrs_db.append(3.4)
        flows = [
            SimpleNamespace(bearer=SimpleNamespace(index=d), payload=bytes(range(256)))
            for d in devices
        ]
        channel.passes(list(zip(flows, blocks, strict=True)))
        (together if len(devices) == 2 else alone).extend(made.state[1] for made in blocks)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


def test_exact_uses_the_profile_of_a_selective_channel():
    """Half the blocks of the band at -20 dB: what a mean of 12 dB hides."""
    made = block(14, 10)
    made.snr_profile_db = np.array([15.0] * 5 + [-20.0] * 5)
    assert not send(exact(CHASE), made, 12.0)
    made = block(14, 10)
    made.snr_profile_db = np.full(10, 12.0)
    assert send(exact(CHASE), made, 12.0)


def test_outside_the_table_is_an_error_or_exact():
    table = table_blocks(CHASE)
    made = block(20)
    with pytest.raises(OutOfTable):
        send(table, made, 30.0)
    both = ExactOutside(table_blocks(CHASE), exact(CHASE), CHASE)
    made, tabled = block(20), block(11)
    assert send(both, made, 30.0) and made.state[1] is not None  # soft bits: really sent
    assert send(both, tabled, 30.0) and tabled.state == 0.5  # hardness: from the table
