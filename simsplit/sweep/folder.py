"""A sweep's folder: what was asked, what is done, what failed, and its tables.

.. code-block:: text

    sweep.json        what was asked: scenario, replications, and every point with its axes
    <16 digits>/      one result folder per finished point (see `simsplit.results`)
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
from typing import TYPE_CHECKING, Any

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.expressions import holds, names_in
from simsplit.points import Value, as_yaml
from simsplit.results import flat_rows, read_result, to_json

if TYPE_CHECKING:
    from pandas import DataFrame

DESCRIPTION, TABLE, PARQUET, LOG = "sweep.json", "points.csv", "points.parquet", "log.jsonl"
FAILED, RUNNING = "failed", "running"
_ASIDE = re.compile(r"\.[0-9a-f]{16}\.\w{8}")  # what results.write_result writes aside


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
    try:
        said = json.loads((Path(folder) / DESCRIPTION).read_text(encoding="utf-8"))
        said.pop("axes", None)
        return Described(**said)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"no readable {DESCRIPTION}", path=str(folder)) from error


def write_description(folder: Path, said: Described) -> None:
    """Write what is asked, whole or not at all."""
    told = ("name", "description", "source", "replications", "until", "max_replications")
    content = {key: getattr(said, key) for key in told}
    content |= {"axes": said.axes, "points": said.points, "overrides": said.overrides}
    _replace(folder / DESCRIPTION, to_json(content))


def _replace(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    os.replace(aside, path)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder is ours for writing; what a killed sweep left half done is cleared away.

    Raises:
        ScenarioError: Another process runs a sweep there.
    """
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _clear(folder)
            yield
    except Timeout:
        raise ScenarioError("another sweep is running in this folder", path=str(folder)) from None


def is_held(folder: Path) -> bool:
    """Whether a sweep is running there now (on this machine)."""
    from filelock import FileLock, Timeout

    if not (folder / ".lock").exists():
        return False
    try:
        with FileLock(folder / ".lock", timeout=0):
            return False
    except Timeout:
        return True


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if _ASIDE.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder / RUNNING, ignore_errors=True)


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
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


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


def fail(folder: Path, name: str, error: str, trace: str = "") -> None:
    """A point failed: its error is kept, its marker removed."""
    (folder / FAILED).mkdir(exist_ok=True)
    _replace(folder / FAILED / f"{name}.json", to_json({"error": error, "traceback": trace}))
    note(folder, "failed", name, error=error)
    (folder / RUNNING / f"{name}.json").unlink(missing_ok=True)


def failures(folder: Path, names: Sequence[str]) -> dict[str, str]:
    """Point → why it failed."""
    found: dict[str, str] = {}
    for name in names:
        path = Path(folder) / FAILED / f"{name}.json"
        if path.is_file():
            found[name] = str(json.loads(path.read_text(encoding="utf-8"))["error"])
    return found


def running(folder: Path) -> list[str]:
    """Points that a worker has begun and not ended."""
    return sorted(path.stem for path in (Path(folder) / RUNNING).glob("*.json"))


# --- status -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Status:
    """How far a sweep is.

    Attributes:
        name, total, done: Points asked for and finished.
        failed: Point → error.
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


def status(folder: Path) -> Status:
    """How far the sweep in a folder is.

    Raises:
        ArtefactError: No sweep there.
    """
    folder = Path(folder)
    said = read_description(folder)
    names = list(said.points)
    done, failed = finished(folder, names), failures(folder, names)
    seconds = [line["seconds"] for line in read_log(folder) if line["event"] == "done"]
    mean_s = sum(seconds) / len(seconds) if seconds else None
    active, is_running = running(folder), is_held(folder)
    left = len(names) - len(done) - len(failed)
    remaining_s = None if mean_s is None or not active else left * mean_s / len(active)
    return Status(
        said.name,
        len(names),
        len(done),
        failed,
        active if is_running else (),
        is_running,
        mean_s,
        remaining_s if is_running else None,
    )


# --- tables -----------------------------------------------------------------------------------


def table(folder: Path, points: Sequence[tuple[str, Mapping[str, Value]]]) -> DataFrame:
    """The tidy table of these points (folder name and values), those not finished left out.

    Columns: the axes, ``operating_point``, `simsplit.results.flat_rows`, ``folder``.
    """
    done = set(finished(folder, [name for name, _ in points]))
    stored = {name: _stored_rows(folder / name) for name in sorted(done)}
    rows = [
        {**values, **row, "folder": name}
        for name, values in points
        if name in done
        for row in stored[name]
    ]
    axes = list(dict.fromkeys(axis for _, values in points for axis in values))
    return _frame(rows, axes)


def judged_row(rows: DataFrame, folder: Path, point: str | None) -> dict[str, Any] | None:
    """The flat row that judges a run: of one operating point, or of all requests.

    Quantiles do not average, so a run of several operating points is read from its summary.

    Args:
        rows: The run's rows of the table, one per operating point.
        folder: The run's folder.
        point: The operating point; None: all requests.

    Returns:
        None if no request was at the operating point.
    """
    if point is not None:
        rows = rows[rows["operating_point"] == point]
        if rows.empty:
            return None
    if len(rows) == 1:
        return {str(key): value for key, value in rows.iloc[0].items()}
    result = read_result(folder)
    whole = {"operating_points": {"overall": result.summary["overall"]}}
    return flat_rows(result.scenario, result.summary | whole)[0]


def _stored_rows(folder: Path) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = json.loads((folder / "table.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ArtefactError("no readable table.json", path=str(folder)) from error
    return rows


def _frame(rows: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> DataFrame:
    """A frame with the axes first; columns that only some rows have stand where they came first."""
    import pandas as pd

    columns = dict.fromkeys(axes)
    for row in rows:
        if row.keys() - columns.keys():
            columns |= dict.fromkeys(row)
    last = [name for name in ("flags", "folder") if name in columns]
    names = [name for name in columns if name not in last] + last
    frame = pd.DataFrame({name: [row.get(name) for row in rows] for name in names})
    for name in names:
        frame[name] = _one_type(frame[name])
    return frame


def _one_type(column: Any) -> Any:
    """Numbers as numbers (None is NaN); an axis of texts and numbers as texts."""
    import pandas as pd

    if column.dtype != object:
        return column
    values = [value for value in column if value is not None]
    if all(isinstance(value, bool) for value in values) and len(values) == len(column) > 0:
        return column.astype(bool)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        return pd.to_numeric(column)
    return column.map(lambda value: value if value is None else as_yaml(value))


def write_tables(folder: Path, said: Described) -> DataFrame:
    """``points.csv`` and ``points.parquet`` of all finished points, each whole or not at all."""
    frame = table(folder, list(said.points.items()))
    aside = folder / f".{TABLE}.part"
    frame.to_csv(aside, index=False)
    aside.replace(folder / TABLE)
    aside = folder / f".{PARQUET}.part"
    frame.to_parquet(aside, index=False)
    aside.replace(folder / PARQUET)
    return frame


def load_results(folder: Path | str) -> DataFrame:
    """The tidy table of a sweep (or of one run): axes, then KPIs with ``_ci_low`` and ``_ci_high``.

    A row per finished point and operating point, in the sweep's order. ``points.parquet`` is read
    if it holds just the points that are finished; else the points' own tables are.

    Raises:
        ArtefactError: No sweep or result there, or none of its points is finished.
    """
    folder = Path(folder)
    if (folder / "table.json").is_file():
        return table(folder.parent, [(folder.name, {})])
    said = read_description(folder)
    done = finished(folder, list(said.points))
    if not done:
        raise ArtefactError("the sweep has no finished point yet", path=str(folder))
    stored = _consolidated(folder)
    if stored is not None and list(dict.fromkeys(stored["folder"])) == done:
        return stored
    return table(folder, list(said.points.items()))


def _consolidated(folder: Path) -> DataFrame | None:
    import pandas as pd

    described, path = folder / DESCRIPTION, folder / PARQUET
    if not path.is_file() or path.stat().st_mtime_ns < described.stat().st_mtime_ns:
        return None
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError):
        return None


def read_requests(
    folder: Path | str, *, columns: Sequence[str] | None = None, where: str | None = None
) -> DataFrame:
    """Rows of requests over a sweep's points, with the axes as columns; read lazily.

    Only the points of ``where`` are opened, and of their Parquet files only ``columns``.

    Args:
        folder: A sweep.
        columns: Of ``requests.parquet``; None: all.
        where: Condition on the axes, e.g. ``cell.channel.snr_db < 5``.

    Raises:
        ArtefactError, ScenarioError: No sweep there; no such axis or column.
    """
    import pandas as pd

    folder, said = Path(folder), read_description(Path(folder))
    for name in sorted(names_in(where)) if where else ():
        if name not in said.axes:
            raise ScenarioError("no such axis", path="where", value=name, choices=said.axes)
    names = [
        name
        for name in finished(folder, list(said.points))
        if where is None or holds(where, said.points[name])
    ]
    if not names:
        raise ArtefactError("no finished point", path=str(folder), value=where)
    parts = [_rows_of(folder / name, columns).assign(folder=name) for name in names]
    frame = pd.concat(parts, ignore_index=True)
    for place, axis in enumerate(said.axes):
        values = {name: said.points[name].get(axis) for name in names}
        frame.insert(place, axis, _one_type(frame["folder"].map(values)))
    return frame


def _rows_of(folder: Path, columns: Sequence[str] | None) -> DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "requests.parquet"
    try:
        frame: DataFrame = pq.read_table(path, columns=columns and list(columns)).to_pandas()
        return frame
    except (OSError, pa.ArrowException) as error:
        raise ArtefactError(f"cannot be read: {error}", path=str(path)) from error
