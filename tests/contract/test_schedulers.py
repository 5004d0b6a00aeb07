"""Contract: what every scheduler of a cell promises, a user's own included."""

from __future__ import annotations

import itertools
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

SPECS = [
    RoundRobin(),
    ProportionalFair(kind="proportional_fair"),
    MaxSnr(kind="max_snr"),
    EarliestDeadline(kind="earliest_deadline"),
    WeightedShare(kind="weighted"),
]


def granted(made, picked, needs, n_prb: int) -> list[int]:
    """What a cell makes of the shares: one by one, no more than is left and needed."""
    free, blocks = n_prb, []
    for device, share in zip(picked, made.shares(picked, needs.__getitem__, n_prb), strict=True):
        assert share >= 0
        blocks.append(min(share, free, needs[device]))
        free -= blocks[-1]
        if blocks[-1]:
            made.served(device, 100.0 * blocks[-1], blocks[-1])
    return blocks


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.kind)
def test_only_members_are_picked_each_once(spec):
    """At most as many as asked for, whatever was removed."""
    made = order(spec)
    assert len(made) == 0
    for device in (4, 0, 2):
        made.add(device)
        made.add(device)
    assert len(made) == 3
    for slot in range(20):
        picked = list(made.pick(2, slot))
        assert len(picked) == len(set(picked)) == 2 and set(picked) <= {0, 2, 4}
        granted(made, picked, [50] * 5, 50)
    made.remove(2)
    made.remove(2)
    assert sorted(made.pick(5, 30)) == [0, 4]


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.kind)
def test_nothing_is_left_that_somebody_needs(spec):
    """Work conserving: all blocks are granted, or all needs met; whatever came before."""
    made, random = order(spec, weights=(1.0, 3.0, 0.5, 2.0, 1.0)), np.random.default_rng(3)
    for device in range(5):
        made.add(device)
    for slot in range(300):
        needs = random.choice([0, 1, 3, 10, 51], size=5).tolist()
        n_prb = int(random.choice([1, 2, 13, 51]))
        picked = list(made.pick(int(random.integers(1, 6)), slot))
        blocks = granted(made, picked, needs, n_prb)
        assert sum(blocks) == min(n_prb, sum(needs[device] for device in picked))


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.kind)
def test_a_lone_device_may_have_everything(spec):
    made = order(spec)
    made.add(3)
    assert list(made.shares(made.pick(8, 0), full, 51)) == [51]


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("spec", [s for s in SPECS if s.kind != "max_snr"], ids=lambda s: s.kind)
def test_nobody_starves(spec, count):
    made, blocks = order(spec), np.zeros(5, dtype=int)
    for device in range(5):
        made.add(device)
    for slot in range(2000):
        picked = list(made.pick(count, slot))
        free = 51
        shares = made.shares(picked, full, 51)
        for device, share in zip(picked, shares, strict=True):
            n_prb = min(share, free)
            free -= n_prb
            if n_prb:
                bits = math.log2(1 + 10 ** (LEVELS_DB[device] / 10)) * n_prb
                made.served(device, bits, n_prb)
                blocks[device] += n_prb
    assert blocks.min() > 0.15 * 51 * 2000


@pytest.mark.parametrize("spec", SPECS, ids=lambda s: s.kind)
def test_devices_come_and_go(spec):
    """An order that is emptied and filled again serves whoever is there."""
    made = order(spec)
    for device, slot in zip(itertools.cycle(range(5)), range(40), strict=False):
        made.add(device)
        assert granted(made, made.pick(3, slot), [51] * 5, 51) == [51]
        made.remove(device)
        assert not len(made) and list(made.pick(3, slot)) == []
