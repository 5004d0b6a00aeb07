"""Unit: grants, blocks, HARQ and JSCC symbols of the uplink."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import resource_elements, transport_block_bits
from simsplit.sim.radio.adaptation import BlockSizes
from simsplit.study.inputs import open_bler_table
from simsplit.study.worlds import step_table, toy_plan, toy_world

SLOT_S = 0.5e-3
IN_PHASE = {"arrivals": {"kind": "periodic", "period_s": 10.0, "in_phase": True}}


def run(plan, devices=1, **kw):
    return toy_world(plan, devices=devices, duration_s=1.0, group=IN_PHASE, **kw).run()


def test_lone_payload_uses_as_few_resource_elements_as_its_blocks_need():
    plan = toy_plan(Scheme.RAW, bits=1000)
    request = run(plan).requests[0]
    n_prb = math.ceil(request.channel_uses / resource_elements(1))
    assert request.channel_uses == resource_elements(n_prb)
    assert transport_block_bits(mcs(11), n_prb) >= 1000 > transport_block_bits(mcs(11), n_prb - 1)


def test_band_is_shared_equally():
    """Three devices with one full band of bits each take three slots' worth together."""
    full = transport_block_bits(mcs(11), 51)
    plan = toy_plan(Scheme.RAW, bits=full)
    alone = run(plan).requests[0]
    shared = [r.radio_end_s for r in run(plan, devices=3).requests]
    assert alone.radio_end_s == pytest.approx(SLOT_S)
    assert max(shared) == pytest.approx(4 * SLOT_S)  # smaller blocks round down: one more slot
    assert max(shared) - min(shared) <= SLOT_S + 1e-12


def test_lost_after_the_last_transmission():
    plan = toy_plan(Scheme.RAW, bits=1000)
    history = run(plan, table=step_table(mu_db=90.0), cell={"harq": {"max_transmissions": 3}})
    request = history.requests[0]
    assert (request.status, request.attempts, request.delivered) == ("lost", 3, False)
    assert request.radio_end_s == pytest.approx((2 * 8 + 1) * SLOT_S)


def test_lost_payload_retried_on_the_device_costs_its_time():
    plan = toy_plan(Scheme.RAW, bits=1000, device_s=0.02)
    group = IN_PHASE | {"on_loss": "retry_locally"}
    world = toy_world(plan, duration_s=1.0, group=group, table=step_table(mu_db=90.0))
    request = world.run().requests[0]
    assert request.status == "done" and request.computed_locally and not request.delivered
    assert request.closed_s == pytest.approx(request.radio_end_s + 0.02)


def test_jscc_symbols_add_up_and_never_fail():
    plan = toy_plan(Scheme.JSCC, bits=20_000)
    request = run(plan, table=step_table(mu_db=90.0)).requests[0]
    assert sum(n for n, _, _ in request.pieces) == request.channel_uses == 20_000
    assert len(request.pieces) == math.ceil(20_000 / resource_elements(51))
    assert request.delivered and [s for _, s, _ in request.pieces] == pytest.approx([30.0] * 3)


def test_radio_is_off_while_waiting_for_feedback():
    plan = toy_plan(Scheme.RAW, bits=1000)
    history = run(plan, table=step_table(mu_db=90.0))
    transmit_s = history.stations["devices"][0]["transmit_s"]
    assert transmit_s == pytest.approx(4 * SLOT_S)


@pytest.mark.parametrize("bits", [1, 24, 500, 5000, 11_000])
def test_fewest_blocks_that_hold_the_bits(bits):
    n_prb = BlockSizes((14, 12)).needed(mcs(11), bits, 51)
    assert transport_block_bits(mcs(11), n_prb) >= bits or n_prb == 51
    assert n_prb == 1 or transport_block_bits(mcs(11), n_prb - 1) < bits


def test_local_answer_lost_on_its_way_up_is_lost():
    plan = replace(toy_plan(Scheme.LOCAL, bits=1000, device_s=0.02), send_result=True)
    group = IN_PHASE | {"on_loss": "retry_locally"}
    world = toy_world(plan, duration_s=1.0, group=group, table=step_table(mu_db=90.0))
    request = world.run().requests[0]
    assert request.status == "lost"
    assert not request.delivery().computed_locally and not request.delivery().arrived


def test_undecodable_allocation_is_avoided_or_refused():
    """MCS 28 on one resource block has an effective rate of 0.966."""
    assert BlockSizes((14, 12)).needed(mcs(28), 100, 51) == 2
    cell = {"mcs": {"kind": "fixed", "index": 28}, "resource_blocks": 1}
    with pytest.raises(ScenarioError, match="not decodable"):
        run(toy_plan(Scheme.RAW, bits=1000), cell=cell, table=open_bler_table())


def test_new_data_is_not_held_up_by_a_retransmission():
    """While the first payload waits for its feedback, one that arrives later goes at once."""
    plan = toy_plan(Scheme.RAW, bits=1000)
    group = {"arrivals": {"kind": "periodic", "period_s": 1e-3, "in_phase": True}}
    world = toy_world(plan, duration_s=3.5e-3, group=group, table=step_table(mu_db=90.0))
    history = world.run()
    second = history.requests[1]
    assert second.radio_start_s == pytest.approx(1e-3)
    assert second.radio_end_s == pytest.approx(1e-3 + (3 * 8 + 1) * SLOT_S)


def test_harq_processes_limit_what_is_under_way():
    """Two processes, 8 slots round trip: two blocks per round, all failing."""
    full = transport_block_bits(mcs(11), 51)
    plan = toy_plan(Scheme.RAW, bits=100 * full)
    world = toy_world(
        plan,
        group=IN_PHASE,
        table=step_table(mu_db=90.0),
        cell={"harq": {"processes": 2, "max_transmissions": 16}},
    )
    world.env.run(until=64 * SLOT_S)
    request = world.requests[0]
    assert request.blocks == 2 and request.attempts == pytest.approx(16, abs=2)


def test_rlc_sends_lost_bits_anew():
    """Every block fails its single transmission; RLC gives each three more, 20 slots apart."""
    plan = toy_plan(Scheme.RAW, bits=1000)
    cell = {"harq": {"max_transmissions": 1}, "rlc": {"max_retransmissions": 3}}
    request = run(plan, table=step_table(mu_db=90.0), cell=cell).requests[0]
    assert (request.status, request.attempts, request.blocks) == ("lost", 4, 4)
    assert request.radio_end_s == pytest.approx((3 * 21 + 1) * SLOT_S)


def test_rlc_recovers_what_harq_lost():
    """Half the blocks fail: without RLC most payloads of four blocks are lost, with it none."""
    plan = toy_plan(Scheme.RAW, bits=4 * transport_block_bits(mcs(11), 51))
    cell = {"harq": {"max_transmissions": 1}}
    shares = {}
    for retransmissions in (0, 32):
        spec = cell | {"rlc": {"max_retransmissions": retransmissions}}
        table = step_table(mu_db=30.0)
        world = toy_world(plan, devices=2, rate_hz=5.0, duration_s=20.0, cell=spec, table=table)
        rows = world.run().requests
        shares[retransmissions] = sum(r.delivered for r in rows) / len(rows)
    assert shares[32] == 1.0 and shares[0] < 0.2


def test_tdd_pattern_says_when_the_uplink_may_speak():
    """DDDSU at 30 kHz: data leaves in slots 4, 9, 14 only."""
    plan = toy_plan(Scheme.RAW, bits=3 * transport_block_bits(mcs(11), 51))
    request = run(plan, cell={"duplex": {"kind": "tdd"}}).requests[0]
    assert request.radio_end_s == pytest.approx(15 * SLOT_S)


def test_two_dmrs_symbols_cost_their_elements():
    plan = toy_plan(Scheme.JSCC, bits=51 * 132)
    assert run(plan, cell={"overhead": {"dmrs_symbols": 3}}).requests[0].attempts == 1
    plan = toy_plan(Scheme.JSCC, bits=51 * 132 + 1)
    assert run(plan, cell={"overhead": {"dmrs_symbols": 3}}).requests[0].attempts == 2


def test_pilots_are_counted_beside_the_data():
    """Two and a half slots of the whole band: 51 blocks twice, then 26; 12 pilots in each."""
    per_block = resource_elements(1)
    plan = toy_plan(Scheme.JSCC, bits=int(2.5 * 51 * per_block))
    request = run(plan).requests[0]
    assert request.channel_uses == int(2.5 * 51 * per_block)
    assert request.pilot_uses == 12 * (51 + 51 + 26)


def test_no_more_grants_than_control_messages():
    plan = toy_plan(Scheme.JSCC, bits=51 * resource_elements(1))
    cell = {"scheduler": {"kind": "round_robin", "max_grants": 2}}
    rows = run(plan, devices=4, cell=cell).requests
    assert max(r.radio_end_s for r in rows) == pytest.approx(4 * SLOT_S)  # four whole bands
    world = toy_world(plan, devices=4, group=IN_PHASE, cell=cell)
    world.env.run(until=0.5 * SLOT_S)
    assert world.uplink.prb_slots_used == 51
    assert sum(bool(bearer.flows) for bearer in world.uplink.bearers) == 4


def test_short_airtime_cuts_a_nested_code():
    """Two slots of a three-slot payload; it counts if enough symbols got through."""
    per_slot = resource_elements(51)
    plan = toy_plan(Scheme.JSCC, bits=3 * per_slot)
    for least, status in ((2 * per_slot, "done"), (2 * per_slot + 1, "lost")):
        cut = replace(plan, airtime_s=2.1 * SLOT_S, min_symbols=least)
        request = run(cut).requests[0]
        assert request.status == status
        assert sum(count for count, _, _ in request.pieces) == 2 * per_slot
        assert request.radio_end_s == pytest.approx(2.1 * SLOT_S)


def test_answer_over_the_air_costs_the_receiver():
    plan = replace(toy_plan(Scheme.RAW, bits=1000, edge_s=0.001), answer_bits=[2000])
    cell = {"downlink": {"kind": "radio", "latency_s": 0.001}}
    history = run(plan, cell=cell)
    request = history.requests[0]
    assert request.status == "done"
    start_s = request.edge_end_s + 0.001
    assert 0 < request.closed_s - start_s <= 2 * SLOT_S
    assert history.stations["downlink"]["prb_slots_used"] > 0


def test_answer_that_never_arrives_is_lost():
    plan = replace(toy_plan(Scheme.RAW, bits=1000), answer_bits=[2000])
    cell = {"downlink": {"kind": "radio"}, "fading": {"kind": "none"}}
    world = toy_world(plan, duration_s=1.0, group=IN_PHASE, cell=cell)
    world.downlink.air.offset_db = -200.0
    request = world.run().requests[0]
    assert request.delivered and request.status == "lost"
