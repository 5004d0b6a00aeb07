"""A foreign file of measurements as a table of named columns: text of any delimiter, or Parquet."""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import gzip
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from simsplit.errors import ScenarioError

Cell = str | float | None

MISSING = frozenset(
    ("", "-", "--", "---", "–", "—", "nan", "null", "none", "n/a", "na", "#n/a", "nil", "?", "*")
)
MOMENT = re.compile(
    r"^(?:(?P<a>\d{1,4})[-./](?P<b>\d{1,2})[-./](?P<c>\d{1,4})[ T_,]+)?"
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})[:.](?P<second>\d{2})(?:[.,:](?P<fraction>\d{1,9}))?"
    r"\s*(?P<half>[AaPp][Mm])?\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?$"
)
_NUMBER = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-zµμ]{0,4})$")
_MONTH = re.compile(r"\b(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b.*\d\d:\d\d", re.I)
_QUOTED = re.compile(r'"[^"]*"|\S+')
_TWO_NUMBERS = re.compile(r"^[+-]?[\d.]+\s+[+-]?[\d.]+$")
_SUFFIXES = frozenset(("", "db", "dbm", "s", "sec", "ms", "us", "µs", "μs", "ns"))
_UNIT_CELL = re.compile(
    r"^[\[(]?(?:|-|s|sec|ms|us|µs|μs|ns|dB|dBm|deg|°|m|m/s|km/h|%)[\])]?$", re.I
)
_DELIMITERS = ("\t", ";", "|", ",", " ")
_DELIMITER_NAMES = {"\t": "tab", " ": "white space"}
_COMMENTS = ("#", "%", "//")
_SAMPLED_LINES = 300


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as they stand in the file, cells not yet read; ``notes`` say what was decided."""

    names: tuple[str, ...]
    columns: tuple[list[Cell], ...]
    has_header: bool
    notes: tuple[str, ...] = ()


def number(cell: Cell) -> tuple[float, str] | None:
    """Value and unit of a cell such as ``12.5``, ``12,5`` or ``-95 dBm``; None if it is none."""
    if not isinstance(cell, str):
        return None if cell is None else (float(cell), "")
    text = cell.replace("−", "-")
    if "," in text:  # whichever of the two comes last is the decimal sign
        thousands, decimal = (".", ",") if text.rfind(",") > text.rfind(".") else (",", ".")
        text = text.replace(thousands, "").replace(decimal, ".")
    match = _NUMBER.match(text)
    if match is None or match[2].lower() not in _SUFFIXES:
        return None
    return float(match[1]), match[2].lower()


def is_missing(cell: Cell) -> bool:
    """Whether a cell holds nothing: empty, ``-``, NaN, null and the like."""
    if isinstance(cell, str):
        return cell.lower() in MISSING
    return cell is None or cell != cell


def read_table(file: Path, path: str) -> Table:
    """The table in a file: Parquet by its magic bytes, otherwise delimited text (also gzipped).

    Raises:
        ScenarioError: No such file, neither text nor Parquet, or no row of numbers in it.
    """
    data = _bytes(file, path)
    if data[:4] == b"PAR1":
        return _parquet(data, file, path)
    text, notes = _decoded(data, file, path)
    return _text_table(text, notes, file, path)


def _bytes(file: Path, path: str) -> bytes:
    try:
        data = file.read_bytes()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except FileNotFoundError:
        raise ScenarioError(
            "no such trace file", path=path, value=str(file), choices=_neighbours(file)
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ScenarioError(
            f"cannot read the trace file: {reason}", path=path, value=str(file)
        ) from None


def _neighbours(file: Path) -> list[str]:
    endings = (".csv", ".parquet", ".txt", ".tsv", ".log", ".gz")
    if not file.parent.is_dir():
        return []
    others = [str(other) for other in file.parent.iterdir() if other.suffix in endings]
    return difflib.get_close_matches(str(file), others, n=5, cutoff=0.5)


def _parquet(data: bytes, file: Path, path: str) -> Table:
    import pyarrow
    from pyarrow import parquet

    try:
        content = parquet.read_table(pyarrow.BufferReader(data))
    except (pyarrow.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise ScenarioError(f"damaged Parquet file: {reason}", path=path, value=str(file)) from None
    columns = tuple([_plain(cell) for cell in column.to_pylist()] for column in content.columns)
    if content.num_rows == 0:
        raise ScenarioError("the trace file has no rows", path=path, value=str(file))
    return Table(tuple(content.column_names), columns, has_header=True)


def _plain(cell: object) -> Cell:
    """A Parquet value as number or text; dates and times in ISO 8601, durations in s."""
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, int | float):
        return float(cell)
    if isinstance(cell, dt.timedelta):
        return cell.total_seconds()
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "replace")
    return str(cell)


def _decoded(data: bytes, file: Path, path: str) -> tuple[str, list[str]]:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace"), ["text is UTF-16"]
    if b"\0" in data[:4096] or data[:2] == b"PK":
        message = "neither text nor Parquet; export it as CSV"
        raise ScenarioError(message, path=path, value=str(file))
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        return data.decode("latin-1"), ["text is not UTF-8, read as Latin-1"]


def _text_table(text: str, notes: list[str], file: Path, path: str) -> Table:
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and re.fullmatch(r"sep=.", lines[0].strip().lower()):
        lines = lines[1:]
    plain = [line for line in lines if not line.lstrip().startswith(_COMMENTS)]
    if not plain:
        raise ScenarioError("the trace file has no rows", path=path, value=str(file))
    delimiter = _delimiter(plain, file, path)
    rows = [_cells(line, delimiter) for line in plain]
    notes.append(f"delimiter: {_DELIMITER_NAMES.get(delimiter, delimiter)}")
    return _assembled(rows, _commented(lines, delimiter), delimiter, plain, notes)


def _delimiter(lines: Sequence[str], file: Path, path: str) -> str:
    """The delimiter under which most lines hold two measurements; order decides between equals."""
    sample = lines[:_SAMPLED_LINES]
    scores = {d: _score([_cells(line, d) for line in sample]) for d in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda delimiter: scores[delimiter])
    if scores[best] == 0:
        message = f"no rows with a time and a level in it; it begins with {lines[0][:60]!r}"
        raise ScenarioError(message, path=path, value=str(file))
    return best


def _score(rows: Sequence[list[str]]) -> int:
    counts = [(_measures(row), len(row)) for row in rows if not any(map(_TWO_NUMBERS.match, row))]
    full = sum(measures >= 2 for measures, _ in counts)
    return 1000 * full + sum(measures >= 1 and width >= 2 for measures, width in counts)


def _cells(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return [cell.strip('"') for cell in _QUOTED.findall(line)]
    if '"' not in line:
        return [cell.strip() for cell in line.split(delimiter)]
    # line by line, so that a stray quote cannot swallow the rows below it
    try:
        parsed = next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))
    except csv.Error:  # a cell beyond csv's limit
        parsed = line.split(delimiter)
    return [cell.strip() for cell in parsed]


def _is_measure(cell: str) -> bool:
    return bool(number(cell) or MOMENT.match(cell) or _MONTH.search(cell))


def _measures(row: Sequence[str]) -> int:
    return sum(map(_is_measure, row))


def _commented(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Comment lines above the first row, split: one may be the header (``# time snr``)."""
    rows = []
    for line in lines:
        if not line.lstrip().startswith(_COMMENTS):
            break
        rows.append(_cells(line.strip().lstrip("#%/"), delimiter))
    return rows


def _assembled(
    rows: list[list[str]],
    commented: list[list[str]],
    delimiter: str,
    lines: Sequence[str],
    notes: list[str],
) -> Table:
    first = _first_data_row(rows)
    index = _header_row(rows[:first])
    body = rows[index + 1 :] if index is not None else rows[first:]
    width = _width(body)
    header = rows[index] if index is not None else _header_in_comments(commented, width)
    if header is None:
        names = tuple(str(n + 1) for n in range(width))
        return Table(names, _columns(body, width), False, (*notes, "no header line"))
    if delimiter == " " and index is not None and len(header) != width:
        header = [cell for cell in re.split(r"\s+(?![\[(])", lines[index].strip()) if cell]
    header, body = _with_units(header, body)
    names = _matched(header, body, width)
    return Table(names, _columns(body, len(names)), True, tuple(notes))


def _first_data_row(rows: Sequence[list[str]]) -> int:
    counts = [_measures(row) for row in rows[:_SAMPLED_LINES]]
    wanted = 2 if max(counts) >= 2 else 1
    return next(index for index, count in enumerate(counts) if count >= wanted)


def _header_row(above: Sequence[list[str]]) -> int | None:
    """The last row above the data that holds words alone, and is not a row of units."""
    for index in reversed(range(len(above))):
        words = [cell for cell in above[index] if cell.lower() not in MISSING]
        if len(words) >= 2 and not _measures(words) and not _is_units(above[index]):
            return index
    return None


def _is_units(row: Sequence[str]) -> bool:
    return all(_UNIT_CELL.match(cell) for cell in row)


def _with_units(header: list[str], body: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """A row of units right below the header joins it: ``time`` over ``ms`` is ``time ms``."""
    if not body or not _is_units(body[0]) or not any(body[0]):
        return header, body
    units = [*body[0], *[""] * len(header)]
    joined = [
        name if unit in ("", "-") else f"{name} {unit}"
        for name, unit in zip(header, units, strict=False)
    ]
    return joined, body[1:]


def _header_in_comments(commented: Sequence[list[str]], width: int) -> list[str] | None:
    for row in reversed(commented):
        if len(row) == width and not _measures(row):
            return row
    return None


def _width(body: Sequence[list[str]]) -> int:
    widths = [len(row) for row in body]
    return max(set(widths), key=widths.count)


def _matched(header: list[str], body: Sequence[list[str]], width: int) -> tuple[str, ...]:
    """Names for the columns; rows one longer than the header begin with a row number, as R's do."""
    is_longer = width == len(header) + 1
    if is_longer and any(row[-1] for row in body if len(row) == width):
        header = ["row", *header]
    return tuple(name or f"column {index + 1}" for index, name in enumerate(header))


def _columns(body: Sequence[list[str]], width: int) -> tuple[list[Cell], ...]:
    padding = [""] * width
    padded = [row if len(row) >= width else row + padding for row in body]
    return tuple([row[index] for row in padded] for index in range(width))
