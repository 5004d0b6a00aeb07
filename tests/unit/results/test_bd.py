"""Bjøntegaard deltas: what is refused and why, and which curves of a table are compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.results.bd import (
    METHODS,
    Curve,
    bd_metric,
    bd_rate,
    compared,
    deltas,
    misfit_percent,
    operational,
    overlaps,
)
from simsplit.results.curve_files import matched, read_curves
from simsplit.results.kpis import kpi_column

RATE, METRIC = [1000, 2000, 4000, 8000], [30.0, 33.0, 35.0, 36.5]


def _refusal(rate: list[float], metric: list[float], method: str = "akima", **more: float) -> str:
    with pytest.raises(ScenarioError) as caught:
        bd_rate(RATE, METRIC, rate, metric, method, **more)
    return str(caught.value)


@pytest.mark.parametrize("method", METHODS)
def test_the_order_of_the_points_and_repeated_points_do_not_matter(method: str) -> None:
    rate, metric = [900, 1800, 3600, 7200], [30.1, 33.2, 35.3, 36.7]
    once = bd_rate(RATE, METRIC, rate, metric, method)
    shuffled = bd_rate(RATE[::-1], METRIC[::-1], [*rate, 900], [*metric, 30.1], method)
    assert shuffled == pytest.approx(once, abs=1e-9)
    assert once < 0 < bd_metric(RATE, METRIC, rate, metric, method)


def test_a_metric_that_falls_with_the_rate_is_as_good() -> None:
    rate = [900, 1800, 3600, 7200]
    rising = bd_rate(RATE, METRIC, rate, METRIC)
    falling = bd_rate(RATE, [-m for m in METRIC], rate, [-m for m in METRIC])
    assert falling == pytest.approx(rising)
    assert "rises" in _refusal(rate, METRIC[::-1])


def test_a_curve_that_doubles_back_is_refused_with_its_points() -> None:
    text = _refusal(RATE, [30.0, 33.0, 32.5, 36.5])
    assert "test: the metric must strictly rise" in text
    assert "(2000, 33) to (4000, 32.5)" in text
    assert "(1000, 30) to (1000, 30.5)" in _refusal([1000, *RATE], [30.5, *METRIC])


def test_a_plateau_has_a_metric_delta_but_no_rate_delta() -> None:
    flat = [30.0, 33.0, 36.5, 36.5]
    assert "(4000, 36.5) to (8000, 36.5)" in _refusal(RATE, flat)
    assert bd_metric(RATE, METRIC, RATE, flat, "pchip") > 0


@pytest.mark.parametrize(
    ("rate", "metric", "method", "said"),
    [
        (RATE[:3], METRIC[:3], "cubic", "cubic needs 4 different points (found: 3)"),
        ([*RATE[:3], 4000], [*METRIC[:3], 35.0], "cubic", "(found: 3)"),
        (RATE[:2], METRIC[:2], "akima", "akima needs 3"),
        (RATE[:1], METRIC[:1], "pchip", "pchip needs 2"),
        (RATE, METRIC[:3], "akima", "as many rates as metrics"),
        ([0, *RATE[1:]], METRIC, "akima", "rates must be above 0 and all finite, not (0, 30)"),
        (RATE, [30, 33, 35, float("nan")], "akima", "(8000, nan)"),
        (RATE, METRIC, "akma", "Did you mean 'akima'?"),
        (RATE, [40, 41, 42, 43], "akima", "in metric: anchor 30 … 36.5, test 40 … 43"),
        (RATE, [33.3, 37, 40, 43], "akima", "49.2 % of the anchor's metric range, 50 % are needed"),
    ],
)  # fmt: skip
def test_what_is_refused(rate: list[float], metric: list[float], method: str, said: str) -> None:
    assert said in _refusal(rate, metric, method)


def test_the_overlap_asked_for_can_be_less() -> None:
    barely = [33.3, 37.0, 40.0, 43.0]
    assert bd_rate(RATE, METRIC, RATE, barely, min_overlap=0.49) < 0
    assert bd_rate(RATE, METRIC, RATE, [33.25, 37.0, 40.0, 43.0]) < 0  # half is enough


def test_overlaps_are_shares_of_the_anchor() -> None:
    anchor, test = Curve(RATE, METRIC), Curve([2000, 4000, 16000], [31.3, 34.0, 50.0])
    found = overlaps(anchor, test)
    assert found["metric"].share == pytest.approx(5.2 / 6.5)
    assert (found["rate"].low, found["rate"].high) == pytest.approx((2000, 8000))
    assert found["rate"].share == pytest.approx(2 / 3)  # two octaves of three
    assert overlaps(anchor, Curve([1, 2, 3], [1, 2, 3]))["metric"].share == 0


def test_deltas_say_which_method_has_none() -> None:
    three = Curve(RATE[:3], METRIC[:3])
    cubic, pchip, akima = deltas(three, Curve([900, 1800, 3600], METRIC[:3]))
    assert (cubic.rate_percent, cubic.metric) == (None, None)
    assert cubic.reasons == ("no BD: anchor: cubic needs 4 different points (found: 3)",)
    assert pchip.rate_percent == pytest.approx(-10) == akima.rate_percent
    with pytest.raises(ScenarioError, match="cubic needs 4"):
        compared([(Curve([1], [1]), three)], 0.5)
    notes = compared([(three, three), (Curve([0], [1]), three)], 0.5)
    assert notes[0].notes[0] == "common metric: 30 … 35, 100 % of the anchor's range"
    assert "above 0" in notes[1].notes[0]


# --- measured curves --------------------------------------------------------------------------


def test_only_points_that_nothing_beats_are_operational() -> None:
    wobbling = Curve([50, 10, 20, 30, 40, 20], [5.0, 1.0, 3.0, 2.9, 5.0, 2.0], "a", "bits", "miou")
    # 30 is beaten by 20, 50 by 40 at the same metric, the second 20 by the first
    assert operational(wobbling) == Curve([10, 20, 40], [1.0, 3.0, 5.0], "a", "bits", "miou")
    twice = operational(Curve([10, 10, 20], [1.0, 1.0, 2.0]))
    assert (twice.rate, twice.metric) == ([10, 20], [1, 2])


def test_of_an_error_the_lower_is_the_better() -> None:
    found = operational(Curve([10, 20, 30, 40], [1.0, 0.7, 0.8, 0.5]), lower_is_better=True)
    assert (found.rate, found.metric) == ([10, 20, 40], [1.0, 0.7, 0.5])


def test_a_monotone_curve_is_operational_as_it_is() -> None:
    assert operational(Curve(RATE, METRIC)) == Curve(RATE, METRIC)


def test_an_operational_curve_has_a_delta_where_the_measured_one_has_none() -> None:
    wobbling = Curve([*RATE, 16000], [*METRIC, 36.4])
    assert "strictly rise" in _refusal([*wobbling.rate], [*wobbling.metric])
    kept = operational(wobbling)
    assert bd_rate(RATE, METRIC, kept.rate, kept.metric) == pytest.approx(0)


@pytest.mark.parametrize("metric", [[1.0, float("nan")], [1.0]])
def test_an_operational_curve_leaves_out_nothing_unsaid(metric: list[float]) -> None:
    with pytest.raises(ScenarioError, match=r"finite, not \(20, nan\)|as many rates as metrics"):
        operational(Curve([10, 20], metric))


def test_half_of_the_range_of_the_anchor_is_needed_not_of_the_test() -> None:
    inside = [31.5, 32.5, 33.5, 34.5]  # 3 of the anchor's 6.5, and all of its own
    with pytest.raises(ScenarioError, match=r"share 46\.2 % of the anchor's metric range"):
        bd_rate(RATE, METRIC, RATE, inside)
    assert bd_rate(RATE, inside, RATE, METRIC) < 0  # the other way round it is the whole


def test_a_cubic_misses_the_points_of_a_curve_that_is_none() -> None:
    metric = [1.0, 2.0, 3.0, 4.0, 5.0]
    exact = Curve([10 ** (0.01 * m**3) for m in metric], metric)
    assert misfit_percent(exact, "cubic") == pytest.approx(0, abs=1e-9)
    assert misfit_percent(Curve([1, 2, 3], [1, 2, 3]), "akima") == 0
    # least squares leave d (1, -4, 6, -4, 1) / 70 x 6 of a bump d at the middle of five points
    bump = Curve([10 ** (m + 0.1 * (m == 3)) for m in metric], metric)
    assert misfit_percent(bump, "cubic") == pytest.approx(100 * (10 ** (0.1 * 36 / 70) - 1))
    with pytest.raises(ScenarioError, match="strictly"):
        misfit_percent(Curve([1, 2, 3, 4], [1, 2, 2, 3]), "cubic")


# --- tables -----------------------------------------------------------------------------------

TABLE = """snr,operating_point,payload_bits,payload_bits_ci_low,score_miou,score_miou_ci_low
5,jpeg,1000,,0.5,
5,jpeg,2000,,0.6,
5,entropy,800,,0.5,
10,jpeg,1000,,0.7,
10,jpeg,2000,,0.8,
"""


def _curves(file: Path, *at: str, metric: str = "accuracy") -> dict[str, Curve]:
    return read_curves(file, "payload_bits", metric, kpi_column, at)


def test_a_sweep_gives_a_curve_per_operating_point(tmp_path: Path) -> None:
    (tmp_path / "points.csv").write_text(TABLE)
    found = _curves(tmp_path, "snr=5.0")
    assert list(found) == ["jpeg", "entropy"]
    assert found["jpeg"] == Curve([1000, 2000], [0.5, 0.6], "jpeg", "payload_bits", "score_miou")
    assert list(_curves(tmp_path / "points.csv")["jpeg"].metric) == [0.5, 0.6, 0.7, 0.8]
    assert list(_curves(tmp_path, metric="snr")["entropy"].metric) == [5]


@pytest.mark.parametrize("header", ["rate,psnr_db\n", ""])
def test_two_columns_are_a_curve(tmp_path: Path, header: str) -> None:
    file = tmp_path / "two.csv"
    file.write_text(f"{header}1000,30\n2000,33\n")
    curve = _curves(file)[""]
    assert (curve.rate, curve.metric) == ([1000, 2000], [30, 33])
    assert curve.metric_name == ("psnr_db" if header else "metric")


@pytest.mark.parametrize(
    ("text", "at", "said"),
    [
        (TABLE, ["snr=7"], "no row with that snr (found: '7'). Choices: 5, 10"),
        (TABLE, ["power=7"], "Choices: snr, operating_point"),
        (TABLE.replace("0.6", "good"), [], "score_miou must hold numbers (found: 'good')"),
        (TABLE.replace("score_miou", "mse"), [], "no such KPI (found: 'accuracy')"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path: Path, text: str, at: list[str], said: str) -> None:
    file = tmp_path / "points.csv"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        _curves(file, *at)
    assert said in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    ragged = tmp_path / "ragged.csv"
    ragged.write_text("a,b,c\n1,2\n")
    for file, said in [(tmp_path / "nope.csv", "No such file"), (ragged, "as many cells")]:
        with pytest.raises(ArtefactError, match=said):
            _curves(file)


def test_points_of_both_are_matched_or_named() -> None:
    a, b, c = (Curve([1], [1], name) for name in ("a", "b", "c"))
    one, two = {"a": a, "b": b}, {"b": b, "c": c}
    assert matched(one, two) == [(b, b)]
    assert matched(one, two, "a:c") == [(a, c)]
    assert matched({"": a}, two, "b") == [(a, b)]
    assert matched({"a": a}, {"c": c}) == [(a, c)]
    with pytest.raises(ScenarioError, match="Choices: a, b"):
        matched(one, two, "x")
    with pytest.raises(ScenarioError, match="ANCHOR:TEST"):
        matched(one, {"c": c, "d": c})
