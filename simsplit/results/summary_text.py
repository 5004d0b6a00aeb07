"""A summary as a reader sees it: the table on the terminal, and every KPI as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simsplit.results.arms import arms, arms_text
from simsplit.results.drops import interval_text
from simsplit.results.labels import name_and_unit
from simsplit.results.metrics import headline

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def summary_table(summary: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(scope, KPI, value ± half-width) for every KPI of the summary."""
    scopes = {"overall": summary["overall"]} | dict(summary["operating_points"])
    scopes |= {f"group {name}": part for name, part in summary["groups"].items()}
    scopes["utilisation"] = summary["utilisation"]
    return [
        (scope, name, written(value))
        for scope, kpis in scopes.items()
        for name, value in kpis.items()
        if isinstance(value, Mapping) and "mean" in value
    ]


def written(value: Mapping[str, Any] | None, scale: float = 1.0, form: str = ".4g") -> str:
    """``mean ± half-width`` times ``scale``, or ``mean −down +up`` where one arm is longer.

    ± ? where there is no interval, – where no value.
    """
    if value is None or value["mean"] is None:
        return "–"
    text = format(scale * value["mean"], form)
    if value["ci_low"] is None:
        return f"{text} ± ?"
    down, up = arms(value["mean"], value["ci_low"], value["ci_high"])
    form = ".2g" if form.endswith("g") else form
    return f"{text} {arms_text(scale * down, scale * up, lambda length: format(length, form))}"


def print_summary(summary: Mapping[str, Any], console: Console) -> None:
    """The readable table per operating point, then utilisation, then flags in yellow.

    A narrow terminal gets it as two tables, so that no number is cut.
    """
    from rich.text import Text

    title = f"{summary['scenario']}: mean ± half-width of the {interval_text(summary)}"
    heading, rows = headline_rows(summary)
    whole = _table(title, heading, rows)
    if console.measure(whole, options=console.options.update(width=1000)).maximum <= console.width:
        console.print(whole)
    else:
        console.print(_table(title, heading[:5], [row[:5] for row in rows]))
        cost = [row[:1] + row[5:] for row in rows]
        console.print(_table("per request", heading[:1] + heading[5:], cost))
    console.print(f"Utilisation: {utilisation_text(summary)}", highlight=False)
    for group, body in summary.get("bodies", {}).items():
        console.print(f"{group}: {_body_text(body)}", highlight=False)
    for item in summary["flags"]:
        text = f"! [{item['code']}] {item['station']}: {item['message']}"
        console.print(Text(text), style="yellow", highlight=False)


def _body_text(body: Mapping[str, float]) -> str:
    """The worst of a group's devices, in words."""
    words = {
        "battery_share": ("battery at least {:.1f} %", 100.0),
        "max_temperature_c": ("at most {:.1f} °C", 1.0),
        "throttled_s": ("throttled for at most {:.3g} s", 1.0),
    }
    return ", ".join(
        form.format(scale * body[key]) for key, (form, scale) in words.items() if key in body
    )


def _table(title: str, heading: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", padding=(0, 1))
    for position, name in enumerate(heading):
        table.add_column(Text(name), justify="right" if position else "left", no_wrap=True)
    for row in rows:
        table.add_row(*[Text(cell) for cell in row])
    return table


def headline_rows(summary: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heading and one row of text per operating point: what a reader compares first."""
    score = headline(summary["overall"]) or "score_accuracy"
    title = "mIoU" if score == "score_miou" else name_and_unit(score)[0]
    heading = ["point", "n", title, "p50 ms", "p95 ms", "device mJ", "edge mJ"]
    heading += ["kbit", "symbols", "arrived %", "in time %"]
    rows = [_headline(name, k, score) for name, k in summary["operating_points"].items()]
    return heading, rows


def _headline(name: str, kpis: Mapping[str, Any], score: str) -> list[str]:
    device_j = (kpis["compute_energy_j"], kpis["tx_energy_j"], kpis["rx_energy_j"])
    on_device_j = None if any(k["mean"] is None for k in device_j) else _added(device_j)
    return [
        name,
        str(kpis["n"]),
        written(kpis.get(score), form=".3f"),
        _number(kpis["latency_p50_s"], 1e3, ".1f"),
        _number(kpis["latency_p95_s"], 1e3, ".1f"),
        _number({"mean": on_device_j}, 1e3),
        _number(kpis["edge_energy_j"], 1e3),
        _number(kpis["payload_bits"], 1e-3),
        _number(kpis["channel_uses"], 1.0, ",.0f"),
        _number(kpis["delivered"], 100, ".1f"),
        _number(kpis["deadline_met"], 100, ".1f"),
    ]


def _added(kpis: Sequence[Mapping[str, Any]]) -> float:
    return sum(float(kpi["mean"]) for kpi in kpis)


def _number(value: Mapping[str, Any], scale: float, form: str = ".4g") -> str:
    return "–" if value["mean"] is None else format(scale * value["mean"], form)


def utilisation_text(summary: Mapping[str, Any]) -> str:
    """Utilisation of every station in per cent, in one line."""
    parts = summary["utilisation"].items()
    return ", ".join(f"{name} {_number(value, 100, '.1f')} %" for name, value in parts)
