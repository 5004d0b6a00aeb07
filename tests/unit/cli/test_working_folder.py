"""The working folder's Python files do not run because a command is given there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "digits_smoke"),
        ("sweep", "digits_smoke", "--axis", "seed=1,2", "--set", "duration_s=1", "--workers", "2"),
    ],
)
def test_files_of_this_folder_do_not_run(
    arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library's optional part (pandas asks for `org`), or a module of the standard library."""
    monkeypatch.chdir(tmp_path)
    for name in ("org", "random", "joblib", "numexpr"):
        Path(f"{name}.py").write_text(f"open('ran_{name}', 'w')")
    code = "from simsplit.cli import main; main()"
    command = [sys.executable, "-P", "-c", code, *arguments]  # as the installed script runs it
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not list(tmp_path.glob("ran_*"))
