"""KPIs by the names users give them, conditions on them, and the designs that none beats."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.results.kpis import (
    Condition,
    Interval,
    kpi_column,
    kpi_of,
    non_dominated,
    parse_conditions,
)
from simsplit.results.metrics import higher_is_better
from simsplit.results.statistics import bounds_of, estimate

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


def parse_condition(text: str) -> Condition:
    (condition,) = parse_conditions(text)
    return condition


@pytest.mark.parametrize("text", ["energy_j", "energy_j = 1", "<= 1", "energy_j <= x", "a <= nan"])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ScenarioError, match="condition"):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("accuracy >= 2", r"a share lies between 0 and 1; did you mean 2 %\?"),
        ("deadline_misses <= 5", r"a share lies between 0 and 1; did you mean 5 %\?"),
        ("deadline_misses <= -1", r"a share lies between 0 and 1 \(found"),
        ("losses <= 150 %", r"a share lies between 0 and 1 \(found"),
        ("delivered >= 99", "did you mean 99 %"),
        ("deadline_met >= 99", "did you mean 99 %"),
        ("score_miou >= 60", "did you mean 60 %"),
        ("score_accuracy.mean >= 60", "did you mean 60 %"),
        ("score_pixel_accuracy >= 101", r"a share lies between 0 and 1 \(found"),
        ("score_accuracy_in_time >= 60", "did you mean 60 %"),
        ("latency_s.p99 <= -0.1", "latency_s.p99 is never negative"),
        ("latency_p99_s >= -0.1", "latency_p99_s is never negative"),
        ("edge_energy_j <= -2", "edge_energy_j is never negative"),
        ("payload_bits <= -1", "payload_bits is never negative"),
    ],
)
def test_bounds_that_a_kpi_cannot_reach_are_told(text: str, told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        parse_condition(text)


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("accuracy >= 1", 1.0),
        ("deadline_misses <= 0", 0.0),
        ("losses <= 100 %", 1.0),
        ("score_psnr_db >= 30", 30.0),
        ("score_psnr_db >= -3", -3.0),
        ("score_disparity_rmse_px <= 2", 2.0),
        ("latency_s <= 0", 0.0),
        ("papr_db <= -1", -1.0),
    ],
)
def test_bounds_at_the_ends_and_of_what_is_no_share(text: str, bound: float) -> None:
    assert parse_condition(text).bound == bound


def test_a_per_cent_sign_is_kept_for_people_and_not_in_keys() -> None:
    said = parse_condition("deadline_misses <= 2 %")
    assert (str(said), said.shown) == ("deadline_misses <= 0.02", "deadline_misses <= 2 %")
    assert said.shown_value(Interval(0.0123, 0.0103, 0.0143)) == "1.23 ± 0.2 %"
    assert said.shown_value(Interval(0.0, 0.0, 0.0362)) == "0 \N{MINUS SIGN}0 +3.6 %"
    assert said == parse_condition("deadline_misses <= 0.02")
    plain = parse_condition("deadline_misses <= 0.02")
    assert plain.shown == str(plain)
    assert plain.shown_value(Interval(0.0123, math.nan, math.nan)) == "0.0123"


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


def test_no_loss_in_a_hundred_does_not_surely_meet_one_in_a_thousand() -> None:
    delivered = estimate(
        np.ones(100), np.repeat(np.arange(5), 20), replicated=True, bounds=bounds_of("delivered")
    )
    row = {
        f"delivered{end}": delivered[key]
        for end, key in (("", "mean"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high"))
    }
    losses = kpi_of(row, "losses")
    assert losses.mean == losses.low == 0 and losses.high > 0.03
    assert parse_condition("losses <= 0.1 %").certain(losses) is None
    assert parse_condition("losses <= 20 %").certain(losses) is True
