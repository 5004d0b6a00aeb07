"""JSON Schemas of result files, and `schema_of_results` with all of them and every column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from simsplit.results import metrics
from simsplit.results.columns import (
    KPIS,
    REAL,
    REQUESTS,
    SCORES,
    STATIONS,
    TEXT,
    TRAFFIC,
    TRUTH,
    WHOLE,
    Column,
    axis,
    head,
    kpi_columns,
    tail,
)
from simsplit.results.metrics import SCORE
from simsplit.results.stage_table import STAGES
from simsplit.results.statistics import ALL_DROPS, WITHIN_DROP

Schema = dict[str, Any]
_NUMBER: Schema = {"type": "number"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_TEXT: Schema = {"type": "string"}
_MAYBE: Schema = {"type": ["number", "null"]}
_SCOPE: Schema = {"enum": [ALL_DROPS, WITHIN_DROP, None]}
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
    parts |= {"scope": _SCOPE}
    text = "Mean and 95 % interval; null: none; how it was made, and over which draws it holds."
    return _object(parts, description=text)


_MAY_LACK = (SCORE, "utilisation_", *metrics.POOLED)
_ANY_SCORE = "|".join((SCORE, "pooled_", *(f"{name}_" for name in metrics.POOLED)))


def _kpis() -> Schema:
    counts = {"n": _WHOLE, "status": _map(_WHOLE)}
    parts = counts | {column.name: _kpi() | {"title": column.meaning} for column in KPIS}
    custom = {"patternProperties": {f"^({_ANY_SCORE})": _kpi()}}
    return _object(parts, optional=(*metrics.SCORES, *metrics.POOLED), **custom)


_LEDGER = ("idle_j", "compute_j", "transmit_j", "receive_j", "listen_j", "sleep_j", "total_j")
_SERVER_LEDGER = ("idle_j", "starting_j", "compute_j", "total_j")
_BODY = ("battery_share", "battery_empty_s", "battery_spilled_j")
_HEAT = ("temperature_c", "max_temperature_c", "throttled_s")
_SECONDS = (
    "busy_s",
    "window_busy_s",
    "idle_s",
    "off_s",
    "transmit_s",
    "radio_off_s",
    "receive_s",
    "listen_s",
    "sleep_s",
)
_SERVER = (
    "busy_s",
    "window_busy_s",
    "window_on_s",
    "idle_s",
    "starting_s",
    "off_s",
    "on_s",
    "utilisation",
    *_SERVER_LEDGER,
)
_SERVER_COUNTS = ("workers", "begun", "batches", "refused", "starts")
_SERVER_MEANS = ("mean_batch", "mean_wait_s", "mean_waiting")
_WINDOW = ("window_prb_slots_used", "window_prb_slots_total")
_AIR = ("prb_slots_used", "passed_bits", "prb_slots_total", *_WINDOW)
_HOP = ("up_busy_s", "down_busy_s", "up_bits", "down_bits")


def _device() -> Schema:
    extra = _numbers((*_BODY, *_HEAT), _MAYBE)
    parts = {"device": _WHOLE, "group": _TEXT} | _numbers((*_SECONDS, *_LEDGER)) | extra
    return _object(parts, optional=list(extra), description="One device up to end_s.")


def _server(hop: Sequence[str] = ()) -> Schema:
    parts = _numbers(_SERVER_COUNTS, _WHOLE) | _numbers((*_SERVER, *_SERVER_MEANS, *hop))
    return _object(parts, description="All workers of one server up to end_s.")


def _air() -> Schema:
    return _object(_numbers(_AIR))


def _station() -> Schema:
    parts = {
        "replication": _WHOLE,
        "window_s": _NUMBER,
        "end_s": _NUMBER,
        "devices": _list(_device()),
        "radio": _air(),
        "handovers": _WHOLE,
        "late_arrivals": _map(_WHOLE),
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
        "drawn_once": _list(_TEXT) | {"description": "What holds for a whole replication."},
        "interval_scope": _SCOPE,
        "window_s": _list(_NUMBER) | {"minItems": 2, "maxItems": 2},
        "confidence": _NUMBER,
        "overall": _kpis(),
        "operating_points": _map(_kpis()),
        "groups": _map(_kpis()),
        "utilisation": _object(_numbers(STATIONS, _kpi()), optional=("cloud", "downlink")),
        "offered_load": _object(_numbers(STATIONS, _kpi()), optional=("cloud", "downlink")),
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
    columns = [*head(), *kpi_columns(), *(c for c in tail() if c.name != "folder")]
    optional = [c.name for c in columns if c.name.startswith(_MAY_LACK)]
    row = _object({c.name: _json_type(c) for c in columns}, optional=optional)
    custom = {f"^({_ANY_SCORE})": _MAYBE}
    return _list(row | {"patternProperties": custom}) | {"description": "One row per point."}


def _pooled() -> Schema:
    """Of results with KPIs that no single request has."""
    one = {
        "value": _NUMBER,
        "pseudo": _list(_NUMBER),
        "n": _WHOLE,
        "replications": _list(_WHOLE),
    }
    text = "Part (empty: the whole, operating_point:NAME, group:NAME) → pooled KPI → its jackknife."
    return _map(_map(_object(one))) | {"description": text}


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
    tidy = [axis("<axis>"), *head(), *kpi_columns(), *tail()]
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
            "optional": [c.name for c in tidy if c.name.startswith(_MAY_LACK)],
        },
        "summary.json": _summary(),
        "manifest.json": _manifest(),
        "table.json": _table(),
        "pooled.json": _pooled(),
        "sweep.json": _sweep(),
    }
