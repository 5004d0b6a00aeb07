"""Validation: the real engine against closed forms (formulas, seeds: simsplit/validate.py)."""

from __future__ import annotations

import pytest

from simsplit.study import known_queues as validate_edge
from simsplit.study import validate
from simsplit.study.queueing import erlang_c


@pytest.mark.parametrize("make", validate.CASES, ids=lambda make: make.__name__)
def test_closed_form_lies_inside_the_measured_interval(make):
    for case in make():
        assert case.passed, case


def test_erlang_c_reduces_to_m_m_1():
    assert erlang_c(1, 0.7) == pytest.approx(0.7)


def test_a_wrong_closed_form_is_caught():
    """M/M/1's wait is twice M/D/1's: the interval must be narrow enough to tell them apart."""
    case = validate_edge.edge_md1()[0]
    assert not case.low <= 2 * case.expected <= case.high
