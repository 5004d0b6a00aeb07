"""Validation: found Pareto fronts against true ones, by hypervolume and by brute force.

The runs are replaced by known functions of the design. Hypervolume: area dominated by the front up
to a reference point (Zitzler & Thiele 1999). Seeds are fixed.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_sweep import FakeSweep
from simsplit.scenario.axes import Range

module = importlib.import_module("simsplit.study.optimise")
X, Y = "edge.max_wait_s", "cell.channel.snr_db"
BLOCKS, ORDER, ATTEMPTS = "cell.resource_blocks", "edge.discipline", "cell.harq.max_transmissions"
REFERENCE = 1.1
GOALS = ["min energy_j", "min latency_s"]


def hypervolume(front: Iterable[tuple[float, float]]) -> float:
    """Area between the front and (1.1, 1.1), both objectives to be small."""
    area, top = 0.0, REFERENCE
    for x, y in sorted(front):
        if x < REFERENCE and y < top:
            area += (REFERENCE - x) * (top - y)
            top = y
    return area


def true_hypervolume(least: float) -> float:
    """Of y = 1 - sqrt(x), least <= x <= 1: the integral of 1.1 - y, and the strip beyond x = 1."""
    inside = 0.1 * (1 - least) + 2 / 3 * (1 - least**1.5)
    return inside + 0.1 * REFERENCE


def zdt1(share: float, distance: float) -> dict[str, tuple[float, float]]:
    """f1 = x, f2 = g (1 - sqrt(x / g)), convex front at g = 1 (Zitzler, Deb & Thiele 2000, T1)."""
    second = distance * (1 - math.sqrt(share / distance))
    return {"energy_j": (share, 0.001), "latency_s": (second, 0.001), "payload_bits": (share, 0.0)}


def plain(values: Mapping[str, Any], _: int) -> Any:
    """Two continuous axes, g = 1 + 9 y: nine tenths of the square are far from the front."""
    return zdt1(values[X], 1 + 9 * values[Y])


def mixed(values: Mapping[str, Any], _: int) -> Any:
    """A logarithmic, an integer, an ordered and a category axis; g = 1 at one choice of three."""
    wrong = {"edf": 0.0, "priority": 0.2, "fifo": 0.4}[values[ORDER]]
    away = abs(values[BLOCKS] - 30) / 30 + 0.2 * abs(math.log2(values[ATTEMPTS] / 4))
    return zdt1(values[X], 1 + wrong + away)


PLAIN = {X: Range(X, 0.0, 1.0), Y: Range(Y, 0.0, 1.0)}
MIXED = {
    X: Range(X, 0.01, 1.0, is_log=True),
    BLOCKS: Range(BLOCKS, 5, 50, is_integer=True),
    ATTEMPTS: [1, 2, 4, 8],
    ORDER: ["fifo", "edf", "priority"],
}


def share_found(
    monkeypatch: pytest.MonkeyPatch, out: Path, kpis: Any, axes: Any, least: float, **how: Any
) -> float:
    """Hypervolume of the front found over that of the true one; nothing forbidden is in it."""
    monkeypatch.setattr(module, "run_sweep", FakeSweep(kpis))
    where = f"payload_bits >= {least}"
    found = module.optimise("digits_smoke", axes, GOALS, where, out=out, **how)
    assert found.front
    assert all(design.constraints[0].mean >= least for design in found.front)
    assert any(design.violation > 0 for design in found.designs), "the constraint was never tried"
    pairs = [(d.objectives[0].mean, d.objectives[1].mean) for d in found.front]
    return hypervolume(pairs) / true_hypervolume(least)


def test_the_true_hypervolume_is_that_of_a_dense_front() -> None:
    for least in (0.2, 0.05):
        x = np.linspace(least, 1, 20_001)
        dense = hypervolume(zip(x, 1 - np.sqrt(x), strict=True))
        assert dense == pytest.approx(true_hypervolume(least), rel=1e-3)


@pytest.mark.slow
def test_tpe_finds_the_front_of_zdt1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """200 trials, batches of 4: at least 95 % in the mean over three seeds."""
    found = [
        share_found(monkeypatch, tmp_path / f"{seed}", plain, PLAIN, 0.2, trials=200, seed=seed)
        for seed in range(3)
    ]
    assert np.mean(found) >= 0.95


@pytest.mark.slow
def test_tpe_finds_the_front_over_axes_of_every_kind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """150 trials: at least 95 % in the mean of three seeds; as many random ones: below 80 %."""

    def mean(sampler: str) -> float:
        return float(
            np.mean(
                [
                    share_found(
                        monkeypatch,
                        tmp_path / f"{sampler}{seed}",
                        mixed,
                        MIXED,
                        0.05,
                        trials=150,
                        seed=seed,
                        sampler=sampler,
                    )
                    for seed in range(3)
                ]
            )
        )

    assert mean("tpe") >= 0.95
    assert mean("random") < 0.8


@pytest.mark.parametrize("seed", range(5))
def test_the_grid_gives_exactly_the_brute_force_pareto_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Random KPIs over 4 x 5 designs, two objectives and two constraints, with ties."""
    axes = {BLOCKS: [5, 10, 20, 40], Y: [0, 3, 6, 9, 12]}
    draws = np.random.default_rng(seed).integers(0, 8, (20, 4)) / 8.0
    places = list(product(*axes.values()))
    table = dict(zip(places, draws, strict=True))

    def kpis(values: Mapping[str, Any], _: int) -> Any:
        row = table[values[BLOCKS], values[Y]]
        names = ("score_accuracy", "energy_j", "deadline_met", "latency_s")
        return {name: (float(mean), 0.01) for name, mean in zip(names, row, strict=True)}

    monkeypatch.setattr(module, "run_sweep", FakeSweep(kpis))
    where = "deadline_misses <= 75 %, latency_s <= 0.75"
    goals = ["max accuracy", "min energy_j"]
    found = module.optimise("digits_smoke", axes, goals, where, out=tmp_path, trials=20)
    allowed = {p: r for p, r in table.items() if r[2] >= 0.25 and r[3] <= 0.75}
    best = {
        place
        for place, (a, e, *_) in allowed.items()
        if not any(b >= a and f <= e and (b > a or f < e) for b, f, *_ in allowed.values())
    }
    assert found.is_exact
    assert {(d.values[BLOCKS], d.values[Y]) for d in found.front} == best
