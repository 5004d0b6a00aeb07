"""Replications until targets are met: byte-identical to one run, resumable, nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import simsplit.study.replicate  # noqa: F401  (the module, not the verb)
from simsplit.cli.terminal import app
from simsplit.errors import ScenarioError
from simsplit.files import aside_of
from simsplit.results.identity import artefact_digests
from simsplit.study.replicate import replicate, run_or_replicate
from simsplit.study.run import Replications, resolve, run, run_replications

module = sys.modules["simsplit.study.replicate"]
SAME = ("requests.parquet", "table.json", "summary.json", "scenario.yaml")
ASKED = "accuracy:0.03,latency_s:9%"


def asked(out: Path, until: str = ASKED, **more: Any) -> Any:
    return replicate("digits_smoke", until=until, out=out, **({"minimum": 3, "limit": 60} | more))


def same_bytes(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in SAME)


def entries(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An undisturbed result; it took several looks."""
    found = asked(tmp_path_factory.mktemp("whole") / "r")
    assert len(found.manifest["until"]["looks"]) >= 3
    return found


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(first, count) of every range that is simulated."""
    made: list[tuple[int, int]] = []

    def counted(scenario: Any, first: int, count: int, **more: Any) -> Replications:
        made.append((first, count))
        return run_replications(scenario, first, count, **more)

    monkeypatch.setattr(module, "run_replications", counted)
    return made


def test_the_result_is_that_of_one_run_of_so_many(whole: Any, tmp_path: Path) -> None:
    count = whole.scenario.replications
    once = run("digits_smoke", replications=count, out=tmp_path / "once")
    assert same_bytes(whole.folder, once.folder)
    assert whole.manifest["digest"] == once.manifest["digest"]
    assert whole.requests["replication"].nunique() == count
    assert entries(whole.folder.parent) == ["r"]
    assert "until" not in once.manifest and "until" not in whole.summary


def test_the_manifest_says_what_was_asked_and_reached(whole: Any) -> None:
    note = whole.manifest["until"]
    assert note["reached"] is True and note["targets"] == ASKED.split(",")
    assert note["looks"][0] == 3 and note["looks"][-1] == whole.scenario.replications
    assert note["looks"] == sorted(set(note["looks"])) and note["limit"] == 60
    assert [one["kpi"] for one in note["widest"]] == ["accuracy", "latency_s"]
    assert all(one["half_width"] <= one["allowed"] for one in note["widest"])


def test_each_replication_is_simulated_once(tmp_path: Path, ran: list[tuple[int, int]]) -> None:
    found = asked(tmp_path / "r")
    numbers = [n for first, count in ran for n in range(first, first + count)]
    assert numbers == list(range(found.scenario.replications))


@pytest.mark.parametrize("place", ["run_replications", "store", "_publish"])
def test_after_a_crash_it_goes_on_from_the_last_look(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    original, calls = getattr(module, place), []

    def crash(*arguments: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == (1 if place == "_publish" else 3):
            raise KeyboardInterrupt
        return original(*arguments, **more)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, place, crash)
        asked(tmp_path / "r")
    assert entries(tmp_path) == [".r.replications"]
    ranges: list[int] = []

    def counted(scenario: Any, first: int, count: int, **more: Any) -> Replications:
        ranges.append(first)
        return run_replications(scenario, first, count, **more)

    monkeypatch.setattr(module, "run_replications", counted)
    found = asked(tmp_path / "r")
    looks = whole.manifest["until"]["looks"]
    assert ranges == ([] if place == "_publish" else looks[1:-1])
    assert same_bytes(found.folder, whole.folder) and entries(tmp_path) == ["r"]
    assert found.manifest["until"] == whole.manifest["until"]


def test_killed_between_the_two_renames_nothing_is_lost(
    whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ran: list[tuple[int, int]]
) -> None:
    asked(tmp_path / "r", limit=3)
    renames, rename = [], os.rename

    def crash(old: Any, new: Any) -> None:
        if Path(new) == tmp_path / "r":
            renames.append(new)
            raise KeyboardInterrupt
        rename(old, new)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.os, "rename", crash)
        asked(tmp_path / "r")
    ran.clear()
    found = asked(tmp_path / "r")
    assert ran == [] and same_bytes(found.folder, whole.folder) and entries(tmp_path) == ["r"]


def test_damaged_or_foreign_leftovers_are_not_used(
    whole: Any, tmp_path: Path, ran: list[tuple[int, int]]
) -> None:
    aside = tmp_path / ".r.replications"
    run("digits_smoke", replications=3, seed=9, out=aside / "3")
    run("digits_smoke", replications=5, out=aside / "5")
    (aside / "5" / "summary.json").write_text("{")
    aside_of(aside / "4").mkdir()
    found = asked(tmp_path / "r")
    assert ran[0] == (0, 3)
    assert same_bytes(found.folder, whole.folder) and entries(tmp_path) == ["r"]


def test_a_result_is_gone_on_from_and_a_met_one_is_left(
    whole: Any, tmp_path: Path, ran: list[tuple[int, int]]
) -> None:
    short = asked(tmp_path / "r", limit=4)
    assert short.manifest["until"]["reached"] is False and short.scenario.replications == 4
    found = asked(tmp_path / "r")
    assert ran[:2] == [(0, 3), (3, 1)] and ran[2][0] == 4
    assert found.manifest["until"]["reached"] and entries(tmp_path) == ["r"]
    once = run("digits_smoke", replications=found.scenario.replications, out=tmp_path / "once")
    assert same_bytes(found.folder, once.folder)
    ran.clear()
    again = asked(tmp_path / "r", until="accuracy:0.5")
    assert ran == [] and again.scenario.replications == found.scenario.replications
    assert again.manifest["until"]["targets"] == ["accuracy:0.5"]
    assert json.loads((tmp_path / "r" / "manifest.json").read_text()) == again.manifest


def test_a_plain_run_is_gone_on_from(tmp_path: Path, ran: list[tuple[int, int]]) -> None:
    run("digits_smoke", replications=5, out=tmp_path / "r")
    found = asked(tmp_path / "r")
    assert ran[0][0] == 5 and found.manifest["until"]["looks"][0] > 5
    assert found.manifest["wall_time_s"] > 0


def test_at_the_limit_the_result_is_kept_and_says_so(tmp_path: Path) -> None:
    found = asked(tmp_path / "r", until="accuracy:0.0001", limit=7)
    note = found.manifest["until"]
    assert not note["reached"] and note["looks"] == [3, 6, 7]
    assert found.scenario.replications == 7 and entries(tmp_path) == ["r"]
    assert same_bytes(found.folder, run("digits_smoke", replications=7, out=tmp_path / "o").folder)


def test_more_replications_of_the_scenario_are_the_first_look(tmp_path: Path) -> None:
    found = asked(tmp_path / "r", until="accuracy:0.5", replications=6)
    assert found.manifest["until"]["looks"] == [6]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"until": "acuracy:0.1"}, "accuracy"),
        ({"until": "latency_s.p90:0.1"}, "no such KPI"),
        ({"until": ()}, "at least one target"),
        ({"minimum": 1}, "at least 2"),
        ({"limit": 2}, "first look"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    tmp_path: Path, ran: list[tuple[int, int]], more: dict, message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        asked(tmp_path / "r", **more)
    assert ran == [] and entries(tmp_path) == []


def test_another_run_or_no_result_is_refused_before_anything_runs(
    tmp_path: Path, ran: list[tuple[int, int]]
) -> None:
    run("digits_smoke", seed=7, out=tmp_path / "r")
    before = entries(tmp_path / "r")
    with pytest.raises(ScenarioError, match="another run"):
        asked(tmp_path / "r")
    with pytest.raises(ScenarioError, match="another run"):
        run("digits_smoke", seed=8, out=tmp_path / "r")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ScenarioError, match=r"in the way: thesis\.txt"):
        asked(tmp_path / "mine")
    assert ran == [] and entries(tmp_path / "r") == before
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_joined_frames_have_the_types_of_all_rows_together() -> None:
    early = [{"a": None, "b": True, "c": 1, "d": None}, {"a": None, "b": False, "c": 2, "d": None}]
    late = [{"a": 1.5, "b": None, "c": 3, "d": None, "e": "x"}]
    parts = [Replications(pd.DataFrame(rows), [{"n": len(rows)}]) for rows in (early, late)]
    joined = parts[0].joined(parts[1])
    pd.testing.assert_frame_equal(joined.requests, pd.DataFrame(early + late))
    assert joined.stations == [{"n": 2}, {"n": 1}] and len(joined) == 2


def test_ranges_join_to_the_rows_of_one_run() -> None:
    scenario = resolve("digits_smoke", ["cell.channel.snr_db=2"], {})
    parts = [run_replications(scenario, first, count) for first, count in ((0, 1), (1, 2))]
    once = run_replications(scenario, 0, 3)
    joined = parts[0].joined(parts[1])
    pd.testing.assert_frame_equal(joined.requests, once.requests, check_exact=True)
    assert joined.stations == once.stations


def test_without_targets_it_is_a_run(tmp_path: Path) -> None:
    found = run_or_replicate("digits_smoke", out=tmp_path / "r")
    assert "until" not in found.manifest
    with pytest.raises(ScenarioError, match="--until"):
        run_or_replicate("digits_smoke", limit=4)


def test_the_command_says_how_many_it_took(tmp_path: Path) -> None:
    command = ["run", "digits_smoke", "--until", ASKED, "--out", str(tmp_path / "r")]
    command += ["--min-replications", "3", "--no-figures"]
    short = CliRunner().invoke(app, [*command, "--max-replications", "4"])
    assert short.exit_code == 0 and "4 replications (looked after 3, 4): NOT" in short.output
    assert "Warning: not precise" in short.output
    found = CliRunner().invoke(app, [*command, "--max-replications", "60"])
    assert "every interval is as narrow as asked" in found.output and "NOT" not in found.output
    assert "Warning" not in found.output and "accuracy:0.03" in found.output
    told = CliRunner().invoke(app, [*command, "--max-replications", "60", "--json"])
    assert json.loads(told.output)["until"]["reached"] is True
    refused = CliRunner().invoke(app, ["run", "digits_smoke", "--max-replications", "4"])
    assert refused.exit_code == 2 and "--until" in refused.output


# --- what is opened once per process ----------------------------------------------------------


def test_interleaved_runs_give_the_rows_of_pipelines_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two scenarios that share pictures and weights but not seed and points, taken in turns."""
    from simsplit.pipeline import scenario as pipelines

    texts = (["seed=1"], ["seed=2", "cell.channel.snr_db=0"], ["seed=1", "cell.channel.snr_db=0"])
    scenarios = [resolve("digits_smoke", text, {}) for text in texts]
    pipelines._open.clear()
    turns = [run_replications(scenario, 0, 1).requests for scenario in scenarios * 2]
    assert len(pipelines._open) == 2  # the SNR is not a pipeline's matter
    for number, scenario in enumerate(scenarios):
        pipelines._open.clear()
        fresh = run_replications(scenario, 0, 1).requests
        for rows in turns[number :: len(scenarios)]:
            pd.testing.assert_frame_equal(rows, fresh, check_exact=True)


@pytest.mark.parametrize(
    "text",
    [
        "seed=5",
        "task.samples=16",
        "cell.estimation.equaliser=mmse",
        "operating_points.feature_8bit.codec.bits=4",
        "cell.fidelity=exact",
    ],
)
def test_a_pipeline_is_another_where_what_it_depends_on_is(text: str) -> None:
    from simsplit.study.run import open_scenario_pipeline

    plain, same = (resolve("digits_smoke", t, {}) for t in ([], ["cell.channel.snr_db=1"]))
    assert open_scenario_pipeline(plain) is open_scenario_pipeline(same)
    other = resolve("digits_smoke", [text], {})
    assert open_scenario_pipeline(other) is not open_scenario_pipeline(plain)


def test_the_pipelines_kept_open_are_few() -> None:
    from simsplit.pipeline import scenario as pipelines

    for seed in range(7):
        pipelines.opened_pipeline(resolve("digits_smoke", [f"seed={seed}"], {}), *places())
    assert len(pipelines._open) == pipelines.MOST_OPEN == 4


def places() -> tuple[Path, Path]:
    from simsplit.scenario.bundled import models_dir
    from simsplit.tasks.cache_folder import cache_directory

    return models_dir(), cache_directory()


def test_new_weights_are_read_anew(tmp_path: Path) -> None:
    """Retrained in place: neither the digest nor the open pipeline is that of the old ones."""
    from simsplit.files import file_digest
    from simsplit.pipeline.scenario import opened_pipeline

    models, cache = places()
    shutil.copytree(models / "digits_cnn", tmp_path / "digits_cnn")
    scenario = resolve("digits_smoke", [], {})
    before = opened_pipeline(scenario, tmp_path, cache)
    assert opened_pipeline(scenario, tmp_path, cache) is before
    card = tmp_path / "digits_cnn" / "card.json"
    old = file_digest(card)
    card.write_text(card.read_text() + " \n")
    assert file_digest(card) != old
    assert opened_pipeline(scenario, tmp_path, cache) is not before


def test_digests_do_not_depend_on_what_was_asked_before() -> None:
    import hashlib

    scenario = resolve("digits_smoke", [], {})
    once, twice = artefact_digests(scenario), artefact_digests(scenario)
    assert once == twice and once is not twice
    weights = places()[0] / "digits_cnn" / "weights.safetensors"
    assert once["weights"] == hashlib.sha256(weights.read_bytes()).hexdigest()
