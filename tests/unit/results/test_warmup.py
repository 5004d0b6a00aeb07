"""MSER-5 by hand, and what is suggested of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import synthetic
from simsplit.errors import NothingThere, ScenarioError
from simsplit.results.warmup import Truncation, Warmup, mser5, suggest_warmup

GROUPS = ["jpeg", "entropy"]


def _by_definition(values: list[float]) -> int:
    """d* from the formula, batch by batch."""
    means = [float(np.mean(values[5 * j : 5 * j + 5])) for j in range(len(values) // 5)]
    found = []
    for d in range(len(means) // 2 + 1):
        left = means[d:]
        middle = sum(left) / len(left)
        found.append(sum((y - middle) ** 2 for y in left) / len(left) ** 2)
    return int(np.argmin(found))


@pytest.mark.parametrize("seed", range(20))
def test_the_truncation_is_the_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = (rng.normal(100, 1, 203) + 4 * np.exp(-np.arange(203) / 20)).tolist()
    assert mser5(values).rows == 5 * _by_definition(values)


def test_a_step_is_left_out_to_the_batch() -> None:
    found = mser5([9.0] * 20 + [1.0, 2.0] * 40)
    assert (found.rows, found.steady, found.batches) == (20, True, 20)
    batches = np.array([1.4, 1.6] * 8)  # means of 1 2 1 2 1 and of 2 1 2 1 2
    assert found.standard_error == pytest.approx(batches.std() / 4)


def test_a_constant_series_stays_whole() -> None:
    assert mser5([0.1 + 0.2] * 60) == Truncation(0, True, 0.0, 12)
    noise = 5.0 + np.random.default_rng(0).uniform(-1, 1, 60) * 1e-15
    assert mser5(noise).rows == 0


def test_a_growing_series_has_no_steady_state() -> None:
    found = mser5(np.arange(100.0))
    assert (found.rows, found.steady) == (50, False)


def test_short_and_broken_series_are_refused() -> None:
    assert mser5(range(50)).batches == 10
    with pytest.raises(ScenarioError, match=r"at least 50 values \(found: 49\)"):
        mser5(range(49))
    with pytest.raises(ScenarioError, match="finite"):
        mser5([1.0, float("nan")] * 50)


# --- a run ------------------------------------------------------------------------------------


def _rows(replications: int = 1, tail_s: float = 0.0, n: int = 200) -> pd.DataFrame:
    """Two groups, a request every 0.1 s; the radio of one is slow for the first 40 requests."""
    parts = []
    for replication in range(replications):
        for group in GROUPS:
            arrival = 0.1 * np.arange(n)
            slow = 0.5 * (np.arange(n) < 40) if group == "jpeg" else tail_s * np.arange(n)
            device = arrival + 0.004
            radio = device + 0.01 + slow + 1e-3 * (np.arange(n) % 2)
            edge = radio + 0.003
            columns: dict[str, Any] = {
                "request_id": np.arange(n), "replication": replication, "group": f"g_{group}",
                "arrival_s": arrival, "device_end_s": device, "radio_end_s": radio,
                "edge_arrival_s": radio, "edge_end_s": edge, "closed_s": edge,
                "latency_s": edge - arrival,
            }  # fmt: skip
            parts.append(pd.DataFrame(columns))
    return pd.concat(parts, ignore_index=True).sample(frac=1, random_state=0)


def _found(rows: pd.DataFrame, **changes: Any) -> Warmup:
    return suggest_warmup(synthetic.scenario(**changes), rows)


def _by_station(found: Warmup) -> dict[tuple[str, str], float | None]:
    return {(one.group, one.station): one.warmup_s for one in found.suggestions}


def test_the_slow_start_is_found_where_it_is() -> None:
    found = _found(_rows())
    stations = _by_station(found)
    assert stations["g_jpeg", "radio"] == pytest.approx(4.0)
    assert stations["g_jpeg", "whole way"] == pytest.approx(4.0)
    assert stations["g_jpeg", "device"] == stations["g_jpeg", "edge"] == 0
    assert stations["g_entropy", "radio"] < 4
    assert found.warmup_s == 4
    assert found.overrides == ["warmup_s=4"]
    assert (
        found.notes[0]
        == "longest warm-up of a whole way: 4 s, the scenario has 0: --set warmup_s=4"
    )
    assert "one run" in found.notes[1]


def test_a_warmup_that_is_long_enough_stays() -> None:
    found = _found(_rows(), warmup_s=4.5)
    assert found.overrides == []
    assert "warmup_s 4.5 is long enough" in found.notes[0]


def test_replications_are_averaged() -> None:
    rows = _rows(4)
    found = {(one.group, one.station): one for one in _found(rows).suggestions}
    radio = found["g_jpeg", "radio"]
    assert (radio.replications, radio.n, radio.warmup_s) == (4, 200, pytest.approx(4.0))
    assert radio.single_s == pytest.approx((4.0,) * 4)
    assert len(_found(rows).notes) == 1
    short = rows[(rows["replication"] != 2) | (rows["arrival_s"] < 15)]
    assert _found(short).suggestions[0].n == 150


def test_a_station_that_never_settles_gives_no_suggestion() -> None:
    found = _found(_rows(tail_s=0.01))
    assert found.warmup_s is None
    assert [one.station for one in found.unsteady] == ["whole way", "radio"]
    assert found.overrides == []
    assert "g_entropy (radio)" in found.notes[0]


def test_a_station_that_does_not_matter_to_the_whole_way_is_only_told() -> None:
    rows = _rows()
    rows["edge_end_s"] += 1e-7 * rows["request_id"]
    rows["closed_s"] = rows["edge_end_s"]
    found = _found(rows)
    assert {one.station for one in found.unsteady} == {"edge"}
    assert found.warmup_s == 4
    assert "without effect on the whole way: g_jpeg (edge), g_entropy (edge)" in found.notes[1]


def test_lost_requests_are_left_out() -> None:
    rows = _rows()
    lost = rows["request_id"] % 2 == 1
    rows.loc[lost, ["radio_end_s", "edge_arrival_s", "edge_end_s", "closed_s"]] = np.nan
    found = _found(rows)
    assert found.suggestions[0].n == 100
    assert _by_station(found)["g_jpeg", "radio"] == pytest.approx(4.0)


def test_lost_requests_alone_are_nothing_and_no_mistake() -> None:
    with pytest.raises(NothingThere, match="no request was answered"):
        _found(_rows().assign(latency_s=np.nan))


def test_too_few_requests_are_said_and_refused_if_all() -> None:
    rows = _rows()
    few = rows[(rows["group"] == "g_jpeg") | (rows["request_id"] < 49)]
    reasons = {one.group: one.reason for one in _found(few).suggestions}
    assert reasons == {"g_jpeg": "", "g_entropy": "too few requests"}
    with pytest.raises(ScenarioError, match="duration_s: no group has 50 answered requests"):
        _found(rows[rows["request_id"] < 49])


def test_the_suggestion_is_rounded_up() -> None:
    rows = _rows()
    rows["arrival_s"] *= 1.001234
    for column in ("device_end_s", "radio_end_s", "edge_arrival_s", "edge_end_s", "closed_s"):
        rows[column] += rows["arrival_s"] * (1 - 1 / 1.001234)
    assert _found(rows).warmup_s == 4.01
