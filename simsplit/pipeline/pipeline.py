"""The chain without a clock: what every sample costs to send, and what comes of what was received.

Act one, :meth:`Pipeline.prepare`: head, encoder and codec over the task's samples. Act three,
:meth:`Pipeline.score`: decoder and tail over what really arrived. Between them only messages pass.
One pipeline holds all operating points of a scenario, whichever network they are of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.messages import Delivery, Outcome, Prepared, Scheme, ScoreRequest, Workload
from simsplit.pipeline.air import Equaliser, over_the_air
from simsplit.pipeline.cache import Cache, ResultKey, Shared, by_way
from simsplit.pipeline.chains import AnalogChain, Chain, DigitalChain, TaskNetwork

Progress = Callable[[int, int], None]  # operating points done, all of them
Symbols = tuple[NDArray[np.complex64], NDArray[np.float32]]  # as equalised, and their variance

_CHUNK = 64  # JSCC requests decoded at once; bounds memory, changes nothing


class Pipeline:
    """Operating points over one task.

    Args:
        chains: One per operating point, in the scenario's order.
        seed: Of the run; with a request's id it keys the JSCC noise.
        equaliser: How JSCC symbols are equalised when the channel is estimated.
        cache_dir: Where act one and the scores are kept between runs; None keeps nothing.
    """

    def __init__(
        self,
        chains: Iterable[Chain[Any]],
        *,
        seed: int,
        equaliser: Equaliser = "zf",
        cache_dir: Path | None = None,
    ) -> None:
        self.chains = {chain.point.name: chain for chain in chains}
        self._networks: dict[str | None, TaskNetwork] = {
            chain.point.network: chain.network for chain in self.chains.values()
        }
        self.seed, self.equaliser, self.cache_dir = seed, equaliser, cache_dir
        self._prepared: dict[str, Prepared] = {}
        self._scored: dict[ResultKey, Outcome] = {}

    # --- act one

    def prepare(self, progress: Progress | None = None) -> dict[str, Prepared]:
        """Act one: every operating point over every sample, or from the cache."""
        for done, name in enumerate(self.chains, start=1):
            self.prepared(name)
            if progress is not None:
                progress(done, len(self.chains))
        return {name: self._prepared[name] for name in self.chains}

    def prepared(self, name: str) -> Prepared:
        """Act one of one operating point."""
        chain = self._chain(name)
        if name not in self._prepared:
            cache = Cache(self.cache_dir if chain.is_kept else None, chain.identity)
            self._prepared[name] = cache.prepared(chain.point, chain.make)
        return self._prepared[name]

    def workload(self, name: str) -> Workload:
        """Operators per request of an operating point, recorded from the network itself.

        Requests of all points with the same ``tail`` may share a batch at the edge.
        """
        return self._chain(name).workload()

    def _chain(self, name: str) -> Chain[Any]:
        if name not in self.chains:
            raise ScenarioError("no such operating point", value=name, choices=tuple(self.chains))
        return self.chains[name]

    # --- act three

    def score(self, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        """Act three: what each request's answer is worth, in the order asked.

        * Computed on the device (``local`` or a local retry): the whole network on the original;
          of a point with ``exit``, if it arrived, the early exit's answer.
        * Digital and arrived: the decoded payload; one result per operating point and sample.
        * JSCC: the symbols under the delivery's own SNR, grant by grant, with noise drawn from
          (run seed, request id).
        * Not arrived: no answer, which is worth what the network's `lost` says.
        * Of a network without an answer: nothing.

        Raises:
            ScenarioError: Unknown operating point, or a delivery that does not carry k symbols.
        """
        keys = [self._key(request) for request in requests]
        self._score_shared({key for key in keys if key is not None})
        analog = [i for i, key in enumerate(keys) if key is None]
        heard = dict(zip(analog, self._score_analog([requests[i] for i in analog]), strict=True))
        outcomes = [heard[i] if key is None else self._scored[key] for i, key in enumerate(keys)]
        return [
            self.chains[request.operating_point].network.finished(outcome)
            for request, outcome in zip(requests, outcomes, strict=True)
        ]

    def _key(self, request: ScoreRequest) -> ResultKey | None:
        """What a request shares with others of the same result; None if it has its own noise."""
        chain = self._chain(request.operating_point)
        way = _way(chain, request.delivery)
        return None if way is None else ResultKey(chain.point.network, way, request.sample)

    def _score_shared(self, keys: set[ResultKey]) -> None:
        """Scores, once each, the results that many requests may share."""
        for (network, way), samples in by_way(keys - set(self._scored)).items():
            outcomes = self._outcomes_once(network, way, samples)
            wanted = (ResultKey(network, way, sample) for sample in samples)
            self._scored |= zip(wanted, outcomes, strict=True)

    def _outcomes_once(
        self, network: str | None, way: str | Shared, samples: Sequence[int]
    ) -> list[Outcome]:
        """Outcomes of the samples, from the cache where any process has worked them out."""
        if isinstance(way, str):
            chain = self.chains[way]
            cache = Cache(self.cache_dir, chain.identity)
            return cache.outcomes(chain.point, samples, lambda some: self._intact(chain, some))
        whole = self._networks[network]
        if way is Shared.LOST:
            return whole.shared(way, samples)
        cache = Cache(self.cache_dir, whole.identity)
        return cache.outcomes(way, samples, lambda some: whole.shared(way, some))

    def _intact(self, chain: Chain[Any], samples: Sequence[int]) -> list[Outcome]:
        """Outcomes of the digital payloads of these samples."""
        assert isinstance(chain, DigitalChain)
        every = self.prepared(chain.point.name).payloads
        outcomes: list[Outcome] = chain.outcomes([every[sample] for sample in samples], samples)
        return outcomes

    def _score_analog(self, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        """Outcomes of JSCC requests; those with one decoder are decoded together."""
        decoders: dict[tuple[str | None, str | None], list[int]] = {}
        for index, request in enumerate(requests):
            point = self.chains[request.operating_point].point
            decoders.setdefault((point.network, point.code), []).append(index)
        outcomes: dict[int, Outcome] = {}
        for indices in decoders.values():
            for start in range(0, len(indices), _CHUNK):
                chunk = indices[start : start + _CHUNK]
                outcomes |= zip(chunk, self._decoded([requests[i] for i in chunk]), strict=True)
        return [outcomes[index] for index in range(len(requests))]

    def _decoded(self, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        """Outcomes of JSCC requests of one decoder."""
        chain = self.chains[requests[0].operating_point]
        assert isinstance(chain, AnalogChain)
        heard = [self.heard(request) for request in requests]
        received, variance = (np.stack(part) for part in zip(*heard, strict=True))
        return chain.outcomes(received, variance, [request.sample for request in requests])

    def heard(self, request: ScoreRequest) -> Symbols:
        """A request's JSCC symbols as equalised and their noise variance, ``(k,)`` each."""
        symbols = self.prepared(request.operating_point).symbols
        assert symbols is not None
        ends = self.chains[request.operating_point].point.airtime_s is not None
        return over_the_air(
            symbols[request.sample],
            request.delivery,
            self.seed,
            equaliser=self.equaliser,
            may_end_early=ends,
        )


def _way(chain: Chain[Any], delivery: Delivery) -> str | Shared | None:
    """How an answer came about; None: under its own noise."""
    point = chain.point
    if not chain.network.is_scored:
        return Shared.LOST
    if point.exit and delivery.arrived:
        return Shared.EXIT
    if delivery.computed_locally or (point.scheme is Scheme.LOCAL and delivery.arrived):
        return Shared.LOCAL
    if not delivery.arrived:
        return Shared.LOST
    return None if isinstance(chain, AnalogChain) else point.name
