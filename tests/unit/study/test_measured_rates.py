"""`simsplit rates`: what points cost and are worth without air, and how curves compare."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from simsplit.cli.terminal import app
from simsplit.codecs.picture import ImageCodec
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.figures.coded_rates import draw
from simsplit.messages import Prepared
from simsplit.results.coded_rates import Question, Rates, Rung, SeedPoint, compare_rates
from simsplit.results.rate_tables import deltas_table, points_table
from simsplit.study import measured_rates
from simsplit.study.measured_rates import _further_seeds, _payload_header_bits, curve_options, rates

PLAIN = [
    "operating_points=[{name: local, scheme: local}, {name: png, scheme: raw, codec: {kind: png}},"
    " {name: jpeg_90, scheme: raw, codec: {kind: jpeg, quality: 90}},"
    " {name: jpeg_40, scheme: raw, codec: {kind: jpeg, quality: 40}},"
    " {name: jpeg_5, scheme: raw, codec: {kind: jpeg, quality: 5}}]",
    "devices=[{name: d, count: 1, hardware: phone_soc, operating_point: png,"
    " arrivals: {kind: poisson, rate_hz: 1}}]",
    "task.samples=40",
]


def _rung(curve: str, name: str, bits: list[float], right: list[float]) -> Rung:
    return Rung(curve, name, np.array(bits, float), np.array(right, float))


def _ladder(curve: str, factor: float) -> list[Rung]:
    """Four points whose score rises with the rate; rates ``factor`` times those of 1."""
    right = np.arange(400) / 400
    rungs = []
    for bits, share in ((1000, 0.5), (2000, 0.7), (4000, 0.8), (8000, 0.9)):
        values = (right < share).astype(float)
        rungs.append(_rung(curve, f"{curve}{bits}", [factor * bits] * 400, list(values)))
    return rungs


def test_half_the_bits_are_a_rate_of_minus_fifty_per_cent() -> None:
    question = Question("score_accuracy", anchors=("jpeg",))
    result = compare_rates([*_ladder("jpeg", 1.0), *_ladder("coded", 0.5)], question)
    (delta,) = result.deltas
    assert delta["bd_rate_percent"] == pytest.approx(-50.0, abs=1e-9)
    assert delta["bd_rate_percent_low"] == pytest.approx(-50.0, abs=1e-9)  # the same pictures
    assert delta["bd_rate_percent_high"] == pytest.approx(-50.0, abs=1e-9)
    assert delta["overlap_of_anchor"] == delta["overlap_of_test"] == 1.0
    assert delta["reason"] == ""


def test_curves_that_share_too_little_have_no_delta_but_a_reason() -> None:
    low = [_rung("low", "a", [100] * 4, [0, 0, 0, 1]), _rung("low", "b", [200] * 4, [0, 0, 1, 1])]
    high = [
        _rung("high", "c", [100] * 4, [0, 1, 1, 1]),
        _rung("high", "d", [200] * 4, [1, 1, 1, 1]),
    ]
    (delta,) = compare_rates([*low, *high], Question("score_accuracy", anchors=("low",))).deltas
    assert math.isnan(delta["bd_rate_percent"])
    assert "do not overlap" in delta["reason"]


def test_a_curve_that_does_not_rise_has_no_delta_and_says_so() -> None:
    right = [[1.0] * many + [0.0] * (400 - many) for many in (300, 200)]
    falling = [_rung("flat", f"{n}", [n] * 400, one) for n, one in zip((1, 2), right, strict=True)]
    question = Question("score_accuracy", anchors=("jpeg",))
    (delta,) = compare_rates([*_ladder("jpeg", 1.0), *falling], question).deltas
    assert math.isnan(delta["bd_rate_percent"]) and math.isnan(delta["bd_metric"])
    assert delta["reason"].startswith("no BD: flat: one point is at least as good as all others")


def test_curves_that_share_no_score_share_no_range() -> None:
    low = [
        _rung("low", "a", [100] * 8, [0] * 7 + [1]),
        _rung("low", "b", [200] * 8, [0] * 6 + [1] * 2),
    ]
    high = [_rung("high", "c", [100] * 8, [0] + [1] * 7), _rung("high", "d", [200] * 8, [1] * 8)]
    result = compare_rates([*low, *high], Question("score_accuracy", anchors=("low",)))
    (delta,) = result.deltas
    assert math.isnan(delta["overlap_low"]) and math.isnan(delta["overlap_high"])
    assert (delta["overlap_of_anchor"], delta["overlap_of_test"]) == (0.0, 0.0)
    header, ((*_, reach, share),) = deltas_table(result)
    assert (header[-2], reach, share) == ("both reach", "-", "0, 0 %")


def test_a_range_that_both_reach_rises() -> None:
    question = Question("score_accuracy", anchors=("jpeg",))
    result = compare_rates([*_ladder("jpeg", 1.0), *_ladder("coded", 0.5)], question)
    assert deltas_table(result)[1][0][-2] == "0.5 … 0.9"


@pytest.mark.parametrize(
    "words",
    [
        ["rates", "digits_smoke", *(word for one in PLAIN for word in ("--set", one))],
        ["rd", "features_e1_baseline:features_e1_proposed"],
    ],
)
def test_a_wrong_style_is_told_before_anything_is_computed(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(*_: object, **__: object) -> None:
        raise AssertionError("too late")

    monkeypatch.setattr("simsplit.study.measured_rates.rates", too_late)
    monkeypatch.setattr("simsplit.results.rate_distortion.study", too_late)
    done = CliRunner().invoke(app, [*words, "--style", "ieee_colum"])
    text = " ".join(done.output.split())
    assert done.exit_code == 2, text
    assert "style: no such style (found: 'ieee_colum'). Did you mean 'ieee_column'?" in text


def test_points_have_clopper_and_pearsons_interval_and_the_paired_difference() -> None:
    teacher = _rung("teacher", "teacher", [0] * 100, [1.0] * 90 + [0.0] * 10)
    student = _rung("student", "student", [800] * 100, [1.0] * 88 + [0.0] * 12)
    rows = compare_rates([teacher, student], Question("score_accuracy", reference="teacher")).points
    assert rows[0]["score_accuracy_low"] == pytest.approx(0.8238, abs=1e-4)  # of 90 in 100
    assert rows[0]["score_accuracy_high"] == pytest.approx(0.9510, abs=1e-4)
    half = 1.9842 * math.sqrt(0.02 * 0.98 / 99)  # t of 99 degrees, two of a hundred differ
    assert rows[1]["difference"] == pytest.approx(-0.02)
    assert rows[1]["difference_high"] - rows[1]["difference"] == pytest.approx(half, abs=1e-4)
    assert (rows[0]["difference_low"], rows[0]["difference_high"]) == (-0.04, 0.04)


def test_what_sends_nothing_is_no_point_of_a_curve() -> None:
    local = _rung("coded", "local", [0] * 400, [1.0] * 400)
    question = Question("score_accuracy", anchors=("jpeg",))
    rungs = [*_ladder("jpeg", 1.0), *_ladder("coded", 0.5), local]
    (delta,) = compare_rates(rungs, question).deltas
    assert delta["bd_rate_percent"] == pytest.approx(-50.0, abs=1e-9)


def test_an_error_metric_falls_with_the_rate() -> None:
    def errors(curve: str, factor: float) -> list[Rung]:
        pairs = ((1000, 4.0), (2000, 2.0), (4000, 1.0))
        return [_rung(curve, f"{curve}{b}", [factor * b] * 9, [e] * 9) for b, e in pairs]

    question = Question("score_rmse", lower_is_better=True, anchors=("a",))
    (delta,) = compare_rates([*errors("a", 1.0), *errors("b", 0.8)], question).deltas
    assert delta["bd_rate_percent"] == pytest.approx(-20.0, abs=1e-9)


def test_further_seeds_are_rows_of_their_own() -> None:
    rung = Rung(
        "c", "p", np.array([8.0, 8.0]), np.array([1.0, 0.0]), seeds=(SeedPoint(2, 9.0, 0.4),)
    )
    rows = compare_rates([rung], Question("score_accuracy")).points
    assert [row["seed"] for row in rows] == ["", 2]
    assert (rows[1]["payload_bits"], rows[1]["score_accuracy"]) == (9.0, 0.4)


def test_further_seeds_have_scores_of_single_pictures_and_of_all_together(tmp_path: Path) -> None:
    card = {
        "seed": 2,
        "header_bytes": 2,
        "payload_bits": {"mean": 800.0},
        "scores": {"coded": {"miou": {"mean": 0.7}}},
        "pooled": {"coded": {"map50": {"value": 0.6, "half_width_95": 0.1}}},
    }
    (tmp_path / "seed2").mkdir()
    (tmp_path / "seed2" / "card.json").write_text(json.dumps(card))
    point = SimpleNamespace(code=str(tmp_path))
    for metric, score in (("miou", 0.7), ("map50", 0.6)):
        assert measured_rates._further_seeds(point, metric) == (SeedPoint(2, 800.0, score, 16.0),)
    assert measured_rates._further_seeds(point, "accuracy") == ()


def test_points_of_a_scenario_are_what_the_pipeline_gives() -> None:
    curves = {"png": ["png"], "jpeg": ["jpeg_*"], "device": ["local"]}
    result = rates("digits_smoke", curves=curves, anchors=["jpeg"], overrides=PLAIN)
    rows = {row["operating_point"]: row for row in result.points}
    assert result.metric == "score_accuracy"
    assert [row["curve"] for row in result.points] == ["png", "jpeg", "jpeg", "jpeg", "device"]
    assert rows["png"]["score_accuracy"] == rows["local"]["score_accuracy"]  # PNG loses nothing
    assert rows["local"]["payload_bits"] == 0 and rows["local"]["edge_macs"] == 0
    assert rows["png"]["device_macs"] == 0
    assert rows["png"]["edge_macs"] == rows["local"]["device_macs"]
    assert rows["jpeg_5"]["payload_bits"] < rows["jpeg_90"]["payload_bits"]
    assert rows["jpeg_5"]["pictures"] == 40
    assert [delta["test"] for delta in result.deltas] == ["png"]  # the device sends nothing


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"curves": {"x": ["jpg_*"]}}, ("curves.x", "jpg_*", "jpeg_90")),
        ({"metric": "miou"}, ("metric", "miou", "score_accuracy")),
        ({"anchors": ["webp"]}, ("anchor", "webp", "png")),
        ({"reference": "teacher"}, ("reference", "teacher", "local")),
        ({"method": "spline", "anchors": ["png"]}, ("method", "spline", "akima")),
        ({"headers": "left_out"}, ("headers", "left_out", "counted, left-out")),
    ],
)
def test_mistakes_name_place_value_and_choices(more: dict[str, object], words: list[str]) -> None:
    with pytest.raises(ScenarioError) as caught:
        rates("digits_smoke", overrides=PLAIN, **more)  # type: ignore[arg-type]
    assert all(word in str(caught.value) for word in words)


def test_mistakes_are_told_before_anything_is_coded(monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: object) -> None:
        raise AssertionError("pictures are coded")

    monkeypatch.setattr("simsplit.study.measured_rates.open_scenario_pipeline", too_late)
    curves = {"jpeg": ["jpeg_*"]}
    with pytest.raises(ScenarioError, match="anchor: no such curve"):
        rates("digits_smoke", curves=curves, anchors=["jpg"], overrides=PLAIN)
    with pytest.raises(ScenarioError, match="reference: no such operating point in any curve"):
        rates("digits_smoke", curves=curves, reference="local", overrides=PLAIN)
    with pytest.raises(ScenarioError, match=r"curves.x: .* only at an SNR"):
        jscc = PLAIN[0].replace(
            "{name: png, scheme: raw, codec: {kind: png}}", "{name: png, scheme: jscc}"
        )
        rates("digits_smoke", curves={"x": ["png"]}, overrides=[jscc, *PLAIN[1:]])


def test_analog_points_are_refused() -> None:
    jscc = "operating_points=[{name: analog, scheme: jscc}]"
    points = [jscc, PLAIN[1].replace("operating_point: png", "operating_point: analog"), PLAIN[2]]
    with pytest.raises(ScenarioError, match="only at an SNR"):
        rates("digits_smoke", overrides=points)


@pytest.mark.parametrize("text", ["jpeg", "=jpeg_*", "jpeg=", "jpeg= ,"])
def test_a_curve_is_a_name_and_points(text: str) -> None:
    with pytest.raises(ScenarioError, match=r"NAME=point"):
        curve_options([text])


def test_a_curve_is_named_once() -> None:
    assert curve_options(["a=x, y_*", "b=z"]) == {"a": ["x", "y_*"], "b": ["z"]}
    with pytest.raises(ScenarioError, match="'a' is there twice"):
        curve_options(["a=x", "a=y"])


def test_the_command_writes_figure_and_tables(tmp_path: Path) -> None:
    words = ["rates", "digits_smoke", "--curve", "jpeg=jpeg_*", "--curve", "png=png"]
    words += ["--curve", "device=local", "--anchor", "jpeg", "--reference", "local"]
    words += [word for override in PLAIN for word in ("--set", override)]
    outcome = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "out")])
    assert outcome.exit_code == 0, outcome.output
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "rates.png",
        "rates.pdf",
        "rates.pgf",
        "rates.csv",
        "deltas.csv",
    }
    table = pd.read_csv(tmp_path / "out" / "rates.csv")
    assert list(table["curve"]) == ["jpeg"] * 3 + ["png", "device"]
    as_json = CliRunner().invoke(app, [*words, "--json"])
    assert [row["curve"] for row in json.loads(as_json.stdout)["points"]] == list(table["curve"])


# --- headers ----------------------------------------------------------------------------------


def _with_headers(headers: str, **question: Any) -> Rates:
    """A codec of half the data and no header beside one of the header's 500 bit a picture."""
    jpeg = [
        Rung(r.curve, r.name, r.bits + 500.0, r.values, payload_header_bits=np.full(400, 500.0))
        for r in _ladder("jpeg", 1.0)
    ]
    asked = Question("score_accuracy", anchors=("jpeg",), headers=headers, **question)
    return compare_rates([*jpeg, *_ladder("coded", 0.5)], asked)


def test_headers_are_left_out_of_points_and_deltas() -> None:
    counted, left_out = _with_headers("counted"), _with_headers("left-out")
    assert [row["payload_bits"] for row in counted.points[:4]] == [1500, 2500, 4500, 8500]
    assert [row["payload_bits"] for row in left_out.points[:4]] == [1000, 2000, 4000, 8000]
    for result in (counted, left_out):
        assert [row["payload_header_bits"] for row in result.points] == [500] * 4 + [0] * 4
        assert {row["headers"] for row in result.points} == {result.headers}
    assert counted.deltas[0]["bd_rate_percent"] < -55
    assert left_out.deltas[0]["bd_rate_percent"] == pytest.approx(-50.0, abs=1e-9)
    assert left_out.deltas[0]["bd_rate_percent_high"] == pytest.approx(-50.0, abs=1e-9)


def test_every_picture_loses_its_own_header() -> None:
    bits, headers = np.array([100.0, 200.0]), np.array([40.0, 140.0])
    rung = Rung("c", "p", bits, np.array([1.0, 0.0]), payload_header_bits=headers)
    (row,) = compare_rates([rung], Question("score_accuracy", headers="left-out")).points
    assert (row["payload_bits_low"], row["payload_bits"], row["payload_bits_high"]) == (60, 60, 60)
    assert row["payload_header_bits"] == 90


def test_other_seeds_lose_their_own_headers() -> None:
    seeds = (SeedPoint(2, 9.0, 0.4, 2.0), SeedPoint(3, 9.0, 0.4))
    rung = Rung("c", "p", np.array([8.0]), np.array([1.0]), seeds=seeds)
    rows = compare_rates([rung], Question("score_accuracy", headers="left-out")).points
    assert [row["payload_bits"] for row in rows] == [8, 7, 9]
    assert [row["payload_header_bits"] for row in rows] == [0, 2, 0]


def test_table_and_axis_say_that_headers_are_left_out() -> None:
    counted, left_out = _with_headers("counted"), _with_headers("left-out")
    header, (first, *_) = points_table(counted)
    assert (header[2:4], first[2:4]) == (["byte", "of headers"], ["188", "62"])
    header, (first, *_) = points_table(left_out)
    assert (header[2:4], first[2:4]) == (["byte without headers", "headers"], ["125", "62"])
    axes = ((counted, "payload [kB]", 0.1875), (left_out, "payload without headers [kB]", 0.125))
    for result, text, first_kb in axes:
        made = draw(pd.DataFrame(result.points), result.metric)
        assert made.figure.axes[0].get_xlabel() == text
        assert made.figure.axes[0].lines[0].get_xdata()[0] == first_kb
        plt.close(made.figure)


def test_headers_of_a_scenario_are_those_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked again, with headers left out, nothing is coded anew."""
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path))
    counted = {row["operating_point"]: row for row in rates("digits_smoke", overrides=PLAIN).points}

    def too_late(*_: object) -> None:
        raise AssertionError("coded again")

    monkeypatch.setattr(ImageCodec, "encode", too_late)
    result = rates("digits_smoke", overrides=PLAIN, headers="left-out")
    left_out = {row["operating_point"]: row for row in result.points}
    assert (
        counted["png"]["payload_header_bits"] == 8 * 57
        and counted["local"]["payload_header_bits"] == 0
    )
    for name, row in counted.items():
        rest = row["payload_bits"] - row["payload_header_bits"]
        assert left_out[name]["payload_bits"] == pytest.approx(rest)
        assert left_out[name]["payload_header_bits"] == row["payload_header_bits"]
        assert left_out[name]["payload_bits"] < row["payload_bits"] or name == "local"


@pytest.mark.parametrize(("own", "bits"), [(10, 80), (None, 0)])
def test_a_code_tells_its_header_or_counts_none(own: int | None, bits: int) -> None:
    none = np.zeros(2, np.int64)
    prepared = Prepared(np.array([800, 1600]), none, none, (bytes(100), bytes(200)))
    chain = SimpleNamespace(code=SimpleNamespace(header_bytes=own))
    assert _payload_header_bits(chain, prepared).tolist() == [bits, bits]


def test_cards_of_other_seeds_tell_their_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = {"payload_bits": {"mean": 96.5}, "scores": {"coded": {"accuracy": {"mean": 0.5}}}}
    for seed, more in ((2, {"header_bytes": 2}), (3, {}), (4, {"header_bytes": "two"})):
        (tmp_path / f"seed{seed}").mkdir()
        text = json.dumps(card | {"seed": seed} | more)
        (tmp_path / f"seed{seed}" / "card.json").write_text(text)
    monkeypatch.setattr("simsplit.study.measured_rates.code_folder", lambda _: tmp_path)
    point: Any = SimpleNamespace(code="mine")
    with pytest.raises(ArtefactError, match="seed4"):
        _further_seeds(point, "accuracy")
    (tmp_path / "seed4" / "card.json").unlink()
    found = _further_seeds(point, "accuracy")
    assert found == (SeedPoint(2, 96.5, 0.5, 16.0), SeedPoint(3, 96.5, 0.5, 0.0))


def test_the_command_leaves_headers_out_and_tells_the_choices(tmp_path: Path) -> None:
    words = ["rates", "digits_smoke", "--curve", "png=png"]
    words += [word for override in PLAIN for word in ("--set", override)]
    done = CliRunner().invoke(app, [*words, "--headers", "left-out", "--out", str(tmp_path / "o")])
    assert done.exit_code == 0, done.output
    (row,) = pd.read_csv(tmp_path / "o" / "rates.csv").to_dict("records")
    assert (row["headers"], row["payload_header_bits"]) == ("left-out", 456)
    done = CliRunner().invoke(app, [*words, "--headers", "left-ou"])
    text = " ".join(done.output.split())
    assert done.exit_code == 2 and "Traceback" not in text
    assert "(found: 'left-ou'). Did you mean 'left-out'? Choices: counted, left-out" in text
