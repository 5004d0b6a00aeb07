"""What the files of results hold, for other programs: every column with type, unit and meaning.

`simsplit schema --results` prints them with the JSON files' schemas (`simsplit.results.schema`). A
NaN of a run is null in Parquet and in JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simsplit.results import metrics
from simsplit.results.metrics import Kind
from simsplit.results.statistics import ALL_DROPS, WITHIN_DROP

if TYPE_CHECKING:
    from pandas import DataFrame

TEXT, WHOLE, REAL, TRUTH = "large_string", "int64", "double", "bool"  # Arrow's names


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        dtype: Arrow's name of the type.
        unit: SI, dB or px; ``1`` for counts and shares; empty for names.
        nullable: Whether a row may have no value.
        meaning: One sentence.
    """

    name: str
    dtype: str
    unit: str
    nullable: bool
    meaning: str


def _name(name: str, meaning: str) -> Column:
    return Column(name, TEXT, "", False, meaning)


def _count(name: str, meaning: str) -> Column:
    return Column(name, WHOLE, "1", False, meaning)


def _truth(name: str, meaning: str) -> Column:
    return Column(name, TRUTH, "1", False, meaning)


def _time(name: str, meaning: str, *, nullable: bool = True) -> Column:
    return Column(name, REAL, "s", nullable, meaning)


def _figure(name: str, unit: str, meaning: str) -> Column:
    return Column(name, REAL, unit, True, meaning)


def _row_value(name: str, dtype: str = REAL, *, nullable: bool = True) -> Column:
    """A metric's column in the rows of requests."""
    metric = metrics.BY_NAME[name]
    return Column(name, dtype, metric.unit, nullable, metric.meaning)


REQUESTS: tuple[Column, ...] = (
    _count("request_id", "Number of the request: 10 000 000 x replication + order of arrival."),
    _count("replication", "Which independent repetition of the scenario, from 0."),
    _count("device", "Number of the device among all devices of the scenario, from 0."),
    _name("group", "Name of the device's group in the scenario."),
    _name("operating_point", "What was chosen for the request: one of the operating points."),
    _name("scheme", "Way to the answer: local, raw, separate or jscc."),
    _count("sample", "Which of the task's samples it asks about, from 0."),
    _time("arrival_s", "When it arose, since the run began.", nullable=False),
    _time("deadline_s", "Longest latency allowed, counted from arrival; null: none."),
    _time("device_start_s", "When the device's processor began with it."),
    _time("device_end_s", "When the device had finished head and encoder, or the whole network."),
    _time("radio_start_s", "When its payload was queued for the uplink."),
    _time("radio_end_s", "When the payload was through and decoded, given up or stopped."),
    _time("edge_arrival_s", "When the payload was whole at the edge server."),
    _time("edge_start_s", "When its batch began, at the edge or the cloud (see tier)."),
    _time("edge_end_s", "When its batch was finished, at the edge or the cloud."),
    _time("closed_s", "When it left the system; null: still under way when the run ended."),
    _name("status", "How it ended: done, lost, rejected, no_power or open."),
    _row_value("delivered", TRUTH, nullable=False),
    _truth("computed_locally", "Whether the device gave the answer, planned or after a loss."),
    _row_value("snr_db"),
    _figure("mcs", "1", "Mean MCS index of its uplink grants; null: none, or JSCC."),
    _row_value("papr_db"),
    _count("blocks", "Transport blocks it was cut into, uplink."),
    _row_value("attempts", WHOLE, nullable=False),
    _row_value("access_delay_s"),
    _row_value("payload_bits", WHOLE, nullable=False),
    _row_value("header_bits", WHOLE, nullable=False),
    _row_value("channel_uses", WHOLE, nullable=False),
    _row_value("pilot_uses", WHOLE, nullable=False),
    _count("batch_size", "Requests in its batch; 0: it was in none."),
    _count("worker", "Which worker of its server computed it, from 0; -1: none."),
    _name("tier", "Which server it went to: edge, cloud, or empty for none."),
    _count("priority", "Its group's priority; higher first, if the server heeds it."),
    _time("exit_s", "Device seconds of an early exit that was tried first.", nullable=False),
    _time("device_codec_s", "Device seconds of encoding, within its first visit.", nullable=False),
    _time("edge_codec_s", "Server's own decoding and encoding, within its batch.", nullable=False),
    _time("answer_codec_s", "Device seconds of decoding what came down.", nullable=False),
    _row_value("compute_energy_j", nullable=False),
    _row_value("tx_energy_j", nullable=False),
    _row_value("rx_energy_j", nullable=False),
    _row_value("edge_energy_j", nullable=False),
    _row_value("latency_s"),
    _row_value("energy_j", nullable=False),
    _row_value("deadline_met", TRUTH, nullable=False),
)
"""Columns of requests.parquet in their order, before the scores."""

_PANDAS = {TEXT: "str", WHOLE: "int64", REAL: "float64", TRUTH: "bool"}


def table_of_rows(rows: Sequence[Mapping[Any, Any]]) -> DataFrame:
    """Flat rows as a table; a column's type is that of all rows together."""
    import pandas as pd

    return pd.DataFrame(rows)


def no_requests(scores: Sequence[str]) -> DataFrame:
    """The table of requests without a row, its columns typed; ``scores``: those of the task."""
    types = {column.name: _PANDAS[column.dtype] for column in REQUESTS}
    types |= dict.fromkeys(scores, _PANDAS[REAL])
    return table_of_rows([]).reindex(columns=list(types)).astype(types)


SCORES: tuple[Column, ...] = tuple(_row_value(name) for name in metrics.SCORES)
"""Columns that follow, those that the task and its networks have; null where nothing was scored."""

TRAFFIC: tuple[Column, ...] = (
    _count("replication", "Which repetition of the scenario, from 0."),
    _time("time_s", "When the request arose (arrival_s); empty: the group made none, device -1."),
    _name("group", "Name of the device's group."),
    _count("device", "Number of the device within its group, from 0."),
    _count("sample", "Which of the task's samples it asks about, from 0."),
    _name("operating_point", "What was chosen for it."),
    Column("payload_bits", WHOLE, "bit", False, "Uplink payload; 0: JSCC, none, or never sent."),
    _count("channel_uses", "Complex symbols sent with data, repetitions included."),
    _time("deadline_s", "Longest latency allowed; empty: none."),
)
"""Columns of `simsplit export RUN --format csv`; replay reads the first five but the point."""

_HOW = {Kind.MEAN: "Mean. ", Kind.SCORE: "Mean. ", Kind.QUANTILE: "", Kind.POOLED: ""}
KPIS: tuple[Column, ...] = tuple(
    _figure(metric.name, metric.unit, f"{_HOW[metric.kind]}{metric.meaning}")
    for metric in metrics.METRICS
    if metric.kind in _HOW
)
"""Of the requests that arrived in [warmup_s, duration_s); scores as far as the task has them."""

STATIONS = ("device_mean", "device_max", "radio", "edge", "cloud", "downlink")


def axis(name: str) -> Column:
    return Column(name, "any", "", True, "Value of this axis; null where it does not apply.")


def head() -> list[Column]:
    return [
        _name("operating_point", "One of the scenario's operating points; one row for each."),
        _name("scheme", "Its way to the answer: local, raw, separate or jscc."),
        _count("replications", "Independent repetitions behind the row."),
        _count("n", metrics.BY_NAME["n"].meaning),
        _name(
            "interval_scope",
            f"'{WITHIN_DROP}': places or the like were drawn once, the intervals hold for them "
            f"alone; '{ALL_DROPS}': for any; empty: nothing is drawn once.",
        ),
    ]


def kpi_columns() -> list[Column]:
    ends = {"_ci_low": "Lower", "_ci_high": "Upper"}
    return [
        column
        for kpi in KPIS
        for column in (
            kpi,
            *(
                _figure(kpi.name + e, kpi.unit, f"{w} end, 95 %: {kpi.name}")
                for e, w in ends.items()
            ),
        )
    ]


def tail() -> list[Column]:
    used = metrics.BY_NAME["utilisation"].meaning.removesuffix(".")
    shares = [_figure(f"utilisation_{s}", "1", f"{used}: {s}.") for s in STATIONS]
    return [
        *shares,
        _name("flags", "Codes of the run's warnings, parted by spaces."),
        _name("folder", "The point's result folder, within the sweep's."),
    ]
