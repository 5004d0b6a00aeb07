"""Validation: schedulers against each other and against shares known in advance; OLLA; throughput.

Full buffers, Rayleigh block fading, fixed seeds; intervals are 95 % Student t over replications of
the paired difference (the same fading for every scheduler).
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from scipy import stats

from simsplit.messages import Scheme
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import transport_block_bits
from simsplit.scenario.scenario import Scenario
from simsplit.sim.world import Machines, World
from simsplit.study.inputs import open_bler_table
from simsplit.study.worlds import POWER, step_table, toy_plan, toy_world

DEVICES, SECONDS, REPLICATIONS = 12, 1.5, 5
ENDLESS_BITS = 10**10
ALL_AT_ONCE = {"arrivals": {"kind": "periodic", "period_s": 1e5, "in_phase": True}}


T_SLOTS = 150
FULL_BITS = T_SLOTS * transport_block_bits(mcs(11), 51)


def finish_slots(scheduler: str, max_grants: int, groups, **cell) -> list[float]:
    """Slots until each of some groups' lone devices has sent its 150 whole bands, all at once."""
    plan = toy_plan(Scheme.RAW, bits=FULL_BITS)
    spec = {
        "channel": {"kind": "log_distance", "exponent": 2.2},
        "scheduler": {"kind": scheduler, "max_grants": max_grants},
    }
    raw = toy_world(plan, duration_s=1.0, cell=spec | cell, group=ALL_AT_ONCE).scenario.model_dump(
        mode="json"
    )
    base = raw["devices"][0] | {"distance_min_m": 50, "distance_max_m": 50}
    raw["devices"] = [base | {"name": f"g{i}"} | group for i, group in enumerate(groups)]
    machines = Machines({f"g{i}": POWER for i in range(len(groups))}, 10.0, 70.0)
    world = World(Scenario.model_validate(raw), {"point": plan}, machines, step_table())
    rows = sorted(world.run().requests, key=lambda request: request.device)
    return [(row.radio_end_s - row.radio_start_s) / 0.5e-3 for row in rows]


FAR = {"distance_min_m": 100, "distance_max_m": 100}
TWO = {
    "weighted": ([{"weight": 1.0}, {"weight": 3.0}], (2, 4 / 3)),
    "earliest_deadline": ([{"deadline_s": 0.2}, {"deadline_s": 0.05}], (2, 1)),
    "max_snr": ([FAR, {}], (2, 1)),
    "proportional_fair": ([FAR, {}], (2, 2)),
    "round_robin": ([FAR, {}], (2, 2)),
}


@pytest.mark.parametrize("max_grants", [1, 2, 8])
@pytest.mark.parametrize("kind", TWO)
def test_two_full_buffers(kind, max_grants):
    """Shares of the band, whatever the number of grants; blocks are whole: 2 % and two slots."""
    groups, factors = TWO[kind]
    expected = [T_SLOTS * factor for factor in factors]
    assert finish_slots(kind, max_grants, groups) == pytest.approx(expected, rel=0.02, abs=2)


@pytest.mark.parametrize("max_grants", [2, 8])
def test_three_weights(max_grants):
    """1 : 2 : 4: 7/4 T, then 2/3 of the band for the middle one until 5/2 T, the last at 3 T."""
    groups = [{"weight": 1.0}, {"weight": 2.0}, {"weight": 4.0}]
    expected = [3 * T_SLOTS, 2.5 * T_SLOTS, 1.75 * T_SLOTS]
    found = finish_slots("weighted", max_grants, groups)
    assert found == pytest.approx(expected, rel=0.02, abs=2)


def test_weights_hold_under_retransmissions_and_a_narrow_carrier():
    """11 blocks by 1 : 3 and half the first transmissions failing: throughput is 1 : 3."""
    plan = toy_plan(Scheme.RAW, bits=ENDLESS_BITS)
    cell = {
        "resource_blocks": 11,
        "scheduler": {"kind": "weighted"},
        "channel": {"kind": "fixed_snr", "snr_db": 30.0},
        "rlc": {"max_retransmissions": 32},
    }
    raw = toy_world(plan, cell=cell, group=ALL_AT_ONCE).scenario.model_dump(mode="json")
    raw["devices"] = [raw["devices"][0] | {"name": f"g{w}", "weight": w} for w in (1.0, 3.0)]
    machines = Machines({"g1.0": POWER, "g3.0": POWER}, 10.0, 70.0)
    world = World(Scenario.model_validate(raw), {"point": plan}, machines, step_table(mu_db=30.0))
    world.env.run(until=4.0)
    light, heavy = (bearer.passed_bits for bearer in world.uplink.bearers)
    assert heavy / light == pytest.approx(3.0, rel=0.05)


def jain(rates) -> float:
    """Jain, Chiu & Hawe 1984: 1 if all are equal, 1/n if one has all."""
    rates = np.asarray(rates, dtype=float)
    return float(rates.sum() ** 2 / (len(rates) * (rates**2).sum()))


@cache
def rates_bps(scheduler: str, replication: int) -> tuple[float, ...]:
    """Bits per second that passed, by device, of devices at unlike distances."""
    cell = {
        "channel": {"kind": "log_distance", "exponent": 3.2},
        "fading": {"kind": "rayleigh", "coherence_time_s": 0.01},
        "mcs": {"kind": "adaptive", "csi_delay_slots": 0, "csi_period_slots": 1},
        "scheduler": {"kind": scheduler, "max_grants": 1},
        "rlc": {"max_retransmissions": 32},
    }
    group = ALL_AT_ONCE | {"distance_min_m": 60, "distance_max_m": 250}
    world = toy_world(
        toy_plan(Scheme.RAW, bits=ENDLESS_BITS),
        devices=DEVICES,
        replication=replication,
        cell=cell,
        group=group,
        table=open_bler_table(),
    )
    world.env.run(until=SECONDS)
    return tuple(bearer.passed_bits / SECONDS for bearer in world.uplink.bearers)


def lower_bound_of_gain(better: str, worse: str, value) -> float:
    """Lower end of the 95 % interval of the paired mean difference."""
    gains = [value(rates_bps(better, r)) - value(rates_bps(worse, r)) for r in range(REPLICATIONS)]
    half = stats.t.ppf(0.975, REPLICATIONS - 1) * np.std(gains, ddof=1) / math.sqrt(REPLICATIONS)
    return float(np.mean(gains) - half)


def test_sum_rates_are_in_order():
    """Multi-user diversity: round robin < proportional fair < max SNR (Viswanath et al. 2002)."""
    assert lower_bound_of_gain("proportional_fair", "round_robin", sum) > 0
    assert lower_bound_of_gain("max_snr", "proportional_fair", sum) > 0


def test_fairness_is_in_order():
    """Max SNR starves the far devices; proportional fair is about as fair as round robin."""
    assert lower_bound_of_gain("proportional_fair", "max_snr", jain) > 0
    assert lower_bound_of_gain("round_robin", "max_snr", jain) > 0
    for replication in range(REPLICATIONS):
        fair, turns = (
            jain(rates_bps(s, replication)) for s in ("proportional_fair", "round_robin")
        )
        assert abs(fair - turns) < 0.15


def test_proportional_fair_maximises_the_sum_of_logarithms():
    """Kelly 1997: among all schedulers it has the largest sum of log rates."""

    def utility(rates) -> float:
        return float(np.log(np.maximum(rates, 1.0)).sum())

    assert lower_bound_of_gain("proportional_fair", "round_robin", utility) > 0
    assert lower_bound_of_gain("proportional_fair", "max_snr", utility) > 0


def test_multi_user_diversity_gain_of_like_devices():
    """n like Rayleigh devices, best of n: mean rate E[log2(1 + S max)] over E[log2(1 + S)].

    The gain in throughput must lie near the capacity ratio by numerical integration (MCS steps and
    HARQ take from both alike; 10 % allowed).
    """
    n, snr_db = 8, 10.0
    cell = {
        "channel": {"kind": "fixed_snr", "snr_db": snr_db},
        "fading": {"kind": "rayleigh", "coherence_time_s": 0.005},
        "mcs": {"kind": "adaptive", "csi_delay_slots": 0, "csi_period_slots": 1},
        "rlc": {"max_retransmissions": 32},
    }
    sums = {}
    for scheduler in ("round_robin", "max_snr"):
        spec = cell | {"scheduler": {"kind": scheduler, "max_grants": 1}}
        plan = toy_plan(Scheme.RAW, bits=ENDLESS_BITS)
        world = toy_world(plan, devices=n, cell=spec, group=ALL_AT_ONCE, table=open_bler_table())
        world.env.run(until=3.0)
        sums[scheduler] = sum(bearer.passed_bits for bearer in world.uplink.bearers)
    gains = np.linspace(0, 30, 300_001)
    rate = np.log2(1 + 10 ** (snr_db / 10) * gains)
    one = np.trapezoid(rate * np.exp(-gains), gains)
    best = np.trapezoid(rate * n * np.exp(-gains) * (1 - np.exp(-gains)) ** (n - 1), gains)
    assert sums["max_snr"] / sums["round_robin"] == pytest.approx(best / one, rel=0.1)


@pytest.mark.parametrize("target", [0.03, 0.1, 0.3])
def test_outer_loop_meets_its_target(target):
    """First-transmission errors converge to the target within 10 % relative (Sampath et al. 1997).

    The reports are late and the channel moves, so that the inner loop alone misses it.
    """

    def errors(outer_loop) -> float:
        cell = {
            "channel": {"kind": "fixed_snr", "snr_db": 13.0},
            "fading": {"kind": "jakes", "speed_mps": 3.0},
            "mcs": {"kind": "adaptive", "bler_target": target, "outer_loop": outer_loop},
            "harq": {"max_transmissions": 2},
            "rlc": {"max_retransmissions": 32},
        }
        plan = toy_plan(Scheme.RAW, bits=ENDLESS_BITS)
        world = toy_world(plan, devices=4, cell=cell, group=ALL_AT_ONCE, table=open_bler_table())
        world.env.run(until=1.0)
        start = [(r.attempts, r.blocks) for r in world.requests]
        world.env.run(until=9.0)
        blocks = sum(r.blocks - b for r, (_, b) in zip(world.requests, start, strict=True))
        sent = sum(r.attempts - a for r, (a, _) in zip(world.requests, start, strict=True))
        return (sent - blocks) / blocks

    assert errors({"step_db": 0.2}) == pytest.approx(target, rel=0.1)
    assert abs(errors(None) - target) > 0.1 * target


@pytest.mark.parametrize(("index", "snr_db"), [(5, 6.0), (16, 14.0), (27, 30.0)])
def test_full_buffer_throughput(index, snr_db):
    """One device: resource elements x spectral efficiency x (1 - BLER) per slot, within 2 %."""
    from simsplit.phy.sizes import resource_elements

    cell = {
        "channel": {"kind": "fixed_snr", "snr_db": snr_db},
        "mcs": {"kind": "fixed", "index": index},
    }
    plan = toy_plan(Scheme.RAW, bits=ENDLESS_BITS)
    world = toy_world(plan, cell=cell, group=ALL_AT_ONCE, table=open_bler_table())
    world.env.run(until=2.0)
    found = world.uplink.bearers[0].passed_bits / 2.0
    expected = resource_elements(51) * mcs(index).spectral_efficiency / world.scenario.cell.slot_s
    assert found == pytest.approx(expected, rel=0.02)
