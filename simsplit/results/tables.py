"""Tables for papers: any selection of a run's or sweep's table as LaTeX, Markdown or CSV.

In print every KPI is ``mean ± half-width`` of its 95 % interval: the half-width in two significant
digits, the mean to the same place, in the unit's prefix that reads best; ``mean −down +up`` where
the interval is lopsided (`simsplit.results.arms`). CSV holds the numbers as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ScenarioError
from simsplit.files import write_whole
from simsplit.results import frames
from simsplit.results.arms import LOPSIDED, MINUS, arms, arms_text
from simsplit.results.drops import COLUMN, frame_note
from simsplit.results.kpis import kpi_names
from simsplit.results.labels import booktabs, distinct_labels, escaped, quantity, value_text
from simsplit.results.metrics import HEADLINES
from simsplit.results.store import read_rows
from simsplit.results.sweep_folder import RUN, kind_of
from simsplit.results.sweep_table import with_axes

if TYPE_CHECKING:
    from pandas import DataFrame


ENDINGS = (".tex", ".md", ".csv")
_USUAL = (*HEADLINES, "latency_s", "latency_p95_s", "energy_j", "payload_bits")


@dataclass(frozen=True, slots=True)
class Table:
    """The chosen columns as numbers (KPIs with ``_ci_low``, ``_ci_high``) and as they are printed.

    ``numeric``: headers of the printed columns that hold numbers. ``note``: what the intervals hold
    for, where that is not all drops.
    """

    numbers: DataFrame
    text: DataFrame
    numeric: frozenset[str]
    note: str = ""


def read_table(folder: Path, where: Sequence[str] = ()) -> DataFrame:
    """The flat table of a sweep or of one run, the rows picked (`simsplit.results.frames.where`).

    Raises:
        ArtefactError: Neither is there.
        ScenarioError: A filter that cannot be read or leaves nothing.
    """
    import pandas as pd

    if Path(folder).is_file() or kind_of(folder) != RUN:
        return frames.sweep_table(folder, where)
    return frames.where(with_axes(pd.DataFrame(read_rows(Path(folder))), []), where)


def table(source: DataFrame | str | Path, columns: Sequence[str] = ()) -> Table:
    """The columns a user names, or the axes and the usual KPIs.

    Args:
        source: A tidy table, or the folder of a run or a sweep.
        columns: ``axis`` (all of the sweep's), an axis or its last part, ``operating_point``,
            another column as it is, or a KPI as `simsplit.results.kpis` names it. What tells rows
            apart that would else look alike, axes and operating point, is added.

    Raises:
        ArtefactError: Neither a run nor a sweep in the folder.
        ScenarioError: No such column.
    """
    import pandas as pd

    frame = read_table(Path(source)) if isinstance(source, str | Path) else source
    frame, names = _resolved(frame, columns or _usual(frame))
    kpis = kpi_names([str(column) for column in frame.columns])
    names = _told_apart(frame, names, kpis)
    shown = [name + end for name in names for end in _endings(name, kpis)]
    has_intervals = COLUMN in frame and len(shown) > len(names) and COLUMN not in names
    numbers = frame[[*shown, COLUMN] if has_intervals else shown]
    plain = [name for name in names if name not in kpis]
    headers = dict(zip(plain, distinct_labels(plain), strict=True))
    texts: dict[str, list[str]] = {}
    numeric = set()
    for name in names:
        header, cells, is_number = _printed(frame, name, headers.get(name))
        texts[header] = cells
        numeric |= {header} if is_number else set()
    note = frame_note(frame) if has_intervals else ""
    return Table(numbers, pd.DataFrame(texts), frozenset(numeric), note)


def _told_apart(frame: DataFrame, names: list[str], kpis: Sequence[str]) -> list[str]:
    """The columns, with those axes and the operating point without which rows would look alike."""
    plain = [name for name in names if name not in kpis]
    index = 1 + max((names.index(name) for name in plain), default=-1)
    others = [name for name in frames.axes_of(frame) if name not in names]
    others += [frames.POINT] if frames.POINT in frame and frames.POINT not in names else []
    added: list[str] = []
    for name in others:
        if not _is_alike(frame, [*plain, *added]):
            break
        if frame[name].nunique(dropna=False) > 1:
            added.append(name)
    return [*names[:index], *added, *names[index:]]


def _is_alike(frame: DataFrame, names: Sequence[str]) -> bool:
    """Whether two rows have the same values in all of these columns."""
    return bool(frame.duplicated(list(names)).any()) if names else len(frame) > 1


def _endings(column: str, kpis: Sequence[str]) -> tuple[str, ...]:
    return ("", "_ci_low", "_ci_high") if column in kpis else ("",)


def _usual(frame: DataFrame) -> list[str]:
    return ["axis", frames.POINT, *(name for name in _USUAL if name in frame)]


def _resolved(frame: DataFrame, columns: Sequence[str]) -> tuple[DataFrame, list[str]]:
    names: list[str] = []
    for name in columns:
        if name in ("axis", "axes"):
            names += frames.axes_of(frame)
            continue
        frame, column = _column(frame, name)
        names.append(column)
    return frame, list(dict.fromkeys(names))


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


def _printed(frame: DataFrame, column: str, header: str | None) -> tuple[str, list[str], bool]:
    """Header (of a KPI: None is given), cells, and whether they are numbers."""
    if header is not None:
        cells = [
            "–" if value is None or value != value else value_text(value) for value in frame[column]
        ]
        return header, cells, frames.is_numeric(frame[column])
    values = frame[column].astype(float)
    unit = quantity(column, values)
    ends = zip(values, frame[f"{column}_ci_low"], frame[f"{column}_ci_high"], strict=True)
    cells = [
        rounded(*(unit.factor * _number(number) for number in (mean, low, high)))
        for mean, low, high in ends
    ]
    return unit.label, cells, True


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def rounded(mean: float, low: float, high: float) -> str:
    """``0.612 ± 0.014``: the half-width in two significant digits, the mean to the same place.

    ``0.998 −0.021 +0.002`` where the interval is lopsided, to the place of the longer arm. ``–``
    without a mean; ``± ?`` where there is no interval, ``± 0`` where nothing scatters: the mean
    then has four significant digits.
    """
    if not math.isfinite(mean):
        return "–"
    if not (math.isfinite(low) and math.isfinite(high)):
        return f"{_significant(mean, 4)} ± ?"
    down, up = arms(mean, low, high)
    if not max(down, up):
        return f"{_significant(mean, 4)} ± 0"
    is_even = abs(up - down) <= LOPSIDED * max(up, down)
    longest = float(f"{(down + up) / 2 if is_even else max(down, up):.1e}")  # 0.0996 is 0.10
    digit = math.floor(math.log10(longest)) - 1
    return f"{_to_place(mean, digit)} {arms_text(down, up, lambda arm: _to_place(arm, digit))}"


def _significant(value: float, digits: int) -> str:
    if value == 0:
        return "0"
    return _to_place(value, math.floor(math.log10(abs(value))) + 1 - digits)


def _to_place(value: float, digit: int) -> str:
    """Rounded to a power of ten, with a minus sign rather than a hyphen."""
    text = f"{round(value, -digit) + 0.0:.{max(0, -digit)}f}"
    return text.replace("-", "\N{MINUS SIGN}")


# --- files ------------------------------------------------------------------------------------


def as_latex(made: Table) -> str:
    r"""A ``tabular`` for ``\usepackage{booktabs}``; numbers are formulas, to the right."""
    text = made.text.copy()
    for name in made.numeric:
        text[name] = text[name].map(_formula)
    has_gap = any(cell.endswith("?") for name in made.numeric for cell in made.text[name])
    note = "% * no interval: too few replications or requests\n" if has_gap else ""
    tabular = booktabs(text, numeric=set(made.numeric))
    if made.note:
        foot = rf"\multicolumn{{{len(text.columns)}}}{{l}}{{\footnotesize {escaped(made.note)}}} \\"
        tabular = tabular.replace("\\end{tabular}", f"{foot}\n\\end{{tabular}}")
    return note + tabular


def _formula(cell: str) -> str:
    if cell == "–":
        return cell
    mean, *interval = cell.replace(MINUS, "-").split(" ")
    match interval:
        case ["±", "?"]:
            return f"${mean}$*"
        case ["±", half]:
            return rf"${mean} \pm {half}$"
        case [down, up]:
            return f"${mean}_{{{down}}}^{{{up}}}$"
    return f"${' '.join((mean, *interval))}$"


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
    foot = f"\n{made.note}\n" if made.note else ""
    return "".join("| " + " | ".join(line) + " |\n" for line in lines) + foot


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
    write_whole(out, _WRITERS[out.suffix](made))
    return out
