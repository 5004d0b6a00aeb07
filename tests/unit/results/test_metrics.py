"""The table of metrics and stages: what it says is what the code computes, and it is used."""

from __future__ import annotations

import math

import pytest

import synthetic
from simsplit.messages import Scheme
from simsplit.pages.kpi_tables import GLOSSARY
from simsplit.results import stages
from simsplit.results.columns import KPIS, REQUESTS
from simsplit.results.labels import LABELS, label
from simsplit.results.metrics import (
    BY_NAME,
    COMPLEMENTS,
    MEANS,
    METRICS,
    QUANTILES,
    Better,
    Kind,
    higher_is_better,
    metric,
)
from simsplit.results.schema import schema_of_results
from simsplit.results.stage_table import PARTS, STAGES
from simsplit.results.store import read_result
from simsplit.sim.request import Request
from simsplit.units import UNIT_OF_ENDING, ending_of


def request(status: str) -> Request:
    one = Request(0, 0, 0, "g", "p", Scheme.LOCAL.value, 0, arrival_s=1.0)
    one.close(status, 3.0)
    return one


def test_every_metric_is_there_once_and_says_everything() -> None:
    assert len(BY_NAME) == len(METRICS)
    for one in METRICS:
        assert one.label and one.formula and one.meaning.endswith("."), one.name
        assert one.least < one.most
        assert (one.quantile is not None) == (one.kind is Kind.QUANTILE)
        assert one.source in BY_NAME or one.kind not in (Kind.QUANTILE, Kind.COMPLEMENT)


def test_units_are_those_of_the_names() -> None:
    for one in METRICS:
        expected = UNIT_OF_ENDING.get(ending_of(one.name), one.unit)
        assert one.unit == expected, one.name


def test_latency_of_what_was_lost_is_none_as_the_table_says() -> None:
    assert request("done").row()["latency_s"] == 2.0
    lost = request("lost").row()
    assert math.isnan(lost["latency_s"]) and not lost["deadline_met"]
    for text in (BY_NAME["latency_s"].formula, BY_NAME["latency_s"].meaning):
        assert "lost" in text and "answered" in text
    column = next(column for column in REQUESTS if column.name == "latency_s")
    assert column.meaning == BY_NAME["latency_s"].meaning and column.nullable


def test_the_summary_holds_the_tables_kpis_in_their_order(tmp_path) -> None:
    overall = read_result(synthetic.store(tmp_path / "run").folder).summary["overall"]
    names = [name for name, value in overall.items() if isinstance(value, dict) and "mean" in value]
    scores = [name for name in names if name.startswith("score_")]
    assert names == [*MEANS, *scores, *QUANTILES]
    assert [column.name for column in KPIS if column.name in names] == names


def test_schema_labels_and_glossary_are_the_tables() -> None:
    documented = {c["name"]: c for c in schema_of_results()["points.csv"]["columns"]}
    for one in METRICS:
        assert GLOSSARY[one.name].formula.startswith(one.formula.replace("`", ""))
        assert LABELS[one.name].startswith(one.label)
        if one.kind in (Kind.MEAN, Kind.SCORE, Kind.QUANTILE):
            assert documented[one.name]["unit"] == one.unit
            assert documented[one.name]["meaning"].endswith(one.meaning)
    assert schema_of_results()["requests.parquet"]["stages"][3]["name"] == "edge wait"


@pytest.mark.parametrize(
    ("name", "unit", "factor"),
    [("latency_s", "ms", 1e3), ("energy_j", "mJ", 1e3), ("payload_bits", "kbit", 1e-3),
     ("delivered", "%", 100), ("score_miou", "", 1), ("score_psnr_db", "dB", 1)],
)  # fmt: skip
def test_reports_show_metrics_in_units_that_read_well(name, unit, factor) -> None:
    assert BY_NAME[name].shown_in == (unit, factor)
    assert (GLOSSARY[name].unit, GLOSSARY[name].scale) == (unit, factor)


def test_figures_and_rows_have_the_same_stages() -> None:
    assert (*(stage.name for stage in STAGES), "other") == stages.STAGES
    columns = {column.name for column in REQUESTS}
    assert {name for stage in STAGES for name in (stage.start, stage.end)} <= columns
    assert label("latency_s", "m") == "mean latency [ms]"


def test_parts_are_all_of_the_energy_and_spent_in_stages() -> None:
    one = request("done")
    for number, part in enumerate(PARTS):
        setattr(one, part.column, 10.0**number)
    assert one.row()["energy_j"] == 1111.0
    assert {part.stage for part in PARTS} <= {stage.name for stage in STAGES}


def test_which_way_is_better_of_every_metric() -> None:
    up = {one.name for one in METRICS if higher_is_better(one.name)}
    assert up == {one.name for one in METRICS if one.better is Better.HIGHER}
    scores = {"score_accuracy", "score_miou", "score_pixel_accuracy", "score_psnr_db"}
    scores |= {"score_accuracy_in_time", "score_miou_in_time", "score_top5"}
    pooled = {"dataset_miou", "map50", "map50_95"}
    scores |= pooled | {f"{name}_answered" for name in pooled}
    assert up == scores | {"delivered", "deadline_met", "battery_share"}
    assert not any(higher_is_better(name) for name in COMPLEMENTS)
    assert higher_is_better("score_own") and not higher_is_better("score_own_rmse")


def test_metrics_as_users_name_them() -> None:
    assert metric("latency_s.p95") is BY_NAME["latency_s"]
    assert metric("accuracy") is BY_NAME["score_accuracy"]
    assert metric("utilisation_edge") is BY_NAME["utilisation"]
    assert metric("score_own") is None
