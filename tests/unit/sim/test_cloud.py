"""Unit: the cloud behind the edge, the hop to it, and who is sent there."""

from __future__ import annotations

import pytest
import simpy
from pydantic import ValidationError

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.scenario.edge import Edge
from simsplit.sim.edge.tiers import EdgeServer, Hop
from simsplit.sim.request import Plan, Request
from simsplit.study.known_queues import CLOUD_W, Stream, drive


def spec(offload, *, edge=None, **cloud):
    whole = {"hardware": "edge_gpu", "max_batch": 1, "rate_bps": 1e6, "delay_s": 0.02}
    whole |= {"offload": offload} | cloud
    return Edge.model_validate({"max_batch": 1, "cloud": whole} | (edge or {}))


def tiers(driven):
    return [r.tier for r in driven.requests]


def test_the_hop_sends_one_after_the_other_and_the_delay_overlaps():
    env = simpy.Environment()
    hop = Hop(env, 1e6, 0.02)
    ends_s = []

    def send(bits):
        yield from hop.carry(bits)
        ends_s.append(env.now)

    for bits in (10_000, 5_000):
        env.process(send(bits))
    env.run()
    assert ends_s == pytest.approx([0.01 + 0.02, 0.015 + 0.02])
    assert hop.busy_s(1.0) == pytest.approx(0.015)
    assert hop.busy_s(0.012) == pytest.approx(0.012)
    assert hop.bits == 15_000


def test_the_row_is_that_of_the_server_that_computed():
    stream = Stream([0.5], at_s=[1.0], cloud_s=[0.003], bits=10_000, answer_bits=1_000)
    driven = drive(spec({"kind": "always"}), [stream])
    row = driven.requests[0]
    assert row.tier == "cloud"
    assert row.edge_arrival_s == pytest.approx(1.0)
    assert row.edge_start_s == pytest.approx(1.0 + 0.01 + 0.02)
    assert row.edge_end_s == pytest.approx(1.0 + 0.01 + 0.02 + 0.003)
    assert row.edge_energy_j == pytest.approx(0.003 * CLOUD_W[1])
    assert driven.edge.env.now == pytest.approx(row.edge_end_s + 0.001 + 0.02)
    cloud = driven.edge.cloud.station(2.0)
    assert cloud["compute_j"] == pytest.approx(row.edge_energy_j)
    assert (cloud["up_bits"], cloud["down_bits"]) == (10_000, 1_000)
    assert driven.station()["busy_s"] == 0.0


def test_never_and_the_edge_alone_are_the_same():
    stream = Stream([0.01], 80.0, cloud_s=[0.001])
    alone = drive(Edge(max_batch=1), [stream], count=300)
    never = drive(spec({"kind": "never"}), [stream], count=300)
    ends_s = [[r.edge_end_s for r in driven.requests] for driven in (alone, never)]
    assert ends_s[0] == ends_s[1]


def test_when_full_sends_on_those_who_find_that_many_waiting():
    stream = Stream([1.0], at_s=[0.0, 0.1, 0.2, 0.3, 0.4], cloud_s=[0.01])
    driven = drive(spec({"kind": "when_full", "waiting": 2}), [stream])
    assert tiers(driven) == ["edge", "edge", "edge", "cloud", "cloud"]


def test_when_late_sends_on_those_whom_the_edge_would_keep_too_long():
    late = {"kind": "when_late"}
    stream = Stream([1.0], at_s=[0.0, 0.1, 0.2], cloud_s=[0.01], deadline_s=1.95)
    assert tiers(drive(spec(late), [stream])) == ["edge", "edge", "cloud"]
    patient = Stream([1.0], at_s=[0.0, 0.1, 0.2], cloud_s=[0.01])
    assert tiers(drive(spec(late), [patient])) == ["edge"] * 3


def test_who_goes_on_takes_no_token_of_the_edge():
    edge = {"admission": {"kind": "rate", "rate_hz": 1e-3, "burst": 1}}
    driven = drive(spec({"kind": "always"}, edge=edge), [Stream([1.0], at_s=[0.0, 0.1])])
    assert [r.status for r in driven.requests] == ["open", "open"]


def test_the_cloud_may_refuse_too_and_then_sends_nothing_back():
    stream = Stream([1.0], at_s=[0.0, 0.0], cloud_s=[0.5], answer_bits=1_000)
    driven = drive(spec({"kind": "always"}, queue_capacity=0), [stream])
    assert [r.status for r in driven.requests] == ["open", "rejected"]
    assert driven.requests[1].tier == "cloud"
    assert driven.edge.cloud.down.bits == 1_000


def test_the_cloud_batches_by_tail():
    points = [Stream([1.0], at_s=[0.0], cloud_s=[0.1, 0.15], tail="t") for _ in range(3)]
    driven = drive(spec({"kind": "always"}, max_batch=2), points)
    assert sorted(r.batch_size for r in driven.requests) == [1, 2, 2]


def test_analog_symbols_cost_their_bits():
    plan = Plan(Scheme.JSCC, [0], [100], [0], {}, {}, [1.0], cloud_s=[0.1])
    env = simpy.Environment()
    edge = EdgeServer(
        env,
        spec({"kind": "always"}, bits_per_symbol=16),
        {"p": plan},
        idle_w=1.0,
        compute_w=2.0,
        cloud_power_w=(1.0, 2.0),
    )
    env.process(edge.answer(Request(0, 0, 0, "g", "p", "jscc", 0, 0.0)))
    env.run()
    assert edge.cloud is not None
    assert edge.cloud.up.bits == 1600


def test_a_point_without_seconds_for_the_cloud_is_an_error_that_names_it():
    with pytest.raises(ScenarioError, match="'0'"):
        drive(spec({"kind": "always"}), [Stream([1.0], at_s=[0.0], cloud_s=())])


def test_a_cloud_without_power_is_an_error():
    env = simpy.Environment()
    with pytest.raises(ValueError, match="cloud_power_w"):
        EdgeServer(env, spec({"kind": "never"}), {}, idle_w=1.0, compute_w=2.0)


def test_offload_must_come_before_refusal():
    with pytest.raises(ValidationError, match="queue_capacity"):
        spec({"kind": "when_full", "waiting": 3}, edge={"queue_capacity": 2})
