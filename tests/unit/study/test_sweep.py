"""Points as folders: run once, resumed, failures recorded, tables the same however they came."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import synthetic
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import aside_of
from simsplit.results import sweep_folder as store
from simsplit.results.sweep_folder import status
from simsplit.results.sweep_table import load_results, read_requests
from simsplit.scenario.axes import Point
from simsplit.scenario.axis_text import parse_axis
from simsplit.scenario.sweeps import Sweep
from simsplit.study.sweep import Execution, resume, run_sweep, sweep

points_module = importlib.import_module("simsplit.study.sweep")
SNR = "cell.channel.snr_db"


def test_parse_axis() -> None:
    path, values = parse_axis("cell.channel.snr_db=-5:25:2.5")
    assert path == SNR and len(values) == 13 and (values[0], values[-1]) == (-5.0, 25.0)
    assert parse_axis("a.b=0:1:0.1")[1][3] == 0.3
    assert parse_axis("edge.workers=1:4:1") == ("edge.workers", [1, 2, 3, 4])
    assert parse_axis("a=3:1:-1")[1] == [3, 2, 1]
    assert parse_axis("a=x, y,3,true")[1] == ["x", "y", 3, True]


@pytest.mark.parametrize(
    "text", ["a", "=1", "a=", "a=1:2:0", "a=1:5:-1", "a=1:x:2", "a=0:nan:1", "a=0:1:1e-9", "a=[1]"]
)
def test_bad_axis(text: str) -> None:
    with pytest.raises(ScenarioError):
        parse_axis(text)


def test_an_axis_may_list_mappings() -> None:
    path, values = parse_axis("devices.a.policy={kind: fixed, point: [x, y]},{kind: oracle}")
    assert path == "devices.a.policy"
    assert values == ["{kind: fixed, point: [x, y]}", "{kind: oracle}"]


def test_a_broken_mapping_on_an_axis_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="flow style"):
        parse_axis("devices.a.policy={kind: {fixed")


def test_overrides() -> None:
    point = Point.at({SNR: -5.0, "x": True})
    assert point.overrides == ("cell.channel.snr_db=-5.0", "x=true")


# --- a toy that counts its runs ---------------------------------------------------------------

weights = {"weights": "abc"}


def run_points(
    source: str,
    points: Sequence[Point],
    out: Path,
    *,
    replications: int | None = None,
    until: str | None = None,
    keep: bool = False,
    is_anew: bool = False,
) -> pd.DataFrame:
    """A sweep without a file, in this process."""
    asked = Sweep("", source, list(points), replications, until)
    return run_sweep(asked, out, Execution(workers=0, keep=keep, is_anew=is_anew))


def fake_load(source: object, *, overrides: list[str]) -> Any:
    return synthetic.scenario(description=f"{source} {overrides}")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Overrides of every point that was really run; a point with ``bad`` in them fails."""
    made: list[list[str]] = []

    def compute(job: Any, folder: Path) -> None:
        made.append(list(job.overrides))
        if any("bad" in text for text in job.overrides):
            raise ValueError("no such luck")
        number = sum(map(ord, "".join(job.overrides)))
        synthetic.store(folder, seed=number)

    monkeypatch.setattr(points_module, "load_scenario", fake_load)
    monkeypatch.setattr(points_module, "find", Path)
    monkeypatch.setattr(points_module, "_compute", compute)
    monkeypatch.setattr(points_module, "artefact_digests", lambda scenario: dict(weights))
    return made


def test_sweep_and_resume(tmp_path: Path, calls: list[list[str]]) -> None:
    said: list[tuple[int, int, str]] = []
    axes = {SNR: [0, 5], "edge.workers": [1, 2]}
    frame = sweep("toy", axes, out=tmp_path, workers=0, progress=lambda *a: said.append(a))
    assert calls[0] == ["cell.channel.snr_db=0", "edge.workers=1"] and len(calls) == 4
    assert len(frame) == 4 * len(synthetic.POINTS)
    assert list(frame.columns[:4]) == [SNR, "edge.workers", "operating_point", "scheme"]
    assert {"score_miou", "score_miou_ci_low", "latency_p95_s_ci_high", "n"} <= set(frame)
    assert [line[:2] for line in said] == [(done, 4) for done in range(5)]
    again = sweep("toy", axes | {SNR: [0, 5, 10]}, out=tmp_path, workers=0)
    assert len(calls) == 6 and len(again) == 6 * len(synthetic.POINTS)
    assert len(pd.read_csv(tmp_path / "points.csv")) == len(again)
    assert len(load_results(tmp_path)) == len(again)


def test_replications_source_and_weights_make_another_point(
    tmp_path: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for source, replications in (("toy", None), ("toy", 3), ("other", None), ("toy", None)):
        sweep(source, {SNR: [0]}, replications=replications, out=tmp_path, workers=0)
    assert len(calls) == 3
    monkeypatch.setitem(weights, "weights", "retrained")
    sweep("toy", {SNR: [0]}, out=tmp_path, workers=0)
    assert len(calls) == 4


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError):
        load_results(tmp_path)
    with pytest.raises(ArtefactError):
        status(tmp_path)
    with pytest.raises(ScenarioError):
        sweep("toy", {}, out=tmp_path)


def test_a_failed_point_stops_nobody(tmp_path: Path, calls: list[list[str]]) -> None:
    frame = sweep("toy", {"a": ["x", "bad", "y"]}, out=tmp_path, workers=0)
    assert list(frame["a"].unique()) == ["x", "y"]
    found = status(tmp_path)
    assert (found.total, found.done, len(found.failed)) == (3, 2, 1)
    assert found.failed == {"a = bad": "ValueError('no such luck')"}
    (file,) = (tmp_path / "failed").iterdir()
    kept = json.loads(file.read_text())
    assert "Traceback" in kept["traceback"] and kept["axes"] == {"a": "bad"}
    sweep("toy", {"a": ["x", "bad", "y"]}, out=tmp_path, workers=0)
    assert len(calls) == 4  # only the failed one was tried again


def test_a_point_that_cannot_be_loaded_stops_everything_before_it_starts(
    tmp_path: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(source: object, *, overrides: list[str]) -> Any:
        if "b=2" in overrides:
            raise ScenarioError("must be 1", path="b", value=2)
        return fake_load(source, overrides=overrides)

    monkeypatch.setattr(points_module, "load_scenario", load)
    with pytest.raises(ScenarioError, match=r"b: must be 1 \(at the point a = x, b = 2\)"):
        sweep("toy", {"a": ["x"], "b": [1, 2]}, out=tmp_path / "out", workers=0)
    assert not calls and not (tmp_path / "out").exists()


def test_targets_are_understood_before_anything_runs(
    tmp_path: Path, calls: list[list[str]]
) -> None:
    for until, limit, message in (
        ("latency_s.p42:5%", None, "latency_s"),
        ("accuracy", None, "until|form|reads"),
        (None, 7, "--until"),
        ("accuracy:0.1", 5, "first look"),
    ):
        with pytest.raises(ScenarioError, match=message):
            run_sweep(Sweep("", "toy", [Point.at({"a": 1})], None, until, limit), tmp_path)
    assert not calls


def test_other_targets_make_another_point(tmp_path: Path, calls: list[list[str]]) -> None:
    for until in (None, "accuracy:0.1", "accuracy:0.2", "accuracy:0.1"):
        run_points("toy", [Point.at({"a": 1})], tmp_path, until=until)
    assert len(calls) == 3


@pytest.mark.parametrize(
    "name",
    [
        "latency_s",
        "score_new",
        "utilisation_edge",
        "x_ci_low",
        "accuracy",
        "losses",
        "replications",
    ],
)
def test_an_axis_may_not_be_named_like_a_column(
    tmp_path: Path, calls: list[list[str]], name: str
) -> None:
    with pytest.raises(ScenarioError, match="column"):
        run_points("toy", [Point({name: 1}, ("x=1",))], tmp_path)


def test_results_of_an_earlier_sweep_are_told(tmp_path: Path, calls: list[list[str]]) -> None:
    sweep("toy", {"a": [1, 2]}, out=tmp_path, workers=0)
    assert status(tmp_path).unlisted == 0
    sweep("toy", {"a": [2, 3]}, out=tmp_path, workers=0)
    assert status(tmp_path).unlisted == 1


def test_targets_that_were_not_reached_are_told(tmp_path: Path, calls: list[list[str]]) -> None:
    run_points("toy", [Point.at({"a": 1})], tmp_path, until="accuracy:0.1")
    (name,) = store.read_description(tmp_path).points
    assert status(tmp_path).imprecise == 0
    manifest = tmp_path / name / "manifest.json"
    told = json.loads(manifest.read_text()) | {"until": {"reached": False}}
    manifest.write_text(json.dumps(told))
    assert status(tmp_path).imprecise == 1


def test_what_is_no_sweep_is_told(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="no such folder"):
        status(tmp_path / "none")
    synthetic.store(tmp_path / "run")
    with pytest.raises(ArtefactError, match="one run"):
        status(tmp_path / "run")


def test_a_file_is_kept_by_its_whole_path(
    tmp_path: Path, calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.yaml").touch()
    monkeypatch.chdir(tmp_path)
    run_points("mine.yaml", [Point.at({"a": 1})], Path("out"))
    assert store.read_description(tmp_path / "out").source == str(tmp_path / "mine.yaml")


def test_an_axis_that_changes_nothing_is_refused(tmp_path: Path, calls: list[list[str]]) -> None:
    points = [Point({"a": 1}, ("x=1",)), Point({"a": 2}, ("x=1",))]
    with pytest.raises(ScenarioError, match="changes nothing"):
        run_points("toy", points, tmp_path)


def test_points_beside_those_there(tmp_path: Path, calls: list[list[str]]) -> None:
    run_points("toy", [Point.at({"a": 1})], tmp_path)
    frame = run_points("toy", [Point.at({"a": 2})], tmp_path, keep=True)
    assert list(frame["a"].unique()) == [2] and list(load_results(tmp_path)["a"].unique()) == [1, 2]
    again = run_points("toy", [Point.at({"a": n}) for n in (2, 1, 2)], tmp_path, keep=True)
    assert list(again["a"])[:: len(synthetic.POINTS)] == [2, 1, 2] and len(calls) == 2
    run_points("toy", [Point.at({"a": 2})], tmp_path)
    assert list(load_results(tmp_path)["a"].unique()) == [2] and len(calls) == 2


def test_a_folder_goes_on_by_itself(tmp_path: Path, calls: list[list[str]]) -> None:
    sweep("toy", {"a": ["x", "y"]}, out=tmp_path, workers=0)
    before = (tmp_path / "points.csv").read_bytes()
    name = next(iter(store.read_description(tmp_path).points))
    for file in sorted((tmp_path / name).iterdir()):
        file.unlink()
    (tmp_path / name).rmdir()
    resume(tmp_path, workers=0)
    assert len(calls) == 3 and (tmp_path / "points.csv").read_bytes() == before


def test_finished_points_are_run_anew_only_if_asked(tmp_path: Path, calls: list[list[str]]) -> None:
    points = [Point.at({"a": 1}), Point.at({"a": 2})]
    run_points("toy", points, tmp_path)
    run_points("toy", points[:1], tmp_path, keep=True, is_anew=True)
    assert calls == [["a=1"], ["a=2"], ["a=1"]]


def test_two_sweeps_in_one_folder_are_refused(tmp_path: Path, calls: list[list[str]]) -> None:
    with store.held(tmp_path):
        assert store.is_held(tmp_path)
        with pytest.raises(ScenarioError, match="another sweep"):
            sweep("toy", {"a": ["x"]}, out=tmp_path, workers=0)
    assert not store.is_held(tmp_path)


def test_what_a_killed_sweep_left_is_cleared(tmp_path: Path, calls: list[list[str]]) -> None:
    store.write_description(tmp_path, store.Described({}))
    begun = [aside_of(tmp_path / name) for name in ("0123456789abcdef", "sweep.json")]
    begun[0].mkdir()
    begun[1].touch()
    (tmp_path / ".0123456789abcdef.replications").mkdir()  # of --until: it is gone on from
    (tmp_path / "running").mkdir()
    (tmp_path / "running" / "0123456789abcdef.json").touch()
    sweep("toy", {"a": ["x"]}, out=tmp_path, workers=0)
    left = set(tmp_path.iterdir())
    assert not left & {*begun} and tmp_path / ".0123456789abcdef.replications" in left
    assert store.running(tmp_path) == []


# --- tables -----------------------------------------------------------------------------------


def test_the_consolidated_table_is_the_points_own(tmp_path: Path, calls: list[list[str]]) -> None:
    axes: dict[str, list[Any]] = {"a": [1, 2.5], "b": ["x", 3], "c": [True, False]}
    sweep("toy", axes, out=tmp_path, workers=0)
    from_parquet = load_results(tmp_path)
    (tmp_path / "points.parquet").unlink()
    pd.testing.assert_frame_equal(load_results(tmp_path), from_parquet)
    assert from_parquet["a"].dtype == float and from_parquet["c"].dtype == bool
    assert sorted(from_parquet["b"].unique()) == ["3", "x"]


def test_a_table_that_is_older_than_its_points_is_not_believed(
    tmp_path: Path, calls: list[list[str]]
) -> None:
    sweep("toy", {"a": [1]}, out=tmp_path, workers=0)
    old = (tmp_path / "points.parquet").read_bytes()
    sweep("toy", {"a": [1, 2]}, out=tmp_path, workers=0)
    (tmp_path / "points.parquet").write_bytes(old)
    assert list(load_results(tmp_path)["a"].unique()) == [1, 2]


def test_an_axis_that_does_not_apply_is_empty(tmp_path: Path, calls: list[list[str]]) -> None:
    points = [Point.at({"a": "x"}), Point.at({"a": "y", "q": 2})]
    frame = run_points("toy", points, tmp_path)
    q = frame.groupby("a")["q"].first()
    assert pd.isna(q["x"]) and q["y"] == 2


def test_a_run_is_a_table_too(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    frame = load_results(tmp_path / "run")
    assert list(frame["operating_point"]) == list(synthetic.POINTS)
    assert frame["folder"].unique() == ["run"]


def test_a_result_without_its_table_is_an_old_one(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    frame = load_results(tmp_path / "run")
    (tmp_path / "run" / "table.json").unlink()
    pd.testing.assert_frame_equal(load_results(tmp_path / "run"), frame)


def test_a_damaged_table_is_named(tmp_path: Path, calls: list[list[str]]) -> None:
    sweep("toy", {"a": [1]}, out=tmp_path, workers=0)
    (tmp_path / "points.parquet").unlink()
    name = next(iter(store.read_description(tmp_path).points))
    (tmp_path / name / "table.json").write_text("[{")
    with pytest.raises(ArtefactError, match=r"table\.json"):
        load_results(tmp_path)


def test_requests_are_read_lazily(tmp_path: Path, calls: list[list[str]]) -> None:
    sweep("toy", {"a": [1, 2], "b": ["x", "y"]}, out=tmp_path, workers=0)
    broken = store.read_description(tmp_path).points
    for name, values in broken.items():
        if values["a"] == 2:
            (tmp_path / name / "requests.parquet").write_bytes(b"damaged")
    frame = read_requests(tmp_path, columns=["latency_s", "status"], where="a == 1 and b == 'y'")
    assert list(frame.columns) == ["a", "b", "latency_s", "status", "folder"]
    assert len(frame) == len(synthetic.requests()) and set(frame["b"]) == {"y"}
    with pytest.raises(ArtefactError, match=r"requests\.parquet"):
        read_requests(tmp_path)
    with pytest.raises(ScenarioError, match="no such axis"):
        read_requests(tmp_path, where="c == 1")
    with pytest.raises(ScenarioError, match="Did you mean 'latency_s'"):
        read_requests(tmp_path, columns=["latency"], where="a == 1")
