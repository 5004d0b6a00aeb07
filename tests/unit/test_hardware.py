"""Hardware files: every figure has its source, and the formulas do what they say."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from simsplit.errors import ScenarioError
from simsplit.hardware import Hardware, Radio, load_hardware

loading = importlib.import_module("simsplit.load")
NAMES = loading.hardware_choices()
SIMPLE = Hardware(
    "simple", "", 1e9, 0.5, 0.01, 1.0, 5.0, 1e-4, Radio(0.25, 0.4, 0.5, 0.2, 0.002, 1e-3)
)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_source_and_makes_sense(name: str) -> None:
    hardware = load_hardware(name)
    figures = {"peak_macs_per_s", "efficiency", "launch_overhead_s", "idle_w", "compute_w"}
    assert figures <= set(hardware.sources)
    assert hardware.sources["efficiency"] and 0 < hardware.efficiency <= 1
    assert hardware.idle_w < hardware.compute_w
    assert hardware.description


def test_an_efficiency_is_an_assumption_or_measured() -> None:
    sources = [load_hardware(name).sources["efficiency"] for name in NAMES]
    assert all(text.startswith("assumption") or "arXiv" in text for text in sources)


def test_servers_have_no_radio_and_devices_have_one() -> None:
    radios = {name: load_hardware(name).radio is not None for name in NAMES}
    assert all(has == (not name.startswith("edge_")) for name, has in radios.items())


def test_latency_is_overhead_plus_batch_times_work() -> None:
    assert SIMPLE.compute_s(0) == 0.01
    assert SIMPLE.compute_s(5e8) == pytest.approx(0.01 + 1.0)
    assert SIMPLE.compute_s(5e8, batch=4) == pytest.approx(0.01 + 4.0)
    assert SIMPLE.codec_s(8192) == pytest.approx(8.192e-4)


def test_power() -> None:
    assert SIMPLE.transmit_w(0.2) == pytest.approx(0.2 / 0.25 + 0.4)
    assert SIMPLE.rx_w == 0.5
    with pytest.raises(ScenarioError, match="no radio"):
        load_hardware("edge_gpu").transmit_w(0.2)


@pytest.mark.parametrize(("macs", "batch"), [(-1.0, 1), (1.0, 0)])
def test_impossible_work(macs: float, batch: int) -> None:
    with pytest.raises(ValueError, match="found"):
        SIMPLE.compute_s(macs, batch)


def test_unknown_hardware_names_the_nearest() -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'jetson_nano'"):
        load_hardware("jetson_nan")


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        ("value: 0.4", "value: 1.4", ["hardware/bad.yaml: efficiency.value", "less than or equal"]),
        ("idle_w:", "idel_w:", ["unknown key", "'idle_w'"]),
        (', source: "Pi Dramble', ', note: "Pi Dramble', ["idle_w.note: unknown key", "source"]),
    ],
)
def test_a_bad_file(
    old: str, new: str, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (loading.hardware_dir() / "raspberry_pi_4.yaml").read_text()
    (tmp_path / "bad.yaml").write_text(text.replace(old, new))
    monkeypatch.setattr(loading, "hardware_dir", lambda: tmp_path)
    monkeypatch.setattr("simsplit.hardware.hardware_dir", lambda: tmp_path)
    load_hardware.cache_clear()
    with pytest.raises(ScenarioError) as caught:
        load_hardware("bad")
    assert all(part in str(caught.value) for part in texts), str(caught.value)
