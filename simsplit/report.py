"""One self-contained HTML page of a result: table, flags, figures, provenance."""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.headline import headline_rows, summary_table, utilisation_text
from simsplit.plots.drawing import run_figures
from simsplit.plots.style import png_bytes
from simsplit.results import Result, read_result

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CSS = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-size:13px}
td,th{padding:.25rem .6rem;text-align:right;border-bottom:1px solid #ddd}
td:first-child,th:first-child{text-align:left}
.flag{background:#fff3cd;border-left:4px solid #E69F00;padding:.3rem .8rem;margin:.3rem 0}
pre{background:#f5f5f5;padding:.8rem;overflow-x:auto;font-size:12px}
figure{display:inline-block;margin:.5rem}img{max-width:100%;width:27rem}.wide{overflow-x:auto}
"""
_CAPTIONS = {
    "latency_cdf": "Latency; unanswered requests keep a curve below 1.",
    "latency_by_stage": "Mean time of answered requests by stage.",
    "energy_by_part": "Mean energy per request by part.",
}


def report(folder: Path) -> Path:
    """Write ``report.html`` into a result folder; nothing in the page is loaded from elsewhere."""
    result = read_result(Path(folder))
    target = Path(folder) / "report.html"
    aside = target.with_name(".report.html.part")
    aside.write_text(page(result), encoding="utf-8")
    os.replace(aside, target)
    return target


def page(result: Result) -> str:
    """The HTML text of a result."""
    title = escape(result.scenario.name)
    heading, rows = headline_rows(result.summary)
    body = [
        f"<h1>{title}</h1><p>{escape(result.scenario.description)}</p>",
        _flags(result.summary["flags"]),
        "<h2>Operating points</h2>" + _table(heading, rows),
        "<p>mean ± half-width of the 95 % interval; ± ? where the run is too short for one.</p>",
        f"<p>Utilisation: {escape(utilisation_text(result.summary))}</p>",
        "<h2>Figures</h2>" + "".join(_figure(*item) for item in run_figures(result).items()),
        "<details><summary>Every KPI</summary>",
        _table(["scope", "KPI", "value"], summary_table(result.summary)) + "</details>",
        "<h2>Provenance</h2>" + _provenance(result),
    ]
    head = f'<meta charset="utf-8"><title>{title}</title><style>{_CSS}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>'


def _flags(flags: Sequence[Mapping[str, str]]) -> str:
    return "".join(
        f'<p class="flag"><b>{escape(item["code"])}</b> {escape(item["station"])}: '
        f"{escape(item['message'])}</p>"
        for item in flags
    )


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heading)
    lines = ("".join(f"<td>{escape(cell)}</td>" for cell in row) for row in rows)
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _figure(name: str, figure: Figure) -> str:
    data = base64.b64encode(png_bytes(figure)).decode("ascii")
    caption = escape(_CAPTIONS.get(name, name))
    image = f'<img alt="{caption}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _provenance(result: Result) -> str:
    folder = result.folder or Path(".")
    command = f"simsplit run {shlex.quote(str(folder / 'scenario.yaml'))}"
    text = _scenario_text(result)
    return (
        f"<p>Run it again:</p><pre>{escape(command)}</pre>"
        + _table(["what", "value"], list(_facts(result.manifest)))
        + f"<details><summary>scenario.yaml</summary><pre>{escape(text)}</pre></details>"
    )


def _scenario_text(result: Result) -> str:
    if result.folder is None:
        return result.scenario.model_dump_json(indent=2)
    return (result.folder / "scenario.yaml").read_text(encoding="utf-8")


def _facts(manifest: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in manifest.items():
        if isinstance(value, Mapping):
            yield from _facts(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)
