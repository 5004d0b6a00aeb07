"""The slowest requests: where the time of each went, as numbers and as a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from simsplit.pages.charts import number
from simsplit.pages.page import HATCHES, Cell, Html, Table, table_html
from simsplit.pages.run_charts import answered
from simsplit.results.stages import stage_position, stages_ms

if TYPE_CHECKING:
    from pandas import DataFrame


MOST = 10
_WIDTH, _HEIGHT = 240, 18


def slowest_html(rows: DataFrame) -> str:
    """The table of the slowest answered requests under its legend."""
    closed = answered(rows).nlargest(MOST, "latency_s", keep="first")
    if closed.empty:
        return "<p>No request was answered.</p>"
    stages = stages_ms(closed)
    names = [str(name) for name in stages.columns]
    span_ms = 1e3 * float(closed["latency_s"].max())
    pairs = zip(closed.to_dict("records"), stages.to_numpy(float), strict=True)
    lines = [_line(dict(row), names, [float(t) for t in times], span_ms) for row, times in pairs]
    heading = ["request", "stages", "latency [ms]", *(f"{name} [ms]" for name in names)]
    heading += ["operating point", "device", "arrived [s]", "in time", "SNR [dB]", "MCS"]
    heading += ["transmissions", "payload [kbit]"]
    table = Table("The slowest answered requests, with every stage", heading, lines, sortable=True)
    return _legend(names) + table_html(table)


def _line(
    request: Mapping[Any, Any], names: Sequence[str], times_ms: Sequence[float], span_ms: float
) -> list[Cell]:
    latency_ms = 1e3 * float(request["latency_s"])
    arrived_s = float(request["arrival_s"])
    sent = request["attempts"] > 0
    return [
        Html(str(request["request_id"]), float(request["request_id"])),
        Html(_bar(names, times_ms, span_ms)),
        Html(number(latency_ms), latency_ms),
        *(Html(number(t), t) for t in times_ms),
        str(request["operating_point"]),
        f"{request['group']} #{request['device']}" + _replication(request),
        Html(f"{arrived_s:.4f}", arrived_s),
        "yes" if request["deadline_met"] else "no",
        number(request["snr_db"] if sent else None, ".1f"),
        number(request["mcs"] if sent else None, ".0f"),
        str(request["attempts"]),
        number(1e-3 * request["payload_bits"]),
    ]


def _replication(request: Mapping[Any, Any]) -> str:
    return f", replication {request['replication']}" if request["replication"] else ""


def _bar(names: Sequence[str], times_ms: Sequence[float], span_ms: float) -> str:
    """The stages one after the other, on the scale of the slowest request."""
    parts, left = [], 0.0
    for name, time_ms in zip(names, times_ms, strict=True):
        width = _WIDTH * time_ms / span_ms if span_ms else 0.0
        if width > 0:
            parts.append(_piece(name, left, width, f"{name}: {number(time_ms)} ms"))
        left += width
    times = zip(names, times_ms, strict=True)
    text = ", ".join(f"{name} {number(t)} ms" for name, t in times if t > 0)
    return (
        f'<svg class="bar" role="img" aria-label="{escape(text)}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}">{"".join(parts)}</svg>'
    )


def _piece(stage: str, left: float, width: float, title: str) -> str:
    position = stage_position(stage)
    box = f'x="{left:.2f}" y="1" width="{width:.2f}" height="{_HEIGHT - 2}"'
    return (
        f'<g><title>{escape(title)}</title><rect {box} fill="var(--c{position % 8})"/>'
        f'<rect {box} class="edge" fill="url(#hatch-{position % len(HATCHES)})"/></g>'
    )


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<li><svg class="swatch" aria-hidden="true" width="26" height="{_HEIGHT}">'
        f"{_piece(name, 1, 24, name)}</svg>{escape(name)}</li>"
        for name in names
    )
    return f'<ul class="key" aria-label="Stages">{items}</ul>'
