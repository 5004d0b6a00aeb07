"""The grammar of conditions: every form, the same for points, rows and KPIs."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

import designs
from simsplit.errors import ScenarioError
from simsplit.results import frames
from simsplit.results.kpis import parse_conditions
from simsplit.results.sweep_table import with_axes
from simsplit.scenario.axes import combine
from simsplit.scenario.axis_text import axes_from_text
from simsplit.scenario.expressions import one_of, parse

SNR = "cell.channel.snr_db"
VALUES = {
    SNR: 3,
    "split": "a",
    "flag": True,
    "a": 2,
    "b": 3,
    "latency_s": 0.08,
    "rate_hz": 2e3,
    "devices.iot-node.count": 4,
    "point": "8bit",
    "policy": "{kind: fixed, point: [x, y]}",
    "gap": math.nan,
    "none": None,
}
NAMES = [*VALUES, "absent"]


def holds(text: str, values: dict[str, Any] | None = None) -> bool:
    return parse(text, one_of(NAMES, "no such name")).holds(VALUES if values is None else values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cell.channel.snr_db < 5", True),
        ("snr_db < 5", True),  # the last part, if it is no other's
        ("cell.channel.snr_db + 1 >= 4 and split == 'a'", True),
        ("not split == 'a'", False),
        ("split in ['b', 'c'] or -cell.channel.snr_db == -3", True),
        ("1 < cell.channel.snr_db <= 3", True),
        ("flag", True),
        ("flag == false", False),
        ("flag == True", True),
        ("absent > 0", False),
        ("not absent > 0", False),  # what is absent meets neither a comparison nor its opposite
        ("absent != 5", False),
        ("not absent == 5", False),
        ("not absent in [5]", False),
        ("not (split == b or absent == 5)", False),
        ("not (split == b and absent == 5)", True),  # as split != b or absent != 5
        ("not (split == a and absent == 5)", False),
        ("not not absent == 5", False),
        ("not absent", False),
        ("split in [absent, 'a']", True),  # as split == absent or split == 'a'
        ("absent > 0 or split == 'a'", True),
        ("gap < 1", False),
        ("none == 1", False),
        ("absent == b", False),
        ("b == absent", False),
        # texts without quotes, lists, and names on both sides
        ("split == a", True),
        ("split == stage3", False),
        ("split != b, c", True),
        ("split != b, a", False),
        ("split == b, a", True),
        ("snr_db == 4, 3", True),
        ("snr_db == 4, 8, split == a", False),
        ("snr_db == 3, 8, split == a", True),
        ("snr_db in (3, 4)", True),
        ("snr_db not in [3, 4]", False),
        ("a < b and a + b == 5", True),
        ("5 == a + b", True),
        ("b == a+1", True),
        ("b > 6/4", True),
        ("a % 2 == 0", True),
        ("2 * (a + b) == 10", True),
        ("b == '3'", True),
        ("split == iot-node", False),
        ("iot-node.count == 4", True),
        ("b - a == 1", True),
        ("point == 8bit", True),
        ("point == 2026-11", False),
        ("policy == {kind: fixed, point: [x, y]}", True),
        # per cent and units
        ("latency_s <= 80 ms", True),
        ("latency_s < 80ms", False),
        ("latency_s == 80000 µs", True),
        ("rate_hz >= 2 kHz and rate_hz < 0.1 MHz", True),
        ("latency_s in [80 ms, 90 ms]", True),
        ("latency_s <= 8 %", True),
        ("latency_s < 8 % and a == 2", False),
        # commas mean and
        ("a <= 3, b >= 2", True),
        ("a <= 1,, b >= 2", False),
        ("a <= 3, and b >= 2,", True),
        ("a == 2, not b == 3", False),
        ("(a > 3 or b > 2) and a == 2", True),
    ],
)
def test_conditions(text: str, expected: bool) -> None:
    assert holds(text) is expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("__import__('os')", "no such name.*__import__"),
        ("a if b else c", "a condition reads.*not understood from 'if b else c' on"),
        ("[x for x in y]", "a condition reads"),
        ("a.b()", "no such name"),
        ("a[0]", r"not understood from '\[0\]' on"),
        ("lambda: 1", "no such name"),
        ("a +", "a condition reads"),
        ("a = 1", "not understood from '= 1' on"),
        ("a ==", "a condition reads"),
        ("a == 1 or", "a condition reads"),
        ("(a == 1", "a condition reads"),
        ("a in 3", "not understood from '3' on"),
        ("", "a condition reads"),
        ("sprit == a", "no such name.*Did you mean 'split'"),
        ("0 < abc", "no such name"),
        ("latency_s <= 3 bit", "latency_s is not in bit"),
        ("a > 1 ms", "a is not in ms"),
        (
            "rate_hz == 5 /s",
            "are of numbers and names, and 's' is neither; a unit",
        ),
        ("rate_hz == 'x' * 3", "and 'x' is neither"),
    ],
)
def test_what_is_no_condition_is_told(text: str, told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        holds(text)


def test_a_deep_condition_is_no_traceback() -> None:
    with pytest.raises(ScenarioError, match="too deep"):
        holds("(" * 5000 + "a == 2" + ")" * 5000)
    with pytest.raises(ScenarioError, match="too deep"):
        holds("+".join("a" * 5000) + " == 2")
    assert not holds(f"a == {'9' * 5000}")


def test_what_cannot_be_compared_is_an_error() -> None:
    with pytest.raises(ScenarioError, match="worked out: 'a' < 3: texts and numbers have no"):
        holds("split < 3")
    with pytest.raises(ScenarioError, match="products are of numbers, and split is 'a'"):
        holds("split + 1 > 3")
    with pytest.raises(ScenarioError, match="a division by zero"):
        holds("a / (b - 3) > 3")
    with pytest.raises(ScenarioError, match="a number is too large"):
        holds("*".join(["99999999999999999"] * 40) + " / 3 > a")


def test_a_word_that_is_a_name_too_means_either() -> None:
    assert holds("split == a", {"split": "a", "a": 7})
    assert holds("split == a", {"split": "x", "a": "x"})
    assert not holds("split != a", {"split": "a", "a": 7})


def test_names_of_a_condition() -> None:
    condition = parse(f"{SNR} > 1 and (split == 'e' or flag)", one_of(NAMES, "no such name"))
    assert condition.names == [SNR, "split", "flag"]


FORMS = [  # of one condition, for the three who ask
    "snr_db <= 8 and split == stage2",
    "snr_db in [0, 4, 8] and split in ['stage2']",
    "snr_db == 0, 4, 8 and split == 'stage2'",
    "not (snr_db > 8 or split == stage1, stage3)",
    "snr_db <= 8 dB, split == stage2",
]


@pytest.mark.parametrize("text", FORMS)
def test_points_and_rows_are_picked_by_the_same_words(text: str) -> None:
    axes = ["cell.channel.snr_db=0:16:4", "operating_point.split=stage1,stage2,stage3"]
    points = [tuple(point.values.values()) for point in combine(axes_from_text(axes), text)]
    rows = frames.where(designs.table(), [text])
    assert points == [(0, "stage2"), (4, "stage2"), (8, "stage2")]
    assert list(dict.fromkeys(zip(rows[designs.SNR], rows[designs.SPLIT], strict=True))) == points


def test_rows_are_picked_by_kpis_too() -> None:
    table = designs.table()
    rows = frames.where(table, ["latency_s.mean <= 40 ms and accuracy >= 50 %"])
    kept = (table["latency_s"] <= 0.04) & (table["score_miou"] >= 0.5)
    assert 0 < len(rows) == kept.sum() < len(table)


def test_rows_are_picked_by_complements_too() -> None:
    met = [0.97, 0.98, 0.99]
    ends = {"deadline_met_ci_low": [0.96, 0.97, 0.97], "deadline_met_ci_high": [0.975, 0.985, 1.0]}
    table = pd.DataFrame({"snr_db": [0, 4, 8], "deadline_met": met, **ends})
    table = with_axes(table.assign(operating_point="png"), ["snr_db"])
    kept = {
        "deadline_misses <= 2 %": [4, 8],  # 1 - 0.98 is not more than 2 %
        "deadline_misses > 2 %": [0],
        "deadline_misses_ci_high <= 3 %": [4, 8],
        "deadline_misses_ci_low <= 0": [8],
    }
    for text, snr_db in kept.items():
        rows = frames.where(table, [text])
        assert list(rows["snr_db"]) == snr_db, text
        assert list(rows.columns) == list(table.columns)
    with pytest.raises(ScenarioError, match=r"Did you mean 'deadline_misses'.*deadline_met"):
        frames.where(table, ["deadline_mises <= 2 %"])


def test_where_an_axis_does_not_apply_no_condition_on_it_is_met() -> None:
    table = pd.DataFrame({"who": ["fixed", "thr", "thr"], "rate_hz": [math.nan, 5.0, 20.0]})
    table = with_axes(table.assign(operating_point="png"), ["who", "rate_hz"])
    for text in ("rate_hz != 5", "not rate_hz == 5", "not rate_hz in [5]"):
        assert list(frames.where(table, [text])["rate_hz"]) == [20.0], text
    with pytest.raises(ScenarioError, match=r"Choices: 5\.0, 20\.0$"):
        frames.where(table, ["rate_hz == 7"])


@pytest.mark.parametrize(
    "text",
    [
        "latency_s.p99 <= 100 ms, accuracy >= 60 %",
        "latency_s.p99 <= 0.1 and accuracy >= 0.6",
        "latency_s.p99<=1e-1,accuracy>=.6,",
        "(latency_s.p99 < 0.1 and accuracy > 0.6)",
        "latency_s.p99 ≤ 0.1, and accuracy ≥ 0.6",
    ],
)
def test_kpis_are_bounded_by_the_same_words(text: str) -> None:
    found = [(c.kpi, c.is_upper, c.bound) for c in parse_conditions(text)]
    assert found == [("latency_s.p99", True, 0.1), ("accuracy", False, 0.6)]


@pytest.mark.parametrize(
    "text",
    [
        "energy_j <= 1 or accuracy >= 0.5",
        "not energy_j <= 1",
        "energy_j == 1",
        "energy_j <= edge_energy_j",
        "0 <= energy_j <= 1",
        "energy_j <= 1, 2",
    ],
)
def test_a_design_is_bounded_by_plain_conditions_alone(text: str) -> None:
    with pytest.raises(ScenarioError, match="a condition reads KPI <= number"):
        parse_conditions(text)
