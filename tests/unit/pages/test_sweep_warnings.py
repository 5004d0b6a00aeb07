"""Warnings of a sweep's report: at which points, by the numbers that the reader sees."""

from __future__ import annotations

import json
from pathlib import Path

import folders
from simsplit.pages.sweep_page import sweep_page


def test_a_warning_names_its_points(tmp_path: Path) -> None:
    folder = folders.conditional_sweep(tmp_path / "sweep")
    names = list(json.loads((folder / "sweep.json").read_text())["points"])
    for place, name in enumerate(names):
        table = folder / name / "table.json"
        flags = "unstable" if place else "overload unstable"
        rows = [row | {"flags": flags} for row in json.loads(table.read_text())]
        table.write_text(json.dumps(rows))
    text = sweep_page(folder)
    assert "at 1 of 12 points (numbers in the table of KPIs: 1)" in text
    ten = ", ".join(map(str, range(1, 11)))
    assert f"at 12 of 12 points (numbers in the table of KPIs: {ten} and 2 more)" in text
    assert f'title="{names[0]}">1</a>' in text and f'title="{names[9]}">10</a>' in text
    assert "own report" not in text
