"""How many devices fit: every way a search can end, on known functions of the count."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import synthetic
from fake_sweep import FakeSweep
from simsplit.cli.terminal import app
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.results.kpis import parse_conditions
from simsplit.scenario.load import load
from simsplit.study.capacity_outcome import Fleet, fleet_of, judged

module = importlib.import_module("simsplit.study.capacity")
AXIS = "devices.local.count"  # the last group of digits_smoke
Half = Callable[[int], float]


def latency(half: Half, mean: Callable[[int], float] = lambda n: 0.001 * n) -> Any:
    """Latency of n milliseconds with n devices, and its interval for so many replications."""

    def kpis(values: Mapping[str, Any], replications: int) -> dict[str, tuple[float, float]]:
        return {
            "latency_p99_s": (mean(values[AXIS]), half(replications)),
            "deadline_met": (1.0 - values[AXIS] / 10_000, 0.0),
        }

    return kpis


def asked(monkeypatch: pytest.MonkeyPatch, kpis: Any) -> FakeSweep:
    fake = FakeSweep(kpis)
    monkeypatch.setattr(module, "run_sweep", fake)
    return fake


def capacity(out: Path, where: str = "latency_s.p99 <= 0.0425", **changes: Any) -> Any:
    return module.capacity("digits_smoke", where, out=out, devices="local", **changes)


def counts(fake: FakeSweep) -> list[int]:
    return [point[AXIS] for call in fake.calls for point in call]


# --- every way to end -------------------------------------------------------------------------


def test_doubling_then_bisection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = asked(monkeypatch, latency(lambda _: 1e-6))
    found = capacity(tmp_path)
    assert counts(fake) == [1, 2, 4, 8, 16, 32, 64, 48, 40, 44, 42, 43, 128]
    assert (found.count, found.smallest.count) == (42, 43)
    assert (found.surely_fits, found.surely_not) == (42, 43)
    assert found.answer == "42 devices fit; 43 do not: latency_s.p99 <= 0.0425 fails."
    assert found.largest.kpis[0].mean == pytest.approx(0.042)
    assert found.notes == []


@pytest.mark.parametrize("true", [1, 2, 3, 31, 32, 33, 63, 64, 99])
def test_every_capacity_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, true: int
) -> None:
    asked(monkeypatch, latency(lambda _: 1e-6))
    found = capacity(tmp_path, f"latency_s.p99 <= {true / 1000 + 5e-4}", max_devices=100)
    assert (found.count, found.smallest.count) == (true, true + 1)


def test_all_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = asked(monkeypatch, latency(lambda _: 1e-6))
    found = capacity(tmp_path, max_devices=20)
    assert counts(fake) == [1, 2, 4, 8, 16, 20]
    assert (found.count, found.smallest, found.surely_not) == (20, None, None)
    assert "the most that was asked for" in found.answer


def test_none_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, latency(lambda _: 1e-6))
    found = capacity(tmp_path, "latency_s.p99 <= 0.0001")
    assert (found.count, found.largest, found.smallest.count) == (0, None, 1)
    assert "Not even 1 device fit" in found.answer


def test_noise_leaves_counts_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half-width 8 ms / sqrt(R), R up to 16: 2 ms, so 40.5 < n < 44.5 is open at 42.5 ms."""
    asked(monkeypatch, latency(lambda r: 0.008 / math.sqrt(r)))
    found = capacity(tmp_path, replications=4, max_replications=16)
    assert (found.count, found.smallest.count) == (42, 43)
    assert (found.surely_fits, found.surely_not) == (40, 45)
    used = {verdict.count: verdict.replications for verdict in found.verdicts}
    assert used[42] == used[44] == 16
    assert used[46] == 8, "replications are doubled, not all spent at once"
    assert used[8] == used[128] == 4, "clear cases must not cost more replications"
    assert not found.largest.is_certain
    assert any("Undecided, within noise, from 41 to 44 devices" in note for note in found.notes)


def test_without_intervals_the_mean_decides_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, latency(lambda _: math.nan))
    found = capacity(tmp_path, max_devices=64, replications=1)
    assert (found.count, found.surely_fits, found.surely_not) == (42, 0, None)
    assert any("no count fits beyond doubt" in note for note in found.notes)


def all_groups(out: Path, monkeypatch: pytest.MonkeyPatch, half: Half, bound_s: float) -> Any:
    """Latency of n milliseconds with n devices in the four groups of digits_smoke."""
    asked(monkeypatch, lambda v, r: {"latency_p99_s": (0.001 * v["devices"], half(r))})
    where = f"latency_s.p99 <= {bound_s}"
    return module.capacity("digits_smoke", where, out=out, devices="all", max_devices=64)


def test_counts_below_a_device_for_each_group_are_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = all_groups(tmp_path / "sure", monkeypatch, lambda _: 1e-6, 0.002)
    assert (found.surely_fits, found.surely_not) == (0, 4)
    assert "Not even 4 devices fit" in found.answer
    assert found.notes == []
    found = all_groups(tmp_path / "noise", monkeypatch, lambda _: 0.0035, 0.0042)
    assert (found.count, found.surely_fits, found.surely_not) == (4, 0, 8)
    assert found.notes == [
        "Undecided, within noise, from 4 to 7 devices: 8 surely do not fit. "
        "More --max-replications narrow this."
    ]


def test_nothing_decided_is_told_even_if_nothing_fits_by_the_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = all_groups(tmp_path, monkeypatch, lambda _: math.nan, 0.002)
    assert (found.count, found.surely_fits, found.surely_not) == (0, 0, None)
    assert any("no count fits beyond doubt; none surely does not" in n for n in found.notes)


def test_per_cent_stays_per_cent_for_people_and_is_a_share_in_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, latency(lambda _: 1e-6))
    found = capacity(tmp_path, "deadline_misses <= 0.3 %")
    assert found.answer == "30 devices fit; 31 do not: deadline_misses <= 0.3 % fails."
    columns, rows = found.table()
    assert columns == [AXIS, "replications", "deadline_misses <= 0.3 %", "fits"]
    assert next(row for row in rows if row[0] == "30")[2] == "0.3 ± 0 %"
    written = json.loads((tmp_path / "capacity.json").read_text())
    assert list(written["largest_feasible"]["kpis"]) == ["deadline_misses <= 0.003"]
    assert written["binding"] == written["asked"]["where"] == ["deadline_misses <= 0.003"]


def test_few_devices_without_an_interval_leave_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One device sends too little for an interval of the 99th percentile; more devices do not."""

    def kpis(values: Mapping[str, Any], _: int) -> dict[str, tuple[float, float]]:
        return {"latency_p99_s": (0.001 * values[AXIS], math.nan if values[AXIS] == 1 else 1e-6)}

    asked(monkeypatch, kpis)
    found = capacity(tmp_path)
    assert (found.surely_fits, found.count, found.surely_not) == (42, 42, 43)
    assert not found.verdicts[0].is_certain


def test_a_larger_count_that_fits_again_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches that fill: from 100 devices on latency falls to 1 ms."""
    asked(monkeypatch, latency(lambda _: 1e-6, lambda n: 0.001 * n if n < 100 else 0.001))
    found = capacity(tmp_path)
    assert (found.count, found.smallest.count) == (42, 43)
    assert any("Not monotone: 128 devices fit although 43 do not" in n for n in found.notes)
    assert json.loads((tmp_path / "capacity.json").read_text())["is_monotone"] is False


def test_no_monotony_by_the_means_may_be_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, latency(lambda _: 0.005, lambda n: 0.044 if n == 32 else 0.001 * n))
    found = capacity(tmp_path, max_replications=5)
    assert (found.count, found.smallest.count) == (31, 32)
    assert any("may be noise: 40 devices fit although 32 do not" in note for note in found.notes)


def test_which_condition_binds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.3 % misses at 30 devices come before 42.5 ms."""
    asked(monkeypatch, latency(lambda _: 1e-6))
    found = capacity(tmp_path, "latency_s.p99 <= 0.0425, deadline_misses <= 0.3 %")
    assert (found.count, found.smallest.count) == (30, 31)
    assert [str(condition) for condition in found.binding] == ["deadline_misses <= 0.003"]
    both = capacity(tmp_path, "latency_s.p99 <= 0.0305, deadline_misses <= 0.3 %")
    assert [condition.kpi for condition in both.binding] == ["deadline_misses", "latency_s.p99"]


def test_a_value_that_is_missing_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing arrives any more there is no latency: that is no success."""
    asked(monkeypatch, latency(lambda _: 1e-6, lambda n: 0.001 if n <= 10 else math.nan))
    found = capacity(tmp_path)
    assert (found.count, found.smallest.count) == (10, 11)
    assert "latency_s.p99: no value, n = 400" in found.answer
    assert any("counts as not kept, at 11" in note for note in found.notes)


# --- what is kept -----------------------------------------------------------------------------


def test_capacity_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, latency(lambda _: 1e-6))
    found = capacity(tmp_path)
    written = json.loads((tmp_path / "capacity.json").read_text())
    assert written["capacity"] == 42
    assert written["largest_feasible"]["by_group"] == {"local": 42}
    assert written["smallest_infeasible"]["kpis"]["latency_s.p99 <= 0.0425"][
        "mean"
    ] == pytest.approx(0.043)
    assert written["binding"] == ["latency_s.p99 <= 0.0425"]
    assert written["asked"]["where"] == ["latency_s.p99 <= 0.0425"]
    assert [verdict["devices"] for verdict in written["verdicts"]] == [
        verdict.count for verdict in found.verdicts
    ]


def test_other_conditions_of_the_same_counts_but_no_other_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, latency(lambda _: 1e-6))
    capacity(tmp_path)
    assert capacity(tmp_path, "latency_s.p99 <= 0.0205").count == 20
    with pytest.raises(ScenarioError, match="holds counts with overrides"):
        capacity(tmp_path, overrides=["seed=2"])
    (tmp_path / "capacity.json").write_text("{}")
    with pytest.raises(ArtefactError, match="damaged"):
        capacity(tmp_path)


# --- mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"where": ""}, "needs a condition"),
        ({"where": "latency_s.p98 <= 1"}, "no such KPI"),
        ({"where": "latency_s.p99 = 1"}, "a condition reads"),
        ({"devices": "phones"}, "no such group.*Choices: png, separate, jscc, local, all"),
        ({"devices": "auto"}, "say which group"),
        ({"max_devices": 0}, "--max-devices: must be at least 1"),
        ({"max_devices": 20_000}, "less than or equal to 10000"),
        ({"max_replications": 2}, "--max-replications: must be at least 5"),
        ({"overrides": ["cell.resource_block=5"]}, "Did you mean 'resource_blocks'"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], told: str
) -> None:
    fake = asked(monkeypatch, latency(lambda _: 1e-6))
    whole = {"where": "latency_s.p99 <= 1", "devices": "local"} | changes
    with pytest.raises(ScenarioError, match=told):
        module.capacity("digits_smoke", out=tmp_path / "o", **whole)
    assert not fake.calls
    assert not (tmp_path / "o").exists()


def test_a_run_that_fails_ends_the_search_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(monkeypatch, lambda values, _: None)
    with pytest.raises(ArtefactError, match="1 device gave nothing: it broke"):
        capacity(tmp_path)


# --- groups -----------------------------------------------------------------------------------


def test_shares_follow_webster() -> None:
    """By hand: 6 : 3 : 1, the quotients count / (2 given + 1)."""
    fleet = Fleet({"a": 6, "b": 3, "c": 1})
    assert list(fleet.shares(3).values()) == [1, 1, 1]
    assert list(fleet.shares(4).values()) == [2, 1, 1]  # 6/3 > 3/3 > 1/3
    assert list(fleet.shares(5).values()) == [3, 1, 1]  # 6/5 > 3/3
    assert list(fleet.shares(6).values()) == [3, 2, 1]  # 6/7 < 3/3
    assert list(fleet.shares(10).values()) == [6, 3, 1]
    assert list(fleet.shares(20).values()) == [12, 6, 2]


def test_no_group_shrinks_when_the_total_grows() -> None:
    fleet = Fleet({"a": 7, "b": 5, "c": 2, "d": 1})
    for total in range(4, 200):
        now, then = fleet.shares(total), fleet.shares(total + 1)
        assert sum(now.values()) == total
        assert all(now[name] <= then[name] for name in now)
        quota = total * 7 / 15
        assert total < 15 or abs(now["a"] - quota) < 1


def test_which_groups_are_counted() -> None:
    scenario = load("digits_smoke")
    assert fleet_of(scenario, "devices.jscc.count").axis == "devices.jscc.count"
    assert fleet_of(scenario, "all").axis == "devices"
    alone = load("digits_smoke", overrides=["devices=[{name: a, count: 3, hardware: raspberry_pi_4,"
        " operating_point: png, arrivals: {kind: poisson, rate_hz: 1}}]"])  # fmt: skip
    assert fleet_of(alone, "auto") == Fleet({"a": 3})


def test_all_groups_grow_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = asked(monkeypatch, lambda v, r: {"latency_p99_s": (0.001 * v["devices"], 1e-6)})
    found = module.capacity("digits_smoke", "latency_s.p99 <= 0.0105", out=tmp_path, devices="all")
    assert found.count == 10
    assert [call[0]["devices"] for call in fake.calls][:3] == [4, 8, 16]
    point = next(p for p in fake.ran.values() if p.values["devices"] == 10)
    assert "devices.png.count=3" in point.overrides
    assert "devices.local.count=2" in point.overrides


def test_overrides_hold_for_every_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = asked(monkeypatch, latency(lambda _: 1e-6))
    capacity(tmp_path, max_devices=4, overrides=["duration_s=1"])
    assert all(point.overrides[0] == "duration_s=1" for point in fake.ran.values())


def test_a_run_of_several_points_is_judged_as_a_whole_or_by_one(tmp_path: Path) -> None:
    import pandas as pd

    from simsplit.results.kpis import flat_rows

    stored = synthetic.store(tmp_path / "stored")
    rows = pd.DataFrame(flat_rows(stored.scenario, stored.summary)).assign(folder="stored")
    conditions = parse_conditions("latency_s.p95 <= 1")
    whole = judged(8, rows, tmp_path, conditions, None).kpis[0]
    one = judged(8, rows, tmp_path, conditions, "jpeg").kpis[0]
    assert whole.mean == stored.summary["overall"]["latency_p95_s"]["mean"]
    assert one.mean == stored.summary["operating_points"]["jpeg"]["latency_p95_s"]["mean"]
    with pytest.raises(ScenarioError, match="Did you mean 'jpeg'"):
        judged(8, rows, tmp_path, conditions, "jpg")


def test_one_drop_makes_nothing_certain(tmp_path: Path) -> None:
    import pandas as pd

    from simsplit.results.kpis import flat_rows

    conditions = parse_conditions("latency_s <= 1")
    for kind, is_certain in (("fixed_snr", True), ("umi_street_canyon", False)):
        channel = {"kind": kind} | ({"snr_db": 10} if is_certain else {})
        stored = synthetic.store(tmp_path / kind, cell={"channel": channel})
        rows = pd.DataFrame(flat_rows(stored.scenario, stored.summary)).assign(folder=kind)
        found = judged(8, rows, tmp_path, conditions, "jpeg")
        assert (found.is_feasible, found.is_certain) == (True, is_certain)


# --- command line -----------------------------------------------------------------------------


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(monkeypatch, latency(lambda _: 1e-6))
    options = ["--where", "latency_s.p99 <= 0.0425", "--devices", "local", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, ["capacity", "digits_smoke", *options])
    assert done.exit_code == 0, done.output
    assert "42 devices fit; 43 do not" in done.stdout
    assert "64 devices, 5 replications: do not fit" in done.stderr
    done = CliRunner().invoke(app, ["capacity", "digits_smoke", *options, "--json"])
    assert json.loads(done.stdout)["capacity"] == 42
