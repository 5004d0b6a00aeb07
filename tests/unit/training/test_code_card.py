"""What cards of codes and networks say of scores."""

from __future__ import annotations

import math

import pytest
from scipy.stats import binomtest

from simsplit.training.card import interval
from simsplit.training.code_card import scored


@pytest.mark.parametrize("right", [0, 1, 57, 95, 96])
def test_right_or_wrong_has_an_exact_interval(right: int) -> None:
    """The independent program is scipy's own; all right is not certain."""
    ends = binomtest(right, 96).proportion_ci(0.95, method="exact")
    found = scored([1.0] * right + [0.0] * (96 - right))
    assert found["low_95"] == pytest.approx(ends.low, abs=1e-4)
    assert found["high_95"] == pytest.approx(ends.high, abs=1e-4)
    assert found["low_95"] < found["high_95"]


def test_other_scores_and_unknown_ones() -> None:
    assert scored([0.2, 0.4, 0.9]) == interval([0.2, 0.4, 0.9])
    assert scored([1.0, math.nan, 0.0])["mean"] == 0.5
