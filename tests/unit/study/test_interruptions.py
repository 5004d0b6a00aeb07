"""A sweep that is killed, a worker that dies, a cluster: the same tables, nothing run twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from simsplit.results import sweep_folder as store
from simsplit.results.sweep_folder import status
from simsplit.results.sweep_table import load_results
from simsplit.scenario.sweeps import sweep_from_axes
from simsplit.study.sweep import Execution, run_sweep

pytestmark = pytest.mark.slow

AXES = ["cell.channel.snr_db=-4:10:2", "devices.jscc.count=1,2"]
SETTINGS = ["duration_s=8", "replications=2"]
POINTS, WORKERS = 16, 2
TABLES = ("points.csv", "points.parquet")
DISTRIBUTED = [sys.executable, "-m", "distributed.cli.dask_scheduler"]


def command(out: Path, *more: str) -> list[str]:
    axes = [part for axis in AXES for part in ("--axis", axis)]
    settings = [part for text in SETTINGS for part in ("--set", text)]
    code = "from simsplit.cli import main; main()"
    sweep = ["sweep", "digits_smoke", *axes, *settings, "--out", str(out), *more]
    return [sys.executable, "-c", code, *sweep]


def finish(out: Path, *more: str) -> None:
    done = subprocess.run(command(out, *more), capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr


def starts(out: Path) -> Counter[str]:
    return Counter(line["point"] for line in store.read_log(out) if line["event"] == "start")


def tables(out: Path) -> list[bytes]:
    return [(out / name).read_bytes() for name in TABLES]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("sweep") / "undisturbed"
    finish(out, "--workers", str(WORKERS))
    assert set(starts(out).values()) == {1} and len(starts(out)) == POINTS
    return out


def done_count(out: Path) -> int:
    return status(out).done if (out / "sweep.json").is_file() else 0


def wait_for(out: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Until so many points are done and the process is still at work."""
    for _ in range(3000):
        if done_count(out) >= count:
            return
        assert process.poll() is None, "ended before it could be killed"
        time.sleep(0.05)
    raise AssertionError("no progress")


def worker_at_work(out: Path, process: subprocess.Popen[bytes]) -> int:
    """Process number of a worker in the middle of a point; its marker may vanish as one looks."""
    for _ in range(3000):
        for point in store.running(out):
            with suppress(FileNotFoundError, json.JSONDecodeError):
                return int(json.loads((out / store.RUNNING / f"{point}.json").read_text())["pid"])
        assert process.poll() is None, "ended before a worker could be killed"
        time.sleep(0.01)
    raise AssertionError("no worker at work")


def test_killed_three_times_at_random_moments(undisturbed: Path, tmp_path: Path) -> None:
    chance, out = random.Random(5), tmp_path / "killed"
    for _ in range(3):
        before = done_count(out)
        process = subprocess.Popen(command(out, "--workers", str(WORKERS)), start_new_session=True)
        wait_for(out, before + 2, process)
        time.sleep(chance.uniform(0, 0.5))
        os.kill(process.pid, signal.SIGKILL)  # the parent alone: its workers must end by themselves
        process.wait()
        assert done_count(out) < POINTS
    finish(out, "--workers", str(WORKERS))
    assert tables(out) == tables(undisturbed)
    twice = sum(starts(out).values()) - POINTS
    assert len(starts(out)) == POINTS and 0 <= twice <= 3 * WORKERS
    assert [path.name for path in out.iterdir() if path.name.startswith(".0")] == []


def test_ctrl_c_says_how_to_go_on(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "stopped"
    process = subprocess.Popen(
        command(out, "--workers", "2"), stderr=subprocess.PIPE, start_new_session=True
    )
    wait_for(out, 1, process)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=500)
    assert process.returncode == 130 and f"simsplit sweep {out}" in said.decode()
    assert "Traceback" not in said.decode()
    code = "from simsplit.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, "sweep", str(out)], check=True, timeout=500)
    assert tables(out) == tables(undisturbed)


def test_a_worker_that_dies_costs_nothing_else(undisturbed: Path, tmp_path: Path) -> None:
    out = tmp_path / "murder"
    process = subprocess.Popen(command(out, "--workers", "2"))
    wait_for(out, 2, process)
    os.kill(worker_at_work(out, process), signal.SIGKILL)
    assert process.wait(timeout=500) == 0
    assert tables(out) == tables(undisturbed)


def test_one_worker_gives_the_same_tables(undisturbed: Path, tmp_path: Path) -> None:
    asked = sweep_from_axes("digits_smoke", AXES, overrides=SETTINGS)
    run_sweep(asked, tmp_path / "here", Execution(workers=0))
    assert (tmp_path / "here" / "points.csv").read_bytes() == tables(undisturbed)[0]


# --- Dask -------------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler, and two workers, each a process of its own."""
    pytest.importorskip("distributed")
    code = (
        "import asyncio, sys\n"
        "from distributed import Scheduler\n"
        "async def main():\n"
        "    async with Scheduler(host='127.0.0.1', dashboard_address=None) as scheduler:\n"
        "        print(scheduler.address, flush=True)\n"
        "        await scheduler.finished()\n"
        "asyncio.run(main())"
    )
    scheduler = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert scheduler.stdout is not None
    address = scheduler.stdout.readline().decode().strip()
    workers = [_worker(address) for _ in range(2)]
    yield address, workers
    for process in (*workers, scheduler):
        process.kill()
        process.wait()


def _worker(address: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*command, "--no-nanny", "--no-dashboard"], **quiet)  # type: ignore[call-overload,no-any-return]


def test_a_cluster_gives_the_same_tables(
    undisturbed: Path, tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    finish(tmp_path / "dask", "--scheduler", cluster[0])
    assert tables(tmp_path / "dask") == tables(undisturbed)
    assert set(starts(tmp_path / "dask").values()) == {1}


def test_a_cluster_worker_killed_midway_loses_nothing(
    undisturbed: Path, tmp_path: Path, cluster: tuple[str, list[subprocess.Popen[bytes]]]
) -> None:
    out = tmp_path / "dask"
    process = subprocess.Popen(command(out, "--scheduler", cluster[0]))
    wait_for(out, 3, process)
    cluster[1][0].kill()
    assert process.wait(timeout=500) == 0
    assert tables(out) == tables(undisturbed)
    assert len(load_results(out)) == POINTS * 4
    assert sum(starts(out).values()) - POINTS <= 1


def test_nobody_at_the_address(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    done = subprocess.run(
        command(tmp_path, "--scheduler", "tcp://127.0.0.1:9"), capture_output=True, text=True
    )
    assert done.returncode == 2 and "Dask scheduler" in done.stderr
