"""Every published figure and generated table is some study's, and the pages say which."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

import readme_tables
from markdown_pages import NAMES, PAGES, ROOT, fences, read
from simsplit.scenario.bundled import bundled_studies, scenarios_dir
from simsplit.scenario.studies import RatesStep, Study, TablesStep, read_study, study_path
from simsplit.study.reproduce import actions

OWN_DATA = sorted((scenarios_dir() / "own_data").glob("*_study.yaml"))
STUDIES = [read_study(path) for path in (*map(study_path, bundled_studies()), *OWN_DATA)]
PICTURE = re.compile(r"!\[[^\]]*\]\((?:\.\./)?results/([^)]+)\)")
FILES = sorted(
    file.relative_to(ROOT / "results").as_posix()
    for file in (ROOT / "results" / "published").rglob("*.*")
)


def makes(study: Study, file: str) -> bool:
    """Whether a step of the study writes the file, or into its folder."""
    outs = [path for step in study.steps for path in step.writes]
    return any(file == out or file.rpartition("/")[0] == out for out in outs)


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_is_of_a_study_that_names_the_page(name: str) -> None:
    pictures = PICTURE.findall(read(ROOT / name))
    studies = [study for study in STUDIES if name in study.published]
    assert [p for p in pictures if not any(makes(study, p) for study in studies)] == []


def test_every_published_file_is_of_one_study() -> None:
    assert len(FILES) > 50
    assert [f for f in FILES if sum(makes(study, f) for study in STUDIES) != 1] == []


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: study.name)
def test_the_pages_of_a_study_exist_and_the_page_of_studies_lists_it(study: Study) -> None:
    assert set(study.published) <= set(NAMES)
    rows = [line for line in read(ROOT / "docs" / "studies.md").splitlines() if "`" in line]
    assert any(line.startswith("|") and f"`{study.name}`" in line for line in rows)


def test_every_table_that_a_study_writes_has_a_place() -> None:
    text = "\n".join(read(page) for page in PAGES)
    steps = [step for study in STUDIES for step in study.steps if isinstance(step, TablesStep)]
    names = {name for step in steps for name in step.tables} - {"all"}
    assert {"capacity", "neurosurgeon", "policies"} <= names
    assert [name for name in names if f"<!-- {name} -->" not in text] == []
    assert [name for name in names if name not in readme_tables.makers()] == []


def test_the_examples_of_the_page_on_studies_are_studies(tmp_path: Path) -> None:
    """Checked as a study is before its first step runs."""
    head = {"title": "A", "shows": "B", "published": ["README.md"], "minutes": 1}
    blocks = [
        yaml.safe_load(content)
        for language, content in fences(read(ROOT / "docs" / "studies.md"))
        if language == "yaml"
    ]
    steps = []
    for block in blocks:
        (tmp_path / "mine.yaml").write_text(yaml.safe_dump(head | block, sort_keys=False))
        study = read_study(tmp_path / "mine.yaml")
        assert actions(study, tmp_path / "results", beside=tmp_path)
        steps += study.steps
    assert any(isinstance(step, RatesStep) for step in steps)
