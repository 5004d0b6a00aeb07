"""What a network's output is, said once: ``answer`` of an entry of ``networks:``.

Two short forms are as old as the networks themselves and mean what they always meant: ``label``
(accuracy alone) and ``segmentation`` (``miou`` and ``pixel_accuracy``). A mapping with a ``kind``
gives every score of that kind, pooled ones too; a list of mappings is a network of several tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, field_validator, model_validator

from simsplit.scenario.spec import Count, Fraction, Spec, Whole

RESERVED = ("in_time", "answered")  # endings that a score's name has already
SHORT = ("label", "segmentation")


def _free(name: str) -> str:
    if name in RESERVED or name.endswith(tuple(f"_{end}" for end in RESERVED)):
        raise ValueError(f"names of scores end so already: {', '.join(RESERVED)}")
    return name


AnswerName = Annotated[
    str,
    Field(min_length=1, max_length=40, pattern=r"^[a-z][a-z0-9_]*$"),
    AfterValidator(_free),
]
Labels = Annotated[tuple[Whole, ...], Field(min_length=1, max_length=100_000)]


OutputKey = Whole | Annotated[str, Field(min_length=1, max_length=200)]


class _Answer(Spec):
    """What every answer says.

    ``name``: ends the names of its scores, ``accuracy_<name>``; needed where two answers are of one
    kind. ``output``: which tensor of the network's output it is, by name or by index; may be left
    out of a network that gives one tensor. ``truth``: the data set's array it is held against.
    """

    name: AnswerName | None = None
    output: OutputKey | None = None
    truth: Annotated[str, Field(min_length=1, max_length=60)] | None = None

    @property
    def ending(self) -> str:
        """What the names of its scores end in."""
        return "" if self.name is None else f"_{self.name}"


class _OfClasses(_Answer):
    """``classes``: how many the network knows. ``labels``: the network's number of every class of
    the data set, in the data set's order, where it knows others or in another order."""

    classes: Count | None = None
    labels: Labels | None = None

    @field_validator("labels")
    @classmethod
    def _once_each(cls, labels: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if labels is not None and len(set(labels)) < len(labels):
            raise ValueError("a number of the network's stands for two classes")
        return labels


class ClassificationAnswer(_OfClasses):
    """Logits ``(1, classes)``, or ``probabilities`` that sum to 1.

    Held against ``label``; of a ``name`` against ``label_<name>``, a head of its own.
    """

    kind: Literal["classification"]
    probabilities: bool = False

    @property
    def truth_key(self) -> str:
        """The data set's array."""
        return self.truth or f"label{self.ending}"


class SegmentationAnswer(_OfClasses):
    """Logits ``(1, classes, H, W)``; ``resize``: maps of another size are scaled bilinearly."""

    kind: Literal["segmentation"]
    resize: bool = False

    @property
    def truth_key(self) -> str:
        """The data set's array."""
        return self.truth or "segmentation"


class DetectionAnswer(_OfClasses):
    """Boxes ``(n, 4)`` as x0 y0 x1 y1 in px, scores ``(n,)`` in [0, 1] and labels ``(n,)``.

    They are called ``boxes``, ``scores`` and ``labels`` in the output, as torchvision's detectors
    call them; each may have a batch dimension of 1 before. ``first_label``: the number of the data
    set's first class; 1 where 0 is the background. Boxes below ``min_score`` are no answer and do
    not travel. ``centres`` and ``extents``: the raw maps of a centre-point detector, on which it is
    trained (`simsplit.networks.centre_points`); map 0 of ``centres`` is of label ``first_label``.
    """

    kind: Literal["detection"]
    first_label: Whole = 1
    min_score: Fraction = 0.0
    centres: OutputKey | None = None
    extents: OutputKey | None = None

    @model_validator(mode="after")
    def _both_maps(self) -> Self:
        if (self.centres is None) != (self.extents is None):
            raise ValueError("centres and extents, maps of a centre-point detector, go together")
        return self

    @property
    def truth_key(self) -> str:
        """The data set's array; ``box_labels`` beside it."""
        return self.truth or "boxes"


class DisparityAnswer(_Answer):
    """Disparities ``(1, H, W)`` or ``(1, 1, H, W)`` in px of the picture; see ``resize`` above."""

    kind: Literal["disparity"]
    resize: bool = False

    @property
    def truth_key(self) -> str:
        """The data set's array."""
        return self.truth or "disparity"


class RegressionAnswer(_Answer):
    """Numbers ``(1, K)`` in the units of the data set's ``target``."""

    kind: Literal["regression"]

    @property
    def truth_key(self) -> str:
        """The data set's array."""
        return self.truth or "target"


class ReconstructionAnswer(_Answer):
    """A picture ``(1, C, H, W)`` in [0, 1]; held against ``clean``, else the picture itself."""

    kind: Literal["reconstruction"]

    @property
    def truth_key(self) -> str:
        """The data set's array."""
        return self.truth or "image"


class CustomAnswer(_Answer):
    """An answer that a metric of the user's own scores: ``score(answer, truth) -> float``.

    ``target``: ``package.module:Name`` of its class, built with ``options``; see docs/answers.md.
    """

    kind: Literal["custom"]
    name: AnswerName = "custom"
    target: Annotated[str, Field(min_length=3, max_length=200, pattern=r"^[\w.]+:\w+$")]
    options: dict[str, float | int | str | bool] = Field(default_factory=dict)

    @property
    def truth_key(self) -> str:
        """The data set's array; empty: it sees all of them."""
        return self.truth or ""


AnswerSpec = Annotated[
    ClassificationAnswer
    | SegmentationAnswer
    | DetectionAnswer
    | DisparityAnswer
    | RegressionAnswer
    | ReconstructionAnswer
    | CustomAnswer,
    Field(discriminator="kind"),
]


def _form(value: Any) -> str:
    """In which of its forms the key is said; in brackets it is no part of a path (mistakes.py)."""
    if isinstance(value, str):
        return "(short)"
    return "(several)" if isinstance(value, list | tuple) else "(one)"


def _distinct(answers: tuple[AnswerSpec, ...]) -> tuple[AnswerSpec, ...]:
    names = [(answer.kind, answer.name) for answer in answers]
    doubled = sorted({kind for kind, name in names if names.count((kind, name)) > 1})
    if doubled:
        raise ValueError(f"two answers of kind {doubled[0]} need a name each, no two the same")
    return answers


Answers = Annotated[
    Annotated[Literal["label", "segmentation"], Tag("(short)")]
    | Annotated[AnswerSpec, Tag("(one)")]
    | Annotated[
        tuple[AnswerSpec, ...], Field(min_length=1), AfterValidator(_distinct), Tag("(several)")
    ],
    Discriminator(_form),
]


def answers_of(
    answer: Literal["label", "segmentation"] | AnswerSpec | tuple[AnswerSpec, ...] | None,
) -> tuple[AnswerSpec, ...]:
    """The answers that a key ``answer`` says, written out."""
    if answer is None:
        return ()
    if answer == "label":
        return (ClassificationAnswer(kind="classification"),)
    if answer == "segmentation":
        return (SegmentationAnswer(kind="segmentation"),)
    return answer if isinstance(answer, tuple) else (answer,)


def answer_keys(answers: Sequence[AnswerSpec]) -> list[str]:
    """What a recipe's weights call each answer: its name, else its kind.

    Answers of different kinds that share a name are called by both, ``regression_scale``.
    """
    plain = [answer.name or answer.kind for answer in answers]
    both = (f"{a.kind}_{a.name}" if a.name else a.kind for a in answers)
    pairs = zip(plain, both, strict=True)
    return [key if plain.count(key) == 1 else longer for key, longer in pairs]
