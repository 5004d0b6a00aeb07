"""Files as every room writes and names them: whole or not at all, JSON as text, SHA-256 digests.

Whoever reads a file that is being written sees the one before or the one after, never a part: it is
made aside, under a name of its own in the same folder, and renamed when it is whole.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError

LOCK = ".lock"  # of a folder that one process at a time writes to
_MOST_NAMED = 5
_ASIDE = re.compile(r"\..+-[0-9a-f]{32}(\.\w+)?")

# --- writing ----------------------------------------------------------------------------------


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name beside ``path``, with its ending, for a writer that wants one; renamed when all is in.

    If the writer fails, nothing is left and what stood at ``path`` stays. Missing folders are made;
    permissions are what the umask says, whatever the writer sets. What is there and no plain file,
    such as a pipe or a terminal, is written directly.
    """
    if path.exists() and not path.is_file():
        yield path
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        aside.touch(exist_ok=False)
        mode = aside.stat().st_mode & 0o777
        yield aside
        aside.chmod(mode)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file (text as UTF-8, line ends as they are); see `whole_file`."""
    data = content.encode() if isinstance(content, str) else content
    with whole_file(path) as aside:
        aside.write_bytes(data)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A fresh folder beside ``path`` that becomes ``path`` when all is in; see `whole_file`.

    Raises:
        OSError: Meanwhile something else stands at ``path`` (an empty folder is replaced).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = aside_of(path)
    try:
        aside.mkdir()
        yield aside
        os.rename(aside, path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def aside_of(path: Path) -> Path:
    """A hidden name that nobody else has, in the same folder and with the same ending."""
    path = path.absolute()
    return path.with_name(f".{path.stem}-{uuid.uuid4().hex}{path.suffix}")


def is_aside(path: Path) -> bool:
    """Whether a name is one that `aside_of` gives: what a killed process has left behind."""
    return _ASIDE.fullmatch(path.name) is not None


def remove_asides(folder: Path) -> None:
    """Remove what killed processes left aside; for the only process that writes to the folder."""
    for path in filter(is_aside, list(folder.iterdir())):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def check_folder(folder: Path, what: str, *, is_ours: bool) -> None:
    """A folder that somebody else has filled is not written to.

    Args:
        folder: Where something is to be written.
        what: Whose folder is expected, e.g. ``a sweep's``.
        is_ours: It holds the file by which ours are known.

    Raises:
        ScenarioError: It is a file, or neither missing, empty nor ours; what is in the way is said.
    """
    if is_ours or not folder.exists():
        return
    if not folder.is_dir():
        raise ScenarioError("this is a file, not a folder", path=str(folder))
    entries = sorted(path.name for path in folder.iterdir() if not is_aside(path))
    others = [name for name in entries if name != LOCK]
    if others:
        names = ", ".join(others[:_MOST_NAMED]) + (", ..." if len(others) > _MOST_NAMED else "")
        message = f"the folder is neither empty nor {what}; in the way: {names}; choose another"
        raise ScenarioError(message, path=str(folder))


# --- digests ----------------------------------------------------------------------------------


def text_digest(text: str) -> str:
    """SHA-256 of a text as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def json_digest(value: object) -> str:
    """SHA-256 of a value's JSON with sorted keys; what JSON does not know counts as its text."""
    return text_digest(json.dumps(value, sort_keys=True, default=str))


def arrays_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of named arrays with their shapes and types."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.shape} {array.dtype}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


Stamp = tuple[int, int]  # time of the last change in ns, size in bytes


def stamp(path: Path) -> Stamp:
    """Changes whenever the file does: beside its path a key of what is remembered of it."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def file_digest(path: Path) -> str:
    """SHA-256 of a file; one that has not changed (time, size) is read once per process."""
    return _file_digest(path, stamp(path))


@lru_cache(maxsize=4096)
def _file_digest(path: Path, stamped: Stamp) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_digest(files: Mapping[str, Path]) -> str:
    """SHA-256 of files by the names they go by; where they lie does not count."""
    return json_digest({name: file_digest(path) for name, path in files.items()})


# --- JSON -------------------------------------------------------------------------------------


def to_json(value: object) -> str:
    """JSON text of numbers, numpy numbers, text, lists and dictionaries; NaN and inf are null."""
    return json.dumps(_plain(value), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
