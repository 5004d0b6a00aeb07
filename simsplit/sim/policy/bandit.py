"""Policies that learn from their own rewards which operating point is best."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from simsplit.sim.policy.knowledge import Decision, Knowledge

PRIOR_MEAN, PRIOR_SD = 0.5, 0.5  # a reward lies in [0, 1]: centre, and the widest it can spread


def reward(latency_s: float, deadline_s: float, answered: bool) -> float:
    """What a request was worth: 1 - latency / deadline, not below 0; 0 without an answer.

    Without a deadline (inf or NaN) an answer is worth 1 whenever it comes.
    """
    if not answered:
        return 0.0
    if math.isinf(deadline_s) or math.isnan(deadline_s):
        return 1.0
    return max(0.0, 1.0 - latency_s / deadline_s)


class Arms:
    """Mean reward and (discounted) number of rewards of each point.

    With ``forget`` > 0 all numbers shrink by the factor 1 - forget at each reward, so that about
    the last 1 / forget rewards count. Source: Sutton & Barto 2018, eq. 2.3; with the discount,
    Garivier & Moulines, ALT 2011, section 2 (D-UCB's averages).
    """

    def __init__(self, points: Sequence[str], forget: float = 0.0) -> None:
        self.points = tuple(points)
        self.means = np.zeros(len(points))  # (points,)
        self.counts = np.zeros(len(points))  # (points,)
        self._keep = 1.0 - forget

    def learn(self, point: str, reward: float) -> None:
        """Count one more reward, in [0, 1], of a point; ValueError for a point of others."""
        arm = self.points.index(point)
        self.counts *= self._keep
        self.counts[arm] += 1.0
        self.means[arm] += (reward - self.means[arm]) / self.counts[arm]


class EpsilonGreedy:
    """With probability epsilon any point, else the one of best mean; first, each once.

    The first round goes in random order, so that the devices of a group do not all try the same
    point at the same time. Before the first reward arrives every point is as likely. Equal means:
    the first listed. Source: Sutton & Barto 2018, section 2.4.
    """

    def __init__(self, arms: Arms, epsilon: float, rng: np.random.Generator) -> None:
        self.arms = arms
        self._epsilon = epsilon
        self._rng = rng
        self._untried = [arms.points[arm] for arm in rng.permutation(len(arms.points))]

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """An untried point, one drawn at random, or the one of best mean, whatever is known."""
        if self._untried:
            return Decision(self._untried.pop())
        rewarded = self.arms.counts > 0.0
        if not rewarded.any() or self._rng.random() < self._epsilon:
            return Decision(self.arms.points[self._rng.integers(len(self.arms.points))])
        return Decision(self.arms.points[int(np.where(rewarded, self.arms.means, -1.0).argmax())])

    def learn(self, point: str, reward: float) -> None:
        """Update the point's mean by a reward in [0, 1]."""
        self.arms.learn(point, reward)


class Thompson:
    """The point that is best in one draw from the normal posterior of each point's mean reward.

    Known noise sigma, prior N(0.5, 0.5^2): precision 1 / 0.5^2 + n / sigma^2, mean weighted by
    precision. sigma = 0.5 covers every reward in [0, 1] (Hoeffding) and gives mean
    (0.5 + sum) / (n + 1) and variance 0.25 / (n + 1). Source: Thompson 1933; Agrawal & Goyal,
    AISTATS 2013, Algorithm 2 (normal priors; here with the noise's own variance).
    """

    def __init__(self, arms: Arms, noise: float, rng: np.random.Generator) -> None:
        self.arms = arms
        self._noise = noise
        self._rng = rng

    def posterior(self) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations, ``(points,)`` each."""
        prior, data = PRIOR_SD**-2, self.arms.counts * self._noise**-2
        precision = prior + data
        return (prior * PRIOR_MEAN + data * self.arms.means) / precision, precision**-0.5

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """Draw once per point, whatever the device knows."""
        return Decision(self.arms.points[int(self._rng.normal(*self.posterior()).argmax())])

    def learn(self, point: str, reward: float) -> None:
        """Update the point's posterior by a reward in [0, 1]."""
        self.arms.learn(point, reward)
