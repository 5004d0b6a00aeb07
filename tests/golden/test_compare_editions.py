"""The comparison of two editions sees what differs, and nothing where nothing does."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import compare_editions

ROWS = {"n": [1, 2], "x_s": [0.1, math.nan], "status": ["done", None]}


def _told(**columns: Any) -> list[str]:
    found = compare_editions.frame_differences(pd.DataFrame(ROWS), pd.DataFrame(ROWS | columns))
    return list(found)


def test_the_same_rows_are_the_same() -> None:
    assert _told() == []


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        (
            "x_s",
            [math.nextafter(0.1, 1), math.nan],
            "column x_s: 1 rows differ, the first is row 0",
        ),
        ("x_s", [0.1, 0.0], "column x_s: 1 rows differ, the first is row 1"),
        ("n", [1.0, 2.0], "column n: type int64, now float64"),
        ("status", ["done", "lost"], "column status: 1 rows differ, the first is row 1"),
        ("more", [0, 0], "columns lost [], come ['more']"),
    ],
)
def test_a_column_that_differs_is_named(column: str, values: list[Any], told: str) -> None:
    found = _told(**{column: values})
    assert len(found) == 1
    assert found[0].startswith(told)


def test_rows_are_counted() -> None:
    old = pd.DataFrame(ROWS)
    assert list(compare_editions.frame_differences(old, old[:1])) == ["2 rows, now 1"]


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({"kpi": {"mean": 1.0, "n": [1, 2]}, "digest": "b"}, []),
        ({"kpi": {"mean": 1, "n": [1, 2]}, "digest": "a"}, ["summary.kpi.mean: 1.0, now 1"]),
        ({"kpi": {"mean": 1.0, "n": [1, 3]}}, ["summary.kpi.n[1]: 2, now 3"]),
        ({"kpi": {"mean": 1.0}}, ["summary.kpi: keys lost ['n'], come []"]),
    ],
)
def test_a_value_that_differs_is_named(new: Any, told: list[str]) -> None:
    old = {"kpi": {"mean": 1.0, "n": [1, 2]}, "digest": "a"}
    new = {"digest": ""} | new
    found = compare_editions.value_differences(old, {k: new[k] for k in old}, "summary")
    assert list(found) == told


def test_every_scenario_is_compared() -> None:
    checkout = Path(__file__).resolve().parents[2]
    names = compare_editions.bundled(checkout)
    compared = {case.source for case in compare_editions.cases(names)}
    sweeps = {path.stem for path in (checkout / "scenarios" / "sweeps").glob("*.yaml")}
    assert {*names} < compared
    assert compared - {*names} <= sweeps  # those that both editions have
    assert compare_editions.DURATION_S.keys() == {*names}
