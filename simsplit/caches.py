"""Things made once, however many processes ask for them: files under a lock, written whole.

A lock is the operating system's (``flock``), so that a process that is killed leaves none behind.
"""

from __future__ import annotations

import hashlib
import json
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simsplit.messages import Scores

T = TypeVar("T")
_DECIDING = ("codecs", "nets", "tasks", "pipeline.py", "network_pipeline.py", "seeds.py")


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Nobody else is inside for this file; waits for as long as it takes."""
    from filelock import FileLock

    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_name(f".{file.name}.lock")):
        yield


def made_once(
    file: Path,
    read: Callable[[Path], T | None],
    make: Callable[[], T],
    write: Callable[[Path, T], None],
) -> T:
    """What the file holds; if nothing, made, written and returned, by one process only."""
    found = read(file)
    if found is not None:
        return found
    with locked(file):
        found = read(file)  # another process may have made it meanwhile
        if found is None:
            found = make()
            write(file, found)
    return found


def scored_once(
    file: Path, samples: Sequence[int], score: Callable[[list[int]], Sequence[Scores]]
) -> list[Scores]:
    """Scores of the samples, those that the file lacks worked out by ``score`` and added to it."""
    with locked(file):
        known = _read_scores(file)
        missing = [sample for sample in samples if sample not in known]
        if missing:
            known |= zip(missing, score(missing), strict=True)
            _write_scores(file, known)
    return [known[sample] for sample in samples]


def _read_scores(file: Path) -> dict[int, Scores]:
    try:
        with np.load(file, allow_pickle=False) as stored:
            names, samples, values = (stored[key] for key in ("names", "samples", "values"))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return {}
    return {
        int(sample): tuple((str(name), float(v)) for name, v in zip(names, row, strict=True))
        for sample, row in zip(samples, values, strict=True)
    }


def _write_scores(file: Path, known: dict[int, Scores]) -> None:
    names = [name for name, _ in next(iter(known.values()))]
    values = np.array([[value for _, value in known[sample]] for sample in known], np.float64)
    aside = file.with_name(f".{file.stem}-{uuid.uuid4().hex}.npz")
    try:
        samples = np.array(list(known), np.int64)
        np.savez(aside, names=np.array(names, np.str_), samples=samples, values=values)
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def score_file(folder: Path, *identity: object) -> Path:
    """Where scores of that identity live: everything that decides them, and the code that does."""
    versions = [version(name) for name in ("torch", "pillow", "numpy")]
    text = json.dumps([code_digest(), versions, *identity], sort_keys=True, default=str)
    return folder / "scored" / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.npz"


def arrays_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of named arrays with their shapes and types."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def code_digest() -> str:
    """SHA-256 of the source that makes and scores answers."""
    package = Path(__file__).parent
    digest = hashlib.sha256()
    for name in _DECIDING:
        path = package / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(source.read_bytes())
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file; one that has not changed (time, size) is read once per process."""
    found = path.stat()
    return _file_digest(path, found.st_mtime_ns, found.st_size)


@lru_cache(maxsize=512)
def _file_digest(path: Path, mtime_ns: int, size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
