"""What a pipeline is made of: a network over the task's samples, and a chain per operating point.

A network tells what all its operating points share: what an answer weighs, what the whole network
makes of a picture, what a lost request is worth. A chain is one operating point from the picture to
the score: act one (`Chain.make`), its work, and act three for what arrived. Chains of codecs and
codes of all networks have this contract; `simsplit.pipeline.pipeline` knows no other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.build import examine_own, is_own, make_codec
from simsplit.codecs.contract import Codec
from simsplit.files import arrays_digest
from simsplit.messages import Outcome, Prepared, Workload
from simsplit.pipeline.cache import Shared
from simsplit.scenario.operating_points import OperatingPoint
from simsplit.tasks.datasets import Arrays

Pictures = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]  # (H, W, C) each


class TaskNetwork(ABC):
    """A network over a task's samples.

    Args:
        truth: The task's samples; ``image`` uint8 ``(N, H, W, C)``.
    """

    is_scored: bool = True  # whether its answers are worth anything

    def __init__(self, truth: Arrays) -> None:
        self.truth = truth

    @property
    def samples(self) -> int:
        """Pictures that circulate."""
        return len(self.truth["image"])

    @property
    def picture_shape(self) -> tuple[int, ...]:
        """``(H, W, C)``."""
        return self.truth["image"].shape[1:]

    @cached_property
    def identity(self) -> tuple[str, ...]:
        """Digests of all that decides what it gives: of the network and of the samples."""
        return (self._digest(), arrays_digest(self.truth))

    @abstractmethod
    def _digest(self) -> str:
        """Of the network."""

    @property
    @abstractmethod
    def answer_bits(self) -> NDArray[np.int64]:
        """Size of the answer that the whole network gives for each sample, ``(N,)``."""

    @property
    def map_bits(self) -> NDArray[np.int64] | None:
        """Of these the bits of maps of classes, ``(N,)``; None: all, wherever there is a map."""
        return None

    @abstractmethod
    def workload(self, point: OperatingPoint) -> Workload:
        """Operators per request on either side of a point's cut, without those of a code."""

    @abstractmethod
    def of_pictures(self, pictures: Pictures, samples: Sequence[int]) -> list[Outcome]:
        """What the whole network's answers to pictures of these samples are worth."""

    @abstractmethod
    def lost(self, sample: int) -> Outcome:
        """What no answer is worth."""

    def shared(self, way: Shared, samples: Sequence[int]) -> list[Outcome]:
        """Results that requests of all its operating points share."""
        if way is Shared.LOST:
            return [self.lost(sample) for sample in samples]
        return self.of_pictures(self.truth["image"][list(samples)], samples)

    def finished(self, outcome: Outcome) -> Outcome:
        """An outcome as it is handed out: with what no file can hold."""
        return outcome


Net = TypeVar("Net", bound=TaskNetwork)


class Chain(ABC, Generic[Net]):
    """An operating point over the task's samples, from the picture to the score.

    Args:
        point: What is sent, and how.
        network: Whose answers are wanted.
    """

    is_kept: bool = True  # whether act one is worth a file

    def __init__(self, point: OperatingPoint, network: Net) -> None:
        self.point, self.network = point, network

    @property
    def identity(self) -> tuple[str, ...]:
        """Digests of all that decides what it gives, beside the point itself."""
        return self.network.identity

    @abstractmethod
    def make(self) -> Prepared:
        """Act one: what every sample costs to send."""

    def workload(self) -> Workload:
        """Operators per request on either side of the cut."""
        return self.network.workload(self.point)

    @property
    def _none(self) -> NDArray[np.int64]:
        return np.zeros(self.network.samples, np.int64)


class LocalChain(Chain[TaskNetwork]):
    """The whole network on the device; nothing but the answer may be sent."""

    def make(self) -> Prepared:
        """Act one: answers alone."""
        network = self.network
        return Prepared(self._none, self._none, network.answer_bits, map_bits=network.map_bits)


class DigitalChain(Chain[Net]):
    """Bytes over the air."""

    @abstractmethod
    def encode(self) -> Iterable[bytes]:
        """Payload of every sample, in order."""

    @abstractmethod
    def outcomes(self, payloads: Sequence[bytes], samples: Sequence[int]) -> list[Outcome]:
        """Act three for payloads of these samples that arrived intact."""

    def make(self) -> Prepared:
        """Act one: real bytes."""
        payloads = tuple(self.encode())
        bits = np.array([8 * len(payload) for payload in payloads], np.int64)
        answers, maps = self.network.answer_bits, self.network.map_bits
        return Prepared(bits, self._none, answers, payloads, map_bits=maps)


class AnalogChain(Chain[Net]):
    """Channel symbols over the air (JSCC)."""

    @abstractmethod
    def symbols(self) -> NDArray[np.complex64]:
        """Of every sample ``(N, k)``, mean power 1 each."""

    @abstractmethod
    def outcomes(
        self,
        received: NDArray[np.complex64],
        noise_variance: NDArray[np.float32],
        samples: Sequence[int],
    ) -> list[Outcome]:
        """Act three for symbols of these samples as equalised ``(n, k)``, with their variances."""

    def make(self) -> Prepared:
        """Act one: channel symbols."""
        symbols = self.symbols()
        uses = np.full(self.network.samples, symbols.shape[1], np.int64)
        answers, maps = self.network.answer_bits, self.network.map_bits
        return Prepared(self._none, uses, answers, symbols=symbols, map_bits=maps)


class CodecChain(DigitalChain[Net]):
    """Bytes of the codec that the point names."""

    @cached_property
    @abstractmethod
    def codec(self) -> Any:
        """The codec, made when it is first asked for."""


class PictureChain(CodecChain[TaskNetwork]):
    """Coded pictures, and the whole network at the edge."""

    @cached_property
    def codec(self) -> Codec:
        """The codec that the point names."""
        return point_codec(self.point, self.network.picture_shape, is_picture=True)

    def encode(self) -> Iterable[bytes]:
        """The picture of every sample, coded."""
        return map(self.codec.encode, self.network.truth["image"])

    def outcomes(self, payloads: Sequence[bytes], samples: Sequence[int]) -> list[Outcome]:
        """The network's answers to the decoded pictures."""
        return self.network.of_pictures([*map(self.codec.decode, payloads)], samples)


def examine_codecs(chains: Iterable[Chain[Any]]) -> None:
    """Hold codecs of a user's own to their contract; see `simsplit.codecs.build.examine_own`."""
    examine_own(c.codec for c in chains if isinstance(c, CodecChain) and is_own(c.point))


def point_codec(
    point: OperatingPoint, shape: tuple[int, ...], tables: Any = None, *, is_picture: bool = False
) -> Codec:
    """The codec that an operating point names; see `simsplit.codecs.build.make_codec`."""
    assert point.codec is not None  # checked when the scenario was loaded
    path = f"operating_points.{point.name}.codec"
    return make_codec(point.codec, shape, tables, is_picture=is_picture, path=path)
