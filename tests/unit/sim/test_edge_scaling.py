"""Unit: workers that come and go."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from simsplit.scenario.edge import Edge
from simsplit.study.known_queues import COMPUTE_W, IDLE_W, Stream, drive

SCALING = {
    "kind": "queue",
    "max_workers": 3,
    "scale_up_at": 2.0,
    "check_period_s": 0.1,
    "start_up_s": 0.5,
    "scale_down_after_s": 1.0,
}


def spec(workers=1, **scaling):
    edge = {"max_batch": 1, "workers": workers, "scaling": SCALING | scaling}
    return Edge.model_validate(edge)


def test_no_check_before_the_period_and_no_service_before_the_start_up():
    stream = Stream([1.0], at_s=[0.01] * 3)
    driven = drive(spec(max_workers=2), [stream], until_s=5.0)
    assert [r.edge_start_s for r in driven.requests[:2]] == pytest.approx([0.01, 0.1 + 0.5])


def test_as_many_workers_start_as_the_queue_asks_for():
    few = drive(spec(), [Stream([10.0], at_s=[0.01] * 3)], until_s=1.0).station()
    many = drive(spec(), [Stream([10.0], at_s=[0.01] * 6)], until_s=1.0).station()
    assert (few["starts"], many["starts"]) == (1, 2)


def test_workers_that_start_count_against_the_next_start():
    driven = drive(spec(start_up_s=2.0), [Stream([10.0], at_s=[0.01] * 3)], until_s=1.9)
    assert driven.station()["starts"] == 1


def test_never_above_the_most():
    driven = drive(spec(), [Stream([1.0], at_s=[0.01] * 50)], until_s=60.0)
    assert driven.station()["starts"] == 2
    assert {r.worker for r in driven.requests} == {0, 1, 2}


def test_idle_workers_go_off_down_to_the_least():
    driven = drive(spec(workers=3, min_workers=2), [Stream([0.1], at_s=[5.0])], until_s=10.0)
    station = driven.station()
    assert station["off_s"] == pytest.approx(9.0)
    assert driven.requests[0].edge_start_s == pytest.approx(5.0)


def test_the_last_one_to_work_is_called_first_so_that_the_others_can_go():
    times_s = [0.3 * n for n in range(1, 20)]
    driven = drive(spec(workers=3), [Stream([0.01], at_s=times_s)], until_s=6.0)
    assert len({r.worker for r in driven.requests}) == 1
    assert driven.station()["off_s"] == pytest.approx(2 * 5.0)


def test_states_fill_the_time_and_each_has_its_power():
    stream = Stream([0.05], 35.0)
    driven = drive(spec(scale_down_after_s=0.05), [stream], count=600, seed=3)
    end_s = float(driven.edge.env.now)
    station = driven.station()
    assert station["starts"] > 3
    on_s, starting_s = station["on_s"], station["starting_s"]
    assert on_s + starting_s + station["off_s"] == pytest.approx(3 * end_s)
    assert station["busy_s"] == pytest.approx(600 * 0.05)
    expected_j = IDLE_W * (on_s - 30.0 + starting_s) + COMPUTE_W * 30.0
    assert station["total_j"] == pytest.approx(expected_j)
    assert station["utilisation"] == pytest.approx(30.0 / on_s)


def test_nobody_is_lost_while_workers_come_and_go():
    driven = drive(spec(scale_down_after_s=0.0, start_up_s=0.03), [Stream([0.05], 50.0)], count=500)
    assert all(r.edge_end_s == pytest.approx(r.edge_start_s + 0.05) for r in driven.requests)


def test_the_simulation_can_end():
    driven = drive(spec(), [Stream([0.5], at_s=[0.01] * 8)])
    assert driven.edge.env.now < 10.0


@pytest.mark.parametrize(
    ("workers", "scaling"),
    [(4, {}), (1, {"min_workers": 2}), (1, {"min_workers": 4}), (1, {"check_period_s": 0.0})],
)
def test_bad_scaling_is_refused(workers, scaling):
    with pytest.raises(ValidationError):
        spec(workers, **scaling)
