"""Operating points with a trained code at a cut of a network of ``networks:``.

Act one: head and encoder → real bytes, or channel symbols. Act three: decoder and tail over what
arrived: the payload's bytes, or the symbols under the delivery's own SNR with noise drawn from (run
seed, request id). Forwards run on batches of one fixed size, so that a request's scores never
depend on which others are scored with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_map

from simsplit.files import arrays_digest
from simsplit.messages import Outcome, Prepared, ScoreRequest, Workload
from simsplit.networks.codes.artefact import TrainedCode, open_code
from simsplit.networks.codes.contract import AnalogCode, DigitalCode
from simsplit.networks.inference import FORWARD_BATCH, fixed_batches
from simsplit.networks.opened import network_digest
from simsplit.pipeline.air import Equaliser, over_the_air
from simsplit.pipeline.cache import Cache, ResultKey, by_way
from simsplit.pipeline.traced import NetworkPipeline
from simsplit.scenario.codes import code_digest
from simsplit.scenario.operating_points import OperatingPoint

_CHUNK = 64  # JSCC requests decoded at once; bounds memory, changes nothing


class CodedPoint:
    """One operating point: a code at its cut, over the task's samples.

    Args:
        point: It names the code.
        plain: The network's pipeline, which knows inputs, answers and scores.
        cache_dir: Where act one and the scores are kept between runs; None keeps nothing.

    Raises:
        ArtefactError, ScenarioError: See `simsplit.networks.codes.artefact.open_code`.
    """

    def __init__(
        self, point: OperatingPoint, plain: NetworkPipeline, cache_dir: Path | None
    ) -> None:
        self.point, self.plain = point, plain
        self.trained: TrainedCode = open_code(str(point.code), plain.graph)
        self.code = self.trained.code
        self._batch = FORWARD_BATCH if plain.graph.takes_batches else 1
        identity = (network_digest(plain.network), arrays_digest(plain.truth))
        self._cache = Cache(cache_dir, (*identity, code_digest(str(point.code))))

    @cached_property
    def prepared(self) -> Prepared:
        """Act one, made or from the cache."""
        return self._cache.prepared(self.point, self._make)

    @cached_property
    def operators(self) -> tuple[Any, Any]:
        """Of encoder and decoder."""
        return self.code.operators()

    def workload(self) -> Workload:
        """Head and encoder on the device, decoder and tail at the edge, and the range coder."""
        work, (encoder, decoder) = self.plain.workload(self.point.name), self.operators
        coded = self.code.range_coded if isinstance(self.code, DigitalCode) else ()
        return replace(
            work,
            device=work.device + encoder,
            edge=decoder + self.plain.operators_behind(self.trained.until),
            tail=f"{work.tail}/{self.trained.name}",
            coded=(),
            range_coded=coded if any(coded) else (),
        )

    def intact(self, samples: Sequence[int]) -> list[Outcome]:
        """Outcomes of digital payloads that arrived, from the cache where any process has them."""
        return self._cache.outcomes(self.point, samples, self._of_payloads)

    def analog(
        self, requests: Sequence[ScoreRequest], seed: int, equaliser: Equaliser
    ) -> Iterator[Outcome]:
        """Outcomes of JSCC requests, each under its own delivery."""
        symbols, ends = self.prepared.symbols, self.point.airtime_s is not None
        assert symbols is not None
        for start in range(0, len(requests), _CHUNK):
            chunk = requests[start : start + _CHUNK]
            heard = [
                over_the_air(
                    symbols[r.sample], r.delivery, seed, equaliser=equaliser, may_end_early=ends
                )
                for r in chunk
            ]
            received, variance = (np.stack(part) for part in zip(*heard, strict=True))
            yield from self._scored([r.sample for r in chunk], received, variance)

    # --- act one

    def _make(self) -> Prepared:
        none, answers = np.zeros(self.plain.samples, np.int64), self.plain.answer_bits
        encoded = self.encoded()
        if isinstance(self.code, AnalogCode):
            uses = np.full(self.plain.samples, encoded.shape[1], np.int64)
            return Prepared(none, uses, answers, symbols=encoded)
        payloads = tuple(self.code.pack(latent) for latent in encoded)
        bits = np.array([8 * len(payload) for payload in payloads], np.int64)
        return Prepared(bits, none, answers, payloads)

    def encoded(self) -> NDArray[Any]:
        """Latents or symbols of every sample, ``(N, ...)``."""

        def forward(images: Tensor) -> Tensor:
            (feature,) = self.trained.head(self.plain.inputs(images))
            return self.code.encode(feature)

        images = self.plain.truth["image"]
        parts = [rows[:n].numpy() for rows, n in self._batches(forward, images)]
        return np.concatenate(parts)

    # --- act three

    def _of_payloads(self, samples: list[int]) -> list[Outcome]:
        assert isinstance(self.code, DigitalCode)
        payloads = self.prepared.payloads
        latents = np.stack([self.code.unpack(payloads[sample]) for sample in samples])
        return list(self._scored(samples, latents))

    def _scored(self, samples: Sequence[int], *received: NDArray[Any]) -> Iterator[Outcome]:
        """Outcomes of what was received, ``(n, ...)`` each, for these samples."""

        def forward(*tensors: Tensor) -> Any:
            return self.trained.tail(self.code.decode(*tensors))

        remaining = iter(samples)
        for output, count in self._batches(forward, *received):
            for row in range(count):
                yield self.plain.outcome_of(self._row(output, row), next(remaining))

    def _row(self, output: Any, row: int) -> Any:
        """One sample's output, as if it had run alone."""
        if self._batch == 1:
            return output
        return tree_map(lambda t: t[row : row + 1] if isinstance(t, Tensor) else t, output)

    def _batches(
        self, forward: Callable[..., Any], *arrays: NDArray[Any]
    ) -> Iterator[tuple[Any, int]]:
        return fixed_batches(forward, *arrays, size=self._batch)


class CodedPipeline:
    """Operating points with codes of one network.

    Args:
        points: Those with a code, by name.
        plain: The pipeline of the network, which holds these points too.
        seed: Of the run; with a request's id it keys the JSCC noise.
        equaliser: How JSCC symbols are equalised when the channel is estimated.
        cache_dir: Where act one and the scores are kept between runs; None keeps nothing.
    """

    def __init__(
        self,
        points: Mapping[str, OperatingPoint],
        plain: NetworkPipeline,
        *,
        seed: int,
        equaliser: Equaliser = "zf",
        cache_dir: Path | None = None,
    ) -> None:
        self.coded = {n: CodedPoint(point, plain, cache_dir) for n, point in points.items()}
        self.plain, self.seed, self.equaliser = plain, seed, equaliser
        self._known: dict[ResultKey, Outcome] = {}

    def prepare(self, name: str) -> Prepared:
        """Act one of one operating point."""
        return self.coded[name].prepared

    def workload(self, name: str) -> Workload:
        """Operators on either side of the cut, the code's included."""
        return self.coded[name].workload()

    def score(self, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        """Act three, in the order asked; lost or answered on the device: as without a code."""
        if self.plain.network.answer is None:
            return [Outcome(())] * len(requests)
        outcomes: dict[int, Outcome] = {}
        for name, indices in self._by_point(requests).items():
            asked = [requests[index] for index in indices]
            outcomes |= zip(indices, self._outcomes(name, asked), strict=True)
        return [self.plain.scorer.finished(outcomes[i]) for i in range(len(requests))]

    def _by_point(self, requests: Sequence[ScoreRequest]) -> dict[str | None, list[int]]:
        """Indices by operating point; None: no payload of it arrived."""
        parts: dict[str | None, list[int]] = {}
        for index, request in enumerate(requests):
            heard = request.delivery.arrived and not request.delivery.computed_locally
            parts.setdefault(request.operating_point if heard else None, []).append(index)
        return parts

    def _outcomes(self, name: str | None, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        if name is None:
            return self.plain.score(requests)
        coded = self.coded[name]
        if isinstance(coded.code, AnalogCode):
            return list(coded.analog(requests, self.seed, self.equaliser))
        keys = [ResultKey(name, request.sample) for request in requests]
        for samples in by_way(set(keys) - set(self._known)).values():
            outcomes = coded.intact(samples)
            wanted = (ResultKey(name, sample) for sample in samples)
            self._known |= zip(wanted, outcomes, strict=True)
        return [self._known[key] for key in keys]
