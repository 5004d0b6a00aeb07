"""No verb writes to a folder that is neither missing, empty nor its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from simsplit.cli import app
from simsplit.errors import ScenarioError
from simsplit.phy.traces.make import write as write_trace
from simsplit.results import sweep_folder

SHORT = ["--set", "duration_s=0.2"]
SWEEP = ["--axis", "seed=1,2", "--workers", "0"]
VERBS = {
    "run": ["run", "digits_smoke", "--no-figures", *SHORT],
    "replicate": ["run", "digits_smoke", "--no-figures", "--until", "accuracy:0.5", *SHORT],
    "sweep": ["sweep", "digits_smoke", *SWEEP, *SHORT],
    "optimise": [
        *("optimise", "digits_smoke", "--axis", "cell.channel.snr_db=5,9", "--workers", "1"),
        *("--objective", "max accuracy", *SHORT),
    ],
    "capacity": [
        *("capacity", "digits_smoke", "--devices", "png", "--where", "accuracy >= 0.1"),
        *("--max-devices", "2", "--workers", "1", *SHORT),
    ],
}


def diary(folder: Path) -> Path:
    """A user's folder with names that a sweep uses too."""
    for name in ("running/race.gpx", "failed/exam.txt", "points.csv", "log.jsonl", "notes/a.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")
    return folder


def written(folder: Path) -> dict[str, str | None]:
    paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))}
    return {name: path.read_text() if path.is_file() else None for name, path in paths.items()}


@pytest.mark.parametrize("verb", VERBS)
def test_a_users_folder_is_refused_and_left_as_it_is(verb: str, tmp_path: Path) -> None:
    folder = diary(tmp_path / "diary")
    before = written(folder)
    done = CliRunner().invoke(app, [*VERBS[verb], "--out", str(folder)])
    assert done.exit_code == 2, done.output
    text = " ".join(done.output.split())
    assert "neither empty nor" in text and "failed, log.jsonl, notes, points.csv" in text
    assert written(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["diary"]


@pytest.mark.parametrize("verb", VERBS)
def test_a_file_is_no_folder(verb: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("precious")
    done = CliRunner().invoke(app, [*VERBS[verb], "--out", str(file)])
    assert done.exit_code == 2 and file.read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("text", ["{}", "[1]", "mine", '{"points": 3, "mine": 1}'])
def test_another_file_of_that_name_makes_it_no_sweep(tmp_path: Path, text: str) -> None:
    (tmp_path / "sweep.json").write_text(text)
    (tmp_path / "running").mkdir()
    with pytest.raises(ScenarioError, match="neither empty nor a sweep's"):
        sweep_folder.check_writable(tmp_path)
    assert (tmp_path / "sweep.json").read_text() == text and (tmp_path / "running").is_dir()


def test_a_runs_folder_is_no_sweeps(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"digest": "0"}))
    with pytest.raises(ScenarioError, match=r"in the way: manifest\.json"):
        sweep_folder.check_writable(tmp_path)


@pytest.mark.parametrize("verb", ["run", "sweep"])
def test_an_empty_folder_is_as_good_as_none(verb: str, tmp_path: Path) -> None:
    folder = tmp_path / "fresh"
    folder.mkdir()
    done = CliRunner().invoke(app, [*VERBS[verb], "--out", str(folder)])
    assert done.exit_code == 0, done.output
    assert any(folder.iterdir())


def test_what_lies_beside_a_run_under_the_name_of_its_looks_is_not_removed(tmp_path: Path) -> None:
    beside = tmp_path / ".r.replications"
    diary(beside)
    done = CliRunner().invoke(app, [*VERBS["replicate"], "--out", str(tmp_path / "r")])
    assert done.exit_code == 2 and (beside / "running" / "race.gpx").read_text() == "precious"


def test_training_takes_no_users_folder(tmp_path: Path) -> None:
    folder = diary(tmp_path / "diary")
    before = written(folder)
    command = ["train", "digits_cnn", "--max-steps", "1", "--out", str(folder)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2 and "neither empty nor a model's" in " ".join(done.output.split())
    assert written(folder) == before


def test_a_trace_does_not_replace_a_file_that_was_not_named(tmp_path: Path) -> None:
    rows = pd.DataFrame({"time_s": [0.0], "device": [0], "snr_db": [3.0]})
    (tmp_path / "drive.json").write_text('{"mine": 1}')
    with pytest.raises(ScenarioError, match="another file"):
        write_trace(tmp_path / "drive.csv", rows, {"kind": "test"})
    assert [path.name for path in tmp_path.iterdir()] == ["drive.json"]
    (tmp_path / "drive.json").unlink()
    for _ in range(2):  # one of its own is replaced
        write_trace(tmp_path / "drive.csv", rows, {"kind": "test"})
    assert json.loads((tmp_path / "drive.json").read_text())["rows"] == 1


@pytest.mark.parametrize("prepare", [lambda f: None, lambda f: (f / ".lock").touch()])
def test_what_a_sweep_killed_at_once_leaves_is_no_hindrance(
    tmp_path: Path, prepare: Callable[[Path], None]
) -> None:
    prepare(tmp_path)
    sweep_folder.check_writable(tmp_path)
