"""Unit: the load of the edge server, and what is known of it."""

from __future__ import annotations

import pytest
import simpy

from simsplit.scenario.edge import Edge
from simsplit.seeds import generator
from simsplit.sim.edge.load_report import Load
from simsplit.sim.edge.tiers import EdgeServer
from simsplit.sim.request import Request
from simsplit.study.known_queues import Stream, drive


def load_at(spec, streams, time_s):
    return drive(Edge.model_validate(spec), streams, until_s=time_s).edge.load()


def test_an_empty_server():
    assert load_at({"workers": 2}, [Stream([0.01], at_s=[1.0])], 0.5) == Load(0, 0, 2, 0.0, 1.0)


def test_what_is_left_of_the_running_batch_and_the_waiting_ones():
    load = load_at({"max_batch": 1}, [Stream([0.01], at_s=[0.0, 0.001, 0.002])], 0.004)
    assert (load.waiting, load.busy_workers, load.workers) == (2, 1, 1)
    assert load.wait_s == pytest.approx(0.006 + 2 * 0.010)
    assert load.level == pytest.approx(1 + 0.026 / 0.010)


def test_waiting_work_is_in_full_batches_over_the_workers():
    spec = {"max_batch": 2, "workers": 2}
    load = load_at(spec, [Stream([0.01, 0.014], at_s=[0.0, 0.001, 0.002, 0.003, 0.004])], 0.005)
    assert load.wait_s == pytest.approx((0.005 + 0.006 + 0.014 + 0.010) / 2)


def test_no_wait_while_a_worker_is_free():
    load = load_at({"max_batch": 1, "workers": 2}, [Stream([0.01], at_s=[0.0])], 0.004)
    assert (load.busy_workers, load.wait_s, load.level) == (1, 0.0, 1.0)


def test_a_gathering_batch_is_work_to_come():
    spec = {"max_batch": 4, "max_wait_s": 0.1}
    load = load_at(spec, [Stream([0.01, 0.013, 0.016, 0.019], at_s=[0.0, 0.001])], 0.002)
    assert (load.waiting, load.busy_workers) == (2, 0)
    assert load.wait_s == pytest.approx(0.013)


def run(report, streams, questions_s):
    """Known loads at those times, and the loads a real periodic reporter would have seen."""
    spec = {"workers": 2, "max_batch": 3, "max_wait_s": 0.004, "report": report}
    env = simpy.Environment()
    plans = {str(n): stream.plan() for n, stream in enumerate(streams)}
    edge = EdgeServer(env, Edge.model_validate(spec), plans, idle_w=1.0, compute_w=2.0)
    reported, seen = [], []

    def arrivals():
        for n, stream in enumerate(streams):
            for time_s in stream.times_s(200, 5, n):
                env.process(arrive(float(time_s), str(n)))
        yield env.timeout(0)

    def arrive(time_s, point):
        yield env.timeout(time_s)
        yield from edge.answer(Request(0, 0, 0, "g", point, "raw", 0, time_s))

    def reporter():
        while env.now < questions_s[-1]:
            seen.append(edge.load())
            yield env.timeout(report["period_s"])

    def asker():
        for time_s in questions_s:
            yield env.timeout(time_s - env.now)
            reported.append(edge.reports.latest(env.now))

    env.process(arrivals())
    env.process(asker())
    env.process(reporter())
    env.run(until=questions_s[-1] + 1e-9)
    return reported, seen


def test_reports_are_those_of_a_real_reporter_known_later():
    report = {"period_s": 0.03, "delay_s": 0.07}
    streams = [Stream([0.01, 0.014, 0.018], 120.0), Stream([0.02, 0.03, 0.04], 30.0)]
    questions_s = sorted(generator(11).uniform(0.0, 1.5, 300))
    reported, seen = run(report, streams, questions_s)
    assert sum(load.waiting > 0 for load in reported) > 30
    for time_s, load in zip(questions_s, reported, strict=True):
        number = int((time_s - 0.07) // 0.03)
        expected = Load(0, 0, 2, 0.0, 1.0) if number < 0 else seen[number]
        assert (load.waiting, load.busy_workers) == (expected.waiting, expected.busy_workers)
        assert load.wait_s == pytest.approx(expected.wait_s, abs=1e-9)
        assert load.level == pytest.approx(expected.level, abs=1e-6)


def test_a_server_that_was_never_asked_keeps_little():
    driven = drive(Edge(max_batch=1), [Stream([0.01], 80.0)], count=3000)
    assert 1 <= len(driven.edge.reports) < 5
