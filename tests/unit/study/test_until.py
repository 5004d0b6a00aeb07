"""Targets of interval widths: their text, when they are met, how many replications come next."""

from __future__ import annotations

import math

import pytest

from simsplit.errors import ScenarioError
from simsplit.results.kpis import Interval
from simsplit.study.until import (
    SAFETY,
    Target,
    next_replications,
    parse_until,
    unmet,
    widest,
)

NONE = (None, None, None)


def row(name: str, replications: int = 10, **kpis: tuple[float | None, ...]) -> dict:
    """A flat row; each KPI as (mean, low, high)."""
    found: dict = {"operating_point": name, "replications": replications}
    for kpi, values in kpis.items():
        found |= zip((kpi, f"{kpi}_ci_low", f"{kpi}_ci_high"), values, strict=True)
    return found


ROWS = [
    row("jpeg", score_accuracy=(0.9, 0.85, 0.95), latency_p95_s=(0.1, 0.09, 0.11)),
    row("jscc", score_accuracy=(0.8, 0.79, 0.81), latency_p95_s=(0.2, 0.17, 0.23)),
]


def test_targets_read_as_written() -> None:
    found = parse_until("accuracy:0.01, latency_s.p95 : 5 %")
    assert found == (Target("accuracy", 0.01), Target("latency_s.p95", 0.05, is_relative=True))
    assert parse_until(",".join(map(str, found))) == found
    assert parse_until(str(Target("energy_j", 0.0123456789))) == (Target("energy_j", 0.0123456789),)


@pytest.mark.parametrize(
    "text", ["", "accuracy", "accuracy=0.1", ":0.1", "accuracy:x", "accuracy:5%%", "accuracy:1,"]
)
def test_another_form_is_refused_with_the_form(text: str) -> None:
    with pytest.raises(ScenarioError, match="a target reads KPI:half-width") as caught:
        parse_until(text)
    assert text.split(",")[-1] in str(caught.value)


@pytest.mark.parametrize("width", ["0", "-1", "nan", "inf", "-5%"])
def test_a_width_must_be_above_zero(width: str) -> None:
    with pytest.raises(ScenarioError, match="above 0"):
        parse_until(f"accuracy:{width}")


def test_a_kpi_has_one_target() -> None:
    with pytest.raises(ScenarioError, match="two targets"):
        parse_until("accuracy:0.1,accuracy:5%")


@pytest.mark.parametrize(
    ("target", "interval", "met"),
    [
        (Target("x", 0.5), Interval(7, 6.5, 7.5), True),
        (Target("x", 0.5), Interval(7, 6.4, 7.6), False),
        (Target("x", 0.05, True), Interval(-10, -10.5, -9.5), True),
        (Target("x", 0.05, True), Interval(-10, -10.6, -9.4), False),
        (Target("x", 0.05, True), Interval(0, 0, 0), True),
        (Target("x", 0.05, True), Interval(0, -1e-9, 1e-9), False),
        (Target("x", 0.5), Interval(1, math.nan, math.nan), False),
        (Target("x", 0.5, True), Interval(math.nan, math.nan, math.nan), False),
    ],
)
def test_met_means_half_width_within_the_allowed(
    target: Target, interval: Interval, met: bool
) -> None:
    assert target.met(interval) is met


def test_every_operating_point_must_meet_every_target() -> None:
    targets = parse_until("accuracy:0.02,latency_s.p95:12%")
    found = {(one.operating_point, one.kpi): one for one in unmet(ROWS, targets)}
    assert set(found) == {("jpeg", "accuracy"), ("jscc", "latency_s.p95")}
    tail = found["jscc", "latency_s.p95"]
    assert tail[2:] == (pytest.approx(0.03), pytest.approx(0.024))
    assert unmet(ROWS, parse_until("accuracy:0.06,latency_s.p95:16%")) == []
    worst = widest(ROWS, parse_until("accuracy:0.06,latency_s.p95:16%"))
    assert [one.operating_point for one in worst] == ["jpeg", "jscc"]


def test_without_value_or_interval_a_target_is_unmet() -> None:
    rows = [row("a", latency_s=(1.0, None, None)), row("b", latency_s=NONE)]
    targets = parse_until("latency_s:9")
    assert [one.operating_point for one in unmet(rows, targets)] == ["a", "b"]
    assert widest([*rows, row("c", latency_s=(1, 0, 2))], targets)[0].operating_point in "ab"


def test_an_unknown_kpi_is_named_with_the_choices() -> None:
    with pytest.raises(ScenarioError, match="latency_p95_s"):
        unmet(ROWS, parse_until("latency_p96_s:1"))


def test_a_complement_is_as_wide_as_what_it_complements() -> None:
    rows = [row("a", deadline_met=(0.99, 0.98, 1.0))]
    (one,) = unmet(rows, parse_until("deadline_misses:5%"))
    assert one.half_width == pytest.approx(0.01) and one.allowed == pytest.approx(0.0005)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("accuracy:0.05", 10),  # met: none more
        ("accuracy:0.045", math.ceil(10 * SAFETY * (0.05 / 0.045) ** 2)),
        ("accuracy:0.0499,latency_s.p95:13%", math.ceil(10 * SAFETY * (15 / 13) ** 2)),  # the worst
        ("accuracy:0.001", 20),  # never more than twice as many
    ],
)
def test_next_replications_follow_the_square_of_the_half_width(text: str, expected: int) -> None:
    assert next_replications(10, ROWS, parse_until(text), 100) == expected


def test_next_replications_end_at_the_largest_and_grow_by_one_at_least() -> None:
    assert next_replications(10, ROWS, parse_until("accuracy:0.001"), 13) == 13
    single = [row("a", latency_s=(1.0, 0.5, 1.5))]
    assert next_replications(1, single, parse_until("latency_s:0.4999999"), 9) == 2
    missing = [row("a", latency_s=(1.0, None, None))]
    assert next_replications(10, missing, parse_until("latency_s:1"), 100) == 20
    zero = [row("a", latency_s=(0.0, -1.0, 1.0))]
    assert next_replications(10, zero, parse_until("latency_s:5%"), 100) == 20
