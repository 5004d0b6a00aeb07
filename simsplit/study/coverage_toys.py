"""Toys of known truth for the coverage of intervals: independent or correlated rows.

Every toy draws the pieces of one repetition: an array of values per replication, ``(n,)``, or pairs
``(n, 2)`` that share their random numbers. One piece alone is one run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

SHARES = (0.5, 0.9, 0.99, 0.998)
CORRELATION = 0.02  # within a replication: a design effect of 1 + 0.02 (n - 1)


@dataclass(frozen=True, slots=True)
class Toy:
    """``truths``: statistic → true value; ``bounds``: least and greatest possible value."""

    name: str
    draw: Callable[[np.random.Generator], list[Array]]
    truths: Mapping[str, float]
    bounds: tuple[float, float]


def exponential(rng: np.random.Generator, runs: int, n: int) -> list[Array]:
    """Independent values of mean 1; the q-quantile is -ln(1 - q)."""
    return list(rng.exponential(1.0, (runs, n)))


def queue(rng: np.random.Generator, runs: int, n: int, load: float) -> list[Array]:
    """Response times of a stationary M/M/1 queue of service rate 1, by Lindley's recursion.

    The response time is exponential of mean 1 / (1 - load) (Kleinrock, Queueing Systems I, 3.2).
    """
    wait = rng.exponential(1 / (1 - load), runs) * (rng.random(runs) < load)
    times = np.empty((runs, n))
    for index in range(n):
        times[:, index] = wait + rng.exponential(1.0, runs)
        wait = np.maximum(0.0, times[:, index] - rng.exponential(1 / load, runs))
    return list(times)


def autoregressive(rng: np.random.Generator, n: int, phi: float) -> list[Array]:
    """One run of x_t = phi x_{t-1} + e_t, e_t ~ N(0, 1 - phi^2), from its law N(0, 1)."""
    noise = rng.normal(size=n) * math.sqrt(1 - phi**2)
    series = np.empty(n)
    series[0] = rng.normal()
    for t in range(1, n):
        series[t] = phi * series[t - 1] + noise[t]
    return [series]


def answers(
    rng: np.random.Generator, runs: int, n: int, share: float, within: float = 0.0
) -> list[Array]:
    """Answers that are 0 or 1; each replication's share is beta distributed around ``share``.

    Two answers of one replication have the correlation ``within``.
    """
    shares = np.full(runs, share)
    if within:
        shares = rng.beta(share * (1 / within - 1), (1 - share) * (1 / within - 1), runs)
    return list((rng.random((runs, n)) < shares[:, None]).astype(float))


def pairs(rng: np.random.Generator, runs: int, n: int) -> list[Array]:
    """Exponential latencies of a common replication's level: B is 1.2 times as slow as A."""
    level = rng.gamma(20.0, 1 / 20.0, (runs, 1, 1))
    common, own = rng.exponential(0.5, (runs, n, 1)), rng.exponential(0.5, (runs, n, 2))
    return list(level * (common + own) * np.array([1.0, 1.2]))


def shared_answers(
    rng: np.random.Generator, runs: int, n: int, one: float, other: float
) -> list[Array]:
    """Answers of two sides that see the same uniform numbers in four cases of five."""
    common = rng.random((runs, n, 1))
    own = rng.random((runs, n, 2))
    uniform = np.where(rng.random((runs, n, 1)) < 0.8, common, own)
    return list((uniform < np.array([one, other])).astype(float))


def _all() -> Iterator[Toy]:
    seconds, share = (0.0, math.inf), (0.0, 1.0)
    tails = {"p50": math.log(2), "p95": math.log(20), "p99": math.log(100)}
    for runs, n in ((10, 200), (100, 200)):
        draw = partial(exponential, runs=runs, n=n)
        yield Toy(f"exponential, {runs} replications", draw, {"mean": 1.0, **tails}, seconds)
    slower = {name: 2 * value for name, value in tails.items()}
    draw = partial(queue, runs=20, n=1000, load=0.5)
    yield Toy("M/M/1 at load 0.5", draw, {"mean": 2.0, **slower}, seconds)
    normal = {f"p{p}": float(ndtri(p / 100)) for p in (50, 95, 99)}
    draw = partial(autoregressive, n=4000, phi=0.8)
    yield Toy("AR(1), phi 0.8, one run", draw, {"mean": 0.0, **normal}, (-math.inf, math.inf))
    for within in (0.0, CORRELATION):
        kind = "correlated within a replication" if within else "independent"
        for p in SHARES:
            draw = partial(answers, runs=20, n=100, share=p, within=within)
            yield Toy(f"answers {kind}", draw, {f"share {p}": p}, share)
    a, b = _paired_tail(0.95)
    draw = partial(pairs, runs=10, n=200)
    yield Toy("slower by 1.2", draw, {"mean difference": 0.2, "p95 difference": b - a}, seconds)
    for one, other in ((0.5, 0.55), (0.9, 0.92), (0.99, 0.98), (0.998, 0.998)):
        draw = partial(shared_answers, runs=20, n=100, one=one, other=other)
        name = f"share {one} to {other} difference"
        yield Toy("answers to shared numbers", draw, {name: other - one}, share)


def _paired_tail(q: float) -> tuple[float, float]:
    """q-quantiles of both sides of `pairs`: of a gamma(20, 1/20) times a gamma(2, 1/2).

    P(L X <= x) = E[F(x / L)], F(y) = 1 - (1 + 2 y) exp(-2 y), by Gauss-Laguerre quadrature over L.
    """
    from scipy.special import gamma, roots_genlaguerre

    nodes, weights = roots_genlaguerre(60, 19.0)
    levels, chances = nodes / 20, weights / gamma(20.0)
    low, high = 0.0, 50.0
    for _ in range(200):
        x = (low + high) / 2
        below = float((chances * (1 - (1 + 2 * x / levels) * np.exp(-2 * x / levels))).sum())
        low, high = (x, high) if below < q else (low, x)
    return x, 1.2 * x


TOYS = tuple(_all())
