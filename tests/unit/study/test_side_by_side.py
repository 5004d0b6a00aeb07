"""Replications in processes side by side: the same rows, from anywhere, and what goes wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simsplit.errors import ScenarioError
from simsplit.scenario.load import load
from simsplit.study import simulate as module
from simsplit.study.inputs import make_plans
from simsplit.study.replicate import replicate
from simsplit.study.run import open_scenario_pipeline, run
from simsplit.study.simulate import simulate

FILES = ("requests.parquet", "summary.json", "table.json", "scenario.yaml")


def same_bytes(one: Path, other: Path) -> bool:
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in FILES)


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Processes of every pool that is opened."""
    opened: list[int] = []
    before = module.executor

    def executor(count: int, scheduler: str | None) -> Any:
        opened.append(count)
        return before(count, scheduler)

    monkeypatch.setattr(module, "executor", executor)
    return opened


def test_rows_are_the_same_however_many_processes(tmp_path: Path, pools: list[int]) -> None:
    told: list[tuple[str, int, int]] = []
    for workers in (0, 2):
        out = tmp_path / str(workers)
        run(
            "digits_smoke",
            replications=3,
            workers=workers,
            out=out,
            progress=lambda *a: told.append(a),
        )
    assert pools == [2]
    assert same_bytes(tmp_path / "0", tmp_path / "2")
    simulated = [(done, total) for act, done, total in told if act == "simulate"]
    assert simulated == 2 * [(1, 3), (2, 3), (3, 3)]


def test_a_long_run_takes_all_cores_and_a_short_one_none(
    tmp_path: Path, pools: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "cores", lambda: 2)
    run("digits_smoke", replications=2, out=tmp_path / "short")
    assert pools == []
    monkeypatch.setattr(module, "FEWEST_REQUESTS", 100)
    run("digits_smoke", replications=2, out=tmp_path / "long")
    assert pools == [2]
    assert same_bytes(tmp_path / "short", tmp_path / "long")


def test_replications_until_targets_run_side_by_side(tmp_path: Path, pools: list[int]) -> None:
    """Every look has its own pool; two replications tell no interval of a share, four do."""
    options: dict[str, Any] = {"until": "accuracy:0.9", "minimum": 2, "limit": 4}
    for workers in (0, 2):
        done = replicate("digits_smoke", workers=workers, out=tmp_path / str(workers), **options)
        assert done.manifest["until"]["looks"] == [2, 4]
    assert pools == [2, 2]
    assert same_bytes(tmp_path / "0", tmp_path / "2")


def test_a_mistake_in_a_worker_is_the_users_to_read(tmp_path: Path) -> None:
    track = tmp_path / "track.csv"
    track.write_text("time_s,device,replication\n0.1,0,0\n")
    scenario = load(
        "digits_smoke",
        overrides=["replications=2", f"devices.png.arrivals={{kind: trace, file: {track}}}"],
    )
    pipeline = open_scenario_pipeline(scenario)
    plans = make_plans(scenario, pipeline, pipeline.prepare())
    for workers in (0, 2):
        with pytest.raises(ScenarioError, match="no rows of this replication"):
            simulate(scenario, plans, workers=workers)


def test_a_script_needs_no_guard_of_its_main_module(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import simsplit\n"
        "print('once')\n"
        "r = simsplit.run('digits_smoke', replications=2, workers=2, out='r')\n"
        "print(r.requests.replication.nunique())\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["once", "2"], done.stderr
