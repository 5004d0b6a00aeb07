"""Whether what a card was trained from is still what it was: its network's weights, its start.

The recipe's digest says how something is trained, not from what: a network or a code to start from
that was trained anew makes everything stale that was trained from it. Of another network that a
phase learns from (``distill: {teacher: …}``) cards hold no digest, so it is not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simsplit.errors import ScenarioError
from simsplit.files import file_digest
from simsplit.scenario.codes import CODE
from simsplit.scenario.places import MODEL, find_file, find_named

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
    """The digest of the weights that a code belongs to or a network began with, then and now."""
    then, named = (_dig(one, "network", "weights") for one in (card, content))
    if len(then) == _DIGEST and named:
        try:
            yield then, file_digest(find_file(named, "weights", beside=folder))
        except ScenarioError:
            return


def _of_start(
    card: Mapping[str, Any], content: Mapping[str, Any], folder: Path
) -> Iterator[tuple[str, str]]:
    """The digest of what training started from, as it was and as it is."""
    then, place = _dig(card, "started_from", "weights_digest"), _place_of_start(content, folder)
    file = None if place is None else place / "card.json"
    if then and file is not None and file.is_file():
        try:
            now = _dig(json.loads(file.read_text(encoding="utf-8")), "weights_digest")
        except ValueError:
            return
        if now:
            yield then, now


def _place_of_start(content: Mapping[str, Any], folder: Path) -> Path | None:
    """Where `train` finds what a recipe starts from, by its name or path."""
    if start := _dig(content, "start"):
        return find_named(CODE, start, folder)
    return find_named(MODEL, _dig(content, "start_from"), folder.parent)


def _dig(mapping: Any, *keys: str) -> str:
    """A text below these keys; empty if there is none."""
    for key in keys:
        mapping = mapping.get(key) if isinstance(mapping, Mapping) else None
    return mapping if isinstance(mapping, str) else ""
