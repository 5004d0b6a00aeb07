"""The chain without a clock for any network of ``networks:``, cut at any node of its graph.

With weights and an ``answer`` everything is real: head, codec and tail run on the task's samples
and the answers are scored. Without, nothing is scored, and of a lossless or fixed-length codec only
the sizes are made, which do not depend on the values. Samples run one by one on one thread, as the
graph was traced, so that head and tail give the whole network's numbers bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.build import check_formats, examine_own, is_own, make_codec
from simsplit.codecs.picture import ImageCodec
from simsplit.codecs.tensors import TensorsCodec
from simsplit.errors import ScenarioError
from simsplit.files import arrays_digest
from simsplit.messages import Outcome, Prepared, Scheme, ScoreRequest, Workload
from simsplit.networks.cuts import cut
from simsplit.networks.opened import _points, network_digest, open_graph
from simsplit.networks.preprocess import check_whole, network_input, preprocess_of
from simsplit.operators import Operators, network_key
from simsplit.pipeline.cache import Cache, ResultKey, Shared, by_way
from simsplit.scenario.operating_points import Network, OperatingPoint
from simsplit.seeds import one_thread
from simsplit.tasks.datasets import Arrays
from simsplit.tasks.outputs import Answer
from simsplit.tasks.scorer import Scorer


class NetworkPipeline:
    """Operating points of one network on one task.

    Args:
        network: What it is.
        points: Its operating points by name.
        truth: The task's samples; ``image`` uint8 ``(N, H, W, C)``.
        with_content: Make payloads even where sizes would do (exact fidelity).
        cache_dir: Where act one and the scores are kept between runs; None keeps nothing.
        classes: How many classes the truth's arrays of labels have; what is missing is not checked.
    """

    def __init__(
        self,
        network: Network,
        points: Mapping[str, OperatingPoint],
        truth: Arrays,
        *,
        with_content: bool = False,
        cache_dir: Path | None = None,
        classes: Mapping[str, int] | None = None,
    ) -> None:
        self.network, self.points, self.truth = network, points, truth
        self.cache_dir = cache_dir
        self.height, self.width = truth["image"].shape[1:3]
        self.graph = open_graph(network, self.height, self.width)
        self._where = f"networks.{network.name}.preprocess"
        said = network.preprocess
        self._preprocess = None if said is None else preprocess_of(said, self._where)
        self.scorer = Scorer(network, truth, classes or {}, self._scale)
        if self._preprocess is not None:
            check_whole(self._preprocess, (a.kind for a in self.scorer.answers), self._where)
        self._with_content = with_content or network.answer is not None
        self._cuts = {point.name: point for point in _points(self.graph)}
        self._prepared: dict[str, Prepared] = {}
        self._scored: dict[ResultKey, Outcome] = {}
        check_formats({f"operating_points.{name}": point for name, point in points.items()})
        for point in points.values():
            self._check(point)
        examine_own(self._codec(point) for point in points.values() if is_own(point))

    @property
    def samples(self) -> int:
        """Pictures that circulate."""
        return len(self.truth["image"])

    def prepare(self, name: str) -> Prepared:
        """Act one of one operating point: see `Prepared`."""
        if name not in self._prepared:
            self._prepared[name] = self._prepared_once(self.points[name])
        return self._prepared[name]

    def workload(self, name: str) -> Workload:
        """Operators on either side of the cut, named as the profile of the network names them."""
        point, whole = self.points[name], self.graph.operators
        key = network_key(self.network.source, *self.graph.example_shape[2:])
        tail = f"{self.network.name}/{point.split or point.scheme}"
        match point.scheme:
            case Scheme.LOCAL:
                work = Workload(whole, (), whole, network=key)
            case Scheme.RAW:
                coded = (self.truth["image"].shape[1:],)
                work = Workload((), whole, whole, network=key, tail=tail, coded=coded)
            case _:
                cut = self._cuts[str(point.split)]
                head, rest, shapes = cut.head_operators, cut.tail_operators, tuple(cut.shapes)
                work = Workload(head, rest, whole, network=key, tail=tail, coded=shapes)
        return replace(work, answer_map=self._answer_map)

    def operators_behind(self, name: str) -> Operators:
        """Of the network behind one of its cuts."""
        return self._cuts[name].tail_operators

    def score(self, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        """Act three, in the order asked; without an ``answer`` there is nothing to score."""
        if self.network.answer is None:
            return [Outcome(())] * len(requests)
        keys = [self._key(request) for request in requests]
        self._score_shared(set(keys))
        return [self.scorer.finished(self._scored[key]) for key in keys]

    def inputs(self, images: Any) -> Any:
        """The network's input for pictures, a uint8 tensor ``(B, H, W, C)``."""
        channels = self.graph.example_shape[1]
        return network_input(images, self._preprocess, channels, self._where)

    @property
    def _scale(self) -> tuple[float, float]:
        """(height, width) of the picture over those of the network's input."""
        tall, wide = self.graph.example_shape[2:]
        return self.height / tall, self.width / wide

    def outcome_of(self, output: Any, sample: int) -> Outcome:
        """What the network's output for one sample, batch of 1, is worth."""
        return self.scorer.outcome(self._answers(output, sample), sample)

    @property
    def answer_bits(self) -> NDArray[np.int64]:
        """Size of each sample's answer when it travels, ``(N,)``."""
        return self._answer_bits

    # --- act one

    def _check(self, point: OperatingPoint) -> None:
        if point.split is not None and point.split not in self._cuts:
            path = f"operating_points.{point.name}.split"
            raise ScenarioError("no such cut", path=path, value=point.split, choices=[*self._cuts])

    def _prepared_once(self, point: OperatingPoint) -> Prepared:
        """From the cache or made; sizes alone are made anew, which costs nothing."""
        if not self._with_content or point.scheme is Scheme.LOCAL:
            return self._make(point)
        return self._cache.prepared(point, lambda: self._make(point))

    @cached_property
    def _cache(self) -> Cache:
        return Cache(self.cache_dir, (network_digest(self.network), arrays_digest(self.truth)))

    def _make(self, point: OperatingPoint) -> Prepared:
        none, answers = np.zeros(self.samples, np.int64), self._answer_bits
        if point.scheme is Scheme.LOCAL:
            return Prepared(none, none, answers)
        codec = self._codec(point)
        if isinstance(codec, TensorsCodec) and not self._with_content:
            return Prepared(none + 8 * codec.payload_bytes, none, answers)
        payloads = tuple(self._payload(point, codec, i) for i in range(self.samples))
        bits = np.array([8 * len(payload) for payload in payloads], np.int64)
        return Prepared(bits, none, answers, payloads)

    def _payload(self, point: OperatingPoint, codec: Any, sample: int) -> bytes:
        if point.scheme is Scheme.RAW:
            return bytes(codec.encode(self.truth["image"][sample]))
        carried = self._run(self._halves(str(point.split))[0], self.truth["image"][sample])
        layouts = self._cuts[str(point.split)].layouts
        arrays = [layout.to_array(t) for layout, t in zip(layouts, carried, strict=True)]
        return bytes(codec.encode(arrays if isinstance(codec, TensorsCodec) else arrays[0]))

    def _codec(self, point: OperatingPoint) -> Any:
        spec = point.codec
        assert spec is not None and spec.kind != "entropy"  # the scenario has checked it
        if spec.kind == "tensor":
            cut = self._cuts[str(point.split)]
            return TensorsCodec(cut.shapes, spec.dtype, cut.types)
        path = f"operating_points.{point.name}.codec"
        if point.scheme is Scheme.RAW:
            return make_codec(spec, self.truth["image"].shape[1:], is_picture=True, path=path)
        return make_codec(spec, self._single_shape(point), path=path)

    def _single_shape(self, point: OperatingPoint) -> tuple[int, ...]:
        cut = self._cuts[str(point.split)]
        if len(cut.shapes) != 1 or len(cut.shapes[0]) != 3 or cut.types != ("float32",):
            path = f"operating_points.{point.name}.codec"
            kind = None if point.codec is None else point.codec.kind
            message = f"codec '{kind}' needs one (C, h, w) at the cut, float32"
            carried = [*zip(cut.types, cut.shapes, strict=True)]
            raise ScenarioError(message, path=path, value=carried)
        return cut.shapes[0]

    @property
    def _answer_map(self) -> tuple[int, ...]:
        """Shape of the map that travels as a PNG; empty for a label and for what travels as is."""
        if self.network.answer is not None:
            return self.scorer.answer_map
        first = self._first_answer
        return first.shape[1:] if first.ndim == 3 else ()

    @cached_property
    def _answer_bits(self) -> NDArray[np.int64]:
        """Sizes of the answers that the whole network gives (see `Scorer.bits`).

        Of a network without an ``answer``, by the first tensor of its output: a vector is one
        class, three dimensions are a map of classes, anything else travels as float32.
        """
        if self.network.answer is not None:
            answers = (self._answers(self._whole(i), i) for i in range(self.samples))
            return np.array([self.scorer.bits(answer) for answer in answers], np.int64)
        first = self._first_answer
        if first.ndim == 1:
            size = 8 * math.ceil(math.log2(max(2, len(first))) / 8)
            return np.full(self.samples, size, np.int64)
        if first.ndim != 3:
            return np.full(self.samples, 32 * first.size, np.int64)
        maps = [self._class_map(i) for i in range(self.samples)]
        codec = ImageCodec("png")
        return np.array([8 * len(codec.encode(m[..., None])) for m in maps], np.int64)

    @cached_property
    def _first_answer(self) -> NDArray[np.float32]:
        return self._answer_of(self._whole(0))

    def _class_map(self, sample: int) -> NDArray[np.uint8]:
        classes: NDArray[np.uint8] = self._answer_of(self._whole(sample)).argmax(axis=0)
        return classes.astype(np.uint8)

    def _whole(self, sample: int) -> Any:
        """The whole network's output for the original picture."""
        return self._run(self.graph.module, self.truth["image"][sample])

    def _answers(self, output: Any, sample: int) -> list[Answer]:
        return self.scorer.read(output, sample)

    # --- act three

    def _key(self, request: ScoreRequest) -> ResultKey:
        """What a request shares with all others of the same result."""
        name, delivery = request.operating_point, request.delivery
        if not delivery.arrived:
            return ResultKey(Shared.LOST, request.sample)
        is_local = delivery.computed_locally or self.points[name].scheme is Scheme.LOCAL
        return ResultKey(Shared.LOCAL if is_local else name, request.sample)

    def _score_shared(self, keys: set[ResultKey]) -> None:
        for way, samples in by_way(keys - set(self._scored)).items():
            outcomes = self._outcomes_once(way, samples)
            keys_of_way = (ResultKey(way, sample) for sample in samples)
            self._scored |= zip(keys_of_way, outcomes, strict=True)

    def _outcomes_once(self, way: str | Shared, samples: Sequence[int]) -> list[Outcome]:
        """Outcomes of the samples, from the cache where any process has worked them out."""
        if way is Shared.LOST:
            return [self.scorer.lost(sample) for sample in samples]

        def score(missing: Sequence[int]) -> list[Outcome]:
            return [self.outcome_of(self._received(way, s), s) for s in missing]

        point = way if isinstance(way, Shared) else self.points[way]
        return self._cache.outcomes(point, samples, score)

    def _received(self, way: str | Shared, sample: int) -> Any:
        """The network's output on what arrived intact, or on the device."""
        if isinstance(way, Shared):
            return self._run(self.graph.module, self.truth["image"][sample])
        point, codec = self.points[way], self._codec(self.points[way])
        decoded = codec.decode(self.prepare(way).payloads[sample])
        if point.scheme is Scheme.RAW:
            return self._run(self.graph.module, decoded)
        arrays = decoded if isinstance(decoded, list) else [decoded]
        layouts = self._cuts[str(point.split)].layouts
        carried = [layout.to_tensor(a) for layout, a in zip(layouts, arrays, strict=True)]
        return self._run_tail(self._halves(str(point.split))[1], carried)

    # --- the network

    def _halves(self, split: str) -> tuple[Any, Any]:
        return cut(self.graph, split)

    def _run(self, module: Any, image: NDArray[np.uint8]) -> Any:
        """A module on one picture ``(H, W, C)``."""
        import torch

        with one_thread(), torch.inference_mode():
            return module(self.inputs(torch.from_numpy(np.array(image)[None])))

    def _run_tail(self, tail: Any, carried: Sequence[Any]) -> Any:
        import torch

        with one_thread(), torch.inference_mode():
            return tail(*carried)

    @staticmethod
    def _answer_of(output: Any) -> NDArray[np.float32]:
        """The first tensor of an output, without its batch dimension."""
        from torch.utils._pytree import tree_leaves

        tensor: NDArray[np.float32] = tree_leaves(output)[0].numpy()
        return tensor[0] if len(tensor) == 1 else tensor
