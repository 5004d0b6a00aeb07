"""KPIs as tables: headline ones per operating point, every one, what each means, and warnings."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from simsplit.pages.page import Cell, Html, Table
from simsplit.results.arms import LOPSIDED, NOISE, arms, arms_text
from simsplit.results.metrics import HEADLINES, METRICS, Kind, Metric, metric


@dataclass(frozen=True, slots=True)
class Definition:
    """A KPI as a report writes it.

    Attributes:
        kpi: Its column.
        label: What a heading says.
        unit: Unit in which it is shown; empty: a plain number.
        scale: Shown number = ``scale`` x stored number (SI units).
        formula: How it is made from the requests that arrived in [warmup_s, duration_s).
    """

    kpi: str
    label: str
    unit: str
    scale: float
    formula: str

    @property
    def title(self) -> str:
        """Label and unit, as an axis says it."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


_HOW = {Kind.MEAN: "; mean over requests", Kind.SCORE: "; mean over requests"}


def _definition(metric: Metric) -> Definition:
    formula = metric.formula.replace("`", "")
    how = "" if metric.in_percent else _HOW.get(metric.kind, "")
    return Definition(metric.name, metric.short, *metric.shown_in, f"{formula}{how}")


GLOSSARY = {metric.name: _definition(metric) for metric in METRICS}


def definition(kpi: str) -> Definition:
    """What is known of a KPI; one that nobody defined stands under its own name."""
    if kpi.startswith("utilisation_"):
        name = kpi.removeprefix("utilisation_").replace("_", " ")
        return replace(GLOSSARY["utilisation"], kpi=kpi, label=f"utilisation of {name}")
    own = Definition(kpi, kpi.replace("_", " "), "", 1.0, "mean over the requests that have one")
    about = metric(kpi)
    return GLOSSARY.get(kpi) or (own if about is None else _definition(about))


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
    """``mean ± half-width`` or ``−down +up`` in the KPI's own unit.

    ± ? without an interval, – without a value.
    """
    if value is None or value["mean"] is None:
        return Html("–")
    scale, mean = definition(name).scale, float(value["mean"])
    if value["ci_low"] is None:
        return Html(f"{scale * mean:.4g} ± ?", mean)
    down, up = arms(mean, float(value["ci_low"]), float(value["ci_high"]))
    return Html(estimate_text(scale * mean, scale * down, scale * up), mean)


def estimate_text(mean: float, down: float, up: float) -> str:
    """Two significant digits of the half-width or the longer arm, the mean to the same place."""
    if max(down, up) <= NOISE * abs(mean):  # rounding noise of a constant is no spread
        return f"{mean:.4g} ± 0"
    is_even = abs(up - down) <= LOPSIDED * max(up, down)
    longest = (down + up) / 2 if is_even else max(down, up)
    places = max(0, 1 - math.floor(math.log10(longest)))
    return f"{mean:,.{places}f} {arms_text(down, up, lambda arm: f'{arm:,.{places}f}')}"


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
    what = ("scope", "KPI", "column", "unit")
    heading = (*what, "mean", "low", "high", "n", "interval from", "interval holds for")
    return Table("Every KPI with its 95 % interval", heading, rows, sortable=True)


def _kpi_row(scope: str, what: Definition, value: Mapping[str, Any]) -> list[Cell]:
    ends = [_scaled(value[key], what.scale) for key in ("mean", "ci_low", "ci_high")]
    count = Html(f"{value['n']:,}", float(value["n"]))
    code = Html(f"<code>{what.kpi}</code>")
    made = [str(value["method"]), str(value.get("scope") or "–")]
    return [scope, what.label, code, what.unit, *ends, count, *made]


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


NONE = '<p class="fine">No warnings.</p>'


def warnings_html(items: Iterable[tuple[str, str]]) -> str:
    """A list of (code, message); a line that says so if there are none."""
    lines = "".join(
        f"<li><strong>{escape(code)}</strong> {escape(message)}</li>" for code, message in items
    )
    return f'<ul class="warnings">{lines}</ul>' if lines else NONE
