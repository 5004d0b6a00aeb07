"""The README's blocks: put in place, and those in the README are the published results'."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import readme_tables as published
import student_tables
import system_tables
import table_parts
from fake_ladders import store
from simsplit.errors import ArtefactError
from simsplit.figures.rd_study import write_study
from simsplit.results.rate_distortion import study

ROOT = table_parts.project_root()
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_a_block_is_replaced_and_the_rest_is_left_alone() -> None:
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb <!-- y -->\\1<!-- /y -->\n"
    assert published.fill(text, {"x": "new \\2"}) == text.replace("old", "new \\2")


def test_a_block_without_a_place_is_an_error() -> None:
    with pytest.raises(ArtefactError, match="no place for the block 'z'"):
        published.fill("text", {"z": "new"})


NAMES = (
    "metrics",
    "stages",
    "latency",
    "neurosurgeon",
    "policies",
    "capacity",
    "compressible_features",
    "compressible_cell",
    *system_tables.BLOCKS,
    *student_tables.BLOCKS,
)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_says_what_was_published(name: str) -> None:
    assert published.fill(TEXT, published.blocks([name])) == TEXT


def test_compressible_features_are_what_the_study_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_parts, "project_root", lambda: tmp_path)
    with pytest.raises(
        ArtefactError,
        match=r"bd\.json: not there yet; run `simsplit reproduce compressible_features`",
    ):
        published.compressible_features()
    base = store(tmp_path / "a", {1: 0.0, 2: 0.0})
    found = study([f"{base}:{store(tmp_path / 'b', {1: 0.1, 2: 0.3})}"])
    folder = tmp_path / "results" / "published" / "compressible_features"
    write_study(found, folder)
    write_study(found, folder / "published_ladder")
    header, rule, *lines = published.compressible_features().splitlines()
    assert header.count("|") == rule.count("|") == lines[0].count("|")
    assert len(lines) == 4
    assert lines[0].startswith("| encoder2 | mean IoU | -20.0 % [-30.0 … -10.0] | -20.0 % [")
    assert "82.4 → 65.8 (-20.0 %)" in lines[0]


def test_the_cell_of_compressible_features_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_parts, "project_root", lambda: tmp_path)
    with pytest.raises(ArtefactError, match="run `simsplit reproduce compressible_features`"):
        published.compressible_cell()
    folder = tmp_path / "results" / "published" / "compressible_features"
    folder.mkdir(parents=True)
    misses = {"mean": 0.01, "ci_low": 0.005, "ci_high": 0.015}
    fits = {"kpis": {"deadline_misses <= 0.02": misses}, "replications": 5}
    counts = {"e1_baseline": 10, "e1_proposed": 12, "e2_baseline": 20, "e2_proposed": 25}
    for name, count in counts.items():
        found = {"capacity": count, "surely_fits": count - 1, "surely_not": count + 1}
        text = json.dumps(found | {"largest_feasible": fits})
        (folder / f"capacity_{name}.json").write_text(text)
    gap = {"kpi": "latency_p95_s", "a": 0.1, "b": 0.08, "low": -0.03, "high": -0.01}
    for encoder in (1, 2):
        text = json.dumps({"differences": [gap]})
        (folder / f"paired_e{encoder}.json").write_text(text)
    text = published.compressible_cell()
    assert "| `features_e2_proposed` | 25 | 24 … 26 | 1.0 ± 0.5 | 5 |" in text
    assert "| Encoder1 | p95 latency ms | 100.0 | 80.0 | -20.0 (-30.0 … -10.0) |" in text
