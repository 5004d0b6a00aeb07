"""Unit: batching, rejection and workers of the edge server."""

from __future__ import annotations

import pytest
import simpy

from simsplit.messages import Scheme
from simsplit.scenario import Edge
from simsplit.sim.edge import EdgeServer
from simsplit.sim.request import Plan, Request

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
