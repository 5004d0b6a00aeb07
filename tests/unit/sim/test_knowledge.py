"""Unit: predictions from what a device knows; the meter of its uplink; seconds on the air."""

from __future__ import annotations

import dataclasses
import math

import pytest

from simsplit.messages import Scheme
from simsplit.sim.policy.knowledge import (
    Costs,
    Knowledge,
    RateMeter,
    air_seconds,
    predicted_energy_j,
    predicted_latency_s,
)

RAW = Costs("raw", Scheme.RAW, 0.010, 0.004, 1000.0, 0.0, 80.0)
JSCC = Costs("jscc", Scheme.JSCC, 0.010, 0.004, 0.0, 300.0, 80.0)
LOCAL = Costs("local", Scheme.LOCAL, 0.5, 0.0, 0.0, 0.0, 80.0, sends=False)
TELLS = Costs("tells", Scheme.LOCAL, 0.5, 0.0, 80.0, 0.0, 80.0)


def per_bit_and_use(bits: float, uses: float) -> float:
    return bits * 1e-4 + uses * 1e-3


def knowledge(**changes) -> Knowledge:
    plain = Knowledge(
        now_s=5.0,
        snr_db=10.0,
        air_s=per_bit_and_use,
        queue_s=0.02,
        edge_wait_s=0.003,
        edge_load=2.0,
        downlink_s=0.001,
        deadline_s=0.2,
        battery_share=1.0,
        compute_w=4.0,
        transmit_w=2.0,
        receive_w=0.5,
        idle_w=1.0,
    )
    return dataclasses.replace(plain, **changes)


@pytest.mark.parametrize(
    ("costs", "latency_s", "energy_j"),
    [
        (RAW, 0.02 + 0.01 + 0.1 + 0.003 + 0.008 + 0.001, 0.04 + 0.2 + 0.0005),
        (JSCC, 0.02 + 0.01 + 0.3 + 0.003 + 0.008 + 0.001, 0.04 + 0.6 + 0.0005),
        (LOCAL, 0.02 + 0.5, 2.0),
        (TELLS, 0.02 + 0.5 + 0.008, 2.0 + 0.016),
    ],
)
def test_sums_by_hand(costs, latency_s, energy_j):
    assert predicted_latency_s(costs, knowledge()) == pytest.approx(latency_s)
    assert predicted_energy_j(costs, knowledge()) == pytest.approx(energy_j)


def test_transmitter_that_waits_for_grants():
    spared_j = predicted_energy_j(RAW, knowledge()) - predicted_energy_j(
        RAW, knowledge(transmit_share=0.25)
    )
    assert spared_j == pytest.approx(0.75 * 2.0 * 0.1)


@pytest.mark.parametrize("unknown_s", [math.nan, math.inf])
def test_unknown_rate_is_never_for_what_is_sent_and_nothing_for_what_is_not(unknown_s):
    knows = knowledge(air_s=lambda bits, uses: unknown_s)
    for costs in (RAW, JSCC, TELLS):
        assert predicted_latency_s(costs, knows) == math.inf
        assert predicted_energy_j(costs, knows) == math.inf
    assert predicted_latency_s(LOCAL, knows) == pytest.approx(0.52)


def test_unknown_rate_is_never_even_for_a_transmitter_without_power():
    knows = knowledge(air_s=lambda bits, uses: math.inf, transmit_w=0.0)
    assert predicted_energy_j(RAW, knows) == math.inf


def test_full_server_is_never_even_for_an_empty_tail():
    empty = dataclasses.replace(RAW, edge_s=0.0)
    assert predicted_latency_s(empty, knowledge(edge_load=math.inf)) == math.inf
    assert predicted_latency_s(LOCAL, knowledge(edge_load=math.inf)) == pytest.approx(0.52)


def test_meter_starts_where_it_is_told_and_ignores_transfers_without_length():
    meter = RateMeter(1e6)
    meter.observe(1e9, 0.0)
    assert meter.per_s == 1e6


def test_meter_weighs_transfers_geometrically():
    meter, weight = RateMeter(50.0, weight=0.25), 0.25
    transfers = [(10.0, 1.0), (90.0, 3.0), (8.0, 0.5)]
    for amount, seconds in transfers:
        meter.observe(amount, seconds)
    transfers = [(50.0 * 1.0, 1.0), *transfers]  # the initial value: as long as the first
    weights = [(1 - weight) ** 3, *(weight * (1 - weight) ** k for k in (2, 1, 0))]
    amount = sum(w * a for w, (a, _) in zip(weights, transfers, strict=True))
    seconds = sum(w * s for w, (_, s) in zip(weights, transfers, strict=True))
    assert meter.per_s == pytest.approx(amount / seconds)


def test_meter_of_weight_one_knows_the_last_transfer_alone():
    meter = RateMeter(1.0, weight=1.0)
    for amount, seconds in ((3.0, 1.0), (8.0, 2.0)):
        meter.observe(amount, seconds)
    assert meter.per_s == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("initial", "weight"), [(1.0, 0.0), (1.0, 1.5), (-1.0, 0.5), (math.inf, 1)]
)
def test_meter_refuses_what_makes_no_sense(initial, weight):
    with pytest.raises(ValueError, match=r"weight|initial"):
        RateMeter(initial, weight)


AIR = {"bits_per_re": 2.0, "re_per_s": 1e4, "slot_s": 1e-3}


@pytest.mark.parametrize(
    ("bits", "uses", "seconds"),
    [
        (0, 0, 0.0),
        (2000, 0, 0.1 + 0.5e-3),
        (0, 1000, 0.1 + 0.5e-3),
        (2, 0, 1.5e-3),  # never less than a slot
        (0, 1, 1.5e-3),
    ],
)
def test_air_seconds_by_hand(bits, uses, seconds):
    assert air_seconds(bits, uses, **AIR) == pytest.approx(seconds)


@pytest.mark.parametrize("bits_per_re", [0.0, math.nan])
def test_without_scheme_or_report_bits_take_for_ever_but_symbols_do_not(bits_per_re):
    air = AIR | {"bits_per_re": bits_per_re}
    assert air_seconds(1, 0, **air) == math.inf
    assert air_seconds(0, 1000, **air) == pytest.approx(0.1005)
    assert air_seconds(0, 0, **air) == 0.0


def test_without_speed_all_takes_for_ever():
    air = AIR | {"re_per_s": 0.0}
    assert air_seconds(1, 0, **air) == air_seconds(0, 1, **air) == math.inf
