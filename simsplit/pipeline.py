"""The chain without a clock: what every sample costs to send, and what comes of what was received.

Act one, :meth:`Pipeline.prepare`: trunk, encoder and codec over the task's samples. Act three,
:meth:`Pipeline.score`: decoder and heads over what really arrived. Between them only messages pass.
Every forward runs on batches of one fixed shape, so a request's scores never depend on which others
are scored with it. Torch is imported when a pipeline is opened, not with this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.answers import answer_bits, lost_scores, task_scores
from simsplit.caches import arrays_digest, made_once, score_file, scored_once
from simsplit.codecs.build import check_formats, feature_codec, picture_codec
from simsplit.codecs.contract import Codec
from simsplit.codecs.entropy import EntropyCodec
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.messages import Delivery, Outcome, Prepared, Scheme, Scores, Workload
from simsplit.operators import Operators, from_rows
from simsplit.phy.analog import pad_erased, transmit
from simsplit.prepared import (
    cache_file,
    exit_workload,
    read_prepared,
    workloads,
    write_prepared,
)
from simsplit.scenario import OperatingPoint, PictureCodec
from simsplit.seeds import Cause, generator
from simsplit.tasks.datasets import Arrays, cached_arrays, open_dataset

if TYPE_CHECKING:
    from simsplit.nets.artefact import Artefact
    from simsplit.nets.inference import Inference

Progress = Callable[[int, int], None]  # operating points done, all of them
Request = tuple[str, int, Delivery]  # operating point, sample, what the air did

HEADLINES = {"streets": "miou", "cityscapes": "miou", "digits": "accuracy"}
_JSCC_CHUNK = 64  # requests decoded at once; bounds memory, changes nothing
_LOCAL, _EXIT, _LOST = (
    "=local",
    "=exit",
    "=lost",
)  # results that no operating point can be named after


def open_pipeline(
    *,
    dataset_name: str,
    height: int,
    width: int,
    samples: int,
    model: str,
    models_dir: Path,
    operating_points: Sequence[OperatingPoint],
    seed: int,
    cache_dir: Path | None,
    equaliser: Literal["zf", "mmse"] = "zf",
) -> Pipeline:
    """A pipeline over the first ``samples`` pictures of the test range.

    Args:
        dataset_name: ``streets`` or ``digits``.
        height, width: Picture size in px; must be what the network was trained for.
        samples: How many pictures circulate.
        model: Folder in ``models_dir`` that holds the weights.
        models_dir: Folder of all trained things.
        operating_points: The ways to send that will be asked for.
        seed: Run seed; with a request's id it keys the JSCC noise.
        cache_dir: Where act one is kept between runs; None keeps nothing.
        equaliser: How JSCC symbols are equalised when the channel is estimated.

    Raises:
        ArtefactError: The weights are missing, stale or damaged.
        ScenarioError: Dataset, size, scheme, split, exit or number of samples do not fit the
            network, or this installation has no AVIF.
    """
    from simsplit.nets.artefact import load_artefact
    from simsplit.nets.inference import Inference

    artefact = load_artefact(models_dir, model)
    _check_task(artefact.card, model, dataset_name, height, width)
    check_formats({f"operating_points[{i}]": point for i, point in enumerate(operating_points)})
    _check_schemes(artefact, operating_points)
    _check_splits(artefact.model.splits, operating_points)
    _check_exits(artefact, models_dir, operating_points)
    truth = test_samples(dataset_name, height, width, samples)
    points = {point.name: point for point in operating_points}
    inference = Inference(artefact.model)
    return Pipeline(artefact, inference, points, truth, seed, cache_dir, equaliser)


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
    _known: dict[tuple[str, int], Outcome] = field(default_factory=dict)

    @property
    def headline_metric(self) -> str:
        """The score that stands for the task: ``miou`` of streets, ``accuracy`` of digits."""
        return HEADLINES[self.artefact.card["dataset"]]

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
        for done, name in enumerate(self.points):
            self._prepared_for(name)
            if progress is not None:
                progress(done + 1, len(self.points))
        return dict(self._prepared)

    def workload(self, name: str) -> Workload:
        """Operators per request of an operating point, recorded from the network itself.

        Trunk, bottleneck and heads on their side of the cut. Source coding (JPEG, PNG, range
        coder) is no network: the hardware file charges it. Requests of all points that share
        model, scheme and split may share a batch at the edge.
        """
        point, parts = self._point(name), self._parts
        if point.exit:
            return exit_workload(parts)
        work = workloads(parts)[Scheme(point.scheme)]
        return replace(work, tail=self._tail(point)) if work.edge else work

    def _tail(self, point: OperatingPoint) -> str:
        has_split = Scheme(point.scheme) is not Scheme.RAW
        split = (point.split or self.artefact.model.splits[0],) if has_split else ()
        return "/".join((self.artefact.name, point.scheme, *split))

    @cached_property
    def _parts(self) -> dict[str, Operators]:
        rows = self.artefact.card["operators_by_part"]
        return {part: from_rows(operators) for part, operators in rows.items()}

    def score(self, requests: Sequence[Request]) -> list[Outcome]:
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
        keys = [self._key(*request) for request in requests]
        self._score_known({key for key in keys if key is not None})
        analog = [i for i, key in enumerate(keys) if key is None]
        outcomes = dict(zip(analog, self._score_jscc([requests[i] for i in analog]), strict=True))
        return [outcomes[i] if key is None else self._known[key] for i, key in enumerate(keys)]

    def _key(self, name: str, sample: int, delivery: Delivery) -> tuple[str, int] | None:
        """What a request shares with others of the same result; None if it has its own noise."""
        point = self._point(name)
        scheme = Scheme(point.scheme)
        if point.exit and delivery.arrived:
            return (_EXIT, sample)
        if delivery.computed_locally or (scheme is Scheme.LOCAL and delivery.arrived):
            return (_LOCAL, sample)
        if not delivery.arrived:
            return (_LOST, sample)
        return None if scheme is Scheme.JSCC else (name, sample)

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
        if self.cache_dir is None:
            return self._make(point)
        file = cache_file(self.cache_dir, point, self.artefact.digest, self.truth["image"])
        return made_once(file, read_prepared, lambda: self._make(point), write_prepared)

    def _make(self, point: OperatingPoint) -> Prepared:
        if point.exit:
            return self._make_exit()
        answers, none = self._answer_bits, np.zeros(self.samples, np.int64)
        match Scheme(point.scheme):
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
        return build_codec(point, self.artefact, self.truth["image"].shape[1:])

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

    def _score_known(self, keys: set[tuple[str, int]]) -> None:
        """Scores, once each, the results that many requests may share."""
        fresh = sorted(keys - set(self._known))
        for name in sorted({name for name, _ in fresh}):
            samples = [sample for known, sample in fresh if known == name]
            if name == _LOST:
                outcomes = [self._lost(sample) for sample in samples]
            else:
                outcomes = [Outcome(scores) for scores in self._scores_once(name, samples)]
            self._known |= {(name, s): o for s, o in zip(samples, outcomes, strict=True)}

    def _scores_once(self, name: str, samples: Sequence[int]) -> list[Scores]:
        """Scores of intact answers, from the cache where any process has worked them out."""

        def score(missing: Sequence[int]) -> list[Scores]:
            return [o.scores for o in self._outcomes(self._answers(name, missing), missing)]

        if self.cache_dir is None:
            return score(samples)
        point = self.points.get(name)  # else _LOCAL or _EXIT
        said = point and point.model_dump(mode="json", exclude={"name", "send_result", "of"})
        identity = (said or name, self.artefact.digest, self._truth_digest)
        return scored_once(score_file(self.cache_dir, *identity), samples, score)

    @cached_property
    def _truth_digest(self) -> str:
        return arrays_digest(self.truth)

    def _answers(self, name: str, samples: Sequence[int]) -> dict[str, NDArray[Any]]:
        """Answers to an intact delivery, or made on the device."""
        if name != _EXIT:
            return self.inference.answers(self._received(name, samples))
        images = self.truth["image"][list(samples)]
        return self.inference.exit_answers(self.inference.exit_features(images))

    def _received(self, name: str, samples: Sequence[int]) -> NDArray[np.float32]:
        """Features that the heads see after an intact digital delivery."""
        if name == _LOCAL:
            return self.inference.features(self.truth["image"][list(samples)])
        codec = self._codec(self.points[name])
        payloads = self._prepared_for(name).payloads
        decoded = np.stack([codec.decode(payloads[sample]) for sample in samples])
        if Scheme(self.points[name].scheme) is Scheme.RAW:
            return self.inference.features(decoded)
        return self.inference.from_latents(decoded)

    def _score_jscc(self, requests: Sequence[Request]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for start in range(0, len(requests), _JSCC_CHUNK):
            chunk = requests[start : start + _JSCC_CHUNK]
            heard = [self._over_the_air(*request) for request in chunk]
            received, variance = (np.stack(part) for part in zip(*heard, strict=True))
            answers = self.inference.answers(self.inference.from_symbols(received, variance))
            outcomes += self._outcomes(answers, [sample for _, sample, _ in chunk])
        return outcomes

    def _over_the_air(
        self, name: str, sample: int, delivery: Delivery
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
        """Symbols as equalised and their noise variance, ``(k,)`` each."""
        symbols = self._prepared_for(name).symbols
        assert symbols is not None
        k, counts = symbols.shape[1], delivery.symbol_counts
        sent = sum(counts)
        if not 0 < sent <= k or (sent < k and self.points[name].airtime_s is None):
            raise ScenarioError(f"a JSCC delivery carries {k} symbols", value=counts)
        snr_db = np.repeat(np.array(delivery.symbol_snr_db), counts)
        rng = generator(self.seed, delivery.request_id, Cause.ANALOG_NOISE)
        heard = transmit(symbols[sample, :sent], snr_db, rng, **self._estimation(delivery))
        return pad_erased(*heard, k)

    def _estimation(self, delivery: Delivery) -> dict[str, Any]:
        """How the receiver estimated the channel, as `simsplit.phy.analog.transmit` asks for it."""
        if not any(delivery.symbol_error_variance):
            return {}
        pieces = np.arange(len(delivery.symbol_counts))
        variance = np.array(delivery.symbol_error_variance)
        return {
            "csi_error_variance": np.repeat(variance, delivery.symbol_counts),
            "piece_of": np.repeat(pieces, delivery.symbol_counts),
            "equaliser": self.equaliser,
        }

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


def build_codec(point: OperatingPoint, artefact: Artefact, picture_shape: tuple[int, ...]) -> Codec:
    """The codec that an operating point names, for pictures or for this network's latents.

    Args:
        point: Of the artefact's own network.
        artefact: Holds the entropy tables and the latents' shape.
        picture_shape: ``(H, W, C)``.

    Raises:
        ArtefactError: The weights hold no entropy table of that bit depth.
        ScenarioError: The point has no codec, or one for tensors of another network.
    """
    spec, latent = point.codec, artefact.model.latent_shape
    if spec is None or spec.kind == "tensor":
        message = "this operating point has no codec of the model's own"
        raise ScenarioError(message, value=point.name)
    if spec.kind == "entropy":
        return EntropyCodec(latent, _entropy_table(artefact, spec.bits))
    if isinstance(spec, PictureCodec):
        return picture_codec(spec, picture_shape)
    return feature_codec(spec, latent)


def _entropy_table(artefact: Artefact, bits: int) -> NDArray[np.int64]:
    if bits not in artefact.tables:
        raise ArtefactError(f"{artefact.name} has no table of {bits} bits")
    return artefact.tables[bits]


# --- checks -----------------------------------------------------------------------------------


def _check_task(card: Mapping[str, Any], model: str, dataset: str, height: int, width: int) -> None:
    if card["dataset"] != dataset:
        message = f"model '{model}' was trained on another dataset"
        raise ScenarioError(message, path="task.dataset", value=dataset, choices=[card["dataset"]])
    for key, value in (("height", height), ("width", width)):
        if card[key] != value:
            message = f"model '{model}' was trained at {card['height']} x {card['width']} px"
            raise ScenarioError(message, path=f"task.{key}_px", value=value)


def _check_schemes(artefact: Artefact, points: Sequence[OperatingPoint]) -> None:
    for index, point in enumerate(points):
        if point.scheme == "jscc" and not artefact.model.has_jscc:
            raise ScenarioError(
                f"model '{artefact.name}' has no JSCC path",
                path=f"operating_points[{index}].scheme",
                value=point.scheme,
                choices=("local", "raw", "separate"),
            )


def _check_splits(splits: Sequence[str], points: Sequence[OperatingPoint]) -> None:
    for index, point in enumerate(points):
        if point.split is not None and point.split not in splits:
            path = f"operating_points[{index}].split"
            raise ScenarioError("no such split", path=path, value=point.split, choices=splits)


def _check_exits(artefact: Artefact, models_dir: Path, points: Sequence[OperatingPoint]) -> None:
    asking = [index for index, point in enumerate(points) if point.exit]
    if asking and not artefact.model.has_exit:
        others = ", ".join(_models_with_exit(models_dir)) or "none"
        raise ScenarioError(
            f"model '{artefact.name}' has no early exit; models that have one: {others}",
            path=f"operating_points[{asking[0]}].exit",
            value=", ".join(points[index].name for index in asking),
        )


def _models_with_exit(models_dir: Path) -> list[str]:
    files = sorted(models_dir.glob("*/card.json"))
    cards = {file.parent.name: json.loads(file.read_text()) for file in files}
    return [name for name, card in cards.items() if "exit_head" in card.get("macs_by_part", {})]


def test_samples(dataset_name: str, height: int, width: int, samples: int) -> Arrays:
    """The first ``samples`` of the test range; ScenarioError if there are not so many."""
    dataset = open_dataset(dataset_name, "test", height=height, width=width)
    if not 0 < samples <= len(dataset):
        message = f"the test range of {dataset_name} holds {len(dataset)} samples"
        raise ScenarioError(message, path="task.samples", value=samples)
    return cached_arrays(dataset, samples)
