"""A folder of results, and a sweep's in particular: what was asked, done, failed, and its tables.

.. code-block:: text

    sweep.json        what was asked: scenario, replications, and every point with its axes
    <16 digits>/      one result folder per finished point (see `simsplit.results.store`)
    failed/*.json     points that failed: axes, error, traceback
    running/*.json    points that a worker has begun and not ended
    log.jsonl         a line when a point begins, ends or fails
    points.csv, points.parquet    the tidy table, a row per point and operating point
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import LOCK, check_folder, remove_asides, to_json, write_whole
from simsplit.scenario.axes import Value, as_yaml

DESCRIPTION, LOG = "sweep.json", "log.jsonl"
FAILED, RUNNING = "failed", "running"
_RESULT = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Described:
    """What was asked: see ``sweep.json``.

    Attributes:
        name, source, description: Of the sweep; the scenario's name or file.
        replications, until, max_replications: How often each point is run.
        points: Folder → values by axis.
        overrides: Folder → ``path=value`` texts of the point.
    """

    points: Mapping[str, Mapping[str, Value]]
    name: str = ""
    source: str = ""
    overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    replications: int | None = None
    until: str | None = None
    max_replications: int | None = None
    description: str = ""

    @property
    def axes(self) -> list[str]:
        """Columns of the axes."""
        return list(dict.fromkeys(axis for values in self.points.values() for axis in values))


def read_description(folder: Path) -> Described:
    """What was asked.

    Raises:
        ArtefactError: No sweep there.
    """
    _check_folder(Path(folder))
    try:
        content = json.loads((Path(folder) / DESCRIPTION).read_text(encoding="utf-8"))
        content.pop("axes", None)
        return Described(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"no readable {DESCRIPTION}", path=str(folder)) from error


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ArtefactError("no such folder", path=str(folder))
    if (folder / "requests.parquet").is_file():
        raise ArtefactError("this folder holds one run, not a sweep", path=str(folder))


def write_description(folder: Path, description: Described) -> None:
    """Write what is asked, whole or not at all."""
    told = ("name", "description", "source", "replications", "until", "max_replications")
    content = {key: getattr(description, key) for key in told}
    content |= {
        "axes": description.axes,
        "points": description.points,
        "overrides": description.overrides,
    }
    write_whole(folder / DESCRIPTION, to_json(content))


def check_writable(folder: Path) -> None:
    """Only a folder that is missing, empty, or a sweep's is written to and cleared.

    Raises:
        ScenarioError: It holds something else.
    """
    check_folder(folder, "a sweep's", is_ours=_is_sweep(folder))


def _is_sweep(folder: Path) -> bool:
    try:
        return bool(read_description(folder)) and not (folder / DESCRIPTION).is_symlink()
    except ArtefactError:
        return False


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder is ours for writing; what a killed sweep left half done is cleared away.

    Raises:
        ScenarioError: Another process runs a sweep there, or it is somebody else's folder.
    """
    from filelock import FileLock, Timeout

    check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):
            _clear(folder)
            yield
    except Timeout:
        raise ScenarioError("another sweep is running in this folder", path=str(folder)) from None


def is_held(folder: Path) -> bool:
    """Whether a sweep is running there now (on this machine)."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True


def _clear(folder: Path) -> None:
    remove_asides(folder)
    shutil.rmtree(folder / RUNNING, ignore_errors=True)


def forget(folder: Path, names: Sequence[str]) -> None:
    """Remove the results of these points."""
    for name in finished(folder, names):
        shutil.rmtree(folder / name)


def finished(folder: Path, names: Sequence[str]) -> list[str]:
    """Those of the points that are done, in the order given."""
    there = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
    return [name for name in names if name in there]


# --- what workers note ------------------------------------------------------------------------


def note(folder: Path, event: str, name: str, **more: object) -> None:
    """One line of the log: appended in one write, so that lines of several workers never mix."""
    line = {"time_s": round(time.time(), 3), "event": event, "point": name, **more}
    descriptor = os.open(folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The log's lines; one that a kill cut short is left out."""
    path = Path(folder) / LOG
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    events = []
    for line in lines:
        try:
            events.append(json.loads(line))
        except ValueError:
            continue
    return events


def begin(folder: Path, name: str) -> None:
    """A worker begins a point."""
    (folder / RUNNING).mkdir(exist_ok=True)
    (folder / RUNNING / f"{name}.json").write_text(json.dumps({"pid": os.getpid()}))
    note(folder, "start", name)


def end(folder: Path, name: str, seconds: float) -> None:
    """A worker has stored a point."""
    note(folder, "done", name, seconds=round(seconds, 3))
    (folder / FAILED / f"{name}.json").unlink(missing_ok=True)
    (folder / RUNNING / f"{name}.json").unlink(missing_ok=True)


def fail(
    folder: Path, name: str, error: str, trace: str = "", values: Mapping[str, Value] | None = None
) -> None:
    """A point failed: its axes and its error are kept, its marker removed."""
    (folder / FAILED).mkdir(exist_ok=True)
    content = {"axes": values or {}, "error": error, "traceback": trace}
    write_whole(folder / FAILED / f"{name}.json", to_json(content))
    note(folder, "failed", name, error=error)
    (folder / RUNNING / f"{name}.json").unlink(missing_ok=True)


def failures(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Point → why it failed."""
    errors: dict[str, str] = {}
    for name in names:
        path = Path(folder) / FAILED / f"{name}.json"
        if path.is_file():
            errors[name] = str(json.loads(path.read_text(encoding="utf-8"))["error"])
    return errors


def running(folder: Path) -> list[str]:
    """Points that a worker has begun and not ended."""
    return sorted(path.stem for path in (Path(folder) / RUNNING).glob("*.json"))


# --- status -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Status:
    """How far a sweep is.

    Attributes:
        name, total, done: Points asked for and finished.
        failed: Point, by its axes, → error.
        imprecise: Points whose ``--until`` was not reached.
        unlisted: Results of earlier sweeps in the folder.
        running: Points under way.
        is_running: Whether a process is working on it now.
        seconds_per_point: Mean over the points in the log; None before the first.
        remaining_s: Seconds to go if as many as now keep running side by side; None if unknown.
    """

    name: str
    total: int
    done: int
    failed: Mapping[str, str]
    running: Sequence[str]
    is_running: bool
    seconds_per_point: float | None
    remaining_s: float | None
    imprecise: int = 0
    unlisted: int = 0


def status(folder: str | Path) -> Status:
    """How far the sweep in a folder is.

    Raises:
        ArtefactError: No sweep there.
    """
    folder = Path(folder)
    description = read_description(folder)
    names = list(description.points)
    done, failed = finished(folder, names), failures(folder, names)
    seconds = [line["seconds"] for line in read_log(folder) if line["event"] == "done"]
    mean_s = sum(seconds) / len(seconds) if seconds else None
    active, is_running = running(folder), is_held(folder)
    left = len(names) - len(done) - len(failed)
    remaining_s = None if mean_s is None or not active else left * mean_s / len(active)
    return Status(
        description.name,
        len(names),
        len(done),
        {_axes_of(description.points[name]): error for name, error in failed.items()},
        active if is_running else (),
        is_running,
        mean_s,
        remaining_s if is_running else None,
        0 if description.until is None else sum(not _is_precise(folder / name) for name in done),
        sum(_RESULT.fullmatch(entry.name) is not None for entry in os.scandir(folder)) - len(done),
    )


def _axes_of(values: Mapping[str, Value]) -> str:
    return ", ".join(f"{axis} = {as_yaml(value)}" for axis, value in values.items())


def _is_precise(folder: Path) -> bool:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return bool(manifest.get("until", {}).get("reached", True))


RUN, SWEEP = "run", "sweep"


def kind_of(folder: Path) -> str:
    """``run`` or ``sweep``.

    Raises:
        ArtefactError: Neither.
    """
    if (Path(folder) / "sweep.json").is_file():
        return SWEEP
    if (Path(folder) / "requests.parquet").is_file():
        return RUN
    raise ArtefactError("neither a result nor a sweep", path=str(folder))
