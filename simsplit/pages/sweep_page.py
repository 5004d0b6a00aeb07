"""The report of a sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from simsplit.pages.charts import chart_html
from simsplit.pages.kpi_tables import (
    definition,
    headline_first,
    kpi_cell,
    meanings_table,
    warnings_html,
)
from simsplit.pages.page import Cell, Html, Part, Table, details_html, document, table_html
from simsplit.pages.provenance import sweep_provenance_html
from simsplit.pages.question import question, scenario_html
from simsplit.pages.sweep_folder import (
    SweepFolder,
    axis_text,
    is_missing,
    is_number,
    read_sweep_folder,
)
from simsplit.pages.tradeoff import axis_name, axis_title, measured_kpis, tradeoff, trend
from simsplit.results.drops import COLUMN, rows_note
from simsplit.results.kpis import kpi_names
from simsplit.results.labels import name_and_unit, value_text

MOST_ROWS = 500
MOST_NUMBERS = 10  # of points in a warning


def sweep_page(folder: Path) -> str:
    """The HTML text of a sweep's folder."""
    sweep = read_sweep_folder(folder)
    parts = [
        Part("question", "The question", _question(sweep)),
        Part("warnings", "Warnings", warnings_html(_warnings(sweep))),
        Part("figures", "Figures", _figures(sweep)),
        Part("kpis", "KPIs", _kpis(sweep)),
        *_failures(sweep),
        Part("scenario", "The scenario", _scenario(sweep)),
        Part("provenance", "Provenance", sweep_provenance_html(sweep)),
    ]
    return document(_title(sweep), "simsplit sweep", parts)


def _title(sweep: SweepFolder) -> str:
    name = str(sweep.described.get("name") or sweep.scenario.name)
    return f"{name} over {' and '.join(map(axis_name, sweep.axes))}" if sweep.axes else name


def _question(sweep: SweepFolder) -> str:
    description = str(sweep.described.get("description") or sweep.scenario.description)
    ranges = " and ".join(_range(sweep, axis) for axis in sweep.axes)
    asked = f"{question(sweep.scenario, sweep.axes)[:-1]}, for {ranges}?"
    counts = f"{len(sweep.folders)} of {len(sweep.described['points'])} points are finished."
    rows: list[list[Cell]] = [
        [axis_title(axis), _code(axis), *_values(sweep, axis)] for axis in sweep.axes
    ]
    table = Table("Axes of the sweep", ("axis", "path", "values", "count"), rows, words=True)
    lead = f'<p class="question">{escape(asked)}</p>'
    return f"{lead}<p>{escape(description)}</p><h3>Axes</h3>{table_html(table)}<p>{counts}</p>"


def _code(text: str) -> Html:
    return Html(f"<code>{escape(text)}</code>")


def _range(sweep: SweepFolder, axis: str) -> str:
    values = sweep.values(axis)
    if all(is_number(value) for value in values) and len(values) > 2:
        return f"{axis_name(axis)} from {value_text(values[0])} to {_with_unit(axis, values[-1])}"
    listed = [*map(value_text, values[:-1]), _with_unit(axis, values[-1])]
    return f"{axis_name(axis)} {' or '.join(listed)}"


def _with_unit(axis: str, value: Any) -> str:
    return f"{value_text(value)} {name_and_unit(axis)[1]}".strip()


def _values(sweep: SweepFolder, axis: str) -> list[str]:
    values = [value_text(value) for value in sweep.values(axis)]
    shown = values if len(values) <= 25 else [*values[:12], "…", *values[-12:]]
    mark = "; " if any("," in value for value in shown) else ", "
    return [mark.join(shown), str(len(values))]


def _warnings(sweep: SweepFolder) -> Iterable[tuple[str, str]]:
    numbers: dict[str, set[int]] = {}
    for row in sweep.rows:
        for code in str(row.get("flags") or "").split():
            numbers.setdefault(code, set()).add(_number(sweep, str(row["folder"])))
    for code, places in sorted(numbers.items()):
        where = f"numbers in the table of KPIs: {_listed(sorted(places))}"
        yield code, f"at {len(places)} of {len(sweep.folders)} points ({where})"
    if sweep.missing:
        failed = len(sweep.failed)
        yield "incomplete", f"{len(sweep.missing)} points have no result; {failed} failed"


def _listed(numbers: Sequence[int]) -> str:
    """Points by their numbers, the first ten of many."""
    shown, more = numbers[:MOST_NUMBERS], len(numbers) - MOST_NUMBERS
    return ", ".join(map(str, shown)) + (f" and {more} more" if more > 0 else "")


def _number(sweep: SweepFolder, name: str) -> int:
    """A point's number in the table of KPIs."""
    return sweep.folders.index(name) + 1


def _figures(sweep: SweepFolder) -> str:
    labels = [_label(sweep, row) for row in sweep.rows]
    title = "What each point costs and gives"
    charts = [trend(sweep) if sweep.axes else None, tradeoff(sweep.rows, labels, title)]
    return "".join(chart_html(chart) for chart in charts if chart is not None)


def _label(sweep: SweepFolder, row: Mapping[str, Any]) -> str:
    values = [f"{axis_title(axis)}: {axis_text(row[axis])}" for axis in sweep.axes]
    return ", ".join([str(row["operating_point"]), *values])


def _kpis(sweep: SweepFolder) -> str:
    names = headline_first(measured_kpis(sweep.rows), everything=False)
    heading = ["point", *map(axis_title, sweep.axes), "operating point"]
    heading += ["replications", "requests", *(definition(name).title for name in names)]
    rows = [_row(sweep, row, names) for row in sweep.rows[:MOST_ROWS]]
    table = Table("KPIs of every point", heading, rows, sortable=True)
    hidden = len(sweep.rows) - len(rows)
    cut = f" The first {len(rows)} of {len(sweep.rows)} rows; points.csv has all." * (hidden > 0)
    defined = [*kpi_names(list(sweep.rows[0])), "utilisation"]
    return (
        f"<p>Mean ± half-width of the 95 % interval; ± ? where there is none.{_drops(sweep)} A "
        f"heading's button sorts by its column; a point's name opens its folder.{cut}</p>"
        + table_html(table)
        + details_html("What each KPI means", table_html(meanings_table(defined)))
    )


def _drops(sweep: SweepFolder) -> str:
    note = rows_note([row.get(COLUMN) for row in sweep.rows])
    return f" {escape(note)}" if note else ""


def _row(sweep: SweepFolder, row: Mapping[str, Any], names: list[str]) -> list[Cell]:
    kpis = ({"mean": row[n], "ci_low": row[f"{n}_ci_low"], "ci_high": row[f"{n}_ci_high"]}
            for n in names)  # fmt: skip
    return [
        _link(sweep, str(row["folder"])),
        *(_axis_cell(row[axis]) for axis in sweep.axes),
        str(row["operating_point"]),
        Html(str(row["replications"]), float(row["replications"])),
        Html(f"{row['n']:,}", float(row["n"])),
        *(kpi_cell(name, _known(kpi)) for name, kpi in zip(names, kpis, strict=True)),
    ]


def _known(kpi: Mapping[str, Any]) -> dict[str, Any]:
    """NaN (a gap of the table) is None, as in a summary."""
    return {key: None if is_missing(value) else value for key, value in kpi.items()}


def _axis_cell(value: Any) -> Html:
    key = float(value) if is_number(value) and not is_missing(value) else None
    return Html(escape(axis_text(value)), key)


def _link(sweep: SweepFolder, name: str) -> Html:
    """The point's own report if it has one, else its folder."""
    has_report = (sweep.folder / name / "report.html").is_file()
    target = f"{name}/report.html" if has_report else f"{name}/"
    number = _number(sweep, name)
    return Html(f'<a href="{escape(target)}" title="{escape(name)}">{number}</a>', float(number))


def _failures(sweep: SweepFolder) -> Iterable[Part]:
    """A part for the points without a result, if there are any."""
    if not sweep.missing:
        return
    errors = [(name, sweep.failed.get(name, "not run yet")) for name in sweep.missing]
    points = sweep.described["points"]
    rows: list[list[Cell]] = [
        [_code(name), _point(points[name]), error] for name, error in errors[:MOST_ROWS]
    ]
    table = Table("Points without a result", ("folder", "point", "why"), rows, words=True)
    yield Part("missing", "Points without a result", table_html(table))


def _point(values: Any) -> str:
    if not isinstance(values, Mapping):
        return str(values)
    inner = values.get("values", values)
    settings = inner if isinstance(inner, Mapping) else values
    return ", ".join(f"{axis} = {value_text(value)}" for axis, value in settings.items())


def _scenario(sweep: SweepFolder) -> str:
    text = (sweep.folder / sweep.folders[0] / "scenario.yaml").read_text(encoding="utf-8")
    note = "<p>At the first point; the axes above say what the others change.</p>"
    return note + scenario_html(sweep.scenario, text)
