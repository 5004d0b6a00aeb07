"""YAML → Scenario: names, numbers, overrides, digest."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import yaml

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.scenario.cell import Cell
from simsplit.scenario.devices import DeviceGroup
from simsplit.scenario.edge import Cloud, Edge
from simsplit.scenario.spec import Spec

bundled = importlib.import_module("simsplit.scenario.bundled")
loading = importlib.import_module("simsplit.scenario.load")


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Trained models, as far as `load` can see."""
    folder = tmp_path / "models"
    names = ("streets_multitask", "streets_nested", "features_e2_proposed")
    datasets = dict.fromkeys(names, "streets") | {"digits_cnn": "digits"}
    datasets["streets_exit"] = "streets\nmacs_by_part: {exit_head: 1}\nsplits: [stage3]"
    for name, dataset in datasets.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "recipe.yaml").write_text(f"dataset: {dataset}\n")
        (folder / name / "weights.safetensors").touch()
    for code in bundled.models_dir().glob("streets_*_*"):  # codes are read while loading
        if not (folder / code.name).exists():
            (folder / code.name).symlink_to(code)
    monkeypatch.setattr(bundled, "models_dir", lambda: folder)
    monkeypatch.chdir(tmp_path)  # the checkout's own models would come first
    return folder


@pytest.mark.parametrize("name", bundled.bundled_names())
def test_bundled_scenarios_load_by_name_and_by_path(name: str) -> None:
    scenario = loading.load(name)
    assert scenario.name == name
    assert loading.load(bundled.scenarios_dir() / f"{name}.yaml") == scenario


@pytest.mark.parametrize("name", bundled.bundled_names())
def test_resolved_yaml_loads_to_the_same_scenario(name: str, tmp_path: Path) -> None:
    scenario = loading.load(name)
    file = tmp_path / "scenario.yaml"
    file.write_text(loading.resolved_yaml(scenario))
    assert loading.load(file) == scenario
    assert loading.digest(loading.load(file)) == loading.digest(scenario)


def test_a_mapping_loads_and_is_left_alone() -> None:
    content = yaml.safe_load((bundled.scenarios_dir() / "digits_smoke.yaml").read_text())
    before = json.dumps(content)
    loading.load(content, overrides=["cell.channel.snr_db=3", "devices.png.count=2"])
    assert json.dumps(content) == before


def test_numbers_that_yaml_reads_as_text_are_numbers() -> None:
    scenario = loading.load(
        "urban_5g",
        overrides=["cell.carrier_hz=35e8", "cell.downlink={kind: fixed_rate, rate_bps: 1e7}"],
    )
    assert scenario.cell.carrier_hz == 3.5e9
    assert scenario.cell.downlink.rate_bps == 1e7


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("devices.jpeg_cameras.count=7", lambda s: s.devices[0].count == 7),
        ("devices.0.count=7", lambda s: s.devices[0].count == 7),
        (
            "operating_points.jpeg.codec.quality=30",
            lambda s: s.operating_points[0].codec.quality == 30,
        ),
        ("cell.channel={kind: fixed_snr, snr_db: 4}", lambda s: s.cell.channel.snr_db == 4),
        ("edge.queue_capacity=3", lambda s: s.edge.queue_capacity == 3),
        ("edge.queue_capacity=null", lambda s: s.edge.queue_capacity is None),
        ("description='a=b'", lambda s: s.description == "a=b"),
    ],
)
def test_overrides(override: str, read: object) -> None:
    assert callable(read)
    assert read(loading.load("urban_5g", overrides=[override]))


def test_an_override_fills_a_section_left_to_its_defaults() -> None:
    scenario = loading.load("digits_smoke", overrides=["edge.workers=3"])
    assert scenario.edge.workers == 3


@pytest.mark.parametrize("spec", [Cell, Cloud, DeviceGroup, Edge])
def test_a_section_that_says_no_kind_is_of_the_kind_that_leaving_it_out_means(
    spec: type[Spec],
) -> None:
    needed = {
        Cell: {"channel": {"kind": "fixed_snr", "snr_db": 5}},
        Cloud: {"hardware": "cloud_a100"},
        DeviceGroup: {
            "name": "g",
            "count": 1,
            "hardware": "phone_soc",
            "operating_point": "p",
            "arrivals": {"kind": "poisson", "rate_hz": 1},
        },
        Edge: {},
    }[spec]
    families = {
        name: field.default
        for name, field in spec.model_fields.items()
        if field.discriminator and isinstance(field.default, Spec)
    }
    assert families
    for name, default in families.items():
        keys = {key: value for key, value in default if key != "kind"}
        assert getattr(spec.model_validate(needed | {name: keys}), name) == default
        assert default.kind == type(default)().kind, "an editor's schema wants a kind"


@pytest.mark.parametrize(
    ("override", "read"),
    [
        ("cell.access.sr_period_slots=8", lambda s: s.cell.access.sr_period_slots == 8),
        ("cell.decoding={}", lambda s: s.cell.decoding.kind == "capability_1"),
        ("cell.headers.mtu_bytes=1400", lambda s: s.cell.headers.mtu_bytes == 1400),
        ("cell.mcs.bler_target=0.01", lambda s: s.cell.mcs.bler_target == 0.01),
        ("cell.scheduler.max_grants=2", lambda s: s.cell.scheduler.max_grants == 2),
    ],
)
def test_an_override_below_a_section_of_the_default_kind(override: str, read: object) -> None:
    assert callable(read)
    assert read(loading.load("digits_smoke", overrides=[override]))


@pytest.mark.parametrize(
    ("override", "texts"),
    [
        (
            "cell.access.sr_period_slots=7",
            ["cell.access.sr_period_slots: not among the choices (found: 7)", "Choices: 1, 2, 4"],
        ),
        (
            "cell.fading.speed_mps=3",
            ["cell.fading.speed_mps: unknown key of kind 'none' (it belongs to kind 'jakes'"],
        ),
        (
            "devices.0.mobility.speed_mps=3",
            ["devices[0].mobility.speed_mps: unknown key of kind 'static'", "kind 'straight'"],
        ),
        ("edge.scaling.max_workers=3", ["edge.scaling.max_workers:", "belongs to kind 'queue'"]),
    ],
)
def test_bad_overrides_below_a_section_of_the_default_kind(override: str, texts: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        loading.load("digits_smoke", overrides=[override])
    assert all(text in str(caught.value) for text in texts), str(caught.value)


@pytest.mark.parametrize(
    ("override", "texts"),
    [
        ("nonsense", ["path=value"]),
        ("=5", ["path=value"]),
        ("cell..x=5", ["path=value"]),
        ("cell.chanel.snr_db=5", ["cell.chanel", "unknown key", "'channel'"]),
        ("cell.channel.snr_db=5", ["cell.channel.snr_db", "unknown key"]),
        ("devices.nobody.count=5", ["devices.nobody", "no such entry", "jpeg_cameras"]),
        ("devices.9.count=5", ["devices.9", "no such entry"]),
        ("seed.x=5", ["seed", "plain value"]),
        ("seed=[1", ["seed", "not valid YAML"]),
        ("seed=-1", ["seed", "greater than or equal to 0", "-1"]),
    ],
)
def test_bad_overrides(override: str, texts: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        loading.load("urban_5g", overrides=[override])
    assert all(text in str(caught.value) for text in texts), str(caught.value)


def test_the_digest_sees_every_change() -> None:
    first = loading.digest(loading.load("urban_5g"))
    assert first == loading.digest(loading.load("urban_5g"))
    assert first != loading.digest(loading.load("urban_5g", overrides=["seed=2"]))
    assert len(first) == 64


def test_a_trace_counts_by_its_content(tmp_path: Path) -> None:
    content = yaml.safe_load((bundled.scenarios_dir() / "digits_smoke.yaml").read_text())
    content["devices"][0]["arrivals"] = {"kind": "trace", "file": "trace.csv"}
    digests = []
    for folder, rows in (("a", "0.1,0"), ("b", "0.1,0"), ("c", "0.2,0")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "trace.csv").write_text(f"time_s,device\n{rows}\n")
        (tmp_path / folder / "s.yaml").write_text(yaml.safe_dump(content))
        digests.append(loading.digest(loading.load(tmp_path / folder / "s.yaml")))
    assert digests[0] == digests[1] != digests[2]


def test_missing_weights_name_the_command(models: Path) -> None:
    (models / "digits_cnn" / "weights.safetensors").unlink()
    with pytest.raises(ArtefactError, match=r"simsplit train models/digits_cnn/recipe\.yaml"):
        loading.load("digits_smoke")


def test_a_card_overrules_recipe_and_defaults(models: Path) -> None:
    (models / "digits_cnn" / "card.json").write_text('{"splits": ["early"]}')
    with pytest.raises(ScenarioError, match=r"operating_points\[1\].split: .*Choices: early"):
        loading.load("digits_smoke")


def test_few_aliases_are_welcome(tmp_path: Path) -> None:
    text = (bundled.scenarios_dir() / "digits_smoke.yaml").read_text()
    text = text.replace("arrivals: {kind: poisson", "arrivals: &a {kind: poisson", 1)
    text = text.replace("arrivals: {kind: poisson, rate_hz: 10}", "arrivals: *a")
    (tmp_path / "s.yaml").write_text(text)
    scenario = loading.load(tmp_path / "s.yaml", overrides=["devices.1.arrivals.rate_hz=4"])
    assert [group.arrivals.rate_hz for group in scenario.devices] == [10, 4, 10, 10]
