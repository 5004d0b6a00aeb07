"""A sweep's tables: one tidy row per point and operating point, and rows of requests, lazily.

Which columns are axes is written in the table itself (`with_axes`), and kept in its Parquet file.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import whole_file
from simsplit.results.kpis import flat_rows
from simsplit.results.store import read_result, read_rows
from simsplit.results.sweep_folder import DESCRIPTION, Described, finished, read_description
from simsplit.scenario.axes import Value, as_yaml
from simsplit.scenario.expressions import one_of, parse

if TYPE_CHECKING:
    from pandas import DataFrame


TABLE, PARQUET = "points.csv", "points.parquet"
AXES = "axes"  # key of a table's ``attrs``, which Parquet files keep


def with_axes(frame: DataFrame, axes: Sequence[str]) -> DataFrame:
    """The same table, which names its axes in ``attrs["axes"]``."""
    frame.attrs[AXES] = list(axes)
    return frame


def axes_by_position(frame: DataFrame) -> list[str]:
    """The columns before ``operating_point``, with a warning that this is a guess."""
    columns = [str(name) for name in frame.columns]
    axes = columns[: columns.index("operating_point")]
    text = ", ".join(axes) or "none"
    message = f"the table does not name its axes; taken are the columns before the point: {text}"
    warnings.warn(message, stacklevel=2)
    return axes


def table(folder: Path, points: Sequence[tuple[str, Mapping[str, Value]]]) -> DataFrame:
    """The tidy table of these points (folder name and values), those not finished left out.

    Columns: the axes, ``operating_point``, `simsplit.results.kpis.flat_rows`, ``folder``; the
    table names its axes (`with_axes`).
    """
    done = set(finished(folder, [name for name, _ in points]))
    stored = {name: read_rows(folder / name) for name in sorted(done)}
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
    return with_axes(frame, axes)


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


def write_tables(folder: Path, spec: Described) -> DataFrame:
    """``points.csv`` and ``points.parquet`` of all finished points, each whole or not at all."""
    frame = table(folder, list(spec.points.items()))
    with whole_file(folder / TABLE) as aside:
        frame.to_csv(aside, index=False)
    with whole_file(folder / PARQUET) as aside:
        frame.to_parquet(aside, index=False)
    return frame


def load_results(folder: Path | str) -> DataFrame:
    """The tidy table of a sweep (or of one run): axes, then KPIs with ``_ci_low`` and ``_ci_high``.

    A row per finished point and operating point, in the sweep's order. ``points.parquet`` is read
    if it holds just the points that are finished; else the points' own tables are.
    ``attrs["axes"]`` of the table are the names of its axes.

    Args:
        folder: Of a sweep or a run; or a table alone, ``points.parquet`` or ``points.csv``. Of a
            CSV file with no ``sweep.json`` beside it the axes are guessed, with a warning.

    Raises:
        ArtefactError: No sweep or result there, or none of its points is finished.
    """
    folder = Path(folder)
    if folder.is_file():
        return _read_alone(folder)
    if (folder / "requests.parquet").is_file():
        return table(folder.parent, [(folder.name, {})])
    spec = read_description(folder)
    done = finished(folder, list(spec.points))
    if not done:
        raise ArtefactError("the sweep has no finished point yet", path=str(folder))
    stored = _consolidated(folder)
    if stored is not None and list(dict.fromkeys(stored["folder"])) == done:
        return with_axes(stored, [axis for axis in spec.axes if axis in stored])
    return table(folder, list(spec.points.items()))


def _read_alone(path: Path) -> DataFrame:
    """A table without its sweep; of a CSV file the axes are named by ``sweep.json`` beside it.

    Raises:
        ArtefactError: Not a table of points.
    """
    import pandas as pd

    readers: dict[str, Any] = {".parquet": pd.read_parquet, ".csv": pd.read_csv}
    if path.suffix not in readers:
        raise ArtefactError("neither a folder of results nor a table", path=str(path))
    try:
        frame: DataFrame = readers[path.suffix](path)
    except (OSError, ValueError) as error:
        raise ArtefactError(f"cannot be read: {error}", path=str(path)) from error
    if "operating_point" not in frame:
        raise ArtefactError("no table of points: no column operating_point", path=str(path))
    if AXES in frame.attrs:
        return frame
    if not (path.parent / DESCRIPTION).is_file():
        return with_axes(frame, axes_by_position(frame))
    axes = read_description(path.parent).axes
    return with_axes(frame, [axis for axis in axes if axis in frame])


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
        where: Condition on the axes, e.g. ``cell.channel.snr_db < 5``
            (`simsplit.scenario.expressions`).

    Raises:
        ArtefactError, ScenarioError: No sweep there; no such axis or column.
    """
    import pandas as pd

    folder, spec = Path(folder), read_description(Path(folder))
    condition = parse(where, one_of(spec.axes, "no such axis")) if where else None
    names = [
        name
        for name in finished(folder, list(spec.points))
        if condition is None or condition.holds(spec.points[name])
    ]
    if not names:
        raise ArtefactError("no finished point", path=str(folder), value=where)
    parts = [_rows_of(folder / name, columns).assign(folder=name) for name in names]
    frame = pd.concat(parts, ignore_index=True)
    for index, axis in enumerate(spec.axes):
        values = {name: spec.points[name].get(axis) for name in names}
        frame.insert(index, axis, _one_type(frame["folder"].map(values)))
    return with_axes(frame, spec.axes)


def _rows_of(folder: Path, columns: Sequence[str] | None) -> DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / "requests.parquet"
    try:
        names = pq.read_schema(path).names
        for column in columns or ():
            if column not in names:
                raise ScenarioError("no such column", value=column, choices=names)
        frame: DataFrame = pq.read_table(path, columns=columns and list(columns)).to_pandas()
        return frame
    except (OSError, pa.ArrowException) as error:
        raise ArtefactError(f"cannot be read: {error}", path=str(path)) from error
