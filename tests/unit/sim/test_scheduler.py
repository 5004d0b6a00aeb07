"""Unit: the orders in which devices get their grants."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simsplit.radio import (
    EarliestDeadline,
    MaxSnr,
    ProportionalFair,
    RoundRobin,
    WeightedShare,
)
from simsplit.sim.scheduler import build_order

LEVELS_DB = np.array([3.0, 12.0, 7.0, 12.0, -5.0])
SPECS = [
    RoundRobin(),
    ProportionalFair(kind="proportional_fair"),
    MaxSnr(kind="max_snr"),
    EarliestDeadline(kind="earliest_deadline"),
    WeightedShare(kind="weighted"),
]


def order(spec, weights=(1.0,) * 5, deadlines_s=(math.inf,) * 5):
    return build_order(
        spec, weights, lambda devices, slot: LEVELS_DB[devices], lambda d: deadlines_s[d]
    )


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.kind)
def test_contract(spec):
    """Only members are picked, at most as many as asked for, each once, whatever was removed."""
    made = order(spec)
    assert len(made) == 0
    for device in (4, 0, 2):
        made.add(device)
        made.add(device)
    assert len(made) == 3
    for slot in range(20):
        picked = list(made.pick(2, slot))
        assert len(picked) == len(set(picked)) == 2 and set(picked) <= {0, 2, 4}
        for device in picked:
            made.served(device, 1000.0, 10)
    made.remove(2)
    made.remove(2)
    assert sorted(made.pick(5, 30)) == [0, 4]


@pytest.mark.parametrize("spec", [s for s in SPECS if s.kind != "max_snr"], ids=lambda s: s.kind)
def test_nobody_starves(spec):
    made, grants = order(spec), np.zeros(5, dtype=int)
    for device in range(5):
        made.add(device)
    for slot in range(2000):
        for device in made.pick(2, slot):
            made.served(device, math.log2(1 + 10 ** (LEVELS_DB[device] / 10)) * 100, 10)
            grants[device] += 1
    assert grants.min() > 300


def test_round_robin_takes_turns():
    made = order(RoundRobin())
    for device in (3, 1, 4):
        made.add(device)
    assert [list(made.pick(2, slot)) for slot in range(3)] == [[3, 1], [4, 3], [1, 4]]


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
