"""Validation: scheme and resource blocks of a grant against an exhaustive search over both.

The search asks the table of block errors alone (sizes: TS 38.214 clause 5.1.3.2), at the Es/N0 that
the power rule gives n blocks: P_max - 10 log10(n), or P0 + alpha PL where that is less.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from simsplit.errors import OutOfTable
from simsplit.messages import Scheme
from simsplit.phy.mcs import MCS_TABLES
from simsplit.phy.sizes import is_decodable, resource_elements, transport_block_bits
from simsplit.study.inputs import open_bler_table
from simsplit.study.worlds import toy_plan, toy_world

WIDTHS = range(1, 52)
DISTANCES_M = (20, 60, 100, 150, 200, 260, 330, 450, 700)
BITS = (8, 100, 500, 1000, 2500, 5775, 9000, 15_000, 30_000)


def world_at(distance_m: float, mcs: dict | None = None, **cell):
    spec = {
        "channel": {"kind": "log_distance", "exponent": 3.8},
        "mcs": {"kind": "adaptive"} | (mcs or {}),
    }
    group = {"distance_min_m": distance_m, "distance_max_m": distance_m}
    group |= {"arrivals": {"kind": "periodic", "period_s": 10.0, "in_phase": True}}
    plan = toy_plan(Scheme.RAW, bits=5775)
    table = open_bler_table()
    return toy_world(plan, duration_s=0.1, table=table, cell=spec | cell, group=group)


def searched(levels_db, bits: float, mcs_table: int = 1, target: float = 0.1) -> tuple[int, int]:
    """(blocks, bits): the fewest blocks that hold the bits within the target, or the most bits."""
    table, best = open_bler_table(), (0, 0)
    for n_prb in WIDTHS:
        sizes = []
        for scheme in MCS_TABLES[mcs_table]:
            tb_bits, n_re = transport_block_bits(scheme, n_prb), resource_elements(n_prb)
            if not is_decodable(scheme, n_prb):
                continue
            try:
                error = table.transport_block_error(scheme, tb_bits, levels_db[n_prb - 1], 1, n_re)
            except OutOfTable:
                continue
            if error <= target + 1e-12:
                sizes.append(tb_bits)
        if any(size >= bits for size in sizes):
            return n_prb, max(size for size in sizes if size >= bits)
        if sizes and max(sizes) > best[1]:
            best = n_prb, max(sizes)
    return best


def compare(world, levels_db, mcs_table: int = 1, target: float = 0.1) -> None:
    bearer, adaptation = world.uplink.bearers[0], world.uplink.adaptation
    table = open_bler_table()
    for bits in (*BITS, math.inf):
        scheme, n_prb, tb_bits = adaptation.choose(bearer, 0, 0, 51, bits)
        blocks, carried = searched(levels_db, bits, mcs_table, target)
        if not blocks:
            continue  # out of reach of every scheme
        assert n_prb == blocks and tb_bits == transport_block_bits(scheme, n_prb)
        assert tb_bits >= bits or tb_bits == carried
        n_re = resource_elements(n_prb)
        error = table.transport_block_error(scheme, tb_bits, levels_db[n_prb - 1], 1, n_re)
        assert error <= target + 1e-9


def expected_levels_db(world) -> list[float]:
    """One by one, by the function that judges a single grant."""
    air, bearer = world.uplink.air, world.uplink.bearers[0]
    return [air.expected_db(bearer, 0, 0, n_prb) for n_prb in WIDTHS]


@pytest.mark.parametrize("distance_m", DISTANCES_M)
def test_full_power(distance_m):
    world = world_at(distance_m)
    gain_db = world.radio.links[0][0].gain_db(0) + 23.0
    levels_db = [gain_db - 10 * math.log10(n_prb) for n_prb in WIDTHS]
    assert expected_levels_db(world) == pytest.approx(levels_db)
    compare(world, levels_db)


@pytest.mark.parametrize("distance_m", [20, 100, 200, 330])
def test_power_control_concentrates_up_to_its_cap(distance_m):
    """P = min(P_max, P0 + 10 log10(2 n) + alpha PL): a block gets P0 + 3 dB + alpha PL at most."""
    world = world_at(distance_m, power_control={"kind": "fractional", "p0_dbm": -85, "alpha": 0.8})
    loss_db = world.radio.losses[0][0].loss_db(0.0)
    gain_db = world.radio.links[0][0].gain_db(0)
    cap_dbm = -85 + 10 * math.log10(2) + 0.8 * loss_db
    levels_db = [gain_db + min(cap_dbm, 23 - 10 * math.log10(n_prb)) for n_prb in WIDTHS]
    assert expected_levels_db(world) == pytest.approx(levels_db)
    compare(world, levels_db)


@pytest.mark.parametrize("table", [1, 2, 3])
@pytest.mark.parametrize("target", [0.01, 0.1])
def test_every_table_and_another_target(table, target):
    for distance_m in (60, 200):
        world = world_at(distance_m, {"table": table, "bler_target": target})
        compare(world, expected_levels_db(world), table, target)


@pytest.mark.parametrize("snr_db", [-3.0, 8.0, 30.0])
def test_a_level_that_does_not_depend_on_the_grant(snr_db):
    world = world_at(100, channel={"kind": "fixed_snr", "snr_db": snr_db})
    compare(world, [snr_db] * 51)


@pytest.mark.parametrize("distance_m", [60, 200, 330])
@pytest.mark.parametrize("kind", ["fading", "pilots", "backoff", "outer_loop"])
def test_reports_and_corrections(distance_m, kind):
    """Selective fading, estimated channels, backoff and outer loop: what is believed counts."""
    cell = {
        "fading": {"fading": {"kind": "tdl", "profile": "A", "subbands": 8}},
        "pilots": {"estimation": {"kind": "estimated"}},
    }.get(kind, {})
    world = world_at(distance_m, {"backoff_db": 2.0} if kind == "backoff" else None, **cell)
    world.uplink.bearers[0].offset_db = -1.3 if kind == "outer_loop" else 0.0
    shift_db = {"backoff": -2.0, "outer_loop": -1.3}.get(kind, 0.0)
    levels_db = (np.array(expected_levels_db(world)) + shift_db).tolist()
    compare(world, levels_db)


def test_a_selective_channel_where_every_block_has_the_same_power():
    cell = {"fading": {"kind": "tdl", "subbands": 12}}
    world = world_at(100, channel={"kind": "fixed_snr", "snr_db": 10.0}, **cell)
    for bits in BITS:
        choice = world.uplink.adaptation.choose(world.uplink.bearers[0], 0, 0, 51, bits)
        assert choice[1] == searched(expected_levels_db(world), bits)[0]


def test_small_grant():
    """5,775 bits at 60 m: 9 blocks of 156 elements; MCS 15 on 16 had 5.5 dB to spare."""
    request = world_at(60).run().requests[0]
    assert request.channel_uses == 9 * 156 and request.attempts == 1


def test_digital_and_analog_grants_have_the_same_power():
    """Both concentrate it: a block of a grant of n blocks has P_max - 10 log10(n)."""
    world = world_at(100)
    request = world.run().requests[0]
    n_prb = request.channel_uses // 156
    group = {"distance_min_m": 100, "distance_max_m": 100}
    group |= {"arrivals": {"kind": "periodic", "period_s": 10.0, "in_phase": True}}
    analog = toy_world(
        toy_plan(Scheme.JSCC, bits=request.channel_uses),
        duration_s=0.1,
        cell={"channel": {"kind": "log_distance", "exponent": 3.8}},
        group=group,
    )
    (row,) = analog.run().requests
    assert row.channel_uses == request.channel_uses and row.snr_db == pytest.approx(request.snr_db)
    gain_db = world.radio.links[0][0].gain_db(0)
    assert request.snr_db == pytest.approx(gain_db + 23 - 10 * math.log10(n_prb))
    assert row.tx_energy_j == pytest.approx(request.tx_energy_j)
