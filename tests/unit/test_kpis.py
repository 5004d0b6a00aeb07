"""KPIs by the names users give them, conditions on them, and the designs that none beats."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.kpis import (
    Interval,
    higher_is_better,
    kpi_column,
    kpi_of,
    parse_condition,
    parse_conditions,
)
from simsplit.pareto import non_dominated

ROW = {
    "operating_point": "jpeg",
    **{"score_miou": 0.6, "score_miou_ci_low": 0.5, "score_miou_ci_high": 0.7},
    **{"latency_s": 0.1, "latency_s_ci_low": 0.09, "latency_s_ci_high": 0.11},
    **{"latency_p95_s": 0.2, "latency_p95_s_ci_low": None, "latency_p95_s_ci_high": None},
    **{"deadline_met": 0.98, "deadline_met_ci_low": 0.97, "deadline_met_ci_high": 0.995},
}


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("accuracy", "score_miou"),
        ("latency_s", "latency_s"),
        ("latency_s.mean", "latency_s"),
        ("latency_s.p95", "latency_p95_s"),
        ("latency_p95_s", "latency_p95_s"),
    ],
)
def test_a_kpi_by_any_of_its_names(name: str, column: str) -> None:
    assert kpi_column(name, list(ROW)) == column


@pytest.mark.parametrize(
    "name", ["latency", "latency_s.p42", "operating_point", "score_miou_ci_low"]
)
def test_what_is_no_kpi(name: str) -> None:
    with pytest.raises(ScenarioError, match="latency_s"):
        kpi_column(name, list(ROW))


def test_a_complement_turns_the_interval_round() -> None:
    found = kpi_of(ROW, "deadline_misses")
    assert (found.mean, found.low, found.high) == pytest.approx((0.02, 0.005, 0.03))
    assert math.isnan(kpi_of(ROW, "latency_s.p95").low)


def test_which_way_is_better() -> None:
    assert higher_is_better("accuracy") and higher_is_better("score_psnr_db")
    assert not higher_is_better("score_disparity_rmse_px") and not higher_is_better("energy_j")


def test_conditions() -> None:
    found = parse_conditions("accuracy >= 0.6, latency_s.p99 <= 0.1 and deadline_misses<=1%")
    assert [(c.kpi, c.is_upper, c.bound) for c in found] == [
        ("accuracy", False, 0.6), ("latency_s.p99", True, 0.1), ("deadline_misses", True, 0.01),
    ]  # fmt: skip
    limit = parse_condition("energy_j <= 2")
    assert limit.certain(Interval(1, 0.5, 1.5)) is True
    assert limit.certain(Interval(3, 2.5, 3.5)) is False
    assert limit.certain(Interval(2, 1.5, 2.5)) is None
    assert limit.certain(Interval(1, math.nan, math.nan)) is None


@pytest.mark.parametrize("text", ["energy_j", "energy_j = 1", "<= 1", "energy_j <= x", "a <= nan"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ScenarioError, match="condition"):
        parse_condition(text)


def test_non_dominated_against_the_definition() -> None:
    costs = np.random.default_rng(3).integers(0, 6, (60, 3)).astype(float)
    costs[7] = np.nan
    kept = non_dominated(costs)
    for i, row in enumerate(costs):
        beaten = any(
            all(a <= b for a, b in zip(other, row, strict=True)) and tuple(other) != tuple(row)
            for other in costs
        )
        assert kept[i] == (i != 7 and not beaten)
