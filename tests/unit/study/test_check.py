"""`simsplit check`: what is wrong is told before a run, and what a run will ask of its stations."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simsplit.cli.terminal import app
from simsplit.errors import ScenarioError
from simsplit.scenario.bundled import bundled_names, hardware_dir
from simsplit.scenario.load import load
from simsplit.sim.world import Beginning
from simsplit.study.check import capacity_re_per_s, check
from simsplit.study.defaults import WIDTH, default_lines, defaults
from simsplit.study.inputs import make_plans
from simsplit.study.pilot import drops_of, time_decides, window_s
from simsplit.study.run import open_scenario_pipeline
from simsplit.study.simulate import simulate

run_module = importlib.import_module("simsplit.study.run")
FIXED = ("cell.mcs={kind: fixed, index: 11}",)


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["check", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("machine", ["devices.others.hardware", "edge.hardware"])
def test_a_hardware_file_is_read_where_networks_are_the_users(tmp_path: Path, machine: str) -> None:
    text = (hardware_dir() / "phone_soc.yaml").read_text(encoding="utf-8")
    board = tmp_path / "board.yaml"
    board.write_text(text + "procesor: cpu\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match="procesor"):
        check("neurosurgeon", overrides=[f"{machine}={board}"])


def test_a_cut_that_the_network_lacks_is_told() -> None:
    point = "{name: a, scheme: separate, split: nowhere, network: net, codec: {kind: tensor}}"
    arrivals = "arrivals: {kind: periodic, period_s: 1}"
    group = f"{{name: d, count: 1, hardware: phone_soc, operating_point: a, {arrivals}}}"
    changes = [f"operating_points=[{point}]", f"devices=[{group}]"]
    with pytest.raises(ScenarioError, match="nowhere"):
        check("neurosurgeon", overrides=changes)


def test_loads_are_rates_times_the_work_of_a_request() -> None:
    found = check("digits_smoke", overrides=FIXED)
    by_name = {group.name: group for group in found.groups}
    group = load("digits_smoke").devices[0]
    png = by_name[group.name]
    assert png.offered_hz == pytest.approx(group.count * group.arrivals.rate_hz)  # type: ignore[union-attr]
    assert png.busy_s is not None and png.channel_uses is not None
    assert png.device_utilisation == pytest.approx(png.offered_hz / group.count * png.busy_s)
    need = sum(g.offered_hz * (g.channel_uses or 0) for g in found.groups)
    least = need / found.capacity_re_per_s  # as if every resource block were full
    assert found.radio_utilisation is not None and least <= found.radio_utilisation < 1.6 * least
    edge = sum(g.offered_hz * (g.edge_s or 0) for g in found.groups)
    assert found.edge_utilisation == pytest.approx(edge)
    assert not found.warnings and sum(png.chosen.values()) == pytest.approx(1)


def test_capacity_counts_every_site_and_uplink_slots_alone() -> None:
    cell = load("digits_smoke", overrides=FIXED).cell
    assert capacity_re_per_s(cell) == pytest.approx(10 * 156 / 0.5e-3)
    city = load("city_drive").cell
    per_slot = 51 * (12 * 14 - 12 * 2 - 12 * 0)
    assert capacity_re_per_s(city) < 7 * per_slot * 0.4 / 0.5e-3 * 1.01  # 2 of 5 slots are uplink


def test_unstable_stations_are_warned_of() -> None:
    overrides = ("--set", "devices.local.arrivals.rate_hz=1e4", "--set", "duration_s=0.2")
    text = " ".join(printed("digits_smoke", *overrides).split())
    assert "devices of group local: offered load" in text and "grows without bound" in text


def test_lost_requests_are_warned_of() -> None:
    found = check("digits_smoke", overrides=["cell.channel.snr_db=-20", *FIXED])
    assert any("of its requests were lost" in warning for warning in found.warnings)


def test_a_group_without_requests_is_no_mistake() -> None:
    arrivals = "devices.png.arrivals={kind: periodic, period_s: 1000, in_phase: false}"
    found = check("digits_smoke", overrides=[arrivals, "duration_s=0.5"])
    assert any("group png: no request" in warning for warning in found.warnings)


def test_recorded_requests_are_counted_by_group(tmp_path: Path) -> None:
    file = tmp_path / "traffic.csv"
    times = [("local", 0.1 * n) for n in range(30)] + [("png", 0.2 * n) for n in range(5)]
    lines = [f"{time_s!r},0,{group}" for group, time_s in sorted(times)]
    file.write_text("\n".join(["time_s,device,group", *lines]))
    arrivals = f"devices.local.arrivals={{kind: trace, file: {file}}}"
    found = json.loads(printed("digits_smoke", "--set", arrivals, "--json"))
    by_group = {group["name"]: group["offered_hz"] for group in found["groups"]}
    assert by_group["local"] == pytest.approx(20 / 2)  # those below duration_s = 2


def test_the_table_names_every_group_and_station_and_default() -> None:
    text = printed("digits_smoke")
    assert all(group.name in text for group in load("digits_smoke").devices)
    assert "cell" in text and "edge" in text and "fading none" in text


def test_defaults_are_what_the_file_leaves_unsaid() -> None:
    said = load("digits_smoke", overrides=["cell.fading={kind: rayleigh, coherence_time_s: 0.01}"])
    assert "fading" not in str(defaults(said))
    assert "fading none" in defaults(load("digits_smoke"))["cell"]
    plain = load("digits_smoke").model_dump(mode="json")
    del plain["task"], plain["model"]
    plain["operating_points"] = [{"name": "a", "scheme": "local"}]
    plain["devices"] = [plain["devices"][0] | {"operating_point": "a", "policy": None}]
    task = defaults(load(plain))["task"]
    assert {"dataset streets", "height_px 64", "width_px 128"} <= set(task)


def test_where_time_decides_the_pilot_is_spread_over_the_run() -> None:
    moving = load("city_drive")
    assert time_decides(moving) and not time_decides(load("urban_5g"))
    loop = "cell.mcs={kind: adaptive, outer_loop: {step_db: 0.3}}"
    assert time_decides(load("digits_smoke", overrides=[loop]))
    drops = drops_of(moving)
    assert 1000 < drops * window_s(moving, drops) * 150 <= 2000


def test_a_part_of_a_run_takes_over_what_the_last_one_learnt() -> None:
    """Requests from 1 s on alone; the outer loops' offsets begin where they were left."""
    loop = "cell.mcs={kind: adaptive, bler_target: 0.1, outer_loop: {step_db: 0.5}}"
    scenario = load("digits_smoke", overrides=[loop, "replications=2"])
    pipeline = open_scenario_pipeline(scenario)
    plans = make_plans(scenario, pipeline, pipeline.prepare())
    begin = Beginning(from_s=1.0)
    (first,) = simulate(scenario, plans, numbers=[0], begin=begin)
    (whole,) = simulate(scenario, plans, numbers=[0])
    assert min(request.arrival_s for request in first.requests) >= 1.0
    later = [r.arrival_s for r in whole.requests if r.arrival_s >= 1.0]
    assert [r.arrival_s for r in first.requests] == later
    left = dict(begin.offsets_db)
    assert set(left) == {0, 1, 2, 3} and any(left.values())
    begin.from_s = scenario.duration_s  # no request: nothing is learnt, nothing forgotten
    simulate(scenario, plans, numbers=[1], begin=begin)
    assert begin.offsets_db == left


def test_lists_of_defaults_can_be_read() -> None:
    """No long line, none broken within a setting, groups that leave the same said once."""
    unsaid = defaults(load("urban_5g"))
    lines = default_lines(unsaid)
    assert max(map(len, lines)) <= WIDTH
    assert "- devices.analog_cameras, devices.local_cameras" in lines
    settings = " ".join(line for line in lines if not line.startswith("-"))
    for section in unsaid.values():
        assert all(one in " ".join(settings.split()) for one in section)
    short = [one for one in unsaid["cell"] if len(one) < WIDTH - 4]
    assert all(any(one in line for line in lines) for one in short)


def test_only_a_setting_longer_than_a_line_is_broken() -> None:
    lines = default_lines({"cell": ("a (b 1, c 2)", "d 3", "e (f 4, g 5, h 6)")}, width=17)
    assert lines == ["- cell", "    a (b 1, c 2),", "    d 3, e (f 4,", "    g 5, h 6)"]


def test_nothing_of_the_users_own_is_executed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "greedy.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Greedy: ...\n"
    )
    monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path))
    policy = "devices.png.policy={kind: custom, target: 'greedy:Greedy', points: [png]}"
    found = check("digits_smoke", overrides=[policy, "devices.png.operating_point=null"])
    assert found.radio_utilisation is None and found.groups[0].offered_hz == 10
    assert "greedy:Greedy" in found.warnings[0] and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", bundled_names())
def test_a_pilot_is_a_few_hundred_requests(name: str) -> None:
    scenario = load(name)
    drops = drops_of(scenario)
    assert 3 <= drops <= 40 and 0 < window_s(scenario, drops) <= scenario.duration_s
