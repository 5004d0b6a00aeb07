"""A study's summary (``bd.json``) as the lines of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from simsplit.rate_distortion.ladders import METRICS, Metric

Cells = list[str]


def delta_table(summary: Mapping[str, Any]) -> tuple[Cells, list[Cells]]:
    """Header and lines of the BD-rates: a line per encoder and metric."""
    header = ["encoder", "metric", "mean %", "95 % interval", "smallest … largest", "every seed"]
    lines = [
        [pair["encoder"], metric.name, *_delta_cells(pair["metrics"][metric.column])]
        for pair in summary["pairs"]
        for metric in METRICS
    ]
    return [*header, "seeds", f"{summary['check']} %"], lines


def _delta_cells(found: Mapping[str, Any]) -> Cells:
    rate, check = found["bd_rate_percent"], found["check_percent"]
    every = ", ".join(_signed(one["bd_rate_percent"]) for one in found["by_seed"])
    interval, ends = _ends(rate, "low", "high"), _ends(rate, "smallest", "largest")
    counted = f"{rate['n']} of {rate['of']}"
    return [_mean(rate), interval, ends, every, counted, _mean(check)]


def png_table(summary: Mapping[str, Any]) -> tuple[Cells, list[Cells]]:
    """Header and lines of what PNG, which loses nothing more, costs and gives."""
    header = ["encoder", "over PNG", "baseline", "proposed", "difference", "smallest … largest"]
    return header, [line for pair in summary["pairs"] for line in _png_lines(pair)]


def _png_lines(pair: Mapping[str, Any]) -> list[Cells]:
    png, name = pair["png"], pair["encoder"]
    less = {key: None if value is None else -value for key, value in png["saved_percent"].items()}
    less |= {"smallest": less["largest"], "largest": less["smallest"]}
    bits = [f"{png[f'bits_{role}'] / 1e3:.2f}" for role in ("anchor", "test")]
    bpfe = [f"{png[f'bpfe_{role}']:.3f}" for role in ("anchor", "test")]
    lines = [
        [name, "payload [kbit]", *bits, *_difference_cells(less, "%")],
        [name, "bits per feature element", *bpfe, "", ""],
    ]
    for metric in METRICS:
        found = pair["metrics"][metric.column]["at_png"]
        ends = [_figure(metric, found[role]) for role in ("anchor", "test")]
        cells = _difference_cells(found["difference"], found["unit"])
        lines.append([name, metric.label, *ends, *cells])
    return lines


def _difference_cells(found: Mapping[str, Any], unit: str) -> Cells:
    ends = f"{found['smallest']:+.2f} … {found['largest']:+.2f}"
    return [f"{found['mean']:+.2f} {unit}", ends]


def markdown_table(near: Mapping[str, Any], whole: Mapping[str, Any]) -> tuple[Cells, list[Cells]]:
    """Header and lines of the README's table: a line per encoder and metric.

    Args:
        near: Summary of the study down to the paper's lowest quality.
        whole: Of the whole ladder.
    """
    header = ["encoder", "metric"]
    for name, summary in (("PNG, JPEG 95 … 80", near), ("whole ladder", whole)):
        header += [f"BD-rate, {name} ({summary['method']})", summary["check"]]
    header += ["kbit as PNG, baseline → proposed", "metric as PNG, baseline → proposed"]
    lines = [
        [
            pair["encoder"],
            metric.label,
            *_deltas(pair, metric),
            *_deltas(same, metric),
            *_png_cells(same, metric),
        ]
        for pair, same in zip(near["pairs"], whole["pairs"], strict=True)
        for metric in METRICS
    ]
    return header, lines


def _deltas(pair: Mapping[str, Any], metric: Metric) -> Cells:
    found = pair["metrics"][metric.column]
    return [_with_ends(found["bd_rate_percent"]), _with_ends(found["check_percent"])]


def _png_cells(pair: Mapping[str, Any], metric: Metric) -> Cells:
    png, at_png = pair["png"], pair["metrics"][metric.column]["at_png"]
    ends = [_figure(metric, at_png[role]) for role in ("anchor", "test")]
    change = f"{at_png['difference']['mean']:+.2f} {at_png['unit']}"
    bits = [f"{png[f'bits_{role}'] / 1e3:.1f}" for role in ("anchor", "test")]
    return [
        f"{bits[0]} → {bits[1]} ({-png['saved_percent']['mean']:+.1f} %)",
        f"{ends[0]} → {ends[1]} ({change})",
    ]


def _with_ends(found: Mapping[str, Any]) -> str:
    if found["mean"] is None:
        return "no BD"
    some = "" if found["n"] == found["of"] else f", {found['n']} of {found['of']} seeds"
    ends = _ends(found, "smallest", "largest")
    return f"{found['mean']:+.1f} % [{ends}]{some}"


def _figure(metric: Metric, value: float) -> str:
    return f"{value:.{metric.digits}f}"


def _mean(found: Mapping[str, Any]) -> str:
    return _signed(found["mean"])


def _signed(value: float | None) -> str:
    return "no BD" if value is None else f"{value:+.1f}"


def _ends(found: Mapping[str, Any], first: str, last: str) -> str:
    return "-" if found[first] is None else f"{found[first]:+.1f} … {found[last]:+.1f}"


def named_once(lines: Sequence[Cells]) -> list[Cells]:
    """The lines with an encoder's name only on its first."""
    before = [line[0] for line in lines]
    return [
        [line[0] if place == 0 or before[place - 1] != line[0] else "", *line[1:]]
        for place, line in enumerate(lines)
    ]
