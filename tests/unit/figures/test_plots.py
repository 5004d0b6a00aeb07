"""Figures of one run: units, legends, what they count; files of every kind; mistakes are named."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import synthetic
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.figures import kinds as drawing
from simsplit.figures import requests, style
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.results.store import Result

RUN_KINDS = ("latency_cdf", "latency_by_stage", "energy_by_part")
ENDINGS = [".png", ".pdf", ".pgf", ".csv"]


@pytest.mark.parametrize(
    ("draw", "label"),
    [
        (requests.cdf_drawing, "latency [ms]"),
        (requests.stage_drawing, "mean latency [ms]"),
        (requests.energy_drawing, "energy per request [mJ]"),
    ],
)
def test_run_figures_have_units_and_legend(
    draw: Callable[[pd.DataFrame], Drawing], label: str
) -> None:
    figure = draw(synthetic.requests()).figure
    assert figure.axes[0].get_xlabel() == label
    assert figure.legends and figure.get_figwidth() == 3.5


def test_cdf_counts_lost_requests() -> None:
    rows = synthetic.requests()
    ax = requests.cdf_drawing(rows).figure.axes[0]
    ends = {line.get_label(): np.asarray(line.get_ydata())[-1] for line in ax.lines}
    jpeg = rows[rows["operating_point"] == "jpeg"]
    assert ends["jpeg"] == pytest.approx(jpeg["delivered"].mean()) and ends["jscc"] == 1


def test_cdf_leaves_its_numbers() -> None:
    made = requests.cdf_drawing(synthetic.requests())
    for line in made.figure.axes[0].lines:
        part = made.data[made.data["operating_point"] == line.get_label()]
        assert np.allclose(line.get_xdata(), 1e3 * part["latency_s"])
        assert np.allclose(line.get_ydata(), part["fraction"])


def test_bars_leave_their_numbers() -> None:
    rows = synthetic.requests()
    made = requests.energy_drawing(rows)
    widths = [[bar.get_width() for bar in bars] for bars in made.figure.axes[0].containers]
    parts = made.data.drop(columns="operating_point").to_numpy()
    assert np.allclose(widths, 1e3 * parts.T)
    mean_j = rows.groupby("operating_point", sort=False)["energy_j"].mean()
    assert np.allclose(parts.sum(axis=1), mean_j)


def test_stages_fill_the_latency() -> None:
    rows = synthetic.requests()
    closed = rows[rows["latency_s"].notna()].copy()
    stages = requests.stage_times(closed)
    assert "other" not in stages
    assert np.allclose(stages.sum(axis=1), closed["latency_s"])
    closed["latency_s"] += 0.5
    assert np.allclose(requests.stage_times(closed)["other"], 0.5)


def test_files_of_a_run(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    paths = drawing.plot_result(drawing_result(tmp_path / "run"), tmp_path / "figures")
    assert [path.name for path in paths] == [k + ending for k in RUN_KINDS for ending in ENDINGS]
    assert all(path.stat().st_size > 200 for path in paths)
    one = drawing.plot(tmp_path / "run", "energy_by_part", tmp_path / "one")
    assert [path.name for path in one] == [f"energy_by_part{ending}" for ending in ENDINGS]
    again = [(tmp_path / "figures" / path.name).read_bytes() for path in one]
    assert [path.read_bytes() for path in one] == again  # no date, nothing random


def drawing_result(folder: Path) -> Result:
    from simsplit.results.store import read_result

    return read_result(folder)


def test_figures_of_a_result_are_drawn_once(tmp_path: Path) -> None:
    result = synthetic.store(tmp_path / "run")
    assert len(drawing.plot_once(result)) == 12
    assert drawing.plot_once(result) == []


def test_report_figures_by_name(tmp_path: Path) -> None:
    figures = drawing.run_figures(synthetic.store(tmp_path / "run"))
    assert tuple(figures) == RUN_KINDS
    assert style.png_bytes(figures["latency_cdf"]).startswith(b"\x89PNG")


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'latency_cdf'"):
        drawing.plot(tmp_path, "latency_cfd", tmp_path)
    with pytest.raises(ArtefactError, match="neither a result nor a sweep"):
        drawing.plot(tmp_path / "none", "all", tmp_path / "out")
    synthetic.store(tmp_path / "run")
    with pytest.raises(ScenarioError, match=r"one run, the figure needs a sweep.*latency_cdf"):
        drawing.plot(tmp_path / "run", "heatmap", tmp_path)
    with pytest.raises(ScenarioError, match="ieee_column"):
        drawing.draw(tmp_path / "run", "latency_cdf", PlotOptions(style="ieee_colum"))


def test_no_request_in_the_window(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run", warmup_s=99.9999)
    made = drawing.draw(tmp_path / "run", "latency_cdf")
    assert made.data.empty
    assert "jpeg (no requests)" in [line.get_label() for line in made.figure.axes[0].lines]


@pytest.mark.parametrize("kind", RUN_KINDS)
def test_request_figures_heed_where_and_by(tmp_path: Path, kind: str) -> None:
    synthetic.store(tmp_path / "run")
    whole = drawing.draw(tmp_path / "run", kind).data
    one = drawing.draw(tmp_path / "run", kind, PlotOptions(where=("group == g_jpeg",))).data
    assert set(one["operating_point"]) == {"jpeg"}
    mine = whole[whole["operating_point"] == "jpeg"].reset_index(drop=True)
    pd.testing.assert_frame_equal(one, mine[list(one)])
    groups = drawing.draw(tmp_path / "run", kind, PlotOptions(by="group")).data
    assert list(dict.fromkeys(groups["group"])) == [f"g_{name}" for name in synthetic.POINTS]
    with pytest.raises(ScenarioError, match=r"parted by that.*operating_point, group"):
        drawing.draw(tmp_path / "run", kind, PlotOptions(by="bits"))
    with pytest.raises(ScenarioError, match=r"no row.*g_local"):
        drawing.draw(tmp_path / "run", kind, PlotOptions(where=("group == g",)))


def test_nobody_was_answered(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    lost = PlotOptions(where=("status == lost",))
    for kind in ("latency_by_stage", "latency_cdf"):
        ax = drawing.draw(tmp_path / "run", kind, lost).figure.axes[0]
        assert "no answers" in [text.get_text() for text in ax.texts]


GIVEN = {
    "metric": "accuracy", "axis": "snr_db", "against": "split", "by": "group", "device": 0,
    "start_s": 0.0, "end_s": 9.0, "where": ("group == g_jpeg",),
    "scale": "log", "limits": (0.0, 1.0), "label": {"jpeg": "JPEG"},
}  # fmt: skip


@pytest.mark.parametrize("kind", drawing.KINDS)
def test_options_that_a_kind_cannot_take_are_refused(tmp_path: Path, kind: str) -> None:
    needs, takes = drawing.KINDS[kind].needs, drawing.KINDS[kind].takes
    (tmp_path / {"run": "requests.parquet", "sweep": "sweep.json"}[needs]).touch()
    for name, value in GIVEN.items():
        options = PlotOptions(**{name: value})  # type: ignore[arg-type]
        flag = f"--{name.replace('_', '-')}"
        if name not in takes:
            with pytest.raises(ScenarioError, match=f"{kind} does not take {flag}.*--style"):
                drawing.draw(tmp_path, kind, options)


def test_all_skips_the_kinds_that_cannot_take_an_option(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    paths, left_out = drawing.plot_all(tmp_path / "run", tmp_path, PlotOptions(by="group"))
    assert {path.stem for path in paths} == set(RUN_KINDS) and not left_out
    with pytest.raises(ScenarioError, match=r"no figure of a run takes --metric.*--where"):
        drawing.plot_all(tmp_path / "run", tmp_path, PlotOptions(metric="accuracy"))
    with pytest.raises(ScenarioError, match="no row of the table has that"):
        drawing.plot_all(tmp_path / "run", tmp_path, PlotOptions(where=("group == g",)))


def test_policies_take_no_options(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from simsplit.cli.terminal import app

    called = ["plot", str(tmp_path), "--kind", "policies", "--metric", "accuracy"]
    result = CliRunner().invoke(app, called)
    assert result.exit_code == 2
    assert "policies does not take --metric, nor any other option" in result.output


def _dashes(line: object) -> tuple[int, float]:
    """How many dashes a line repeats, and the longest of them in line widths."""
    from matplotlib import rcParams

    names = {"--": "dashed", "-.": "dashdot", ":": "dotted"}
    pattern = rcParams[f"lines.{names[line]}_pattern"] if line in names else line[1]  # type: ignore
    return len(pattern) // 2, max(pattern[::2])


def test_no_two_lines_look_alike() -> None:
    looks = [_dashes(line) for line in style.LINES[1:6]]
    for (count, longest), (other, length) in itertools.combinations(looks, 2):
        assert count != other or max(longest, length) > 1.5 * min(longest, length)
