"""Axes are known by name: in tables, alone on disk, in any order of columns, and never dropped."""

from __future__ import annotations

import io
import shutil
import warnings
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import designs
import simsplit
from simsplit.cli.terminal import app
from simsplit.errors import ArtefactError
from simsplit.results import frames, tables
from simsplit.results.labels import distinct_labels
from simsplit.results.sweep_table import load_results

AXIS = "devices.separate.operating_point"


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two points that differ in a group's operating point alone."""
    folder = tmp_path_factory.mktemp("swept") / "sweep"
    axes = {AXIS: ["png", "feature_8bit"]}
    simsplit.sweep("digits_smoke", axes, out=folder, workers=0, replications=2)
    return folder


def written(folder: Path, ending: str, tmp_path: Path, *options: str) -> str:
    out = tmp_path / f"t{ending}"
    done = CliRunner().invoke(app, ["table", str(folder), *options, "--out", str(out)])
    assert done.exit_code == 0, done.output
    return out.read_text()


def test_a_groups_operating_point_is_a_column_of_its_own(swept: Path, tmp_path: Path) -> None:
    text = written(swept, ".md", tmp_path, "--where", "operating_point == png")
    header, _, *rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    assert header[1:3] == ["separate operating point", "operating point"]
    assert [row[1] for row in rows] == ["png", "feature_8bit"]


def test_rows_are_told_apart_whatever_columns_are_asked_for(swept: Path, tmp_path: Path) -> None:
    text = written(swept, ".csv", tmp_path, "--columns", "accuracy")
    frame = pd.read_csv(io.StringIO(text))
    assert list(frame.columns[:2]) == [AXIS, "operating_point"]
    assert not frame.duplicated([AXIS, "operating_point"]).any()
    one = written(swept, ".csv", tmp_path, "--columns", "accuracy", "--where", f"{AXIS} == png",
                  "--where", "operating_point == png")  # fmt: skip
    assert list(pd.read_csv(io.StringIO(one)).columns[:1]) == ["score_accuracy"]


def test_an_axis_that_one_row_is_left_of_stays(swept: Path, tmp_path: Path) -> None:
    text = written(swept, ".md", tmp_path, "--where", f"{AXIS} == png")
    assert text.startswith("| separate operating point |")


@pytest.mark.parametrize("name", ["points.parquet", "points.csv"])
def test_a_table_beside_its_sweep_knows_its_axes(swept: Path, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frames.axes_of(load_results(swept / name)) == [AXIS]
        assert frames.axes_of(load_results(swept)) == [AXIS]


def test_a_parquet_table_alone_knows_its_axes_in_any_order(swept: Path, tmp_path: Path) -> None:
    frame = load_results(swept)
    frame[[*frame.columns[1:], AXIS]].to_parquet(tmp_path / "last.parquet", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert frames.axes_of(load_results(tmp_path / "last.parquet")) == [AXIS]


def test_a_csv_table_alone_is_read_by_position_and_says_so(swept: Path, tmp_path: Path) -> None:
    shutil.copy(swept / "points.csv", tmp_path / "alone.csv")
    with pytest.warns(UserWarning, match=f"does not name its axes.*{AXIS}"):
        frame = load_results(tmp_path / "alone.csv")
    assert frames.axes_of(frame) == [AXIS]
    done = CliRunner().invoke(app, ["table", str(tmp_path / "alone.csv"), "--columns", "accuracy"])
    assert done.exit_code == 0, done.output
    assert "feature_8bit" in done.stdout


@pytest.mark.parametrize(("name", "told"), [("t.txt", "neither a folder"), ("t.csv", "no column")])
def test_other_files_are_no_tables(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / name).write_text("a,b\n1,2\n")
    with pytest.raises(ArtefactError, match=told):
        load_results(tmp_path / name)


def test_an_axis_behind_the_operating_point_is_an_axis() -> None:
    table = designs.table()
    moved = table[[*table.columns[2:], designs.SNR, designs.SPLIT]]
    assert frames.varying(moved) == ["operating_point", designs.SNR, designs.SPLIT]
    assert list(tables.table(moved).text.columns[:3]) == [
        "$E_s/N_0$ [dB]", "split", "operating point",
    ]  # fmt: skip


def test_a_run_has_no_axes(swept: Path) -> None:
    run = next(path.parent for path in swept.glob("*/requests.parquet"))
    assert frames.axes_of(load_results(run)) == []
    assert frames.axes_of(tables.read_table(run)) == []


def test_labels_that_would_be_alike_are_told_apart() -> None:
    assert distinct_labels(["cell.channel.snr_db", "operating_point"]) == [
        "$E_s/N_0$ [dB]", "operating point",
    ]  # fmt: skip
    assert distinct_labels(["cell.channel.snr_db", "cloud.snr_db"]) == [
        "channel $E_s/N_0$ [dB]", "cloud $E_s/N_0$ [dB]",
    ]  # fmt: skip
    assert distinct_labels(["a.x.gain_db", "b.x.gain_db"]) == ["a.x.gain_db", "b.x.gain_db"]


def test_curves_of_points_that_read_alike_have_names_of_their_own() -> None:
    """(png, jpeg, jpeg) and (png, png, jpeg) are both 'png, jpeg' if a word is said once."""
    keys = ["operating_point", "near", "far"]
    texts = frames.design_texts(keys, [("png", "jpeg", "jpeg"), ("png", "png", "jpeg")])
    assert texts == [
        "operating point png, near jpeg, far jpeg",
        "operating point png, near png, far jpeg",
    ]
    assert frames.design_texts(keys[:2], [("png", "png"), ("png", "jpeg")]) == ["png", "png, jpeg"]


def test_a_groups_operating_point_is_not_the_curves_own() -> None:
    keys = ["operating_point", "devices.cams.operating_point"]
    texts = frames.design_texts(keys, [("png", "png"), ("png", "jpeg"), ("jpeg", "jpeg")])
    assert texts == ["png, cams: png", "png, cams: jpeg", "jpeg, cams: jpeg"]
