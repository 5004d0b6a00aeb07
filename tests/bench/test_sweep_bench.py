"""Benchmarks of sweeps, as ratios measured side by side in one run. No assertion on time.

`python -m pytest tests/bench/test_sweep_bench.py -m slow --benchmark-only -s` prints the ratios.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from simsplit.results import sweep_folder as store
from simsplit.results import sweep_table as tables
from simsplit.results.sweep_table import load_results
from simsplit.scenario.sweeps import sweep_from_axes
from simsplit.study.run import run
from simsplit.study.sweep import Execution, run_sweep

pytestmark = pytest.mark.slow
AXES = ["cell.channel.snr_db=-5:25:5", "device.operating_point=stage3,learned,analog"]
SETTINGS = ["duration_s=20"]
MANY = 10_000


def timed(call) -> float:
    started_s = time.perf_counter()
    call()
    return time.perf_counter() - started_s


def tell(benchmark, name: str, value: float) -> None:
    benchmark.extra_info[name] = round(value, 3)
    print(f"\n{name}: {value:.3f}")


def test_two_workers_against_one(benchmark, tmp_path: Path) -> None:
    """21 points of split_choice, 20 simulated seconds each; the same sweep with either number."""
    asked = sweep_from_axes("split_choice", AXES, overrides=SETTINGS)

    def sweep(workers: int, name: str) -> float:
        out = tmp_path / name
        return timed(lambda: run_sweep(asked, out, Execution(workers)))

    sweep(1, "warm")  # fills the caches of act one and of shared scores
    one_s, two_s = sweep(1, "one"), sweep(2, "two")
    two_s += sweep(2, "two again")
    one_s += sweep(1, "one again")
    tell(benchmark, "speed of two workers over one", one_s / two_s)
    benchmark.pedantic(lambda: None)


def test_overhead_of_the_machinery(benchmark, tmp_path: Path) -> None:
    """The same points by hand, one `run` after the other, and as a sweep in one process."""
    asked = sweep_from_axes("split_choice", AXES, overrides=["duration_s=5"])

    def by_hand(name: str) -> float:
        def every() -> None:
            for number, point in enumerate(asked.points):
                run("split_choice", overrides=point.overrides, out=tmp_path / name / str(number))

        return timed(every)

    def sweep(name: str) -> float:
        out = tmp_path / name
        return timed(lambda: run_sweep(asked, out, Execution(workers=0)))

    by_hand("warm")
    hand_s, sweep_s = by_hand("a"), sweep("b")
    sweep_s += sweep("c")
    hand_s += by_hand("d")
    tell(benchmark, "time as a sweep over time by hand", sweep_s / hand_s)
    benchmark.pedantic(lambda: None)


@pytest.fixture(scope="module")
def many_points(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep folder of 10,000 finished points with the table of a real one."""
    folder = tmp_path_factory.mktemp("many")
    real = run("split_choice", overrides=["duration_s=1"], out=folder / "real")
    assert real.folder is not None
    text = (real.folder / "table.json").read_bytes()
    names = [f"{number:016x}" for number in range(MANY)]
    for name in names:
        (folder / name).mkdir()
        (folder / name / "table.json").write_bytes(text)
    points = {name: {"a": number} for number, name in enumerate(names)}
    store.write_description(folder, store.Described(points))
    return folder


def test_loading_ten_thousand_points(benchmark, many_points: Path) -> None:
    """From the points' own tables, as after a kill."""
    (many_points / tables.PARQUET).unlink(missing_ok=True)
    frame = benchmark.pedantic(load_results, args=(many_points,), rounds=3)
    assert len(frame) >= MANY
    assert json.loads((many_points / store.DESCRIPTION).read_text())["axes"] == ["a"]


def test_loading_ten_thousand_points_consolidated(benchmark, many_points: Path) -> None:
    """From ``points.parquet``, as after a sweep that ended."""
    tables.write_tables(many_points, store.read_description(many_points))
    frame = benchmark.pedantic(load_results, args=(many_points,), rounds=3)
    assert len(frame) >= MANY
