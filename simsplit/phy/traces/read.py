"""Measured channels: a file of (time, device, SNR or RSRP) drives the link in place of a model.

Nearly any table is read: text with ``,`` ``;`` tab, ``|`` or white space between its cells, with
or without header, comments, preamble, byte order mark or gzip; or Parquet. Columns are recognised
by name, units by header or magnitude; what was decided or left out is in ``ChannelTrace.notes``.

Rules: each device's clock starts at its own first row; rows are sorted; levels at equal times
are averaged in dB; a row without a time, level or device is dropped and counted.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simsplit.errors import OutOfTable, ScenarioError
from simsplit.phy.traces.columns import Choice, LevelKind, Wish, choose, unit_s, words
from simsplit.phy.traces.file import Cell, Table, is_missing, number, read_table
from simsplit.phy.traces.times import is_time_of_day, seconds

Floats = NDArray[np.float64]
AtEnd = Literal["repeat", "hold", "error"]
Interpolation = Literal["linear", "previous"]

_BEYOND_DB = 200.0  # no level: markers such as 2147483647 or -9999
_WATTS_BELOW = 1e-3  # an RSRP column of tiny positive numbers is in W
_NO_RSRP_ABOVE_DBM = 0.0


@dataclass(frozen=True, slots=True)
class ChannelTrace:
    """Levels over time of each device: SNR in dB or RSRP in dBm; times in s, rising from 0.

    ``start_s``: how long after the file's first row each device's own first row stands.
    """

    value: LevelKind
    devices: tuple[str, ...]
    time_s: tuple[Floats, ...]
    level_db: tuple[Floats, ...]
    start_s: tuple[float, ...]
    notes: tuple[str, ...]

    @property
    def duration_s(self) -> float:
        """Time from first to last row of the device with the longest record."""
        return max(float(times[-1]) for times in self.time_s)


def read_trace(
    file: str | Path,
    *,
    time_column: str | None = None,
    value_column: str | None = None,
    device_column: str | None = None,
    value: Literal["auto", "snr", "rsrp"] = "auto",
    path: str = "cell.channel.file",
) -> ChannelTrace:
    """Read a measured channel from text or Parquet; ``path`` is where errors say they belong.

    Raises:
        ScenarioError: No such file, no table in it, or columns that cannot be told apart.
    """
    table = read_table(Path(file).expanduser(), path)
    choice = choose(table, Wish(time_column, value_column, device_column, value), path)
    times_s, notes = _times(table, choice)
    levels_db, counts = _levels(table, choice, notes, path)
    devices = _names(table, choice)
    counts["a time"] = int((~np.isfinite(times_s)).sum())
    counts["a device"] = sum(name is None for name in devices)
    notes += [f"{n} rows dropped without {what}" for what, n in counts.items() if n]
    keep = np.isfinite(times_s) & np.isfinite(levels_db) & [name is not None for name in devices]
    if not keep.any():
        message = "no row of the trace has a time and a level"
        columns = f"{table.names[choice.time]}, {table.names[choice.level]}"
        raise ScenarioError(message, path=path, value=columns, choices=table.names)
    held = [name for name, kept in zip(devices, keep, strict=True) if name is not None and kept]
    before = [*table.notes, *choice.notes, *notes]
    return _grouped(choice.kind, held, times_s[keep], levels_db[keep], before)


def _times(table: Table, choice: Choice) -> tuple[Floats, list[str]]:
    cells = table.columns[choice.time]
    dates = [n for n, name in enumerate(table.names) if words(name) == ["date"]]
    if dates and dates[0] != choice.time and is_time_of_day(cells):
        pairs = zip(table.columns[dates[0]], cells, strict=True)
        times_s, notes = seconds([f"{date} {clock}" for date, clock in pairs], None)
        return times_s, [f"date: column {table.names[dates[0]]!r}", *notes]
    unit = unit_s(table.names[choice.time]) if table.has_header else None
    return seconds(cells, unit)


def _levels(
    table: Table, choice: Choice, notes: list[str], path: str
) -> tuple[Floats, dict[str, int]]:
    """Levels in dB(m) with NaN for rows to drop, and how many of those there are of each sort."""
    cells = table.columns[choice.level]
    missing = np.array([is_missing(cell) for cell in cells])
    levels = np.array([read[0] if (read := number(cell)) else np.nan for cell in cells])
    unread = np.isnan(levels) & ~missing
    if 2 * unread.sum() > max((~missing).sum(), 1):
        value = next(cell for cell, bad in zip(cells, unread, strict=True) if bad)
        message = f"column {table.names[choice.level]!r} does not hold levels"
        raise ScenarioError(message, path=path, value=value, choices=table.names)
    levels = _in_db(levels, table, choice, notes)
    beyond = np.abs(levels) > _BEYOND_DB
    _check_rsrp(levels[~beyond], choice, path)
    counts = {"a level": int(missing.sum()), "a readable level": int(unread.sum())}
    counts[f"a level within ±{_BEYOND_DB:g} dB"] = int(beyond.sum())
    return np.where(beyond, np.nan, levels), counts


def _in_db(levels: Floats, table: Table, choice: Choice, notes: list[str]) -> Floats:
    """ns-3's RSRP is in W, and the SINR beside it a ratio: recognised by how small RSRP is."""
    rsrp = next((n for n, name in enumerate(table.names) if words(name) == ["rsrp"]), None)
    is_named_db = "db" in words(table.names[choice.level])
    if rsrp is None or is_named_db or not _is_in_watts(table.columns[rsrp]):
        return levels
    offset_db = 30.0 if choice.kind == "rsrp" else 0.0
    notes.append("RSRP is in W, as ns-3 writes it: levels are linear, converted to dB")
    positive = np.where(levels > 0.0, levels, np.nan)
    return np.asarray(10.0 * np.log10(positive) + offset_db)


def _is_in_watts(cells: Sequence[Cell]) -> bool:
    values = [value[0] for cell in cells if (value := number(cell)) and value[1] == ""]
    return bool(values) and all(0.0 <= value < _WATTS_BELOW for value in values) and max(values) > 0


def _check_rsrp(levels: Floats, choice: Choice, path: str) -> None:
    """A positive RSRP is a reported index (TS 38.133 Table 10.1.6.1-1), which is no level."""
    finite = levels[np.isfinite(levels)]
    if choice.kind == "rsrp" and finite.size and np.median(finite) > _NO_RSRP_ABOVE_DBM:
        message = (
            "RSRP above 0 dBm: the column may hold the reported index of TS 38.133 Table "
            "10.1.6.1-1, or an SNR (value: snr); RSRP must be in dBm"
        )
        raise ScenarioError(message, path=path, value=float(np.median(finite)))


def _names(table: Table, choice: Choice) -> list[str | None]:
    if choice.device is None:
        return ["1"] * len(table.columns[choice.time])
    return [_name(cell) for cell in table.columns[choice.device]]


def _name(cell: Cell) -> str | None:
    if is_missing(cell):
        return None
    return f"{cell:g}" if isinstance(cell, float) and cell < 1e6 else _whole(cell)


def _whole(cell: Cell) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def _grouped(
    kind: LevelKind, names: list[str], times_s: Floats, levels_db: Floats, notes: list[str]
) -> ChannelTrace:
    devices = _in_order(names)
    number_of = {name: n for n, name in enumerate(devices)}
    owner = np.array([number_of[name] for name in names])
    parts = [_one_device(times_s[owner == n], levels_db[owner == n]) for n in range(len(devices))]
    starts_s = np.array([part[0][0] for part in parts])
    repeated = len(names) - sum(part[0].size for part in parts)
    if (np.diff(times_s)[np.diff(owner) == 0] < 0).any():
        notes.append("rows were not in order of time: sorted")
    if repeated:
        notes.append(f"{repeated} rows repeat a time of their device: levels averaged in dB")
    if np.ptp(starts_s) > 0:
        notes.append(f"devices start up to {np.ptp(starts_s):.6g} s apart: each clock starts at 0")
    notes.append(f"{len(names)} rows, {len(devices)} devices, level {kind.upper()}")
    return ChannelTrace(
        value=kind,
        devices=devices,
        time_s=tuple(times - times[0] for times, _ in parts),
        level_db=tuple(levels for _, levels in parts),
        start_s=tuple((starts_s - starts_s.min()).tolist()),
        notes=tuple(notes),
    )


def _in_order(names: Sequence[str]) -> tuple[str, ...]:
    """Devices by number if all are numbers, else as they first appear."""
    unique = tuple(dict.fromkeys(names))
    return tuple(sorted(unique, key=int)) if all(name.isdigit() for name in unique) else unique


def _one_device(times_s: Floats, levels_db: Floats) -> tuple[Floats, Floats]:
    unique_s, index = np.unique(times_s, return_inverse=True)
    return unique_s, np.bincount(index, weights=levels_db) / np.bincount(index)


class TraceLink:
    """The level of one device at any time, from the rows of a trace.

    Args:
        time_s: Rising times ``(n,)``; the first is the trace's beginning.
        level_db: Levels ``(n,)`` in dB or dBm.
        at_end: ``repeat`` (period = duration + median step; the level runs from the last row to
            the first within that step), ``hold`` the last level, or ``error`` (OutOfTable).
        interpolation: ``linear`` in dB between rows, or the ``previous`` row's level.
        offset_s: Where in the trace time 0 stands.

    Raises:
        ScenarioError: No rows, unequal lengths, times that do not rise, levels not finite.
    """

    __slots__ = (
        "_at_end",
        "_end_s",
        "_first_s",
        "_levels",
        "_offset_s",
        "_row",
        "_slopes",
        "_times",
    )

    def __init__(
        self,
        time_s: ArrayLike,
        level_db: ArrayLike,
        *,
        at_end: AtEnd = "repeat",
        interpolation: Interpolation = "linear",
        offset_s: float = 0.0,
    ) -> None:
        times, levels = np.asarray(time_s, np.float64), np.asarray(level_db, np.float64)
        _check_rows(times, levels)
        closing_s = _closing_s(times, at_end)
        knots = np.append(times, closing_s)
        following = np.append(levels[1:], levels[0] if at_end == "repeat" else levels[-1])
        slopes = (following - levels) / np.diff(knots)
        self._at_end = at_end
        self._first_s = float(times[0])
        self._end_s = float(times[-1]) if at_end == "error" else closing_s
        self._offset_s = offset_s + self._first_s
        self._times: list[float] = knots.tolist()
        self._levels: list[float] = levels.tolist()
        self._slopes: list[float] = (slopes * (interpolation == "linear")).tolist()
        self._row = 0

    @property
    def period_s(self) -> float:
        """Time after which the trace repeats; infinite unless ``at_end`` is ``repeat``."""
        return self._end_s - self._first_s if self._at_end == "repeat" else math.inf

    def level_db(self, time_s: float) -> float:
        """Level at one time; fast where times come in order.

        Raises:
            OutOfTable: The time lies beyond the trace (``at_end`` is ``error``) or before it.
        """
        at_s = time_s + self._offset_s
        if not self._first_s <= at_s < self._end_s:
            at_s = self._inside_s(at_s)
        times, row = self._times, self._row
        if not times[row] <= at_s < times[row + 1]:
            row = self._row = bisect_right(times, at_s, 0, len(times) - 1) - 1
        return self._levels[row] + self._slopes[row] * (at_s - times[row])

    def levels_db(self, times_s: ArrayLike) -> Floats:
        """Levels at times of any shape, in the same shape; raises as ``level_db`` does."""
        at_s = np.asarray(times_s, np.float64) + self._offset_s
        outside = ~((at_s >= self._first_s) & (at_s < self._end_s))
        at_s = at_s.copy()
        at_s[outside] = [self._inside_s(float(value)) for value in at_s[outside]]
        index = np.searchsorted(np.array(self._times[:-1]), at_s, side="right") - 1
        levels, slopes, times = (np.array(x) for x in (self._levels, self._slopes, self._times))
        return np.asarray(levels[index] + slopes[index] * (at_s - times[index]))

    def _inside_s(self, at_s: float) -> float:
        """A time outside the rows brought inside, if ``at_end`` allows it."""
        if self._at_end == "repeat" and math.isfinite(at_s):
            if math.isinf(self._end_s):
                return self._first_s
            return self._first_s + (at_s - self._first_s) % (self._end_s - self._first_s)
        if self._at_end == "error" and at_s == self._end_s:
            return at_s
        message = (
            f"time lies outside the trace, which covers {self._first_s:g} to {self._end_s:g} s"
        )
        raise OutOfTable(message, path="cell.channel.at_end", value=at_s)


def _check_rows(times: Floats, levels: Floats) -> None:
    if times.ndim != 1 or times.shape != levels.shape or times.size == 0:
        raise ScenarioError("a trace needs as many times as levels, and one at least")
    if not (np.isfinite(times).all() and np.isfinite(levels).all()):
        raise ScenarioError("a trace's times and levels must be finite")
    if (np.diff(times) <= 0.0).any():
        raise ScenarioError("a trace's times must rise")


def _closing_s(times: Floats, at_end: AtEnd) -> float:
    """Where the last row ends: one median step on if the trace repeats, else never."""
    if at_end != "repeat" or times.size == 1:
        return math.inf
    return float(times[-1] + np.median(np.diff(times)))


@overload
def path_loss_from_rsrp_db(rsrp_dbm: float, reference_dbm_per_re: float) -> float: ...
@overload
def path_loss_from_rsrp_db(rsrp_dbm: Floats, reference_dbm_per_re: float) -> Floats: ...
def path_loss_from_rsrp_db(rsrp_dbm: float | Floats, reference_dbm_per_re: float) -> float | Floats:
    """Coupling loss in dB: reference power per resource element - RSRP, of the same shape.

    RSRP is the mean power of the resource elements that carry the downlink reference signal,
    at the device (TS 38.215 clause 5.1.1), so the loss includes both antennas' gains. By
    reciprocity it is the uplink's as well; in FDD that holds on average, not fade by fade.

    Raises:
        ScenarioError: RSRP exceeds the power that was sent.
    """
    loss_db = reference_dbm_per_re - np.asarray(rsrp_dbm, np.float64)
    if (loss_db < 0.0).any():
        message = f"RSRP exceeds the power sent, {reference_dbm_per_re:g} dBm per resource element"
        raise ScenarioError(
            message, path="cell.channel.reference_dbm_per_re", value=float(np.max(rsrp_dbm))
        )
    return loss_db if loss_db.ndim else float(loss_db)


def snr_from_rsrp_db(
    rsrp_dbm: Floats,
    reference_dbm_per_re: float,
    *,
    transmit_dbm: float,
    noise_dbm: float,
) -> Floats:
    """Uplink SNR in dB of a measured RSRP: transmit power - coupling loss - noise.

    ``transmit_dbm`` and ``noise_dbm`` count over the same band (the grant, or one resource
    element); the loss is ``path_loss_from_rsrp_db``, with its assumption of reciprocity.
    """
    return transmit_dbm - path_loss_from_rsrp_db(rsrp_dbm, reference_dbm_per_re) - noise_dbm
