"""``python -m simsplit``: the command line, and nothing of the working folder runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def said(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    command = [sys.executable, "-m", "simsplit", *words]
    environment = kept | {"PYTHONPATH": str(ROOT)} | more
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def test_it_is_the_command_line(tmp_path: Path) -> None:
    done = said(tmp_path, "--version")
    assert done.returncode == 0 and done.stdout.startswith("simsplit ")


def test_nothing_of_the_working_folder_is_imported(tmp_path: Path) -> None:
    """Names of modules that libraries try to import, or that Python itself has."""
    for name in ("org", "bottleneck", "numexpr", "random", "yaml", "typer", "own_nets"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    done = said(tmp_path, "splits", "own_nets:Net", "--allow-code")
    assert done.returncode == 2 and "No module named 'own_nets'" in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_check_imports_nothing_of_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "org.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    done = said(tmp_path, "check", "digits_smoke")
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "ran").exists()
