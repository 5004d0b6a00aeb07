"""Unit: who is let in at the edge server."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from simsplit.scenario.edge import Edge
from simsplit.sim.edge.admission import TokenBucket
from simsplit.study.known_queues import Stream, drive

DEADLINE = {"kind": "deadline"}


def statuses(spec, streams):
    return [r.status == "rejected" for r in drive(Edge.model_validate(spec), streams).requests]


def test_bucket_starts_full_and_fills_at_its_rate():
    bucket = TokenBucket(10.0, 2)
    times_s = [0.0, 0.0, 0.0, 0.05, 0.1, 0.15, 0.2, 5.0, 5.0, 5.0]
    taken = [bucket.take(time_s) for time_s in times_s]
    assert taken == [True, True, False, False, True, False, True, True, True, False]


def test_refused_by_rate_closes_as_rejected():
    spec = {"admission": {"kind": "rate", "rate_hz": 10.0, "burst": 1}}
    assert statuses(spec, [Stream([1e-3] * 8, at_s=[0.0, 0.05, 0.1, 0.11])]) == [
        False, True, False, True,
    ]  # fmt: skip


def test_no_token_is_spent_on_a_request_for_which_there_is_no_room():
    spec = {"max_batch": 1, "queue_capacity": 0}
    spec["admission"] = {"kind": "rate", "rate_hz": 0.1, "burst": 2}
    assert statuses(spec, [Stream([0.01], at_s=[0.0, 0.001, 0.02])]) == [False, True, False]


def test_refused_if_the_work_ahead_makes_it_late():
    spec = {"max_batch": 1, "admission": DEADLINE}
    stream = Stream([0.010], at_s=[0.0, 0.001, 0.002], deadline_s=0.0195)
    assert statuses(spec, [stream]) == [False, False, True]
    tighter = Stream([0.010], at_s=[0.0, 0.001, 0.002], deadline_s=0.0185)
    assert statuses(spec, [tighter]) == [False, True, False]
    assert statuses(spec, [Stream([0.010], at_s=[0.0, 0.001, 0.002])]) == [False] * 3


def test_only_work_that_goes_first_counts():
    spec = {"max_batch": 1, "admission": DEADLINE, "discipline": "edf"}
    patient = Stream([0.010], at_s=[0.0, 0.001, 0.002], deadline_s=1.0)
    urgent = Stream([0.010], at_s=[0.003], deadline_s=0.018)
    assert statuses(spec, [patient, urgent]) == [False] * 4
    assert statuses(spec | {"discipline": "fifo"}, [patient, urgent])[3]


def test_own_batch_is_the_one_it_would_join():
    spec = {"max_batch": 2, "admission": DEADLINE}
    seconds = [0.010, 0.014]
    first = Stream(seconds, at_s=[0.0, 0.001], tail="t")
    joins = Stream(seconds, at_s=[0.002], deadline_s=0.0221, tail="t")
    assert statuses(spec, [first, joins]) == [False] * 3  # ends at 0.010 + 0.014
    joins = Stream(seconds, at_s=[0.002], deadline_s=0.0219, tail="t")
    assert statuses(spec, [first, joins])[2]


def test_a_gathering_batch_says_when_it_will_start():
    spec = {"max_batch": 3, "max_wait_s": 0.02, "admission": DEADLINE}
    seconds = [0.010, 0.012, 0.014]
    first = Stream(seconds, at_s=[0.0], tail="t")
    joins = Stream(seconds, at_s=[0.001], deadline_s=0.0312, tail="t")
    assert statuses(spec, [first, joins]) == [False, False]  # ends at 0.020 + 0.012
    joins = Stream(seconds, at_s=[0.001], deadline_s=0.0308, tail="t")
    assert statuses(spec, [first, joins]) == [False, True]


def test_the_wait_for_company_counts():
    spec = {"max_batch": 2, "max_wait_s": 0.05, "admission": DEADLINE}
    assert statuses(spec, [Stream([0.01, 0.01], at_s=[0.0], deadline_s=0.055)]) == [True]
    assert statuses(spec, [Stream([0.01, 0.01], at_s=[0.0], deadline_s=0.065)]) == [False]


@pytest.mark.parametrize(
    "admission",
    [{"kind": "rate"}, {"kind": "rate", "rate_hz": 0.0}, {"kind": "deadline", "margin_s": 1.0}],
)
def test_bad_admission_is_refused(admission):
    with pytest.raises(ValidationError):
        Edge.model_validate({"admission": admission})
