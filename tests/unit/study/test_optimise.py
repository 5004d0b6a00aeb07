"""The search for designs: its text, the whole grid, what is told, and going on where it stopped."""

from __future__ import annotations

import builtins
import importlib
import json
import math
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import synthetic
from fake_sweep import FakeSweep
from simsplit.cli.terminal import app
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.figures.optimum import draw_front, plot_front
from simsplit.results.kpis import Condition
from simsplit.scenario.axes import Range
from simsplit.study.search import parse_axes, parse_axis, parse_objective

module = importlib.import_module("simsplit.study.optimise")
optimise = module.optimise

BLOCKS, SNR = "cell.resource_blocks", "cell.channel.snr_db"
GRID = {BLOCKS: [5, 10, 20], SNR: [0, 6, 12]}
RANGE = {BLOCKS: [5, 10, 20], SNR: Range(SNR, 0.0, 12.0)}
BOTH = ["max accuracy", "min energy_j"]


def toy(values: Mapping[str, Any], _: int = 5) -> dict[str, tuple[float, float]]:
    """Accuracy rises with SNR and falls with blocks; energy rises with both."""
    blocks, snr_db = values[BLOCKS], float(values[SNR])
    return {
        "score_accuracy": (0.5 + 0.03 * snr_db - 0.002 * blocks, 0.001),
        "energy_j": (0.1 * snr_db + 0.01 * blocks, 0.001),
        "deadline_met": (1.0 - 0.001 * snr_db, 0.0),
    }


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeSweep:
    made = FakeSweep(toy)
    monkeypatch.setattr(module, "run_sweep", made)
    return made


def faked(monkeypatch: pytest.MonkeyPatch, kpis: Any) -> FakeSweep:
    made = FakeSweep(kpis)
    monkeypatch.setattr(module, "run_sweep", made)
    return made


# --- text -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("x=uniform(0,23)", Range("x", 0.0, 23.0)),
        ("x = loguniform( 1 , 1e2 )", Range("x", 1.0, 100.0, is_log=True)),
        ("x=int(1,16)", Range("x", 1.0, 16.0, is_integer=True)),
        ("x=logint(1,1024)", Range("x", 1.0, 1024.0, is_log=True, is_integer=True)),
        ("x=5,10,20", (5, 10, 20)),
        ("x=0:4:2", (0, 2, 4)),
        ("x=lin(0,1,3)", (0, 0.5, 1)),
        ("x=log(1,100,3)", (1, 10, 100)),
        ("x=png,jpeg", ("png", "jpeg")),
        ("x={kind: oracle}", ("{kind: oracle}",)),
    ],
)
def test_axes_read(text: str, axis: Any) -> None:
    assert parse_axis(text) == ("x", axis)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x=unifrom(0,23)", "Did you mean 'uniform'"),
        ("x=uniform(5,5)", "low must be below high"),
        ("x=uniform(0,a)", "expected 2 numbers in the brackets"),
        ("x=uniform(0,inf)", "finite"),
        ("x=loguniform(0,1)", "above 0"),
        ("x=int(0.5,3)", "integers"),
        ("x=5,5", "each once"),
        ("x=1,2 if y > 3", "neither zipped nor conditional"),
        ("x=1,2;y=3,4", "neither zipped nor conditional"),
        ("x", "path="),
    ],
)
def test_mistyped_axes_are_told(text: str, told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        parse_axis(text)


def test_an_axis_is_said_once() -> None:
    assert parse_axes(["a=1,2", "b=3"]) == {"a": (1, 2), "b": (3,)}
    with pytest.raises(ScenarioError, match="said twice"):
        parse_axes(["a=1,2", "a=3"])


def test_objectives_read() -> None:
    goal = parse_objective(" max  accuracy ")
    assert (goal.kpi, goal.is_max, str(goal)) == ("accuracy", True, "max accuracy")
    assert not parse_objective("min latency_s.p99").is_max
    for text in ("accuracy", "most accuracy", "max", "max a b"):
        with pytest.raises(ScenarioError, match="max KPI or min KPI"):
            parse_objective(text)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"objectives": ["min enrgy_j"]}, "Did you mean 'energy_j'"),
        ({"constraints": "latncy_s.p99 <= 1"}, "no such KPI"),
        ({"constraints": "latency_s"}, "a condition reads"),
        ({"objectives": []}, "at least one axis and one objective"),
        ({"objectives": ["min energy_j", "max energy_j"]}, "said twice"),
        ({"sampler": "tp"}, "no such sampler"),
        ({"trials": 0}, "at least one trial"),
        ({"batch": 0}, "batches start at 1"),
        ({"axes": {}}, "at least one axis"),
        ({"axes": {"cell.resource_block": [1, 2]}}, "Did you mean 'resource_blocks'"),
        ({"axes": {BLOCKS: [5, 0], SNR: [0, 6]}}, "resource_blocks.*greater than"),
        ({"axes": {SNR: [0, 6], "device.operating_point": ["png", "nope"]}}, "found: 'nope'"),
        ({"axes": {BLOCKS: [5, 0], SNR: Range(SNR, 0.0, 6.0)}}, "resource_blocks.*greater than"),
    ],
)
def test_mistakes_are_told_before_anything_runs(
    fake: FakeSweep, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    asked = {"axes": GRID, "objectives": BOTH, "constraints": ""} | changes
    with pytest.raises(ScenarioError, match=told):
        optimise("digits_smoke", out=tmp_path / "o", **asked)
    assert not fake.calls
    assert not (tmp_path / "o").exists()


def test_a_score_that_no_run_has_is_told_with_those_it_has(fake: FakeSweep, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="Choices: score_accuracy, energy_j"):
        optimise("digits_smoke", GRID, ["max score_miuo"], out=tmp_path)


# --- the whole grid ---------------------------------------------------------------------------


def dominates(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    a, b = ((-toy(v)["score_accuracy"][0], toy(v)["energy_j"][0]) for v in (one, other))
    return a[0] <= b[0] and a[1] <= b[1] and a != b


def test_the_grid_gives_the_pareto_set_of_brute_force(fake: FakeSweep, tmp_path: Path) -> None:
    found = optimise("digits_smoke", GRID, BOTH, "deadline_misses <= 1 %", out=tmp_path, trials=9)
    every = [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]
    allowed = [v for v in every if v[SNR] < 12]
    best = [v for v in allowed if not any(dominates(w, v) for w in allowed)]
    assert found.is_exact
    assert len(best) == 2
    key = sorted([list(v.values()) for v in best])
    assert sorted(list(design.values.values()) for design in found.front) == key
    assert found.front[0].values == {BLOCKS: 5, SNR: 6}  # the first objective's best first
    assert found.notes[0].startswith("All 9 combinations")


def test_the_grid_needs_no_optuna(
    fake: FakeSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **more: Any) -> Any:
        if name.split(".")[0] == "optuna":
            raise ImportError(name)
        return real(name, *args, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.delitem(sys.modules, "optuna", raising=False)
    assert optimise("digits_smoke", GRID, BOTH, out=tmp_path, trials=9).is_exact
    with pytest.raises(ArtefactError, match=r"pip install simsplit\[optimise\]"):
        optimise("digits_smoke", GRID, BOTH, out=tmp_path, trials=8)


def test_a_missed_bound_at_the_last_bit_holds() -> None:
    """1 - 0.99 is a little more than 0.01 in floating point."""
    condition = Condition("deadline_misses", is_upper=True, bound=0.01)
    at = 1 - 0.99
    assert at > 0.01
    assert condition.lacking(at) == 0.0
    assert condition.lacking(0.02) == pytest.approx(1.0)


# --- what is told -----------------------------------------------------------------------------


def test_if_nothing_is_feasible_the_least_violated_is_told(fake: FakeSweep, tmp_path: Path) -> None:
    found = optimise("digits_smoke", GRID, BOTH, "accuracy >= 0.95", out=tmp_path)
    assert found.front == () and found.best is None
    assert found.closest is not None
    assert found.closest.values == {BLOCKS: 5, SNR: 12}
    assert found.closest.violation == pytest.approx((0.95 - 0.85) / 0.95)
    assert any(
        "snr_db=12, misses accuracy >= 0.95 (found 0.85 ± 0.001)" in note for note in found.notes
    )
    written = json.loads((tmp_path / "optimum.json").read_text())
    assert written["front"] == [] and written["closest"]["values"][SNR] == 12


def test_the_best_two_are_told_apart_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accuracy of SNR 6 and 12 differ by 0.18, of blocks 5 and 10 by 0.01."""
    for half, alike in ((0.001, False), (0.006, True)):
        faked(
            monkeypatch,
            lambda v, r, h=half: toy(v) | {"score_accuracy": (toy(v)["score_accuracy"][0], h)},
        )
        found = optimise("digits_smoke", GRID, BOTH[:1], out=tmp_path / f"{half}")
        assert found.best is not None
        assert found.best.values == {BLOCKS: 5, SNR: 12}
        assert any("not told apart" in note for note in found.notes) == alike


def test_a_constraint_within_noise_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, lambda v, r: toy(v) | {"energy_j": (toy(v)["energy_j"][0], 0.2)})
    found = optimise("digits_smoke", GRID, BOTH[:1], "energy_j <= 1.4", out=tmp_path)
    assert any("by their mean only" in note for note in found.notes)
    written = json.loads((tmp_path / "optimum.json").read_text())
    assert written["best"]["constraints"]["energy_j <= 1.4"]["certain"] is None


def test_no_interval_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faked(monkeypatch, lambda v, r: {"energy_j": (float(v[SNR]), math.nan)})
    found = optimise("digits_smoke", GRID, ["min energy_j"], out=tmp_path)
    assert any("without an interval" in note for note in found.notes)


def test_a_run_that_fails_or_has_no_value_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kpis(values: Mapping[str, Any], replications: int) -> Any:
        if values[BLOCKS] == 5:
            return None
        mean = math.nan if values[BLOCKS] == 10 else float(values[SNR])
        return {"energy_j": (mean, 0.1)}

    faked(monkeypatch, kpis)
    found = optimise("digits_smoke", GRID, ["min energy_j"], out=tmp_path)
    assert found.best is not None
    assert found.best.values == {BLOCKS: 20, SNR: 0}
    assert any("Without a result: 3" in n and "it broke" in n for n in found.notes)
    assert any("A KPI has no value, so it does not count: 3" in n for n in found.notes)
    blank = json.loads((tmp_path / "optimum.json").read_text())["not_measured"]
    assert len(blank) == 6
    assert {one["error"] for one in blank if one["n"]} == {"energy_j: no value, n = 400"}


def test_a_design_without_a_request_stays_with_n_0_and_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = {"energy_j": (math.nan, math.nan)}
    sweep = faked(monkeypatch, lambda v, r: toy(v, r) if v[BLOCKS] == 5 else empty)
    rows_of = sweep._row
    none = lambda point, *rest: [  # noqa: E731
        row | {"n": 400 if point.values[BLOCKS] == 5 else 0} for row in rows_of(point, *rest)
    ]
    monkeypatch.setattr(sweep, "_row", none)
    found = optimise("digits_smoke", GRID, ["min energy_j"], out=tmp_path)
    assert len(found.designs) == 9 and found.best is not None
    blank = json.loads((tmp_path / "optimum.json").read_text())["not_measured"]
    assert [(one["n"], one["error"]) for one in blank] == [(0, "no request arrived")] * 6
    assert any(f"{BLOCKS}=10, {SNR}=0 (no request arrived)" in note for note in found.notes)


def test_if_every_run_fails_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked(monkeypatch, lambda v, r: None)
    with pytest.raises(ArtefactError, match="it broke"):
        optimise("digits_smoke", GRID, ["min energy_j"], out=tmp_path)


def test_a_design_that_the_scenario_forbids_is_skipped(fake: FakeSweep, tmp_path: Path) -> None:
    """A warm-up of 5 s is longer than a run of 2 s, but not than one of 9 s."""
    axes = {"warmup_s": [0.5, 5], "duration_s": [2, 9], BLOCKS: [5], SNR: [3]}
    found = optimise("digits_smoke", axes, ["min energy_j"], out=tmp_path)
    tried = [(values["warmup_s"], values["duration_s"]) for values in fake.calls[0]]
    assert tried == [(0.5, 2), (0.5, 9), (5, 9)]
    assert any("Without a result: 1" in n and "warmup_s" in n for n in found.notes)


def test_how_many_were_tried_and_what_was_not(fake: FakeSweep, tmp_path: Path) -> None:
    """One trial of each of two axes with three values leaves two values of each untried."""
    found = optimise("digits_smoke", GRID, BOTH, "energy_j <= 100", out=tmp_path, trials=1)
    tried = found.designs[0].values
    left = [f"{path}=" + ", ".join(str(v) for v in GRID[path] if v != tried[path]) for path in GRID]
    assert found.notes[:2] == [
        "1 design was tried, 1 feasible.",
        f"Listed values that were never tried: {'; '.join(left)}.",
    ]
    whole = optimise("digits_smoke", GRID, BOTH, "deadline_misses <= 1 %", out=tmp_path)
    assert whole.notes[0].startswith("All 9 combinations of the axes were tried, 6 feasible")
    assert not any("never tried" in note for note in whole.notes)


@pytest.mark.parametrize(("steps", "is_named"), [(6, True), (7, False)])
def test_few_neighbours_that_are_alike_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int, is_named: bool
) -> None:
    """More SNR costs more energy for more accuracy: all are on the front, within noise."""
    faked(
        monkeypatch,
        lambda v, r: {"score_accuracy": (0.01 * v[SNR], 1.0), "energy_j": (0.01 * v[SNR], 1.0)},
    )
    found = optimise("digits_smoke", {SNR: list(range(steps))}, BOTH, out=tmp_path)
    note = next(note for note in found.notes if "neighbours" in note)
    assert f"{steps - 1} of {steps - 1} pairs" in note
    assert (f"{SNR}=1 and {SNR}=0" in note) == is_named
    assert note.count(" and ") == (5 if is_named else 0)


def test_a_constraint_said_in_per_cent_is_shown_so(fake: FakeSweep, tmp_path: Path) -> None:
    found = optimise("digits_smoke", GRID, BOTH, "deadline_misses <= 1 %", out=tmp_path)
    columns, rows = found.table(found.front)
    assert (columns[-1], rows[0][-1]) == ("deadline_misses <= 1 %", "0.6 ± 0 %")
    none = optimise("digits_smoke", {SNR: [6], BLOCKS: [5]}, BOTH, "deadline_misses <= 0.1 %",
        out=tmp_path / "none")  # fmt: skip
    assert any("misses deadline_misses <= 0.1 % (found 0.6 ± 0 %)" in n for n in none.notes)


# --- whole runs of several operating points ---------------------------------------------------


def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """One stored run of four operating points stands for every design."""
    from simsplit.results.kpis import flat_rows

    stored = synthetic.store(tmp_path / "o" / "stored")
    rows = flat_rows(stored.scenario, stored.summary)

    def run_sweep(asked: Any, *_: Any) -> Any:
        import pandas as pd

        table = [dict(p.values) | row | {"folder": "stored"} for p in asked.points for row in rows]
        return pd.DataFrame(table)

    monkeypatch.setattr(module, "run_sweep", run_sweep)
    return stored.summary  # type: ignore[no-any-return]


def test_all_requests_are_judged_or_one_operating_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = several(tmp_path, monkeypatch)
    asked = ("digits_smoke", {SNR: [3]}, ["min latency_s.p99"])
    whole = optimise(*asked, out=tmp_path / "o").best
    one = optimise(*asked, out=tmp_path / "o", point="jpeg").best
    assert whole is not None and one is not None
    assert whole.objectives[0].mean == summary["overall"]["latency_p99_s"]["mean"]
    assert one.objectives[0].mean == summary["operating_points"]["jpeg"]["latency_p99_s"]["mean"]
    assert whole.objectives[0].mean != one.objectives[0].mean


def test_a_point_without_requests_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several(tmp_path, monkeypatch)
    with pytest.raises(ArtefactError, match="no request at jpg, only at local, jpeg"):
        optimise("digits_smoke", {SNR: [3]}, ["min energy_j"], out=tmp_path / "o", point="jpg")


# --- proposals --------------------------------------------------------------------------------


def search(out: Path, **changes: Any) -> Any:
    asked = {"trials": 24, "batch": 4, "seed": 3} | changes
    return optimise("digits_smoke", RANGE, BOTH, "deadline_misses <= 1 %", out=out, **asked)


def places(found: Any) -> list[Any]:
    return [design.values for design in found.designs]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_search_depends_on_its_seed_alone(fake: FakeSweep, tmp_path: Path, sampler: str) -> None:
    first = search(tmp_path / "a", sampler=sampler)
    assert places(search(tmp_path / "b", sampler=sampler)) == places(first)
    assert places(search(tmp_path / "c", sampler=sampler, seed=4)) != places(first)
    assert all(len(batch) <= 4 for batch in fake.calls)


def test_a_stopped_search_goes_on(
    fake: FakeSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = search(tmp_path / "whole")
    ran = dict(fake.ran)

    def stopped(*args: Any, **more: Any) -> Any:
        if len(fake.calls) == 3:
            raise KeyboardInterrupt
        return fake(*args, **more)

    fake.calls.clear()
    monkeypatch.setattr(module, "run_sweep", stopped)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "part")
    written = json.loads((tmp_path / "part" / "optimum.json").read_text())
    assert (written["is_finished"], written["trials"]) == (False, 12)
    monkeypatch.setattr(module, "run_sweep", fake)
    again = search(tmp_path / "part")
    assert again.front == whole.front
    assert fake.ran == ran, "a stopped search ran designs that the whole one did not"
    more = search(tmp_path / "part", trials=28)
    assert places(more)[: len(places(whole))] == places(whole)


def test_trials_at_one_place_run_once(fake: FakeSweep, tmp_path: Path) -> None:
    axes = {BLOCKS: list(range(1, 31))}
    found = optimise(
        "digits_smoke", axes | {SNR: [3]}, ["min energy_j"], out=tmp_path, trials=29, batch=2
    )
    assert found.trials == 29
    assert sum(map(len, fake.calls)) == len(found.designs) < 29
    assert any("29 trials fell on" in note for note in found.notes)


def test_another_question_of_the_same_designs_but_no_other_designs(
    fake: FakeSweep, tmp_path: Path
) -> None:
    optimise("digits_smoke", GRID, BOTH, out=tmp_path)
    optimise("digits_smoke", GRID, BOTH[:1], "energy_j <= 1", out=tmp_path)
    with pytest.raises(ScenarioError, match="holds designs with axes"):
        optimise("digits_smoke", {SNR: [1]}, BOTH, out=tmp_path)
    with pytest.raises(ScenarioError, match="holds designs with replications"):
        optimise("digits_smoke", GRID, BOTH, out=tmp_path, replications=3)


def test_overrides_hold_for_every_design(fake: FakeSweep, tmp_path: Path) -> None:
    optimise("digits_smoke", GRID, BOTH, out=tmp_path, overrides=["duration_s=1"])
    assert all(point.overrides[0] == "duration_s=1" for point in fake.ran.values())


def test_optimum_json(fake: FakeSweep, tmp_path: Path) -> None:
    found = search(tmp_path)
    import optuna

    written = json.loads((tmp_path / "optimum.json").read_text())
    assert written["optuna"] == optuna.__version__
    assert written["search"]["axes"] == {BLOCKS: [5, 10, 20], SNR: "uniform(0,12)"}
    assert written["search"]["constraints"] == ["deadline_misses <= 0.01"]
    assert (written["is_finished"], written["is_exact"]) == (True, False)
    assert len(written["front"]) == len(found.front) > 1
    objective = written["front"][0]["objectives"]["max accuracy"]
    assert objective["ci_low"] < objective["mean"] < objective["ci_high"]


# --- the figure -------------------------------------------------------------------------------


def test_the_figure_shows_front_dominated_and_infeasible(fake: FakeSweep, tmp_path: Path) -> None:
    found = optimise("digits_smoke", GRID, BOTH, "deadline_misses <= 1 %", out=tmp_path)
    drawing = draw_front(found)
    assert drawing.data["state"].value_counts().to_dict() == {
        "dominated": 4,
        "infeasible": 3,
        "front": 2,
    }
    ax = drawing.figure.axes[0]
    stair = next(line for line in ax.lines if line.get_drawstyle() == "steps-post")
    assert list(stair.get_xdata()) == pytest.approx([0.05, 0.65])  # J
    assert list(stair.get_ydata()) == pytest.approx([0.49, 0.67])
    assert ax.get_ylabel() == "accuracy"


def test_a_panel_for_every_further_objective_and_none_for_one(
    fake: FakeSweep, tmp_path: Path
) -> None:
    three = optimise("digits_smoke", GRID, [*BOTH, "max deadline_met"], out=tmp_path)
    assert len(draw_front(three).figure.axes) == 2
    one = optimise("digits_smoke", GRID, BOTH[:1], out=tmp_path)
    assert plot_front(one, tmp_path) == []


# --- command line -----------------------------------------------------------------------------


def cli(*more: str) -> Any:
    axes = ["--axis", f"{BLOCKS}=5,10,20", "--axis", f"{SNR}=0,6,12"]
    return CliRunner().invoke(app, ["optimise", "digits_smoke", *axes, *more])


def test_the_command_prints_the_front(fake: FakeSweep, tmp_path: Path) -> None:
    done = cli("--objective", BOTH[0], "--objective", BOTH[1], "--out", str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "Pareto front" in done.stdout
    assert "0.85 ± 0.001" in done.stdout
    assert "All 9 combinations" in done.stdout
    assert (tmp_path / "figures" / "pareto.png").is_file()


def test_the_command_tells_mistakes_in_one_line(fake: FakeSweep, tmp_path: Path) -> None:
    done = cli("--objective", "max acuracy", "--out", str(tmp_path))
    assert done.exit_code == 2
    assert "Did you mean 'accuracy'" in done.output
    assert "Traceback" not in done.output
