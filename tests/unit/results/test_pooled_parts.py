"""Pooled KPIs compared: by hand from the pseudo-values, from memory and from a folder alike."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

import synthetic
from simsplit.errors import ArtefactError
from simsplit.messages import Evidence
from simsplit.results.compare import Comparison, Difference, compare
from simsplit.results.intervals import mean_ends, student_t
from simsplit.results.pooled import COLUMN
from simsplit.results.pooled_parts import FILE, read_parts
from simsplit.results.store import Result, read_result, write_result
from simsplit.results.summary import summarise

KPI = "dataset_rmse"

Array = NDArray[np.float64]


def _rows(
    shift: float = 0.0, *, replications: int = 4, seed: int = 3, per_point: int = 60
) -> pd.DataFrame:
    """Every request has a squared error; B's are those of A, ``shift`` worse, with own noise."""
    rows = synthetic.requests(per_point, replications)
    common = np.random.default_rng(1).exponential(4.0, len(rows))
    own = np.random.default_rng(seed).exponential(0.3, len(rows))
    errors = common * (1 + 0.4 * rows["replication"].to_numpy()) + own + shift
    rows[COLUMN] = [(Evidence("", {"squared_error": np.array([e, 1.0])}),) for e in errors]
    return rows


def _result(rows: pd.DataFrame, **changes: Any) -> Result:
    return Result(None, synthetic.scenario(**changes), rows, {}, {})


def _one(comparison: Comparison, kpi: str = KPI) -> Difference:
    return next(one for one in comparison.differences if one.kpi == kpi)


def _squares(rows: pd.DataFrame) -> Array:
    return np.array([of[0].values["squared_error"][0] for of in rows[COLUMN]])


def _pseudo(rows: pd.DataFrame) -> Array:
    """k t - (k - 1) t_(-j) of the root mean square over replications, from the definition."""
    squares, runs = _squares(rows), rows["replication"].to_numpy()
    k, whole = len(set(runs)), math.sqrt(squares.mean())
    without = [math.sqrt(squares[runs != j].mean()) for j in sorted(set(runs))]
    return np.array([k * whole - (k - 1) * one for one in without])


def test_replications_are_paired_by_their_pseudo_values() -> None:
    a, b = _rows(), _rows(0.5, seed=4)
    difference = _one(compare(_result(a), _result(b)))
    gap = math.sqrt(_squares(b).mean()) - math.sqrt(_squares(a).mean())
    assert difference.difference == pytest.approx(gap)
    low, high = mean_ends(gap, _pseudo(b) - _pseudo(a), student_t(3))
    assert (difference.low, difference.high) == pytest.approx((low, high))
    spread = [np.var(p, ddof=1) for p in (_pseudo(b) - _pseudo(a), _pseudo(a), _pseudo(b))]
    assert difference.variance_ratio == pytest.approx(spread[0] / (spread[1] + spread[2]))
    assert difference.pieces == 4 and difference.variance_ratio < 0.1
    assert difference.verdict == "higher"


def test_seeds_that_differ_are_compared_after_welch() -> None:
    a, b = _rows(), _rows(0.5, seed=4)
    difference = _one(compare(_result(a), _result(b, seed=2)))
    assert math.isnan(difference.variance_ratio)
    paired = _one(compare(_result(a), _result(b)))
    assert difference.high - difference.low > 3 * (paired.high - paired.low)


def test_replications_of_one_side_alone_unpair() -> None:
    """Pseudo-values are of all replications of a result; a part of them is none of its own."""
    a, b = _rows(), _rows(0.5, seed=4, replications=3)
    difference = _one(compare(_result(a), _result(b)))
    assert math.isnan(difference.variance_ratio) and difference.pieces == 3


def test_single_runs_are_paired_by_the_same_batches() -> None:
    a, b = (_rows(shift, replications=1, seed=seed) for shift, seed in ((0.0, 3), (0.5, 4)))
    difference = _one(compare(_result(a), _result(b)))
    assert difference.pieces == 20 and difference.variance_ratio < 0.2
    lost = [(replace(of[0], is_lost=True),) if n < 9 else of for n, of in enumerate(b[COLUMN])]
    other = _one(compare(_result(a), _result(b.assign(**{COLUMN: lost}).iloc[3:])))
    assert math.isnan(other.variance_ratio)  # three requests have no partner


def test_parts_have_their_own(tmp_path: Path) -> None:
    result = _result(_rows())
    found = _one(compare(result, of="jpeg", with_="entropy"))
    for name, value in (("jpeg", found.a), ("entropy", found.b)):
        rows = result.requests[result.requests["operating_point"] == name]
        assert value == pytest.approx(math.sqrt(_squares(rows).mean()))


def _stored(folder: Path, rows: pd.DataFrame) -> Path:
    scenario, count = synthetic.scenario(), rows["replication"].nunique()
    summary = summarise(scenario, rows, synthetic.stations(count))
    return write_result(folder, scenario, rows, summary, {"digest": folder.name}, YAML)


YAML = json.dumps(synthetic.scenario().model_dump(mode="json"))


@pytest.mark.parametrize("parts", [{}, {"of": "jpeg"}, {"of": "group:g_jpeg", "with_": "entropy"}])
@pytest.mark.parametrize("replications", [1, 4])
def test_folders_compare_as_results_in_memory(
    tmp_path: Path, parts: dict[str, str], replications: int
) -> None:
    a, b = _rows(replications=replications), _rows(0.5, seed=4, replications=replications)
    folders = [_stored(tmp_path / name, rows) for name, rows in (("a", a), ("b", b))]
    stored = _one(compare(*folders, **parts))
    assert stored == _one(compare(_result(a), _result(b), **parts))
    assert COLUMN not in read_result(folders[0]).requests


def test_an_older_result_says_what_cannot_be_compared(tmp_path: Path) -> None:
    folders = [_stored(tmp_path / name, _rows()) for name in "ab"]
    (folders[1] / FILE).unlink()
    comparison = compare(*folders)
    assert KPI not in [one.kpi for one in comparison.differences]
    assert any("older version" in note and KPI in note for note in comparison.notes)


def test_a_result_without_evidence_has_no_such_file(tmp_path: Path) -> None:
    folder = _stored(tmp_path / "a", synthetic.requests(30))
    assert not (folder / FILE).exists() and read_parts(folder) == {}


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    folder = _stored(tmp_path / "a", _rows())
    (folder / FILE).write_text('{"": {"dataset_rmse": {"value": 1}}}')
    with pytest.raises(ArtefactError, match=r"pooled\.json: damaged: 'pseudo'"):
        compare(folder, folder)
