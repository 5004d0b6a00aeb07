"""What the files of results hold, for other programs: every column with type, unit and meaning.

`simsplit schema --results` prints `schema_of_results`. Tables are described column by column, JSON
files by JSON Schema (draft 2020-12). A NaN of a run is null in Parquet and in JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

TEXT, WHOLE, REAL, TRUTH = "large_string", "int64", "double", "bool"  # Arrow's names
SCORE = "score_"


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


@dataclass(frozen=True)
class Stage:
    """Where a request is between two columns of its row; of a row that skips it one is null."""

    name: str
    start: str
    end: str
    meaning: str


def _name(name: str, meaning: str) -> Column:
    return Column(name, TEXT, "", False, meaning)


def _count(name: str, meaning: str) -> Column:
    return Column(name, WHOLE, "1", False, meaning)


def _truth(name: str, meaning: str) -> Column:
    return Column(name, TRUTH, "1", False, meaning)


def _time(name: str, meaning: str, *, nullable: bool = True) -> Column:
    return Column(name, REAL, "s", nullable, meaning)


def _energy(name: str, meaning: str) -> Column:
    return Column(name, REAL, "J", False, meaning)


def _figure(name: str, unit: str, meaning: str) -> Column:
    return Column(name, REAL, unit, True, meaning)


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
    _time("radio_end_s", "When the payload was through, given up or stopped."),
    _time("edge_arrival_s", "When the payload was whole at the edge server."),
    _time("edge_start_s", "When its batch began, at the edge or the cloud (see tier)."),
    _time("edge_end_s", "When its batch was finished, at the edge or the cloud."),
    _time("closed_s", "When it left the system; null: still under way when the run ended."),
    _name("status", "How it ended: done, lost, rejected, no_power or open."),
    _truth("delivered", "Whether the payload got through, or nothing had to travel."),
    _truth("computed_locally", "Whether the device gave the answer, planned or after a loss."),
    _figure("snr_db", "dB", "Mean post-processing SNR of its uplink grants; null: none."),
    _figure("mcs", "1", "Mean MCS index of its uplink grants; null: none, or JSCC."),
    _figure("papr_db", "dB", "JSCC: peak to average power of its waveform; null: no JSCC."),
    _count("blocks", "Transport blocks it was cut into, uplink."),
    _count("attempts", "Uplink grants used, first transmissions and repetitions."),
    Column("payload_bits", WHOLE, "bit", False, "Coded payload with headers; 0: JSCC or none."),
    _count("channel_uses", "Complex symbols (resource elements) sent with data, uplink."),
    _count("pilot_uses", "Resource elements spent on reference signals, uplink."),
    _count("batch_size", "Requests in its batch; 0: it was in none."),
    _count("worker", "Which worker of its server computed it, from 0; -1: none."),
    _name("tier", "Which server it went to: edge, cloud, or empty for none."),
    _count("priority", "Its group's priority; higher first, if the server heeds it."),
    _time("exit_s", "Device seconds of an early exit that was tried first.", nullable=False),
    _energy("compute_energy_j", "Device: processor while computing for it."),
    _energy("tx_energy_j", "Device: transmitter during its uplink grants."),
    _energy("rx_energy_j", "Device: receiver during its downlink grants."),
    _energy("edge_energy_j", "Server: its share of its batch, energy over batch size."),
    _time("latency_s", "closed_s - arrival_s, also of what was lost; null: still open."),
    _energy("energy_j", "Sum of the four parts above."),
    _truth("deadline_met", "Done, and in time if there is a deadline."),
)
"""Columns of requests.parquet in their order, before the scores."""

SCORES: tuple[Column, ...] = (
    _figure("score_accuracy", "1", "Classification: 1 if the label is right, else 0."),
    _figure("score_accuracy_in_time", "1", "The same, 0 if the deadline was missed."),
    _figure("score_miou", "1", "Segmentation: mean intersection over union of the picture."),
    _figure("score_miou_in_time", "1", "The same, 0 if the deadline was missed."),
    _figure("score_pixel_accuracy", "1", "Segmentation: share of pixels that are right."),
    _figure("score_disparity_rmse_px", "px", "Disparity: root mean square error; lower is better."),
    _figure("score_psnr_db", "dB", "Reconstruction: peak signal-to-noise ratio of the picture."),
)
"""Columns that follow, those that the task and its networks have; null where nothing was scored."""

STAGES: tuple[Stage, ...] = (
    Stage("device wait", "arrival_s", "device_start_s", "Waits for the device's processor."),
    Stage("device compute", "device_start_s", "device_end_s", "Head and encoder, or the network."),
    Stage("radio", "radio_start_s", "radio_end_s", "Uplink: waits for grants, sends, repeats."),
    Stage("server wait", "edge_arrival_s", "edge_start_s", "Queue and batch; the hop to a cloud."),
    Stage("server compute", "edge_start_s", "edge_end_s", "Decoder and tail of its batch."),
    Stage("downlink", "edge_end_s", "closed_s", "The hop back, the answer's way to the device."),
    Stage("local retry", "radio_end_s", "closed_s", "After a lost payload: the device answers."),
)
"""In order of time. ``local retry`` stands instead of server and downlink (delivered is false)."""

TRAFFIC: tuple[Column, ...] = (
    _count("replication", "Which repetition of the scenario, from 0."),
    _time("time_s", "When the request arose (arrival_s).", nullable=False),
    _name("group", "Name of the device's group."),
    _count("device", "Number of the device within its group, from 0."),
    _count("sample", "Which of the task's samples it asks about, from 0."),
    _name("operating_point", "What was chosen for it."),
    Column("payload_bits", WHOLE, "bit", False, "Uplink payload; 0: JSCC, none, or never sent."),
    _count("channel_uses", "Complex symbols sent with data, repetitions included."),
    _time("deadline_s", "Longest latency allowed; empty: none."),
)
"""Columns of `simsplit export RUN --format csv`; replay reads the first five but the point."""

KPIS: tuple[Column, ...] = (
    _figure("latency_s", "s", "Mean latency of the closed requests."),
    _figure("payload_bits", "bit", "Mean uplink payload."),
    _figure("channel_uses", "1", "Mean complex symbols sent with data."),
    _figure("pilot_uses", "1", "Mean resource elements of reference signals."),
    _figure("papr_db", "dB", "Mean peak to average power ratio, JSCC only."),
    _figure("energy_j", "J", "Mean energy of a request, device and server."),
    _figure("compute_energy_j", "J", "Mean energy of the device's processor."),
    _figure("tx_energy_j", "J", "Mean energy of the transmitter."),
    _figure("rx_energy_j", "J", "Mean energy of the receiver."),
    _figure("edge_energy_j", "J", "Mean energy of the server."),
    _figure("delivered", "1", "Share of payloads that got through."),
    _figure("deadline_met", "1", "Share of requests that were done in time."),
    _figure("attempts", "1", "Mean uplink grants used."),
    *(_figure(c.name, c.unit, f"Mean. {c.meaning}") for c in SCORES),
    _figure("latency_p50_s", "s", "Median latency."),
    _figure("latency_p95_s", "s", "95 % quantile of latency."),
    _figure("latency_p99_s", "s", "99 % quantile of latency."),
)
"""Of the requests that arrived in [warmup_s, duration_s); scores as far as the task has them."""

STATIONS = ("device_mean", "device_max", "radio", "edge", "cloud", "downlink")


def _axis(name: str) -> Column:
    return Column(name, "any", "", True, "Value of this axis; null where it does not apply.")


def _head() -> list[Column]:
    return [
        _name("operating_point", "One of the scenario's operating points; one row for each."),
        _name("scheme", "Its way to the answer: local, raw, separate or jscc."),
        _count("replications", "Independent repetitions behind the row."),
        _count("n", "Requests behind the row."),
    ]


def _kpi_columns() -> list[Column]:
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


def _tail() -> list[Column]:
    shares = [_figure(f"utilisation_{s}", "1", f"Work over capacity: {s}.") for s in STATIONS]
    return [
        *shares,
        _name("flags", "Codes of the run's warnings, parted by spaces."),
        _name("folder", "The point's result folder, within the sweep's."),
    ]


# --- JSON Schema ------------------------------------------------------------------------------

Schema = dict[str, Any]
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["number", "null"]}
_DIGEST: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}


def _object(properties: Schema, optional: Sequence[str] = (), **more: Any) -> Schema:
    required = [name for name in properties if name not in optional]
    closed = {"type": "object", "properties": properties, "required": required}
    return closed | {"additionalProperties": False} | more


def _map(value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _numbers(names: Sequence[str], kind: Schema = _NUMBER) -> Schema:
    return dict.fromkeys(names, kind)


def _kpi() -> Schema:
    parts = _numbers(("mean", "ci_low", "ci_high"), _MAYBE) | {"n": _WHOLE, "method": _TEXT}
    return _object(parts, description="Mean and 95 % interval; null: none; method of the interval.")


def _kpis() -> Schema:
    counts = {"n": _WHOLE, "status": _map(_WHOLE)}
    scores = [column.name for column in SCORES]
    found = counts | {column.name: _kpi() | {"title": column.meaning} for column in KPIS}
    custom = {"patternProperties": {f"^{SCORE}": _kpi()}}
    return _object(found, optional=scores, **custom)


_LEDGER = ("idle_j", "compute_j", "transmit_j", "receive_j", "listen_j", "sleep_j", "total_j")
_SERVER_LEDGER = ("idle_j", "starting_j", "compute_j", "total_j")
_BODY = ("battery_share", "battery_empty_s", "battery_spilled_j")
_HEAT = ("temperature_c", "max_temperature_c", "throttled_s")
_SECONDS = ("busy_s", "idle_s", "transmit_s", "radio_off_s", "receive_s", "listen_s", "sleep_s")
_SERVER = ("busy_s", "idle_s", "starting_s", "off_s", "on_s", "utilisation", *_SERVER_LEDGER)
_SERVER_COUNTS = ("workers", "begun", "batches", "refused", "starts")
_SERVER_MEANS = ("mean_batch", "mean_wait_s", "mean_waiting")
_HOP = ("up_busy_s", "down_busy_s", "up_bits", "down_bits")


def _device() -> Schema:
    extra = _numbers((*_BODY, *_HEAT), _MAYBE)
    parts = {"device": _WHOLE, "group": _TEXT} | _numbers((*_SECONDS, *_LEDGER)) | extra
    return _object(parts, optional=list(extra), description="One device up to end_s.")


def _server(hop: Sequence[str] = ()) -> Schema:
    parts = _numbers(_SERVER_COUNTS, _WHOLE) | _numbers((*_SERVER, *_SERVER_MEANS, *hop))
    return _object(parts, description="All workers of one server up to end_s.")


def _air() -> Schema:
    return _object(_numbers(("prb_slots_used", "passed_bits", "prb_slots_total")))


def _station() -> Schema:
    parts = {
        "replication": _WHOLE,
        "window_s": _NUMBER,
        "end_s": _NUMBER,
        "devices": _list(_device()),
        "radio": _air(),
        "handovers": _WHOLE,
        "edge": _server(),
        "cloud": _server(_HOP),
        "downlink": _air(),
    }
    return _object(parts, optional=("cloud", "downlink"), description="One replication's stations.")


def _summary() -> Schema:
    joules = [f"device_{state}" for state in _LEDGER]
    joules += [f"{tier}_{state}" for tier in ("edge", "cloud") for state in _SERVER_LEDGER]
    cloud = [name for name in joules if name.startswith("cloud")]
    body = _numbers(("battery_share", "max_temperature_c", "throttled_s"))
    parts = {
        "scenario": _TEXT,
        "replications": _WHOLE,
        "window_s": _list(_NUMBER) | {"minItems": 2, "maxItems": 2},
        "confidence": _NUMBER,
        "overall": _kpis(),
        "operating_points": _map(_kpis()),
        "groups": _map(_kpis()),
        "utilisation": _object(_numbers(STATIONS, _kpi()), optional=("cloud", "downlink")),
        "ledger_j": _object(_numbers(joules), optional=cloud),
        "bodies": _map(_object(body, optional=list(body))),
        "flags": _list(_object(_numbers(("code", "station", "message"), _TEXT))),
        "stations": _list(_station()),
    }
    return _object(parts, description="KPIs of the measured window, stations of the whole run.")


def _manifest() -> Schema:
    parts = {
        "digest": _DIGEST | {"description": "Identity of the run: scenario and artefacts."},
        "scenario": _TEXT,
        "artefacts": _map(_TEXT),
        "seeds": {"type": ["array", "object"]},
        "versions": _map({"type": ["string", "null"]}),
        "platform": _TEXT,
        "wall_time_s": _NUMBER,
    }
    return _object(parts, description="Where a result comes from.")


_JSON_TYPE = {TEXT: "string", WHOLE: "integer", REAL: "number", TRUTH: "boolean"}


def _json_type(column: Column) -> Schema:
    kind = _JSON_TYPE[column.dtype]
    return {"type": [kind, "null"] if column.nullable else kind, "description": column.meaning}


def _table() -> Schema:
    columns = [*_head(), *_kpi_columns(), *(c for c in _tail() if c.name != "folder")]
    optional = [c.name for c in columns if c.name.startswith((SCORE, "utilisation_"))]
    row = _object({c.name: _json_type(c) for c in columns}, optional=optional)
    custom = {f"^{SCORE}": _MAYBE}
    return _list(row | {"patternProperties": custom}) | {"description": "One row per point."}


def _sweep() -> Schema:
    point = _map({"type": ["number", "string", "boolean"]})
    maybe_whole = {"type": ["integer", "null"]}
    parts = {
        "name": _TEXT,
        "description": _TEXT,
        "source": _TEXT | {"description": "The scenario's name or file."},
        "replications": maybe_whole,
        "until": {"type": ["string", "null"]},
        "max_replications": maybe_whole,
        "axes": _list(_TEXT) | {"description": "Columns of the axes."},
        "points": _map(point) | {"description": "Folder of a point → its value on every axis."},
        "overrides": _map(_list(_TEXT)) | {"description": "Folder → path=value texts."},
    }
    return _object(parts, description="What was asked of a sweep.")


def schema_of_results() -> Schema:
    """File → its columns (tables) or its JSON Schema, as plain data for `json.dumps`."""
    tidy = [_axis("<axis>"), *_head(), *_kpi_columns(), *_tail()]
    scores = "score_<name>: any other metric of the task, double, null where nothing was scored"
    return {
        "requests.parquet": {
            "rows": "one request",
            "columns": [asdict(column) for column in (*REQUESTS, *SCORES)],
            "optional": [column.name for column in SCORES],
            "more": scores,
            "stages": [asdict(stage) for stage in STAGES],
        },
        "traffic.csv": {
            "rows": "one request; written by `simsplit export RUN --format csv`",
            "columns": [asdict(column) for column in TRAFFIC],
        },
        "points.csv": {
            "rows": "one operating point of one point of a sweep: simsplit.load_results",
            "columns": [asdict(column) for column in tidy],
            "optional": [c.name for c in tidy if c.name.startswith((SCORE, "utilisation_"))],
        },
        "summary.json": _summary(),
        "manifest.json": _manifest(),
        "table.json": _table(),
        "sweep.json": _sweep(),
    }
