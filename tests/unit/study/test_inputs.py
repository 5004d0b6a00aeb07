"""What operating points cost on machines: measured before roofline, beliefs, codecs, the cloud."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simsplit.codecs.workload import Coding
from simsplit.errors import ArtefactError, OutOfTable, ScenarioError
from simsplit.hardware import machine as machine_room
from simsplit.hardware.codec_costs import CodecCosts, Law
from simsplit.hardware.machine import Machine, _machine, _predictor, _profile, machine
from simsplit.hardware.parts import Efficiency, Level
from simsplit.hardware.profile import Host, NetworkProfile, Profile, Timing
from simsplit.hardware.profile_file import write_profile
from simsplit.hardware.roofline import Hardware, load_hardware
from simsplit.messages import Prepared, Scheme, Workload
from simsplit.operators import Operator, Operators
from simsplit.scenario.access import NoHeaders
from simsplit.scenario.scenario import Scenario
from simsplit.study import inputs as plans
from simsplit.study.inputs import make_plans

A, B, C = (
    Operator(name, "conv", macs, 10, 10) for name, macs in (("a", 1e6), ("b", 2e6), ("c", 4e6))
)
WHOLE: Operators = (A, B, C)
LAUNCH_S, MIPS = {"dev": 1e-3, "srv": 2e-4, "far": 1e-4}, {"dev": 500, "srv": 1000, "far": 4000}
ENCODE = Law("affine", (1e-3, 1e-6, 1e-5, 0, 0))  # of a core of 1000 MIPS
DECODE = Law("affine", (0, 1e-6, 0, 0, 0))
COSTS = CodecCosts(
    1000.0,
    {
        key: {"encode": ENCODE, "decode": DECODE}
        for key in ("png", "jpeg", "webp", "pixels", "tensor_float32", "map")
    },
    "the test's profile",
)
PEAK = {"dev": 1e8, "srv": 1e9, "far": 1e10}


def hardware(name: str, **changes: Any) -> Hardware:
    """Every kind at full peak, memory without end: seconds are launch + MACs / peak."""
    made = Hardware(
        name=name, description="", processor="cpu", dtype="float32", peak_macs_per_s=PEAK[name],
        memory_bandwidth_bytes_per_s=1e30, efficiency=Efficiency(1, 1, 1, 1, 1),
        launch_overhead_s=LAUNCH_S[name], operator_overhead_s=0.0, sleep_w=0, idle_w=1,
        compute_w=5, seven_zip_mips=MIPS[name],
        levels=(Level("half", 5e8, 2), Level("full", 1e9, 5)),
    )  # fmt: skip
    return replace(made, **changes)


def profile_file(folder: Path, **nodes_s: float) -> str:
    """A file in which the whole of ``net@20x50`` takes as long as its nodes together."""

    def timing(seconds: float) -> Timing:
        return Timing(seconds, seconds, seconds)

    batches = {1: 1.0, 3: 2.0}  # three samples take twice as long
    known = tuple(one for one in WHOLE if one.name in nodes_s)
    network = NetworkProfile(
        20, 50, "2026-01-01", known,
        {n: timing(factor * sum(nodes_s.values())) for n, factor in batches.items()},
        {n: tuple(timing(factor * s) for s in nodes_s.values()) for n, factor in batches.items()},
        1e-7, dict.fromkeys(batches, 1.0), dict.fromkeys(batches, 6),
        {n: factor * sum(nodes_s.values()) for n, factor in batches.items()},
    )  # fmt: skip
    write_profile(folder / "p.json", Profile(Host("cpu", 1, "2"), {"net@20x50": network}))
    return str(folder / "p.json")


class Believer:
    """A latency predictor that says 1 s per operator of a launch."""

    def seconds(self, operators: Operators, batch: int = 1) -> float:
        return float(len(operators) * batch)


@pytest.fixture(autouse=True)
def machines(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Hardware]]:
    """Three machines of round numbers instead of the bundled ones; nothing stays cached."""
    found = {name: hardware(name) for name in PEAK}
    for room in (plans, machine_room):
        monkeypatch.setattr(room, "load_hardware", lambda name: found[name])
    monkeypatch.setattr(machine_room, "read_costs", lambda path: COSTS)
    caches = (_machine, _profile, _predictor)
    for cache in caches:
        cache.cache_clear()
    yield found
    for cache in caches:
        cache.cache_clear()


# --- one machine ------------------------------------------------------------------------------


def test_no_work_takes_no_time() -> None:
    assert Machine(hardware("dev")).seconds((), "net@20x50", 4) == 0.0
    assert Machine(hardware("dev")).believed_s((), "net@20x50") == 0.0


def test_the_roofline_where_nothing_was_measured() -> None:
    assert Machine(hardware("dev")).seconds((A, B), "net@20x50", 2) == pytest.approx(1e-3 + 0.06)


def test_the_profile_comes_first(tmp_path: Path) -> None:
    one = Machine(hardware("dev", profile=profile_file(tmp_path, a=0.5, b=0.25, c=0.125)))
    assert one.seconds((A, C), "net@20x50") == pytest.approx(0.625)
    assert one.seconds((A, C), "net@20x50", 3) == pytest.approx(1.25)
    assert one.seconds((A, C), "net@20x50", 2) == pytest.approx(0.9375)  # half way
    roofline_s = 1e-3 + 0.05
    assert one.seconds((A, C), "other@20x50") == pytest.approx(roofline_s)
    assert one.seconds((A, C), "") == pytest.approx(roofline_s)  # a network without a name


def test_what_the_profile_does_not_know_is_an_error(tmp_path: Path) -> None:
    one = Machine(hardware("dev", profile=profile_file(tmp_path, a=0.5, b=0.25)))
    with pytest.raises(OutOfTable, match="batch"):
        one.seconds((A,), "net@20x50", 4)
    with pytest.raises(ArtefactError, match="'c'"):
        one.seconds((A, C), "net@20x50")


def test_what_devices_believe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(
        machine_room, "read_model", lambda folder: asked.append(folder) or Believer()
    )
    file = profile_file(tmp_path, a=0.5, b=0.25, c=0.125)
    told = Machine(hardware("dev", profile=file, predictor="some_model"))
    assert [folder.name for folder in asked] == ["some_model"]
    assert told.believed_s(WHOLE, "net@20x50") == 3.0
    assert told.seconds(WHOLE, "net@20x50") == pytest.approx(0.875)  # the truth stays measured
    untold = Machine(hardware("dev", profile=file))
    assert untold.believed_s(WHOLE, "net@20x50") == pytest.approx(0.875)


def test_a_name_with_a_frequency_level(machines: dict[str, Hardware]) -> None:
    full, half = machine("dev"), machine("dev@half")
    assert half.hardware.level == "half" and half.hardware.compute_w == 2
    assert half.seconds(WHOLE, "") == pytest.approx(2 * full.seconds(WHOLE, ""))
    coding = Coding("png", 3000, 100, pixels=1000)
    assert half.codec_s("encode", coding) == pytest.approx(2 * full.codec_s("encode", coding))
    assert machine("dev@full").seconds(WHOLE, "") == pytest.approx(full.seconds(WHOLE, ""))
    assert machine("dev") is full  # opened once
    with pytest.raises(ScenarioError, match=r"no such DVFS level.*'hal'.*Did you mean 'half'"):
        machine("dev@hal")


def test_what_was_measured_holds_at_full_speed_only(
    machines: dict[str, Hardware], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A lower level is slower than the measured one, by the ratio that the roofline gives."""
    monkeypatch.setattr(machine_room, "read_model", lambda folder: Believer())
    file = profile_file(tmp_path, a=0.5, b=0.25, c=0.125)
    machines["dev"] = replace(machines["dev"], profile=file, predictor="m")
    assert machine("dev@full").seconds(WHOLE, "net@20x50") == pytest.approx(0.875)
    assert machine("dev@half").seconds(WHOLE, "net@20x50") == pytest.approx(2 * 0.875)
    assert machine("dev@half").seconds(WHOLE, "net@20x50", 3) == pytest.approx(4 * 0.875)
    assert machine("dev@half").believed_s(WHOLE, "net@20x50") == pytest.approx(2 * 3.0)


# --- plans ------------------------------------------------------------------------------------

POINTS = {
    "png": {"scheme": "raw", "network": "net", "codec": {"kind": "png"}},
    "jpeg": {"scheme": "raw", "network": "net", "codec": {"kind": "jpeg"}},
    "webp": {"scheme": "raw", "network": "net", "codec": {"kind": "webp"}},
    "pixels": {"scheme": "raw", "network": "net", "codec": {"kind": "pixels"}},
    "cut": {"scheme": "separate", "network": "net", "split": "a", "codec": {"kind": "tensor"}},
    "mobile": {"scheme": "local", "network": "net"},
    "quick": {"scheme": "local", "exit": True},
}
KEY = "net@20x50"
WORK = {
    **{
        name: Workload((), WHOLE, WHOLE, network=KEY, tail="net/raw", coded=((20, 50, 3),))
        for name in ("png", "jpeg", "webp", "pixels")
    },
    "cut": Workload(
        (A,), (B, C), WHOLE, exit_head=(B,), network=KEY, tail="net/a", coded=((4, 5, 10), (8,))
    ),
    "mobile": Workload(WHOLE, (), WHOLE, network=KEY),
    "quick": Workload((A,), (), WHOLE),
}


class Known:
    """A pipeline of which only the work is asked."""

    def workload(self, name: str) -> Workload:
        return WORK[name]


def scenario(edge: dict[str, Any] | None = None, **group: Any) -> Scenario:
    one = {"hardware": "dev", "count": 1, "arrivals": {"kind": "poisson", "rate_hz": 5}}
    return Scenario.model_validate(
        {
            "name": "toy",
            "task": {"height_px": 20, "width_px": 50},  # 1000 px
            "networks": [{"name": "net", "source": "alexnet", "weights": "random"}],
            "operating_points": [{"name": name} | spec for name, spec in POINTS.items()],
            "devices": [{"name": "g", "operating_point": "png"} | one | group],
            "cell": {"channel": {"kind": "fixed_snr", "snr_db": 10}},
            "edge": {"hardware": "srv", "max_batch": 3} | (edge or {}),
        }
    )


def made(found: Scenario | None = None) -> dict[str, Any]:
    numbers = np.arange(3, dtype=np.int64)
    confidence = np.array([0.5, 0.75, 1.0])
    prepared = {
        name: Prepared(
            100 + numbers, 0 * numbers, 8 + numbers, (b"x", b"y", b"z"),
            confidence=confidence if name == "quick" else None,
        )
        for name in POINTS
    }  # fmt: skip
    return dict(make_plans(found or scenario(), Known(), prepared))


def test_a_plan_for_every_point() -> None:
    found = made()
    assert list(found) == list(POINTS)
    assert found["png"].scheme is Scheme.RAW and found["quick"].scheme is Scheme.LOCAL


def test_what_goes_up_and_down() -> None:
    found = made()
    assert found["cut"].payload_bits == [100, 101, 102] and found["cut"].answer_bits == [8, 9, 10]
    assert found["mobile"].payload_bits == [8, 9, 10]  # the answer, if it is sent
    assert list(found["cut"].payloads) == [b"x", b"y", b"z"]
    assert found["quick"].confidence == [0.5, 0.75, 1.0] and found["cut"].confidence == ()
    assert all(type(bits) is int for bits in found["cut"].payload_bits)


def test_seconds_on_the_device_by_hand() -> None:
    found = {name: plan.device_s["dev"] for name, plan in made().items()}
    assert found["cut"] == pytest.approx(1e-3 + 0.01)
    assert found["mobile"] == pytest.approx(1e-3 + 0.07)
    assert found["quick"] == pytest.approx(1e-3 + 0.01)  # trunk and exit alone
    assert found["pixels"] == 0.0
    assert {plan.local_s["dev"] for plan in made().values()} == {found["mobile"]}


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "pixels"])
def test_pictures_are_encoded_and_decoded_by_hand(name: str) -> None:
    """3000 values become 12.5, 12.625 and 12.75 bytes; the device has half the core's speed."""
    plan = made()[name]
    encoded_s = [2 * (1e-3 + 3e-3 + 1e-5 * bits / 8) for bits in (100, 101, 102)]
    assert plan.encode_s["dev"] == pytest.approx(encoded_s)
    assert plan.edge_codec_s == pytest.approx([3e-3] * 3)
    assert plan.device_s["dev"] == plan.believed_device_s["dev"] == 0.0  # the network alone
    assert plan.edge_s == pytest.approx([2e-4 + n * 0.007 for n in (1, 2, 3)])


def test_all_tensors_of_a_cut_are_coded() -> None:
    plan = made()["cut"]  # 4 x 5 x 10 and 8 values
    assert plan.encode_s["dev"][0] == pytest.approx(2 * (1e-3 + 208e-6 + 1e-5 * 12.5))
    assert plan.edge_codec_s[0] == pytest.approx(208e-6)


def test_what_is_answered_on_the_device_and_stays_there_codes_nothing() -> None:
    for name in ("mobile", "quick"):
        plan = made()[name]
        assert plan.encode_s == {"dev": []} and plan.edge_codec_s == []
        assert plan.read_answer_s == {"dev": []}


def test_an_answer_that_is_a_map_is_coded_where_it_is_made_and_decoded_where_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("png", "mobile"):
        monkeypatch.setitem(WORK, name, replace(WORK[name], answer_map=(20, 50)))
    plan = made()["png"]  # answers of 1, 1.125 and 1.25 bytes, 1000 values
    assert plan.edge_codec_s[0] == pytest.approx(3e-3 + 1e-3 + 1e-3 + 1e-5)
    assert plan.read_answer_s["dev"] == pytest.approx([2 * 1e-3] * 3)
    assert made()["mobile"].encode_s == {"dev": []}
    told = scenario().model_dump(mode="json")
    told["operating_points"][5]["send_result"] = True
    plan = made(Scenario.model_validate(told))["mobile"]
    assert plan.encode_s["dev"][0] == pytest.approx(2 * (1e-3 + 1e-3 + 1e-5))
    assert plan.read_answer_s == {"dev": []} and plan.edge_codec_s == []


def test_policies_and_oracle_reckon_with_the_codecs() -> None:
    from simsplit.sim.informer import costs_of

    plans = made()
    for true in (True, False):
        costs = costs_of(plans, "dev", NoHeaders(kind="none"), true=true)["png"]
        assert costs.device_s == pytest.approx(sum(plans["png"].encode_s["dev"]) / 3)
        assert costs.edge_s == pytest.approx(plans["png"].edge_s[0] + 3e-3)


def test_a_machine_without_a_rating_is_an_error(machines: dict[str, Hardware]) -> None:
    machines["srv"] = replace(machines["srv"], seven_zip_mips=None)
    with pytest.raises(ScenarioError, match=r"seven_zip_mips.*'srv'"):
        made()


def test_a_codec_that_was_not_measured_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    without = replace(COSTS, laws={k: v for k, v in COSTS.laws.items() if k != "webp"})
    monkeypatch.setattr(machine_room, "read_costs", lambda path: without)
    with pytest.raises(ScenarioError, match=r"no cost of this codec in the test's profile.*webp"):
        made()


def test_groups_are_told_apart_by_machine() -> None:
    one = {"hardware": "dev", "count": 1, "arrivals": {"kind": "poisson", "rate_hz": 5}}
    found = scenario().model_dump(mode="json")
    found["devices"] = [
        {"name": "a", "operating_point": "png"} | one,
        {"name": "b", "operating_point": "png", "dvfs": "half"} | one,
        {"name": "c", "operating_point": "png", "dvfs": "half"} | one,
    ]
    plan = made(Scenario.model_validate(found))["cut"]
    assert plan.device_s == pytest.approx({"dev": 0.011, "dev@half": 0.022})
    assert (
        set(plan.local_s) == set(plan.exit_s) == set(plan.believed_device_s) == {"dev", "dev@half"}
    )


def test_beliefs_are_the_predictors(
    machines: dict[str, Hardware], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_room, "read_model", lambda folder: Believer())
    machines["dev"] = replace(machines["dev"], predictor="m")
    machines["srv"] = replace(machines["srv"], predictor="m")
    cut, png = made()["cut"], made()["png"]
    assert cut.believed_device_s == {"dev": 1.0} and cut.believed_edge_s == 2.0
    assert png.believed_device_s == {"dev": 0.0} and png.believed_edge_s == pytest.approx(3.0)
    assert cut.device_s["dev"] == pytest.approx(0.011)  # the truth is the roofline's


def test_the_cloud_has_its_own_hardware_and_batches() -> None:
    cloud = {"hardware": "far", "max_batch": 2}
    found = made(scenario({"cloud": cloud}))
    assert found["cut"].cloud_s == pytest.approx([1e-4 + n * 6e6 / 1e10 for n in (1, 2)])
    assert found["png"].cloud_s == pytest.approx([1e-4 + n * 7e-4 for n in (1, 2)])
    assert found["png"].cloud_codec_s == pytest.approx([3e-3 / 4] * 3)
    assert len(found["cut"].edge_s) == 3
    assert made()["cut"].cloud_s == []


def test_an_exit_costs_its_head_alone() -> None:
    found = made()
    assert found["cut"].exit_s == pytest.approx({"dev": 1e-3 + 0.02})
    assert found["mobile"].exit_s == {}  # nothing known: no free exit


def test_points_of_one_network_and_cut_share_a_tail() -> None:
    tails = {name: plan.tail for name, plan in made().items()}
    assert tails["png"] == tails["jpeg"] == tails["pixels"] == "net/raw"  # codecs are their own
    assert tails["cut"] == "net/a" and tails["mobile"] == ""


def test_papr_is_of_analog_symbols_only() -> None:
    assert made()["png"].papr_db is None


def test_papr_is_that_on_the_subcarriers_of_the_grant() -> None:
    """A tone on 3 resource blocks of 12 subcarriers: one peak of 36, the others silent."""
    symbols = np.zeros((2, 72), np.complex64)
    symbols[:, 0] = symbols[:, 36] = 1.0  # the first subcarrier of two OFDM symbols: no peaks
    symbols[1] = 1.0  # all alike: 36 add up
    found = plans.Papr(symbols)
    assert found(0, 3) == pytest.approx(0.0, abs=1e-5)
    assert found(1, 3) == pytest.approx(10 * math.log10(36))
    assert found(1, 6) == pytest.approx(10 * math.log10(72))
    again = pickle.loads(pickle.dumps(found))
    assert again(1, 3) == found(1, 3)


def test_bundled_machines_with_levels_and_profiles() -> None:
    """Every bundled device at each of its levels has a cost, and none is faster when slower."""
    from simsplit.scenario.bundled import hardware_choices

    for name in hardware_choices():
        found = load_hardware(name)
        speeds = [Machine(found.at_level(one.name)).seconds(WHOLE, "") for one in found.levels]
        assert speeds == sorted(speeds, reverse=True)
        if speeds:
            assert speeds[-1] == pytest.approx(Machine(found).seconds(WHOLE, ""))
