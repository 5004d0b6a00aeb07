"""Intervals against hand and SciPy, the store whole or not at all, flags never lost."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import synthetic
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import to_json
from simsplit.results import flags, statistics
from simsplit.results import store as results
from simsplit.results import summary as summaries
from simsplit.results import summary_text as headline


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
    skew = stats.skew(means, bias=False)
    longer, other = ("ci_high", "ci_low") if skew > 0 else ("ci_low", "ci_high")
    plain = {"ci_low": low, "ci_high": high}
    assert found[other] == pytest.approx(plain[other])
    assert abs(found[longer] - plain[longer]) < 0.2 * (high - low)  # Hall's, but not shorter
    assert found["ci_low"] <= low + 1e-12 and found["ci_high"] >= high - 1e-12
    assert found["method"] == "batch means (20)"


def test_no_loss_is_not_certain() -> None:
    """Clopper and Pearson: of none in n the upper end is 1 - 0.025^(1/n), for 100 about 4 %.

    n is 100 times (z / t)^2, which pays for knowing the spread from 20 batches or 10 replications.
    """
    for pieces, replication in ((20, np.zeros(100, int)), (10, np.repeat(np.arange(10), 10))):
        size = 100 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, pieces - 1)) ** 2
        found = statistics.estimate(
            np.ones(100), replication, replicated=bool(replication.any()), bounds=(0.0, 1.0)
        )
        assert (found["mean"], found["ci_high"]) == (1.0, 1.0)
        assert found["ci_low"] == pytest.approx(0.025 ** (1 / size))
        assert 3.6e-2 < 1 - found["ci_low"] < 5e-2


def test_a_share_is_worth_as_many_answers_as_its_spread_says() -> None:
    """Replications that are all hit or all missed: 39 of 40, however many requests each has."""
    values = np.repeat([0.0] + [1.0] * 39, 50)
    found = statistics.estimate(
        values, np.repeat(np.arange(40), 50), replicated=True, bounds=(0.0, 1.0)
    )
    size = 39 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 39)) ** 2  # variance p (1 - p) / 39
    hits = 39 / 40 * size
    assert found["ci_low"] <= stats.beta.ppf(0.025, hits, size - hits + 1) < 0.88
    assert found["ci_high"] >= stats.beta.ppf(0.975, hits + 1, size - hits) > 0.997
    assert found["ci_low"] > 0.8 and found["ci_high"] <= 1


def test_a_quantile_is_that_of_all_requests_between_order_statistics() -> None:
    """Median of 0 … 99 in 10 batches of like content: the 40th and the 61st value (binomial)."""
    values = np.arange(100.0).reshape(10, 10).T.ravel()
    found = statistics.estimate(
        values, np.repeat(np.arange(10), 10), replicated=True, quantile=0.5, bounds=(0, np.inf)
    )
    assert found["mean"] == 49.5
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((39, 60), abs=1)


def test_a_constant_has_no_spread_but_bounds_hold() -> None:
    def ends(values: list[float], bounds: tuple[float, float]) -> tuple[float, float]:
        numbers, runs = np.array(values), np.arange(len(values))
        found = statistics.estimate(numbers, runs, replicated=True, bounds=bounds)
        return found["ci_low"], found["ci_high"]

    assert ends([0.7] * 5, (0.0, np.inf)) == pytest.approx((0.7, 0.7))
    assert ends([0.0, 0.0, 0.0, 9.0], (0.0, np.inf))[0] == 0.0
    low, high = ends([0.9, 1.0, 0.95], (0.0, 1.0))
    assert 0 < low < 0.9 and 0.95 < high <= 1


def test_a_share_of_few_rows_of_one_run_is_cut_into_ten() -> None:
    """16 of 16: Clopper and Pearson's of 16 (z / t)^2, with 9 degrees of freedom; of 16: 0.79."""
    found = statistics.estimate(np.ones(16), np.zeros(16, int), replicated=False, bounds=(0, 1))
    size = 16 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, 9)) ** 2
    assert found["method"] == "batch means (10)"
    assert found["ci_low"] == pytest.approx(0.025 ** (1 / size)) and found["ci_low"] > 0.73
    counts = [statistics.batch_count(n, (0.0, 1.0)) for n in (9, 10, 49, 75, 1000)]
    assert counts == [1, 10, 10, 15, 20]


def test_of_two_replications_only_means_have_an_interval() -> None:
    values, names = np.random.default_rng(2).random(60).round(), np.repeat([0, 1, 2], 20)
    two = names < 2
    for quantile, bounds in ((None, (0.0, 1.0)), (0.5, (0.0, np.inf))):
        asked = {"replicated": True, "quantile": quantile, "bounds": bounds}
        none = statistics.estimate(values[two], names[two], **asked)
        assert none["ci_low"] is None and none["mean"] is not None
        assert none["method"] == "none: fewer than 3 replications"
        assert statistics.estimate(values, names, **asked)["method"] == "replications (3)"
    mean = statistics.estimate(values[two], names[two], replicated=True, bounds=(0.0, np.inf))
    assert mean["method"] == "replications (2)" and mean["ci_low"] is not None


def test_few_rows_and_tails_have_no_interval() -> None:
    def of(n: int, quantile: float | None = None) -> dict:
        values = np.arange(n, dtype=float)
        zeros = np.zeros(n, int)
        return statistics.estimate(values, zeros, replicated=False, quantile=quantile)

    assert of(9)["ci_low"] is None and of(9)["mean"] == 4
    assert of(10)["method"] == "batch means (2)" and of(50)["method"] == "batch means (10)"
    assert of(19, 0.5)["ci_low"] is None and of(19, 0.5)["mean"] == 9
    shuffled = np.random.default_rng(1).permutation(1000.0 + np.arange(1000))
    for n, quantile in ((200, 0.95), (1000, 0.99)):
        for less in (0, 1):
            found = statistics.estimate(
                shuffled[: n - less], np.zeros(n - less, int), replicated=False, quantile=quantile
            )
            assert (found["ci_low"] is None) == bool(less), (n, less)
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
    assert codes(made) == {"short_tail"}  # 400 requests: too few for a p99 alone
    assert ["latency_p99_s" in one["message"] for one in made["flags"]] == [True]


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
    assert codes(made, "run") == {"short_run", "short_tail"}


def test_device_load_above_one_is_flagged() -> None:
    rows = synthetic.requests()
    rows["device_end_s"] = rows["device_start_s"] + 0.6  # 2 devices, 4 per second per group
    made = summaries.summarise(synthetic.scenario(), rows, synthetic.stations())
    assert "unstable" in codes(made, "device")


def test_replications_too_short_for_a_tail_are_flagged() -> None:
    """Ten requests beyond the quantile: 200 for a p95, 1000 for a p99."""

    def flagged(count: int) -> list[str]:
        rows = pd.DataFrame(
            {"latency_s": 1.0, "replication": [0] * 1000 + [1] * count, "operating_point": "p"}
        )
        return [one["message"] for one in flags.tail_flags(rows)]

    assert flagged(1000) == []
    text = "fewer than {} answered requests per replication: p ({})"
    assert flagged(999) == [f"latency_p99_s: {text.format(1000, 999)}"]
    assert flagged(199)[0] == f"latency_p95_s: {text.format(200, 199)}"


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
    assert read.summary == json.loads(to_json(made.summary))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]


def test_json_has_null_for_nan(tmp_path: Path) -> None:
    text = to_json({"a": float("nan"), "b": np.float64("inf"), "c": np.int64(3)})
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
