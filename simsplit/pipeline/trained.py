"""Operating points of the trained networks in ``models/``: bottleneck, JSCC, early exit.

Every forward runs on batches of one fixed shape, so a request's scores never depend on which others
are scored with it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.build import check_formats
from simsplit.codecs.contract import Codec
from simsplit.errors import ScenarioError
from simsplit.messages import Evidence, Outcome, Prepared, Scheme, Workload
from simsplit.networks.artefact import Artefact, load_artefact
from simsplit.networks.devices import CPU
from simsplit.networks.inference import Inference
from simsplit.operators import Operators, from_rows
from simsplit.pipeline.cache import Shared
from simsplit.pipeline.chains import (
    AnalogChain,
    Chain,
    CodecChain,
    LocalChain,
    PictureChain,
    Pictures,
    TaskNetwork,
    examine_codecs,
    point_codec,
)
from simsplit.pipeline.checks import check_exits, check_schemes, check_splits, check_task
from simsplit.pipeline.workloads import exit_workload, workloads
from simsplit.scenario.operating_points import OperatingPoint, Task
from simsplit.tasks.answers import answer_bits, lost_scores, task_scores
from simsplit.tasks.datasets import Arrays, test_samples

HEADLINES = {"streets": "miou", "cityscapes": "miou", "digits": "accuracy"}


def headline_of(data: Any) -> str:
    """The score that a network of this data set (bare name, or mapping) is known by."""
    return HEADLINES.get(data, "accuracy") if isinstance(data, str) else "accuracy"


def model_chains(
    model: str,
    task: Task,
    points: Mapping[str, OperatingPoint],
    models_dir: Path,
    device: str = CPU,
) -> list[Chain[Any]]:
    """The chains of a model; its weights are read here.

    Args:
        model: Folder in ``models_dir`` that holds the weights.
        task: Whose pictures circulate: the first ``task.samples`` of the test range, at the size
            that the network was trained for.
        points: The ways to send that will be asked for, by their path in the YAML.
        models_dir: Folder of all trained things.
        device: What runs the network, one of `simsplit.networks.devices.DEVICES`.

    Raises:
        ArtefactError: The weights are missing, stale or damaged.
        ScenarioError: Dataset, size, scheme, split, exit or number of samples do not fit the
            network, or this installation has no AVIF.
    """
    artefact = load_artefact(models_dir, model)
    check_task(artefact.card, model, task)
    check_formats(points)
    check_schemes(artefact, points)
    check_splits(artefact.model.splits, points)
    check_exits(artefact, models_dir, points)
    truth = test_samples(task.dataset, task.height_px, task.width_px, task.samples)
    network = TrainedNetwork(artefact, truth, device)
    chains = [trained_chain(point, network) for point in points.values()]
    examine_codecs(chains)
    return chains


class TrainedNetwork(TaskNetwork):
    """A network of ``models/`` over the task's samples.

    Args:
        artefact: The network with its entropy tables and its card.
        truth: The task's samples; ``image`` uint8 ``(N, H, W, C)``.
        device: What runs the network.
    """

    def __init__(self, artefact: Artefact, truth: Arrays, device: str = CPU) -> None:
        super().__init__(truth)
        self.artefact, self.device = artefact, device
        self.inference = Inference(artefact.model, device)

    def _digest(self) -> str:
        return self.artefact.digest

    @cached_property
    def features(self) -> NDArray[np.float32]:
        """What the trunk makes of every sample, ``(N, C, h, w)``."""
        return self.inference.features(self.truth["image"])

    @cached_property
    def answer_bits(self) -> NDArray[np.int64]:
        """PNG of the segmentation map (streets) or one byte (digits), ``(N,)``."""
        return answer_bits(self.inference.answers(self.features))

    def workload(self, point: OperatingPoint) -> Workload:
        """Trunk, bottleneck and heads on their side of the cut.

        JSCC's normalisation is one of its operators. What a codec codes (JPEG, PNG, range coder) is
        charged by its shape.
        """
        maps = self.truth.get("segmentation")
        answer_map = () if maps is None else maps.shape[1:]
        if point.exit:
            return replace(exit_workload(self._parts), answer_map=answer_map)
        work = workloads(self._parts)[point.scheme]
        work = replace(work, coded=self._coded(point.scheme), answer_map=answer_map)
        return replace(work, tail=self._tail(point)) if work.edge else work

    @cached_property
    def _parts(self) -> dict[str, Operators]:
        rows = self.artefact.card["operators_by_part"]
        return {part: from_rows(operators) for part, operators in rows.items()}

    def _coded(self, scheme: Scheme) -> tuple[tuple[int, ...], ...]:
        match scheme:
            case Scheme.RAW:
                return (self.picture_shape,)
            case Scheme.SEPARATE:
                return (self.artefact.model.latent_shape,)
            case _:
                return ()

    def _tail(self, point: OperatingPoint) -> str:
        has_split = point.scheme is not Scheme.RAW
        split = (point.split or self.artefact.model.splits[0],) if has_split else ()
        return "/".join((self.artefact.name, point.scheme, *split))

    # --- act three

    def of_pictures(self, pictures: Pictures, samples: Sequence[int]) -> list[Outcome]:
        """What the network's answers to pictures of these samples are worth."""
        return self.of_features(self.inference.features(np.asarray(pictures)), samples)

    def of_features(self, features: NDArray[np.float32], samples: Sequence[int]) -> list[Outcome]:
        """What the heads' answers to features ``(n, C, h, w)`` of these samples are worth."""
        return self._outcomes(self.inference.answers(features), samples)

    def shared(self, way: Shared, samples: Sequence[int]) -> list[Outcome]:
        """Results that all its operating points share, the early exit's among them."""
        if way is not Shared.EXIT:
            return super().shared(way, samples)
        features = self.inference.exit_features(self.truth["image"][list(samples)])
        outcomes = self._outcomes(self.inference.exit_answers(features), samples)
        pairs = zip(outcomes, self.inference.exit_confidence(features), strict=True)
        return [replace(outcome, evidence=calibration(outcome, sure)) for outcome, sure in pairs]

    def lost(self, sample: int) -> Outcome:
        """Its mIoU, pixel accuracy and accuracy are 0; disparity and picture are the constant's.

        The edge knows the training set's mean of both.
        """
        constant = self.artefact.card["constant_answer"]
        return Outcome(lost_scores(self._truth_of(sample), constant))

    def _outcomes(
        self, answers: Mapping[str, NDArray[Any]], samples: Sequence[int]
    ) -> list[Outcome]:
        return [
            Outcome(task_scores({k: v[row] for k, v in answers.items()}, self._truth_of(sample)))
            for row, sample in enumerate(samples)
        ]

    def _truth_of(self, sample: int) -> dict[str, NDArray[Any]]:
        return {name: values[sample] for name, values in self.truth.items()}


def calibration(outcome: Outcome, confidence: float) -> tuple[Evidence, ...]:
    """Evidence for ``ece``: an answer's confidence beside how right it is.

    Of a label whether it is right; of a map of classes the share of right pixels, as its confidence
    is the mean over pixels. None of a picture without a labelled pixel.
    """
    scores = outcome.as_dict()
    right = scores["accuracy" if "accuracy" in scores else "pixel_accuracy"]
    if math.isnan(right):
        return ()
    return (Evidence("", {"calibration": np.array([confidence, right])}),)


# --- chains -----------------------------------------------------------------------------------


def trained_chain(point: OperatingPoint, network: TrainedNetwork) -> Chain[Any]:
    """The chain of an operating point of a model."""
    if point.exit:
        return ExitChain(point, network)
    match point.scheme:
        case Scheme.LOCAL:
            return LocalChain(point, network)
        case Scheme.RAW:
            return PictureChain(point, network)
        case Scheme.SEPARATE:
            return BottleneckChain(point, network)
        case Scheme.JSCC:
            return JsccChain(point, network)


class ExitChain(Chain[TrainedNetwork]):
    """The early exit's answer, on the device."""

    def make(self) -> Prepared:
        """Act one: the exit's own answers, and how sure of them it is."""
        inference = self.network.inference
        features = inference.exit_features(self.network.truth["image"])
        answers = answer_bits(inference.exit_answers(features))
        confidence = inference.exit_confidence(features)
        return Prepared(self._none, self._none, answers, confidence=confidence)


class BottleneckChain(CodecChain[TrainedNetwork]):
    """Latents of the digital bottleneck, coded."""

    @cached_property
    def codec(self) -> Codec:
        """The codec that the point names, for this network's latents.

        Raises:
            ArtefactError: The weights hold no entropy table of that bit depth.
            ScenarioError: The point has no codec, or one for tensors of another network.
        """
        if self.point.codec is None or self.point.codec.kind == "tensor":
            message = "this operating point has no codec of the model's own"
            raise ScenarioError(message, value=self.point.name)
        artefact = self.network.artefact
        return point_codec(self.point, artefact.model.latent_shape, artefact.tables)

    def encode(self) -> Iterable[bytes]:
        """The latent of every sample, coded."""
        return map(self.codec.encode, self.network.inference.latents(self.network.features))

    def received(self, payloads: Sequence[bytes]) -> NDArray[np.float32]:
        """Features that the heads see, ``(n, C, h, w)``."""
        latents = np.stack([self.codec.decode(payload) for payload in payloads])
        return self.network.inference.from_latents(latents)

    def outcomes(self, payloads: Sequence[bytes], samples: Sequence[int]) -> list[Outcome]:
        """The heads' answers to the decoded latents."""
        return self.network.of_features(self.received(payloads), samples)


class JsccChain(AnalogChain[TrainedNetwork]):
    """Symbols of the JSCC bottleneck."""

    def symbols(self) -> NDArray[np.complex64]:
        """Of every sample ``(N, k)``."""
        return self.network.inference.symbols(self.network.features)

    def outcomes(
        self,
        received: NDArray[np.complex64],
        noise_variance: NDArray[np.float32],
        samples: Sequence[int],
    ) -> list[Outcome]:
        """The heads' answers to what was received."""
        features = self.network.inference.from_symbols(received, noise_variance)
        return self.network.of_features(features, samples)
