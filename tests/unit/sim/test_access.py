"""Unit: scheduling requests, reports, configured grants, decoding, and control of JSCC symbols."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simsplit.messages import Scheme
from simsplit.phy.frame import Frame
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import resource_elements, transport_block_bits
from simsplit.sim.radio.access import Opportunities
from simsplit.sim.request import Request
from simsplit.study.inputs import open_bler_table
from simsplit.study.worlds import POWER, step_table, toy_plan, toy_world

SLOT_S = 0.5e-3
EVERY_SLOT = {"kind": "dynamic", "sr_period_slots": 1}
ONCE = {"arrivals": {"kind": "periodic", "period_s": 10.0, "in_phase": True}}
CONTROL_BITS = 8 * (38 + 6)


def requests(plan: Any, duration_s: float = 1.0, **kw: Any) -> list[Request]:
    return list(toy_world(plan, duration_s=duration_s, **({"group": ONCE} | kw)).run().requests)


def slots(seconds: float) -> float:
    return seconds / SLOT_S


# --- opportunities ----------------------------------------------------------------------------


def test_opportunities_are_periodic_and_the_devices_own():
    own = Opportunities(Frame(30_000, 51), 8, [0.0, 0.5, 0.99], 1)
    assert [own.next(0, slot) for slot in (0, 1, 8, 9)] == [0, 8, 8, 16]
    assert [own.next(device, 20) for device in range(3)] == [24, 20, 23]


@pytest.mark.parametrize(("symbols", "expected"), [(1, [3, 3, 3, 3, 4]), (14, [4] * 5)])
def test_in_tdd_an_opportunity_waits_for_an_uplink_slot(symbols, expected):
    frame = Frame(30_000, 51, "tdd", "DDDSU")
    own = Opportunities(frame, 5, [0.0, 0.2, 0.4, 0.6, 0.8], symbols)
    assert [own.next(device, 0) for device in range(5)] == expected
    assert [own.next(device, 5) for device in range(5)] == [slot + 5 for slot in expected]


@pytest.mark.parametrize(("period", "pattern"), [(1, "DDDSU"), (2, "DDSUU"), (8, "DDDDDDDSUU")])
def test_opportunities_agree_with_a_search_slot_by_slot(period, pattern):
    frame = Frame(30_000, 51, "tdd", pattern)
    own = Opportunities(frame, period, [0.7], 14)
    offset = int(0.7 * period)
    there = {frame.next_uplink_slot(offset + n * period) for n in range(400)}
    for slot in range(150):
        assert own.next(0, slot) == min(s for s in there if s >= slot)


# --- dynamic grants ---------------------------------------------------------------------------


def test_a_lone_request_takes_its_request_grant_and_preparation():
    """Queued at time 0: asks in slot 1, is granted in 1 + 1 + 2, sends 2 slots later."""
    request = requests(toy_plan(Scheme.RAW, bits=1000), cell={"access": EVERY_SLOT})[0]
    assert slots(request.access_delay_s) == pytest.approx(6)
    assert slots(request.radio_end_s) == pytest.approx(7)


@pytest.mark.parametrize(("processing", "k2"), [(0, 2), (3, 5)])
def test_processing_and_k2_count_slot_by_slot(processing, k2):
    access = EVERY_SLOT | {"processing_slots": processing, "k2_slots": k2}
    request = requests(toy_plan(Scheme.RAW, bits=1000), cell={"access": access})[0]
    assert slots(request.access_delay_s) == pytest.approx(1 + 1 + processing + k2)


def test_in_tdd_grants_need_a_downlink_slot_and_data_an_uplink_slot():
    """DDDSU: asks in S (3), heard from 6 on, a D; 6 + 2 = 8 is S, so that it sends in U (9)."""
    cell = {"duplex": {"kind": "tdd"}, "access": EVERY_SLOT}
    request = requests(toy_plan(Scheme.RAW, bits=1000), cell=cell)[0]
    assert slots(request.access_delay_s) == pytest.approx(9)


def test_data_that_come_while_the_device_sends_ask_by_a_report():
    """The first payload sends from slot 6 on; the second, which could ask only much later, comes
    in slot 10: its report goes in slot 11, is granted in 14, and it could go in slot 16."""
    band = transport_block_bits(mcs(11), 51)
    group = {"arrivals": {"kind": "periodic", "period_s": 10.2 * SLOT_S, "in_phase": True}}
    # the device computes nothing; the first opportunity is slot 1, the next one 640 slots later
    plan = toy_plan(Scheme.RAW, bits=40 * band)
    made = toy_world(plan, duration_s=11 * SLOT_S, group=group,
                     cell={"access": EVERY_SLOT})  # fmt: skip
    made.uplink.access._requests._period = 640  # type: ignore[union-attr]
    made.uplink.access._requests._offsets = [1]  # type: ignore[union-attr]
    first, second = made.run().requests
    assert slots(first.access_delay_s) == pytest.approx(6)
    assert slots(second.radio_start_s + second.access_delay_s) == pytest.approx(16)


def test_a_scheduling_request_costs_two_symbols_of_transmission():
    plan = toy_plan(Scheme.RAW, bits=1000)
    ideal, asking = (
        requests(plan, cell={"access": access})[0] for access in ({"kind": "immediate"}, EVERY_SLOT)
    )
    power_w = POWER.transmit_w(10 ** (23 / 10) * 1e-3)
    assert asking.tx_energy_j - ideal.tx_energy_j == pytest.approx(2 / 14 * SLOT_S * power_w)


def test_phases_do_not_depend_on_the_period_nor_on_other_groups_and_follow_the_place_group():
    def offsets(**kw: Any) -> list[int]:
        made = toy_world(toy_plan(Scheme.RAW, bits=1000), devices=40, **kw)
        return made.uplink.access._requests._offsets  # type: ignore[union-attr]

    wide, narrow = (
        offsets(cell={"access": {"kind": "dynamic", "sr_period_slots": n}}) for n in (80, 8)
    )
    assert [offset // 10 for offset in wide] == narrow
    assert len(set(wide)) > 20
    assert offsets(replication=1, cell={"access": {"kind": "dynamic"}}) != offsets(
        cell={"access": {"kind": "dynamic"}}
    )


def test_with_drx_the_device_listens_from_its_request_to_its_grant():
    drx = {"inactivity_s": 1e-4, "cycle_s": 0.16, "on_s": 0.008}
    plan = toy_plan(Scheme.RAW, bits=1000)
    listened = [
        toy_world(plan, duration_s=1.0, group=ONCE, cell={"drx": drx, "access": access})
        .run().stations["devices"][0]["listen_s"]
        for access in ({"kind": "immediate"}, EVERY_SLOT)
    ]  # fmt: skip
    assert slots(listened[1] - listened[0]) == pytest.approx(4.5, abs=0.5)


# --- configured grants ------------------------------------------------------------------------


def test_configured_data_go_in_own_slots_only_and_repetitions_by_grants():
    """Three blocks, one per own slot; with errors, the second attempt comes a round trip later."""
    band = transport_block_bits(mcs(11), 51)
    cell = {"access": {"kind": "configured", "period_slots": 10}}
    made = toy_world(toy_plan(Scheme.RAW, bits=3 * band), duration_s=0.5, group=ONCE, cell=cell)
    offset = made.uplink.access._own._offsets[0]  # type: ignore[union-attr]
    request = made.run().requests[0]
    first = offset or 10
    assert slots(request.access_delay_s) == pytest.approx(first)
    assert slots(request.radio_end_s) == pytest.approx(first + 20 + 1)
    assert request.blocks == 3


def test_configured_repetitions_do_not_wait_for_an_own_slot():
    cell = {"access": {"kind": "configured", "period_slots": 640}, "harq": {"max_transmissions": 3}}
    request = requests(
        toy_plan(Scheme.RAW, bits=1000), duration_s=2.0, cell=cell, table=step_table(mu_db=90.0)
    )[0]
    assert request.attempts == 3
    sent_s = request.radio_end_s - request.radio_start_s - request.access_delay_s
    assert slots(sent_s) == pytest.approx(2 * 8 + 1)


# --- decoding, headers ------------------------------------------------------------------------


def test_decoding_follows_the_last_block_up_and_down():
    plan = replace(toy_plan(Scheme.RAW, bits=1000, edge_s=0.004), answer_bits=[400])
    downlink = {"downlink": {"kind": "radio", "latency_s": 0.0}}
    ideal = requests(plan, cell=downlink)[0]
    given = {"decoding": {"kind": "given", "uplink_s": 2e-4, "downlink_s": 1e-4}}
    late = requests(plan, cell=downlink | given)[0]
    assert late.radio_end_s - ideal.radio_end_s == pytest.approx(2e-4)
    assert late.edge_arrival_s == late.radio_end_s
    assert slots(late.closed_s - 1e-4) == pytest.approx(round(slots(late.closed_s - 1e-4)))


def test_headers_go_down_too():
    answer = 50_000
    plan = replace(toy_plan(Scheme.RAW, bits=1000), answer_bits=[answer])
    pipe = {"downlink": {"kind": "fixed_rate", "rate_bps": 1e6, "latency_s": 0.0}}
    closed = [
        requests(plan, cell=pipe | {"headers": {"kind": kind}})[0] for kind in ("none", "packets")
    ]
    down_s = [request.closed_s - request.edge_end_s for request in closed]
    assert down_s[1] - down_s[0] == pytest.approx(5 * 304 / 1e6)  # 6,250 bytes in five packets


# --- JSCC -------------------------------------------------------------------------------------


def analog(symbols: int = 312, **kw: Any) -> Request:
    cell = {"headers": {"kind": "packets"}, "mcs": {"kind": "adaptive"}} | kw.pop("cell", {})
    plan = replace(toy_plan(Scheme.JSCC, bits=symbols), **kw.pop("plan", {}))
    return requests(plan, cell=cell, table=open_bler_table(), **kw)[0]


def test_control_shares_the_symbols_grant_and_costs_its_own_elements():
    """QPSK at rate 679/1024 holds 352 bits on two resource blocks; the symbols take two more."""
    request = analog()
    assert (request.header_bits, request.payload_bits) == (CONTROL_BITS, 0)
    assert transport_block_bits(mcs(9), 2) >= CONTROL_BITS
    assert request.channel_uses == resource_elements(2) + 312
    assert (request.attempts, request.blocks, request.delivered) == (1, 1, True)
    assert slots(request.radio_end_s) == pytest.approx(1)
    assert sum(count for count, _, _ in request.pieces) == 312
    assert np.isnan(request.mcs)


def test_control_gets_more_robust_as_the_channel_gets_worse():
    uses = [
        analog(cell={"channel": {"kind": "fixed_snr", "snr_db": snr}}).channel_uses
        for snr in (20.0, 2.0, 0.0, -2.0, -5.0)
    ]
    assert uses == sorted(uses) and uses[0] < uses[-1]
    assert uses[-1] - 312 >= CONTROL_BITS / mcs(0).spectral_efficiency * 0.9


def test_control_is_robust_where_the_cell_has_a_fixed_mcs():
    cell = {"channel": {"kind": "fixed_snr", "snr_db": -4.0}, "mcs": {"kind": "fixed", "index": 20}}
    assert analog(cell=cell).delivered


def test_symbols_are_lost_with_their_control():
    cell = {"channel": {"kind": "fixed_snr", "snr_db": -25.0}}
    request = analog(cell=cell)
    assert (request.status, request.delivered) == ("lost", False)
    assert not request.delivery().arrived


def test_control_that_is_not_sent_in_time_is_given_up_with_the_symbols():
    plan = {"airtime_s": 0.001, "min_symbols": 100_000}
    request = analog(symbols=10**6, plan=plan)
    assert request.status == "lost" and request.radio_end_s < 0.01


def test_without_headers_symbols_go_alone():
    request = analog(cell={"headers": {"kind": "none"}})
    assert (request.header_bits, request.channel_uses, request.blocks) == (0, 312, 0)


@pytest.mark.parametrize("access", [EVERY_SLOT, {"kind": "configured", "period_slots": 4}])
def test_symbols_wait_for_access_as_bits_do(access):
    symbols = analog(cell={"access": access})
    cell = {"access": access, "headers": {"kind": "packets"}}
    bits = requests(toy_plan(Scheme.RAW, bits=1000), cell=cell)[0]
    assert symbols.access_delay_s == bits.access_delay_s > 0


def test_airtime_begins_with_the_first_slot():
    plan = {"airtime_s": 3 * SLOT_S, "min_symbols": 1}
    request = analog(symbols=10**6, plan=plan, cell={"access": EVERY_SLOT})
    assert slots(request.radio_end_s - request.access_delay_s) == pytest.approx(3)
    assert request.delivered
