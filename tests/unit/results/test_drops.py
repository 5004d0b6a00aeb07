"""An interval says what it is an interval of: in the summary, tables, figures and pages."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import synthetic
from simsplit.figures.curves import metric_over_axis
from simsplit.figures.style import note_below, paper_figure
from simsplit.pages.run_page import run_page
from simsplit.results import tables
from simsplit.results.drops import frame_note, rows_note
from simsplit.results.kpis import flat_rows
from simsplit.results.store import read_result
from simsplit.results.summary import summarise
from simsplit.results.summary_text import print_summary

WITHIN = "within this drop"
STREET = {
    "channel": {"kind": "umi_street_canyon"},
    "fading": {"kind": "rayleigh"},
}


def summary(replications: int, **changes: Any) -> dict[str, Any]:
    rows = synthetic.requests(60, replications)
    return summarise(synthetic.scenario(**changes), rows, synthetic.stations(replications))


def scopes(content: Any) -> set[str | None]:
    """Of every KPI in a summary."""
    if not isinstance(content, dict):
        return set()
    own = {content["scope"]} if "mean" in content else set()
    return own.union(*map(scopes, content.values()))


@pytest.mark.parametrize(
    ("cell", "replications", "wanted"),
    [(STREET, 1, WITHIN), (STREET, 2, "all drops"), (None, 1, None), (None, 2, None)],
)
def test_every_kpi_says_what_its_interval_holds_for(
    cell: dict[str, Any] | None, replications: int, wanted: str | None
) -> None:
    made = summary(replications, **({"cell": cell} if cell else {}))
    assert scopes(made) == {wanted}
    assert made["interval_scope"] == wanted
    codes = [item["code"] for item in made["flags"]]
    assert ("one_drop" in codes) == (wanted == WITHIN)
    if wanted == WITHIN:
        message = made["flags"][codes.index("one_drop")]["message"]
        assert message.startswith("places, line of sight and shadowing drawn once")
        assert "--replications" in message


def printed(made: dict[str, Any]) -> str:
    out = io.StringIO()
    print_summary(made, Console(file=out, width=200))
    return out.getvalue()


def test_the_terminal_says_so_above_its_table() -> None:
    assert f"95 % interval {WITHIN}" in printed(summary(1, cell=STREET))
    assert "95 % interval over 3 replications" in printed(summary(3, cell=STREET))
    assert "drop" not in printed(summary(1))


def folder(tmp_path: Path, **changes: Any) -> Path:
    synthetic.store(tmp_path / "run", **changes)
    return tmp_path / "run"


def test_a_papers_tables_say_so_in_every_form(tmp_path: Path) -> None:
    made = tables.table(folder(tmp_path, cell=STREET), ["operating_point", "latency_s"])
    assert made.note == f"Intervals hold {WITHIN} alone: one replication."
    latex = tables.as_latex(made)
    assert latex.index("\\bottomrule") < latex.index(made.note) < latex.index("\\end{tabular}")
    assert "\\multicolumn{2}{l}" in latex
    assert tables.as_markdown(made).endswith(f"\n\n{made.note}\n")
    assert tables.as_csv(made).splitlines()[0].endswith(",interval_scope")
    assert tables.as_csv(made).splitlines()[1].endswith(f",{WITHIN}")


def test_nothing_is_said_where_nothing_is_drawn_once(tmp_path: Path) -> None:
    made = tables.table(folder(tmp_path), ["operating_point", "latency_s"])
    assert made.note == ""
    assert "multicolumn" not in tables.as_latex(made)


def test_rows_of_both_kinds_are_counted() -> None:
    assert rows_note(["all drops", "", None]) == ""
    assert rows_note([WITHIN, "all drops"]) == (
        f"Intervals of 1 of 2 rows hold {WITHIN} alone: one replication."
    )


def test_table_json_and_pages_say_so(tmp_path: Path) -> None:
    place = folder(tmp_path, cell=STREET)
    rows = json.loads((place / "table.json").read_text())
    assert {row["interval_scope"] for row in rows} == {WITHIN}
    page = run_page(read_result(place))
    assert f"half-width of the 95 % interval {WITHIN}" in page
    assert "interval holds for" in page
    assert f"Intervals hold {WITHIN} alone" in page


def test_a_figure_says_so_below_its_axes() -> None:
    import pandas as pd

    rows = flat_rows(synthetic.scenario(), summary(1, cell=STREET))
    frame = pd.DataFrame([{"snr_db": snr} | row for snr in (0.0, 5.0) for row in rows])
    frame.attrs["axes"] = ["snr_db"]
    with paper_figure() as (figure, ax):
        data = metric_over_axis(frame, "latency_s", "snr_db", ax)
        note_below(figure, frame_note(frame))
    assert figure.get_supxlabel() == f"Intervals hold {WITHIN} alone: one replication."
    assert set(data["interval_scope"]) == {WITHIN}
