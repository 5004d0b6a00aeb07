"""Metrics of a user's own (``answer: {kind: custom, target}``), held to their contract."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ContractError
from simsplit.scenario.answers import CustomAnswer
from simsplit.scenario.user_code import build_target, made_of, users_code

Array = NDArray[Any]
KIND = "a metric"


class Metric(Protocol):
    """What an answer is worth; built with ``options`` by keyword.

    It may have ``lost(truth) -> float``, the score of a request that was not answered (0 without
    it); and, for a score over all requests together, ``evidence(answer, truth)``, a numpy array of
    numbers per request, with ``pooled(evidence) -> float`` of the list of them.
    """

    def score(self, answer: Any, truth: Mapping[str, Array]) -> float:
        """Of one request.

        Args:
            answer: The network's tensor as numpy without the batch's dimension; of several tensors
                a mapping by name.
            truth: One row of the data set's arrays, ``image`` uint8 ``(H, W, C)`` among them.
        """


class CheckedMetric:
    """A user's metric, held to the contract at every call.

    Args:
        metric: The user's object.
        who: Its class, for errors.
        path: Where it stands in the YAML, for errors.
    """

    def __init__(self, metric: Any, who: str, path: str = "") -> None:
        self._metric, self._who, self._path = metric, who, path
        self.pools = hasattr(metric, "pooled")
        if not callable(getattr(metric, "score", None)):
            raise self._broken("it has score(answer, truth)", type(metric).__name__)
        if self.pools and not callable(getattr(metric, "evidence", None)):
            raise self._broken("with pooled(evidence) it has evidence(answer, truth)")

    def score(self, answer: Any, truth: Mapping[str, Array]) -> float:
        """Of one request. Raises ContractError for what is no finite number."""
        with users_code(f"{self._who} failed to score", self._path):
            value = self._metric.score(answer, truth)
        return self._number(value, "score")

    def lost(self, truth: Mapping[str, Array]) -> float:
        """Of a request that was not answered."""
        if not hasattr(self._metric, "lost"):
            return 0.0
        with users_code(f"{self._who} failed to score what was lost", self._path):
            value = self._metric.lost(truth)
        return self._number(value, "lost")

    def evidence(self, answer: Any, truth: Mapping[str, Array]) -> Array:
        """Of one request, for `pooled`."""
        with users_code(f"{self._who} failed to give evidence", self._path):
            array = self._metric.evidence(answer, truth)
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiub":
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise self._broken("evidence gives a numpy array of numbers", found)
        return array

    def pooled(self, evidence: Sequence[Array]) -> float:
        """Of many requests together; NaN where the metric cannot say."""
        with users_code(f"{self._who} failed to pool", self._path):
            value = self._metric.pooled(list(evidence))
        if not isinstance(value, int | float | np.number):
            raise self._broken("pooled gives a number", type(value).__name__)
        return float(value)

    def _number(self, value: Any, name: str) -> float:
        if isinstance(value, bool | np.bool_ | int | float | np.integer | np.floating):
            number = float(value)
            if math.isfinite(number):
                return number
            raise self._broken(f"{name} gives a finite number", number)
        raise self._broken(f"{name} gives a number", type(value).__name__)

    def _broken(self, clause: str, found: object = None) -> ContractError:
        return ContractError.broken(self._who, KIND, clause, found, path=self._path)


def open_metric(spec: CustomAnswer, path: str) -> CheckedMetric:
    """The metric that an answer names; ``path`` is the answer's place in the YAML.

    Raises:
        ScenarioError: The class is not there, may not be imported, or cannot be built.
        ContractError: It lacks a method.
    """
    made = build_target(
        spec.target, path=f"{path}.target", base=None, options=spec.options, takes="these options"
    )
    return CheckedMetric(made, spec.target.partition(":")[2], f"{path}.target")


def check_metric(
    thing: Any,
    answer: Any,
    truth: Mapping[str, Array],
    *,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Hold a metric to its contract: a class, built with ``options``, or an object.

    Args:
        thing: Class, or object.
        answer: An example of what the network gives.
        truth: The truth that belongs to it.

    Raises:
        ContractError: Names the clause that does not hold.
        ScenarioError: It cannot be built, or fails.
    """
    made, who = made_of(thing, contract=Metric, kind=KIND, options=options)
    metric = CheckedMetric(made, who)
    first = metric.score(answer, truth)
    if metric.score(answer, truth) != first:
        clause = "score gives the same number for the same answer"
        raise ContractError.broken(who, KIND, clause)
    metric.lost(truth)
    if metric.pools:
        metric.pooled([metric.evidence(answer, truth)])
