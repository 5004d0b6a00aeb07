"""The command line: help, schema, list, check; fast, and no logic of its own."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from simsplit.cli import app
from simsplit.expect import expect

loading = importlib.import_module("simsplit.load")
VERBS = [
    "run",
    "check",
    "schema",
    "list",
    "show",
    "train",
    "data",
    "validate",
    "sweep",
    "plot",
    "report",
]
CARD = {
    "splits": ["stage2"],
    "macs": {
        "raw": {"device_macs": 0, "edge_macs": 1e6},
        "separate": {"device_macs": 5e5, "edge_macs": 5e5},
        "jscc": {"device_macs": 5e5, "edge_macs": 5e5},
        "local": {"device_macs": 1e6, "edge_macs": 0},
    },
    "payload_bits": {"raw/png": 1000, "feature_8bit": 500},
    "channel_uses": {"jscc": 64},
}


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models, one with a full card."""
    folder = tmp_path / "models"
    datasets = {"streets_multitask": "streets", "streets_nested": "streets", "digits_cnn": "digits"}
    for name, dataset in datasets.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "recipe.yaml").write_text(f"dataset: {dataset}\n")
        (folder / name / "weights.safetensors").touch()
    (folder / "digits_cnn" / "card.json").write_text(json.dumps(CARD))
    monkeypatch.setattr(loading, "models_dir", lambda: folder)
    return folder


def _said(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )


def test_help_names_every_verb() -> None:
    text = _said("--help")
    assert all(verb in text for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    assert "Usage" in _said(verb, "--help")


def test_schema_is_json_schema_that_knows_the_nouns() -> None:
    schema = json.loads(_said("schema"))
    assert schema["additionalProperties"] is False
    assert {"cell", "devices", "operating_points"} <= set(schema["required"])


def test_list() -> None:
    text = _said("list")
    assert all(word in text for word in ("urban_5g", "phone_soc", "digits_cnn", "streets"))


@pytest.mark.parametrize("name", loading.bundled_names())
def test_check_prints_every_group_and_station(name: str) -> None:
    text = _said("check", name)
    groups = loading.load(name).devices
    assert all(group.name in text for group in groups)
    assert "cell" in text and "edge" in text


def test_check_says_what_it_does_not_know() -> None:
    text = _said("check", "urban_5g")
    assert "unknown" in text and "measured in act one" in text


def test_expectation_by_hand() -> None:
    found = expect(loading.load("digits_smoke", overrides=["cell.mcs={kind: fixed, index: 11}"]))
    png, separate, jscc, local = found.groups
    efficiency = 4 * 378 / 1024  # TS 38.214 Table 5.1.3.1-1, index 11
    assert png.offered_hz == 10 and png.mean_snr_db == 12
    assert png.need_re_per_s == pytest.approx(10 * 1000 / efficiency)
    assert separate.need_re_per_s == pytest.approx(10 * 500 / efficiency)
    assert jscc.need_re_per_s == 640 and local.need_re_per_s == 0
    assert found.capacity_re_per_s == pytest.approx(10 * 156 / 0.5e-3)
    need = (15_000 / efficiency + 640) / (10 * 156 / 0.5e-3)
    assert found.radio_utilisation == pytest.approx(need)
    assert local.device_utilisation == pytest.approx(10 * (0.002 + 1e6 / (24e9 * 0.4)))
    edge_s = [0.001 + 8 * macs / (15.6e12 * 0.3) for macs in (1e6, 5e5, 5e5)]
    codec_s = 5e-6 * 64 / 1000
    assert found.edge_utilisation == pytest.approx(10 * (sum(edge_s) / 8 + codec_s))
    assert png.device_utilisation == pytest.approx(10 * 2e-5 * 64 / 1000)
    assert not found.warnings


def test_check_warns_of_unstable_stations() -> None:
    overrides = ("--set", "devices.local.arrivals.rate_hz=1e4", "--set", "devices.jscc.count=9999")
    text = " ".join(_said("check", "digits_smoke", *overrides).split())
    assert "devices of group local: utilisation" in text
    assert "cell: utilisation" in text and "grows without bound" in text


def test_check_as_json() -> None:
    found = json.loads(_said("check", "digits_smoke", "--json"))
    assert found["offered_hz"] == 40 and len(found["groups"]) == 4


def test_nothing_heavy_is_imported_for_help_and_check() -> None:
    heavy = "{'torch', 'sionna', 'simpy', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules)"
    assert _python(f"import sys, simsplit.cli; print({heavy})").stdout.strip() == "set()"
    code = f"import sys, simsplit.load, simsplit.expect; print({heavy})"
    assert _python(code).stdout.strip() == "set()"
    light = "import sys, simsplit.cli; print({'numpy', 'pydantic', 'yaml'} & set(sys.modules))"
    assert _python(light).stdout.strip() == "set()"


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loading, "load", stop)
    result = CliRunner().invoke(app, ["check", "digits_smoke"])
    assert result.exit_code == 130


def test_a_wrong_option_is_exit_code_2() -> None:
    result = CliRunner().invoke(app, ["run", "urban_5g", "--sede", "1"])
    assert result.exit_code == 2 and "Traceback" not in result.output
