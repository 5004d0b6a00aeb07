"""A user's modules: found on SIMSPLIT_PATH, imported by one door, located without running them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from simsplit.scenario.user_code import import_user_module, module_file


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package on SIMSPLIT_PATH that leaves a file when it is run, and a module in it."""
    folder = tmp_path / "code" / "own_package_xyz"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (folder / "nets.py").write_text("import own_helper_xyz\nNAME = own_helper_xyz.NAME\n")
    (folder.parent / "own_helper_xyz.py").write_text("NAME = 'mine'\n")
    monkeypatch.setenv("SIMSPLIT_PATH", str(folder.parent))
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("own_")]:
        del sys.modules[name]


def test_a_file_is_located_and_nothing_runs(package: Path, tmp_path: Path) -> None:
    path = list(sys.path)
    assert module_file("own_package_xyz.nets") == package / "nets.py"
    assert module_file("own_package_xyz") == package / "__init__.py"
    assert not (tmp_path / "ran").exists() and sys.path == path
    assert "own_package_xyz" not in sys.modules


def test_packages_without_init_are_located(package: Path) -> None:
    inner = package.parent / "own_space_xyz" / "inner" / "more"
    inner.mkdir(parents=True)
    (inner / "nets.py").touch()
    assert module_file("own_space_xyz.inner.more.nets") == inner / "nets.py"
    assert module_file("own_space_xyz.inner.more") is None


def test_installed_modules_are_located(package: Path) -> None:
    assert module_file("json.decoder") == Path(json.decoder.__file__)


@pytest.mark.parametrize(
    "name",
    ["own_package_xyz.none", "none_xyz.nets", "own_helper_xyz.nets", ".nets", "", "sys"],
)
def test_what_has_no_file(package: Path, name: str) -> None:
    assert module_file(name) is None


def test_import_finds_the_module_and_what_it_needs(package: Path, tmp_path: Path) -> None:
    assert import_user_module("own_package_xyz.nets").NAME == "mine"
    assert (tmp_path / "ran").exists()
    assert sys.path[-1] == str(package.parent)


def test_an_installed_module_comes_first(package: Path) -> None:
    (package.parent / "json.py").write_text("raise RuntimeError")
    assert import_user_module("json") is json


def test_a_missing_module_says_where_it_was_looked_for(package: Path) -> None:
    with pytest.raises(ModuleNotFoundError, match=rf"SIMSPLIT_PATH \({package.parent}\)"):
        import_user_module("none_xyz.nets")


def test_a_module_that_lacks_another_says_so_plainly(package: Path) -> None:
    (package / "lacking.py").write_text("import none_xyz\n")
    with pytest.raises(ModuleNotFoundError, match=r"^No module named .none_xyz.$"):
        import_user_module("own_package_xyz.lacking")


def test_check_runs_nothing_of_a_policys_package(package: Path, tmp_path: Path) -> None:
    """In a process of its own: nothing there has imported the package before."""
    target = "{kind: custom, target: 'own_package_xyz.nets:Policy', points: [png]}"
    command = [sys.executable, "-P", "-c", "from simsplit.cli import main; main()"]
    words = ["check", "digits_smoke", "--set", f"devices.0.policy={target}"]
    words += ["--set", "devices.0.operating_point=null"]
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
