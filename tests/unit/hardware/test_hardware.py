"""Hardware files: every figure has its source, and the formulas do what they say."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import pytest

from simsplit.errors import ScenarioError
from simsplit.hardware.evidence import figure_rows
from simsplit.hardware.parts import Efficiency, Level, Radio
from simsplit.hardware.roofline import Hardware, load_hardware
from simsplit.operators import KINDS, Operator

bundled = importlib.import_module("simsplit.scenario.bundled")
loading = importlib.import_module("simsplit.scenario.load")
NAMES = bundled.hardware_choices()
SERVERS = ("edge_", "cloud_")
SIMPLE = Hardware(
    name="simple",
    description="",
    processor="cpu",
    dtype="float32",
    peak_macs_per_s=1e9,
    memory_bandwidth_bytes_per_s=4e8,
    efficiency=Efficiency(conv=0.5, depthwise=0.1, linear=0.4, attention=0.2, memory=0.5),
    launch_overhead_s=0.01,
    operator_overhead_s=0.001,
    sleep_w=0.1,
    idle_w=1.0,
    compute_w=5.0,
    seven_zip_mips=1500.0,
    radio=Radio(0.25, 0.4, 0.5, 0.2, 0.002, 1e-3),
    levels=(Level("half", 5e8, 2.0), Level("full", 1e9, 5.0)),
)
CONV = Operator("c", "conv", macs=5e8, elements_in=1e5, elements_out=2e5, weights=1e5)
NORM = Operator("n", "norm", macs=0, elements_in=1e6, elements_out=1e6, weights=100)
VIEW = Operator("v", "reshape", macs=0, elements_in=1e9, elements_out=1e9)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_source_and_makes_sense(name: str) -> None:
    hardware = load_hardware(name)
    figures = {"peak_macs_per_s", "memory_bandwidth_bytes_per_s", "launch_overhead_s"}
    figures |= {"operator_overhead_s", "sleep_w", "idle_w", "compute_w"}
    kinds = set(Efficiency.__slots__) - {"conv3x3", "half_depth"}
    figures |= {f"efficiency.{kind}" for kind in kinds}
    assert figures <= set(hardware.sources)
    assert all(len(text) >= 10 for text in hardware.sources.values())
    assert 0 <= hardware.sleep_w < hardware.idle_w < hardware.compute_w
    assert hardware.description


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_of_a_file_is_shown_with_its_source(name: str) -> None:
    hardware, rows = load_hardware(name), figure_rows(name)
    shown = {figure: value for figure, value, _ in rows}
    assert {figure: source for figure, _, source in rows} == hardware.sources
    assert all(shown.values())
    assert float(shown["peak_macs_per_s"]) == pytest.approx(hardware.peak_macs_per_s, rel=1e-5)
    assert float(shown["efficiency.conv"]) == pytest.approx(hardware.efficiency.conv, rel=1e-5)
    for level in hardware.levels:
        text = f"frequency_hz {level.frequency_hz:g}, compute_w {level.compute_w:g}"
        assert shown[f"dvfs.{level.name}"] == text


def test_there_are_devices_and_servers_of_every_class() -> None:
    assert len(NAMES) >= 12
    assert {load_hardware(name).processor for name in NAMES} == {"cpu", "gpu", "npu"}
    assert {load_hardware(name).dtype for name in NAMES} == {"float32", "float16", "int8"}


@pytest.mark.parametrize("name", NAMES)
def test_more_work_never_takes_less_time(name: str) -> None:
    hardware = load_hardware(name)
    for kind in set(KINDS) - {"reshape", *hardware.folded}:
        op = Operator("o", kind, macs=1e6, elements_in=1e4, elements_out=1e4, weights=1e3)
        times = [hardware.operator_s(op, batch) for batch in (1, 2, 4, 8)]
        assert times == sorted(times) and times[-1] > times[0] > 0
        assert hardware.operator_s(replace(op, macs=1e12)) > times[0]
        assert hardware.operator_s(replace(op, weights=1e9)) > times[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_bigger_batch_never_costs_more_per_sample(name: str) -> None:
    per_sample = [load_hardware(name).seconds((CONV, NORM), b) / b for b in (1, 2, 4, 8)]
    assert per_sample == sorted(per_sample, reverse=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_throttled_device_is_slower_and_draws_less(name: str) -> None:
    hardware = load_hardware(name)
    if (thermal := hardware.thermal) is not None:
        assert 0 < thermal.throttled_scale < 1
        assert hardware.idle_w < thermal.throttled_compute_w < hardware.compute_w
        assert thermal.resume_at_c < thermal.throttle_at_c
    if hardware.levels:
        assert hardware.idle_w < hardware.levels[0].compute_w


@pytest.mark.parametrize("name", NAMES)
def test_a_slower_level_is_slower_and_draws_less(name: str) -> None:
    levels = [load_hardware(name).at_level(level.name) for level in load_hardware(name).levels]
    times = [level.seconds((CONV, NORM)) for level in levels]
    powers = [level.compute_w for level in levels]
    assert times == sorted(times, reverse=True) and powers == sorted(powers)
    assert not levels or levels[-1].peak_macs_per_s == load_hardware(name).peak_macs_per_s


def test_servers_have_no_radio_and_devices_have_one() -> None:
    radios = {name: load_hardware(name).radio is not None for name in NAMES}
    assert all(has == (not name.startswith(SERVERS)) for name, has in radios.items())


def test_arithmetic_bounds_a_convolution() -> None:
    # 5e8 MAC at 0.5e9 MAC/s: 1 s; 4e5 elements of 4 bytes at 2e8 bytes/s: 8 ms
    assert SIMPLE.operator_s(CONV) == pytest.approx(0.001 + 1.0)
    assert SIMPLE.operator_s(CONV, batch=4) == pytest.approx(0.001 + 4.0)


def test_memory_bounds_what_has_few_products() -> None:
    # 2 000 100 elements of 4 bytes at 2e8 bytes/s; the weights once whatever the batch
    assert SIMPLE.operator_s(NORM) == pytest.approx(0.001 + 0.040002)
    assert SIMPLE.operator_s(NORM, batch=3) == pytest.approx(0.001 + 0.120002)
    matrix = Operator("m", "linear", macs=1e6, elements_in=1e3, elements_out=1e3, weights=1e6)
    assert SIMPLE.operator_s(matrix) == pytest.approx(0.001 + 0.02004)  # 2.5 ms of arithmetic
    assert SIMPLE.operator_s(matrix, batch=100) == pytest.approx(0.001 + 0.25)  # now the other


@pytest.mark.parametrize(
    ("kind", "share"),
    [("conv", 0.5), ("depthwise", 0.1), ("linear", 0.4), ("attention", 0.2), ("other", 0.4)],
)
def test_each_kind_has_its_efficiency(kind: str, share: float) -> None:
    op = Operator("o", kind, macs=1e9, elements_in=1, elements_out=1)
    assert SIMPLE.operator_s(op) == pytest.approx(0.001 + 1 / share)


@pytest.mark.parametrize(("dtype", "bytes_each"), [("float32", 4), ("float16", 2), ("int8", 1)])
def test_bytes_follow_the_data_type(dtype: str, bytes_each: int) -> None:
    hardware = replace(SIMPLE, dtype=dtype)
    assert hardware.operator_s(NORM) == pytest.approx(0.001 + 2_000_100 * bytes_each / 2e8)


def test_a_launch_is_overhead_plus_its_operators() -> None:
    assert SIMPLE.operator_s(VIEW) == 0.0
    assert SIMPLE.seconds((CONV, VIEW, NORM)) == pytest.approx(0.01 + 1.001 + 0.041002)
    assert SIMPLE.seconds((VIEW,)) == 0.01
    assert SIMPLE.seconds(()) == 0.0


def test_folded_kinds_cost_nothing_of_their_own() -> None:
    folded = replace(SIMPLE, folded=("norm", "activation"))
    assert folded.operator_s(NORM) == 0.0
    assert folded.seconds((CONV, NORM)) == pytest.approx(0.01 + 1.001)


def test_weights_that_do_not_fit_are_fetched_once_per_launch() -> None:
    # 1e5 weights of 4 bytes, room for 1e5 bytes, 3e5 bytes/s
    small = replace(SIMPLE, kept_bytes=1e5, stream_bytes_per_s=3e5)
    assert small.seconds((CONV,)) == pytest.approx(0.01 + 1.001 + 1.0)
    assert small.seconds((CONV,), batch=2) == pytest.approx(0.01 + 2.001 + 1.0)
    assert replace(small, kept_bytes=4e5).seconds((CONV,)) == SIMPLE.seconds((CONV,))


def test_estimate_from_macs_alone() -> None:
    assert SIMPLE.compute_s(0) == 0.01
    assert SIMPLE.compute_s(5e8) == pytest.approx(0.01 + 1.0)
    assert SIMPLE.compute_s(5e8, batch=4) == pytest.approx(0.01 + 4.0)


def test_power() -> None:
    assert SIMPLE.transmit_w(0.2) == pytest.approx(0.2 / 0.25 + 0.4)
    assert SIMPLE.rx_w == 0.5
    with pytest.raises(ScenarioError, match="no radio"):
        load_hardware("edge_gpu").transmit_w(0.2)


def test_a_lower_level_slows_arithmetic_but_not_memory() -> None:
    slow = replace(SIMPLE, operator_overhead_s=0.0).at_level("half")
    assert (slow.level, slow.compute_w) == ("half", 2.0)
    assert slow.operator_s(CONV) == pytest.approx(2.0)
    assert slow.operator_s(NORM) == pytest.approx(0.040002)
    assert slow.at_level("full") == replace(SIMPLE, operator_overhead_s=0.0, level="full")


def test_a_cpu_dispatches_and_codes_slower_too_but_not_the_host_of_a_gpu() -> None:
    slow = SIMPLE.at_level("half")
    assert (slow.launch_overhead_s, slow.operator_overhead_s) == (0.02, 0.002)
    assert slow.seven_zip_mips == 750.0
    gpu = replace(SIMPLE, processor="gpu").at_level("half")
    assert gpu.launch_overhead_s == 0.01 and gpu.seven_zip_mips == 1500.0


def test_an_unknown_level_names_the_choices() -> None:
    with pytest.raises(ScenarioError, match=r"hardware/simple: .*Choices: half, full"):
        SIMPLE.at_level("turbo")
    with pytest.raises(ScenarioError, match="no DVFS levels"):
        replace(SIMPLE, levels=()).at_level("half")


@pytest.mark.parametrize(("macs", "batch"), [(-1.0, 1), (1.0, 0)])
def test_impossible_work(macs: float, batch: int) -> None:
    with pytest.raises(ValueError, match="found"):
        SIMPLE.compute_s(macs, batch)
    with pytest.raises(ValueError, match="found"):
        SIMPLE.operator_s(replace(CONV, macs=macs), batch)


def test_unknown_hardware_names_the_nearest() -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'jetson_nano'"):
        load_hardware("jetson_nan")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of hardware files in place of the bundled one."""
    monkeypatch.setattr(bundled, "hardware_dir", lambda: tmp_path)
    return tmp_path


PI = (bundled.hardware_dir() / "raspberry_pi_4.yaml").read_text()
DVFS = "dvfs: [{name: low, frequency_hz: 6e8, compute_w: 3.5, source: assumption for a test}"
TOP = ", {name: top, frequency_hz: 15e8, compute_w: 6.4, source: assumption for a test}]\n"
HEAT = """thermal:
  resistance_k_per_w: {value: 10, source: assumption for a test}
  capacity_j_per_k: {value: 20, source: assumption for a test}
  throttle_at_c: {value: 80, source: assumption for a test}
  resume_at_c: {value: 75, source: assumption for a test}
"""


def _pi(extra: str = "") -> str:
    """The Raspberry Pi without its own optional blocks, and with others."""
    radio = PI.index("\nradio:") + 1
    end = min(PI.find(key) for key in ("\ndvfs:", "\nthermal:", "\nradio:") if key in PI) + 1
    return PI[:end] + PI[radio:] + extra


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        ("  conv: {value: 0.", "  conv: {value: 1.", ["bad.yaml: efficiency.conv.value", "less"]),
        ("  conv:", "  convv:", ["efficiency.convv: unknown key", "'conv'"]),
        ("idle_w:", "idel_w:", ["unknown key", "'idle_w'"]),
        ("dtype: float32", "dtype: float64", ["bad.yaml: dtype", "float32, float16, int8"]),
        (', source: "Pi Dramble', ', note: "Pi Dramble', ["idle_w.note: unknown key", "source"]),
    ],
)
def test_a_bad_file(old: str, new: str, texts: list[str], folder: Path) -> None:
    assert old in PI
    (folder / "bad.yaml").write_text(PI.replace(old, new))
    with pytest.raises(ScenarioError) as caught:
        load_hardware("bad")
    assert all(part in str(caught.value) for part in texts), str(caught.value)


@pytest.mark.parametrize(
    ("extra", "texts"),
    [
        (DVFS + "]\n", ["highest dvfs level's compute_w must be the file's compute_w"]),
        (
            TOP.replace(", {", "dvfs: [{", 1).replace("]\n", DVFS[5:].replace("[", ", ") + "]\n"),
            ["rise"],
        ),
        (HEAT, ["bad.yaml: thermal", "give either throttled_level or both"]),
        (DVFS + TOP + HEAT + "  throttled_level: medium\n", ["'medium'", "'low', 'top'"]),
        (HEAT.replace("75", "80") + "  throttled_level: low\n", ["resume_at_c must be below"]),
        ("profile: nowhere.json\n", ["bad.yaml: profile: no such profile file", "nowhere.json"]),
        ("profile: /etc/passwd\n", ["bad.yaml: profile", "pattern"]),
    ],
)
def test_a_bad_option(extra: str, texts: list[str], folder: Path) -> None:
    (folder / "bad.yaml").write_text(_pi(extra))
    with pytest.raises(ScenarioError) as caught:
        load_hardware("bad")
    assert all(part in str(caught.value) for part in texts), str(caught.value)


def test_options_are_read(folder: Path) -> None:
    (folder / "measured.json").write_text("{}")
    extra = DVFS + TOP + HEAT + "  throttled_level: low\nprofile: measured.json\n"
    (folder / "good.yaml").write_text(_pi(extra))
    hardware = load_hardware("good")
    assert hardware.levels == (Level("low", 6e8, 3.5), Level("top", 15e8, 6.4))
    assert hardware.thermal is not None
    assert (hardware.thermal.throttled_scale, hardware.thermal.throttled_compute_w) == (0.4, 3.5)
    assert hardware.profile == str((folder / "measured.json").resolve())
    assert hardware.sources["dvfs.low"] == "assumption for a test"


def test_throttling_by_a_share(folder: Path) -> None:
    share = "  throttled_scale: {value: 0.5, source: assumption for a test}\n"
    power = "  throttled_compute_w: {value: 4, source: assumption for a test}\n"
    (folder / "good.yaml").write_text(_pi(HEAT + share + power))
    thermal = load_hardware("good").thermal
    assert thermal is not None
    assert (thermal.throttled_scale, thermal.throttled_compute_w) == (0.5, 4.0)
