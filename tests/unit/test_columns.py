"""The documented schema: real runs have exactly these columns and types, and their JSON fits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

import simsplit
from simsplit.cli import app
from simsplit.columns import REQUESTS, SCORES, STAGES, schema_of_results
from simsplit.results import read_result
from simsplit.sim.request import ROW_FIELDS

SCHEMA = schema_of_results()
CLASSIFICATION = ("score_accuracy", "score_accuracy_in_time")
STREETS = tuple(column.name for column in SCORES if column.name not in CLASSIFICATION)
_TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": int,
}
_CHECKED = {"type", "properties", "required", "additionalProperties", "patternProperties", "items"}
_CHECKED |= {"description", "title", "minimum", "minItems", "maxItems", "pattern"}


def faults(value: Any, schema: dict[str, Any], at: str = "$") -> list[str]:
    """What of JSON Schema the documented ones use; any other keyword is a fault itself."""
    found = [f"{at}: keyword {key}" for key in set(schema) - _CHECKED]
    kinds = schema.get("type", list(_TYPES))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(_is(value, kind) for kind in kinds):
        return [*found, f"{at}: {value!r} is not {kinds}"]
    if isinstance(value, dict):
        found += _members(value, schema, at)
    if isinstance(value, list):
        low, high = schema.get("minItems", 0), schema.get("maxItems", len(value))
        found += [] if low <= len(value) <= high else [f"{at}: {len(value)} items"]
        for position, item in enumerate(value):
            found += faults(item, schema.get("items", {}), f"{at}[{position}]")
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        found.append(f"{at}: {value!r} has not the pattern")
    if "minimum" in schema and value < schema["minimum"]:
        found.append(f"{at}: {value} is too small")
    return found


def _is(value: Any, kind: str) -> bool:
    whole = kind in ("number", "integer") and isinstance(value, bool)
    return isinstance(value, _TYPES[kind]) and not whole


def _members(value: dict[str, Any], schema: dict[str, Any], at: str) -> list[str]:
    found = [f"{at}: lacks {key}" for key in schema.get("required", ()) if key not in value]
    for key, item in value.items():
        inner = [schema["properties"][key]] if key in schema.get("properties", {}) else []
        patterns = schema.get("patternProperties", {})
        inner += [part for pattern, part in patterns.items() if re.search(pattern, key)]
        more = schema.get("additionalProperties", True)
        if not inner and more is False:
            found.append(f"{at}: unknown {key}")
        inner = inner or ([more] if isinstance(more, dict) else [])
        found += [fault for part in inner for fault in faults(item, part, f"{at}.{key}")]
    return found


@pytest.fixture(scope="module")
def digits(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("digits") / "r"
    simsplit.run("digits_smoke", duration_s=1.0, out=folder, replications=2)
    return folder


@pytest.fixture(scope="module")
def exits(tmp_path_factory) -> Path:
    """Early exit, with batteries and heat."""
    folder = tmp_path_factory.mktemp("exits") / "r"
    extra = ["warmup_s=0", "devices.cameras.count=20", "devices.cameras.battery.capacity_j=5"]
    simsplit.run("early_exit", duration_s=2.0, out=folder, overrides=extra)
    return folder


@pytest.fixture(params=["digits", pytest.param("exits", marks=pytest.mark.slow)])
def folder(request) -> Path:
    return request.getfixturevalue(request.param)


def test_requests_have_these_columns_of_these_arrow_types(folder):
    scores = STREETS if read_result(folder).scenario.task.dataset == "streets" else CLASSIFICATION
    columns = [*REQUESTS, *(column for column in SCORES if column.name in scores)]
    schema = pq.read_schema(folder / "requests.parquet")
    assert [(f.name, str(f.type)) for f in schema] == [(c.name, c.dtype) for c in columns]


def test_only_columns_that_may_be_null_are(folder):
    table = pq.read_table(folder / "requests.parquet")
    nullable = {column.name for column in (*REQUESTS, *SCORES) if column.nullable}
    assert {name for name in table.column_names if table[name].null_count} <= nullable


def test_plain_arrow_reads_what_pandas_reads(folder):
    """No pandas metadata is needed: columns, values and nulls are the same without."""
    bare = pq.read_table(folder / "requests.parquet").replace_schema_metadata(None)
    frame = read_result(folder).requests
    assert bare.column_names == list(frame)
    for name in bare.column_names:
        here = [None if value != value else value for value in frame[name].tolist()]
        assert bare[name].to_pylist() == here


def test_rows_are_documented_in_their_order():
    derived = ["latency_s", "energy_j", "deadline_met"]
    assert [column.name for column in REQUESTS] == [*ROW_FIELDS, *derived]


def test_stages_name_columns_in_order_of_time():
    names = [column.name for column in REQUESTS]
    assert all(names.index(stage.start) < names.index(stage.end) for stage in STAGES)
    starts = [names.index(stage.start) for stage in STAGES[:-1]]
    assert starts == sorted(starts)


@pytest.mark.parametrize("name", ["summary.json", "manifest.json", "table.json"])
def test_files_fit_their_schema(folder, name):
    content = json.loads((folder / name).read_text())
    assert faults(content, SCHEMA[name]) == []


def test_a_sweeps_description_fits(tmp_path):
    from simsplit.sweep.folder import Described, write_description

    points = {"0123456789abcdef": {"cell.channel.snr_db": 5, "radio": "plain", "flag": True}}
    texts = {"0123456789abcdef": ["cell.channel.snr_db=5"]}
    for said in (Described(points), Described(points, "n", "s", texts, 3, "latency_s:5%", 9)):
        write_description(tmp_path, said)
        content = json.loads((tmp_path / "sweep.json").read_text())
        assert faults(content, SCHEMA["sweep.json"]) == []
        assert faults(content | {"points": {"a": {"b": [1]}}}, SCHEMA["sweep.json"])


@pytest.mark.parametrize("name", ["summary.json", "manifest.json"])
def test_anything_else_would_not_fit(digits, name):
    """The check bites: each key taken away, added, or of another type is a fault."""
    content = json.loads((digits / name).read_text())
    for key in SCHEMA[name]["required"]:
        assert faults({k: v for k, v in content.items() if k != key}, SCHEMA[name])
        assert faults(content | {key: True}, SCHEMA[name])
    assert faults(content | {"surprise": 1}, SCHEMA[name])


def test_tables_have_these_columns_in_this_order(folder):
    row = json.loads((folder / "table.json").read_text())[0]
    documented = [column["name"] for column in SCHEMA["points.csv"]["columns"]][1:-1]
    assert [name for name in documented if name in row] == list(row)
    optional = SCHEMA["points.csv"]["optional"]
    assert set(documented) - set(row) <= set(optional)


def test_every_column_says_type_unit_and_meaning():
    for table in ("requests.parquet", "traffic.csv", "points.csv"):
        for column in SCHEMA[table]["columns"]:
            assert column["dtype"] in ("int64", "double", "bool", "large_string", "any")
            assert column["meaning"].endswith((".", column["name"].split("_ci")[0])), column
            assert (column["unit"] == "") == (column["dtype"] in ("large_string", "any"))


def test_units_are_those_of_the_names():
    ends = {"_s": "s", "_j": "J", "_bits": "bit", "_db": "dB", "_px": "px"}
    for table in ("requests.parquet", "traffic.csv", "points.csv"):
        for column in SCHEMA[table]["columns"]:
            plain = re.sub("_ci_(low|high)$", "", column["name"])
            end = next((unit for end, unit in ends.items() if plain.endswith(end)), None)
            assert end is None or column["unit"] == end, column


def test_schema_results_is_printed_as_json():
    done = CliRunner().invoke(app, ["schema", "--results"])
    assert done.exit_code == 0
    assert json.loads(done.stdout) == json.loads(json.dumps(SCHEMA))
    assert json.loads(CliRunner().invoke(app, ["schema"]).stdout)["title"] == "Scenario"
