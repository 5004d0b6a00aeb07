"""`simsplit splits`: where a network can be cut, what would travel, and the work on either side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from simsplit.cli.network_tables import CUT_COLUMNS, cut_mappings, cut_rows, predicted_lines
from simsplit.cli.terminal import app
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.networks.opened import split_points

SMALL = ("squeezenet1_1", "--height-px", "64", "--width-px", "64")
ALEXNET_PARAMETERS = 61_100_840  # torchvision's model page


def said(*arguments: str) -> Any:
    result = CliRunner().invoke(app, ["splits", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def alexnet() -> Any:
    return split_points("alexnet")


def test_alexnet_by_hand(alexnet: Any) -> None:
    size, points = alexnet
    rows = {row[0]: dict(zip(CUT_COLUMNS, row, strict=True)) for row in cut_rows(points)}
    assert size.float32 == 4 * 3 * 224 * 224 and size.uint8 == 3 * 224 * 224
    last_pool = rows["features.12"]
    assert last_pool["carried"] == "256x6x6" and last_pool["KiB"] == "36"
    assert last_pool["smaller than"] == "input"
    assert rows["features.0"]["head MMAC"] == f"{64 * 3 * 11 * 11 * 55 * 55 / 1e6:.4g}"
    assert rows["features.0"]["smaller than"] == ""
    assert rows["classifier.5"]["tail MMAC"] == f"{4096 * 1000 / 1e6:.4g}"
    assert rows["output"]["smaller than"] == "input, JPEG"
    assert rows["input"]["head k"] == rows["output"]["tail k"] == "0"
    assert rows["input"]["tail k"] == rows["output"]["head k"] == f"{ALEXNET_PARAMETERS / 1e3:,.0f}"


def test_rows_run_from_the_input_to_the_output(alexnet: Any) -> None:
    rows = cut_rows(alexnet[1])
    assert (rows[0][0], rows[-1][0]) == ("input", "output")
    assert all(len(row) == len(CUT_COLUMNS) for row in rows)


def test_mappings_are_plain_and_add_up(alexnet: Any) -> None:
    found = json.loads(json.dumps(cut_mappings(alexnet[1])))
    assert list(found[0]) == [
        "name", "shapes", "bytes", "head_macs", "tail_macs", "head_params", "tail_params",
        "is_bottleneck", "below_jpeg",
    ]  # fmt: skip
    assert {m["head_macs"] + m["tail_macs"] for m in found} == {found[0]["tail_macs"]}
    assert {m["head_params"] + m["tail_params"] for m in found} == {ALEXNET_PARAMETERS}
    pool = next(m for m in found if m["name"] == "features.12")
    assert pool["shapes"] == [[256, 6, 6]] and pool["bytes"] == 36 * 1024
    assert pool["is_bottleneck"] is True and pool["below_jpeg"] is False


def test_a_cut_that_carries_two_tensors_says_both() -> None:
    _, points = split_points("squeezenet1_1", height_px=64, width_px=64)
    rows = {row[0]: row for row in cut_rows(points)}
    assert rows["features.3.expand1x1_activation"][1] == "16x15x15 + 64x15x15"
    assert rows["features.3.expand1x1_activation"][2] == f"{80 * 15 * 15 * 4 / 1024:.4g}"


def test_leaves_stay_whole() -> None:
    _, all_points = split_points("squeezenet1_1", height_px=64, width_px=64)
    _, points = split_points(
        "squeezenet1_1", height_px=64, width_px=64, leaves=("features.3", "features.4")
    )
    names = [point.name for point in points]
    assert "features.3" in names and "features.6.squeeze" in names
    assert not [name for name in names if name.startswith(("features.3.", "features.4."))]
    assert points[0].tail_macs == all_points[0].tail_macs


def test_weights_need_a_file_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError):
        split_points("squeezenet1_1", height_px=64, width_px=64, weights=str(tmp_path / "no.pt"))


def test_an_unknown_model_is_named() -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'resnet18'"):
        split_points("resnet_18")


# --- the verb ---------------------------------------------------------------------------------


def test_the_table() -> None:
    text = said(*SMALL)
    assert "squeezenet1_1 at 64 x 64: input 48 KiB as float32, 12 as bytes" in text
    assert all(word in text for word in ("classifier.1", "512x3x3", "head MMAC", "output"))


def test_json_holds_every_cut_and_the_input() -> None:
    found = json.loads(said(*SMALL, "--json"))
    assert found["input_bytes"]["float32"] == 4 * found["input_bytes"]["uint8"] == 49152
    _, points = split_points("squeezenet1_1", height_px=64, width_px=64)
    assert found["points"] == json.loads(json.dumps(cut_mappings(points)))


def test_bottlenecks_are_the_cuts_below_the_input() -> None:
    every = json.loads(said(*SMALL, "--json"))["points"]
    small = json.loads(said(*SMALL, "--json", "--bottlenecks"))["points"]
    assert small == [point for point in every if point["bytes"] < 3 * 64 * 64]
    assert 0 < len(small) < len(every) and small[-1]["name"] == "output"


def test_leaf_may_be_said_twice() -> None:
    text = said(*SMALL, "--leaf", "features.3", "--leaf", "features.4")
    assert "features.3.squeeze" not in text and "features.4.squeeze" not in text
    assert "features.6.squeeze" in text


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["alexnett"], ["'alexnett'", "Did you mean 'alexnet'?"]),
        (["no.such.package:Net"], ["cannot be imported", "'no.such.package:Net'"]),
        (["json:Net"], ["json has no such class", "'Net'"]),
        (["alexnet", "--weights", "no.safetensors"], ["no.safetensors"]),
        (
            ["alexnet", "--height-px", "8", "--width-px", "8"],
            ["does not take an input of 1 x 3 x 8 x 8", "too small"],
        ),
        (["alexnet", "--height-px", "0"], ["--height-px"]),
    ],
)
def test_mistakes_are_exit_code_2(arguments: list[str], texts: list[str]) -> None:
    result = CliRunner().invoke(app, ["splits", "--allow-code", *arguments])
    assert result.exit_code == 2 and not result.stdout, result.output
    assert all(text in result.stderr for text in texts), result.stderr
    assert "Traceback" not in result.output


def test_a_predictor_adds_what_the_network_would_take() -> None:
    _, points = split_points("squeezenet1_1", height_px=96, width_px=96)
    lines = predicted_lines(points, "latency_cpu")
    assert lines[-1].startswith("latency_cpu: total ") and len(lines) > 3
    assert sum(float(line.split()[2]) for line in lines[:-1]) == pytest.approx(
        float(lines[-1].split()[2]), rel=0.01
    )


def test_options_are_said_as_in_yaml() -> None:
    options = ("backbone=resnet", "heads={scale: 8, shape: 4}", "width=4")
    _, points = split_points("mtl_split", height_px=64, width_px=64, options=options)
    (flat,) = [point for point in points if point.name == "flatten"]
    assert flat.shapes == ((4 * 8 * 4 * 4,),)
    assert flat.tail_params == 2 * (512 * 256 + 256) + 256 * 12 + 12


@pytest.mark.parametrize(
    ("options", "path", "message"),
    [
        (("backbone",), "", "KEY=VALUE|key=value|="),
        (("backbone=resnets", "heads={scale: 8}"), "options.backbone", "Did you mean 'resnet'"),
        (("backbone=resnet", "heads={1: 8}"), "options.heads", "valid string"),
        (("backbone=resnet", "heads=null"), "options.heads", "valid"),
    ],
)
def test_options_that_are_wrong(options: tuple[str, ...], path: str, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as told:
        split_points("mtl_split", height_px=64, width_px=64, options=options)
    assert path in told.value.path
