"""Designs that Optuna proposes: ask for a batch, run it, tell what came of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simsplit.errors import ArtefactError
from simsplit.scenario.axes import Range, Value
from simsplit.study.search import Axis, Design, Search, costs

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler


POPULATION = 20  # of NSGA-II; Optuna's 50 leave a short search no generations
Measure = Callable[[Sequence[Mapping[str, Value]]], Sequence[Design]]


def ask_and_tell(search: Search, measure: Measure, trials: int) -> None:
    """``trials`` designs in batches; asked again with the same answers, it proposes the same.

    Raises:
        ArtefactError: Optuna is not installed, or too old.
    """
    study, distributions = _study(search), _distributions(search.axes)
    for start in range(0, trials, search.batch):
        count = min(search.batch, trials - start)
        asked = [study.ask(distributions) for _ in range(count)]
        designs = measure([_values(search.axes, trial.params) for trial in asked])
        for trial, design in zip(asked, designs, strict=True):
            _tell(study, search, trial, design)


def optuna_version() -> str:
    """Version of Optuna, which decides what is proposed."""
    return str(_optuna().__version__)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        message = "the search needs Optuna: pip install simsplit[optimise]"
        raise ArtefactError(message) from None
    if not hasattr(optuna.Trial, "set_constraint"):
        message = "the search needs Optuna 5 or later: pip install -U simsplit[optimise]"
        raise ArtefactError(message, value=optuna.__version__)
    return optuna


def _study(search: Search) -> Study:
    optuna = _optuna()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    directions = ["minimize"] * len(search.objectives)
    study: Study = optuna.create_study(directions=directions, sampler=_sampler(search))
    return study


def _sampler(search: Search) -> BaseSampler:
    samplers = _optuna().samplers
    made: BaseSampler
    match search.sampler:
        case "nsga2":
            made = samplers.NSGAIISampler(seed=search.seed, population_size=POPULATION)
        case "random":
            made = samplers.RandomSampler(seed=search.seed)
        case _:
            made = samplers.TPESampler(seed=search.seed, constant_liar=True)
    return made


def _distributions(axes: Mapping[str, Axis]) -> dict[str, BaseDistribution]:
    return {path: _distribution(axis) for path, axis in axes.items()}


def _distribution(axis: Axis) -> BaseDistribution:
    """Numbers in a list are ordered: their rank is asked for; anything else is a category."""
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if not isinstance(axis, Range):
        last = len(axis) - 1
        return IntDistribution(0, last) if _ordered(axis) else CategoricalDistribution(axis)
    if axis.is_integer:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.is_log)
    return FloatDistribution(axis.low, axis.high, log=axis.is_log)


def _ordered(axis: Sequence[Value]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in axis)


def _values(axes: Mapping[str, Axis], asked: Mapping[str, Any]) -> dict[str, Value]:
    return {path: _value(axis, asked[path]) for path, axis in axes.items()}


def _value(axis: Axis, asked: Any) -> Value:
    value: Value = asked
    if not isinstance(axis, Range):
        return sorted(axis)[asked] if _ordered(axis) else value
    if axis.is_integer:
        return value
    short = float(f"{asked:.6g}")  # reads the same in every table
    return short if axis.low <= short <= axis.high else float(asked)


def _tell(study: Study, search: Search, trial: Trial, design: Design) -> None:
    """Objectives as costs, constraints as what is missing; without a KPI the trial failed."""
    from optuna.trial import TrialState

    if math.isnan(design.violation):
        study.tell(trial, state=TrialState.FAIL)
        return
    for number, pair in enumerate(zip(search.conditions, design.constraints, strict=True)):
        trial.set_constraint(f"{number}", pair[0].lacking(pair[1].mean))
    study.tell(trial, costs(search, design))
