"""When each device asks and about which sample: drawn gaps, or recorded traffic (kind trace)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.scenario.devices import (
    CustomArrivals,
    DeviceGroup,
    PeriodicArrivals,
    PoissonArrivals,
)
from simsplit.sim.device.own_arrivals import own_gaps_s

if TYPE_CHECKING:
    from pandas import DataFrame, Series


def arrival_gaps_s(
    group: DeviceGroup, trace_s: Sequence[float], rng: np.random.Generator
) -> Iterator[float]:
    """Seconds from one arrival of a device to its next, without end (a trace ends).

    ``trace_s``: recorded times of arrival, rising, for arrivals of kind ``trace``.

    Raises:
        ScenarioError: A user's own process that cannot be built, fails or breaks its contract.
    """
    spec = group.arrivals
    if isinstance(spec, CustomArrivals):
        yield from own_gaps_s(spec, rng, f"devices.{group.name}.arrivals")
        return
    if isinstance(spec, PoissonArrivals):
        while True:
            yield float(rng.exponential(1.0 / spec.rate_hz))
    if isinstance(spec, PeriodicArrivals):
        yield 0.0 if spec.in_phase else float(rng.uniform(0.0, spec.period_s))
        while True:
            yield spec.period_s
    yield from np.diff(np.asarray(trace_s), prepend=0.0).tolist()


def sample_numbers(recorded: Sequence[int], count: int, rng: np.random.Generator) -> Iterator[int]:
    """Which sample each request is about: as recorded, then drawn from ``count``, without end."""
    yield from recorded
    while True:
        yield int(rng.integers(count))


NEEDED = ("time_s", "device")
READ = (*NEEDED, "group", "replication", "sample")


@dataclass(frozen=True)
class Recorded:
    """One device's arrivals in order of time; without ``samples`` those are drawn."""

    times_s: Sequence[float] = ()
    samples: Sequence[int] = ()


@dataclass(frozen=True)
class Recording:
    """A traffic file as one group of a scenario names it.

    Attributes:
        file: CSV, or Parquet by its ending.
        path: Where the scenario names it.
        group, devices: The group's name and how many devices it has.
        samples: How many samples the task circulates.
    """

    file: str
    path: str
    group: str
    devices: int
    samples: int

    def of(self, replication: int) -> dict[int, Recorded]:
        """Arrivals by number of the device within its group, in one replication; rising numbers.

        Columns: ``time_s`` and ``device``; ``group``, ``replication`` and ``sample`` if there.
        A file without ``group`` or ``replication`` holds for every one; other columns are
        left alone. A row of device -1 without a time says that the group made no request in that
        replication (`simsplit.results.export.traffic`); a file without rows, that nobody did.

        Raises:
            ScenarioError: No such file, column, group or replication; a time that is no number,
                negative or before the one above it; a device or sample that there is not.
        """
        rows = self._selected(self._read(), replication)
        self._whole(rows, "device", self.devices)
        if "sample" in rows:
            self._whole(rows, "sample", self.samples)
        return {
            int(float(str(number))): self._recorded(part)
            for number, part in rows.groupby("device", sort=True)
        }

    def _read(self) -> DataFrame:
        try:
            frame = _table(Path(self.file))
        except (OSError, ValueError) as error:
            raise self._error(f"cannot be read as a table ({_first_line(error)})") from error
        missing = [name for name in NEEDED if name not in frame]
        if missing:
            message = f"needs a column {' and '.join(missing)}, has {', '.join(frame.columns)}"
            raise self._error(message)
        return frame

    def _selected(self, frame: DataFrame, replication: int) -> DataFrame:
        """The rows of this group and replication, their numbers checked."""
        whole = frame
        if "replication" in frame:
            self._numeric(frame, "replication")
            self._among(frame, "replication", replication)
            frame = frame[frame["replication"] == replication]
        if "group" in frame:
            self._among(whole, "group", self.group)
            frame = frame[frame["group"].astype(str) == self.group]
        frame = frame[~_is_nobody(frame)]
        for name in ("time_s", "device", "sample"):
            if name in frame:
                self._numeric(frame, name)
        return frame

    def _among(self, frame: DataFrame, name: str, wanted: object) -> None:
        values = sorted(frame[name].unique())
        if values and wanted not in values:
            message = f"{self.file} has no rows of this {name}"
            choices = [str(value) for value in values]
            raise ScenarioError(message, path=self.path, value=wanted, choices=choices)

    def _numeric(self, frame: DataFrame, name: str) -> None:
        numbers = np.array([_number(value) for value in frame[name]])
        self._refuse(frame, name, ~np.isfinite(numbers), "is not a number")
        self._refuse(frame, name, numbers < 0, "is negative")
        if name != "time_s":
            self._refuse(frame, name, numbers != np.floor(numbers), "is not a whole number")

    def _whole(self, rows: DataFrame, name: str, count: int) -> None:
        beyond = rows[name].to_numpy(float) >= count
        self._refuse(rows, name, beyond, f"must be one of {count}: 0 to {count - 1}")

    def _refuse(self, frame: DataFrame, name: str, bad: np.ndarray, why: str) -> None:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            line = f"{self.file}, line {int(str(frame.index[row])) + 2}"
            value = frame[name].iloc[row]
            value = value.item() if isinstance(value, np.generic) else value
            raise ScenarioError(f"{line}: {name} {why}", path=self.path, value=value)

    def _recorded(self, rows: DataFrame) -> Recorded:
        times_s = [_number(value) for value in rows["time_s"]]
        early = np.diff(times_s, prepend=0.0) < 0
        self._refuse(rows, "time_s", early, "is before the device's last one")
        return Recorded(times_s, _integers(rows["sample"]) if "sample" in rows else ())

    def _error(self, message: str) -> ScenarioError:
        return ScenarioError(message, path=self.path, value=self.file)


def _table(file: Path) -> DataFrame:
    import pandas as pd

    if file.suffix == ".parquet":
        frame = pd.read_parquet(file)
        return frame[[name for name in frame if name in READ]]
    return pd.read_csv(
        file,
        usecols=lambda name: name in READ,
        dtype={"group": str, "time_s": str},  # Python's float reads every digit of a text
        keep_default_na=False,  # a group may be called NA
    )


def _is_nobody(frame: DataFrame) -> np.ndarray:
    """Rows that stand for no request: device -1, no time."""
    pairs = zip(frame["device"], frame["time_s"], strict=True)
    return np.array([_number(d) == -1.0 and math.isnan(_number(t)) for d, t in pairs], bool)


def _integers(column: Series[int]) -> list[int]:
    return [int(float(value)) for value in column]


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return math.nan


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
