"""Intervals of a difference cover the true one, and pairing narrows them as theory says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from simsplit.results.compare import Comparison, compare
from simsplit.results.intervals import (
    UNBOUNDED,
    Estimated,
    difference_ends,
    estimated,
    variance_ratio,
)
from simsplit.results.sides import side
from simsplit.results.store import Result
from simsplit.scenario.scenario import Scenario

Array = NDArray[np.float64]
REPETITIONS = 400
TRUTH = 0.2


def _scenario(seed: int = 1) -> Scenario:
    arrivals = {"kind": "periodic", "period_s": 0.1}
    group = {
        "name": "g",
        "count": 1,
        "hardware": "phone",
        "operating_point": "p",
        "arrivals": arrivals,
    }
    return Scenario.model_validate(
        {
            "name": "toy", "seed": seed, "duration_s": 100.0, "devices": [group],
            "operating_points": [{"name": "p", "scheme": "raw", "codec": {"kind": "png"}}],
            "cell": {"channel": {"kind": "fixed_snr", "snr_db": 10}},
        }
    )  # fmt: skip


ONE, OTHER = _scenario(), _scenario(2)


def _result(latency_s: Array, scenario: Scenario = ONE) -> Result:
    """(R, n) latencies of R replications of one device."""
    runs, n = latency_s.shape
    columns: dict[str, Any] = {
        "request_id": np.arange(runs * n), "replication": np.repeat(np.arange(runs), n),
        "device": 0, "arrival_s": np.tile(0.1 * np.arange(n), runs), "status": "done",
        "operating_point": "p", "group": "g", "latency_s": latency_s.ravel(),
    }  # fmt: skip
    return Result(None, scenario, pd.DataFrame(columns), {}, {})


def _compared(a: Result, b: Result, kpi: str = "latency_s") -> Comparison:
    return compare(side(a), side(b), kpis=[kpi])


def _share(found: list[Comparison], truth: float = TRUTH) -> float:
    pairs = [one.differences[0] for one in found]
    return sum(one.low <= truth <= one.high for one in pairs) / len(pairs)


def _of(numbers: Array) -> Estimated:
    """One request in every piece."""
    return estimated(list(numbers[:, None]), None, UNBOUNDED)


def _ar1(rng: np.random.Generator, n: int, phi: float) -> Array:
    noise = rng.normal(size=(REPETITIONS, n)) * np.sqrt(1 - phi**2)
    series = np.empty((REPETITIONS, n))
    series[:, 0] = rng.normal(size=REPETITIONS)
    for t in range(1, n):
        series[:, t] = phi * series[:, t - 1] + noise[:, t]
    return series


def test_pairs_of_replications_cover_the_difference() -> None:
    """Each replication has a level that both share (common random numbers), and own noise."""
    rng = np.random.default_rng(1)
    found = []
    for _ in range(REPETITIONS):
        level = rng.normal(5, 1, (8, 1))
        a, b = (level + rng.normal(0, 0.5, (8, 1)) + rng.normal(size=(8, 10)) for _ in range(2))
        found.append(_compared(_result(a), _result(b + TRUTH)))
    assert all(one.paired for one in found)
    assert 0.92 <= _share(found) <= 0.98


@pytest.mark.slow
@pytest.mark.parametrize(("kpi", "phi"), [("latency_s", 0.5), ("latency_p50_s", 0.5)])
def test_pairs_of_requests_cover_the_difference(kpi: str, phi: float) -> None:
    """One run each of 600 requests: a common AR(1) of phi = 0.9 and one of its own."""
    rng = np.random.default_rng(2)
    common = 5 + 2 * _ar1(rng, 600, 0.9)
    own = [_ar1(rng, 600, phi) for _ in range(2)]
    found = [
        _compared(_result(c[None] + a[None]), _result(c[None] + b[None] + TRUTH), kpi)
        for c, a, b in zip(common, *own, strict=True)
    ]
    assert all(one.paired and one.differences[0].pieces == 20 for one in found)
    assert 0.92 <= _share(found) <= 0.98


@pytest.mark.slow
def test_welch_covers_the_difference_of_other_seeds() -> None:
    """Unequal spreads and unequal numbers of replications."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(REPETITIONS):
        a = rng.normal(5, 1, (12, 1)) + rng.normal(size=(12, 10))
        b = rng.normal(5 + TRUTH, 3, (6, 1)) + rng.normal(size=(6, 10))
        found.append(_compared(_result(a), _result(b, OTHER)))
    assert not any(one.paired for one in found)
    assert 0.92 <= _share(found) <= 0.98


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_pairing_narrows_by_the_root_of_one_minus_rho(rho: float) -> None:
    """Var(B - A) = 2 sigma^2 (1 - rho) for equal variances (Law & Kelton, eq. 11.1)."""
    rng = np.random.default_rng(4)
    narrower, ratios = [], []
    for _ in range(200):
        level = rng.normal(size=100) * np.sqrt(rho)
        a, b = (level + rng.normal(size=100) * np.sqrt(1 - rho) for _ in range(2))
        one, other = _of(a), _of(b)
        paired, apart = (difference_ends(one, other, 0.95, is_paired=p) for p in (True, False))
        assert paired is not None and apart is not None
        narrower.append((paired[1] - paired[0]) / (apart[1] - apart[0]))
        ratios.append(variance_ratio(one, other))
    assert np.mean(ratios) == pytest.approx(1 - rho, rel=0.03)
    assert np.mean(narrower) == pytest.approx(np.sqrt(1 - rho), rel=0.03)


@pytest.mark.slow
def test_bonferroni_keeps_a_family_together() -> None:
    """Five KPIs that do not differ: some interval misses 0 in at most about 5 % of families."""
    rng = np.random.default_rng(5)
    names = ["latency_s", "energy_j", "payload_bits", "channel_uses", "attempts"]
    wrong = {True: 0, False: 0}
    for _ in range(REPETITIONS):
        a, b = (
            Result(None, ONE, _result(np.ones((6, 2))).requests.assign(
                **{name: rng.normal(size=12) for name in names}), {}, {})
            for _ in range(2)
        )  # fmt: skip
        for family in (True, False):
            found = compare(side(a), side(b), kpis=names, family=family)
            wrong[family] += any(d.verdict != "no difference" for d in found.differences)
    assert wrong[True] / REPETITIONS <= 0.08
    assert 0.17 <= wrong[False] / REPETITIONS <= 0.29  # 1 - 0.95^5 = 0.226
