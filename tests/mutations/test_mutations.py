"""Every mended fault is undone in turn, in a copy of the sources: one of its tests must fail.

The faults stand in the YAML files beside this one, a list each: what is undone (``undoes``), the
``file``, the text that stands there exactly once (``replace``) and what it becomes (``by``), and
the ``tests`` of which one must fail. That they pass as things are is the other suites' business.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LINKED = ("models", "scenarios", "results", "docs", "pyproject.toml", "README.md", "CHANGELOG.md")
SOME_TEST_FAILED = 1


def faults() -> list[Any]:
    """Every fault of every file, named by its file and number."""
    params = []
    for file in sorted(HERE.glob("*.yaml")):
        entries = yaml.safe_load(file.read_text())
        params += [pytest.param(e, id=f"{file.stem}-{i}") for i, e in enumerate(entries)]
    return params


def copied(folder: Path) -> Path:
    for name in ("simsplit", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    return folder


def mutate(folder: Path, fault: dict[str, Any]) -> None:
    file = folder / fault["file"]
    text = file.read_text()
    assert text.count(fault["replace"]) == 1, f"{fault['file']}: not there exactly once"
    file.write_text(text.replace(fault["replace"], fault["by"]))


@pytest.mark.slow
@pytest.mark.parametrize("fault", faults())
def test_a_fault_that_comes_back_is_seen(fault: dict[str, Any], tmp_path: Path) -> None:
    folder = copied(tmp_path / "copy")
    mutate(folder, fault)
    options = ["-x", "-q", "-p", "no:cacheprovider", "--benchmark-disable"]
    command = [sys.executable, "-m", "pytest", "-m", "slow or not slow", *options, *fault["tests"]]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == SOME_TEST_FAILED, done.stdout[-2000:] + done.stderr[-2000:]
