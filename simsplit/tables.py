"""Tables for papers: any selection of a run's or sweep's table as LaTeX, Markdown or CSV.

In print every KPI is ``mean ± half-width`` of its 95 % interval: the half-width in two significant
digits, the mean to the same place, in the unit's prefix that reads best. CSV holds the numbers as
they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ScenarioError
from simsplit.kpis import HEADLINES, kpi_names
from simsplit.plots import frames
from simsplit.plots.drawing import RUN, kind_of
from simsplit.plots.labels import label, quantity, value_text
from simsplit.plots.latex import booktabs
from simsplit.results import read_rows

if TYPE_CHECKING:
    from pandas import DataFrame

ENDINGS = (".tex", ".md", ".csv")
_USUAL = (*HEADLINES, "latency_s", "latency_p95_s", "energy_j", "payload_bits")


@dataclass(frozen=True, slots=True)
class Table:
    """The chosen columns as numbers (KPIs with ``_ci_low``, ``_ci_high``) and as they are printed.

    ``numeric``: headers of the printed columns that hold numbers.
    """

    numbers: DataFrame
    text: DataFrame
    numeric: frozenset[str]


def read_table(folder: Path, where: Sequence[str] = ()) -> DataFrame:
    """The flat table of a sweep or of one run, the rows picked (`simsplit.plots.frames.where`).

    Raises:
        ArtefactError: Neither is there.
        ScenarioError: A filter that cannot be read or leaves nothing.
    """
    import pandas as pd

    if kind_of(folder) != RUN:
        return frames.sweep_table(folder, where)
    return frames.where(pd.DataFrame(read_rows(Path(folder))), where)


def table(frame: DataFrame, columns: Sequence[str] = ()) -> Table:
    """The columns a user names, or the axes and the usual KPIs.

    Args:
        frame: A tidy table.
        columns: ``axis`` (all that vary), an axis or its last part, ``operating_point``, another
            column as it is, or a KPI as `simsplit.kpis` names it.

    Raises:
        ScenarioError: No such column.
    """
    import pandas as pd

    frame, found = _resolved(frame, columns or _usual(frame))
    known = kpi_names([str(column) for column in frame.columns])
    found = _told_apart(frame, found, known)
    numbers = frame[[c + end for c in found for end in _endings(c, known)]]
    texts: dict[str, list[str]] = {}
    numeric = set()
    for column in found:
        name, cells, is_number = _printed(frame, column, column in known)
        texts[name] = cells
        numeric |= {name} if is_number else set()
    return Table(numbers, pd.DataFrame(texts), frozenset(numeric))


def _told_apart(frame: DataFrame, found: list[str], known: Sequence[str]) -> list[str]:
    """The columns, with the operating point where rows would look alike without it."""
    told = [column for column in found if column not in known]
    is_alike = bool(frame.duplicated(told).any()) if told else len(frame) > 1
    if frames.POINT in found or frames.POINT not in frame or not is_alike:
        return found
    place = 1 + max((found.index(column) for column in told), default=-1)
    return [*found[:place], frames.POINT, *found[place:]]


def _endings(column: str, known: Sequence[str]) -> tuple[str, ...]:
    return ("", "_ci_low", "_ci_high") if column in known else ("",)


def _usual(frame: DataFrame) -> list[str]:
    return ["axis", frames.POINT, *(name for name in _USUAL if name in frame)]


def _resolved(frame: DataFrame, columns: Sequence[str]) -> tuple[DataFrame, list[str]]:
    found: list[str] = []
    for name in columns:
        if name in ("axis", "axes"):
            found += [axis for axis in frames.varying(frame) if axis != frames.POINT]
            continue
        frame, column = _column(frame, name)
        found.append(column)
    return frame, list(dict.fromkeys(found))


def _column(frame: DataFrame, name: str) -> tuple[DataFrame, str]:
    """An axis or a plain column, else a KPI; the error lists both."""
    try:
        return frame, frames.named_column(frame, name)
    except ScenarioError as no_axis:
        try:
            return frames.kpi(frame, name)
        except ScenarioError as no_kpi:
            choices = ["axis", *no_axis.choices, *no_kpi.choices]
            raise ScenarioError("no such column or KPI", value=name, choices=choices) from None


def _printed(frame: DataFrame, column: str, is_kpi: bool) -> tuple[str, list[str], bool]:
    """Header, cells, and whether they are numbers."""
    if not is_kpi:
        cells = [
            "–" if value is None or value != value else value_text(value) for value in frame[column]
        ]
        return label(column), cells, frames.is_numeric(frame[column])
    values = frame[column].astype(float)
    unit = quantity(column, values)
    ends = zip(frame[f"{column}_ci_low"], frame[f"{column}_ci_high"], strict=True)
    halves = [(_number(high) - _number(low)) / 2 for low, high in ends]
    cells = [
        rounded(unit.factor * mean, unit.factor * half)
        for mean, half in zip(values, halves, strict=True)
    ]
    return unit.label, cells, True


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def rounded(mean: float, half: float) -> str:
    """``0.612 ± 0.014``: the half-width in two significant digits, the mean to the same place.

    ``–`` without a mean; ``± ?`` where there is no interval, ``± 0`` where nothing scatters: the
    mean then has four significant digits.
    """
    if not math.isfinite(mean):
        return "–"
    if not math.isfinite(half) or half <= 1e-9 * abs(mean):
        return f"{_significant(mean, 4)} ± {'?' if not math.isfinite(half) else '0'}"
    half = float(f"{half:.1e}")  # 0.0996 is 0.10, to the second place and not to the third
    place = math.floor(math.log10(half)) - 1
    return f"{_to_place(mean, place)} ± {_to_place(half, place)}"


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    return _to_place(value, math.floor(math.log10(abs(value))) + 1 - digits)


def _to_place(value: float, place: int) -> str:
    """Rounded to a power of ten, with a minus sign rather than a hyphen."""
    text = f"{round(value, -place) + 0.0:.{max(0, -place)}f}"
    return text.replace("-", "\N{MINUS SIGN}")


# --- files ------------------------------------------------------------------------------------


def as_latex(made: Table) -> str:
    r"""A ``tabular`` for ``\usepackage{booktabs}``; numbers are formulas, to the right."""
    text = made.text.copy()
    for name in made.numeric:
        text[name] = text[name].map(_formula)
    has_gap = any(cell.endswith("?") for name in made.numeric for cell in made.text[name])
    note = "% * no interval: too few replications or requests\n" if has_gap else ""
    return note + booktabs(text, numeric=set(made.numeric))


def _formula(cell: str) -> str:
    if cell == "–":
        return cell
    mean, _, half = cell.partition(" ± ")
    if half == "?":
        return f"${mean.replace(chr(0x2212), '-')}$*"
    return f"${cell.replace('±', chr(92) + 'pm').replace(chr(0x2212), '-')}$"


def headings(made: Table) -> list[str]:
    """The headers without LaTeX: ``$E_s/N_0$`` is ``Es/N0``."""
    formula = re.compile(r"\$([^$]*)\$")
    return [formula.sub(lambda m: m[1].replace("_", ""), str(n)) for n in made.text.columns]


def as_markdown(made: Table) -> str:
    """A pipe table."""
    names = headings(made)
    rule = ["---:" if name in made.numeric else "---" for name in made.text.columns]
    rows = [[cell.replace("|", "\\|") for cell in row] for row in made.text.to_numpy()]
    lines = [names, rule, *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def as_csv(made: Table) -> str:
    """The numbers, unrounded."""
    return str(made.numbers.to_csv(index=False, lineterminator="\n"))


_WRITERS: Mapping[str, Any] = {".tex": as_latex, ".md": as_markdown, ".csv": as_csv}


def write_table(made: Table, out: Path) -> Path:
    """Write the table; the file's ending says how.

    Raises:
        ScenarioError: Another ending than .tex, .md, .csv.
    """
    if out.suffix not in _WRITERS:
        raise ScenarioError("a table's file ends in", value=out.name, choices=ENDINGS)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(_WRITERS[out.suffix](made), encoding="utf-8")
    return out
