"""KPIs as tables: the headline ones per operating point, every one, and what each means."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from simsplit.kpis import HEADLINES
from simsplit.report.glossary import Definition, definition
from simsplit.report.markup import Cell, Html, Table

_HEADLINE = (
    "latency_p50_s",
    "latency_p95_s",
    "energy_j",
    "compute_energy_j",
    "tx_energy_j",
    "edge_energy_j",
    "payload_bits",
    "channel_uses",
    "delivered",
    "deadline_met",
)


def headline_names(kpis: Mapping[str, Any]) -> list[str]:
    """The KPIs that a reader compares first, of those that are there."""
    wanted = (*HEADLINES, *_HEADLINE)
    return [name for name in wanted if _is_kpi(kpis.get(name)) and kpis[name]["mean"] is not None]


def headline_first(names: Sequence[str], *, everything: bool) -> list[str]:
    """The KPIs that a reader compares first, then, if asked, the others."""
    first = [name for name in (*HEADLINES, *_HEADLINE) if name in names]
    return first + [name for name in names if name not in first] * everything


def headline_table(summary: Mapping[str, Any]) -> Table:
    """A row per operating point, with intervals."""
    points = summary["operating_points"]
    names = headline_names(summary["overall"])
    heading = ["operating point", "requests", *(definition(name).title for name in names)]
    rows = [_headline(point, kpis, names) for point, kpis in points.items()]
    return Table("KPIs per operating point", heading, rows, sortable=True)


def _headline(point: str, kpis: Mapping[str, Any], names: Sequence[str]) -> list[Cell]:
    return [point, Html(f"{kpis['n']:,}", kpis["n"]), *(kpi_cell(n, kpis.get(n)) for n in names)]


def kpi_cell(name: str, value: Mapping[str, Any] | None) -> Html:
    """``mean ± half-width`` in the KPI's own unit; ± ? without an interval, – without a value."""
    if value is None or value["mean"] is None:
        return Html("–")
    scale, mean = definition(name).scale, float(value["mean"])
    if value["ci_low"] is None:
        return Html(f"{scale * mean:.4g} ± ?", mean)
    half = scale * (value["ci_high"] - value["ci_low"]) / 2
    return Html(estimate_text(scale * mean, half), mean)


def estimate_text(mean: float, half: float) -> str:
    """Two significant digits of the half-width, and the mean to the same place."""
    if half <= 1e-9 * abs(mean):  # rounding noise of a constant is no spread
        return f"{mean:.4g} ± 0"
    places = max(0, 1 - math.floor(math.log10(half)))
    return f"{mean:,.{places}f} ± {half:,.{places}f}"


def every_kpi_table(summary: Mapping[str, Any]) -> Table:
    """Every KPI of every scope with its interval, the number of values and the method."""
    scopes = {"all requests": summary["overall"]} | dict(summary["operating_points"])
    scopes |= {f"group {name}": part for name, part in summary["groups"].items()}
    used = {f"utilisation_{name}": kpi for name, kpi in summary["utilisation"].items()}
    scopes["stations"] = used
    rows = [
        _kpi_row(scope, definition(name), value)
        for scope, kpis in scopes.items()
        for name, value in kpis.items()
        if _is_kpi(value)
    ]
    heading = ("scope", "KPI", "column", "unit", "mean", "low", "high", "n", "interval from")
    return Table("Every KPI with its 95 % interval", heading, rows, sortable=True)


def _kpi_row(scope: str, what: Definition, value: Mapping[str, Any]) -> list[Cell]:
    ends = [_scaled(value[key], what.scale) for key in ("mean", "ci_low", "ci_high")]
    count = Html(f"{value['n']:,}", float(value["n"]))
    code = Html(f"<code>{what.kpi}</code>")
    return [scope, what.label, code, what.unit, *ends, count, str(value["method"])]


def _scaled(value: float | None, scale: float) -> Html:
    return Html("–") if value is None else Html(f"{scale * value:.5g}", float(value))


def _is_kpi(value: Any) -> bool:
    return isinstance(value, Mapping) and "mean" in value


def meanings_table(names: Sequence[str]) -> Table:
    """What each KPI means."""
    rows = [
        (Html(f"<code>{what.kpi}</code>"), what.label, what.unit or "–", what.formula)
        for what in map(definition, names)
    ]
    return Table("What each KPI means", ("column", "KPI", "shown in", "formula"), rows, words=True)
