"""The built package, in an environment without the checkout, from an empty folder.

The wheel is built and installed as a user would have it, not editable. Its dependencies are those
of the running interpreter: the fresh environment reads this one's site-packages through a .pth
file, so that gigabytes of torch are not downloaded and unpacked a second time. Python reads no .pth
files in a folder that is added by one, so this environment's own (editable) simsplit stays out of
sight; and what lies in the fresh environment comes first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
MOST_BYTES = 60e6
Said = Callable[..., str]

pytestmark = pytest.mark.slow


def _ran(*words: object, cwd: Path, **environment: str) -> str:
    """What a command prints; it must succeed."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "SIMSPLIT_PATH")}
    command = [str(word) for word in words]
    done = subprocess.run(
        command, cwd=cwd, env=kept | environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _pip_wheel(source: Path, out: Path) -> Path:
    command = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", out, source)
    _ran(*command, cwd=out.parent)
    (wheel,) = out.glob("simsplit-*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return _pip_wheel(CHECKOUT, tmp_path_factory.mktemp("build") / "wheel")


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a fresh environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(folder)
    interpreter = folder / "bin" / "python"
    show = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(_ran(interpreter, "-c", show, cwd=folder).strip())
    theirs = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("\n".join(theirs))
    install = ("install", "--quiet", "--no-deps", "--ignore-installed", "--no-index", wheel)
    _ran(sys.executable, "-m", "pip", "--python", interpreter, *install, cwd=folder)
    return interpreter


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing in it, where the commands are given, one after the other."""
    return tmp_path_factory.mktemp("empty")


@pytest.fixture
def simsplit(python: Path, empty: Path, tmp_path_factory: pytest.TempPathFactory) -> Said:
    """The installed command; a cache of its own."""
    cache = str(tmp_path_factory.getbasetemp() / "cache")

    def run(*words: object, cwd: Path = empty, **environment: str) -> str:
        script = python.parent / "simsplit"
        return _ran(script, *words, cwd=cwd, SIMSPLIT_CACHE=cache, COLUMNS="200", **environment)

    return run


# --- what is in it ----------------------------------------------------------------------------


def test_the_wheel_is_small_and_holds_what_git_keeps(wheel: Path) -> None:
    assert wheel.stat().st_size <= MOST_BYTES
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder in ("scenarios", "models"):
        listed = _ran("git", "ls-files", folder, cwd=CHECKOUT).split()
        packed = {name for name in names if name.startswith(f"simsplit/_data/{folder}/")}
        assert packed == {f"simsplit/_data/{name}" for name in listed}
    assert {"simsplit/py.typed", "simsplit/pages/report.css", "simsplit/pages/report.js"} <= names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    code = "import hatchling.build as b, sys; print(b.build_sdist(sys.argv[1]))"
    backend = tmp_path / "backend"
    install = ("-m", "pip", "install", "--quiet", "--target", backend, "hatchling")
    _ran(sys.executable, *install, cwd=tmp_path)
    _ran(sys.executable, "-c", code, tmp_path, cwd=CHECKOUT, PYTHONPATH=str(backend))
    (sdist,) = tmp_path.glob("simsplit-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = _pip_wheel(source, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as first, zipfile.ZipFile(again) as second:
        assert sorted(first.namelist()) == sorted(second.namelist())


def test_the_package_in_use_is_the_wheels(python: Path, empty: Path) -> None:
    code = "import simsplit, torch; print(simsplit.__file__, torch.__file__, sep='\\n')"
    ours, torch = _ran(python, "-c", code, cwd=empty).split()
    assert Path(ours).is_relative_to(python.parents[1])
    assert not Path(torch).is_relative_to(python.parents[1])


# --- every verb from an empty folder ----------------------------------------------------------


def test_list_check_and_version(simsplit: Said) -> None:
    assert "urban_5g" in simsplit("list") and "phone_soc" in simsplit("list")
    assert "edge" in simsplit("check", "urban_5g")
    assert simsplit("--version").startswith("simsplit ")


def test_run_and_report(simsplit: Said, empty: Path) -> None:
    simsplit("run", "urban_5g", "--duration-s", "2", "--replications", "2", "--out", "urban")
    assert json.loads((empty / "urban" / "summary.json").read_text())["operating_points"]
    simsplit("report", "urban")
    assert "<html" in (empty / "urban" / "report.html").read_text()


def test_a_short_sweep_in_processes(simsplit: Said, empty: Path) -> None:
    words = ("--axis", "cell.channel.snr_db=0,10", "--set", "duration_s=1", "--workers", "2")
    simsplit("sweep", "digits_smoke", *words, "--out", "swept")
    assert len((empty / "swept" / "points.csv").read_text().splitlines()) > 2


def test_validate(simsplit: Said) -> None:
    assert "Known answers" in simsplit("validate")


def test_train_writes_into_a_folder_of_the_users(
    simsplit: Said, python: Path, tmp_path: Path
) -> None:
    """A trial of the digits recipe; then a whole model folder that scenarios here find."""
    before = sorted(python.parents[1].rglob("_data/models/digits_cnn/*"))
    simsplit("train", "digits_cnn", "--max-steps", "20", cwd=tmp_path)
    assert (tmp_path / "models" / "digits_cnn" / "partial-20" / "card.json").is_file()
    words = ("--max-steps", "20", "--out", "models/mine")
    simsplit("train", "models/digits_cnn/recipe.yaml", *words, cwd=tmp_path)
    assert sorted(python.parents[1].rglob("_data/models/digits_cnn/*")) == before
    simsplit("run", "digits_smoke", "--set", "model=mine", "--duration-s", "1", cwd=tmp_path)


# --- a user's own files -----------------------------------------------------------------------

NETWORK = """
from torch import nn

class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.flat = nn.Flatten()
        self.linear = nn.LazyLinear(10)

    def forward(self, image):
        return self.linear(self.flat(self.conv(image)))
"""
SCENARIO = """
name: own
duration_s: 2
task: {dataset: digits, height_px: 8, width_px: 8, samples: 8}
model: null
networks: [{name: net, source: "own_nets:Small", weights: random}]
operating_points:
  - {name: cut, scheme: separate, network: net, split: conv, codec: {kind: tensor}}
devices:
  - name: a
    count: 2
    hardware: my_phone
    operating_point: cut
    arrivals: {kind: periodic, period_s: 0.5}
cell: {carrier_hz: 3.5e9, resource_blocks: 10, channel: {kind: fixed_snr, snr_db: 20}}
"""


def test_own_scenario_hardware_and_network_from_a_third_folder(
    simsplit: Said, tmp_path: Path
) -> None:
    own, third = tmp_path / "own", tmp_path / "third"
    own.mkdir()
    third.mkdir()
    (own / "own_nets.py").write_text(NETWORK)
    (own / "mine.yaml").write_text(SCENARIO)
    bundled = CHECKOUT / "scenarios" / "hardware" / "raspberry_pi_4.yaml"
    (own / "my_phone.yaml").write_text(bundled.read_text())
    told = {"cwd": third, "SIMSPLIT_PATH": str(own)}
    assert "a (separate)" in simsplit("check", "mine", **told)
    simsplit("run", "mine", "--out", "one", **told)
    resolved = (third / "one" / "scenario.yaml").read_text()
    assert f"hardware: {own / 'my_phone.yaml'}" in resolved and "hardware: edge_gpu" in resolved
    rows = simsplit("show", "one", "--json", **told)
    assert simsplit("run", "one/scenario.yaml", "--out", "two", **told)
    assert json.loads(simsplit("show", "two", "--json", **told)) == json.loads(rows)
    words = ("--axis", "devices.a.hardware=my_phone,phone_soc", "--workers", "2")
    simsplit("sweep", "mine", *words, "--out", "swept", **told)
    table = (third / "swept" / "points.csv").read_text()
    assert "my_phone" in table and "phone_soc" in table and len(table.splitlines()) == 3
    simsplit("sweep", "swept", **told)  # goes on, and finds everything done
