"""The documented schema: real runs have exactly these columns and types, and their JSON fits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

import simsplit
from simsplit.cli.terminal import app
from simsplit.results.columns import REQUESTS, SCORES
from simsplit.results.schema import schema_of_results
from simsplit.results.stage_table import STAGES
from simsplit.results.store import read_result
from simsplit.sim.request import ROW_FIELDS

SCHEMA = schema_of_results()
CLASSIFICATION = ("score_accuracy", "score_accuracy_in_time")
OF_OTHER_ANSWERS = ("score_top5", "score_rmse")
STREETS = tuple(
    column.name for column in SCORES if column.name not in (*CLASSIFICATION, *OF_OTHER_ANSWERS)
)


def faults(value: Any, schema: dict[str, Any]) -> list[str]:
    """What JSON Schema (draft 2020-12) finds wrong, each with its place."""
    found = Draft202012Validator(schema).iter_errors(value)
    return [f"{fault.json_path}: {fault.message}" for fault in found]


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


@pytest.mark.parametrize("name", [name for name in SCHEMA if name.endswith(".json")])
def test_a_schema_is_one(name):
    """A keyword that JSON Schema does not know would be ignored: a misspelt rule holds nobody."""
    Draft202012Validator.check_schema(SCHEMA[name])
    known = {*Draft202012Validator.VALIDATORS, "title", "description", "default"}
    for part in parts_of(SCHEMA[name]):
        assert set(part) <= known


def parts_of(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema and every schema in it."""
    yield schema
    inner = [schema.get("items"), schema.get("additionalProperties")]
    for key in ("properties", "patternProperties"):
        inner += schema.get(key, {}).values()
    for part in inner:
        if isinstance(part, dict):
            yield from parts_of(part)


@pytest.mark.parametrize("name", ["summary.json", "manifest.json", "table.json"])
def test_files_fit_their_schema(folder, name):
    content = json.loads((folder / name).read_text())
    assert faults(content, SCHEMA[name]) == []


def test_a_sweeps_description_fits(tmp_path):
    from simsplit.results.sweep_folder import Described, write_description

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
