"""Which column of a foreign table holds the time, the level and the device, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from simsplit.errors import ScenarioError
from simsplit.phy.traces.file import Cell, Table, is_missing, number

LevelKind = Literal["snr", "rsrp"]


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


TIME_UNITS_S = {
    **dict.fromkeys(_set("s sec secs second seconds"), 1.0),
    **dict.fromkeys(_set("ms msec msecs millis millisecond milliseconds"), 1e-3),
    **dict.fromkeys(_set("us µs μs usec usecs micros microsecond microseconds"), 1e-6),
    **dict.fromkeys(_set("ns nsec nsecs nanos nanosecond nanoseconds"), 1e-9),
    **dict.fromkeys(_set("min minute minutes"), 60.0),
    **dict.fromkeys(_set("h hour hours"), 3600.0),
}
_TIME_NAMES = (  # in order of trust; units are taken off first
    _set("elapsed elapsed_time time_elapsed relative_time time_relative rel_time sim_time")
    | _set("simulation_time frame_time_relative time_since_start"),
    _set("time t times"),
    _set("timestamp time_stamp ts datetime date_time epoch epoch_time time_epoch unix_time")
    | _set("unixtime unix_timestamp utc utc_time gps_time pc_time system_time local_time")
    | _set("log_time measurement_time frame_time_epoch"),
    frozenset(("date", "")),
)
_TIME_WORDS = _set("time timestamp ts elapsed epoch datetime")
_NOT_A_CLOCK = _set("response round trip rtt processing travel air zone type delay")
_DEVICES = (  # in order of trust
    "device device_id dev dev_id deviceid ue ue_id ueid ue_idx ue_index ue_name ue_nr ue_num "
    "imsi imei user user_id userid user_nr terminal terminal_id sta station subscriber client "
    "client_id phone handset mobile vehicle vehicle_id rnti crnti c_rnti id"
)
_OTHER_WORDS = (
    _set("min max std stdev stddev sd var variance count num neigh neighb neighbor neighbors")
    | _set("neighbour neighbours nbr ncell nrx target offset threshold thr thresh delta diff")
    | _set("error err")
)
_BENIGN_WORDS = _set(
    "serving pcell primary avg average mean rs ss nr lte 5g 4g meas measured filtered"
) | _set("value wideband db dbm")
_LEVEL_WORDS: dict[LevelKind, re.Pattern[str]] = {
    "snr": re.compile(r"\w*(snr|sinr|cinr|esn[0o])\d*(db)?"),
    "rsrp": re.compile(r"\w*rsrp\d*(dbm)?"),
}
_RSRP_BELOW_DB = -35.0  # an unnamed level lower than this is taken for a received power


@dataclass(frozen=True, slots=True)
class Choice:
    """Which column is which, the kind of level, and notes on what was decided.

    Attributes:
        time, level, device: Indices of columns; None: one device.
        notes: In words, in the order of the decisions.
    """

    time: int
    level: int
    device: int | None
    kind: LevelKind
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Wish:
    """The columns as the user names them; None where the columns' own names are to decide."""

    time: str | None
    level: str | None
    device: str | None
    value: Literal["auto", "snr", "rsrp"]


def words(name: str) -> list[str]:
    """A column's name in lower-case words: ``NR-SS-RSRP [dBm]`` is nr, ss, rsrp, dbm."""
    text = re.sub(r"dB(m?)", r"_db\1_", name)
    text = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower().replace("es/n0", "esn0")
    return re.findall(r"[a-z0-9µμ]+", text)


def unit_s(name: str) -> float | None:
    """Seconds per unit that a time column's name tells (``Time [ms]``, ``ts_us``), if any."""
    units = [TIME_UNITS_S[word] for word in words(name) if word in TIME_UNITS_S]
    return units[-1] if units else None


def choose(table: Table, wish: Wish, path: str) -> Choice:
    """Find the columns by name, or by order if there is no header.

    Raises:
        ScenarioError: A column is missing or two are equally likely; lists what there is.
    """
    if not table.has_header and (wish.time is None or wish.level is None):
        return _headerless(table, wish, path)
    notes: list[str] = []
    time = _time(table, wish, path, notes)
    level, kind = _level(table, wish, path, notes, time)
    device = _device(table, wish, path, notes, (time, level))
    return Choice(time, level, device, kind, tuple(notes))


def _confused(message: str, table: Table, path: str) -> ScenarioError:
    columns = ", ".join(repr(name) for name in table.names)
    keys = "time_column, value_column, device_column, value (snr or rsrp)"
    return ScenarioError(f"{message}. Columns found: {columns}. Set {keys}", path=path)


def _named(table: Table, wanted: str, key: str, path: str) -> int:
    """Index of a column by its exact name, else whatever its case, else by its number from 1."""
    folded = [name.casefold() for name in table.names]
    indices = [n for n, name in enumerate(table.names) if name == wanted]
    indices = indices or [n for n, name in enumerate(folded) if name == wanted.casefold().strip()]
    if not indices and wanted.isdigit() and 1 <= int(wanted) <= len(folded):
        indices = [int(wanted) - 1]
    if len(indices) == 1:
        return indices[0]
    message = "no such column in the trace" if not indices else "several columns have this name"
    where = f"{path.rpartition('.')[0]}.{key}".lstrip(".")
    raise ScenarioError(message, path=where, value=wanted, choices=table.names)


def _time(table: Table, wish: Wish, path: str, notes: list[str]) -> int:
    if wish.time is not None:
        return _named(table, wish.time, "time_column", path)
    ranks = {n: _time_rank(name) for n, name in enumerate(table.names)}
    likely = [n for n, rank in ranks.items() if rank is not None and _holds_something(table, n)]
    if not likely:
        raise _confused("no column with something in it is called like a time", table, path)
    best = min(ranks[n] or 0 for n in likely)
    first = [n for n in likely if ranks[n] == best]
    if len(first) > 1:
        raise _confused("several columns are called like a time", table, path)
    notes.append(f"time: column {table.names[first[0]]!r}")
    return first[0]


def _time_rank(name: str) -> int | None:
    """Trust in a name as a clock, 0 best; None if it is no clock's name."""
    parts = [word for word in words(name) if word not in TIME_UNITS_S]
    if not parts and not (set(words(name)) - {"h", "min"}):
        return None
    core = "_".join(parts)
    for rank, names in enumerate(_TIME_NAMES):
        if core in names:
            return rank
    is_clock = _TIME_WORDS & set(parts) and not _NOT_A_CLOCK & set(parts)
    return len(_TIME_NAMES) if is_clock else None


def _holds_something(table: Table, column: int) -> bool:
    return not all(map(is_missing, table.columns[column]))


def _level(
    table: Table, wish: Wish, path: str, notes: list[str], time: int
) -> tuple[int, LevelKind]:
    if wish.level is not None:
        index = _named(table, wish.level, "value_column", path)
        return index, _kind(table, index, wish, notes)
    kinds: tuple[LevelKind, ...] = ("snr", "rsrp") if wish.value == "auto" else (wish.value,)
    columns = {kind: _levels(table, kind, time) for kind in kinds}
    usable = [kind for kind in kinds if columns[kind]]
    if not usable:
        called = " or ".join(kind.upper() for kind in kinds)
        raise _confused(f"no column with numbers in it is called like {called}", table, path)
    kind = usable[0]
    if len(columns[kind]) > 1:
        names = ", ".join(table.names[n] for n in columns[kind])
        raise _confused(f"several columns may be the {kind.upper()}: {names}", table, path)
    notes.append(f"level: column {table.names[columns[kind][0]]!r} as {kind.upper()}")
    notes += _passed_over(table, kind, usable, time)
    return columns[kind][0], kind


def _passed_over(
    table: Table, kind: LevelKind, usable: Sequence[LevelKind], time: int
) -> list[str]:
    if len(usable) > 1:
        return ["the file has SNR and RSRP: SNR is used (value: rsrp for the other)"]
    empty = [n for n in _named_levels(table, "snr", time) if not _has_numbers(table, n)]
    if kind == "rsrp" and empty:
        return [f"column {table.names[empty[0]]!r} holds no numbers, so RSRP is used"]
    return []


def _levels(table: Table, kind: LevelKind, time: int) -> list[int]:
    """The columns most plainly called SNR (RSRP): several if equally so, none if there is none."""
    named = [n for n in _named_levels(table, kind, time) if _has_numbers(table, n)]
    extra = {n: _extra_words(table.names[n], kind) for n in named}
    return [n for n in named if extra[n] == min(extra.values())]


def _named_levels(table: Table, kind: LevelKind, time: int) -> list[int]:
    """Columns called SNR (RSRP) that are no neighbour cell's, no extreme and no threshold."""
    indices = [n for n, name in enumerate(table.names) if n != time and _has_word(name, kind)]
    return [n for n in indices if not _OTHER_WORDS & set(words(table.names[n]))]


def _has_word(name: str, kind: LevelKind) -> bool:
    return any(map(_LEVEL_WORDS[kind].fullmatch, words(name)))


def _extra_words(name: str, kind: LevelKind) -> int:
    rest = [w for w in words(name) if not _LEVEL_WORDS[kind].fullmatch(w)]
    return sum(word not in _BENIGN_WORDS for word in rest)


def _has_numbers(table: Table, column: int) -> bool:
    return any(number(cell) for cell in table.columns[column] if not is_missing(cell))


def _kind(table: Table, column: int, wish: Wish, notes: list[str]) -> LevelKind:
    """SNR or RSRP of a column that the user named: as asked for, by its name, or by its median."""
    if wish.value != "auto":
        return wish.value
    name = table.names[column]
    for kind in ("snr", "rsrp"):
        if table.has_header and _has_word(name, kind):
            return kind
    values = sorted(read[0] for cell in table.columns[column] if (read := number(cell)))
    median = values[len(values) // 2] if values else 0.0
    guess: LevelKind = "rsrp" if median < _RSRP_BELOW_DB else "snr"
    notes.append(f"column {name!r} taken as {guess.upper()} by its median {median:g}")
    return guess


def _device(
    table: Table, wish: Wish, path: str, notes: list[str], taken: Iterable[int]
) -> int | None:
    if wish.device is not None:
        return _named(table, wish.device, "device_column", path)
    if not table.has_header:
        return None
    cores = {"_".join(words(name)): n for n, name in enumerate(table.names) if n not in taken}
    for name in _DEVICES.split():
        if name in cores and (name != "id" or _repeats(table.columns[cores[name]])):
            notes.append(f"device: column {table.names[cores[name]]!r}")
            return cores[name]
    notes.append("no device column: one device")
    return None


def _repeats(cells: Sequence[Cell]) -> bool:
    """A device's name stands in several rows; a row number does not."""
    held = [cell for cell in cells if not is_missing(cell)]
    return len(set(held)) <= len(held) / 2


def _headerless(table: Table, wish: Wish, path: str) -> Choice:
    """Two columns of numbers: the first that never falls is the time, the other the level."""
    notes: list[str] = []
    if len(table.columns) != 2:
        raise _confused("no header line, and not two columns", table, path)
    if wish.time is not None:
        time = _named(table, wish.time, "time_column", path)
    elif wish.level is not None:
        time = 1 - _named(table, wish.level, "value_column", path)
    else:
        time = _rising(table, path)
        notes.append(f"column {time + 1} is the time, because it never falls")
    return Choice(time, 1 - time, None, _kind(table, 1 - time, wish, notes), tuple(notes))


def _rising(table: Table, path: str) -> int:
    for index, cells in enumerate(table.columns):
        if _rises(cells):
            return index
    raise _confused("no header line, and neither column rises as a time does", table, path)


def _rises(cells: Sequence[Cell]) -> bool:
    """Never falls; times of day and dates count as rising, a column with holes does not."""
    held = [cell for cell in cells if not is_missing(cell)]
    read = [number(cell) for cell in held]
    if not any(read):
        return True
    values = [value[0] for value in read if value]
    return len(values) == len(held) and all(a <= b for a, b in pairwise(values))
