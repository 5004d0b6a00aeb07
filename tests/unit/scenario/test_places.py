"""Names become files: where they are looked for, in which order, and what an error says."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml

from simsplit.errors import ScenarioError
from simsplit.hardware.machine import machine
from simsplit.hardware.roofline import load_hardware
from simsplit.results.identity import artefact_digests, run_identity
from simsplit.scenario import places
from simsplit.scenario.bundled import hardware_dir, models_dir, scenarios_dir
from simsplit.scenario.load import digest, load, resolved_yaml
from simsplit.scenario.places import HARDWARE, MODEL, SCENARIO, SWEEP
from simsplit.scenario.sweeps import read_sweep, sweep_path

PI = "raspberry_pi_4"


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The folders of the search: beside the YAML, working folder, two of SIMSPLIT_PATH."""
    found = {name: tmp_path / name for name in ("beside", "here", "first", "second")}
    for folder in found.values():
        folder.mkdir()
    monkeypatch.chdir(found["here"])
    path = ["", str(found["first"]), str(tmp_path / "none"), str(found["second"])]
    monkeypatch.setenv("SIMSPLIT_PATH", os.pathsep.join(path))
    return found


def phone(folder: Path, name: str = "my_phone", **figures: object) -> Path:
    """A hardware file of a user's own: the bundled one with other figures."""
    content = yaml.safe_load((hardware_dir() / f"{PI}.yaml").read_text()) | figures
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder / f"{name}.yaml"


def smoke(folder: Path, hardware: str = "my_phone", name: str = "mine") -> Path:
    """A scenario of a user's own that names hardware."""
    content = yaml.safe_load((scenarios_dir() / "digits_smoke.yaml").read_text())
    for group in content["devices"]:
        group["hardware"] = hardware
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder / f"{name}.yaml"


# --- the order --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hardware", ""])
def test_the_nearest_folder_wins(folders: dict[str, Path], kind: str) -> None:
    """Bundled, then each folder of the search put before those there were."""
    assert places.referred(HARDWARE, PI, beside=folders["beside"]) == PI
    for name in ("second", "first", "here", "beside"):
        file = phone(folders[name] / kind, PI)
        assert places.referred(HARDWARE, PI, beside=folders["beside"]) == str(file)


def test_the_kinds_own_folder_comes_before_the_folder_itself(folders: dict[str, Path]) -> None:
    phone(folders["here"])
    own = phone(folders["here"] / "hardware")
    assert places.referred(HARDWARE, "my_phone") == str(own)


def test_what_is_bundled_stays_a_name_wherever_it_is_found(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = str(hardware_dir() / f"{PI}.yaml")
    assert places.referred(HARDWARE, whole) == PI
    monkeypatch.chdir(scenarios_dir())
    assert places.referred(HARDWARE, PI) == places.referred(HARDWARE, f"hardware/{PI}.yaml") == PI
    monkeypatch.chdir(models_dir().parent)
    assert places.referred(MODEL, "digits_cnn") == "digits_cnn"
    assert places.referred(MODEL, "models/digits_cnn") == "digits_cnn"


def test_a_file_that_is_plainly_another_thing_is_passed_over(folders: dict[str, Path]) -> None:
    """A scenario, a sweep and a hardware file of one name beside each other."""
    scenario = smoke(folders["here"], name=PI)
    assert places.find_named(SCENARIO, PI) == scenario
    assert places.referred(HARDWARE, PI) == PI
    assert sweep_path(PI) is None
    text = "{scenario: digits_smoke, axes: [{path: seed, values: [1, 2]}]}"
    (folders["here"] / "digits_smoke.yaml").write_text(text)
    assert sweep_path("digits_smoke") == folders["here"] / "digits_smoke.yaml"
    assert read_sweep(folders["here"] / "digits_smoke.yaml").source == "digits_smoke"


def test_a_folder_without_a_models_files_is_no_model(folders: dict[str, Path]) -> None:
    (folders["here"] / "digits_cnn").mkdir()
    assert places.referred(MODEL, "digits_cnn") == "digits_cnn"


def test_scenarios_and_sweeps_are_found_by_name(folders: dict[str, Path]) -> None:
    scenario = smoke(folders["second"] / "scenarios", PI)
    sweep = folders["first"] / "sweeps" / "seeds.yaml"
    sweep.parent.mkdir()
    sweep.write_text("{scenario: mine, axes: [{path: seed, values: [1, 2]}]}")
    assert load("mine") == load(scenario)
    assert sweep_path("seeds") == sweep
    assert read_sweep(sweep).source == str(scenario)
    assert places.names(SWEEP) == sorted({*SWEEP.choices(), "seeds"})


# --- what an error says -----------------------------------------------------------------------


def test_an_error_lists_the_folders_and_the_names_there_are(folders: dict[str, Path]) -> None:
    phone(folders["first"] / "hardware")
    with pytest.raises(ScenarioError) as caught:
        load(smoke(folders["beside"], "my_phoen"))
    said = str(caught.value)
    assert "devices[0].hardware: no such hardware" in said
    positions = [said.index(str(folders[name])) for name in ("beside", "here", "first", "second")]
    assert positions == sorted(positions)
    assert "Did you mean 'my_phone'?" in said and PI in said


def test_an_error_says_that_the_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIMSPLIT_PATH", raising=False)
    with pytest.raises(ScenarioError, match="SIMSPLIT_PATH is not set"):
        load("no_such_scenario")


@pytest.mark.parametrize("name", ["x" * 300, "a/" * 2000, "..", ".", "/", "a\0b"])
@pytest.mark.parametrize("key", ["edge.hardware", "model"])
def test_names_that_no_file_can_have(folders: dict[str, Path], key: str, name: str) -> None:
    with pytest.raises(ScenarioError):
        load("digits_smoke", overrides=[f"{key}={json.dumps(name)}"])


# --- a resolved scenario ----------------------------------------------------------------------


def test_a_resolved_scenario_means_the_same_from_anywhere(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(models_dir() / "digits_cnn", folders["here"] / "models" / "my_net")
    phone(folders["beside"], idle_w={"value": 0.125, "source": "assumption for a test"})
    scenario = load(smoke(folders["beside"]), overrides=["model=my_net"])
    assert scenario.model == str(folders["here"] / "models" / "my_net")
    assert scenario.edge.hardware == load("digits_smoke").edge.hardware
    monkeypatch.chdir("/")
    monkeypatch.delenv("SIMSPLIT_PATH")
    again = load(yaml.safe_load(resolved_yaml(scenario)))
    assert again == scenario
    assert load_hardware(again.devices[0].hardware).idle_w == 0.125


def test_identity_counts_content_not_place(folders: dict[str, Path]) -> None:
    shutil.copytree(models_dir() / "digits_cnn", folders["here"] / "models" / "my_net")
    phone(folders["beside"])
    first = load(smoke(folders["beside"]), overrides=["model=my_net"])
    digests = artefact_digests(first)
    assert not [name for name in digests if "/" in name]
    moved = folders["second"] / "moved"
    shutil.copytree(folders["beside"], moved)
    shutil.move(folders["here"] / "models", moved / "models")
    second = load(moved / "mine.yaml", overrides=["model=my_net"])
    assert second != first
    identity = run_identity(second, artefact_digests(second))
    assert identity == run_identity(second, digests) and digest(second) == digest(second)
    phone(moved, idle_w={"value": 0.125, "source": "assumption for a test"})
    third = load(moved / "mine.yaml", overrides=["model=my_net"])
    assert third == second
    assert run_identity(third, artefact_digests(third)) != identity
    assert digest(third) != digest(load("digits_smoke"))


def test_a_hardware_file_that_is_changed_is_read_anew(folders: dict[str, Path]) -> None:
    file = phone(folders["here"])
    before = load_hardware(str(file)), machine(str(file))
    assert machine(str(file)) is before[1]
    phone(folders["here"], idle_w={"value": 0.125, "source": "assumption for a test"})
    assert load_hardware(str(file)).idle_w == 0.125 != before[0].idle_w
    assert machine(str(file)).hardware.idle_w == 0.125
    assert machine(f"{file}@600mhz").hardware.level == "600mhz"


def test_a_path_with_an_at_sign_is_no_level(tmp_path: Path) -> None:
    file = phone(tmp_path / "me@home")
    assert machine(str(file)).hardware.level == ""
    assert machine(f"{file}@600mhz").hardware.level == "600mhz"


def test_what_a_hardware_file_names_is_beside_it(folders: dict[str, Path]) -> None:
    shutil.copytree(models_dir() / "latency_cpu", folders["second"] / "models" / "my_cpu")
    shutil.move(folders["second"] / "models" / "my_cpu" / "profile.json", folders["second"])
    file = phone(folders["second"], profile="profile.json", predictor="my_cpu")
    hardware = load_hardware(str(file))
    assert hardware.profile == str(folders["second"] / "profile.json")
    assert hardware.predictor == str(folders["second"] / "models" / "my_cpu")
    file = phone(folders["second"], "other", predictor="my_cup")
    with pytest.raises(ScenarioError, match=r"other.yaml: predictor: no such latency predictor"):
        load_hardware(str(file))


def test_the_table_of_block_errors_may_be_a_users_own(folders: dict[str, Path]) -> None:
    assert places.bler_table_file() == models_dir() / "bler_5g" / "table.npz"
    own = folders["first"] / "models" / "bler_5g"
    shutil.copytree(models_dir() / "bler_5g", own)
    assert places.bler_table_file() == own / "table.npz"


def test_shown_is_short(tmp_path: Path) -> None:
    assert places.shown(str(tmp_path / "my_phone.yaml")) == "my_phone"
    assert places.shown(f"{tmp_path / 'my_phone.yaml'}@low") == "my_phone@low"
    assert places.shown("phone_soc@low") == "phone_soc@low"
