"""The report of one run."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from simsplit.pages.charts import chart_html
from simsplit.pages.kpi_tables import every_kpi_table, headline_table, meanings_table, warnings_html
from simsplit.pages.page import Part, details_html, document, table_html
from simsplit.pages.provenance import run_provenance_html
from simsplit.pages.question import question, scenario_html
from simsplit.pages.run_charts import (
    energy_by_part,
    latency_by_stage,
    latency_cdf,
    requests_under_way,
)
from simsplit.pages.slowest import slowest_html
from simsplit.pages.tradeoff import tradeoff
from simsplit.results.drops import interval_text
from simsplit.results.kpis import flat_rows
from simsplit.results.summary import measured
from simsplit.results.summary_text import utilisation_text

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.results.store import Result


def run_page(result: Result) -> str:
    """The HTML text of a run."""
    rows = _in_order(result)
    parts = [
        Part("question", "The question", _question(result)),
        Part("warnings", "Warnings", warnings_html([*_flags(result.summary), *_unused(result)])),
        Part("kpis", "KPIs", _kpis(result.summary)),
        Part("figures", "Figures", _figures(result, rows)),
        Part("slowest", "The slowest requests", slowest_html(rows)),
        Part("scenario", "The scenario", scenario_html(result.scenario, _yaml(result))),
        Part("provenance", "Provenance", run_provenance_html(result.manifest)),
    ]
    return document(result.scenario.name, "simsplit run", parts)


def _in_order(result: Result) -> DataFrame:
    """The measured requests, operating points in the scenario's order: one look in all charts."""
    order = {point.name: i for i, point in enumerate(result.scenario.operating_points)}
    rows = measured(result.scenario, result.requests)
    by_order = rows["operating_point"].map(order).argsort(kind="stable")
    return rows.iloc[by_order]


def _question(result: Result) -> str:
    description = result.scenario.description
    lead = f"<p>{escape(description)}</p>" if description else ""
    return f'<p class="question">{escape(question(result.scenario))}</p>{lead}'


def _flags(summary: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["code"], f"{item['station']}: {item['message']}") for item in summary["flags"]]


def _unused(result: Result) -> list[tuple[str, str]]:
    """Operating points that no measured request took: nothing is known of them."""
    used = result.summary["operating_points"]
    names = [
        point.name
        for point in result.scenario.operating_points
        if not used.get(point.name, {"n": 0})["n"]
    ]
    return [("unused", f"no request took operating point {name}") for name in names]


def _kpis(summary: dict[str, Any]) -> str:
    every = every_kpi_table(summary)
    names = [name for name, kpi in summary["overall"].items() if isinstance(kpi, dict)]
    kpis = [name for name in names if "mean" in summary["overall"][name]]
    return (
        f"<p>Mean ± half-width of the {interval_text(summary)}; ± ? where the run is too short for "
        "one.</p>"
        + table_html(headline_table(summary))
        + f"<p>Utilisation: {escape(_unbroken(utilisation_text(summary)))}.</p>"
        + details_html("Every KPI, with low and high end", table_html(every))
        + details_html(
            "What each KPI means", table_html(meanings_table([*kpis, "utilisation", "snr_db"]))
        )
    )


def _unbroken(text: str) -> str:
    """A number stays on the line of its per cent sign."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _figures(result: Result, rows: DataFrame) -> str:
    table = flat_rows(result.scenario, result.summary)
    labels = [row["operating_point"] for row in table]
    title = "What each operating point costs and gives"
    charts = [
        latency_cdf(rows),
        latency_by_stage(rows),
        energy_by_part(rows),
        tradeoff(table, labels, title),
        requests_under_way(result.scenario, result.requests),
    ]
    return "".join(chart_html(chart) for chart in charts if chart is not None)


def _yaml(result: Result) -> str:
    if result.folder is None:
        return result.scenario.model_dump_json(indent=2)
    return (result.folder / "scenario.yaml").read_text(encoding="utf-8")
