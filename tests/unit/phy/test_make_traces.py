"""Making channel traces: files, round trip, seeds, mistakes."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.phy.traces import ray_traced as traces_rt
from simsplit.phy.traces.make import effective_snr_db, make_cdl_trace, make_tdl_trace
from simsplit.phy.traces.ray_traced import make_rt_trace
from simsplit.phy.traces.read import TraceLink, read_trace

Make = Callable[..., Path]
BOTH = pytest.mark.parametrize("make", [make_tdl_trace, make_cdl_trace])
SHORT: dict[str, Any] = {"duration_s": 0.05, "step_s": 1e-3}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@BOTH
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_round_trip(make: Make, ending: str, tmp_path: Path) -> None:
    file = make(tmp_path / f"t{ending}", devices=3, snr_db=[0.0, 10.0, 20.0], **SHORT)
    rows = pd.read_csv(file) if ending == ".csv" else pd.read_parquet(file)
    trace = read_trace(file)
    assert (trace.value, trace.devices) == ("snr", ("0", "1", "2"))
    for device, (times_s, levels_db) in enumerate(zip(trace.time_s, trace.level_db, strict=True)):
        np.testing.assert_allclose(times_s, np.arange(50) * 1e-3, atol=1e-12)
        np.testing.assert_array_equal(levels_db, rows.snr_db[rows.device == device])
    assert TraceLink(trace.time_s[0], trace.level_db[0]).period_s == pytest.approx(0.05)


@BOTH
@pytest.mark.parametrize("profile", ["A", "B", "C", "D", "E"])
def test_every_profile(make: Make, profile: str, tmp_path: Path) -> None:
    trace = read_trace(make(tmp_path / "t.csv", profile=profile, devices=2, **SHORT))
    assert np.isfinite(trace.level_db).all()
    assert not np.array_equal(trace.level_db[0], trace.level_db[1])


@BOTH
def test_the_seed_decides_and_more_devices_change_nothing(make: Make, tmp_path: Path) -> None:
    def levels(**keys: Any) -> tuple[Any, ...]:
        return read_trace(make(tmp_path / "t.csv", **SHORT, **keys)).level_db

    one, two, other = levels(devices=1), levels(devices=2), levels(devices=1, seed=1)
    np.testing.assert_array_equal(one[0], two[0])
    assert not np.array_equal(one[0], other[0])


@BOTH
def test_torchs_own_stream_is_left_alone(make: Make, tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    make(tmp_path / "t.csv", **SHORT)
    assert torch.equal(torch.rand(2), expected)


def test_the_card_tells_how_it_was_made(tmp_path: Path) -> None:
    make_tdl_trace(tmp_path / "new" / "t.csv", speed_mps=3.0, seed=9, **SHORT)
    card = json.loads((tmp_path / "new" / "t.json").read_text())
    assert card["parameters"]["seed"] == 9
    assert card["doppler_hz"] == pytest.approx([3.0 * 3.5e9 / 299_792_458])
    assert card["rows"] == 50
    assert {"python", "numpy", "torch"} <= set(card["versions"])


def test_effective_snr() -> None:
    gains = np.array([[1.0, 1.0], [3.0, 0.0], [1e-9, 1e-9]])
    levels_db = effective_snr_db(gains, 0.0)
    assert levels_db[0] == pytest.approx(0.0)
    assert levels_db[1] == pytest.approx(0.0)  # log2(4) + log2(1) = 2 bit over 2: 1 bit, SNR 1
    assert levels_db[2] == pytest.approx(-90.0)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"profile": "F"}, "no such profile"),
        ({"devices": 0}, "devices: must be above zero"),
        ({"step_s": 0.0}, "step_s: must be above zero"),
        ({"delay_spread_s": math.nan}, "delay_spread_s: must be above zero"),
        ({"step_s": 1.0, "duration_s": 0.5}, "longer than duration_s"),
        ({"step_s": 1e-6}, "over 100000 rows per device"),
        ({"speed_mps": -1.0}, "speed_mps: must not be negative"),
        ({"devices": 2, "snr_db": [1.0, 2.0, 3.0]}, "one for each of 2"),
    ],
)
def test_mistakes(keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=message):
        make_tdl_trace(tmp_path / "t.csv", **keys)


def test_other_endings_are_refused(tmp_path: Path) -> None:
    for make in (make_tdl_trace, make_cdl_trace, make_rt_trace):
        with pytest.raises(ScenarioError, match=r"Choices: \.csv, \.parquet"):
            make(tmp_path / "t.xlsx")


def test_without_a_ray_tracer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRJIT_LIBLLVM_PATH", str(tmp_path / "libLLVM-19.so"))
    monkeypatch.setitem(sys.modules, "sionna.rt", None)
    with pytest.raises(ArtefactError, match=r"pip install simsplit\[rt\].*libLLVM") as caught:
        make_rt_trace(tmp_path / "t.csv")
    assert caught.value.exit_code == 2


def test_an_old_llvm_is_refused_before_it_aborts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DRJIT_LIBLLVM_PATH", raising=False)
    monkeypatch.setattr(traces_rt, "_FOLDERS", (str(tmp_path),))
    (tmp_path / "libLLVM-15.so.1").touch()
    with pytest.raises(ArtefactError, match=r"found: 'libLLVM-15\.so\.1'"):
        make_rt_trace(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("name", "number"), [("libLLVM-15.so.1", 15), ("libLLVM.so.19.1", 19), ("libLLVM.so", 0)]
)
def test_llvm_versions(name: str, number: int) -> None:
    assert traces_rt.llvm_version(Path("/nowhere") / name) == number


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"starts_m": [(0, 0)], "velocities_mps": [(0, 0)]}, r"a start \(x, y, z\)"),
        ({"velocities_mps": [(0, 0, 0), (0, 0, 0)]}, r"a start \(x, y, z\)"),
        ({"max_depth": -1}, "max_depth: must not be negative"),
        ({"rays": 0}, "rays: must be above zero"),
    ],
)
def test_mistakes_in_tracks(keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=message):
        make_rt_trace(tmp_path / "t.csv", **keys)


@pytest.mark.slow
def test_a_drive_through_a_canyon(tmp_path: Path) -> None:
    pytest.importorskip("sionna.rt")
    keys: dict[str, Any] = {"duration_s": 0.5, "step_s": 0.05}
    file = make_rt_trace(tmp_path / "t.csv", **keys)
    trace = read_trace(file)
    assert (trace.value, trace.level_db[0].size) == ("rsrp", 10)
    assert list(pd.read_csv(file).columns) == ["time_s", "device", "rsrp_dbm", "x_m", "y_m"]
    with pytest.raises(ScenarioError, match=r"no such scene.*street_canyon"):
        make_rt_trace(tmp_path / "t.csv", scene="street_canyon", **keys)
    away: dict[str, Any] = {"scene": "munich", "starts_m": [(-400.0, -300.0, 1.5)], **keys}
    with pytest.raises(ScenarioError, match="10 of 10 places have no path"):
        make_rt_trace(tmp_path / "t.csv", **away)
    dark = read_trace(make_rt_trace(tmp_path / "t.csv", no_path_dbm=-150.0, **away))
    assert set(dark.level_db[0]) == {-150.0}
