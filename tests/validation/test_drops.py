"""Intervals over replications cover the mean over drops; those within one drop do not, and say so.

The toy is a street as that of ``urban_5g`` in little: a request's energy depends on its device's
place and shadowing, E = 10^((35 log10(d / 100 m) + X) / 10 - 1), drawn once per replication, times
noise of 20 % per request. With X normal of sigma = 3 dB the mean over drops is
E[E] = E[(d / 100 m)^3.5] exp((sigma ln 10 / 10)^2 / 2) / 10, d uniform over the ring's area.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import synthetic
from simsplit.messages import Scheme
from simsplit.results.compare import compare
from simsplit.results.sides import side
from simsplit.results.statistics import estimate
from simsplit.results.store import Result
from simsplit.results.summary import summarise
from simsplit.scenario.draws import drawn_once
from simsplit.study.worlds import toy_plan, toy_world

RING_M = (10.0, 200.0)
SHADOWING_DB = 3.0
DEVICES = 5
REQUESTS = 400
STREET = {"channel": {"kind": "log_distance", "exponent": 3.5, "shadowing_db": SHADOWING_DB}}


def truth() -> float:
    """Mean of (d / 100)^3.5 over the ring's area, times the log-normal's mean."""
    low, high = RING_M
    power = 2 * (high**5.5 - low**5.5) / (5.5 * (high**2 - low**2)) / 100**3.5
    return power * math.exp((SHADOWING_DB * math.log(10) / 10) ** 2 / 2) / 10


@lru_cache
def point_rows(replications: int) -> pd.DataFrame:
    """Rows of one operating point; all but their energy is of no interest."""
    base = synthetic.requests(REQUESTS, replications)
    return base[base["operating_point"] == "jpeg"].reset_index(drop=True)


def requests(rng: np.random.Generator, replications: int) -> pd.DataFrame:
    """Rows of one operating point whose energy follows the places drawn in each replication."""
    parts = []
    for replication in range(replications):
        distance_m = np.sqrt(rng.uniform(RING_M[0] ** 2, RING_M[1] ** 2, DEVICES))
        loss_db = 35 * np.log10(distance_m / 100) + rng.normal(0, SHADOWING_DB, DEVICES)
        device = rng.integers(0, DEVICES, REQUESTS)
        energy_j = 10 ** (loss_db[device] / 10 - 1) * rng.normal(1, 0.2, REQUESTS)
        rows: dict[str, Any] = {
            "replication": replication, "device": device, "energy_j": energy_j,
            "arrival_s": np.sort(rng.uniform(0, 100, REQUESTS)),
        }  # fmt: skip
        parts.append(pd.DataFrame(rows))
    base = point_rows(replications)
    return base.assign(**pd.concat(parts, ignore_index=True)[["device", "energy_j", "arrival_s"]])


def scope(replications: int) -> object:
    """What a summary's interval is said to be an interval of."""
    rows = requests(np.random.default_rng(0), replications)
    made = summarise(synthetic.scenario(cell=STREET), rows, synthetic.stations(replications))
    return made["overall"]["energy_j"]["scope"]


def coverage(replications: int, repetitions: int) -> float:
    rng, hits = np.random.default_rng(replications), 0
    for _ in range(repetitions):
        rows = requests(rng, replications)
        values, numbers = rows["energy_j"].to_numpy(float), rows["replication"].to_numpy(np.int64)
        kpi = estimate(values, numbers, replicated=replications > 1)
        hits += kpi["ci_low"] <= truth() <= kpi["ci_high"]
    return hits / repetitions


def test_the_toys_mean_is_that_of_many_drops() -> None:
    rng = np.random.default_rng(0)
    distance_m = np.sqrt(rng.uniform(RING_M[0] ** 2, RING_M[1] ** 2, 400_000))
    loss_db = 35 * np.log10(distance_m / 100) + rng.normal(0, SHADOWING_DB, 400_000)
    assert np.mean(10 ** (loss_db / 10 - 1)) == pytest.approx(truth(), rel=0.01)


def test_one_drop_says_little_of_the_others_and_says_so() -> None:
    assert scope(1) == "within this drop"
    assert coverage(1, 60) < 0.4


def test_ten_drops_cover_the_mean_over_drops() -> None:
    """Binomial: 60 of 95 % are at least 51 with probability 0.999."""
    assert scope(10) == "all drops"
    assert coverage(10, 60) >= 51 / 60


@pytest.mark.slow
def test_ten_drops_cover_as_often_as_they_say() -> None:
    assert 0.92 <= coverage(10, 400) <= 0.98


def test_two_seeds_without_difference_are_called_different_by_neither_kind() -> None:
    """Two drops would most often be "higher" or "lower"; ten drops a side are in about 5 %."""
    rng = np.random.default_rng(3)
    said: dict[int, list[str]] = {1: [], 10: []}
    for replications, verdicts in said.items():
        for _ in range(20):
            a, b = (
                Result(
                    None,
                    synthetic.scenario(cell=STREET, seed=s),
                    requests(rng, replications),
                    {},
                    {},
                )
                for s in (1, 2)
            )
            verdicts += [compare(side(a), side(b), kpis=["energy_j"]).differences[0].verdict]
    assert set(said[1]) == {"cannot tell: one drop"}
    assert said[10].count("no difference") >= 16  # binomial(20, 0.95): 0.997


def test_the_spread_between_drops_is_the_worlds_own() -> None:
    """The mean loss of a replication's five devices scatters as theory has it, within 25 %.

    Var = (35^2 Var(log10 d) + 3^2) / 5, with d uniform over the ring's area.
    """
    plan = toy_plan(Scheme.RAW, bits=100)
    group = {"distance_min_m": RING_M[0], "distance_max_m": RING_M[1]}
    means = []
    for replication in range(200):
        world = toy_world(plan, devices=DEVICES, cell=STREET, group=group, replication=replication)
        means.append(np.mean([links[0].mean_gain_db(0) for links in world.radio.links]))
    rng = np.random.default_rng(0)
    distance_m = np.sqrt(rng.uniform(RING_M[0] ** 2, RING_M[1] ** 2, 100_000))
    variance = (np.var(35 * np.log10(distance_m)) + SHADOWING_DB**2) / DEVICES
    assert np.var(means, ddof=1) == pytest.approx(variance, rel=0.25)
    assert drawn_once(world.scenario) == ("places", "shadowing")
