"""A run's report says what the run says: escaped, complete, the same bytes every time."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import folders
import synthetic
from simsplit.errors import ArtefactError
from simsplit.pages.charts import script_json
from simsplit.pages.kpi_tables import GLOSSARY, definition, estimate_text
from simsplit.pages.question import question
from simsplit.pages.report import page, report
from simsplit.pages.run_charts import (
    MOST_POINTS,
    energy_by_part,
    latency_by_stage,
    latency_cdf,
    requests_under_way,
    thinned,
)
from simsplit.pages.run_page import run_page
from simsplit.pages.slowest import slowest_html
from simsplit.pages.tradeoff import tradeoff
from simsplit.results.kpis import flat_rows
from simsplit.results.stages import stages_ms
from simsplit.results.store import Result, read_result
from simsplit.results.summary import summarise

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.run_folder(tmp_path_factory.mktemp("report") / "run", description="A & <b>B</b>")


@pytest.fixture(scope="module")
def text(folder: Path) -> str:
    return page(folder)


def own_part(text: str) -> str:
    """The page without the libraries at its end."""
    return text.partition("<footer>")[0]


def test_every_part_is_there_in_order(text: str) -> None:
    parts = ["question", "warnings", "kpis", "figures", "slowest", "scenario", "provenance"]
    assert re.findall(r'<section id="([a-z]+)"', text) == parts
    assert re.findall(r'<li><a href="#([a-z]+)"', text) == parts
    charts = ["latency-cdf", "latency-by-stage", "energy-by-part", "tradeoff", "under-way"]
    assert re.findall(r'<figure class="chart" id="([a-z-]+)"', text) == charts


def test_text_of_the_user_is_escaped(tmp_path: Path) -> None:
    hostile = "</script><script>alert('x')</script>"
    found = own_part(page(folders.run_folder(tmp_path / "run", description=hostile)))
    assert "<script>" not in found and "&lt;/script&gt;&lt;script&gt;" in found


def test_nothing_is_loaded(text: str) -> None:
    own = own_part(text)
    assert not re.search(r"(src|href)=\"(?!#)", own)
    assert "http:" not in own and "https:" not in own
    assert "default-src 'none'" in own
    assert text.count("plotly.js v") == 1  # bundled, once


def test_charts_hold_numbers_or_null(text: str) -> None:
    blocks = re.findall(r'<script type="application/json">(.*?)</script>', text, re.S)
    assert len(blocks) == 5

    def forbidden(constant: str) -> Any:
        raise AssertionError(constant)

    for block in blocks:
        json.loads(block, parse_constant=forbidden)


def test_json_stays_inside_its_element() -> None:
    found = script_json({"text": "</script>\u2028", "numbers": np.array([1 / 3, np.nan, -np.inf])})
    assert "<" not in found and "\u2028" not in found
    assert json.loads(found) == {"text": "</script>\u2028", "numbers": [0.333333, None, None]}


def test_the_same_result_gives_the_same_bytes(folder: Path, text: str, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "elsewhere")
    path = report(tmp_path / "elsewhere")
    assert path.read_text(encoding="utf-8") == text == page(folder)
    assert [p.name for p in path.parent.glob("*.part")] == []


def test_a_folder_that_is_neither(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match="sweep"):
        report(tmp_path)
    with pytest.raises(ArtefactError, match="no such"):
        report(tmp_path / "none")


def test_kpis_of_the_summary_are_in_the_table(folder: Path, text: str) -> None:
    summary = read_result(folder).summary
    kpi = summary["operating_points"]["jscc"]["score_miou"]
    arms = kpi["mean"] - kpi["ci_low"], kpi["ci_high"] - kpi["mean"]
    assert estimate_text(kpi["mean"], *arms) in text
    for name, value in summary["overall"].items():
        assert not isinstance(value, dict) or "mean" not in value or f"<code>{name}</code>" in text


@pytest.mark.parametrize(
    ("mean", "half", "said"),
    [
        (5.3512, 0.5449, "5.35 ± 0.54"),
        (10.04, 3.3, "10.0 ± 3.3"),
        (27512.4, 812.0, "27,512 ± 812"),
        (5.98835, 1e-17, "5.988 ± 0"),
        (0.0, 0.0, "0 ± 0"),
        (0.66, 0.00123, "0.6600 ± 0.0012"),
    ],
)
def test_a_mean_is_as_precise_as_its_interval(mean: float, half: float, said: str) -> None:
    assert estimate_text(mean, half, half) == said


def test_the_glossary_is_the_readmes(folder: Path) -> None:
    readme = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    section = readme.partition("## Definition of every metric")[2].partition("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    defined = {name for row in rows for name in re.findall(r"`(\w+)`", row[1])}
    assert len(defined) > 15 and defined <= GLOSSARY.keys()
    overall = read_result(folder).summary["overall"]
    kpis = {name for name, value in overall.items() if isinstance(value, dict) and "mean" in value}
    assert kpis <= GLOSSARY.keys()
    assert definition("utilisation_device_max").label == "utilisation of device max"
    assert definition("score_own").formula  # one that a user's task adds


def test_the_question_names_what_is_compared() -> None:
    asked = question(synthetic.scenario())
    for word in ("8 devices", "phone", "jpeg, entropy, jscc and local"[:4], "snr 10 dB", "3.5 GHz"):
        assert word in asked
    assert "10 dB" not in question(synthetic.scenario(), ["cell.channel.snr_db"])


def test_a_point_that_nobody_took_is_named() -> None:
    scenario, rows = synthetic.scenario(), synthetic.requests()
    rows = rows[rows["operating_point"] != "entropy"]
    summary = summarise(scenario, rows, synthetic.stations())
    text = run_page(Result(None, scenario, rows, summary, {}))
    assert "<strong>unused</strong> no request took operating point entropy" in text


def test_the_command_runs_the_scenario_beside_the_page(folder: Path, text: str) -> None:
    assert "simsplit run scenario.yaml" in text and (folder / "scenario.yaml").is_file()
    manifest = read_result(folder).manifest
    assert manifest["digest"] in text and manifest["artefacts"]["weights"] in text


# --- charts -----------------------------------------------------------------------------------


def figures() -> list[Any]:
    rows = synthetic.requests()
    made = [latency_cdf(rows), latency_by_stage(rows), energy_by_part(rows)]
    return [*made, requests_under_way(synthetic.scenario(), rows)]


def test_plotly_knows_every_key() -> None:
    import plotly.graph_objects as go

    for chart in figures():
        content = json.dumps(chart.content, default=lambda array: array.tolist())
        plain = re.sub(r'"@\w+(/[\d.]+)?"', '"#123456"', content)
        go.Figure(json.loads(plain)["data"], json.loads(plain)["layout"])


def test_lost_requests_keep_the_cdf_below_one() -> None:
    rows = synthetic.requests()
    rows.loc[rows["status"] == "lost", "latency_s"] = 0.01  # as a real run stores them
    curves = {curve["name"]: curve for curve in latency_cdf(rows).content["data"]}
    jpeg = rows[rows["operating_point"] == "jpeg"]
    assert curves["jpeg"]["y"][-1] == pytest.approx((jpeg["status"] == "done").mean())
    assert curves["jscc"]["y"][-1] == 1 and curves["jscc"]["y"][0] == 0


@pytest.mark.parametrize("count", [0, 1, 499, 500, 20_000])
def test_thinning_keeps_the_curve(count: int) -> None:
    kept = thinned(count, MOST_POINTS)
    assert len(kept) <= MOST_POINTS and len(set(kept)) == len(kept)
    if count > MOST_POINTS:
        assert kept[0] == 0 and kept[-1] == count - 1
        assert np.diff(kept).max() / count < 1 / 350  # no step higher than a third of a per cent
    else:
        assert list(kept) == list(range(count))


def test_a_long_run_stays_small_and_says_so() -> None:
    chart = latency_cdf(synthetic.requests(per_point=5_000))
    assert max(len(curve["x"]) for curve in chart.content["data"]) <= MOST_POINTS
    assert f"at most {MOST_POINTS}" in chart.note
    assert "at most" not in latency_cdf(synthetic.requests()).note


def test_quantiles_are_of_all_requests() -> None:
    rows = synthetic.requests()
    table = latency_cdf(rows).numbers
    by_name = {row[0]: dict(zip(table.heading, row, strict=True)) for row in table.rows}
    jscc = rows[rows["operating_point"] == "jscc"]["latency_s"].to_numpy()
    ranked = 1e3 * np.sort(jscc)[int(np.ceil(0.95 * jscc.size)) - 1]
    assert float(by_name["jscc"]["95 % [ms]"]) == pytest.approx(ranked, rel=1e-3)
    assert by_name["jpeg"]["99.9 % [ms]"] == "–"  # fewer than that were ever answered


def test_bars_are_the_means() -> None:
    rows = synthetic.requests()
    stages = latency_by_stage(rows).content["data"]
    mean_ms = 1e3 * rows.groupby("operating_point", sort=False)["latency_s"].mean()
    assert np.allclose(sum(np.array(bar["x"]) for bar in stages), mean_ms)
    parts = energy_by_part(rows).content["data"]
    mean_mj = 1e3 * rows.groupby("operating_point", sort=False)["energy_j"].mean()
    assert np.allclose(sum(np.array(bar["x"]) for bar in parts), mean_mj)


def test_stages_of_replications_are_kept_apart() -> None:
    rows = synthetic.requests(per_point=20, replications=2)
    rows["request_id"] = rows.groupby("replication").cumcount()  # ids begin anew
    closed = rows[rows["latency_s"].notna()]
    assert np.allclose(stages_ms(closed).sum(axis=1), 1e3 * closed["latency_s"])


def test_the_slowest_are_the_slowest() -> None:
    rows = synthetic.requests()
    found = slowest_html(rows)
    ids = [int(number) for number in re.findall(r'<th scope="row" data-sort="(\d+)\.0"', found)]
    assert ids == list(rows.nlargest(10, "latency_s")["request_id"])
    assert found.count('<svg class="bar" role="img"') == 10
    widths = re.findall(r'<svg class="bar".*?</svg>', found)[0]
    drawn = sum(
        float(w) for w in re.findall(r'height="16" fill|width="([\d.]+)" height="16" fill', widths)
    )
    assert drawn == pytest.approx(240, abs=0.1)  # the slowest fills its bar
    assert slowest_html(rows[rows["status"] == "lost"]) == "<p>No request was answered.</p>"


def test_objectives_of_a_tradeoff() -> None:
    result = synthetic.scenario(), synthetic.requests()
    rows = flat_rows(result[0], summarise(*result, synthetic.stations()))
    chart = tradeoff(rows, [row["operating_point"] for row in rows], "title")
    assert chart is not None
    names = [objective["title"] for objective in chart.content["objectives"]]
    assert names[:3] == ["mean IoU", "p95 latency [ms]", "median latency [ms]"]
    assert chart.content["start"] == (1, 0)
    assert tradeoff([{"operating_point": "a", "energy_j": 1.0}], ["a"], "title") is None


def test_a_run_without_an_answer_has_a_report() -> None:
    scenario, rows = synthetic.scenario(), synthetic.requests()
    rows["status"] = "open"
    rows[["latency_s", "closed_s", "edge_end_s"]] = float("nan")
    for part in (rows, rows.iloc[:0]):
        summary = summarise(scenario, part, synthetic.stations())
        text = run_page(Result(None, scenario, part, summary, {}))
        assert "No request was answered." in text
