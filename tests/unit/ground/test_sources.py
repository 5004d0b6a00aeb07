"""The modules that one of ours runs, found by syntax tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from simsplit import sources
from simsplit.sources import code_digest, code_files, imports


def test_names_that_a_file_imports(tmp_path: Path) -> None:
    file = tmp_path / "m.py"
    file.write_text("import a.b\nfrom c import d as e\nfrom . import f\nfrom ..g import h\n")
    assert set(imports(file, "p.q.m")) == {"a.b", "c", "c.d", "p.q", "p.q.f", "p.g", "p.g.h"}


def test_an_entry_that_has_moved_is_told() -> None:
    with pytest.raises(ModuleNotFoundError, match="no module simsplit"):
        code_files("simsplit.study.gone")


def test_digests_are_worked_out_once_per_process(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = "simsplit.pipeline.scenario"
    first = code_digest(entry)
    monkeypatch.setattr(sources, "closure", lambda *_: pytest.fail("looked for again"))
    monkeypatch.setattr(sources, "files_digest", lambda *_: pytest.fail("hashed again"))
    assert code_digest(entry) == first
