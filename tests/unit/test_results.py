"""Intervals against hand and SciPy, the store whole or not at all, flags never lost."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

sys.path.insert(0, str(Path(__file__).parent))
import synthetic

from simsplit import headline, results, statistics
from simsplit import summary as summaries
from simsplit.errors import ArtefactError, ScenarioError


def codes(summary: dict, station: str | None = None) -> set[str]:
    return {f["code"] for f in summary["flags"] if station in (None, f["station"])}


@pytest.mark.parametrize(("degrees", "quantile"), [(1, 12.706), (9, 2.262), (19, 2.093)])
def test_student_t_matches_printed_tables(degrees: int, quantile: float) -> None:
    assert statistics.student_t(degrees) == pytest.approx(quantile, abs=5e-4)


def test_replication_interval_by_hand() -> None:
    values = np.array([1.0, 3.0, 4.0, 4.0, 5.0, 7.0])  # means 2, 4, 6: S = 2
    found = statistics.estimate(values, np.array([0, 0, 1, 1, 2, 2]), replicated=True)
    half = stats.t.ppf(0.975, 2) * 2 / np.sqrt(3)
    assert found["mean"] == 4 and found["n"] == 6 and found["method"] == "replications (3)"
    assert found["ci_high"] - 4 == pytest.approx(half) and 4 - found["ci_low"] == pytest.approx(
        half
    )


def test_batch_means_interval_by_scipy() -> None:
    values = np.random.default_rng(1).normal(5, 1, 400)
    found = statistics.estimate(values, np.zeros(400, int), replicated=False)
    means = values.reshape(20, 20).mean(axis=1)
    low, high = stats.t.interval(0.95, 19, means.mean(), stats.sem(means))
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((low, high))
    assert found["method"] == "batch means (20)"


def test_few_rows_and_tails_have_no_interval() -> None:
    def of(n: int, quantile: float | None = None) -> dict:
        values = np.arange(n, dtype=float)
        zeros = np.zeros(n, int)
        return statistics.estimate(values, zeros, replicated=False, quantile=quantile)

    assert of(9)["ci_low"] is None and of(9)["mean"] == 4
    assert of(10)["method"] == "batch means (2)" and of(50)["method"] == "batch means (10)"
    assert of(99, 0.95)["ci_low"] is None and of(100, 0.95)["method"] == "batch means (5)"
    assert of(499, 0.99)["ci_low"] is None and of(500, 0.99)["ci_low"] is not None
    assert of(0)["mean"] is None


def test_summary_has_every_kpi_and_window() -> None:
    rows = synthetic.requests()
    summary = summaries.summarise(synthetic.scenario(warmup_s=50.0), rows, synthetic.stations())
    inside = rows[rows["arrival_s"] >= 50]
    jpeg = inside[inside["operating_point"] == "jpeg"]
    found = summary["operating_points"]["jpeg"]
    assert summary["overall"]["n"] == len(inside)
    assert found["latency_s"]["mean"] == pytest.approx(jpeg["latency_s"].mean())
    assert found["latency_p95_s"]["mean"] == pytest.approx(jpeg["latency_s"].quantile(0.95))
    assert found["delivered"]["mean"] == pytest.approx(jpeg["delivered"].mean())
    assert found["status"]["lost"] == (jpeg["status"] == "lost").sum()
    assert summary["utilisation"]["device_max"]["mean"] == pytest.approx(0.3)
    assert summary["utilisation"]["edge"]["mean"] == pytest.approx(0.5)
    assert set(summary["groups"]) == {f"g_{name}" for name in synthetic.POINTS}


def test_quiet_run_has_no_flags() -> None:
    made = summaries.summarise(synthetic.scenario(), synthetic.requests(), synthetic.stations())
    assert made["flags"] == []


def test_busy_station_is_flagged() -> None:
    stations = synthetic.stations(busy=0.99, edge=1.0)
    made = summaries.summarise(synthetic.scenario(), synthetic.requests(), stations)
    assert codes(made, "device_max") == codes(made, "edge") == {"unstable"}


def test_growing_queue_open_requests_and_short_run_are_flagged() -> None:
    rows = synthetic.requests()
    mine = rows["operating_point"] == "entropy"
    shift = 0.5 * rows.loc[mine, "arrival_s"]
    for column in ("edge_start_s", "edge_end_s", "closed_s", "latency_s"):
        rows.loc[mine, column] += shift
    late = mine & (rows["closed_s"] > 102)
    for column in ("edge_start_s", "edge_end_s", "closed_s", "latency_s"):
        rows.loc[late, column] = np.nan
    rows.loc[late, "status"] = "open"
    made = summaries.summarise(synthetic.scenario(), rows, synthetic.stations())
    assert codes(made, "edge") == {"unstable", "open"}
    assert codes(made, "run") == {"short_run"}


def test_device_load_above_one_is_flagged() -> None:
    rows = synthetic.requests()
    rows["device_end_s"] = rows["device_start_s"] + 0.6  # 2 devices, 4 per second per group
    made = summaries.summarise(synthetic.scenario(), rows, synthetic.stations())
    assert "unstable" in codes(made, "device")


def test_partly_missing_scores_are_flagged() -> None:
    rows = synthetic.requests()
    rows.loc[rows["status"] == "lost", "score_miou"] = np.nan
    made = summaries.summarise(synthetic.scenario(), rows, synthetic.stations())
    assert "unscored" in codes(made)


def test_round_trip(tmp_path: Path) -> None:
    made = synthetic.store(tmp_path / "run")
    read = results.read_result(tmp_path / "run")
    pd.testing.assert_frame_equal(read.requests, made.requests, check_dtype=False)
    assert read.scenario == made.scenario
    assert read.manifest["digest"] == made.manifest["digest"]
    assert read.summary == json.loads(results.to_json(made.summary))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_json_has_null_for_nan(tmp_path: Path) -> None:
    text = results.to_json({"a": float("nan"), "b": np.float64("inf"), "c": np.int64(3)})
    assert json.loads(text) == {"a": None, "b": None, "c": 3}


def test_same_run_again_is_fine_another_is_refused(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    before = (tmp_path / "run" / "summary.json").stat().st_mtime_ns
    synthetic.store(tmp_path / "run")
    assert (tmp_path / "run" / "summary.json").stat().st_mtime_ns == before
    with pytest.raises(ScenarioError, match="another run"):
        synthetic.store(tmp_path / "run", seed=1, duration_s=50.0)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ScenarioError, match="no result"):
        synthetic.store(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_nothing_remains_after_a_failed_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
    with pytest.raises(OSError, match="disk full"):
        synthetic.store(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", results.FILES)
def test_missing_or_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    synthetic.store(tmp_path / "run")
    (tmp_path / "run" / name).write_bytes(b"\x00not that")
    with pytest.raises(ArtefactError, match="damaged"):
        results.read_result(tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    with pytest.raises(ArtefactError, match=name):
        results.read_result(tmp_path / "run")
    with pytest.raises(ArtefactError, match="no such"):
        results.read_result(tmp_path / "nothing")


def test_table_is_readable_and_shows_flags() -> None:
    from rich.console import Console

    made = summaries.summarise(
        synthetic.scenario(), synthetic.requests(), synthetic.stations(edge=1.0)
    )
    console = Console(file=io.StringIO(), width=140)
    headline.print_summary(made, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "entropy" in text and "mIoU" in text and "[unstable] edge" in text
    assert ("overall", "attempts") in {row[:2] for row in headline.summary_table(made)}


@pytest.mark.parametrize("width", [80, 120])
def test_no_number_is_cut_on_any_terminal(width: int, tmp_path: Path) -> None:
    from io import StringIO

    from rich.console import Console

    summary = synthetic.store(tmp_path / "run").summary
    console = Console(file=StringIO(), width=width)
    headline.print_summary(summary, console)
    assert "…" not in console.file.getvalue()
