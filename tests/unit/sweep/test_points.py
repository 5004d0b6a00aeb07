"""Axes from text, points as folders, resuming without running again."""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import synthetic

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.points import Point
from simsplit.sweep import load_results, parse_axis, sweep

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


def test_overrides() -> None:
    point = Point.at({SNR: -5.0, "x": True})
    assert point.overrides == ("cell.channel.snr_db=-5.0", "x=true")


weights = {"weights": "abc"}


def fake_load(source: object, *, overrides: list[str]) -> Any:
    return synthetic.scenario(description=f"{source} {overrides}")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    made: list[list[str]] = []

    def run(source: str, *, overrides: list[str], out: Path, replications: int | None) -> Any:
        made.append(overrides)
        return synthetic.store(out, seed=len(made))

    fake = types.ModuleType("simsplit.run")
    fake.run = run  # type: ignore[attr-defined]
    fake.artefact_digests = lambda scenario: dict(weights)  # type: ignore[attr-defined]
    module = importlib.import_module("simsplit.sweep.points")
    monkeypatch.setattr(module, "load_scenario", fake_load)
    monkeypatch.setattr(module, "find", lambda source: source)
    monkeypatch.setitem(sys.modules, "simsplit.run", fake)
    return made


def test_sweep_and_resume(tmp_path: Path, calls: list[list[str]]) -> None:
    said: list[tuple[int, int, str]] = []
    axes = {SNR: [0, 5], "edge.workers": [1, 2]}
    frame = sweep("toy", axes, out=tmp_path, workers=0, progress=lambda *a: said.append(a))
    assert calls[0] == ["cell.channel.snr_db=0", "edge.workers=1"] and len(calls) == 4
    assert len(frame) == 4 * len(synthetic.POINTS)
    assert {"score_miou", "score_miou_ci_low", "latency_p95_s_ci_high", "scheme", "n"} <= set(frame)
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
    with pytest.raises(ScenarioError):
        sweep("toy", {}, out=tmp_path, workers=0)


def test_an_axis_may_list_mappings() -> None:
    path, values = parse_axis("devices.a.policy={kind: fixed, point: [x, y]},{kind: oracle}")
    assert path == "devices.a.policy"
    assert values == ["{kind: fixed, point: [x, y]}", "{kind: oracle}"]


def test_a_broken_mapping_on_an_axis_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="flow style"):
        parse_axis("devices.a.policy={kind: {fixed")
