"""Closed forms of queueing theory that the server is checked against.

Erlang C, M/M/c/K losses, M/D/c waits (Crommelin), bulk service, Cobham's priorities.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


# --- closed forms -----------------------------------------------------------------------------


def erlang_c(workers: int, offered: float) -> float:
    """Probability of waiting in M/M/c (Erlang 1917): offered load a = lambda / mu."""
    top = offered**workers / math.factorial(workers) * workers / (workers - offered)
    return top / (sum(offered**n / math.factorial(n) for n in range(workers)) + top)


def loss_mmck(workers: int, room: int, offered: float) -> float:
    """Probability of refusal in M/M/c/(c + room) (Gross & Harris 1998, section 2.5).

    Without room: Erlang B.
    """
    terms = [offered**n / math.factorial(n) for n in range(workers + 1)]
    for _ in range(room):
        terms.append(terms[-1] * offered / workers)
    return terms[-1] / sum(terms)


def stationary(transitions: Floats) -> Floats:
    """Stationary distribution of a chain with rows summing to one."""
    size = len(transitions)
    equations = np.vstack([transitions.T - np.eye(size), np.ones(size)])
    solution = np.linalg.lstsq(equations, np.append(np.zeros(size), 1.0), rcond=None)[0]
    return np.asarray(solution, dtype=float)


def _poisson_rows(left: Sequence[int], means: Sequence[float], size: int) -> Floats:
    """Row n: left[n] stay and Poisson(means[n]) come; what exceeds the size stays at its end."""
    rows = np.zeros((len(left), size))
    for n, (stay, mean) in enumerate(zip(left, means, strict=True)):
        rows[n, stay:] = stats.poisson.pmf(np.arange(size - stay), mean)
        rows[n, -1] += 1.0 - rows[n].sum()
    return rows


def wait_mdc_s(workers: int, service_s: float, rate_hz: float, size: int = 300) -> float:
    """Mean wait of M/D/c, exact (Crommelin, POEEJ 25, 1932; Tijms 2003, section 9.6.2).

    Who is in service at t is gone at t + D, who came since is still there: the number present D
    later is max(n - c, 0) + Poisson(lambda D). Its stationary mean L gives Wq = (L - a) / lambda.
    """
    offered = rate_hz * service_s
    left = [max(n - workers, 0) for n in range(size)]
    present = stationary(_poisson_rows(left, [offered] * size, size))
    return (float(present @ np.arange(size)) - offered) / rate_hz


def bulk_queue(seconds: Sequence[float], rate_hz: float, size: int = 300) -> tuple[float, float]:
    """Mean batch and mean wait of M/D_k^[1,b]/1: one worker, up to b at once, no waiting for more.

    Chain of the number left waiting when a batch ends (Bailey, JRSS B 16, 1954; Chaudhry &
    Templeton 1983, chapter 4; here seconds depend on the batch k), and the waiting area per
    cycle: (n - b)^+ S_k + lambda S_k^2 / 2.
    """
    most = len(seconds)
    sizes = np.clip(np.arange(size), 1, most)
    service_s = np.asarray(seconds)[sizes - 1]
    left = np.maximum(np.arange(size) - most, 0)
    chain = stationary(_poisson_rows(list(left), list(rate_hz * service_s), size))
    cycle_s = float(chain @ service_s) + float(chain[0]) / rate_hz
    area_s = float(chain @ (left * service_s + rate_hz * service_s**2 / 2))
    return float(chain @ sizes), area_s / cycle_s / rate_hz


def waits_cobham_s(rates_hz: Sequence[float], services_s: Sequence[float]) -> list[float]:
    """Mean wait per class, highest first, of M/D/1 with priorities without interruption.

    W_k = W_0 / ((1 - sigma_{k-1}) (1 - sigma_k)), W_0 = sum lambda_i E[S_i^2] / 2, sigma_k = sum of
    the loads up to k (Cobham, Operations Research 2, 1954, eq. 3).
    """
    residual_s = sum(rate * s * s for rate, s in zip(rates_hz, services_s, strict=True)) / 2
    sigmas = [0.0, *np.cumsum(np.multiply(rates_hz, services_s))]
    return [float(residual_s / ((1 - above) * (1 - own))) for above, own in pairwise(sigmas)]
