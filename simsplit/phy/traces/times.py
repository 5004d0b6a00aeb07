"""Seconds of a column of times: numbers of any unit, dates, times of day."""

from __future__ import annotations

import datetime as dt
import re
import warnings
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from simsplit.phy.traces.columns import TIME_UNITS_S
from simsplit.phy.traces.file import MOMENT, Cell, is_missing, number

Seconds = NDArray[np.float64]
_Match = re.Match[str]

_DAY_S = 86_400.0
_EPOCHS = ((1e17, "ns", 1e-9), (1e14, "us", 1e-6), (1e11, "ms", 1e-3), (1e8, "s", 1.0))


def seconds(cells: Sequence[Cell], unit_s: float | None) -> tuple[Seconds, list[str]]:
    """Times in s as float64 ``(n,)``, NaN where a cell is empty or no time, and what was decided.

    ``unit_s``: seconds per unit if the column's name tells; else the cells' own unit, else by
    magnitude: a median beyond 1e8 is an epoch in s, 1e11 in ms, 1e14 in us, 1e17 in ns.
    """
    read = [number(cell) for cell in cells]
    if 2 * sum(match is not None for match in read) >= sum(not is_missing(c) for c in cells):
        return _numeric(read, unit_s)
    matches = [MOMENT.match(cell) if isinstance(cell, str) else None for cell in cells]
    if 2 * sum(match is not None for match in matches) >= sum(not is_missing(c) for c in cells):
        return _moments(matches)
    return _by_pandas(cells)


def is_time_of_day(cells: Sequence[Cell]) -> bool:
    """Whether the first cell that holds something is a clock reading without a date."""
    first = next((cell for cell in cells if not is_missing(cell)), None)
    match = MOMENT.match(first) if isinstance(first, str) else None
    return match is not None and match["a"] is None


def _numeric(
    read: Sequence[tuple[float, str] | None], unit_s: float | None
) -> tuple[Seconds, list[str]]:
    values = np.array([value[0] if value else np.nan for value in read])
    suffixes = {value[1] for value in read if value} & set(TIME_UNITS_S)
    if unit_s is None and len(suffixes) == 1:
        unit_s = TIME_UNITS_S[suffixes.pop()]
    if unit_s is not None:
        return values * unit_s, [f"time unit: {unit_s:g} s"]
    median = float(np.nanmedian(values)) if np.isfinite(values).any() else 0.0
    for least, name, scale in _EPOCHS:
        if abs(median) >= least:
            return values * scale, [f"times look like an epoch in {name} (median {median:.3g})"]
    return values, ["times taken as seconds, the file names no unit"]


def _moments(matches: Sequence[_Match | None]) -> tuple[Seconds, list[str]]:
    clock_s = np.array([_clock_s(match) if match else np.nan for match in matches])
    if any(match and match["a"] for match in matches):
        day, notes = _days(matches)
        return day * _DAY_S + clock_s, notes
    jumps = np.diff(clock_s[np.isfinite(clock_s)]) < -_DAY_S / 2
    clock_s[np.isfinite(clock_s)] += _DAY_S * np.concatenate(([0], np.cumsum(jumps)))
    return clock_s, ["times of day; a fall of over 12 h is midnight"]


def _clock_s(match: _Match) -> float:
    """Seconds since midnight UTC; a zone is taken off, none counts as UTC."""
    hour = int(match["hour"])
    if match["half"]:
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    total = 3600.0 * hour + 60.0 * int(match["minute"]) + int(match["second"])
    fraction = float(f"0.{match['fraction']}") if match["fraction"] else 0.0
    return total + fraction - _zone_s(match["zone"])


def _zone_s(zone: str | None) -> float:
    if zone is None or zone[0] not in "+-":
        return 0.0
    digits = zone[1:].replace(":", "")
    offset_s = 3600.0 * int(digits[:2]) + 60.0 * int(digits[2:])
    return offset_s if zone[0] == "+" else -offset_s


def _days(matches: Sequence[_Match | None]) -> tuple[NDArray[np.float64], list[str]]:
    """Day numbers; year first, or day first unless only month first is possible (or AM/PM says)."""
    dated = [match for match in matches if match and match["a"]]
    if any(int(match["a"]) > 31 for match in dated):
        return _numbered(matches, _year_first), ["dates: year first"]
    is_american = any(match["half"] or int(match["b"]) > 12 for match in dated)
    if is_american and not any(int(match["a"]) > 12 for match in dated):
        return _numbered(matches, _month_first), ["dates: month first"]
    return _numbered(matches, _day_first), ["dates: day first"]


def _numbered(
    matches: Sequence[_Match | None], order: Callable[[int, int, int], tuple[int, int, int]]
) -> NDArray[np.float64]:
    return np.array([_ordinal(match, order) for match in matches])


def _ordinal(match: _Match | None, order: Callable[[int, int, int], tuple[int, int, int]]) -> float:
    if not match or not match["a"]:
        return np.nan
    try:
        year, month, day = order(int(match["a"]), int(match["b"]), int(match["c"]))
        return float(dt.date(year if year > 99 else 2000 + year, month, day).toordinal())
    except ValueError:
        return np.nan


def _year_first(a: int, b: int, c: int) -> tuple[int, int, int]:
    return a, b, c


def _month_first(a: int, b: int, c: int) -> tuple[int, int, int]:
    return c, a, b


def _day_first(a: int, b: int, c: int) -> tuple[int, int, int]:
    return c, b, a


def _by_pandas(cells: Sequence[Cell]) -> tuple[Seconds, list[str]]:
    """Month names and other spellings that pandas knows."""
    import pandas as pd

    text = [None if cell is None else str(cell) for cell in cells]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zones by name, such as CEST: they move every row alike
        read = pd.to_datetime(pd.Series(text), errors="coerce", format="mixed", utc=True)
    since = (read - pd.Timestamp("2000-01-01", tz="UTC")).dt.total_seconds()
    return np.asarray(since, dtype=np.float64), ["times read as dates"]
