"""Unit: the orders in which devices get their grants."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orders import LEVELS_DB, full, order
from simsplit.scenario.schedulers import (
    EarliestDeadline,
    MaxSnr,
    ProportionalFair,
    RoundRobin,
    WeightedShare,
)
from simsplit.sim.radio.scheduler import equal_shares


def test_round_robin_takes_turns():
    made = order(RoundRobin())
    for device in (3, 1, 4):
        made.add(device)
    turns = []
    for slot in range(3):
        turns.append(list(made.pick(2, slot)))
        made.shares(turns[-1], full, 51)
    assert turns == [[3, 1], [4, 3], [1, 4]]


def test_round_robin_without_a_share_keeps_its_turn():
    made = order(RoundRobin())
    for device in range(4):
        made.add(device)
    assert made.shares(made.pick(4, 0), full, 2) == [1, 1, 0, 0]
    assert list(made.pick(2, 1)) == [2, 3]


def test_round_robin_gives_odd_blocks_in_turn():
    made, blocks = order(RoundRobin()), np.zeros(5, dtype=int)
    for device in range(5):
        made.add(device)
    for slot in range(100):
        picked = made.pick(8, slot)
        blocks[list(picked)] += made.shares(picked, full, 51)
    assert blocks.tolist() == [1020] * 5


@pytest.mark.parametrize(
    ("needs", "n_prb", "shares"),
    [
        ([51, 51], 51, [26, 25]),
        ([51, 3, 51], 51, [24, 3, 24]),
        ([2, 3, 4], 51, [2, 3, 4]),
        ([51, 10, 1, 51], 31, [10, 10, 1, 10]),
        ([51, 51, 51], 2, [1, 1, 0]),
    ],
)
def test_equal_shares_by_hand(needs, n_prb, shares):
    assert equal_shares(needs, n_prb) == shares


@pytest.mark.parametrize(
    ("weights", "needs", "shares"),
    [
        ((1, 3), [51, 51], [13, 38]),
        ((1, 3), [51, 10], [41, 10]),
        ((1, 2, 4), [51, 5, 51], [9, 5, 37]),
        ((1, 3), [4, 6], [4, 6]),
    ],
)
def test_weighted_shares_by_hand(weights, needs, shares):
    made = order(WeightedShare(kind="weighted"), weights=weights)
    for device in range(len(weights)):
        made.add(device)
    picked = list(range(len(weights)))
    assert made.shares(picked, needs.__getitem__, 51) == shares


def test_weighted_shares_hold_in_the_long_run_whatever_rounding_takes():
    """51 blocks by 1 : 2 : 4 : 9 in every slot: 3.19, 6.4, 12.75 and 28.7 of them."""
    made, blocks = order(WeightedShare(kind="weighted"), weights=(1, 2, 4, 9)), np.zeros(4)
    for device in range(4):
        made.add(device)
    for slot in range(1000):
        picked = list(made.pick(8, slot))
        for device, share in zip(picked, made.shares(picked, full, 51), strict=True):
            made.served(device, 1.0, share)
            blocks[device] += share
    assert blocks == pytest.approx(51_000 * np.array([1, 2, 4, 9]) / 16, abs=2)


def test_who_needed_little_has_no_claim_on_it_later():
    made = order(WeightedShare(kind="weighted"))
    made.add(0)
    made.add(1)
    for slot in range(100):
        picked = list(made.pick(2, slot))
        needs = {0: 51, 1: 2}
        shares = made.shares(picked, needs.__getitem__, 51)
        for device, share in zip(picked, shares, strict=True):
            made.served(device, 1.0, min(share, needs[device]))
    picked = list(made.pick(2, 100))
    assert sorted(made.shares(picked, full, 51)) in ([25, 26], [24, 27])


@pytest.mark.parametrize(
    "spec", [MaxSnr(kind="max_snr"), EarliestDeadline(kind="earliest_deadline")]
)
def test_the_first_may_have_everything(spec):
    made = order(spec)
    made.add(0)
    made.add(1)
    assert list(made.shares(made.pick(8, 0), full, 51)) == [51, 51]


def test_max_snr_prefers_the_best_and_breaks_ties_by_number():
    made = order(MaxSnr(kind="max_snr"))
    for device in range(5):
        made.add(device)
    assert list(made.pick(3, 0)) == [1, 3, 2]


def test_earliest_deadline_first():
    made = order(EarliestDeadline(kind="earliest_deadline"), deadlines_s=(5.0, math.inf, 1.0, 3, 9))
    for device in range(5):
        made.add(device)
    assert list(made.pick(3, 0)) == [2, 3, 0]


def test_weighted_airtime_follows_the_weights():
    made = order(WeightedShare(kind="weighted"), weights=(1.0, 2.0, 4.0, 1.0, 1.0))
    blocks = np.zeros(5)
    for device in range(3):
        made.add(device)
    for slot in range(3500):
        (device,) = made.pick(1, slot)
        made.served(device, 100.0, 10)
        blocks[device] += 10
    assert blocks[:3] / blocks[0] == pytest.approx([1.0, 2.0, 4.0], rel=0.01)


def test_weighted_share_gives_no_credit_for_silence():
    made = order(WeightedShare(kind="weighted"))
    made.add(0)
    for slot in range(100):
        made.served(made.pick(1, slot)[0], 100.0, 10)
    made.add(1)
    first = [made.pick(1, slot)[0] for slot in range(100, 140) if not serve(made, slot)]
    assert 15 <= first.count(1) <= 25


def serve(made, slot):
    made.served(made.pick(1, slot)[0], 100.0, 10)
    return False


def test_proportional_fair_equalises_the_ratio_of_rate_to_mean():
    """Constant channels: equal airtime, so that the mean served is proportional to the rate."""
    made, bits = order(ProportionalFair(kind="proportional_fair")), np.zeros(5)
    rate = np.log2(1 + 10 ** (LEVELS_DB / 10))
    for device in range(5):
        made.add(device)
    for slot in range(10_000):
        (device,) = made.pick(1, slot)
        made.served(device, rate[device], 51)
        bits[device] += rate[device]
    assert bits / 10_000 == pytest.approx(rate / 5, rel=0.03)
