"""The cache of what can be made again: where it is, what it holds, and how it is emptied."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from simsplit.errors import ScenarioError

VARIABLE = "SIMSPLIT_CACHE"
KINDS = {
    "datasets": "samples of data sets, as the generators made them",
    "prepared": "act one: coded bytes and symbols of every operating point",
    "scored": "act three: scores of samples that arrived whole",
}


def cache_directory() -> Path:
    """The folder: ``SIMSPLIT_CACHE``, or where the system keeps caches of its users."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    from platformdirs import user_cache_path  # not needed where the variable says it

    return user_cache_path("simsplit", appauthor=False)


@dataclass(frozen=True)
class Content:
    """What the cache holds of one kind."""

    kind: str
    entries: int
    size_bytes: int

    @property
    def what(self) -> str:
        """The kind in words."""
        return KINDS[self.kind]


def cache_contents() -> list[Content]:
    """Entries and bytes by kind; zeros where there is nothing."""
    return [_content(kind) for kind in KINDS]


def _content(kind: str) -> Content:
    sizes = [file.stat().st_size for file in _files(kind) if file.suffix == ".npz"]
    return Content(kind, len(sizes), sum(sizes))


def clear_cache(kinds: Sequence[str] = ()) -> list[Content]:
    """Delete the entries of these kinds (of all by default), and say what they were.

    Only files that simsplit writes are deleted, whatever else lies in the folder. Runs that are
    under way make again what they need.

    Raises:
        ScenarioError: There is no such kind.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise ScenarioError("no such kind of entry", value=kind, choices=tuple(KINDS))
    gone = [_content(kind) for kind in kinds or KINDS]
    for content in gone:
        for file in _files(content.kind):
            file.unlink(missing_ok=True)
    return gone


def _files(kind: str) -> Iterator[Path]:
    """Entries, their locks, and what a process that was killed left aside."""
    folder = cache_directory() / kind
    for pattern in ("*.npz", ".*.npz", ".*.npz.lock"):
        yield from (file for file in folder.glob(pattern) if file.is_file())
