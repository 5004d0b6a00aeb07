"""Mean numbers of requests under way, against counting and against Little's law."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import synthetic
from simsplit.pages.run_charts import INTERVALS, PLACES, mean_number, under_way


def test_stays_by_hand() -> None:
    start = pd.Series([0.0, 0.5, 1.0, np.nan])
    end = pd.Series([1.0, 1.5, np.nan, 2.0])
    found = mean_number(start, end, np.array([0.0, 1.0, 2.0, 3.0]))
    assert found == pytest.approx([1.5, 1.5, 1.0])


def test_the_integral_is_the_time_spent() -> None:
    """Little: the mean number in the system x time = the sum of all sojourn times."""
    rows = synthetic.requests()
    rows = rows[rows["status"] == "done"]
    edges_s, counts = under_way(rows, 110.0)
    assert list(counts) == list(PLACES) and len(edges_s) == INTERVALS + 1
    total = sum(float(count.sum()) for count in counts.values()) * (edges_s[1] - edges_s[0])
    assert total == pytest.approx(rows["latency_s"].sum(), rel=1e-9)


def test_replications_are_averaged() -> None:
    one, two = synthetic.requests(), synthetic.requests()
    two["replication"] = 1
    _, alone = under_way(one, 100.0)
    _, both = under_way(pd.concat([one, two], ignore_index=True), 100.0)
    assert all(np.allclose(alone[place], both[place]) for place in PLACES)


def test_a_lost_payload_that_is_answered_locally_is_at_the_device_again() -> None:
    row = synthetic.requests().query("status == 'lost'").iloc[[0]].copy()
    row["computed_locally"], row["closed_s"] = True, row["radio_end_s"] + 5.0
    edges_s, counts = under_way(row, 110.0)
    seconds = counts["at the device"].sum() * (edges_s[1] - edges_s[0])
    before = float((row["device_end_s"] - row["arrival_s"]).iloc[0])
    assert seconds == pytest.approx(5.0 + before)
