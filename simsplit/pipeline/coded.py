"""Operating points of a network of ``networks:``: plain, or with a trained code at a cut.

Of a code, act one: head and encoder → real bytes, or channel symbols. Act three: decoder and tail
over what arrived. Forwards run on batches of one fixed size, so that a request's scores never
depend on which others are scored with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from simsplit.codecs.build import check_formats
from simsplit.messages import Outcome, Scheme, Workload
from simsplit.networks.codes.artefact import TrainedCode, open_code
from simsplit.networks.codes.contract import AnalogCode, DigitalCode
from simsplit.networks.devices import CPU, on_device
from simsplit.networks.inference import FORWARD_BATCH
from simsplit.operators import Operators
from simsplit.pipeline.chains import (
    AnalogChain,
    Chain,
    DigitalChain,
    LocalChain,
    PictureChain,
    examine_codecs,
)
from simsplit.pipeline.traced import CutChain, TracedNetwork
from simsplit.scenario.codes import code_digest
from simsplit.scenario.operating_points import Network, OperatingPoint
from simsplit.tasks.datasets import Arrays


def network_chains(
    network: Network,
    points: Iterable[OperatingPoint],
    truth: Arrays,
    *,
    with_content: bool = False,
    classes: Mapping[str, int] | None = None,
    device: str = CPU,
) -> list[Chain[Any]]:
    """The chains of a network of ``networks:``; it is opened and traced here.

    Args:
        network: What it is.
        points: Its operating points.
        truth: The task's samples; ``image`` uint8 ``(N, H, W, C)``.
        with_content: Make payloads even where sizes would do (exact fidelity).
        classes: How many classes the truth's arrays of labels have; what is missing is not checked.
        device: What runs the network, one of `simsplit.networks.devices.DEVICES`.

    Raises:
        ArtefactError: Weights of network or code are missing or damaged.
        ScenarioError: The network cannot be opened, a cut is not there, the data set lacks the
            truth, or this installation has no AVIF.
    """
    opened = TracedNetwork(network, truth, classes=classes, device=device)
    wanted = {f"operating_points.{point.name}": point for point in points}
    check_formats(wanted)
    chains = [network_chain(point, opened, with_content=with_content) for point in wanted.values()]
    examine_codecs(chains)
    return chains


def network_chain(
    point: OperatingPoint, network: TracedNetwork, *, with_content: bool = False
) -> Chain[Any]:
    """The chain of an operating point of ``networks:``.

    Raises:
        ArtefactError, ScenarioError: No such cut; see `simsplit.networks.codes.artefact.open_code`.
    """
    match point.scheme:
        case Scheme.LOCAL:
            return LocalChain(point, network)
        case Scheme.RAW:
            return PictureChain(point, network)
    if point.code is None:
        return CutChain(point, network, with_content=with_content)
    network.cut_of(point)
    trained = open_code(point.code, network.graph, f"operating_points.{point.name}.code")
    kind = AnalogCodeChain if isinstance(trained.code, AnalogCode) else DigitalCodeChain
    return kind(point, network, trained)


class CodeChain(Chain[TracedNetwork]):
    """What codes of bytes and of symbols have in common.

    Args:
        point: It names the code.
        network: At whose cut it stands.
        trained: The code and the network's halves.
    """

    def __init__(self, point: OperatingPoint, network: TracedNetwork, trained: TrainedCode) -> None:
        super().__init__(point, network)
        self.trained = trained
        self._head = on_device(trained.head, network.device)
        self._code = on_device(trained.code, network.device)
        self._tail = on_device(trained.tail, network.device)
        self._size = FORWARD_BATCH if network.graph.takes_batches else 1

    @property
    def identity(self) -> tuple[str, ...]:
        """Digests of network, samples and code."""
        return (*self.network.identity, code_digest(str(self.point.code)))

    @cached_property
    def _operators(self) -> tuple[Operators, Operators]:
        return self.trained.code.operators()

    def workload(self) -> Workload:
        """Head and encoder on the device, decoder and tail at the edge."""
        work, (encoder, decoder) = self.network.workload(self.point), self._operators
        return replace(
            work,
            device=work.device + encoder,
            edge=decoder + self.network.operators_behind(self.trained.until),
            tail=f"{work.tail}/{self.trained.name}",
            coded=(),
        )

    def encoded(self) -> NDArray[Any]:
        """Latents or symbols of every sample, ``(N, ...)``."""

        def forward(images: Tensor) -> Tensor:
            (feature,) = self._head(self.network.inputs(images))
            return self._code.encode(feature)

        images = self.network.truth["image"]
        rows = self.network.outputs(forward, images, size=self._size)
        return np.concatenate([row.numpy() for row in rows])

    def decoded(self, samples: Sequence[int], *received: NDArray[Any]) -> list[Outcome]:
        """Outcomes of what was received of these samples, ``(n, ...)`` each."""

        def forward(*tensors: Tensor) -> Any:
            return self._tail(self._code.decode(*tensors))

        outputs = self.network.outputs(forward, *received, size=self._size)
        return self.network.outcomes(outputs, samples)


class DigitalCodeChain(CodeChain, DigitalChain[TracedNetwork]):
    """A code that makes bytes."""

    @property
    def code(self) -> DigitalCode:
        """The trained code."""
        assert isinstance(self.trained.code, DigitalCode)
        return self.trained.code

    def workload(self) -> Workload:
        """Head and encoder on the device, decoder and tail at the edge, and the range coder."""
        coded = self.code.range_coded
        return replace(super().workload(), range_coded=coded if any(coded) else ())

    def encode(self) -> Iterable[bytes]:
        """The latent of every sample, packed."""
        return map(self.code.pack, self.encoded())

    def outcomes(self, payloads: Sequence[bytes], samples: Sequence[int]) -> list[Outcome]:
        """The tail's answers to what was unpacked."""
        latents = np.stack([self.code.unpack(payload) for payload in payloads])
        return self.decoded(samples, latents)


class AnalogCodeChain(CodeChain, AnalogChain[TracedNetwork]):
    """A code that makes channel symbols."""

    def symbols(self) -> NDArray[np.complex64]:
        """Of every sample ``(N, k)``."""
        return self.encoded()

    def outcomes(
        self,
        received: NDArray[np.complex64],
        noise_variance: NDArray[np.float32],
        samples: Sequence[int],
    ) -> list[Outcome]:
        """The tail's answers to what was received."""
        return self.decoded(samples, received, noise_variance)
