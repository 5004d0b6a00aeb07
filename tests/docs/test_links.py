"""Every link, anchor and picture of README.md and docs/ leads somewhere; blocks are closed."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from markdown_pages import NAMES, PAGES, ROOT, anchors, prose, read

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MARKER = re.compile(r"^<!-- (/?\w+) -->$", re.M)
README_LINES = 150


def broken(page: Path, target: str) -> str | None:
    """What is wrong with a link of a page; None if it leads somewhere."""
    if re.match(r"[a-z]+:", target):
        return None
    path, _, anchor = target.partition("#")
    file = (page.parent / path).resolve() if path else page
    if not file.is_relative_to(ROOT):
        return f"{target}: leaves the repository"
    if not file.exists():
        return f"{target}: no such file"
    if anchor and anchor not in anchors(read(file)):
        return f"{target}: no such heading"
    return None


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = LINK.findall(prose(read(page)))
    assert [said for target in targets if (said := broken(page, target))] == []


def test_broken_links_are_seen() -> None:
    readme = ROOT / "README.md"
    assert broken(readme, "docs/nowhere.md") == "docs/nowhere.md: no such file"
    assert broken(readme, "docs/index.md#nowhere") == "docs/index.md#nowhere: no such heading"
    assert broken(readme, "../elsewhere") == "../elsewhere: leaves the repository"
    assert broken(readme, "#two-commands") is None


def test_anchors_are_githubs() -> None:
    text = "# A `b`: c, d?\n## [Twice](x.md)\n## Twice\n```text\n# no heading\n```\n"
    assert anchors(text) == {"a-b-c-d", "twice", "twice-1"}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_every_block_is_closed(page: Path) -> None:
    names = MARKER.findall(read(page))
    assert names[1::2] == [f"/{name}" for name in names[::2]]


def test_every_block_stands_in_one_place() -> None:
    names = [name for page in PAGES for name in MARKER.findall(read(page))]
    assert len(names) == len(set(names)) > 0


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_fences_are_closed_and_tables_are_even(page: Path) -> None:
    lines = read(page).splitlines()
    assert sum(line.startswith("```") for line in lines) % 2 == 0
    widths = [
        (number, len(re.findall(r"(?<!\\)\|", line))) if line.startswith("|") else None
        for number, line in enumerate(lines, 1)
    ]
    pairs = [(a, b) for a, b in pairwise(widths) if a and b]
    assert [b[0] for a, b in pairs if a[1] != b[1]] == []


def test_the_index_lists_every_page() -> None:
    listed = set(LINK.findall(read(ROOT / "docs" / "index.md")))
    assert listed == {page.name for page in PAGES[1:]} - {"index.md"}


def test_the_readme_is_short() -> None:
    assert len(read(ROOT / "README.md").splitlines()) <= README_LINES
