"""Validation: the edge server and the cloud against queueing theory, beyond `simsplit validate`.

First the closed forms of `simsplit.study.known_queues` against others of their kind, then the
engine against recursions over the same arrivals (exact) and closed forms (99 % intervals, fixed
seeds).
"""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest

from simsplit.scenario.edge import Edge
from simsplit.seeds import generator
from simsplit.study import known_queues as theory
from simsplit.study.known_queues import WARM_UP, ExponentialSeconds, Stream, drive, waits_s
from simsplit.study.queueing import bulk_queue, erlang_c, loss_mmck, wait_mdc_s, waits_cobham_s
from simsplit.study.worlds import interval_case

# --- the closed forms themselves --------------------------------------------------------------


def test_crommelin_with_one_worker_is_pollaczek_khinchine():
    assert wait_mdc_s(1, 0.01, 80.0) == pytest.approx(0.8 * 0.01 / (2 * 0.2), rel=1e-9)


@pytest.mark.parametrize("workers", [2, 4, 8])
@pytest.mark.parametrize("rho", [0.7, 0.9])
def test_crommelin_against_cosmetatos(workers, rho):
    """Wq(D) ~ (1 + (1-rho)(c-1)(sqrt(4+5c)-2)/(16 rho c)) Wq(M) / 2 (Cosmetatos 1976), 2 %."""
    service_s, offered = 0.02, workers * rho
    exponential_s = erlang_c(workers, offered) * service_s / (workers - offered)
    term = (1 - rho) * (workers - 1) * (math.sqrt(4 + 5 * workers) - 2) / (16 * rho * workers)
    exact_s = wait_mdc_s(workers, service_s, offered / service_s)
    assert exact_s == pytest.approx((1 + term) * exponential_s / 2, rel=0.02)


def test_loss_by_solving_the_chain():
    """Birth and death with rates lambda and min(n, c) mu, solved as linear equations."""
    workers, room, offered = 3, 4, 2.5
    size = workers + room + 1
    rates = np.diag(np.full(size - 1, offered), 1)
    rates += np.diag([float(min(n, workers)) for n in range(1, size)], -1)
    rates -= np.diag(rates.sum(axis=1))
    equations = np.vstack([rates.T, np.ones(size)])
    chain = np.linalg.lstsq(equations, np.append(np.zeros(size), 1.0), rcond=None)[0]
    assert loss_mmck(workers, room, offered) == pytest.approx(chain[-1])


def test_bulk_queue_of_one_is_pollaczek_khinchine_and_full_load_fills_batches():
    batch, wait_s = bulk_queue([0.01], 80.0)
    assert batch == pytest.approx(1.0)
    assert wait_s == pytest.approx(0.8 * 0.01 / (2 * 0.2), rel=1e-6)
    assert bulk_queue([0.01, 0.01], 190.0)[0] == pytest.approx(1.93, abs=0.03)


def test_cobham_conserves_work():
    """sum rho_k W_k does not depend on the order of service (Kleinrock 1976, eq. 3.16)."""
    rates_hz, services_s = [30.0, 20.0, 10.0], [0.01, 0.02, 0.015]
    loads = np.multiply(rates_hz, services_s)
    residual_s = float(np.dot(rates_hz, np.square(services_s))) / 2
    fifo_s = residual_s / (1 - loads.sum())
    waits = waits_cobham_s(rates_hz, services_s)
    assert float(loads @ waits) == pytest.approx(float(loads.sum() * fifo_s))


@pytest.mark.slow
def test_the_intervals_tell_models_apart():
    """M/M/3 is no M/D/3, batches of 4 none of 3, and 5 % slower is slower: all would be seen."""
    mmc = theory.edge_mmc()[0]
    assert not mmc.low <= wait_mdc_s(3, 0.02, 120.0) <= mmc.high
    bulk = theory.edge_bulk()
    slower = bulk_queue([0.0105, 0.01365, 0.0168, 0.01995], 150.0)[0]
    assert not bulk[0].low <= slower <= bulk[0].high
    smaller_s = bulk_queue([0.010, 0.013, 0.016], 150.0)[1]
    assert not bulk[1].low <= smaller_s <= bulk[1].high


# --- the same arrivals through a recursion: exact ---------------------------------------------


def kiefer_wolfowitz(arrivals_s, services_s, workers):
    """Starts of FIFO service with c workers (Kiefer & Wolfowitz, Trans. AMS 78, 1955)."""
    free_s = [0.0] * workers
    starts_s = []
    for arrival_s, service_s in zip(arrivals_s, services_s, strict=True):
        start_s = max(arrival_s, heapq.heappop(free_s))
        heapq.heappush(free_s, start_s + service_s)
        starts_s.append(start_s)
    return starts_s


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_fifo_of_two_kinds_follows_kiefer_and_wolfowitz(workers):
    kinds_s = {"0": 0.01, "1": 0.03}
    streams = [Stream([0.01], 30.0 * workers), Stream([0.03], 18.0 * workers)]
    spec = Edge(workers=workers, max_batch=1)
    rows = drive(spec, streams, count=2000, seed=workers).requests
    services_s = [kinds_s[r.operating_point] for r in rows]
    starts_s = kiefer_wolfowitz([r.arrival_s for r in rows], services_s, workers)
    assert [r.edge_start_s for r in rows] == pytest.approx(starts_s, rel=1e-9)


def test_deadline_admission_follows_lindley_with_balking():
    """One worker: in if the unfinished work found + own service <= deadline (Lindley 1952)."""
    spec = Edge.model_validate({"max_batch": 1, "admission": {"kind": "deadline"}})
    stream = Stream([0.01], 130.0, deadline_s=0.0345)
    rows = drive(spec, [stream], count=5000, seed=41).requests
    work_s, last_s, admitted = 0.0, 0.0, []
    for row in rows:
        work_s, last_s = max(0.0, work_s - (row.arrival_s - last_s)), row.arrival_s
        admitted.append(work_s + 0.01 <= 0.0345)
        work_s += 0.01 * admitted[-1]
    assert [r.status != "rejected" for r in rows] == admitted
    assert 0.6 < np.mean(admitted) < 0.95
    kept = [r for r in rows if r.status != "rejected"]
    assert all(r.edge_end_s - r.arrival_s <= 0.0345 + 1e-12 for r in kept)


def test_no_window_admits_more_than_the_bucket_gives():
    """Admitted in any window of w seconds <= burst + r w; and r in the long run under overload."""
    bucket = {"kind": "rate", "rate_hz": 40.0, "burst": 5}
    spec = Edge.model_validate({"workers": 9, "max_batch": 1, "admission": bucket})
    rows = drive(spec, [Stream([1e-3], 400.0)], count=20_000, seed=43).requests
    admitted_s = np.array([r.arrival_s for r in rows if r.status != "rejected"])
    for size in (2, 6, 20, 100):
        windows_s = admitted_s[size - 1 :] - admitted_s[: 1 - size]
        assert np.all(size <= 5 + 40.0 * windows_s + 1e-6)
    assert len(admitted_s) / rows[-1].arrival_s == pytest.approx(40.0, rel=0.005)


# --- order of service -------------------------------------------------------------------------


def missed(discipline, seed):
    streams = [
        Stream([0.01], 45.0, deadline_s=0.03, priority=1),
        Stream([0.01], 45.0, deadline_s=0.30),
    ]
    rows = drive(Edge(max_batch=1, discipline=discipline), streams, count=3000, seed=seed).requests
    late = [r.edge_end_s - r.arrival_s > r.deadline_s for r in rows[WARM_UP:]]
    return float(np.mean(late))


def test_earliest_deadline_first_misses_fewer_deadlines():
    """EDF maximises the share in time among disciplines without interruption and knowledge of
    service (Panwar, Towsley & Wolf 1988, for the like): paired over the same arrivals."""
    gains = [missed("fifo", seed) - missed("edf", seed) for seed in range(50, 60)]
    case = interval_case("gain", "> 0", 0.0, gains)
    assert case.low > 0.05


def test_order_does_not_change_the_mean_wait_of_like_jobs():
    """Same services, no idling: every order has the same mean (Kleinrock's conservation law)."""
    streams = [Stream([0.01], 40.0, priority=n, deadline_s=0.1 / (n + 1)) for n in range(2)]
    whole = [
        np.mean([r.edge_start_s - r.edge_arrival_s for r in driven.requests])
        for driven in (
            drive(Edge(max_batch=1, discipline=d), streams, count=1500)
            for d in ("fifo", "edf", "priority")
        )
    ]
    assert whole == pytest.approx([whole[0]] * 3)


def test_equal_deadlines_make_edf_first_come_first_served():
    stream = Stream([0.01], 90.0, deadline_s=0.05)
    rows = [
        [r.edge_end_s for r in drive(Edge(max_batch=1, discipline=d), [stream], count=800).requests]
        for d in ("fifo", "edf")
    ]
    assert rows[0] == rows[1]


# --- cloud and scaling ------------------------------------------------------------------------


def test_share_sent_to_the_cloud_is_the_loss_of_the_edge():
    """``when_full`` makes the edge an M/M/c/(c + room) whose losses are the cloud's arrivals."""
    workers, service_s, rate_hz, room = 2, 0.02, 110.0, 3
    cloud = {"hardware": "edge_gpu", "max_batch": 1, "workers": 90, "delay_s": 0.0}
    cloud |= {"offload": {"kind": "when_full", "waiting": room}}
    spec = Edge.model_validate({"workers": workers, "max_batch": 1, "cloud": cloud})
    shares = []
    for seed in range(60, 76):
        stream = Stream(ExponentialSeconds(service_s, generator(seed, 2)), rate_hz)
        rows = drive(spec, [stream], count=4000, seed=seed).requests[WARM_UP:]
        shares.append(float(np.mean([r.tier == "cloud" for r in rows])))
    expected = loss_mmck(workers, room, rate_hz * service_s)
    assert interval_case("share", "p_K", expected, shares).passed


def test_cloud_relieves_the_edge():
    stream = Stream([0.01], 95.0, cloud_s=[0.005], bits=1_000)
    cloud = {"hardware": "edge_gpu", "max_batch": 1, "offload": {"kind": "when_full", "waiting": 4}}
    alone = drive(Edge(max_batch=1), [stream], count=4000, seed=71)
    both = drive(
        Edge.model_validate({"max_batch": 1, "cloud": cloud}), [stream], count=4000, seed=71
    )
    assert both.station()["mean_wait_s"] < 0.5 * alone.station()["mean_wait_s"]


def test_scaling_between_equal_bounds_is_a_fixed_number_of_workers():
    scaling = {"kind": "queue", "min_workers": 3, "max_workers": 3}
    stream = Stream([0.02], 120.0)
    fixed = drive(Edge(workers=3, max_batch=1), [stream], count=1500)
    spec = Edge.model_validate({"workers": 3, "max_batch": 1, "scaling": scaling})
    scaled = drive(spec, [stream], count=1500)
    assert [r.edge_end_s for r in fixed.requests] == [r.edge_end_s for r in scaled.requests]


def test_instant_scaling_follows_the_load():
    """With no start-up and quick checks, worker-seconds on ~ offered load, and waits stay small."""
    scaling = {"kind": "queue", "max_workers": 20, "scale_up_at": 0.01, "check_period_s": 1e-3}
    scaling |= {"start_up_s": 0.0, "scale_down_after_s": 0.0}
    spec = Edge.model_validate({"max_batch": 1, "scaling": scaling})
    driven = drive(spec, [Stream([0.05], 100.0)], count=3000, seed=81)
    station, end_s = driven.station(), driven.edge.env.now
    assert station["busy_s"] / end_s == pytest.approx(5.0, rel=0.05)
    assert station["on_s"] == pytest.approx(station["busy_s"], rel=0.01)
    assert station["mean_wait_s"] < 1.1e-3


def test_start_up_delay_costs_waiting():
    scaling = {"kind": "queue", "max_workers": 6, "scale_up_at": 2.0, "scale_down_after_s": 0.3}
    waits = []
    for start_up_s in (0.0, 0.2, 1.0):
        spec = {"max_batch": 1, "scaling": scaling | {"start_up_s": start_up_s}}
        driven = drive(Edge.model_validate(spec), [Stream([0.05], 45.0)], count=2000, seed=83)
        waits.append(driven.station()["mean_wait_s"])
    assert waits == sorted(waits)
    assert waits[2] > 2 * waits[0]


# --- more points of the same curves -----------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "rho"), [(2, 0.6), (2, 0.9), (8, 0.8), (8, 0.95)])
def test_mdc_wait_and_utilisation(workers, rho):
    service_s = 0.02
    rate_hz = workers * rho / service_s
    waits, busy = [], []
    for seed in range(200, 220):
        spec = Edge(workers=workers, max_batch=1)
        driven = drive(spec, [Stream([service_s], rate_hz)], count=8000, seed=seed)
        waits.append(float(waits_s(driven.requests).mean()))
        busy.append(driven.station()["utilisation"])
    expected_s = wait_mdc_s(workers, service_s, rate_hz, 500)
    assert interval_case("wait", "Crommelin", expected_s, waits).passed
    assert interval_case("busy", "lambda E[S] / c", rho, busy).passed


@pytest.mark.slow
@pytest.mark.parametrize(("size", "rate_hz"), [(2, 120.0), (8, 300.0), (8, 420.0)])
def test_bulk_queue_over_loads(size, rate_hz):
    seconds = [0.008 + 0.001 * n for n in range(size)]
    batches, waits, busy = [], [], []
    for seed in range(240, 260):
        driven = drive(Edge(max_batch=size), [Stream(seconds, rate_hz)], count=8000, seed=seed)
        station = driven.station()
        batches.append(station["mean_batch"])
        busy.append(station["utilisation"])
        waits.append(float(waits_s(driven.requests).mean()))
    batch, wait_s = bulk_queue(seconds, rate_hz)
    assert interval_case("batch", "Bailey", batch, batches).passed
    assert interval_case("wait", "Bailey", wait_s, waits).passed
    per_job_s = 0.001 + 0.007 / batch  # seconds are affine in the batch: E[S(B)] / E[B]
    assert interval_case("busy", "lambda E[S(B)] / E[B]", rate_hz * per_job_s, busy).passed


@pytest.mark.slow
def test_three_priorities():
    rates_hz, services_s = [20.0, 30.0, 25.0], [0.01, 0.014, 0.01]
    streams = [
        Stream([s], rate, priority=-n)
        for n, (rate, s) in enumerate(zip(rates_hz, services_s, strict=True))
    ]
    means = [[], [], []]
    for seed in range(280, 300):
        spec = Edge(max_batch=1, discipline="priority")
        rows = drive(spec, streams, count=6000, seed=seed).requests
        rows = [r for r in rows if r.arrival_s < 190.0][WARM_UP:]
        for n, mean in enumerate(means):
            own = [r.edge_start_s - r.edge_arrival_s for r in rows if r.operating_point == str(n)]
            mean.append(float(np.mean(own)))
    for expected_s, values in zip(waits_cobham_s(rates_hz, services_s), means, strict=True):
        assert interval_case("wait", "Cobham", expected_s, values).passed
