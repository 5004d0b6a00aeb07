"""A run for other programs: a trace for Perfetto, its traffic to be replayed, its table."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ScenarioError
from simsplit.files import whole_file, write_whole
from simsplit.results.columns import TRAFFIC, table_of_rows
from simsplit.results.kpis import flat_rows
from simsplit.results.perfetto import Window, replications_of, trace_text
from simsplit.results.store import Result, read_result

if TYPE_CHECKING:
    from pandas import DataFrame


EVERYTHING = Window()
NOBODY = -1  # device and sample of the row that stands for no request
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
            rows = window.of(result.requests, replications_of(result))
            return write_trace(result, out, window), len(rows)
        frame = run_table(result) if self.what == "table" else traffic(result, self.window)
        count = int((frame["device"] != NOBODY).sum()) if "time_s" in frame else len(frame)
        return write_table(frame, out), count

    def _first(self) -> Window:
        return replace(self.window, replications=(0,))


def traffic(result: Result, window: Window = EVERYTHING) -> DataFrame:
    """What each device asked and when: a row per request, columns `columns.TRAFFIC`.

    Devices are numbered from 0 in each group, as ``arrivals: {kind: trace}`` reads them. A group
    that made no request in a replication has one row there without a time, of device -1: the table
    says of every replication and group that it was there.
    """
    first, total = {}, 0
    for group in result.scenario.devices:
        first[group.name], total = total, total + group.count
    replications = replications_of(result)
    rows = window.of(result.requests, replications)
    numbered = rows.assign(
        time_s=rows["arrival_s"], device=rows["device"] - rows["group"].map(first).astype(int)
    )
    table = numbered[[column.name for column in TRAFFIC]]
    seen = set(zip(rows["replication"], rows["group"], strict=True))
    idle = [
        (number, name)
        for number in window.replications or range(replications)
        for name in first
        if (number, name) not in seen
    ]
    if idle:
        records: list[dict[Any, Any]] = table.to_dict("records")
        records += [_nobody(*one) for one in idle]
        table = table_of_rows(records).astype(table.dtypes.to_dict())
        table = table.sort_values("replication", kind="stable")
    return table.reset_index(drop=True)


def _nobody(replication: int, group: str) -> dict[str, object]:
    """The row of a group that made no request in a replication."""
    counts = {"device": NOBODY, "sample": NOBODY, "payload_bits": 0, "channel_uses": 0}
    names = {"group": group, "operating_point": ""}
    return {"replication": replication, "time_s": nan, **names, **counts, "deadline_s": nan}


def run_table(result: Result) -> DataFrame:
    """The tidy table of a single run: a row per operating point, and its folder's name."""
    name = "" if result.folder is None else result.folder.name
    return table_of_rows(flat_rows(result.scenario, result.summary)).assign(folder=name)


def write_table(frame: DataFrame, out: Path) -> Path:
    """Write a table as CSV (numbers with all their digits) or as Parquet, by the file's ending.

    Raises:
        ScenarioError: A column mixes types, which Parquet cannot hold.
    """
    with whole_file(out) as aside:
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
    """Write the trace of a run (`simsplit.results.perfetto`); compressed if it ends in ``.gz``.

    Without a window that of replication 0, every request.
    """
    content = trace_text(result, window or Window((0,))).encode()
    write_whole(out, gzip.compress(content, mtime=0) if out.suffix == ".gz" else content)
    return out
