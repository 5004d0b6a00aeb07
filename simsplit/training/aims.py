"""What a phase of a recipe minimises: objectives and their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

from simsplit.scenario.answers import AnswerSpec, answer_keys
from simsplit.scenario.spec import NonNegative, Positive, Spec


class Distillation(Spec):
    """Learning from a teacher: the untouched network itself, or another one.

    ``nodes``: at these nodes behind the cut (of the teacher: ``teacher_nodes``, else of the same
    names) the mean square error over the teacher's variance; at its output if none is named, summed
    over the answers (`simsplit.training.losses.output_distillation`).
    """

    weight: Positive = 1.0
    nodes: tuple[str, ...] = ()
    teacher_nodes: tuple[str, ...] = ()
    teacher: dict[str, Any] | None = None
    temperature: Positive = 1.0

    @model_validator(mode="after")
    def _paired(self) -> Self:
        if self.teacher_nodes and len(self.teacher_nodes) != len(self.nodes):
            raise ValueError("teacher_nodes must pair up with nodes")
        return self


class Compressibility(Spec):
    """How many bits a transform coder would need (`simsplit.training.objectives`).

    Of the feature at the cut; of a network as a whole of what the node ``at`` gives.
    ``normalised_by``: each picture's range, as published, or its energy.
    """

    weight: Positive
    normalised_by: Literal["range", "energy"] = "range"
    at: Annotated[str, Field(min_length=1, max_length=200)] | None = None


def _how_said(value: Any) -> str:
    """In brackets it is no part of a path (`simsplit.scenario.mistakes`)."""
    return "(each)" if isinstance(value, Mapping) else "(all)"


TaskWeights = Annotated[
    Annotated[NonNegative, Tag("(all)")]
    | Annotated[dict[str, NonNegative], Field(min_length=1), Tag("(each)")],
    Discriminator(_how_said),
]


class Objectives(Spec):
    """Weights of what a phase minimises, summed.

    ``task``: the losses of the declared answers, of one weight, or of one each by name (else kind).
    ``jaccard``: within the loss of maps of classes, of 1 - soft mean IoU beside the cross-entropy.
    ``uncertainty``: losses are weighted by a learned log variance each on top. ``feature``: mean
    square error of the feature behind the code over its variance. ``rate``: estimated bits per
    element of the feature. ``distill``: a weight, or a `Distillation`. ``compressibility``: a
    weight, or a `Compressibility`.
    """

    task: TaskWeights = 0.0
    jaccard: NonNegative = 0.0
    uncertainty: bool = False
    feature: NonNegative = 0.0
    rate: NonNegative = 0.0
    distill: Distillation | None = None
    compressibility: Compressibility | None = None

    @field_validator("distill", "compressibility", mode="before")
    @classmethod
    def _weight_alone(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"weight": value}
        if isinstance(value, Mapping | Spec | None):
            return value
        key = "nodes: [...]" if info.field_name == "distill" else "normalised_by: energy"
        raise ValueError(f"a weight, or a mapping: {{weight: 1, {key}}}")

    @model_validator(mode="after")
    def _something(self) -> Self:
        others = self.feature or self.rate or self.distill or self.compressibility
        if not (self.has_task or others):
            raise ValueError("a phase minimises something: all objectives are 0")
        if self.uncertainty and not self.has_task:
            raise ValueError("uncertainty weighs the losses of the answers: say task: 1")
        return self

    @property
    def has_task(self) -> bool:
        """Whether the loss of any answer counts."""
        return any(self.task.values()) if isinstance(self.task, dict) else bool(self.task)

    def weights(self, answers: Sequence[AnswerSpec]) -> dict[str, float]:
        """Of every answer's loss, by its key (`simsplit.scenario.answers.answer_keys`)."""
        keys = answer_keys(answers)
        return {key: self.task[key] if isinstance(self.task, dict) else self.task for key in keys}
