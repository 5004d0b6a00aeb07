"""Validation: `replicate` on a real scenario ends exactly where its intervals are narrow enough."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from simsplit.results.kpis import flat_rows
from simsplit.study.replicate import replicate
from simsplit.study.run import run
from simsplit.study.until import Target, parse_until, unmet

ASKED = "accuracy:0.03,latency_s:9%"
SAME = ("requests.parquet", "table.json", "summary.json", "scenario.yaml")
CHILD = """
import sys, time
from simsplit.study.replicate import replicate

slowly = lambda act, done, total: time.sleep(0.2 * (act == "simulate"))
replicate("digits_smoke", until=sys.argv[1], out=sys.argv[2], minimum=3, progress=slowly)
"""


def rows_of(count: int, out: Path) -> list[dict]:
    found = run("digits_smoke", replications=count, out=out)
    return flat_rows(found.scenario, found.summary)


def test_it_ends_at_the_first_look_where_every_interval_is_narrow_enough(tmp_path: Path) -> None:
    targets = parse_until(ASKED)
    found = replicate("digits_smoke", until=targets, out=tmp_path / "r", minimum=5)
    looks = found.manifest["until"]["looks"]
    for look in looks[:-1]:
        assert unmet(rows_of(look, tmp_path / str(look)), targets), look
    last = rows_of(looks[-1], tmp_path / "last")
    assert len(looks) > 1 and unmet(last, targets) == []
    for row in last:  # by hand, not through the code under test
        half = (row["score_accuracy_ci_high"] - row["score_accuracy_ci_low"]) / 2
        assert half <= 0.03, row["operating_point"]
        half = (row["latency_s_ci_high"] - row["latency_s_ci_low"]) / 2
        assert half <= 0.09 * row["latency_s"], row["operating_point"]


def test_half_the_width_takes_four_times_the_replications(tmp_path: Path) -> None:
    """Half-widths fall as 1 / sqrt(n); the count of a target is random, so within a factor 2.5."""
    counts = []
    for width in (0.06, 0.03):
        targets = [Target("latency_s", width, is_relative=True)]
        found = replicate(
            "digits_smoke", until=targets, out=tmp_path / str(width), minimum=5, limit=400
        )
        assert found.manifest["until"]["reached"]
        counts.append(found.scenario.replications)
    assert 4 / 2.5 < counts[1] / counts[0] < 4 * 2.5


@pytest.mark.slow
def test_a_killed_process_goes_on_and_gives_the_same_bytes(tmp_path: Path) -> None:
    """SIGKILL after the first and after the second look; the third process ends the work."""
    whole = replicate("digits_smoke", until=ASKED, out=tmp_path / "whole", minimum=3)
    looks = whole.manifest["until"]["looks"]
    aside = tmp_path / ".r.replications"
    for look in looks[:2]:
        command = [sys.executable, "-c", CHILD, ASKED, str(tmp_path / "r")]
        child = subprocess.Popen(command)
        try:
            wait_for(aside / str(look), child)
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        assert not (tmp_path / "r").exists()
    seen: list[int] = []
    found = replicate(
        "digits_smoke",
        until=ASKED,
        out=tmp_path / "r",
        minimum=3,
        progress=lambda act, done, total: seen.append(done) if act == "simulate" else None,
    )
    assert seen[0] > looks[1] and seen[-1] == looks[-1]
    for name in SAME:
        assert (found.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r", "whole"]


def wait_for(folder: Path, child: subprocess.Popen, most_s: float = 500.0) -> None:
    end_s = time.monotonic() + most_s
    while not folder.exists():
        assert child.poll() is None and time.monotonic() < end_s
        time.sleep(0.01)
