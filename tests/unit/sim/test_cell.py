"""Unit: grants, blocks, HARQ and JSCC symbols of the uplink."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.phy.link import mcs, resource_elements, transport_block_bits
from simsplit.sim.cell import _prbs_needed
from simsplit.validate import step_table, toy_plan, toy_world

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
    assert sum(request.symbol_counts) == request.channel_uses == 20_000
    assert len(request.symbol_counts) == math.ceil(20_000 / resource_elements(51))
    assert request.delivered and request.symbol_snr_db == pytest.approx([30.0] * 3)


def test_radio_is_off_while_waiting_for_feedback():
    plan = toy_plan(Scheme.RAW, bits=1000)
    history = run(plan, table=step_table(mu_db=90.0))
    transmit_s = history.stations["devices"][0]["transmit_s"]
    assert transmit_s == pytest.approx(4 * SLOT_S)


@pytest.mark.parametrize("bits", [1, 24, 500, 5000, 11_000])
def test_fewest_blocks_that_hold_the_bits(bits):
    n_prb = _prbs_needed(mcs(11), bits, 51)
    assert transport_block_bits(mcs(11), n_prb) >= bits
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
    assert _prbs_needed(mcs(28), 100, 51) == 2
    with pytest.raises(ScenarioError, match="not decodable"):
        _prbs_needed(mcs(28), 100, 1)
