"""The chain without a clock: what every sample costs to send, and what comes of what was received.

Act one, :meth:`Pipeline.prepare`: trunk, encoder and codec over the task's samples. Act three,
:meth:`Pipeline.score`: decoder and heads over what really arrived. Between them only messages pass.
Every forward runs on batches of one fixed shape, so a request's scores never depend on which others
are scored with it. Torch is imported when a pipeline is opened, not with this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.build import check_formats, examine_own, is_own, make_codec
from simsplit.codecs.contract import Codec
from simsplit.errors import ScenarioError
from simsplit.files import arrays_digest
from simsplit.messages import Outcome, Prepared, Scheme, ScoreRequest, Workload
from simsplit.networks.artefact import load_artefact
from simsplit.networks.inference import Inference
from simsplit.operators import Operators, from_rows
from simsplit.pipeline.air import over_the_air
from simsplit.pipeline.cache import Cache, ResultKey, Shared, by_way
from simsplit.pipeline.checks import _check_exits, _check_schemes, _check_splits, _check_task
from simsplit.pipeline.workloads import exit_workload, workloads
from simsplit.scenario.operating_points import OperatingPoint, Task
from simsplit.tasks.answers import answer_bits, lost_scores, task_scores
from simsplit.tasks.datasets import Arrays, test_samples

if TYPE_CHECKING:
    from simsplit.networks.artefact import Artefact
    from simsplit.networks.inference import Inference


Progress = Callable[[int, int], None]  # operating points done, all of them

HEADLINES = {"streets": "miou", "cityscapes": "miou", "digits": "accuracy"}
_JSCC_CHUNK = 64  # requests decoded at once; bounds memory, changes nothing


def headline_of(data: Any) -> str:
    """The score that a network of this data set (bare name, or mapping) is known by."""
    return HEADLINES.get(data, "accuracy") if isinstance(data, str) else "accuracy"


@dataclass(frozen=True)
class PipelineSpec:
    """What a pipeline is of.

    Attributes:
        task: Whose pictures circulate: the first ``task.samples`` of the test range, at the size
            that the network was trained for.
        model: Folder in ``models_dir`` that holds the weights.
        operating_points: The ways to send that will be asked for.
        seed: Run seed; with a request's id it keys the JSCC noise.
        models_dir: Folder of all trained things.
        cache_dir: Where act one and the scores are kept between runs; None keeps nothing.
        equaliser: How JSCC symbols are equalised when the channel is estimated.
    """

    task: Task
    model: str
    operating_points: Sequence[OperatingPoint]
    seed: int
    models_dir: Path
    cache_dir: Path | None
    equaliser: Literal["zf", "mmse"] = "zf"


def open_pipeline(spec: PipelineSpec) -> Pipeline:
    """The pipeline of a model; its weights are read here.

    Raises:
        ArtefactError: The weights are missing, stale or damaged.
        ScenarioError: Dataset, size, scheme, split, exit or number of samples do not fit the
            network, or this installation has no AVIF.
    """
    task, points = spec.task, spec.operating_points
    artefact = load_artefact(spec.models_dir, spec.model)
    _check_task(artefact.card, spec.model, task)
    check_formats({f"operating_points[{i}]": point for i, point in enumerate(points)})
    _check_schemes(artefact, points)
    _check_splits(artefact.model.splits, points)
    _check_exits(artefact, spec.models_dir, points)
    return Pipeline(
        artefact=artefact,
        inference=Inference(artefact.model),
        points={point.name: point for point in points},
        truth=test_samples(task.dataset, task.height_px, task.width_px, task.samples),
        seed=spec.seed,
        cache_dir=spec.cache_dir,
        equaliser=spec.equaliser,
    )


@dataclass
class Pipeline:
    """Operating points of one network on one task; made by :func:`open_pipeline`."""

    artefact: Artefact
    inference: Inference
    points: Mapping[str, OperatingPoint]
    truth: Arrays
    seed: int
    cache_dir: Path | None
    equaliser: Literal["zf", "mmse"] = "zf"
    _prepared: dict[str, Prepared] = field(default_factory=dict)
    _scored: dict[ResultKey, Outcome] = field(default_factory=dict)

    @property
    def headline_metric(self) -> str:
        """The score that stands for the task: ``miou`` of streets, ``accuracy`` of digits."""
        return headline_of(self.artefact.card["dataset"])

    @property
    def samples(self) -> int:
        """Pictures that circulate."""
        return len(self.truth["image"])

    def prepare(self, progress: Progress | None = None) -> dict[str, Prepared]:
        """Act one: every operating point over every sample, or from the cache.

        An answer's size is the PNG of the segmentation map that the whole network gives for the
        sample (streets) or one byte (digits), the same for all operating points but those of an
        early exit: theirs is the exit's own answer.
        """
        examine_own(self._codec(point) for point in self.points.values() if is_own(point))
        for done, name in enumerate(self.points):
            self._prepared_for(name)
            if progress is not None:
                progress(done + 1, len(self.points))
        return dict(self._prepared)

    def workload(self, name: str) -> Workload:
        """Operators per request of an operating point, recorded from the network itself.

        Trunk, bottleneck and heads on their side of the cut; JSCC's normalisation is one of its
        operators. What a codec codes (JPEG, PNG, range coder) is charged by its shape. Requests of
        all points that share model, scheme and split may share a batch at the edge.
        """
        point, parts = self._point(name), self._parts
        if point.exit:
            return replace(exit_workload(parts), answer_map=self._answer_map)
        work = replace(
            workloads(parts)[point.scheme], coded=self._coded(point), answer_map=self._answer_map
        )
        return replace(work, tail=self._tail(point)) if work.edge else work

    @property
    def _answer_map(self) -> tuple[int, ...]:
        """Shape of the map that an answer is; empty for a label."""
        maps = self.truth.get("segmentation")
        return () if maps is None else maps.shape[1:]

    def _coded(self, point: OperatingPoint) -> tuple[tuple[int, ...], ...]:
        match point.scheme:
            case Scheme.RAW:
                return (self.truth["image"].shape[1:],)
            case Scheme.SEPARATE:
                return (self.artefact.model.latent_shape,)
            case _:
                return ()

    def _tail(self, point: OperatingPoint) -> str:
        has_split = point.scheme is not Scheme.RAW
        split = (point.split or self.artefact.model.splits[0],) if has_split else ()
        return "/".join((self.artefact.name, point.scheme, *split))

    @cached_property
    def _parts(self) -> dict[str, Operators]:
        rows = self.artefact.card["operators_by_part"]
        return {part: from_rows(operators) for part, operators in rows.items()}

    def score(self, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        """Act three: what each request's answer is worth, in the order asked.

        * Computed on the device (``local`` or a local retry): the whole network on the original;
          of a point with ``exit``, if it arrived, the early exit's answer.
        * Digital and arrived: the decoded payload; one result per operating point and sample.
        * JSCC: the symbols under the delivery's own SNR, grant by grant, with noise drawn from
          (run seed, request id).
        * Not arrived: no answer. Its mIoU, pixel accuracy and accuracy are 0; for disparity and
          picture the edge knows the training set's mean and is scored with that constant.

        Raises:
            ScenarioError: Unknown operating point, or a delivery that does not carry k symbols.
        """
        keys = [self._key(request) for request in requests]
        self._score_shared({key for key in keys if key is not None})
        analog = [i for i, key in enumerate(keys) if key is None]
        outcomes = dict(zip(analog, self._score_jscc([requests[i] for i in analog]), strict=True))
        return [outcomes[i] if key is None else self._scored[key] for i, key in enumerate(keys)]

    def _key(self, request: ScoreRequest) -> ResultKey | None:
        """What a request shares with others of the same result; None if it has its own noise."""
        point, delivery = self._point(request.operating_point), request.delivery
        scheme = point.scheme
        if point.exit and delivery.arrived:
            return ResultKey(Shared.EXIT, request.sample)
        if delivery.computed_locally or (scheme is Scheme.LOCAL and delivery.arrived):
            return ResultKey(Shared.LOCAL, request.sample)
        if not delivery.arrived:
            return ResultKey(Shared.LOST, request.sample)
        return None if scheme is Scheme.JSCC else ResultKey(point.name, request.sample)

    def _point(self, name: str) -> OperatingPoint:
        if name not in self.points:
            raise ScenarioError("no such operating point", value=name, choices=tuple(self.points))
        return self.points[name]

    # --- act one

    def _prepared_for(self, name: str) -> Prepared:
        if name not in self._prepared:
            self._prepared[name] = self._from_cache(self._point(name))
        return self._prepared[name]

    def _from_cache(self, point: OperatingPoint) -> Prepared:
        return self._cache.prepared(point, lambda: self._make(point))

    @cached_property
    def _cache(self) -> Cache:
        return Cache(self.cache_dir, (self.artefact.digest, arrays_digest(self.truth)))

    def _make(self, point: OperatingPoint) -> Prepared:
        if point.exit:
            return self._make_exit()
        answers, none = self._answer_bits, np.zeros(self.samples, np.int64)
        match point.scheme:
            case Scheme.LOCAL:
                return Prepared(none, none, answers)
            case Scheme.JSCC:
                symbols = self.inference.symbols(self._features)
                uses = np.full(self.samples, symbols.shape[1], np.int64)
                return Prepared(none, uses, answers, symbols=symbols)
            case Scheme.RAW:
                arrays: NDArray[Any] = self.truth["image"]
            case Scheme.SEPARATE:
                arrays = self.inference.latents(self._features)
        codec = self._codec(point)
        payloads = tuple(codec.encode(array) for array in arrays)
        bits = np.array([len(payload) * 8 for payload in payloads], np.int64)
        return Prepared(bits, none, answers, payloads)

    def _make_exit(self) -> Prepared:
        features, none = self._exit_features, np.zeros(self.samples, np.int64)
        answers = answer_bits(self.inference.exit_answers(features))
        confidence = self.inference.exit_confidence(features)
        return Prepared(none, none, answers, confidence=confidence)

    def _codec(self, point: OperatingPoint) -> Codec:
        return point_codec(point, self.artefact, self.truth["image"].shape[1:])

    @cached_property
    def _exit_features(self) -> NDArray[np.float32]:
        return self.inference.exit_features(self.truth["image"])

    @cached_property
    def _features(self) -> NDArray[np.float32]:
        return self.inference.features(self.truth["image"])

    @cached_property
    def _answer_bits(self) -> NDArray[np.int64]:
        return answer_bits(self.inference.answers(self._features))

    # --- act three

    def _score_shared(self, keys: set[ResultKey]) -> None:
        """Scores, once each, the results that many requests may share."""
        for way, samples in by_way(keys - set(self._scored)).items():
            outcomes = (
                [self._lost(s) for s in samples]
                if way is Shared.LOST
                else self._outcomes_once(way, samples)
            )
            keys_of_way = (ResultKey(way, sample) for sample in samples)
            self._scored |= zip(keys_of_way, outcomes, strict=True)

    def _outcomes_once(self, way: str | Shared, samples: Sequence[int]) -> list[Outcome]:
        """Outcomes of intact answers, from the cache where any process has worked them out."""

        def score(missing: Sequence[int]) -> list[Outcome]:
            return self._outcomes(self._answers(way, missing), missing)

        point = way if isinstance(way, Shared) else self.points[way]
        return self._cache.outcomes(point, samples, score)

    def _answers(self, way: str | Shared, samples: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Answers to an intact delivery, or made on the device."""
        if way is not Shared.EXIT:
            return self.inference.answers(self._received(way, samples))
        images = self.truth["image"][list(samples)]
        return self.inference.exit_answers(self.inference.exit_features(images))

    def _received(self, way: str | Shared, samples: Sequence[int]) -> NDArray[np.float32]:
        """Features that the heads see after an intact digital delivery, or on the device."""
        if isinstance(way, Shared):
            return self.inference.features(self.truth["image"][list(samples)])
        codec = self._codec(self.points[way])
        payloads = self._prepared_for(way).payloads
        decoded = np.stack([codec.decode(payloads[sample]) for sample in samples])
        if self.points[way].scheme is Scheme.RAW:
            return self.inference.features(decoded)
        return self.inference.from_latents(decoded)

    def _score_jscc(self, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for start in range(0, len(requests), _JSCC_CHUNK):
            chunk = requests[start : start + _JSCC_CHUNK]
            heard = [self._over_the_air(request) for request in chunk]
            received, variance = (np.stack(part) for part in zip(*heard, strict=True))
            answers = self.inference.answers(self.inference.from_symbols(received, variance))
            outcomes += self._outcomes(answers, [request.sample for request in chunk])
        return outcomes

    def _over_the_air(
        self, request: ScoreRequest
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Symbols as equalised and their noise variance, ``(k,)`` each."""
        point = self.points[request.operating_point]
        symbols = self._prepared_for(point.name).symbols
        assert symbols is not None
        return over_the_air(
            symbols[request.sample],
            request.delivery,
            self.seed,
            equaliser=self.equaliser,
            may_end_early=point.airtime_s is not None,
        )

    def _outcomes(
        self, answers: Mapping[str, NDArray[Any]], samples: Sequence[int]
    ) -> list[Outcome]:
        return [
            Outcome(task_scores({k: v[row] for k, v in answers.items()}, self._truth_of(sample)))
            for row, sample in enumerate(samples)
        ]

    def _truth_of(self, sample: int) -> dict[str, NDArray[Any]]:
        return {name: values[sample] for name, values in self.truth.items()}

    def _lost(self, sample: int) -> Outcome:
        return Outcome(lost_scores(self._truth_of(sample), self.artefact.card["constant_answer"]))


# --- codecs ------------------------------------------------------------------------------------


def point_codec(point: OperatingPoint, artefact: Artefact, picture_shape: tuple[int, ...]) -> Codec:
    """The codec that an operating point names, for pictures or for this network's latents.

    Args:
        point: Of the artefact's own network.
        artefact: Holds the entropy tables and the latents' shape.
        picture_shape: ``(H, W, C)``.

    Raises:
        ArtefactError: The weights hold no entropy table of that bit depth.
        ScenarioError: The point has no codec, or one for tensors of another network.
    """
    spec = point.codec
    if spec is None or spec.kind == "tensor":
        message = "this operating point has no codec of the model's own"
        raise ScenarioError(message, value=point.name)
    is_picture = point.scheme is Scheme.RAW
    return make_codec(
        spec,
        picture_shape if is_picture else artefact.model.latent_shape,
        artefact.tables,
        is_picture=is_picture,
        path=f"operating_points.{point.name}.codec",
    )
