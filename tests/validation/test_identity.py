"""Validation: the same scenario and seed give the same rows, however they are scored."""

from __future__ import annotations

import pandas as pd
import pytest

import simsplit

SCENARIO = "digits_smoke"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return simsplit.run(SCENARIO, out=tmp_path_factory.mktemp("a") / "r").requests


def test_twice_the_same_rows(reference, tmp_path):
    again = simsplit.run(SCENARIO, out=tmp_path / "r").requests
    pd.testing.assert_frame_equal(reference, again, check_exact=True)


def test_scored_one_at_a_time_the_same_rows(reference, tmp_path):
    from simsplit.study.run import run

    single = run(SCENARIO, out=tmp_path / "r", score_batch=1).requests
    pd.testing.assert_frame_equal(reference, single, check_exact=True)


def test_another_seed_gives_other_rows(reference, tmp_path):
    other = simsplit.run(SCENARIO, seed=99, out=tmp_path / "r").requests
    assert not reference["arrival_s"].equals(other["arrival_s"])


def test_score_one_at_a_time_streets(tmp_path):
    """The street network too, with all four schemes, bit for bit."""
    from simsplit.study.run import run

    texts = ["task.samples=4", "warmup_s=0"]
    a = run("urban_5g", duration_s=0.4, overrides=texts, out=tmp_path / "a").requests
    b = run("urban_5g", duration_s=0.4, overrides=texts, out=tmp_path / "b", score_batch=1).requests
    assert set(a["scheme"]) == {"raw", "separate", "jscc", "local"}
    pd.testing.assert_frame_equal(a, b, check_exact=True)
