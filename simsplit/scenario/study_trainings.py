"""What a study's step ``train`` may say."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from simsplit.scenario.spec import Count, Spec, Whole


def _each_once(numbers: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if numbers is not None and len(set(numbers)) < len(numbers):
        raise ValueError("each number once")
    return numbers


_Once = AfterValidator(_each_once)
Seeds = Annotated[Annotated[tuple[Whole, ...], Field(min_length=1, max_length=100)] | None, _Once]
Folds = Annotated[Annotated[tuple[Count, ...], Field(min_length=1, max_length=100)] | None, _Once]


class Training(Spec):
    """What is trained: a recipe, by its model's name or path; with these seeds, on these folds.

    ``keep_weights``: of other seeds and folds than the recipe's own too.
    """

    recipe: Annotated[str, Field(min_length=1, max_length=500)]
    seeds: Seeds = None
    folds: Folds = None
    keep_weights: bool = False

    @field_validator("keep_weights")
    @classmethod
    def _of_others(cls, value: bool, info: ValidationInfo) -> bool:
        if value and not (info.data.get("seeds") or info.data.get("folds")):
            raise ValueError("is of seeds or folds; the recipe's own weights are always kept")
        return value


class ShortTraining(Spec):
    """What `--short` makes of it: so many steps, and other seeds and folds if they are said.

    ``left_out``: nothing, as where a recipe of the same kind is shortened already.
    """

    left_out: bool = False
    max_steps: Count = 40
    seeds: Seeds = None
    folds: Folds = None

    @model_validator(mode="after")
    def _left_out_alone(self) -> Self:
        if self.left_out and self.model_fields_set - {"left_out"}:
            raise ValueError("what is left out has no steps, seeds or folds")
        return self
