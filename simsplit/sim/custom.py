"""A user's own policy: imported, built, and held to the same contract as ours."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.policies import Custom
from simsplit.sim.decision import Decision
from simsplit.sim.knowledge import Costs, Knowledge


class CustomPolicy:
    """Wraps a user's policy: names become decisions, and a point that it may not choose an error.

    The user's class is built with (costs by point, options, rng); it has ``choose(knowledge,
    sample)`` that gives a name or a `Decision`, and may have ``learn(point, reward)``.
    """

    def __init__(
        self, spec: Custom, costs: Mapping[str, Costs], rng: np.random.Generator, path: str
    ) -> None:
        self._spec, self._points, self._path = spec, tuple(costs), path
        self._policy = _build(spec, costs, rng, path)
        self._learn = getattr(self._policy, "learn", None)

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """The user's decision; ScenarioError if it names no point of its own or a wrong time."""
        said = self._said(knowledge, sample)
        decision = said if isinstance(said, Decision) else Decision(said)
        if decision.point not in self._points:
            raise self._error("chose a point that it may not", decision.point, self._points)
        if not 0.0 <= decision.exit_s < math.inf:
            raise self._error("exit_s must be finite and not negative", decision.exit_s)
        return decision

    def _said(self, knowledge: Knowledge, sample: int) -> str | Decision:
        try:
            said: str | Decision = self._policy.choose(knowledge, sample)
        except Exception as error:  # a user's own class may raise anything
            raise self._error(f"failed to choose: {type(error).__name__}: {error}", None) from error
        return said

    def learn(self, point: str, reward: float) -> None:
        """Handed on if the user's policy learns."""
        if self._learn is not None:
            self._learn(point, reward)

    def _error(self, message: str, value: object, choices: tuple[str, ...] = ()) -> ScenarioError:
        return ScenarioError(
            f"{self._spec.target} {message}", path=self._path, value=value, choices=choices
        )


def _build(
    spec: Custom, costs: Mapping[str, Costs], rng: np.random.Generator, path: str
) -> Any:  # a user's class is known only once it is imported
    made = _import(spec.target, path)
    try:
        policy = made(dict(costs), dict(spec.options), rng)
    except Exception as error:
        raise _wrong(
            spec.target, path, f"cannot be built with (costs, options, rng): {error}"
        ) from error
    if not callable(getattr(policy, "choose", None)):
        raise _wrong(spec.target, path, "has no method choose(knowledge, sample)")
    return policy


def _import(target: str, path: str) -> Any:
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except Exception as error:
        raise _wrong(target, path, f"cannot be imported: {error}") from error


def _wrong(target: str, path: str, message: str) -> ScenarioError:
    return ScenarioError(f"the policy's class {message}", path=f"{path}.target", value=target)
