"""Paired comparison: what is paired with what, what is said, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import synthetic
from simsplit.errors import ScenarioError
from simsplit.results.compare import Comparison, Difference, compare
from simsplit.results.intervals import (
    UNBOUNDED,
    Estimated,
    difference_ends,
    estimated,
    student_t,
    variance_ratio,
)
from simsplit.results.sides import side, sides
from simsplit.results.store import Result
from simsplit.results.summary import summarise


def _result(rows: pd.DataFrame | None = None, **changes: Any) -> Result:
    rows = synthetic.requests(100) if rows is None else rows
    return Result(None, synthetic.scenario(**changes), rows, {}, {})


def _slower(rows: pd.DataFrame, by_s: float = 0.001) -> pd.DataFrame:
    return rows.assign(latency_s=rows["latency_s"] + by_s)


def _one(found: Comparison, kpi: str) -> Difference:
    return next(one for one in found.differences if one.kpi == kpi)


def _compared(a: Result, b: Result, *parts: str, **options: Any) -> Comparison:
    return compare(*sides(a, b, *parts), **options)


# --- by requests ------------------------------------------------------------------------------


def test_one_run_each_is_paired_by_request() -> None:
    rows = synthetic.requests(100)
    found = _compared(_result(rows), _result(_slower(rows)))
    assert found.paired
    assert found.pairing.startswith("paired by 400 requests")
    latency = _one(found, "latency_s")
    assert (latency.low, latency.high) == pytest.approx((0.001, 0.001))
    assert latency.variance_ratio == pytest.approx(0, abs=1e-9)
    assert (latency.pieces, latency.verdict) == (20, "higher")
    assert _one(found, "latency_p95_s").difference == pytest.approx(0.001)
    assert _one(found, "energy_j").verdict == "no difference"


def test_the_order_of_rows_and_ids_does_not_matter() -> None:
    rows = synthetic.requests(100)
    other = _slower(rows).sample(frac=1, random_state=1)
    other["request_id"] = np.arange(len(other))
    latency = _one(_compared(_result(rows), _result(other)), "latency_s")
    assert (latency.low, latency.high) == pytest.approx((0.001, 0.001))


def test_devices_in_phase_are_told_apart() -> None:
    rows = synthetic.requests(100)
    rows["arrival_s"] = (rows["request_id"] // 8).astype(float)
    rows["device"] = rows["request_id"] % 8
    rows["latency_s"] = 0.01 * (1 + rows["device"])
    other = _slower(rows).sort_values("device", ascending=False)
    other["request_id"] = np.arange(len(other))
    found = _compared(_result(rows), _result(other))
    assert found.pairing.startswith("paired by 400 requests")
    p50 = _one(found, "latency_p50_s")
    assert (p50.low, p50.high) == pytest.approx((0.001, 0.001))
    twins = pd.concat([rows, rows])  # the same device twice at the same time
    assert _compared(_result(twins), _result(twins)).pairing.startswith("paired by 800")


def test_tails_need_enough_requests() -> None:
    rows = synthetic.requests(100)  # 380 answered: 19 beyond the p95, 4 beyond the p99
    found = _compared(_result(rows), _result(_slower(rows)))
    assert _one(found, "latency_p95_s").pieces == 20
    assert _one(found, "latency_p99_s").verdict == "no interval"


def test_batches_are_of_the_same_requests_by_hand() -> None:
    rows = synthetic.requests(100)
    rng = np.random.default_rng(1)
    other = rows.assign(energy_j=rows["energy_j"] + rng.normal(0.01, 0.005, len(rows)))
    energy = _one(_compared(_result(rows), _result(other)), "energy_j")
    ordered = (other["energy_j"] - rows["energy_j"])[rows["arrival_s"].sort_values().index]
    batches = ordered.to_numpy().reshape(20, 20).mean(axis=1)
    half = 2.0930 * batches.std(ddof=1) / math.sqrt(20)
    assert energy.difference == pytest.approx(ordered.mean())
    assert energy.high - energy.low == pytest.approx(2 * half, rel=0.05)  # but for the skewness


def test_differences_are_those_of_the_summaries_though_other_requests_are_lost() -> None:
    rows = synthetic.requests(100)
    other = rows.copy()
    slow = other["latency_s"] > other["latency_s"].quantile(0.7)
    other.loc[slow, "latency_s"] = np.nan
    found = _compared(_result(rows), _result(other))
    made = synthetic.scenario()
    a, b = (summarise(made, r, synthetic.stations())["overall"] for r in (rows, other))
    for kpi in ("latency_s", "latency_p50_s", "score_miou", "delivered"):
        assert _one(found, kpi).a == pytest.approx(a[kpi]["mean"])
        assert _one(found, kpi).b == pytest.approx(b[kpi]["mean"])
    assert _one(found, "latency_s").verdict == "lower"


def test_a_few_requests_without_partner_are_left_out_many_are_not_paired() -> None:
    rows = synthetic.requests(100)
    few = _compared(_result(rows), _result(rows[rows["request_id"] >= 12]))
    assert few.paired
    assert "12 requests without a partner are left out" in few.notes
    assert all(one.difference == 0 for one in few.differences)
    many = _compared(_result(rows), _result(rows[rows["request_id"] >= 24]))
    assert not many.paired
    assert "of 400 and 376 requests 376 have the same device and arrival" in many.pairing
    assert any("share a seed" in note for note in many.notes)


def test_runs_of_other_lengths_are_paired_where_both_measure() -> None:
    rows = synthetic.requests(100)
    found = _compared(_result(rows, duration_s=60.0), _result(_slower(rows), warmup_s=20.0))
    inside = rows["arrival_s"].between(20, 60, inclusive="left").sum()
    assert found.pairing.startswith(f"paired by {inside} requests")
    assert _one(found, "latency_s").low == pytest.approx(0.001)


def test_too_few_requests_have_no_interval() -> None:
    rows = synthetic.requests(2)
    found = _compared(_result(rows), _result(_slower(rows)))
    latency = _one(found, "latency_s")
    assert latency.verdict == "no interval"
    assert math.isnan(latency.low) and math.isnan(latency.high)


# --- by replications --------------------------------------------------------------------------


def test_replications_of_one_seed_are_paired() -> None:
    rows = synthetic.requests(50, replications=4)
    other = rows.assign(energy_j=rows["energy_j"] + 0.01 * (1 + rows["replication"]))
    found = _compared(_result(rows), _result(other))
    assert found.pairing.startswith("paired by 4 replications")
    energy = _one(found, "energy_j")
    half = 3.1824 * np.std([0.01, 0.02, 0.03, 0.04], ddof=1) / 2
    assert (energy.low, energy.high) == pytest.approx((0.025 - half, 0.025 + half), rel=1e-4)
    assert energy.pieces == 4


def test_only_the_replications_of_both_count() -> None:
    rows = synthetic.requests(50, replications=4)
    three = rows[rows["replication"] > 0]
    found = _compared(_result(rows), _result(three))
    assert found.pairing.startswith("paired by 3 replications")
    assert "200 requests of replications that one side has alone" in found.notes
    assert all(one.difference == 0 for one in found.differences)
    one = _compared(_result(rows), _result(rows[rows["replication"] == 2]))
    assert one.pairing.startswith("paired by 200 requests")
    apart = [rows[rows["replication"] == r] for r in (1, 2)]
    none = _compared(_result(apart[0]), _result(apart[1]))
    assert "no replication in common" in none.pairing


def test_other_seeds_are_unpaired_and_said_so() -> None:
    rows = synthetic.requests(50, replications=4)
    found = _compared(_result(rows), _result(_slower(rows), seed=2))
    assert not found.paired
    assert found.pairing == (
        "unpaired: the seeds differ (1 and 2); Welch's interval over 4 replications"
    )
    latency = _one(found, "latency_s")
    assert math.isnan(latency.variance_ratio)
    assert latency.high > latency.difference > latency.low
    assert "B's scenario has seed 1 → 2" in found.notes


def test_parts_of_one_result_are_paired_by_its_replications() -> None:
    result = _result(synthetic.requests(50, replications=4))
    found = compare(*sides(result, None, "jpeg", "entropy"))
    assert found.paired
    assert (found.a, found.b) == ("toy jpeg", "toy entropy")
    assert _one(found, "payload_bits").difference == 9_000 - 24_000
    assert _one(found, "payload_bits").verdict == "lower"


# --- formulas ---------------------------------------------------------------------------------


def _of(*numbers: float) -> Estimated:
    """One request in every piece."""
    return estimated([np.array([number]) for number in numbers], None, UNBOUNDED)


def test_paired_and_welch_by_hand() -> None:
    a, b = np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.5, 3.5, 5.0])  # 1, .5, .5, 1
    half = student_t(3) * np.std(b - a, ddof=1) / 2
    ends = difference_ends(_of(*a), _of(*b), 0.95, is_paired=True)
    assert ends == pytest.approx((0.75 - half, 0.75 + half))
    ratio = variance_ratio(_of(*a), _of(*b))
    assert ratio == pytest.approx(np.var(b - a) / (np.var(a) + np.var(b)))
    c = np.array([5.0, 9.0])  # textbook: df of Welch and Satterthwaite
    parts = [np.var(a, ddof=1) / 4, np.var(c, ddof=1) / 2]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 1)
    half = stats.t.ppf(0.95, freedom) * sum(parts) ** 0.5
    ends = difference_ends(_of(*a), _of(*c), 0.9, is_paired=False)
    assert ends == pytest.approx((4.5 - half, 4.5 + half))


def test_shares_that_never_differed_may_differ() -> None:
    """The same answers on both sides: neither that it is certain nor that it may be anything."""
    rows = synthetic.requests(50, replications=4)
    for changed in (rows.assign(delivered=True), rows):
        delivered = _one(_compared(_result(changed), _result(changed)), "delivered")
        assert delivered.low == -delivered.high
        assert 3.6 / len(rows) < delivered.high < 3.7 / (len(rows) * 0.37)  # (z / t)^2 for t_3
    assert delivered.verdict == "no difference"


@pytest.mark.parametrize(
    ("b", "low", "high", "said"),
    [
        (1.2, 0.1, 0.3, "higher"),
        (0.8, -0.3, -0.1, "lower"),
        (1.1, -0.1, 0.3, "no difference"),
        (1 + 1e-12, 1e-13, 2e-12, "no difference"),  # rounding
        (1.1, math.nan, math.nan, "no interval"),
    ],
)
def test_verdicts(b: float, low: float, high: float, said: str) -> None:
    assert Difference("kpi", 1.0, b, low, high, 1.0, 5).verdict == said


def test_a_family_has_wider_intervals() -> None:
    rows = synthetic.requests(50, replications=4)
    noise = np.random.default_rng(0).normal(0, 0.01, len(rows))
    pair = _result(rows), _result(rows.assign(energy_j=rows["energy_j"] + noise))
    kpis = ["energy_j", "latency_s.p95", "accuracy", "losses"]
    alone, family = (_compared(*pair, kpis=kpis, family=one) for one in (False, True))
    assert [one.kpi for one in family.differences] == [
        "energy_j", "latency_p95_s", "score_miou", "losses",
    ]  # fmt: skip
    assert (alone.confidence, family.confidence) == pytest.approx((0.95, 1 - 0.05 / 4))
    widths = [one.differences[0].high - one.differences[0].low for one in (alone, family)]
    assert 1.3 < widths[1] / widths[0] < 1.8  # student_t(3, 1 - 0.05 / 4) / student_t(3) = 1.69
    assert any("4 KPIs at 95 % each" in note for note in alone.notes)
    assert any("98.75 %" in note for note in family.notes)


def test_losses_are_what_did_not_arrive() -> None:
    found = _compared(_result(), _result(), kpis=["losses", "delivered"])
    assert found.differences[0].a == pytest.approx(1 - found.differences[1].a)
    assert found.differences[0].a > 0


def test_kpis_of_one_side_alone_are_named() -> None:
    rows = synthetic.requests(100)
    found = _compared(_result(rows), _result(rows.drop(columns="score_psnr_db")))
    assert "only on one side, not compared: score_psnr_db" in found.notes
    assert "papr_db" not in {one.kpi for one in found.differences}  # on neither
    with pytest.raises(ScenarioError, match="Did you mean 'energy_j'"):
        _compared(_result(rows), _result(rows), kpis=["enrgy_j"])


def test_what_the_scenarios_differ_in_is_told_briefly() -> None:
    found = _compared(_result(), _result(duration_s=90.0, drain_s=3.0))
    assert found.notes[0].startswith("B's scenario has duration_s 100.0 → 90.0, drain_s")


# --- sides ------------------------------------------------------------------------------------


def test_parts_are_operating_points_or_groups() -> None:
    result = _result()
    jpeg = side(result, "jpeg").rows
    assert set(jpeg["operating_point"]) == {"jpeg"}
    assert side(result, "g_jpeg").rows.equals(jpeg)
    assert side(result, "group:g_jpeg").rows.equals(jpeg)
    with pytest.raises(ScenarioError, match="Did you mean 'jpeg'"):
        side(result, "jpg")
    with pytest.raises(ScenarioError, match="no request"):
        side(_result(synthetic.requests(100).query("scheme != 'raw'")), "jpeg")


def test_a_name_of_both_kinds_must_mean_the_same_requests() -> None:
    scenario = synthetic.scenario()
    groups = [g.model_copy(update={"name": g.name[2:]}) for g in scenario.devices]
    same = synthetic.requests(100).assign(group=lambda rows: rows["operating_point"])
    named = scenario.model_copy(update={"devices": groups})
    assert len(side(Result(None, named, same, {}, {}), "jpeg").rows) == 100
    other = same.assign(group=np.where(same["request_id"] % 2, "jpeg", same["group"]))
    mixed = Result(None, named, other, {}, {})
    with pytest.raises(ScenarioError, match="operating_point:jpeg, group:jpeg"):
        side(mixed, "jpeg")
    assert len(side(mixed, "operating_point:jpeg").rows) == 100
    assert len(side(mixed, "group:jpeg").rows) > 100


def test_what_to_compare_must_be_said() -> None:
    result = _result()
    for of in (None, "jpeg"):
        with pytest.raises(ScenarioError, match="--of NAME --with NAME"):
            sides(result, None, of)
    with pytest.raises(ScenarioError, match="--with needs --of"):
        sides(result, result, None, "jpeg")
    a, b = sides(result, result, "jpeg")
    assert (a.label, b.label) == ("toy jpeg", "toy jpeg")


# --- drops ------------------------------------------------------------------------------------

STREET = {"channel": {"kind": "umi_street_canyon"}}


def _streets(rows: pd.DataFrame, **changes: Any) -> Result:
    return _result(rows, cell=STREET, **changes)


def test_two_seeds_of_one_drop_each_are_not_judged() -> None:
    rows = synthetic.requests(100)
    found = _compared(_streets(rows), _streets(_slower(rows), seed=2))
    assert found.scope == "two drops"
    assert {one.verdict for one in found.differences} == {"cannot tell: one drop"}
    assert found.notes[0].startswith("one drop: places, line of sight and shadowing drawn once")
    assert "--replications" in found.notes[0]


def test_one_drop_on_both_sides_is_judged_within_it() -> None:
    rows = synthetic.requests(100)
    found = _compared(_streets(rows), _streets(_slower(rows)))
    assert (found.paired, found.scope) == (True, "within this drop")
    assert _one(found, "latency_s").verdict == "higher in this drop"
    assert _one(found, "energy_j").verdict == "no difference in this drop"
    elsewhere = synthetic.scenario(cell=STREET).model_dump(mode="json")["devices"]
    devices = [group | {"distance_max_m": 100.0} for group in elsewhere]
    moved = _compared(_streets(rows), _streets(_slower(rows), devices=devices))
    assert _one(moved, "latency_s").verdict == "cannot tell: one drop"


def test_groups_of_one_run_need_equal_places() -> None:
    rows = synthetic.requests(100)
    apart = compare(*sides(_streets(rows), None, "jpeg", "entropy"))
    assert _one(apart, "payload_bits").verdict == "cannot tell: one drop"
    groups = synthetic.scenario(cell=STREET).model_dump(mode="json")["devices"]
    devices = [groups[0], *(group | {"place_group": "g_local"} for group in groups[1:])]
    equal = compare(*sides(_streets(rows, devices=devices), None, "jpeg", "entropy"))
    assert _one(equal, "payload_bits").verdict == "lower in this drop"


def test_replications_with_drops_of_their_own_are_judged_in_general() -> None:
    rows = synthetic.requests(50, replications=4)
    noise = np.random.default_rng(0).normal(0.01, 0.001, len(rows))
    other = rows.assign(energy_j=rows["energy_j"] + noise)
    for seed, paired in ((1, True), (2, False)):
        found = _compared(_streets(rows), _streets(other, seed=seed))
        assert (found.paired, found.scope) == (paired, "all drops")
        assert _one(found, "energy_j").verdict == "higher"
    one = _compared(_streets(rows), _streets(other[other["replication"] == 2]))
    assert _one(one, "energy_j").verdict == "higher in this drop"
