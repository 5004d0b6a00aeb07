"""What the verbs about networks print: cuts, measured kinds of operator, what was predicted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsplit.hardware.judge import Measured
    from simsplit.networks.cuts import SplitPoint


CUT_COLUMNS = (
    "cut",
    "carried",
    "KiB",
    "head MMAC",
    "tail MMAC",
    "head k",
    "tail k",
    "smaller than",
)
LAW_COLUMNS = ("codec", "elements", "encode ms", "decode ms", "error %", "worst %")
MEASURED_COLUMNS = ("batch", "kind", "nodes", "MMAC", "ms", "95 % interval", "share %")


def cut_rows(points: Iterable[SplitPoint]) -> list[list[str]]:
    """Rows under `CUT_COLUMNS`: sizes at float32, work and parameters on either side."""
    return [
        [
            point.name,
            " + ".join("x".join(map(str, shape)) for shape in point.shapes),
            _figure(point.bytes / 1024),
            _figure(point.head_macs / 1e6),
            _figure(point.tail_macs / 1e6),
            _figure(point.head_params / 1e3),
            _figure(point.tail_params / 1e3),
            _smaller_than(point),
        ]
        for point in points
    ]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _smaller_than(point: SplitPoint) -> str:
    if point.below_jpeg:
        return "input, JPEG"
    return "input" if point.is_bottleneck else ""


def cut_mappings(points: Iterable[SplitPoint]) -> list[dict[str, Any]]:
    """The same for JSON, in plain units: bytes, multiply-accumulates, parameters."""
    keys = ("name", "shapes", "bytes", "head_macs", "tail_macs", "head_params", "tail_params")
    flags = ("is_bottleneck", "below_jpeg")
    return [{key: getattr(point, key) for key in (*keys, *flags)} for point in points]


def predicted_lines(points: Sequence[SplitPoint], predictor: str) -> list[str]:
    """What a latency predictor says of the whole network, kind by kind, batch of one."""
    from simsplit.hardware.predictor import predicted_kinds

    return [
        f"{predictor}: {row.kind} {1e3 * row.seconds:.4g} ms, {row.operators} operators, "
        f"{100 * row.guessed_share:.0f} % beyond what was measured"
        for row in predicted_kinds(predictor, points[-1].head_operators)
    ]


def measured_rows(measured: Measured) -> list[list[str]]:
    """Rows under `MEASURED_COLUMNS`: one per batch size and kind of operator, and the whole."""
    return [
        [
            str(batch),
            row.kind,
            str(row.nodes),
            f"{row.macs / 1e6:,.4g}",
            f"{1e3 * row.seconds:.4g}",
            f"{1e3 * row.low_s:.4g} … {1e3 * row.high_s:.4g}",
            f"{100 * row.share:.1f}",
        ]
        for batch in measured.network.batches
        for row in measured.kinds(batch)
    ]


def comparison(measured: Measured, hardware: str | None, predictor: str | None) -> Iterator[str]:
    """Lines on what a roofline and a predictor would have said of the whole network.

    Raises:
        ScenarioError, ArtefactError: No such hardware or predictor.
    """
    from simsplit.hardware.judge import opinions

    for batch in measured.network.batches:
        unrest = measured.network.p90_over_median[batch]
        if unrest > 1.2:
            yield f"! the machine was busy: p90 is {unrest:.2f} x the median at batch {batch}"
    for name, total in opinions(measured, hardware, predictor):
        yield (
            f"{name}, batch {total.batch}: {1e3 * total.predicted_s:.4g} ms where "
            f"{1e3 * total.measured_s:.4g} were measured ({100 * total.error:+.0f} %)"
        )
