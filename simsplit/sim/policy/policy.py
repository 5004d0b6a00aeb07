"""How a device chooses the operating point of a request: policies, a user's own, and their making.

Every policy decides on `Knowledge` alone. Where two points are equally good the first listed wins.
A point whose predicted latency is inf (no rate reported, no scheme that works, server full) is
chosen only if all are; then a local one, or else the one with the least seconds on the device. A
user's own policy is imported, built, and held to the same contract.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.scenario import policies as specs
from simsplit.sim.policy.bandit import Arms, EpsilonGreedy, Thompson
from simsplit.sim.policy.knowledge import (
    Costs,
    Decision,
    Knowledge,
    Policy,
    predicted_energy_j,
    predicted_latency_s,
)
from simsplit.sim.policy.own_policy import own_policy

Score = Callable[[Costs, Knowledge], float]
SCORES: Mapping[specs.Objective, Score] = {
    "latency": predicted_latency_s,
    "energy": predicted_energy_j,
}


# --- policies ---------------------------------------------------------------------------------


class _LearnsNothing:
    """A policy whose decisions do not depend on how requests ended."""

    def learn(self, point: str, reward: float) -> None:
        """Nothing is learnt."""


class Always(_LearnsNothing):
    """Always the same operating point."""

    def __init__(self, point: str) -> None:
        self._decision = Decision(point)

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """That point, whatever is known."""
        return self._decision


class Least(_LearnsNothing):
    """The point of least score: Neurosurgeon on what it knows, the oracle on the truth.

    Source: Kang et al., ASPLOS 2017, Algorithm 1.
    """

    def __init__(self, costs: Sequence[Costs], score: Score) -> None:
        self._costs, self._score = costs, score

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """The point of least score among those that can answer at all."""
        return Decision(_least(_hopeful(self._costs, knowledge), self._score, knowledge).name)


class Steps(_LearnsNothing):
    """Steps over the reported SNR, with hysteresis upwards; starts, and stays without report, low.

    A report that is missing later (NaN) leaves the step as it is.
    """

    def __init__(self, spec: specs.SnrThreshold) -> None:
        self._spec = spec
        self._step = 0

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """At most one change of step per report, by as many steps as it takes."""
        if not math.isnan(knowledge.snr_db):
            up = self._reached(knowledge.snr_db - self._spec.hysteresis_db)
            self._step = max(up, min(self._step, self._reached(knowledge.snr_db)))
        return Decision(self._spec.steps[self._step].point)

    def _reached(self, snr_db: float) -> int:
        """Number of the highest step at or below; the lowest step has no lower end."""
        return sum(step.snr_min_db <= snr_db for step in self._spec.steps[1:])


class WithinDeadline(_LearnsNothing):
    """The first listed, or the most frugal, of the points predicted in time; else the fastest."""

    def __init__(self, costs: Sequence[Costs], spec: specs.DeadlineAware) -> None:
        self._costs, self._spec = costs, spec

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """A point that is predicted to answer in time; ScenarioError without a deadline."""
        limit_s = (1.0 - self._spec.margin) * _deadline_s(knowledge)
        hopeful = _hopeful(self._costs, knowledge)
        in_time = [costs for costs in hopeful if predicted_latency_s(costs, knowledge) <= limit_s]
        if not in_time:
            return Decision(_least(hopeful, predicted_latency_s, knowledge).name)
        if self._spec.least_energy:
            return Decision(_least(in_time, predicted_energy_j, knowledge).name)
        return Decision(in_time[0].name)


class Balance(_LearnsNothing):
    """Least w * latency / deadline + (1 - w) * energy / budget; energy alone on a low battery."""

    def __init__(self, costs: Sequence[Costs], spec: specs.EnergyAware) -> None:
        self._costs, self._spec = costs, spec

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """The point of least cost; ScenarioError without a deadline."""
        low = knowledge.battery_share < self._spec.battery_share
        score = predicted_energy_j if low else self._score
        return Decision(_least(_hopeful(self._costs, knowledge), score, knowledge).name)

    def _score(self, costs: Costs, knowledge: Knowledge) -> float:
        weight = self._spec.weight
        late = predicted_latency_s(costs, knowledge) / _deadline_s(knowledge)
        dear = predicted_energy_j(costs, knowledge) / self._spec.budget_j
        return weight * late + (1.0 - weight) * dear


class ExitEarly(_LearnsNothing):
    """The exit's own answer where it is confident; else on to ``then``, the exit's seconds paid."""

    def __init__(self, spec: specs.EarlyExit, confidence: Sequence[float], exit_s: float) -> None:
        self._confidence, self._threshold = confidence, spec.threshold
        self._confident, self._unsure = Decision(spec.exit), Decision(spec.then, exit_s)

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """The exit if the sample's answer there is confident, by what act one noted of it."""
        confident = self._confidence[sample] >= self._threshold
        return self._confident if confident else self._unsure


def _hopeful(costs: Sequence[Costs], knowledge: Knowledge) -> Sequence[Costs]:
    """Points with a finite predicted latency; if there is none, the one that needs least help."""
    finite = [point for point in costs if predicted_latency_s(point, knowledge) < math.inf]
    return finite or [min(costs, key=lambda point: (point.sends, point.is_remote, point.device_s))]


def _least(costs: Sequence[Costs], score: Score, knowledge: Knowledge) -> Costs:
    """The first of least score."""
    return min(costs, key=lambda point: score(point, knowledge))


def _deadline_s(knowledge: Knowledge) -> float:
    if not math.isfinite(knowledge.deadline_s):
        raise ScenarioError("the policy needs devices with a deadline_s", path="devices.policy")
    return knowledge.deadline_s


# --- from spec to policy ----------------------------------------------------------------------


def build_policy(
    spec: specs.Policy,
    costs: Mapping[str, Costs],
    rng: np.random.Generator,
    *,
    confidence: Mapping[str, Sequence[float]] | None = None,
    exit_s: Mapping[str, float] | None = None,
    path: str = "policy",
) -> Policy:
    """One device's policy; it sees only the points that its spec names.

    Args:
        spec: What the scenario says.
        costs: Operating point → costs, in the scenario's order; for the oracle the true ones.
        rng: The device's own, for policies that draw.
        confidence: Exit point → confidence per sample (early exit).
        exit_s: Point → extra device seconds of an exit that was not confident (early exit).
        path: Where the policy stands in the YAML, for errors.

    Raises:
        ScenarioError: A point, confidence or class that is not there.
    """
    chosen = _chosen(spec, costs, path)
    listed = tuple(chosen.values())
    match spec:
        case specs.Fixed():
            return Always(spec.point)
        case specs.Neurosurgeon() | specs.Oracle():
            return Least(listed, SCORES[spec.objective])
        case specs.SnrThreshold():
            return Steps(spec)
        case specs.DeadlineAware():
            return WithinDeadline(listed, spec)
        case specs.EnergyAware():
            return Balance(listed, spec)
        case specs.EarlyExit():
            return _early_exit(spec, chosen, confidence or {}, exit_s or {}, path)
        case specs.Bandit():
            return _bandit(spec, tuple(chosen), rng)
        case specs.Custom():
            return own_policy(spec, chosen, rng, path)


def _chosen(spec: specs.Policy, costs: Mapping[str, Costs], path: str) -> dict[str, Costs]:
    """The costs of the points that the policy may choose from, in its own order."""
    names = specs.points_of(spec) or tuple(costs)
    for name in names:
        if name not in costs:
            raise ScenarioError("no such operating point", path=path, value=name, choices=[*costs])
    return {name: costs[name] for name in names}


def _early_exit(
    spec: specs.EarlyExit,
    costs: Mapping[str, Costs],
    confidence: Mapping[str, Sequence[float]],
    exit_s: Mapping[str, float],
    path: str,
) -> ExitEarly:
    if costs[spec.exit].is_remote:
        message = "an early exit must be an operating point of scheme 'local'"
        raise ScenarioError(message, path=f"{path}.exit", value=spec.exit)
    if spec.exit not in confidence:
        message = "act one gives no confidence for this exit"
        raise ScenarioError(message, path=f"{path}.exit", value=spec.exit, choices=[*confidence])
    if spec.then not in exit_s:
        message = "it is not known what the exit costs on the way to this point"
        raise ScenarioError(message, path=f"{path}.then", value=spec.then, choices=[*exit_s])
    return ExitEarly(spec, confidence[spec.exit], exit_s[spec.then])


def _bandit(spec: specs.Bandit, points: tuple[str, ...], rng: np.random.Generator) -> Policy:
    arms = Arms(points, spec.forget)
    if spec.rule == "thompson":
        return Thompson(arms, spec.noise, rng)
    return EpsilonGreedy(arms, spec.epsilon, rng)
