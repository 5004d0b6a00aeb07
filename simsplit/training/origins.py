"""Whether what a card was trained from is still what it was: its network's weights, its start.

The recipe's digest says how something is trained, not from what: a teacher or a code to start from
that was trained anew makes everything stale that was trained from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simsplit.errors import ScenarioError
from simsplit.files import file_digest
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.places import find_file

_DIGEST = 64  # hexadecimal digits of SHA-256


def has_its_origins(card: Mapping[str, Any], content: Mapping[str, Any], folder: Path) -> bool:
    """Whether the weights that a recipe names now are those that the card was trained from.

    What is not there, or left no digest, is taken for unchanged: only a difference is a reason.

    Args:
        card: Of what was trained.
        content: Of the recipe; files are named from ``folder``.
        folder: The recipe's.
    """
    pairs = [*_of_network(card, content, folder), *_of_start(card, content, folder)]
    return all(then == now for then, now in pairs)


def _of_network(
    card: Mapping[str, Any], content: Mapping[str, Any], folder: Path
) -> Iterator[tuple[str, str]]:
    """The digest of a code's network, as it was and as it is."""
    then, named = (_dig(one, "network", "weights") for one in (card, content))
    if card.get("kind") == "code" and len(then) == _DIGEST and named:
        try:
            yield then, file_digest(find_file(named, "weights", beside=folder))
        except ScenarioError:
            return


def _of_start(
    card: Mapping[str, Any], content: Mapping[str, Any], folder: Path
) -> Iterator[tuple[str, str]]:
    """The digest of what training started from, as it was and as it is."""
    then = _dig(card, "started_from", "weights_digest")
    start, model = content.get("start"), content.get("start_from")
    place = folder / str(start) if start else models_dir() / str(model)
    file = place / "card.json"
    if then and (start or model) and file.is_file():
        try:
            now = _dig(json.loads(file.read_text(encoding="utf-8")), "weights_digest")
        except ValueError:
            return
        if now:
            yield then, now


def _dig(mapping: Any, *keys: str) -> str:
    """A text below these keys; empty if there is none."""
    for key in keys:
        mapping = mapping.get(key) if isinstance(mapping, Mapping) else None
    return mapping if isinstance(mapping, str) else ""
