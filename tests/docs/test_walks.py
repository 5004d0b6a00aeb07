"""docs/architecture.md: its map names every module, its walks what is there."""

from __future__ import annotations

import ast
import re

import pytest

from markdown_pages import ROOT

PACKAGE = ROOT / "simsplit"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
WALKS = PAGE.partition("## Three walks")[2].partition("\n## ")[0]
TERMS = re.findall(r"`([^`]+)`", WALKS)
FILES = sorted({term for term in TERMS if term.endswith(".py")})


COLUMNS = {"deadline_met", "_ci_low", "_ci_high"}  # that the walks name


def _defined() -> set[str]:
    """Names of functions, classes, their methods and attributes; columns and their endings."""
    names: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names.add(node.name)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names |= COLUMNS & {node.value}
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                names.add(node.id if isinstance(node, ast.Name) else node.attr)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                names.add(node.target.id)
    return names


DEFINED = _defined()


@pytest.mark.parametrize("name", FILES)
def test_files_are_there(name: str) -> None:
    assert (PACKAGE / name).is_file()


@pytest.mark.parametrize("term", sorted({t for t in TERMS if re.fullmatch(r"[\w.]+(\(.*\))?", t)}))
def test_names_are_defined(term: str) -> None:
    if term.endswith((".py", ".json")):
        return
    parts = term.partition("(")[0].split(".")
    variables = {"codec"}  # of a walk's own: `codec.encode`
    assert [part for part in parts if part not in DEFINED | variables] == []


def test_there_are_three() -> None:
    assert len(re.findall(r"^### ", WALKS, re.M)) == 3 and len(FILES) > 15


def test_the_map_names_every_module() -> None:
    """Of all rooms but those whose files are one per kind: figures, pages, cli."""
    page_map = set(
        re.findall(r"\w+", PAGE.partition("## Where things are")[2].partition("\n## ")[0])
    )
    paths = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")]
    rooms = [path for path in paths if len(path.parts) > 1 and path.stem != "__init__"]
    listed = [p for p in rooms if p.parts[0] not in {"figures", "pages", "cli"}]
    assert [str(path) for path in listed if path.stem not in page_map] == []
