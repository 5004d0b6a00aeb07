"""A run without a request is a result: n = 0, a flag, every figure and every export."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from simsplit.figures.contract import PlotOptions
from simsplit.figures.kinds import draw
from simsplit.messages import Scheme
from simsplit.pages.report import report
from simsplit.results import store as results
from simsplit.results.columns import no_requests
from simsplit.results.export import Job, traffic
from simsplit.results.identity import make_manifest
from simsplit.results.kpis import flat_rows
from simsplit.results.summary import summarise
from simsplit.results.tables import as_latex, table
from simsplit.scenario.load import load
from simsplit.sim.device.arrivals import Recording
from simsplit.study.worlds import toy_plan, toy_world
from tests.support import synthetic


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stored result of two replications without a request."""
    folder = tmp_path_factory.mktemp("empty") / "run"
    made, rows = synthetic.scenario(replications=2), no_requests(["score_miou"])
    summary = summarise(made, rows, synthetic.stations(2))
    origin = make_manifest(made, {}, [1], 1.0)
    text = yaml.safe_dump(made.model_dump(mode="json"))
    return results.write_result(folder, made, rows, summary, origin, text)


def test_every_point_stays_with_n_0_and_a_flag(empty: Path) -> None:
    result = results.read_result(empty)
    rows = flat_rows(result.scenario, result.summary)
    assert [row["operating_point"] for row in rows] == list(synthetic.POINTS)
    assert {row["n"] for row in rows} == {0} and {row["replications"] for row in rows} == {2}
    assert [flag["code"] for flag in result.summary["flags"]] == ["no_requests"]


@pytest.mark.parametrize(
    "kind", ["latency_cdf", "latency_by_stage", "energy_by_part", "timeline", "queue"]
)
def test_every_figure_of_requests_is_drawn(empty: Path, kind: str) -> None:
    drawing = draw(empty, kind, PlotOptions())
    words = [text.get_text() for ax in drawing.figure.axes for text in ax.texts]
    curves = [str(line.get_label()) for ax in drawing.figure.axes for line in ax.lines]
    assert any("no requests" in word for word in [*words, *curves])


@pytest.mark.parametrize(
    ("form", "what"),
    [("perfetto", None), ("csv", None), ("parquet", None), ("csv", "table"), ("parquet", "table")],
)
def test_every_export_is_written(empty: Path, tmp_path: Path, form: str, what: str | None) -> None:
    ending = "json" if form == "perfetto" else form
    out, count = Job(form, what, tmp_path / f"it.{ending}").write(empty)
    assert out.is_file() and count == (len(synthetic.POINTS) if what == "table" else 0)


def test_page_and_table_are_made(empty: Path, tmp_path: Path) -> None:
    shutil.copytree(empty, tmp_path / "run")
    assert "no_requests" in report(tmp_path / "run").read_text()
    assert as_latex(table(empty)).count("--") >= len(synthetic.POINTS)


def test_traffic_with_an_empty_replication_can_be_replayed(empty: Path, tmp_path: Path) -> None:
    result = results.read_result(empty)
    rows = synthetic.requests(per_point=3)
    some = traffic(results.Result(None, result.scenario, rows, result.summary, {}))
    file = tmp_path / "traffic.csv"
    some.to_csv(file, index=False)
    recording = Recording(str(file), "arrivals.file", "g_jpeg", 2, 64)
    assert sum(len(one.times_s) for one in recording.of(0).values()) == 3
    assert recording.of(1) == {}


def test_a_short_window_is_never_more_than_full() -> None:
    """One device, work of 0.2 s begun in a window of 0.05 s: busy all the time, 4 windows' work."""
    group = {"arrivals": {"kind": "periodic", "period_s": 10.0, "in_phase": True}}
    world = toy_world(toy_plan(Scheme.LOCAL, device_s=0.2), duration_s=0.05, group=group)
    history = world.run()
    rows = pd.DataFrame([request.row() for request in history.requests])
    summary = summarise(world.scenario, rows, [history.stations])
    assert summary["utilisation"]["device_max"]["mean"] == pytest.approx(1.0)
    assert summary["offered_load"]["device_max"]["mean"] == pytest.approx(4.0)
    assert "unstable" in {flag["code"] for flag in summary["flags"]}


def test_what_no_group_may_choose_is_no_row() -> None:
    """Of many operating points a sweep uses one at a time; the others are not there."""
    scenario = load("split_choice")
    summary = summarise(scenario, no_requests(["score_miou"]), synthetic.stations())
    assert list(summary["operating_points"]) == ["stage3"]
