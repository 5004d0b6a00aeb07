"""Unit: what grants and reports see of the channel; JSCC pieces; estimated channels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simsplit.messages import Scheme
from simsplit.phy.effective import miesm_db
from simsplit.phy.mcs import mcs
from simsplit.phy.multipath import subbands_needed
from simsplit.phy.sizes import transport_block_bits
from simsplit.results.flags import subband_flags
from simsplit.sim.radio.adaptation import Reports
from simsplit.sim.radio.air import BandProfile
from simsplit.sim.radio.flows import Block, Grant
from simsplit.study.worlds import step_table, toy_plan, toy_world

TDL = {"fading": {"kind": "tdl", "subbands": 5, "profile": "C", "delay_spread_s": 300e-9}}


def world(**cell):
    return toy_world(toy_plan(Scheme.RAW, bits=1000), devices=2, cell=cell)


def block(n_prb: int) -> Block:
    return Block(mcs(11), n_prb, 156 * n_prb, 1000, 0, 1000)


@pytest.mark.parametrize(("first", "n_prb"), [(0, 51), (0, 1), (50, 1), (9, 13), (30, 21)])
def test_subbands_of_a_grant(first, n_prb):
    low, counts = BandProfile(5, 51).parts(first, n_prb)
    assert sum(counts) == n_prb and min(counts) > 0
    assert low == first * 5 // 51 and low + len(counts) - 1 == (first + n_prb - 1) * 5 // 51


def test_flat_channel_gives_one_piece():
    made = world(fading={"kind": "rayleigh"})
    bearer, air = made.uplink.bearers[0], made.uplink.air
    grant = Grant(None, None, 0, 10)
    ((count, snr_db, error),) = air.symbol_pieces(bearer, 7, grant, 1234)
    assert (count, error) == (1234, 0.0)
    assert snr_db == pytest.approx(air.received_db(bearer, 7, grant, block(10)))
    assert snr_db == pytest.approx(30.0 + made.radio.links[0][0].gain_db(7) - 30.0)


def test_selective_channel_gives_a_piece_per_subband():
    made = world(**TDL)
    bearer, air = made.uplink.bearers[0], made.uplink.air
    pieces = air.symbol_pieces(bearer, 7, Grant(None, None, 0, 51), 1000)
    assert sum(count for count, _, _ in pieces) == 1000 and len(pieces) == 5
    levels = [level for _, level, _ in pieces]
    assert levels == pytest.approx(made.radio.links[0][0].bands_db(7))
    assert np.ptp(levels) > 0.5


def test_selective_block_gets_the_effective_snr_of_its_own_subbands():
    made = world(**TDL)
    bearer, air = made.uplink.bearers[0], made.uplink.air
    bands = made.radio.links[0][0].bands_db(3)
    for first, n_prb in ((0, 51), (0, 10), (25, 20)):
        sent = block(n_prb)
        received_db = air.received_db(bearer, 3, Grant(None, sent, first, n_prb), sent)
        each = [bands[prb * 5 // 51] for prb in range(first, first + n_prb)]
        assert received_db == pytest.approx(miesm_db(np.array(each), 4))
        assert sent.snr_profile_db == pytest.approx(each)


def test_report_holds_the_past_and_is_reused():
    made = world(
        fading={"kind": "rayleigh", "coherence_time_s": 0.0005},
    )
    reports = Reports(made.uplink.air, made.uplink.bearers, period_slots=10, delay_slots=4)
    bearer, link = made.uplink.bearers[1], made.radio.links[1][0]
    assert reports.slot_of(1, 36) == 31  # device 1 reports in slots 1, 11, 21, 31 …
    assert reports.slot_of(1, 34) == 21 and reports.slot_of(1, 3) == 0
    for slot in (35, 38, 44):
        assert reports.snr_db(bearer, slot, 0, 10) == pytest.approx(link.gain_db(31))
    levels = reports.wideband_db(np.array([0, 1]), 36)
    assert levels[1] == pytest.approx(link.gain_db(31))


def test_estimated_channel_costs_snr():
    """12 pilots at 30 dB: SNR / (1 + (1 + SNR) / (P SNR)) (Hassibi & Hochwald 2003)."""
    perfect, estimated = world(), world(estimation={"kind": "estimated"})
    grant = Grant(None, None, 0, 10)
    snr = 1000.0
    expected_db = 10 * math.log10(snr / (1 + (1 + snr) / (12 * snr)))
    levels = [
        made.uplink.air.received_db(made.uplink.bearers[0], 0, grant, block(10))
        for made in (perfect, estimated)
    ]
    assert levels == pytest.approx([30.0, expected_db])
    air = estimated.uplink.air
    ((_, snr_db, variance),) = air.symbol_pieces(estimated.uplink.bearers[0], 0, grant, 5)
    assert (snr_db, variance) == pytest.approx((30.0, 1 / 12_000))


def test_power_control_keeps_the_received_level():
    """Full compensation: the same Es/N0 at any distance, P0 over the noise of a block."""
    cell = {
        "channel": {"kind": "log_distance"},
        "power_control": {"kind": "fractional", "p0_dbm": -100, "alpha": 1},
    }
    group = {"distance_min_m": 10.0, "distance_max_m": 120.0}  # below 23 dBm
    plan = toy_plan(Scheme.RAW, bits=1000)
    made = toy_world(plan, devices=20, cell=cell, group=group, table=step_table())
    air = made.uplink.air
    levels = [air.received_db(b, 0, Grant(None, None, 0, 5), block(5)) for b in made.uplink.bearers]
    noise_dbm = -173.975 + 10 * math.log10(12 * 30e3) + 5
    assert levels == pytest.approx([-100 + 10 * math.log10(2) - noise_dbm] * 20, abs=0.01)
    full = toy_world(plan, devices=20, cell={"channel": {"kind": "log_distance"}}, group=group)
    powers = [air.powers[i].radiated_w(5, 0) for i in range(20)]
    assert max(powers) < full.uplink.air.powers[0].radiated_w(5, 0)


def test_a_device_at_the_edge_concentrates_its_power():
    """4 dB short of MCS 0 on 50 blocks: no more than 50 / 10^0.4 = 20; a level gains nothing."""
    from simsplit.study.inputs import open_bler_table

    table = open_bler_table()
    need_db = table.choices(50, 0.1, 14, 12, 1)[0][0]
    cell = {"channel": {"kind": "log_distance"}, "mcs": {"kind": "adaptive"}}
    made = toy_world(toy_plan(Scheme.RAW, bits=1000), cell=cell, table=table)
    bearer, adaptation = made.uplink.bearers[0], made.uplink.adaptation
    level_db = made.uplink.air.expected_db(bearer, 0, 0, 50)
    bearer.offset_db = need_db - 4.0 - level_db
    scheme, n_prb, bits = adaptation.choose(bearer, 0, 0, 50, math.inf)
    assert n_prb <= 20 and bits >= transport_block_bits(mcs(0), 19)
    assert bits == transport_block_bits(scheme, n_prb)
    bearer.offset_db = -60.0  # out of reach: the most robust scheme, all power in one block
    assert adaptation.choose(bearer, 0, 0, 50, math.inf)[:2] == (mcs(0), 1)
    fixed = toy_world(
        toy_plan(Scheme.RAW, bits=1000),
        cell={"channel": {"kind": "fixed_snr", "snr_db": -30.0}, "mcs": {"kind": "adaptive"}},
        table=table,
    )
    choose, bearer = fixed.uplink.adaptation.choose, fixed.uplink.bearers[0]
    assert choose(bearer, 0, 0, 50, math.inf)[:2] == (mcs(0), 50)
    scheme, n_prb, bits = choose(bearer, 0, 0, 50, 100)
    assert scheme == mcs(0) and bits >= 100 > transport_block_bits(mcs(0), n_prb - 1)


def test_margin_lowers_the_sinr():
    made = world(interference={"kind": "margin", "margin_db": 3.0})
    grant = Grant(None, None, 0, 10)
    air, bearer = made.uplink.air, made.uplink.bearers[0]
    assert air.received_db(bearer, 0, grant, block(10)) == pytest.approx(27.0)
    assert air.expected_db(bearer, 0, 0, 10) == pytest.approx(27.0)


def test_subbands_follow_the_delay_spread():
    """A coherence bandwidth 1 / (5 tau) each; never finer than a resource block."""
    assert subbands_needed(100e-9, 18.36e6, 51) == 10  # 9.18
    assert subbands_needed(10e-9, 18.36e6, 51) == 1
    assert subbands_needed(1e-6, 98.28e6, 273) == 273  # 491 would be half a block each
    assert subbands_needed(200e-9, 98.28e6, 273) == 99


@pytest.mark.parametrize("sites", [{}, {"sites": {"kind": "hex", "rings": 1}}])
def test_both_airs_have_as_many_subbands_as_the_carrier_needs(sites):
    cell = {"fading": {"kind": "tdl", "delay_spread_s": 300e-9}, "channel": {"kind": "uma"}} | sites
    for own, count in ((None, 28), (7, 7)):
        fading = cell["fading"] | ({} if own is None else {"subbands": own})
        world = toy_world(toy_plan(Scheme.RAW, bits=1000), cell=cell | {"fading": fading})
        assert world.uplink.air._bands.parts(0, 51)[1] == BandProfile(count, 51).parts(0, 51)[1]
        assert world.radio.links[0][0].bands_db(3).shape == (count,)
        flags = [item["code"] for item in subband_flags(world.scenario)]
        assert flags == ([] if own is None else ["coarse_subbands"])
