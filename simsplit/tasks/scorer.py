"""A network's declared answers on one task: read, checked, scored, weighed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.picture import ImageCodec
from simsplit.errors import ScenarioError
from simsplit.messages import Evidence, Outcome, Scores
from simsplit.scenario.answers import (
    SHORT,
    AnswerSpec,
    ClassificationAnswer,
    CustomAnswer,
    DetectionAnswer,
    SegmentationAnswer,
    answers_of,
)
from simsplit.scenario.operating_points import Network
from simsplit.tasks.evidence import OWN
from simsplit.tasks.outputs import Answer, read_answers
from simsplit.tasks.own_metric import open_metric
from simsplit.tasks.score_names import score_names
from simsplit.tasks.scoring import constant_of, named, scored
from simsplit.tasks.wanted import wanted_of

Array = NDArray[Any]

BOX_BITS = 4 * 16 + 8 + 8  # coordinates, label, score
VALUE_BITS = 32  # a disparity, a number
LEAST_BITS = 8  # an answer without a box says so
_OF_SHORT = ("accuracy", "miou", "pixel_accuracy")  # all that the short forms ever gave


class Scorer:
    """Reads a network's outputs and scores them against a task's samples.

    Args:
        network: Whose ``answer`` it is; without one there is nothing to score.
        truth: The data set's arrays, first dimension N.
        classes: How many classes an array of labels has, by the array's name.
        scale: (height, width) of the picture over those of the network's input.
        path: Where the answer is said; None: in the network's entry of ``networks:``.

    Raises:
        ScenarioError: The data set lacks the truth, or has another number of classes.
    """

    def __init__(
        self,
        network: Network,
        truth: Mapping[str, Array],
        classes: Mapping[str, int],
        scale: tuple[float, float] = (1.0, 1.0),
        path: str | None = None,
    ) -> None:
        self.answers = answers_of(network.answer)
        self.truth = truth
        self._is_short = network.answer in SHORT
        path = path or f"networks.{network.name}.answer"
        several = isinstance(network.answer, tuple)
        self.wanted = [
            wanted_of(spec, f"{path}[{i}]" if several else path, truth, classes, scale)
            for i, spec in enumerate(self.answers)
        ]
        self._own = {
            one.spec.ending: open_metric(one.spec, one.path)
            for one in self.wanted
            if isinstance(one.spec, CustomAnswer)
        }

    @cached_property
    def _constants(self) -> list[Array | None]:
        return [constant_of(spec, self.truth) for spec in self.answers]

    @property
    def names(self) -> list[str]:
        """Names of a request's scores."""
        if self._is_short:
            lost = self.lost(0)
            return [name for name, _ in lost.scores]
        return [name for one in self.wanted for name in score_names(one.spec, one.classes)]

    def read(self, output: Any, sample: int) -> list[Answer]:
        """One sample's answers from the network's output for a batch of one.

        Raises:
            ScenarioError: What the network gave is not what the data set wants.
        """
        try:
            return read_answers(output, self.wanted)
        except ScenarioError as error:
            message = f"{error.message}; sample {sample}"
            raise ScenarioError(
                message, path=error.path, value=error.value, choices=error.choices
            ) from None

    def outcome(self, answers: Sequence[Answer], sample: int) -> Outcome:
        """Scores and evidence of one sample's answers."""
        return self._outcome(answers, sample)

    def lost(self, sample: int) -> Outcome:
        """Scores and evidence of a request whose payload did not arrive."""
        return self._outcome([None] * len(self.answers), sample)

    def _outcome(self, answers: Sequence[Answer | None], sample: int) -> Outcome:
        row = {key: values[sample] for key, values in self.truth.items()}
        scores: Scores = ()
        evidence: list[Evidence] = []
        for answer, one, constant in zip(answers, self.wanted, self._constants, strict=True):
            if isinstance(one.spec, CustomAnswer):
                mine, shown = self._by_own(one.spec, answer, row)
            else:
                found = scored(answer, row, one, constant)
                mine, shown = named(found, one.spec, is_lost=answer is None)
            scores = (*scores, *mine)
            evidence += [] if shown is None else [shown]
        if self._is_short:
            return Outcome(tuple((name, value) for name, value in scores if name in _OF_SHORT))
        return Outcome(scores, tuple(evidence))

    def _by_own(
        self, spec: CustomAnswer, answer: Answer | None, row: Mapping[str, Array]
    ) -> tuple[Scores, Evidence | None]:
        """Score and evidence by a metric of the user's own; of a lost request no evidence."""
        metric = self._own[spec.ending]
        if answer is None:
            return ((spec.name, metric.lost(row)),), None
        scores = ((spec.name, metric.score(answer, row)),)
        if not metric.pools:
            return scores, None
        return scores, Evidence(spec.ending, {OWN: metric.evidence(answer, row)})

    def finished(self, outcome: Outcome) -> Outcome:
        """The outcome with what pools its evidence, which no file can hold."""
        if not any(metric.pools for metric in self._own.values()):
            return outcome
        evidence = tuple(
            replace(one, pool=self._own[one.ending].pooled) if OWN in one.values else one
            for one in outcome.evidence
        )
        return Outcome(outcome.scores, evidence)

    # --- what answers weigh

    def bits(self, answers: Sequence[Answer]) -> int:
        """Size of one sample's answers when they travel; see docs/answers.md.

        A class: as many whole bytes as count the classes. A map of classes: its PNG. A box: four
        coordinates of 16 bit, label and score of 8 bit each. Disparities and numbers: float32.
        A picture: one byte per colour value.
        """
        pairs = zip(answers, self.wanted, strict=True)
        return sum(_answer_bits(answer, one.spec) for answer, one in pairs)

    def map_bits(self, answers: Sequence[Answer]) -> int:
        """Of `bits` those of the maps of classes, which are coded."""
        pairs = zip(answers, self.wanted, strict=True)
        maps = [(a, one.spec) for a, one in pairs if isinstance(one.spec, SegmentationAnswer)]
        return sum(_answer_bits(answer, spec) for answer, spec in maps)

    @property
    def answer_map(self) -> tuple[int, ...]:
        """Shape of the maps of classes that travel as PNG, one below the other; empty: none."""
        maps = sum(isinstance(spec, SegmentationAnswer) for spec in self.answers)
        if not maps:
            return ()
        height, width = self.wanted[0].size
        return (maps * height, width)


def _answer_bits(answer: Answer, spec: AnswerSpec) -> int:
    match spec:
        case DetectionAnswer():
            assert isinstance(answer, Mapping)
            return max(LEAST_BITS, BOX_BITS * len(answer["scores"]))
        case CustomAnswer() if isinstance(answer, Mapping):
            return sum(8 * array.nbytes for array in answer.values())
    array = np.asarray(answer)
    match spec:
        case ClassificationAnswer():
            return 8 * math.ceil(math.log2(max(2, len(array))) / 8)
        case SegmentationAnswer():
            return 8 * len(ImageCodec("png").encode(array[..., None]))
        case CustomAnswer():
            return 8 * array.nbytes
    return array.size * (8 if array.dtype == np.uint8 else VALUE_BITS)
