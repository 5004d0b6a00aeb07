"""What is written for other programs: traffic to be replayed, tables, and traces."""

from __future__ import annotations

import gzip
import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from simsplit.columns import TRAFFIC
from simsplit.errors import ScenarioError
from simsplit.export.perfetto import trace_text
from simsplit.export.window import Window
from simsplit.results import Result, flat_rows, read_result

if TYPE_CHECKING:
    from pandas import DataFrame

EVERYTHING = Window()
ENDINGS = {"perfetto": (".json", ".json.gz"), "csv": (".csv",), "parquet": (".parquet",)}


def open_run(folder: Path) -> Result:
    """The result in a folder; a sweep is told how it can be exported.

    Raises:
        ScenarioError: The folder holds a sweep.
        ArtefactError: See `read_result`.
    """
    if (folder / "sweep.json").is_file():
        message = "holds a sweep: export one of the result folders in it, or add --what table"
        raise ScenarioError(message, path=str(folder))
    return read_result(folder)


@dataclass(frozen=True)
class Job:
    """What is to be written.

    Attributes:
        form: perfetto, csv or parquet.
        what: ``traffic`` or ``table``, of csv and parquet; None: traffic.
        out: The file; None: in the folder itself.
        window: Which requests, of a trace and of traffic.

    Raises:
        ScenarioError: These do not go together, or the file's ending is not the format's.
    """

    form: str
    what: str | None = None
    out: Path | None = None
    window: Window = EVERYTHING

    def __post_init__(self) -> None:
        if self.form == "perfetto" and self.what is not None:
            message = "a trace is of requests; --what belongs to --format csv or parquet"
            raise ScenarioError(message, path="--what", value=self.what)
        if self.what == "table" and self.window != EVERYTHING:
            message = "the table is of the whole run; leave --replication, --start-s, --end-s out"
            raise ScenarioError(message, path="--what", value=self.what)
        if not self.window.start_s < self.window.end_s:
            raise ScenarioError("must be after --start-s", path="--end-s", value=self.window.end_s)
        endings = ENDINGS[self.form]
        if self.out is not None and not self.out.name.endswith(endings):
            message = f"a file of format {self.form} ends in {' or '.join(endings)}"
            raise ScenarioError(message, path="--out", value=str(self.out))

    def write(self, folder: Path, table: DataFrame | None = None) -> tuple[Path, int]:
        """Write it; the file and how many rows (of a trace: requests) it holds.

        ``table``: that of a sweep, which the folder's own takes the place of otherwise.
        """
        ending = ENDINGS[self.form][-1]
        name = "trace" if self.form == "perfetto" else self.what or "traffic"
        out = self.out or folder / f"{name}{ending}"
        if table is not None:
            return write_table(table, out), len(table)
        result = open_run(folder)
        if self.form == "perfetto":
            window = self.window if self.window.replications else self._first()
            return write_trace(result, out, window), len(window.of(result.requests))
        frame = run_table(result) if self.what == "table" else traffic(result, self.window)
        return write_table(frame, out), len(frame)

    def _first(self) -> Window:
        return replace(self.window, replications=(0,))


def traffic(result: Result, window: Window = EVERYTHING) -> DataFrame:
    """What each device asked and when: a row per request, columns `simsplit.columns.TRAFFIC`.

    Devices are numbered from 0 in each group, as ``arrivals: {kind: trace}`` reads them.
    """
    first, total = {}, 0
    for group in result.scenario.devices:
        first[group.name], total = total, total + group.count
    rows = window.of(result.requests)
    numbered = rows.assign(
        time_s=rows["arrival_s"], device=rows["device"] - rows["group"].map(first).astype(int)
    )
    return numbered[[column.name for column in TRAFFIC]].reset_index(drop=True)


def run_table(result: Result) -> DataFrame:
    """The tidy table of a single run: a row per operating point, and its folder's name."""
    import pandas as pd

    name = "" if result.folder is None else result.folder.name
    return pd.DataFrame(flat_rows(result.scenario, result.summary)).assign(folder=name)


def write_table(frame: DataFrame, out: Path) -> Path:
    """Write a table as CSV (numbers with all their digits) or as Parquet, by the file's ending.

    Raises:
        ScenarioError: A column mixes types, which Parquet cannot hold.
    """
    with _Aside(out) as aside:
        if out.suffix == ".csv":
            frame.to_csv(aside, index=False)
            return out
        try:
            frame.to_parquet(aside, index=False)
        except (TypeError, ValueError) as error:
            message = f"Parquet cannot hold this table, CSV can ({str(error).splitlines()[0]})"
            raise ScenarioError(message, path=str(out)) from error
    return out


def write_trace(result: Result, out: Path, window: Window | None = None) -> Path:
    """Write the trace of a run (`simsplit.export.perfetto`); compressed if it ends in ``.gz``.

    Without a window that of replication 0, every request.
    """
    content = trace_text(result, window or Window((0,))).encode()
    with _Aside(out) as aside:
        aside.write_bytes(gzip.compress(content, mtime=0) if out.suffix == ".gz" else content)
    return out


class _Aside:
    """A name beside the file; it becomes the file if nothing goes wrong."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def __enter__(self) -> Path:
        self.out.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{self.out.name}.", dir=self.out.parent)
        os.close(handle)
        self.aside = Path(name)
        return self.aside

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is None:
            self.aside.chmod(0o644)
            self.aside.replace(self.out)
        self.aside.unlink(missing_ok=True)
