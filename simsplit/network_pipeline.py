"""The chain without a clock for any network of ``networks:``, cut at any node of its graph.

With weights and an ``answer`` everything is real: head, codec and tail run on the task's samples
and the answers are scored. Without, nothing is scored, and of a lossless or fixed-length codec only
the sizes are made, which do not depend on the values. Samples run one by one on one thread, as the
graph was traced, so that head and tail give the whole network's numbers bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsplit.answers import segmentation_counts
from simsplit.caches import arrays_digest, made_once, score_file, scored_once
from simsplit.codecs.build import check_formats, feature_codec, picture_codec
from simsplit.codecs.image import ImageCodec
from simsplit.codecs.tensors import TensorsCodec
from simsplit.errors import ScenarioError
from simsplit.messages import Delivery, Outcome, Prepared, Scheme, Scores, Workload
from simsplit.pipeline import Request
from simsplit.prepared import cache_file, read_prepared, write_prepared
from simsplit.profiles import network_key
from simsplit.scenario import EVERY, Network, OperatingPoint, PictureCodec
from simsplit.tasks import metrics
from simsplit.tasks.datasets import Arrays

if TYPE_CHECKING:
    from simsplit.nets.graph import Graph
    from simsplit.nets.split import SplitPoint

_LOCAL, _LOST = "=local", "=lost"  # results that no operating point can be named after


@lru_cache(maxsize=8)
def _graph(network_json: str, height: int, width: int) -> Graph:
    """The traced network of a spec (as JSON, which can be hashed) at a picture size."""
    import torch

    from simsplit.nets.catalogue import open_network
    from simsplit.nets.graph import trace

    spec = Network.model_validate_json(network_json)
    module = open_network(
        spec.source,
        height=height,
        width=width,
        weights="random" if spec.weights == "random" else Path(spec.weights),
        seed=spec.seed,
        options=spec.options,
    )
    return trace(module, torch.zeros(1, 3, height, width), spec.leaves)


def open_graph(network: Network, height: int, width: int) -> Graph:
    """The network's graph for pictures of a size; traced once per process.

    Raises:
        ScenarioError, ArtefactError: Unknown network, weights that do not fit, no graph.
    """
    nameless = network.model_copy(update={"name": "network", "answer": None})
    return _graph(nameless.model_dump_json(), height, width)


class NetworkPipeline:
    """Operating points of one network on one task.

    Args:
        network: What it is.
        points: Its operating points by name.
        truth: The task's samples; ``image`` uint8 ``(N, H, W, C)``.
        with_content: Make payloads even where sizes would do (exact fidelity).
        cache_dir: Where act one and the scores are kept between runs; None keeps nothing.
    """

    def __init__(
        self,
        network: Network,
        points: Mapping[str, OperatingPoint],
        truth: Arrays,
        *,
        with_content: bool = False,
        cache_dir: Path | None = None,
    ) -> None:
        self.network, self.points, self.truth = network, points, truth
        self.cache_dir = cache_dir
        self.height, self.width = truth["image"].shape[1:3]
        self.graph = open_graph(network, self.height, self.width)
        self._with_content = with_content or network.answer is not None
        self._cuts = {point.name: point for point in _points(self.graph)}
        self._prepared: dict[str, Prepared] = {}
        self._known: dict[tuple[str, int], Outcome] = {}
        check_formats({f"operating_points.{name}": point for name, point in points.items()})
        for point in points.values():
            self._check(point)

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
        key = network_key(self.network.source, self.height, self.width)
        tail = f"{self.network.name}/{point.split or point.scheme}"
        match Scheme(point.scheme):
            case Scheme.LOCAL:
                return Workload(whole, (), whole, network=key)
            case Scheme.RAW:
                return Workload((), whole, whole, network=key, tail=tail)
            case _:
                cut = self._cuts[str(point.split)]
                return Workload(
                    cut.head_operators, cut.tail_operators, whole, network=key, tail=tail
                )

    def score(self, requests: Sequence[Request]) -> list[Outcome]:
        """Act three, in the order asked; without an ``answer`` there is nothing to score."""
        if self.network.answer is None:
            return [Outcome(())] * len(requests)
        keys = [self._key(*request) for request in requests]
        self._score_known(set(keys))
        return [self._known[key] for key in keys]

    # --- act one

    def _check(self, point: OperatingPoint) -> None:
        if point.scheme == "separate" and point.split not in self._cuts:
            path = f"operating_points.{point.name}.split"
            raise ScenarioError("no such cut", path=path, value=point.split, choices=[*self._cuts])

    def _prepared_once(self, point: OperatingPoint) -> Prepared:
        """From the cache or made; sizes alone are made anew, which costs nothing."""
        if self.cache_dir is None or not self._with_content or point.scheme == "local":
            return self._make(point)
        file = cache_file(self.cache_dir, point, self._digest, self.truth["image"])
        return made_once(file, read_prepared, lambda: self._make(point), write_prepared)

    @cached_property
    def _digest(self) -> str:
        return network_digest(self.network)

    def _make(self, point: OperatingPoint) -> Prepared:
        none, answers = np.zeros(self.samples, np.int64), self._answer_bits
        if point.scheme == "local":
            return Prepared(none, none, answers)
        codec = self._codec(point)
        if isinstance(codec, TensorsCodec) and not self._with_content:
            return Prepared(none + 8 * codec.payload_bytes, none, answers)
        payloads = tuple(self._payload(point, codec, i) for i in range(self.samples))
        bits = np.array([8 * len(payload) for payload in payloads], np.int64)
        return Prepared(bits, none, answers, payloads)

    def _payload(self, point: OperatingPoint, codec: Any, sample: int) -> bytes:
        if point.scheme == "raw":
            return bytes(codec.encode(self.truth["image"][sample]))
        carried = self._run(self._halves(str(point.split))[0], self.truth["image"][sample])
        arrays = [tensor.numpy()[0] for tensor in carried]
        return bytes(codec.encode(arrays if isinstance(codec, TensorsCodec) else arrays[0]))

    def _codec(self, point: OperatingPoint) -> Any:
        spec = point.codec
        assert spec is not None and spec.kind != "entropy"  # the scenario has checked it
        if spec.kind == "tensor":
            return TensorsCodec(self._cuts[str(point.split)].shapes, spec.dtype)
        if isinstance(spec, PictureCodec):
            return picture_codec(spec, self.truth["image"].shape[1:])
        return feature_codec(spec, self._single_shape(point))

    def _single_shape(self, point: OperatingPoint) -> tuple[int, ...]:
        shapes = self._cuts[str(point.split)].shapes
        if len(shapes) != 1 or len(shapes[0]) != 3:
            path = f"operating_points.{point.name}.codec"
            kind = None if point.codec is None else point.codec.kind
            message = f"codec '{kind}' needs one (C, h, w) at the cut"
            raise ScenarioError(message, path=path, value=shapes)
        return shapes[0]

    @cached_property
    def _answer_bits(self) -> NDArray[np.int64]:
        """One class: as many whole bytes as count the classes; a map of classes: its PNG."""
        first = self._answer_of(self._run(self.graph.module, self.truth["image"][0]))
        if first.ndim == 1:
            size = 8 * math.ceil(math.log2(max(2, len(first))) / 8)
            return np.full(self.samples, size, np.int64)
        if first.ndim != 3:
            return np.full(self.samples, 32 * first.size, np.int64)
        maps = [self._class_map(i) for i in range(self.samples)]
        codec = ImageCodec("png")
        return np.array([8 * len(codec.encode(m[..., None])) for m in maps], np.int64)

    def _class_map(self, sample: int) -> NDArray[np.uint8]:
        answer = self._answer_of(self._run(self.graph.module, self.truth["image"][sample]))
        classes: NDArray[np.uint8] = answer.argmax(axis=0).astype(np.uint8)
        return classes

    # --- act three

    def _key(self, name: str, sample: int, delivery: Delivery) -> tuple[str, int]:
        """What a request shares with all others of the same result."""
        if not delivery.arrived:
            return (_LOST, sample)
        is_local = delivery.computed_locally or self.points[name].scheme == "local"
        return (_LOCAL if is_local else name, sample)

    def _score_known(self, keys: set[tuple[str, int]]) -> None:
        fresh = sorted(keys - set(self._known))
        for name in sorted({name for name, _ in fresh}):
            samples = [sample for known, sample in fresh if known == name]
            scores = self._scores_once(name, samples)
            self._known |= {(name, s): Outcome(o) for s, o in zip(samples, scores, strict=True)}

    def _scores_once(self, name: str, samples: Sequence[int]) -> list[Scores]:
        """Scores of the samples, from the cache where any process has worked them out."""
        if name == _LOST:
            return [self._lost_scores()] * len(samples)

        def score(missing: Sequence[int]) -> list[Scores]:
            return [self._scores(self._answer_of(self._received(name, s)), s) for s in missing]

        if self.cache_dir is None:
            return score(samples)
        point = self.points.get(name)  # else _LOCAL
        said = point and point.model_dump(mode="json", exclude={"name", "send_result", "of"})
        identity = (said or name, self._digest, arrays_digest(self.truth))
        return scored_once(score_file(self.cache_dir, *identity), samples, score)

    def _received(self, name: str, sample: int) -> Any:
        """The network's output on what arrived intact."""
        if name == _LOCAL:
            return self._run(self.graph.module, self.truth["image"][sample])
        point, codec = self.points[name], self._codec(self.points[name])
        decoded = codec.decode(self.prepare(name).payloads[sample])
        if point.scheme == "raw":
            return self._run(self.graph.module, decoded)
        arrays = decoded if isinstance(decoded, list) else [decoded]
        return self._run_tail(self._halves(str(point.split))[1], arrays)

    def _scores(self, answer: NDArray[np.float32], sample: int) -> Scores:
        if self.network.answer == "label":
            return (("accuracy", float(answer.argmax() == self.truth["label"][sample])),)
        seen, target = answer.argmax(axis=0), self.truth["segmentation"][sample]
        counts = segmentation_counts(seen.astype(np.uint8), target)
        return (
            ("miou", metrics.mean_iou(counts)),
            ("pixel_accuracy", metrics.pixel_accuracy(counts)),
        )

    def _lost_scores(self) -> Scores:
        if self.network.answer == "label":
            return (("accuracy", 0.0),)
        return (("miou", 0.0), ("pixel_accuracy", 0.0))

    # --- the network

    def _halves(self, split: str) -> tuple[Any, Any]:
        from simsplit.nets.split import cut

        return cut(self.graph, split)

    def _run(self, module: Any, image: NDArray[np.uint8]) -> Any:
        """A module on one picture ``(H, W, C)``."""
        import torch

        from simsplit.nets.contract import as_images
        from simsplit.nets.inference import one_thread

        with one_thread(), torch.inference_mode():
            return module(as_images(torch.from_numpy(np.array(image)[None])))

    def _run_tail(self, tail: Any, arrays: Sequence[NDArray[np.float32]]) -> Any:
        import torch

        from simsplit.nets.inference import one_thread

        with one_thread(), torch.inference_mode():
            return tail(*(torch.from_numpy(np.array(array)[None]) for array in arrays))

    @staticmethod
    def _answer_of(output: Any) -> NDArray[np.float32]:
        """The first tensor of an output, without its batch dimension."""
        from torch.utils._pytree import tree_leaves

        tensor: NDArray[np.float32] = tree_leaves(output)[0].numpy()
        return tensor[0] if len(tensor) == 1 else tensor


def network_digest(network: Network) -> str:
    """SHA-256 of all that makes a network's numbers: its spec, weights, source and torchvision."""
    said = network.model_dump(mode="json", exclude={"name"})
    module, colon, _ = network.source.partition(":")
    spec = find_spec(module) if colon else None
    files = [network.weights] if network.weights != "random" else []
    files += [spec.origin] if spec is not None and spec.origin is not None else []
    digests = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in files]
    text = json.dumps([said | {"weights": ""}, digests, version("torchvision")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _points(graph: Graph) -> list[SplitPoint]:
    from simsplit.nets.split import points

    return points(graph)


def cut_names(network: Network, height: int, width: int) -> list[str]:
    """Names of all inner cuts, in the order of the graph."""
    ends = ("input", "output")
    return [p.name for p in _points(open_graph(network, height, width)) if p.name not in ends]


def every_cut(point: OperatingPoint, cuts: Sequence[str]) -> list[OperatingPoint]:
    """The operating points that a ``split: every`` stands for."""
    if point.split != EVERY:
        return [point]
    return [
        point.model_copy(update={"name": f"{point.name}-{cut}", "split": cut, "of": point.name})
        for cut in cuts
    ]
