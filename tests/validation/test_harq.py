"""Validation: HARQ's processes and round trip against closed forms; the two engines on each other.

Table engine against exact engine with HARQ, chase and incremental redundancy:

The same scenario runs twice, once with block fates from the shipped table and once with every block
through the coded link (random payloads). Residual loss and mean number of transmissions must agree
within their 99 % intervals (two proportions: Newcombe's hybrid score; means: Welch).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from simsplit.messages import Scheme
from simsplit.phy.calibration_curve import wilson_interval
from simsplit.phy.coded import CodedLink
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import resource_elements, transport_block_bits
from simsplit.scenario.scenario import Scenario
from simsplit.sim.radio.exact_blocks import ExactBlocks
from simsplit.sim.world import Machines, World
from simsplit.study.inputs import open_bler_table
from simsplit.study.worlds import POWER, step_table, toy_plan, toy_world

SLOT_S = 0.5e-3
N_PRB, SAMPLES = 10, 256
Z = 2.5758  # 99 %
IN_PHASE = {"arrivals": {"kind": "periodic", "period_s": 10.0, "in_phase": True}}


def slots(processes: int, **kw) -> float:
    """Slots that a payload of ten whole bands takes without errors."""
    plan = toy_plan(Scheme.RAW, bits=10 * transport_block_bits(mcs(11), 51))
    cell = {"harq": {"processes": processes, "round_trip_slots": 8}} | kw
    request = toy_world(plan, duration_s=1.0, group=IN_PHASE, cell=cell).run().requests[0]
    return (request.radio_end_s - request.radio_start_s) / SLOT_S


@pytest.mark.parametrize(("processes", "expected"), [(1, 73), (2, 34), (4, 18), (8, 10), (16, 10)])
def test_a_process_is_busy_until_its_feedback_comes(processes, expected):
    """Stop-and-wait: block k starts in slot 8 floor(k / P) + k mod P (TS 38.321 clause 5.4.2)."""
    assert slots(processes) == pytest.approx(expected)


@pytest.mark.parametrize(("processes", "expected"), [(1, 95), (2, 50)])
def test_tdd_sends_again_in_the_next_uplink_slot(processes, expected):
    """DDDSU: sent in slot 4, answered by slot 12, next uplink slot 14."""
    assert slots(processes, duplex={"kind": "tdd"}) == pytest.approx(expected)


@pytest.mark.parametrize(("processes", "expected"), [(1, 101), (5, 17), (10, 11)])
def test_tdd_feedback_needs_a_slot_of_the_other_direction(processes, expected):
    """D and ten U: blocks of slots 1 to 10 are answered in slot 11; new ones go from slot 12 on.

    Five processes: slots 1 to 5, of which all are free again in slot 12 to 16.
    """
    duplex = {"kind": "tdd", "pattern": "D" + 10 * "U"}
    assert slots(processes, duplex=duplex) == pytest.approx(expected)


def test_downlink_processes_are_freed_alike():
    bits = 10 * transport_block_bits(mcs(11), 51, 12, 12)  # two symbols of control
    plan = replace(toy_plan(Scheme.RAW, bits=1000), answer_bits=[bits])
    for processes, expected in ((1, 73), (4, 18), (16, 10)):
        downlink = {"kind": "radio", "latency_s": 0.001}
        cell = {"harq": {"processes": processes}, "downlink": downlink}
        request = toy_world(plan, duration_s=1.0, group=IN_PHASE, cell=cell).run().requests[0]
        took_s = request.closed_s - request.edge_end_s - 0.001
        assert took_s == pytest.approx(expected * SLOT_S)


def test_processes_of_a_lost_payload_wait_for_their_feedback_too():
    """One transmission that always fails, one process: payloads are lost 8 slots apart."""
    plan = toy_plan(Scheme.RAW, bits=1000)
    group = {"arrivals": {"kind": "periodic", "period_s": 1e-3, "in_phase": True}}
    cell = {"harq": {"processes": 1, "max_transmissions": 1}}
    world = toy_world(plan, duration_s=3.5e-3, group=group, cell=cell, table=step_table(mu_db=90.0))
    ends = [request.radio_end_s / SLOT_S for request in world.run().requests]
    assert ends == pytest.approx([1, 9, 17, 25])


def rows(exact: bool, combining: str, index: int, snr_db: float, fading: dict, seconds: float):
    """Requests of eight devices that send single blocks.

    Each has one of 256 payloads: which code word it is moves a block's error rate by as much as
    0.1 dB where amplitude bits repeat, and the table is the mean over all.
    """
    tb_bits = transport_block_bits(mcs(index), N_PRB)
    draws = np.random.default_rng(9).integers(0, 256, (SAMPLES, tb_bits // 8), dtype=np.uint8)
    plan = replace(
        toy_plan(Scheme.RAW, bits=tb_bits),
        payload_bits=[tb_bits] * SAMPLES,
        channel_uses=[0] * SAMPLES,
        answer_bits=[0] * SAMPLES,
        payloads=[draw.tobytes() for draw in draws],
    )
    cell = {
        "resource_blocks": N_PRB,
        "channel": {"kind": "fixed_snr", "snr_db": snr_db},
        "fading": fading,
        "mcs": {"kind": "fixed", "index": index},
        "harq": {"combining": combining, "max_transmissions": 3},
        "scheduler": {"kind": "round_robin", "max_grants": 1},
    }
    base = toy_world(plan, devices=8, rate_hz=10.0, duration_s=seconds, cell=cell).scenario
    spec = Scenario.model_validate(base.model_dump(mode="json") | {"task": {"samples": SAMPLES}})
    make = (lambda randoms: ExactBlocks(CodedLink(5), randoms, spec.cell.harq)) if exact else None
    machines = Machines({"g": POWER}, 10.0, 70.0)
    world = World(spec, {"point": plan}, machines, open_bler_table(), make_blocks=make)
    return world.run().requests


def assert_engines_agree(table, exact) -> None:
    lost = [sum(not r.delivered for r in part) for part in (table, exact)]
    sizes = [len(table), len(exact)]
    intervals = [wilson_interval(k, n, Z) for k, n in zip(lost, sizes, strict=True)]
    shares = [k / n for k, n in zip(lost, sizes, strict=True)]
    gap = shares[0] - shares[1]
    low = math.hypot(shares[0] - intervals[0][0], intervals[1][1] - shares[1])
    high = math.hypot(intervals[0][1] - shares[0], shares[1] - intervals[1][0])
    assert -high <= gap <= low, (lost, sizes)
    attempts = [[r.attempts for r in part] for part in (table, exact)]
    assert stats.ttest_ind(*attempts, equal_var=False).pvalue > 0.01, list(map(np.mean, attempts))


def ten_percent_db(index: int) -> float:
    """Where the table's first attempt fails in 10 % of the cases."""
    tb_bits = transport_block_bits(mcs(index), N_PRB)
    return open_bler_table().required_snr_db(mcs(index), tb_bits, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("combining", ["chase", "incremental_redundancy"])
@pytest.mark.parametrize("index", [5, 22])
def test_rayleigh_blocks(combining, index):
    """Every attempt has another SNR: combining of unlike attempts is put to the test."""
    fading = {"kind": "rayleigh", "coherence_time_s": 0.001}
    offset_db = 1.0 if combining == "chase" else -2.0  # so that some are lost for good
    at = (combining, index, ten_percent_db(index) + offset_db, fading, 6.0)
    table, exact = rows(False, *at), rows(True, *at)
    assert 0.02 < np.mean([not r.delivered for r in exact]) < 0.5
    assert_engines_agree(table, exact)


@pytest.mark.slow
@pytest.mark.parametrize("combining", ["chase", "incremental_redundancy"])
def test_equal_snr_in_the_waterfall_of_the_second_attempt(combining):
    """First attempts fail, the second ones lie in their waterfall: about 30 % fail too.

    There 0.1 dB changes the rate by a factor of three, so that the table's own uncertainty (0.03 dB
    and interpolation) shows: the exact mean must lie between the table's 0.1 dB up and down.
    """
    index, none = 20, {"kind": "none"}
    snr_db = second_attempt_db(combining, index, 0.3)
    exact = [r.attempts for r in rows(True, combining, index, snr_db, none, 5.0)]
    half = Z * np.std(exact, ddof=1) / math.sqrt(len(exact))
    better, worse = (
        np.mean([r.attempts for r in rows(False, combining, index, snr_db + shift, none, 5.0)])
        for shift in (0.1, -0.1)
    )
    assert 2.1 < np.mean(exact) < 2.6
    assert better - half <= np.mean(exact) <= worse + half


def second_attempt_db(combining: str, index: int, error: float) -> float:
    """SNR of both attempts at which the table says that the second one fails so often."""
    table, scheme = open_bler_table(), mcs(index)
    tb_bits, n_re = transport_block_bits(scheme, N_PRB), resource_elements(N_PRB)
    if combining == "chase":
        return table.required_snr_db(scheme, tb_bits, error, n_re) - 10 * math.log10(2)
    levels_db = np.arange(-20.0, 30.0, 0.01)
    errors = [table.transport_block_error(scheme, tb_bits, s, 2, n_re) for s in levels_db]
    return float(levels_db[np.searchsorted(-np.array(errors), -error)])


@pytest.mark.slow
def test_incremental_redundancy_needs_less_than_chase():
    fading = {"kind": "rayleigh", "coherence_time_s": 0.001}
    kinds = ("chase", "incremental_redundancy")
    runs = {k: rows(True, k, 24, ten_percent_db(24) + 1.0, fading, 4.0) for k in kinds}
    attempts = {k: [r.attempts for r in part] for k, part in runs.items()}
    gain = np.mean(attempts["chase"]) - np.mean(attempts["incremental_redundancy"])
    assert gain > 0
