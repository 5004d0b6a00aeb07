"""Operating points of any network of ``networks:``, cut at any node of its graph.

With weights and an ``answer`` everything is real: head, codec and tail run on the task's samples
and the answers are scored. Without, nothing is scored, and of a lossless or fixed-length codec only
the sizes are made, which do not depend on the values. Samples run one by one, as the graph was
traced, so that head and tail give the whole network's numbers: bit for bit where a decoded tensor
(contiguous) lies as the head's did, to the last bits where that had its channels last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from simsplit.codecs.picture import ImageCodec
from simsplit.codecs.tensors import TensorsCodec
from simsplit.errors import ScenarioError
from simsplit.messages import Outcome, Prepared, Scheme, Workload
from simsplit.networks.cuts import SplitPoint, cut
from simsplit.networks.devices import CPU, on_device
from simsplit.networks.inference import fixed_batches
from simsplit.networks.opened import _points, network_digest, open_graph
from simsplit.networks.preprocess import check_whole, network_input, preprocess_of
from simsplit.operators import Operators, network_key
from simsplit.pipeline.chains import CodecChain, Pictures, TaskNetwork, point_codec
from simsplit.scenario.operating_points import Network, OperatingPoint
from simsplit.tasks.datasets import Arrays
from simsplit.tasks.scorer import Scorer


class TracedNetwork(TaskNetwork):
    """A network of ``networks:`` over the task's samples.

    Args:
        network: What it is.
        truth: The task's samples; ``image`` uint8 ``(N, H, W, C)``.
        classes: How many classes the truth's arrays of labels have; what is missing is not checked.
        device: What runs it, one of `simsplit.networks.devices.DEVICES`.

    Raises:
        ScenarioError, ArtefactError: See `simsplit.networks.opened.open_graph` and `Scorer`.
    """

    def __init__(
        self,
        network: Network,
        truth: Arrays,
        *,
        classes: Mapping[str, int] | None = None,
        device: str = CPU,
    ) -> None:
        super().__init__(truth)
        self.network, self.device = network, device
        self.is_scored = network.answer is not None
        self.graph = open_graph(network, *self.picture_shape[:2])
        self._where = f"networks.{network.name}.preprocess"
        said = network.preprocess
        self._preprocess = None if said is None else preprocess_of(said, self._where)
        self.scorer = Scorer(network, truth, classes or {}, self._scale)
        if self._preprocess is not None:
            check_whole(self._preprocess, (a.kind for a in self.scorer.answers), self._where)
        self._cuts = {point.name: point for point in _points(self.graph)}
        self._module = on_device(self.graph.module, device)

    def _digest(self) -> str:
        return network_digest(self.network)

    @property
    def _scale(self) -> tuple[float, float]:
        """(height, width) of the picture over those of the network's input."""
        (height, width), (tall, wide) = self.picture_shape[:2], self.graph.example_shape[2:]
        return height / tall, width / wide

    # --- forwards

    def inputs(self, images: Tensor) -> Tensor:
        """The network's input for pictures, a uint8 tensor ``(B, H, W, C)``."""
        channels = self.graph.example_shape[1]
        return network_input(images, self._preprocess, channels, self._where)

    def outputs(
        self, forward: Callable[..., Any], *arrays: NDArray[Any], size: int = 1
    ) -> Iterator[Any]:
        """What ``forward`` gives for each sample, as if it had run alone.

        Args:
            forward: Takes one tensor ``(size, ...)`` per array.
            arrays: ``(n, ...)`` each.
            size: Rows of a batch.
        """
        for output, count in fixed_batches(forward, *arrays, size=size, device=self.device):
            for row in range(count):
                yield output if size == 1 else _row(output, row)

    def whole(self, pictures: Pictures) -> Iterator[Any]:
        """The whole network's output for each picture ``(H, W, C)``."""
        for picture in pictures:
            yield from self.outputs(lambda image: self._module(self.inputs(image)), picture[None])

    # --- answers

    def outcomes(self, outputs: Iterable[Any], samples: Sequence[int]) -> list[Outcome]:
        """What the network's outputs for these samples, batch of 1 each, are worth."""
        pairs = zip(outputs, samples, strict=True)
        return [self.scorer.outcome(self.scorer.read(output, s), s) for output, s in pairs]

    def of_pictures(self, pictures: Pictures, samples: Sequence[int]) -> list[Outcome]:
        """What the network's answers to pictures of these samples are worth."""
        return self.outcomes(self.whole(pictures), samples)

    def lost(self, sample: int) -> Outcome:
        """See `Scorer.lost`."""
        return self.scorer.lost(sample)

    def finished(self, outcome: Outcome) -> Outcome:
        """See `Scorer.finished`."""
        return self.scorer.finished(outcome)

    @property
    def answer_bits(self) -> NDArray[np.int64]:
        """Sizes of the answers that the whole network gives (see `Scorer.bits`), ``(N,)``."""
        return self._bits[0]

    @property
    def map_bits(self) -> NDArray[np.int64] | None:
        """Of these the bits of maps of classes, ``(N,)``; None: the answer is nothing else."""
        return self._bits[1]

    @cached_property
    def _bits(self) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
        outputs = self.whole(self.truth["image"])
        if not self.is_scored:
            return _unread_bits(self._first_answer, outputs, self.samples), None
        return _read_bits(self.scorer, outputs)

    @cached_property
    def _first_answer(self) -> NDArray[np.float32]:
        return _first_tensor(next(self.whole(self.truth["image"])))

    # --- work

    def workload(self, point: OperatingPoint) -> Workload:
        """Operators on either side of the cut, named as the profile of the network names them."""
        whole = self.graph.operators
        key = network_key(self.network.source, *self.graph.example_shape[2:])
        tail = f"{self.network.name}/{point.split or point.scheme}"
        match point.scheme:
            case Scheme.LOCAL:
                work = Workload(whole, (), whole, network=key)
            case Scheme.RAW:
                coded = (self.picture_shape,)
                work = Workload((), whole, whole, network=key, tail=tail, coded=coded)
            case _:
                at = self.cut_of(point)
                head, rest = at.head_operators, at.tail_operators
                work = Workload(head, rest, whole, network=key, tail=tail, coded=at.shapes)
        return replace(work, answer_map=self._answer_map)

    def cut_of(self, point: OperatingPoint) -> SplitPoint:
        """Where an operating point cuts.

        Raises:
            ScenarioError: The network has no such cut.
        """
        if point.split not in self._cuts:
            path, choices = f"operating_points.{point.name}.split", [*self._cuts]
            raise ScenarioError("no such cut", path=path, value=point.split, choices=choices)
        return self._cuts[point.split]

    def operators_behind(self, name: str) -> Operators:
        """Of the network behind one of its cuts."""
        return self._cuts[name].tail_operators

    @property
    def _answer_map(self) -> tuple[int, ...]:
        """Shape of the map that travels as a PNG; empty for a label and for what travels as is."""
        if self.is_scored:
            return self.scorer.answer_map
        first = self._first_answer
        return first.shape[1:] if first.ndim == 3 else ()


def _row(output: Any, row: int) -> Any:
    """One sample of a batch's output, as a batch of 1."""
    return tree_map(lambda t: t[row : row + 1] if isinstance(t, Tensor) else t, output)


def _first_tensor(output: Any) -> NDArray[np.float32]:
    """The first tensor of an output, without its batch dimension."""
    tensor: NDArray[np.float32] = tree_leaves(output)[0].numpy()
    return tensor[0] if len(tensor) == 1 else tensor


def _read_bits(
    scorer: Scorer, outputs: Iterable[Any]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sizes of the declared answers of every sample, and of the maps of classes among them."""
    answers = (scorer.read(output, i) for i, output in enumerate(outputs))
    sizes = [(scorer.bits(one), scorer.map_bits(one)) for one in answers]
    bits = np.array(sizes, np.int64).reshape(-1, 2)
    return bits[:, 0], bits[:, 1]


def _unread_bits(
    first: NDArray[np.float32], outputs: Iterable[Any], samples: int
) -> NDArray[np.int64]:
    """Sizes of the answers of a network without an ``answer``, by its output's first tensor.

    A vector is one class, three dimensions are a map of classes, anything else travels as float32.
    """
    if first.ndim == 1:
        size = 8 * math.ceil(math.log2(max(2, len(first))) / 8)
        return np.full(samples, size, np.int64)
    if first.ndim != 3:
        return np.full(samples, 32 * first.size, np.int64)
    maps = (_first_tensor(output).argmax(axis=0).astype(np.uint8) for output in outputs)
    codec = ImageCodec("png")
    return np.array([8 * len(codec.encode(m[..., None])) for m in maps], np.int64)


class CutChain(CodecChain[TracedNetwork]):
    """Whatever crosses a cut, coded.

    Args:
        point: With a split.
        network: That is cut.
        with_content: Make payloads even where sizes would do (exact fidelity).

    Raises:
        ScenarioError: The network has no such cut.
    """

    def __init__(
        self, point: OperatingPoint, network: TracedNetwork, *, with_content: bool
    ) -> None:
        super().__init__(point, network)
        self.cut = network.cut_of(point)
        has_values = with_content or network.is_scored
        self.is_kept = has_values or point.codec is None or point.codec.kind != "tensor"

    @cached_property
    def codec(self) -> Any:
        """The codec that the point names: of all tensors at the cut, or of the only one.

        Raises:
            ScenarioError: It is for one ``(C, h, w)``, and something else is at the cut.
        """
        spec = self.point.codec
        assert spec is not None and spec.kind != "entropy"  # the scenario has checked it
        if spec.kind == "tensor":
            return TensorsCodec(self.cut.shapes, spec.dtype, self.cut.types)
        return point_codec(self.point, self._single_shape(spec.kind))

    def _single_shape(self, kind: str) -> tuple[int, ...]:
        shapes, types = self.cut.shapes, self.cut.types
        if len(shapes) != 1 or len(shapes[0]) != 3 or types != ("float32",):
            path = f"operating_points.{self.point.name}.codec"
            message = f"codec '{kind}' needs one (C, h, w) at the cut, float32"
            raise ScenarioError(message, path=path, value=[*zip(types, shapes, strict=True)])
        return shapes[0]

    @cached_property
    def _halves(self) -> tuple[Any, Any]:
        """Head and tail."""
        head, tail = cut(self.network.graph, self.cut.name)
        return on_device(head, self.network.device), on_device(tail, self.network.device)

    def make(self) -> Prepared:
        """Act one: real bytes, or their number where it does not depend on the values."""
        if self.is_kept:
            return super().make()
        bits = self._none + 8 * self.codec.payload_bytes
        answers, maps = self.network.answer_bits, self.network.map_bits
        return Prepared(bits, self._none, answers, map_bits=maps)

    def encode(self) -> Iterator[bytes]:
        """What crosses the cut for every sample, coded."""
        head, codec, network = self._halves[0], self.codec, self.network
        images = network.truth["image"]
        for carried in network.outputs(lambda image: head(network.inputs(image)), images):
            pairs = zip(self.cut.layouts, carried, strict=True)
            arrays = [layout.to_array(tensor) for layout, tensor in pairs]
            yield bytes(codec.encode(arrays if isinstance(codec, TensorsCodec) else arrays[0]))

    def received(self, payload: bytes) -> Any:
        """The network's output on one sample's payload that arrived intact."""
        decoded = self.codec.decode(payload)
        arrays = decoded if isinstance(decoded, list) else [decoded]
        return next(self.network.outputs(self._behind, *(array[None] for array in arrays)))

    def _behind(self, *carried: Tensor) -> Any:
        layouts = zip(self.cut.layouts, carried, strict=True)
        return self._halves[1](*(layout.shaped(values) for layout, values in layouts))

    def outcomes(self, payloads: Sequence[bytes], samples: Sequence[int]) -> list[Outcome]:
        """The tail's answers to what was decoded."""
        return self.network.outcomes(map(self.received, payloads), samples)
