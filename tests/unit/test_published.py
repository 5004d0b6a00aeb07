"""The README's blocks: put in place, and those in the README are the published results'."""

from __future__ import annotations

import pytest

from simsplit import published
from simsplit.errors import ArtefactError
from simsplit.load import project_root

README = (project_root() / "README.md").read_text(encoding="utf-8")


def test_a_block_is_replaced_and_the_rest_is_left_alone() -> None:
    text = "a\n<!-- x -->\nold\n<!-- /x -->\nb <!-- y -->\\1<!-- /y -->\n"
    assert published.fill(text, {"x": "new \\2"}) == text.replace("old", "new \\2")


def test_a_block_without_a_place_is_an_error() -> None:
    with pytest.raises(ArtefactError, match="no place for the block 'z'"):
        published.fill("text", {"z": "new"})


@pytest.mark.parametrize("name", ["latency", "neurosurgeon", "policies", "capacity"])
def test_the_readme_says_what_was_published(name: str) -> None:
    content = getattr(published, name)()
    assert published.fill(README, {name: content}) == README
