"""Unit: batching, rejection and workers of the edge server."""

from __future__ import annotations

import math

import pytest
import simpy

from simsplit.messages import Scheme
from simsplit.scenario.edge import Edge
from simsplit.sim.edge.tiers import EdgeServer
from simsplit.sim.request import Plan, Request
from simsplit.study.known_queues import Stream, drive

SECONDS = [0.010, 0.012, 0.014, 0.016]


def serve(spec: Edge, arrivals_s, points=None):
    env = simpy.Environment()
    plan = Plan(Scheme.RAW, [0], [0], [0], {}, {}, SECONDS)
    edge = EdgeServer(env, spec, {"a": plan, "b": plan}, idle_w=1.0, compute_w=2.0)
    points = points or ["a"] * len(arrivals_s)
    requests = [
        Request(i, 0, 0, "g", point, "raw", 0, t)
        for i, (t, point) in enumerate(zip(arrivals_s, points, strict=True))
    ]

    def live(request):
        yield env.timeout(request.arrival_s)
        yield from edge.answer(request)

    for request in requests:
        env.process(live(request))
    env.run()
    return requests, edge


def test_batch_forms_while_the_worker_is_busy():
    requests, _ = serve(Edge(max_batch=4), [0.0, 0.001, 0.002, 0.003])
    assert [r.batch_size for r in requests] == [1, 3, 3, 3]
    assert [r.edge_end_s for r in requests] == pytest.approx([0.010] + [0.024] * 3)


def test_first_job_waits_for_company_but_not_longer_than_max_wait():
    requests, _ = serve(Edge(max_batch=4, max_wait_s=0.005), [0.0, 0.004, 0.030])
    assert [r.batch_size for r in requests] == [2, 2, 1]
    assert requests[0].edge_start_s == pytest.approx(0.005)
    assert requests[2].edge_start_s == pytest.approx(0.035)


def test_full_batch_starts_at_once():
    requests, _ = serve(Edge(max_batch=2, max_wait_s=1.0), [0.0, 0.001])
    assert requests[0].edge_start_s == pytest.approx(0.001)


def test_only_one_operating_point_per_batch():
    requests, _ = serve(Edge(max_batch=4), [0.0, 0.001, 0.002, 0.003], ["a", "b", "a", "b"])
    assert [r.batch_size for r in requests] == [1, 2, 1, 2]


def test_rejected_when_the_room_is_full():
    requests, _ = serve(Edge(max_batch=1, queue_capacity=1), [0.0, 0.001, 0.002])
    assert [r.status for r in requests] == ["open", "open", "rejected"]


def test_workers_share_the_queue_and_energy_is_split_over_the_batch():
    requests, _ = serve(Edge(workers=2, max_batch=1), [0.0, 0.0, 0.001])
    assert sorted(r.worker for r in requests[:2]) == [0, 1]
    assert requests[2].edge_start_s == pytest.approx(0.010)
    assert sum(r.edge_energy_j for r in requests) == pytest.approx(3 * 0.010 * 2.0)


def test_operating_points_with_the_same_tail_share_a_batch_and_the_first_says_its_seconds():
    a = Stream([0.010, 0.012, 0.014, 0.016], at_s=[0.0, 0.002], tail="shared")
    b = Stream([0.010, 0.020, 0.030, 0.040], at_s=[0.001, 0.003], tail="shared")
    rows = drive(Edge(max_batch=4), [a, b]).requests
    assert [r.batch_size for r in rows] == [1, 3, 3, 3]
    assert rows[1].operating_point == "1"
    assert rows[1].edge_end_s == pytest.approx(0.010 + 0.030)


def test_a_gathering_batch_takes_in_its_tail_only():
    a = Stream([0.01] * 4, at_s=[0.0, 0.002], tail="shared")
    b = Stream([0.01] * 4, at_s=[0.001], tail="shared")
    c = Stream([0.01] * 4, at_s=[0.0015])
    rows = drive(Edge(max_batch=4, max_wait_s=0.004), [a, b, c]).requests
    assert [r.batch_size for r in rows] == [3, 3, 1, 3]
    assert rows[0].edge_start_s == pytest.approx(0.004)


def order(discipline, streams):
    """Operating points in the order of service."""
    rows = drive(Edge(max_batch=1, discipline=discipline), streams).requests
    return "".join(r.operating_point for r in sorted(rows, key=lambda r: r.edge_start_s))


def test_earliest_deadline_first_without_interruption_none_last():
    deadlines_s = [math.nan, 0.5, 0.3, 0.1]
    streams = [
        Stream([0.01], at_s=[n * 1e-3], deadline_s=deadline_s)
        for n, deadline_s in enumerate(deadlines_s)
    ]
    late = Stream([0.01], at_s=[4e-3])
    assert order("edf", [*streams, late]) == "03214"
    assert order("fifo", [*streams, late]) == "01234"


def test_the_deadline_that_counts_is_absolute():
    streams = [
        Stream([0.02], at_s=[0.0]),
        Stream([0.02], at_s=[0.001], deadline_s=0.100),
        Stream([0.02], at_s=[0.011], deadline_s=0.095),
    ]
    assert order("edf", streams) == "012"


def test_higher_priority_first_then_first_come():
    priorities = [0, 0, 2, 1, 2]
    streams = [
        Stream([0.01], at_s=[n * 1e-3], priority=level) for n, level in enumerate(priorities)
    ]
    assert order("priority", streams) == "02431"


def test_a_batch_is_filled_in_the_order_of_the_discipline():
    levels = [0, 0, 5, 3]
    streams = [
        Stream([0.01, 0.01], at_s=[n * 1e-3], priority=level, tail="t")
        for n, level in enumerate(levels)
    ]
    rows = drive(Edge(max_batch=2, discipline="priority"), streams).requests
    assert [r.batch_size for r in rows] == [1, 1, 2, 2]
    assert rows[1].edge_start_s == pytest.approx(0.02)


def test_a_batch_waits_until_its_oldest_job_has_waited_long_enough_whoever_is_first():
    other = Stream([0.01] * 4, at_s=[0.0])  # alone from 0.012 to 0.022
    old = Stream([0.01] * 4, at_s=[0.011], tail="t")
    urgent = Stream([0.01] * 4, at_s=[0.014], deadline_s=0.1, tail="t")
    spec = Edge(max_batch=4, max_wait_s=0.012, discipline="edf")
    rows = drive(spec, [other, old, urgent]).requests
    assert [r.edge_start_s for r in rows] == pytest.approx([0.012, 0.023, 0.023])


def test_without_room_only_free_workers_accept():
    requests, edge = serve(Edge(workers=2, max_batch=1, queue_capacity=0), [0.0, 0.0, 0.0, 0.011])
    assert [r.status for r in requests] == ["open", "open", "rejected", "open"]
    assert edge.station(1.0)["refused"] == 1


def test_room_counts_those_who_wait_not_the_one_who_is_about_to_begin():
    requests, _ = serve(Edge(max_batch=1, queue_capacity=1), [0.0, 0.0, 0.0])
    assert [r.status for r in requests] == ["open", "open", "rejected"]


def test_station_fills_the_time_and_counts():
    requests, edge = serve(Edge(workers=2, max_batch=2), [0.0, 0.0, 0.001, 0.002])
    station = edge.station(1.0)
    assert station["busy_s"] + station["idle_s"] == pytest.approx(2.0)
    assert station["on_s"] == pytest.approx(2.0)
    assert station["off_s"] == station["starting_s"] == 0.0
    assert station["total_j"] == pytest.approx(station["idle_j"] + station["compute_j"])
    assert station["compute_j"] == pytest.approx(sum(r.edge_energy_j for r in requests))
    assert station["mean_batch"] == pytest.approx(4 / station["batches"])
    waits_s = [r.edge_start_s - r.edge_arrival_s for r in requests]
    assert station["mean_wait_s"] == pytest.approx(sum(waits_s) / 4)
    assert station["mean_waiting"] == pytest.approx(sum(waits_s))


def test_the_computing_tier_is_the_edge():
    requests, _ = serve(Edge(), [0.0])
    assert requests[0].tier == "edge"
