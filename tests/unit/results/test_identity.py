"""Nothing that decides a payload, a time or a score may change and leave the keys as they were.

The keys are derived: every module that a run imports, every file that it reads. Two kinds of test
hold that: altered copies must have other keys, and what Python really imports and opens during a
run must be in the lists.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from simsplit.pipeline.cache import ENTRY, LIBRARIES
from simsplit.results.identity import CODE, artefact_digests, read_files, run_identity
from simsplit.scenario import bundled
from simsplit.scenario.load import load
from simsplit.scenario.user_code import source_files
from simsplit.sources import code_digest, code_files, libraries
from simsplit.study.run import run

ROOT = Path(__file__).resolve().parents[3]
AUDITED = ROOT / "tests" / "support" / "audited.py"
OF_A_RUN = sorted(code_files(*CODE))
OF_CACHES = sorted(code_files(ENTRY))
DECIDE_NOTHING = {"pydantic", "yaml", "filelock", "platformdirs", "h5py"}  # they read, check, lock


# --- code -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package."""
    folder = tmp_path_factory.mktemp("copy")
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "simsplit", folder / "simsplit", ignore=skip)
    return folder


@pytest.fixture
def fresh() -> Iterator[None]:
    """What digests remember of other tests' copies is forgotten."""
    for remembered in (code_digest, code_files):
        remembered.cache_clear()
    yield
    for remembered in (code_digest, code_files):
        remembered.cache_clear()


def keys(root: Path) -> tuple[str, str]:
    """The code's part of a run's identity and of the caches' keys."""
    for remembered in (code_digest, code_files):
        remembered.cache_clear()
    return code_digest(*CODE, root=root), code_digest(ENTRY, root=root)


def altered(root: Path, file: Path, text: str) -> tuple[str, str]:
    """The keys with a changed file; it is put back."""
    whole = file.read_text(encoding="utf-8")
    try:
        file.write_text(text, encoding="utf-8")
        return keys(root)
    finally:
        file.write_text(whole, encoding="utf-8")


@pytest.mark.parametrize("module", OF_A_RUN)
def test_a_change_in_a_module_of_a_run_changes_its_identity(
    module: str, copy: Path, fresh: None
) -> None:
    file = code_files(*CODE, root=copy)[module]
    before, after = keys(copy), altered(copy, file, file.read_text() + "\nCHANGED = 1\n")
    assert after[0] != before[0]
    assert (after[1] != before[1]) == (module in OF_CACHES)


@pytest.mark.parametrize(
    ("file", "line", "other"),
    [
        ("codecs/quantise.py", "return Quantised(codes, low", "return Quantised(codes // 2, low"),
        ("tasks/answers.py", "metrics.mean_iou(counts)", "metrics.mean_iou(counts) / 2"),
        (
            "tasks/metrics.py",
            "def mean_iou(",
            "def mean_iou_(",
        ),
        ("networks/digits.py", "nn.Conv2d(", "nn.Conv2d( "),
        ("operators.py", "macs", "macs_"),
        ("seeds.py", "SeedSequence", "SeedSequence_"),
        ("phy/analog.py", "def transmit(", "def transmit_("),
    ],
)
def test_what_decides_payloads_and_scores_is_in_both_keys(
    file: str, line: str, other: str, copy: Path, fresh: None
) -> None:
    path = copy / "simsplit" / file
    text = path.read_text(encoding="utf-8")
    assert line in text, "the example has changed: choose another line"
    before, after = keys(copy), altered(copy, path, text.replace(line, other, 1))
    assert before[0] != after[0] and before[1] != after[1]


@pytest.mark.parametrize("name", ["figures/style.py", "pages/report.py", "cli/runs.py"])
def test_drawing_and_telling_decide_nothing(name: str, copy: Path, fresh: None) -> None:
    file = copy / "simsplit" / name
    assert altered(copy, file, file.read_text() + "\nCHANGED = 1\n") == keys(copy)


def test_the_clock_is_in_the_runs_key_and_not_in_the_caches() -> None:
    assert {"simsplit.sim.world", "simsplit.phy.link", "simsplit.hardware.roofline"} <= {*OF_A_RUN}
    assert not [
        name for name in OF_CACHES if name.startswith(("simsplit.sim", "simsplit.hardware"))
    ]
    assert set(OF_CACHES) <= set(OF_A_RUN)


def test_a_module_that_becomes_imported_belongs_to_the_key(copy: Path, fresh: None) -> None:
    """The list is derived, not kept by hand: a new import brings its module with it."""
    file, new = (
        copy / "simsplit" / "codecs" / "quantise.py",
        copy / "simsplit" / "codecs" / "new.py",
    )
    new.write_text("FACTOR = 1\n")
    text = "def late():\n    from simsplit.codecs.new import FACTOR\n\n\n" + file.read_text()
    with_one = altered(copy, file, text)
    new.write_text("FACTOR = 2\n")
    with_two = altered(copy, file, text)
    new.unlink()
    assert with_one[0] != with_two[0] and with_one[1] != with_two[1]


def test_the_same_code_elsewhere_has_the_same_key(copy: Path, fresh: None) -> None:
    assert keys(copy) == keys(ROOT)


def test_every_library_that_decides_is_in_the_caches_keys() -> None:
    assert libraries(code_files(ENTRY)) == set(LIBRARIES) | DECIDE_NOTHING


# --- files ------------------------------------------------------------------------------------

WITH_ALL = {  # a hardware file with profile and predictor, and a cloud
    "edge": {"hardware": "edge_gpu", "cloud": {"hardware": "edge_gpu_t4"}},
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the bundled hardware and of the models that the scenario reads."""
    folder = tmp_path / "data"
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")
    for model in ("digits_cnn", "bler_5g", "latency_cpu", "codec_cpu"):
        shutil.copytree(ROOT / "models" / model, folder / "models" / model)
    monkeypatch.setattr(bundled, "data_root", lambda: folder)
    monkeypatch.chdir(tmp_path)
    return folder


def measured_scenario() -> dict[str, Any]:
    content = yaml.safe_load((bundled.scenarios_dir() / "digits_smoke.yaml").read_text())
    content["devices"][0]["hardware"] = "cpu_core"
    return content | WITH_ALL


FILES = {
    "weights": "models/digits_cnn/weights.safetensors",
    "card": "models/digits_cnn/card.json",
    "recipe": "models/digits_cnn/recipe.yaml",
    "bler_table": "models/bler_5g/table.npz",
    "hardware.cpu_core": "scenarios/hardware/cpu_core.yaml",
    "hardware.raspberry_pi_4": "scenarios/hardware/raspberry_pi_4.yaml",
    "hardware.edge_gpu": "scenarios/hardware/edge_gpu.yaml",
    "hardware.edge_gpu_t4": "scenarios/hardware/edge_gpu_t4.yaml",
    "profile.cpu_core": "models/latency_cpu/profile.json",
    "codecs": "models/codec_cpu/profile.json",
    "predictor.cpu_core.card.json": "models/latency_cpu/card.json",
    "predictor.cpu_core.table.npz": "models/latency_cpu/table.npz",
}


def test_the_files_of_a_run(data: Path) -> None:
    files = read_files(load(measured_scenario()))
    assert {name: str(path.relative_to(data)) for name, path in files.items()} == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_change_in_a_file_changes_the_identity(name: str, data: Path) -> None:
    scenario = load(measured_scenario())
    before = artefact_digests(scenario)
    with (data / FILES[name]).open("ab") as file:
        file.write(b"\n")
    after = artefact_digests(scenario)
    assert {key for key in before if before[key] != after[key]} == {name}
    assert run_identity(scenario, before) != run_identity(scenario, after)


def test_costs_of_a_card_decide_the_identity_and_the_latency(data: Path, tmp_path: Path) -> None:
    """Operators a hundred times as dear: another run, another folder, longer requests."""
    asked: dict[str, Any] = {"source": "digits_smoke", "duration_s": 0.5}
    before = run(**asked, out=tmp_path / "before")
    card = data / "models" / "digits_cnn" / "card.json"
    content = json.loads(card.read_text())
    for rows in content["operators_by_part"].values():
        for row in rows:
            row[2:6] = [100 * value for value in row[2:6]]
    card.write_text(json.dumps(content))
    after = run(**asked, out=tmp_path / "after")
    assert after.manifest["digest"] != before.manifest["digest"]
    seconds = {
        name: result.requests.query("group == 'local'")["latency_s"].mean()
        for name, result in (("before", before), ("after", after))
    }
    assert seconds["after"] > 1.5 * seconds["before"]


def test_a_sweep_of_many_points_hashes_no_file_again(monkeypatch: pytest.MonkeyPatch) -> None:
    import simsplit.files as files

    scenario = load("digits_smoke")
    artefact_digests(scenario)
    monkeypatch.setattr(files.hashlib, "sha256", lambda *_: pytest.fail("hashed again"))
    monkeypatch.setattr(Path, "read_bytes", lambda *_: pytest.fail("read again"))
    artefact_digests(scenario)


# --- what a run really does -------------------------------------------------------------------

POLICY = """
import audited_helper


class P:
    def __init__(self, costs, options, rng):
        pass

    def choose(self, knowledge, sample):
        return audited_helper.POINT
"""
NET = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.head = nn.Linear(4 * 8 * 8, 10)

    def forward(self, x):
        return self.head(self.stem(x).flatten(1))
"""


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario with each kind of file: traces, a user's own classes, profile, predictor."""
    folder = tmp_path_factory.mktemp("everything")
    (folder / "audited_policy.py").write_text(POLICY)
    (folder / "audited_helper.py").write_text('POINT = "feature_8bit"\n')
    (folder / "audited_net.py").write_text(NET)
    (folder / "arrivals.csv").write_text("time_s,device\n0.1,0\n0.2,0\n0.5,0\n")
    (folder / "snr.csv").write_text("time_s,device,snr_db\n0,a,12\n1,a,15\n2,a,11\n")
    content = yaml.safe_load((ROOT / "scenarios" / "digits_smoke.yaml").read_text()) | WITH_ALL
    content["networks"] = [{"name": "own", "source": "audited_net:Net", "weights": "random"}]
    content["operating_points"] += [
        {"name": "own_local", "scheme": "local", "network": "own"},
        {
            "name": "own_cut",
            "scheme": "separate",
            "network": "own",
            "split": "stem",
            "codec": {"kind": "tensor"},
        },
    ]
    group = {"count": 1, "hardware": "cpu_core", "arrivals": {"kind": "poisson", "rate_hz": 5}}
    trace = {"arrivals": {"kind": "trace", "file": "arrivals.csv"}}
    custom = {"policy": {"kind": "custom", "target": "audited_policy:P"}}
    content["devices"] += [
        {"name": "chooser", **group, **custom},
        {"name": "traced", **group, **trace, "operating_point": "own_cut"},
        {"name": "owner", **group, "operating_point": "own_local"},
    ]
    content["cell"]["channel"] = {"kind": "trace", "file": "snr.csv"}
    (folder / "everything.yaml").write_text(yaml.safe_dump(content))
    return folder


def audited(kind: str, scenario: str | Path, out: Path, *path: Path) -> dict[str, set[str]]:
    """Files opened and modules imported by a run in a process and with a cache of its own."""
    environment = {
        **os.environ,
        "SIMSPLIT_CACHE": str(out / "cache"),
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, *path))),
        "SIMSPLIT_PATH": os.pathsep.join(map(str, path)),  # by which its modules may be imported
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, AUDITED, kind, str(scenario), str(out / "out")]
    done = subprocess.run(command, env=environment, cwd=out, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return {key: set(names) for key, names in json.loads(done.stdout.splitlines()[-1]).items()}


def data_files(opened: set[str], *apart: Path) -> set[Path]:
    """Files but Python's, the libraries', the system's, and those under ``apart``."""
    keys = ("stdlib", "platstdlib", "purelib", "platlib", "data")
    folders = {Path(sysconfig.get_path(key)) for key in keys} | {Path(sys.base_prefix)}
    folders |= {Path(name) for name in ("/proc", "/sys", "/etc", "/usr", "/dev", "/lib")}
    files = {Path(name) for name in opened if Path(name).is_file()}
    files = {path for path in files if path.parent.suffix != ".egg-info"}  # of an older install
    return {
        path for path in files if not any(folder in path.parents for folder in (*folders, *apart))
    }


@pytest.mark.parametrize("name", ["digits_smoke", "everything"])
def test_all_that_a_run_imports_and_opens_is_in_its_identity(
    name: str, everything: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(everything))
    folder = everything if name == "everything" else ROOT / "scenarios"
    file = folder / f"{name}.yaml"
    seen = audited("run", file, tmp_path, everything)
    assert seen["modules"] <= set(OF_A_RUN)
    assert "simsplit.sim.world" in seen["modules"]  # the listener hears
    scenario = load(file)
    known = {file, *read_files(scenario).values(), *code_files(*CODE).values()}
    if name == "everything":
        known |= {everything / "arrivals.csv", everything / "snr.csv"}  # in the scenario's digest
        for target in ("audited_policy:P", "audited_net:Net"):
            known |= set(source_files(target).values())
        assert everything / "audited_helper.py" in known
    opened = {path.resolve() for path in data_files(seen["opened"], tmp_path)}
    models = {"digits_cnn"} | ({"latency_cpu"} if name == "everything" else set())
    opened = {path for path in opened if not only_offered(path, models)}
    assert opened - {path.resolve() for path in known} - {AUDITED} == set()
    assert (ROOT / "models/digits_cnn/card.json").resolve() in opened


def only_offered(path: Path, used: set[str]) -> bool:
    """Cards and recipes that are read to say which models there are, not for what they hold."""
    is_card = path.name in ("card.json", "recipe.yaml") and path.parents[1] == ROOT / "models"
    return is_card and (
        path.parent.name not in used
        or (path.parent.name == "latency_cpu" and path.name == "recipe.yaml")
    )


def test_all_that_the_pipelines_import_is_in_the_caches_keys(
    everything: Path, tmp_path: Path
) -> None:
    scenario = load(everything / "everything.yaml")
    content = {"scenario": scenario.model_dump(mode="json"), "models_dir": str(ROOT / "models")}
    (tmp_path / "scenario.json").write_text(json.dumps(content))
    seen = audited("pipeline", tmp_path / "scenario.json", tmp_path, everything)
    assert seen["modules"] <= set(OF_CACHES)
    assert {"simsplit.pipeline.trained", "simsplit.pipeline.traced"} <= seen["modules"]
    ours = {path for path in data_files(seen["opened"], tmp_path) if path.suffix != ".py"}
    assert ours == set(bundled.model_files(ROOT / "models" / "digits_cnn").values())


# --- caches -----------------------------------------------------------------------------------

PREPARE = """
import sys
from pathlib import Path

from simsplit.messages import Delivery, ScoreRequest
from simsplit.pipeline.scenario import open_pipeline
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.load import load

chain = open_pipeline(load("digits_smoke"), models_dir(), Path(sys.argv[1]))
payloads = chain.prepare()["feature_8bit"].payloads
asked = [ScoreRequest("feature_8bit", i, Delivery(i, True)) for i in range(32)]
scores = [outcome.as_dict()["accuracy"] for outcome in chain.score(asked)]
print(sum(map(len, payloads)), sum(scores))
"""


def prepared(root: Path, cache: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(root), "SIMSPLIT_CACHE": str(cache)}
    command = [sys.executable, "-c", PREPARE, str(cache)]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_warm_cache_gives_no_old_payloads_and_scores_to_other_code(tmp_path: Path) -> None:
    """Three of four quantisation steps dropped: coarser codes, fewer bytes, fewer right answers."""
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "simsplit", tmp_path / "simsplit", ignore=skip)
    for name in ("scenarios", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    before = prepared(tmp_path, tmp_path / "warm")
    assert prepared(tmp_path, tmp_path / "warm") == before
    file = tmp_path / "simsplit" / "codecs" / "quantise.py"
    old, new = "return Quantised(codes, low", "return Quantised(codes // 64 * 64, low"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    warm, cold = prepared(tmp_path, tmp_path / "warm"), prepared(tmp_path, tmp_path / "cold")
    assert warm == cold != before
