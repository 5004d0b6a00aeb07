"""The command line: help, schema, list, check; fast, and no logic of its own."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import synthetic
from simsplit.cli.terminal import app
from simsplit.results.store import write_result

bundled = importlib.import_module("simsplit.scenario.bundled")
loading = importlib.import_module("simsplit.scenario.load")
VERBS = [
    "run",
    "check",
    "schema",
    "list",
    "show",
    "hardware",
    "train",
    "data",
    "validate",
    "sweep",
    "plot",
    "rates",
    "cards",
    "rd",
    "report",
    "splits",
    "profile",
    "calibrate",
    "status",
    "compare",
    "bd",
    "warmup",
    "optimise",
    "capacity",
    "coverage",
    "table",
    "export",
    "reproduce",
]
GROUPS = {"trace": ["make", "show"], "cache": ["show", "clear"]}
CARD = {
    "splits": ["stage2"],
    "operators_by_part": {
        "encode": [["encode", "conv", 5e5, 1, 1]],
        "answer": [["answer", "conv", 5e5, 1, 1]],
        **{f"{kind}_{end}": [] for kind in ("digital", "jscc") for end in ("encode", "decode")},
    },
    "payload_bits": {"raw/png": 1000, "feature_8bit": 500},
    "channel_uses": {"jscc": 64},
}


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Models, one with a full card."""
    folder = tmp_path / "models"
    streets = ("streets_multitask", "streets_nested", "streets_exit", "features_e2_proposed")
    for name, dataset in [*((name, "streets") for name in streets), ("digits_cnn", "digits")]:
        (folder / name).mkdir(parents=True)
        (folder / name / "recipe.yaml").write_text(f"dataset: {dataset}\n")
        (folder / name / "weights.safetensors").touch()
    (folder / "digits_cnn" / "card.json").write_text(json.dumps(CARD))
    exits = json.dumps({"splits": ["stage3"], "macs_by_part": {"exit_head": 1}})
    (folder / "streets_exit" / "card.json").write_text(exits)
    monkeypatch.setattr(bundled, "models_dir", lambda: folder)
    monkeypatch.chdir(tmp_path)  # the checkout's own models would come first
    return folder


def _said(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def _python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )


def _listed(help_text: str) -> list[str]:
    """First words of the lines under ``Commands:``."""
    _, _, commands = help_text.partition("Commands:\n")
    return [line.split()[0] for line in commands.splitlines() if re.match(r"  \w", line)]


def test_help_lists_every_verb_once_and_no_other() -> None:
    assert sorted(_listed(_said("--help"))) == sorted([*VERBS, *GROUPS])
    for group, verbs in GROUPS.items():
        assert sorted(_listed(_said(group, "--help"))) == sorted(verbs)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str) -> None:
    """Its name, what it does in a sentence, and its options."""
    usage, _, rest = _said(verb, "--help").partition("\n\n")
    assert re.search(rf"Usage: \w+ {verb}\b", usage)
    assert re.match(r"\s+[A-Z].{10,}", rest) and "--help" in rest


def test_schema_is_json_schema_that_knows_the_nouns() -> None:
    schema = json.loads(_said("schema"))
    assert schema["additionalProperties"] is False
    assert {"cell", "devices", "operating_points"} <= set(schema["required"])


def test_list() -> None:
    text = _said("list")
    assert all(word in text for word in ("urban_5g", "phone_soc", "digits_cnn", "streets"))


def test_hardware_shows_the_figures_of_a_file_and_where_they_come_from() -> None:
    text = _said("hardware", "mcu_npu")
    assert "codec_blocks.jpeg.encode_s_per_kpixel" in text and "3e+11" in text
    assert "mcu_npu: its latencies rest on 2 published networks" in text


def test_nothing_heavy_is_imported_for_help_and_check() -> None:
    heavy = "{'torch', 'sionna', 'simpy', 'matplotlib', 'pandas', 'scipy'} & set(sys.modules)"
    assert _python(f"import sys, simsplit.cli; print({heavy})").stdout.strip() == "set()"
    code = f"import sys, simsplit.scenario.load, simsplit.study.check; print({heavy})"
    assert _python(code).stdout.strip() == "set()"
    light = "import sys, simsplit.cli; print({'numpy', 'pydantic', 'yaml'} & set(sys.modules))"
    assert _python(light).stdout.strip() == "set()"


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("simsplit.study.check.load", stop)
    result = CliRunner().invoke(app, ["check", "digits_smoke"])
    assert result.exit_code == 130


def test_a_wrong_option_is_exit_code_2() -> None:
    result = CliRunner().invoke(app, ["run", "urban_5g", "--sede", "1"])
    assert result.exit_code == 2 and "Traceback" not in result.output


# --- any network ------------------------------------------------------------------------------

MODULE = """
from torch import nn


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.last = nn.Linear(144, 5)

    def forward(self, x):
        return self.last(self.conv(x).relu().flatten(1))
"""
SIZE = ("--height-px", "8", "--width-px", "8")


@pytest.fixture
def own_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's own class beside which the command is given."""
    (tmp_path / "cli_nets.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "cli_nets", raising=False)
    monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path))  # by which it may be imported
    monkeypatch.chdir(tmp_path)
    return "cli_nets:Tiny"


def _refused(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.stderr


def test_splits_of_an_own_network(own_network: str) -> None:
    text = _said("splits", own_network, *SIZE)
    assert "cli_nets:Tiny at 8 x 8: input 0.75 KiB as float32, 0.1875 as bytes" in text
    assert all(word in text for word in ("conv", "4x6x6", "0.5625", "flatten", "smaller than"))
    found = json.loads(_said("splits", own_network, *SIZE, "--json"))
    assert [point["name"] for point in found["points"]][:2] == ["input", "conv"]
    assert found["input_bytes"]["uint8"] == 192


def test_splits_takes_the_size_each_way_round(own_network: str) -> None:
    found = json.loads(
        _said("splits", "squeezenet1_1", "--height-px", "64", "--width-px", "96", "--json")
    )
    assert found["input_bytes"]["uint8"] == 3 * 64 * 96
    assert found["points"][1]["shapes"] == [[64, 31, 47]]


def test_splits_of_no_network() -> None:
    assert "Did you mean 'mobilenet_v2'?" in _refused("splits", "mobilnet_v2")


def _installed(*arguments: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """The command as its script runs it: Python's path has the script's folder, not this one."""
    code = "from simsplit.cli import main; main()"
    command = [sys.executable, "-P", "-c", code, *arguments]
    environment = os.environ | {"SIMSPLIT_PATH": path}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)


def test_modules_are_found_on_simsplit_path_and_installed_ones_first(own_network: str) -> None:
    Path("torch.py").write_text("raise RuntimeError('the wrong one')")
    done = _installed("splits", own_network, *SIZE, "--json", path=str(Path.cwd()))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["points"][1]["name"] == "conv"


def test_modules_of_this_folder_are_not_imported(own_network: str) -> None:
    done = _installed("splits", own_network, *SIZE)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "modules are looked for among the installed ones and on SIMSPLIT_PATH" in done.stderr


def test_profile_prints_a_table_and_writes_a_file(own_network: str) -> None:
    text = _said(
        "profile", own_network, *SIZE, "--batch", "1, 2", "--rounds", "6", "--out", "p.json"
    )
    assert "cli_nets:Tiny@8x8 on " in text and "1 thread" in text
    assert all(word in text for word in ("conv", "activation", "linear", "total", "95 %"))
    assert text.rstrip().endswith("Profile: p.json")
    stored = json.loads(Path("p.json").read_text())
    assert list(stored["networks"]) == ["cli_nets:Tiny@8x8"]


def test_profile_compares_with_a_roofline(own_network: str) -> None:
    text = _said(
        "profile", own_network, *SIZE, "--batch", "2", "--rounds", "6", "--hardware", "phone_cpu"
    )
    line = next(line for line in text.splitlines() if line.startswith("roofline"))
    assert line.startswith("roofline of phone_cpu, batch 2: ") and " ms where " in line
    assert Path("cli_nets.Tiny.profile.json").is_file()


@pytest.mark.parametrize("batch", ["0", "1,,2", "a", "1.5", "-1", ""])
def test_profile_of_no_batch(own_network: str, batch: str) -> None:
    said = _refused("profile", own_network, *SIZE, f"--batch={batch}", "--rounds", "6")
    assert "--batch: batch sizes read 1,2,4" in said
    assert not Path("cli_nets.Tiny.profile.json").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["resnet_18"], "Did you mean 'resnet18'?"),
        (["cli_nets:Tinny"], "Did you mean 'Tiny'?"),
        (["cli_nets:Tiny", "--rounds", "5"], "--rounds"),
        (["cli_nets:Tiny", "--threads", "0"], "--threads"),
        (["cli_nets:Tiny", "--height-px", "4", "--width-px", "4"], "1 x 3 x 4 x 4"),
        (["cli_nets:Tiny", "--seven-zip-mips", "3000"], "profile codecs"),
        (["codecs"], "needs --out FILE"),
        (["codecs", "--out", "f.json"], "needs --seven-zip-mips"),
        (["codecs", "--out", "f.json", "--seven-zip-mips", "0"], "7-zip rating is above 0"),
    ],
)
def test_mistakes_of_profile(own_network: str, arguments: list[str], text: str) -> None:
    assert text in _refused("profile", *arguments)
    assert not list(Path().glob("*.json"))


def test_profile_does_not_touch_a_file_that_is_none(own_network: str) -> None:
    Path("p.json").write_text("my notes")
    said = _refused("profile", own_network, *SIZE, "--batch=1", "--rounds=6", "--out=p.json")
    assert "p.json" in said and Path("p.json").read_text() == "my notes"


# --- studies of policies ----------------------------------------------------------------------


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """A sweep over two policies whose groups saw the same scored requests."""
    folder = tmp_path / "sweep"
    points = {}
    for name, policy in (("a", "{kind: fixed, point: jpeg}"), ("b", "{kind: oracle}")):
        made = synthetic.scenario()
        rows = synthetic.requests(per_point=30)
        rows["score_miou_in_time"] = rows["score_miou"] * rows["deadline_met"]
        write_result(
            folder / name,
            made,
            rows,
            synthetic.NO_SUMMARY,
            {},
            json.dumps(made.model_dump(mode="json")),
        )
        points[name] = {"devices.g_jpeg.policy": policy}
    (folder / "sweep.json").write_text(json.dumps({"points": points}))
    return folder


def test_plot_of_policies(policies: Path, tmp_path: Path) -> None:
    text = _said("plot", str(policies), "--kind", "policies", "--out", str(tmp_path / "out"))
    said = [Path(line.removeprefix("Figure: ")) for line in text.splitlines()]
    assert {path.name for path in said} >= {"policies.png", "policies.csv"}
    assert all(path.is_file() and path.parent == tmp_path / "out" for path in said)
    assert (tmp_path / "out" / "policies.csv").read_text().count("\n") == 3


def test_plot_of_policies_beside_the_sweep(policies: Path) -> None:
    _said("plot", str(policies), "--kind", "policies")
    assert (policies / "policies.csv").is_file()


def test_plot_of_policies_where_none_were_swept(policies: Path, tmp_path: Path) -> None:
    assert "no readable sweep.json" in _refused("plot", str(tmp_path), "--kind", "policies")
    (policies / "sweep.json").write_text(json.dumps({"points": {"a": {"edge.workers": 1}}}))
    said = _refused("plot", str(policies), "--kind", "policies")
    assert "one axis that ends in .policy" in said


def test_plot_of_an_unknown_kind(policies: Path) -> None:
    said = _refused("plot", str(policies), "--kind", "polices")
    assert "unknown kind of figure (found: 'polices')" in said and "Did you mean 'policies'" in said


def test_a_reader_that_has_seen_enough_is_no_mistake() -> None:
    code = (
        "import typer; from simsplit.cli.terminal import guarded\n"
        "@guarded\ndef talk():\n    for _ in range(99999): typer.echo('much')\ntalk()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as talker:
        assert talker.stdout is not None and talker.stderr is not None
        talker.stdout.readline()
        talker.stdout.close()
        said = talker.stderr.read().decode()
    assert (talker.returncode, said) == (0, "")


def test_a_contact_sheet_replaces_pictures_only(tmp_path: Path) -> None:
    mine = tmp_path / "network.py"
    mine.write_text("precious")
    result = CliRunner().invoke(app, ["data", "digits", "--show", str(mine)])
    assert result.exit_code == 2 and ".png" in result.output
    assert mine.read_text() == "precious"
