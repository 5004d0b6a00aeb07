"""`simsplit schema`: a JSON Schema that every bundled scenario fits, and that mistakes do not."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from simsplit.cli import app
from simsplit.scenario.bundled import bundled_names, scenarios_dir

SCHEMA = json.loads(CliRunner().invoke(app, ["schema"]).stdout)


class EditorsLoader(yaml.SafeLoader):
    """YAML as editors read it: ``3.5e9`` is a number, which in YAML 1.1 is text."""


EditorsLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"),
    list("-+.0123456789"),
)


def content(name: str) -> dict[str, Any]:
    text = (scenarios_dir() / f"{name}.yaml").read_text(encoding="utf-8")
    return yaml.load(text, EditorsLoader)


def faults(value: dict[str, Any]) -> list[str]:
    found = Draft202012Validator(SCHEMA).iter_errors(value)
    return [f"{fault.json_path}: {fault.message}" for fault in found]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", bundled_names())
def test_a_bundled_scenario_fits(name: str) -> None:
    assert faults(content(name)) == []


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"durations_s": 3}, "$: "),
        ({"duration_s": "long"}, "$.duration_s: "),
        ({"devices": []}, "$.devices: "),
        ({"cell": {"carrier_hz": 1e9}}, "$.cell: "),
        ({"edge": {"hardware": "edge_gpu", "max_batch": 0}}, "$.edge"),
    ],
)
def test_a_mistake_does_not(change: dict[str, Any], place: str) -> None:
    found = faults(content("urban_5g") | change)
    assert any(fault.startswith(place) for fault in found), found
