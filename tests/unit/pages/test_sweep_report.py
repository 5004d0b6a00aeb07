"""A sweep's report: axes, points, failures, fronts, and the command that makes it anew."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import folders
from simsplit.pages.provenance import sweep_command
from simsplit.pages.report import page, report
from simsplit.pages.sweep_folder import read_sweep_folder
from simsplit.pages.sweep_page import sweep_page
from simsplit.pages.tradeoff import front, tradeoff, trend
from simsplit.results.kpis import non_dominated
from simsplit.scenario.axis_text import parse_axis


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.sweep_folder(tmp_path_factory.mktemp("report") / "sweep")


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return sweep_page(folder)


def test_every_part_is_there(text: str) -> None:
    parts = ["question", "warnings", "figures", "kpis", "missing", "scenario", "provenance"]
    assert re.findall(r'<section id="([a-z]+)"', text) == parts
    assert re.findall(r'<figure class="chart" id="([a-z-]+)"', text) == ["trend", "tradeoff"]
    assert "<h1>toy_sweep over Es/N0 and resource blocks</h1>" in text


def test_the_report_of_a_sweep_is_in_its_folder(folder: Path, text: str) -> None:
    assert report(folder) == folder / "report.html"
    assert (folder / "report.html").read_text(encoding="utf-8") == text == page(folder)


def test_points_without_a_result_say_why(text: str) -> None:
    assert "the table ends at &lt;30 dB&gt;" in text and "not run yet" in text
    assert "2 points have no result; 1 failed" in text and "4 of 6 points" in text


def test_points_are_linked(folder: Path, text: str) -> None:
    names = list(json.loads((folder / "sweep.json").read_text())["points"])
    assert set(re.findall(r'<a href="(\w+)/"', text)) == set(names[:4])
    report(folder / names[0])
    assert f'href="{names[0]}/report.html"' in sweep_page(folder)
    (folder / names[0] / "report.html").unlink()


def test_the_trend_holds_the_table(folder: Path) -> None:
    sweep = read_sweep_folder(folder)
    content = trend(sweep).content
    assert [axis["values"] for axis in content["axes"]] == [[0, 5], [10, 50]]
    assert [axis["numeric"] for axis in content["axes"]] == [True, True]
    latency = next(kpi for kpi in content["kpis"] if kpi["title"] == "p95 latency [ms]")
    expected = [1e3 * row["latency_p95_s"] for row in sweep.rows]
    assert np.allclose(latency["mean"], expected)
    row = 7
    place = [axis["values"][axis["place"][row]] for axis in content["axes"]]
    assert place == [sweep.rows[row][axis] for axis in sweep.axes]
    assert content["curves"][content["curve"][row]]["name"] == sweep.rows[row]["operating_point"]


def test_axes_of_words_and_of_some_points_only(folder: Path, tmp_path: Path) -> None:
    said = json.loads((folder / "sweep.json").read_text())
    for place, point in enumerate(said["points"].values()):
        point["radio"] = "<plain>" if place % 2 else "{kind: tdl}"
        if place == 2:
            del point["cell.resource_blocks"]
    copy = tmp_path / "sweep"
    copy.mkdir()
    (copy / "sweep.json").write_text(json.dumps(said))
    for name in said["points"]:
        if (folder / name).is_dir():
            (copy / name).symlink_to(folder / name)
    content = trend(read_sweep_folder(copy)).content
    radio = content["axes"][2]
    assert radio["numeric"] is False and radio["values"] == ["tdl", "&lt;plain&gt;"]
    assert content["axes"][1]["place"][8:12] == [-1] * 4
    assert "<plain>" not in sweep_page(copy)


def test_a_large_sweep_is_cut_and_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from simsplit.pages import sweep_page as module

    monkeypatch.setattr(module, "MOST_ROWS", 5)
    found = sweep_page(folder)
    assert "The first 5 of 16 rows" in found
    assert len(re.findall(r'<th scope="row" data-sort', found)) == 5


@pytest.mark.parametrize("count", [0, 1, 50, 2_500])
def test_fronts_are_those_of_pareto(count: int) -> None:
    costs = np.random.default_rng(count).integers(0, 60, (count, 2)).astype(float)
    costs[: count // 10] = np.nan
    assert front(costs) == list(np.flatnonzero(non_dominated(costs)))


def test_of_many_points_the_fronts_and_a_sample_are_drawn() -> None:
    draw = np.random.default_rng(1).random((3_000, 2))
    rows = [{"operating_point": "a", "energy_j": x, "channel_uses": y} for x, y in draw.tolist()]
    chart = tradeoff(rows, [str(i) for i in range(3_000)], "title")
    assert chart is not None and len(chart.content["labels"]) < 2_100
    best = [int(chart.content["labels"][i]) for i in chart.content["fronts"]["0-1"]]
    assert best == list(np.flatnonzero(non_dominated(draw))) and "3000 points" in chart.note


# --- the command ------------------------------------------------------------------------------


def test_the_command_asks_for_the_same_points(folder: Path) -> None:
    said = json.loads((folder / "sweep.json").read_text())
    words = shlex.split(str(sweep_command(said)))
    assert words[:3] == ["simsplit", "sweep", "urban_5g"]
    axes = [words[i + 1] for i, word in enumerate(words) if word == "--axis"]
    assert axes == ["cell.channel.snr_db=0,5,10", "cell.resource_blocks=10,50"]
    assert parse_axis(axes[0]) == ("cell.channel.snr_db", [0, 5, 10])
    assert words[-4:] == ["--replications", "5", "--out", "again"]


def described(points: dict[str, dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"source": "urban_5g", "points": points} | more


def test_what_is_set_everywhere_is_set_again() -> None:
    points = {"a": {"seed": 1}, "b": {"seed": 2}}
    texts = {"a": ["duration_s=4", "seed=1"], "b": ["duration_s=4", "seed=2"]}
    words = str(sweep_command(described(points, overrides=texts)))
    assert "--axis seed=1,2 --set duration_s=4" in words


@pytest.mark.parametrize(
    ("points", "texts"),
    [
        ({"a": {"x": 1, "y": 1}, "b": {"x": 2, "y": 2}}, None),  # zipped
        ({"a": {"x": 1}, "b": {"x": 2, "y": 2}}, None),  # conditional
        ({"a": {"radio": "plain"}}, {"a": ["cell.fading={kind: none}"]}),  # a named variant
        ({"a": {"x": 1}, "b": {"x": 2}}, {"a": ["x=1", "z=1"], "b": ["x=2", "z=2"]}),
    ],
)
def test_points_that_are_no_grid_are_asked_for_as_they_were(points: Any, texts: Any) -> None:
    assert sweep_command(described(points, overrides=texts)) is None


def test_a_folder_can_always_be_run_again(text: str) -> None:
    assert "cp sweep.json again/\nsimsplit sweep again" in text


def test_an_older_sweep_has_a_report(folder: Path, tmp_path: Path) -> None:
    said = json.loads((folder / "sweep.json").read_text())
    old = {key: said[key] for key in ("source", "replications", "points")}
    copy = tmp_path / "old"
    copy.mkdir()
    (copy / "sweep.json").write_text(json.dumps(old))
    name = next(iter(old["points"]))
    (copy / name).symlink_to(folder / name)
    text = sweep_page(copy)
    assert "cp sweep.json" not in text and "<h1>toy over" in text


def test_where_an_axis_does_not_apply_no_table_says_nan(tmp_path: Path) -> None:
    text = sweep_page(folders.conditional_sweep(tmp_path / "conditional"))
    assert not re.search(r"""[>"]nan[<"]""", text)
    assert ">–<" in text
