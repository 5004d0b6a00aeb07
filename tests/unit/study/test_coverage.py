"""What the measurement of coverage counts, refuses and writes."""

from __future__ import annotations

import csv
import io
import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.results.intervals import SHARE
from simsplit.study.coverage import (
    EXACT,
    STUDENT,
    Statistic,
    as_csv,
    coverage,
    measured,
    paired,
    single,
)
from simsplit.study.coverage_drops import Drops
from simsplit.study.coverage_toys import TOYS


def test_intervals_that_hold_are_counted_among_those_given() -> None:
    ends = itertools.cycle([(0.0, 2.0), (1.5, 2.0), None, (1.0, 1.0)])
    statistic = Statistic("mean", STUDENT, 1.0, lambda pieces: next(ends))
    row = measured("toy", statistic, itertools.repeat([np.ones(3), np.ones(5)]), 8)
    assert (row.replications, row.requests, row.repetitions) == (2, 4, 8)
    assert (row.covered, row.without) == (pytest.approx(2 / 3), 0.25)


@pytest.mark.parametrize(
    ("interval", "covered", "holds"),
    [
        (STUDENT, 0.919, False),
        (STUDENT, 0.92, True),
        (STUDENT, 0.985, False),
        (EXACT, 0.985, True),
        (EXACT, 0.919, False),
        (EXACT, math.nan, False),
    ],
)
def test_what_counts_as_holding(interval: str, covered: float, holds: bool) -> None:
    statistic = Statistic("mean", interval, 1.0, lambda pieces: (0.0, 2.0))
    row = measured("toy", statistic, itertools.repeat([np.ones(3)]), 1)
    assert replace(row, covered=covered).holds is holds


def test_the_table_has_a_row_per_case() -> None:
    statistic = single("share 0.5", 0.5, None, SHARE)
    pieces = [np.array([0.0, 1.0])] * 10
    text = as_csv([measured("toy", statistic, itertools.repeat(pieces), 2)])
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["case"], row["interval"], row["truth"]) == ("toy", EXACT, "0.5")
    assert (row["covered"], row["holds"]) == ("1", "True")


def test_a_difference_is_that_of_the_columns() -> None:
    pieces = [np.array([[1.0, 3.0], [2.0, 4.0 + number]]) for number in (0.0, 0.1, 0.2)]
    ends = paired("mean difference", 2.0).ends(pieces)
    assert ends is not None and ends[0] < 2.05 < ends[1]


def test_toys_are_drawn_as_they_say() -> None:
    for toy in TOYS:
        pieces = toy.draw(np.random.default_rng(1))
        assert all(piece.shape == pieces[0].shape for piece in pieces)
        for name, truth in toy.truths.items():
            if name.startswith(("mean", "share")) and "difference" not in name:
                assert np.concatenate(pieces).mean() == pytest.approx(truth, abs=0.4)


def test_drops_are_told_apart_and_lost_requests_have_no_latency() -> None:
    rows = np.array(
        [[0, 0, 1.0, 0, 1], [0, 1, 2.0, 0, 1], [3, 0, math.nan, 0, 0], [3, 1, 4.0, 0, 1]]
    )
    drops = Drops("toy", rows)
    assert [list(values) for values in drops.of(1).column("latency_s")] == [[2.0], [4.0]]
    assert [list(values) for values in drops.of(0).finite("latency_s")] == [[1.0], []]


@pytest.mark.parametrize(
    ("more", "message"),
    [({"drops": 8}, "four times the replications"), ({"drops": 80}, "place_group")],
)
def test_mistakes_are_told_before_anything_runs(
    tmp_path: Path, more: dict[str, int], message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        coverage("digits_smoke", out=tmp_path / "c", replications=20, **more)
    assert not (tmp_path / "c").exists()
