"""Options of a published network, checked as every noun of a scenario is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from simsplit.errors import Mistakes
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.spec import Spec

S = TypeVar("S", bound=Spec)
T = TypeVar("T", bound=str)


def once_each(tasks: tuple[T, ...]) -> tuple[T, ...]:
    """Tasks as they are said, none of them twice (for pydantic)."""
    if len(set(tasks)) < len(tasks):
        raise ValueError("each task once")
    return tasks


def checked(model: type[S], options: Mapping[str, Any]) -> S:
    """The options as the spec that a builder takes.

    Raises:
        ScenarioError: Unknown key or bad value, with its path below ``options``.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        told = mistake(error, dict(options), model)
    for one in told.mistakes if isinstance(told, Mistakes) else (told,):
        one.path = f"options.{one.path}" if one.path else "options"
    raise told
