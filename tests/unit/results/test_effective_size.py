"""How many independent answers a share is worth, by hand."""

from __future__ import annotations

import pytest

from simsplit.results.intervals import effective_size, share_ends


def test_a_share_is_worth_what_its_variance_says() -> None:
    """p (1 - p) / v: a share of 0.5 with standard error 0.1 is worth 25 answers, not 400."""
    assert effective_size(0.5, 0.01, 400.0) == pytest.approx(25.0)
    assert effective_size(0.9, 0.09 / 50, 400.0) == pytest.approx(50.0)


def test_never_more_than_there_are_and_all_where_nothing_varies() -> None:
    assert effective_size(0.5, 1e-9, 400.0) == 400.0
    assert effective_size(0.5, 0.0, 400.0) == 400.0
    assert effective_size(1.0, 0.01, 400.0) == 400.0


def test_none_of_a_hundred_leaves_the_rule_of_three_and_a_half() -> None:
    """1 - (alpha / 2)^(1 / n), Clopper and Pearson 1934."""
    assert share_ends(0.0, 100.0, 0.95) == (0.0, pytest.approx(1 - 0.025**0.01))
