"""README.md and docs/*.md, and what a Markdown page is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.M | re.S)
_INLINE = re.compile(r"`[^`\n]+`")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.M)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def fences(text: str) -> list[tuple[str, str]]:
    """Language and content of every fenced block, in order."""
    return _FENCE.findall(text)


def prose(text: str) -> str:
    """The text without its fenced blocks, indented blocks and inline code."""
    lines = _FENCE.sub("", text).split("\n")
    return _INLINE.sub("", "\n".join(line for line in lines if not line.startswith("    ")))


def inline_code(text: str) -> list[str]:
    """Every piece of inline code outside of blocks; ``\\|`` of a table is a plain ``|``."""
    return [code[1:-1].replace("\\|", "|") for code in _INLINE.findall(_FENCE.sub("", text))]


def block_lines(text: str) -> Iterator[str]:
    """Lines of all fenced and indented blocks, those that end in a backslash joined."""
    fenced = [line for _, content in fences(text) for line in content.splitlines()]
    indented = [line for line in _FENCE.sub("", text).splitlines() if line.startswith("    ")]
    lines = "\n".join(line.strip() for line in (*fenced, *indented))
    yield from lines.replace("\\\n", " ").splitlines()


def anchors(text: str) -> set[str]:
    """Anchors of the page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", text)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = sum(1 for other in found if re.fullmatch(rf"{re.escape(anchor)}(-\d+)?", other))
        found.add(f"{anchor}-{count}" if count else anchor)
    return found
