"""The edge server's and the cloud's known answers, run through the real engine.

Part of `simsplit validate`. Poisson arrivals go straight into the server, so that its queue is
the textbook's; the first ``WARM_UP`` requests of each replication do not count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
import simpy
from numpy.typing import NDArray

from simsplit.messages import Scheme
from simsplit.scenario.edge import Edge
from simsplit.seeds import generator
from simsplit.sim.edge.tiers import CloudTier, EdgeServer
from simsplit.sim.request import Plan, Request
from simsplit.study.queueing import (
    Floats,
    bulk_queue,
    erlang_c,
    loss_mmck,
    wait_mdc_s,
    waits_cobham_s,
)
from simsplit.study.worlds import Case, exact_case, interval_case

WARM_UP = 1000
IDLE_W, COMPUTE_W = 10.0, 70.0
CLOUD_W = (50.0, 300.0)


class ExponentialSeconds(Sequence[float]):
    """Service times drawn anew at every look-up, in place of a list per batch size."""

    def __init__(self, mean_s: float, rng: np.random.Generator) -> None:
        self._mean_s, self._rng = mean_s, rng

    def __len__(self) -> int:
        return 1

    @overload
    def __getitem__(self, index: int) -> float: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[float]: ...
    def __getitem__(self, index: int | slice) -> float | Sequence[float]:
        return float(self._rng.exponential(self._mean_s))


@dataclass(frozen=True)
class Stream:
    """Requests of one kind: Poisson at ``rate_hz``, or at the times ``at_s``."""

    edge_s: Sequence[float]
    rate_hz: float = 0.0
    at_s: Sequence[float] = ()
    priority: int = 0
    deadline_s: float = math.nan
    cloud_s: Sequence[float] = (1.0,)
    bits: int = 0
    answer_bits: int = 0
    tail: str = ""

    def plan(self) -> Plan:
        """What its requests cost, as an operating point."""
        bits, answer = [self.bits], [self.answer_bits]
        plan = Plan(Scheme.RAW, bits, [0], answer, {}, {}, self.edge_s)
        return replace(plan, cloud_s=self.cloud_s, tail=self.tail)

    def times_s(self, count: int, seed: int, number: int) -> Floats:
        """Times of arrival in s, rising: as given, or Poisson under the seed.

        ``number``: the stream's own, so that streams differ.
        """
        if len(self.at_s):
            return np.asarray(self.at_s, dtype=float)
        gaps_s = generator(seed, 1, number) if number else generator(seed, 1)
        return np.cumsum(gaps_s.exponential(1 / self.rate_hz, count))


@dataclass(frozen=True)
class Driven:
    """What came of it: the requests in order of arrival, and the server after the last."""

    requests: list[Request]
    edge: EdgeServer

    @property
    def cloud(self) -> CloudTier:
        """The cloud behind the edge; ValueError if there is none."""
        if self.edge.cloud is None:
            raise ValueError("this edge has no cloud")
        return self.edge.cloud

    def station(self) -> dict[str, Any]:
        """Seconds, joules and counts of the edge up to the present."""
        return self.edge.station(float(self.edge.env.now))


def drive(
    spec: Edge, streams: Sequence[Stream], *, count: int = 0, seed: int = 0, until_s: float = 0.0
) -> Driven:
    """``count`` requests of each stream straight into the server, until all have come and gone.

    ``until_s``: stop then instead.
    """
    env = simpy.Environment()
    plans = {str(n): stream.plan() for n, stream in enumerate(streams)}
    edge = EdgeServer(env, spec, plans, idle_w=IDLE_W, compute_w=COMPUTE_W, cloud_power_w=CLOUD_W)
    requests = [
        _request(str(n), stream, float(time_s))
        for n, stream in enumerate(streams)
        for time_s in stream.times_s(count, seed, n)
    ]
    requests.sort(key=lambda request: request.arrival_s)
    env.process(_source(env, edge, requests))
    env.run(until=until_s or None)
    return Driven(requests, edge)


def _request(point: str, stream: Stream, time_s: float) -> Request:
    return Request(
        request_id=0,
        replication=0,
        device=0,
        group="g",
        operating_point=point,
        scheme=Scheme.RAW.value,
        sample=0,
        arrival_s=time_s,
        deadline_s=stream.deadline_s,
        priority=stream.priority,
    )


def _source(
    env: simpy.Environment, edge: EdgeServer, requests: Sequence[Request]
) -> Generator[simpy.Event, Any, None]:
    for request in requests:
        yield env.timeout(max(0.0, request.arrival_s - env.now))
        env.process(edge.answer(request))


def drive_edge(
    spec: Edge, edge_s: Sequence[float], rate_hz: float, count: int, seed: int
) -> list[Request]:
    """One stream of Poisson arrivals until ``count`` have come and gone."""
    return drive(spec, [Stream(edge_s, rate_hz)], count=count, seed=seed).requests


def waits_s(requests: Sequence[Request]) -> Floats:
    """Seconds from arrival at the edge to the beginning of the computation, after the warm-up."""
    return np.array([r.edge_start_s - r.edge_arrival_s for r in requests[WARM_UP:]])


def _mean(values: NDArray[Any] | Sequence[float]) -> float:
    return float(np.mean(values))


# --- queues -----------------------------------------------------------------------------------


def edge_md1() -> list[Case]:
    """One worker, deterministic service at the edge: Pollaczek-Khinchine."""
    service_s, rate_hz = 0.01, 80.0
    waits = [
        _mean(waits_s(drive_edge(Edge(max_batch=1), [service_s], rate_hz, 8000, 100 + seed)))
        for seed in range(30)
    ]
    rho = rate_hz * service_s
    expected = rho * service_s / (2 * (1 - rho))
    return [interval_case("edge M/D/1 mean wait (s)", "rho s / (2 (1 - rho))", expected, waits)]


def edge_mmc() -> list[Case]:
    """c workers, exponential service: W = C(c, a) s / (c - a) (Erlang C), P(wait), utilisation."""
    workers, service_s, rate_hz = 3, 0.02, 120.0
    offered = rate_hz * service_s
    waits, waiting, busy = [], [], []
    for seed in range(30):
        service = ExponentialSeconds(service_s, generator(seed, 2))
        spec = Edge(workers=workers, max_batch=1)
        driven = drive(spec, [Stream(service, rate_hz)], count=8000, seed=seed)
        wait_s = waits_s(driven.requests)
        waits.append(_mean(wait_s))
        waiting.append(_mean(wait_s > 1e-12))
        busy.append(driven.station()["utilisation"])
    probability = erlang_c(workers, offered)
    expected = probability * service_s / (workers - offered)
    return [
        interval_case("edge M/M/3 mean wait (s)", "C(c,a) s / (c - a)", expected, waits),
        interval_case("edge M/M/3 P(wait)", "Erlang C(c,a)", probability, waiting),
        interval_case("edge M/M/3 utilisation", "lambda E[S] / c", offered / workers, busy),
    ]


def edge_mdc() -> list[Case]:
    """c workers, deterministic service: Crommelin's exact mean wait."""
    workers, service_s, rate_hz = 4, 0.02, 170.0
    waits = [
        _mean(
            waits_s(drive_edge(Edge(workers=workers, max_batch=1), [service_s], rate_hz, 5000, s))
        )
        for s in range(300, 320)
    ]
    expected = wait_mdc_s(workers, service_s, rate_hz)
    return [interval_case("edge M/D/4 mean wait (s)", "Crommelin 1932", expected, waits)]


def edge_priority() -> list[Case]:
    """Two classes with different seconds, the first goes first: Cobham's mean waits."""
    rates_hz, services_s = (20.0, 50.0), (0.012, 0.01)
    streams = [
        Stream([s], rate, priority=1 - n)
        for n, (rate, s) in enumerate(zip(rates_hz, services_s, strict=True))
    ]
    means: tuple[list[float], list[float]] = ([], [])
    for seed in range(400, 420):
        driven = drive(Edge(max_batch=1, discipline="priority"), streams, seed=seed, count=3000)
        rows = [r for r in driven.requests if r.arrival_s < 55.0]  # both streams still come
        for number, mean in enumerate(means):
            own = [r for r in rows[WARM_UP:] if r.operating_point == str(number)]
            mean.append(_mean([r.edge_start_s - r.edge_arrival_s for r in own]))
    expected = waits_cobham_s(rates_hz, services_s)
    return [
        interval_case(f"edge priority {1 - n} mean wait (s)", "Cobham 1954", expected[n], means[n])
        for n in range(2)
    ]


def edge_bulk() -> list[Case]:
    """Dynamic batches of up to 4 whose seconds grow with their size: mean batch and mean wait."""
    seconds, rate_hz = [0.010, 0.013, 0.016, 0.019], 150.0
    batches, waits = [], []
    for seed in range(500, 520):
        driven = drive(Edge(max_batch=4), [Stream(seconds, rate_hz)], count=4000, seed=seed)
        rows = driven.requests[WARM_UP:]
        batches.append(len(rows) / sum(1 / r.batch_size for r in rows))
        waits.append(_mean(waits_s(driven.requests)))
    batch, wait_s = bulk_queue(seconds, rate_hz)
    return [
        interval_case("edge M/D^[1,4]/1 mean batch", "Bailey's chain", batch, batches),
        interval_case("edge M/D^[1,4]/1 mean wait (s)", "Bailey's chain", wait_s, waits),
    ]


def edge_fill() -> list[Case]:
    """Unhurried batches of b: the first waits for b - 1 arrivals, a request for half of them."""
    size, rate_hz = 6, 100.0
    spec = Edge(workers=3, max_batch=size, max_wait_s=1000.0)
    first, every = [], []
    for seed in range(600, 612):
        rows = drive(spec, [Stream([1e-4] * size, rate_hz)], count=4002, seed=seed).requests
        wait_s = np.array([r.edge_start_s - r.edge_arrival_s for r in rows])
        first.append(_mean(wait_s[::size]))
        every.append(_mean(wait_s))
    fill_s = (size - 1) / rate_hz
    return [
        interval_case("edge batch fill, first request (s)", "(b - 1) / lambda", fill_s, first),
        interval_case("edge batch fill, mean wait (s)", "(b - 1) / (2 lambda)", fill_s / 2, every),
    ]


def edge_loss() -> list[Case]:
    """Finite room: M/M/c/K, and Erlang B without any."""
    workers, service_s, rate_hz = 3, 0.02, 150.0
    cases = []
    for room, name in ((0, "M/M/3/3 (Erlang B)"), (4, "M/M/3/7")):
        refused = []
        for seed in range(700, 720):
            service = ExponentialSeconds(service_s, generator(seed, 2))
            spec = Edge(workers=workers, max_batch=1, queue_capacity=room)
            rows = drive_edge(spec, service, rate_hz, 4000, seed)[WARM_UP:]
            refused.append(_mean([r.status == "rejected" for r in rows]))
        expected = loss_mmck(workers, room, rate_hz * service_s)
        cases.append(interval_case(f"edge {name} refused", "p_K", expected, refused))
    return cases


def edge_token_bucket() -> list[Case]:
    """A bucket of one token is a dead time of 1 / r: admitted rate lambda / (1 + lambda / r)."""
    rate_hz, bucket_hz = 80.0, 50.0
    spec = Edge.model_validate(
        {"workers": 3, "max_batch": 1, "admission": {"kind": "rate", "rate_hz": bucket_hz}}
    )
    admitted = []
    for seed in range(800, 812):
        rows = drive_edge(spec, [1e-4], rate_hz, 5000, seed)
        admitted.append(sum(r.status != "rejected" for r in rows) / rows[-1].arrival_s)
    formula, expected = "1 / (1/r + 1/lambda)", 1 / (1 / bucket_hz + 1 / rate_hz)
    return [interval_case("edge token bucket, admitted (1/s)", formula, expected, admitted)]


# --- scaling and cloud ------------------------------------------------------------------------


def edge_scaling() -> list[Case]:
    """Four jobs of 1 s, a second worker at the first check: every moment is known by hand."""
    scaling = {"kind": "queue", "max_workers": 2, "scale_up_at": 2.0, "check_period_s": 0.1}
    scaling |= {"start_up_s": 0.35, "scale_down_after_s": 0.5}
    spec = Edge.model_validate({"max_batch": 1, "scaling": scaling})
    driven = drive(spec, [Stream([1.0], at_s=[0.01, 0.02, 0.03, 0.04])], until_s=4.0)
    station = driven.station()
    return [
        exact_case("scaling: the new worker's first start (s)", "check + start-up", 0.45,
                   driven.requests[1].edge_start_s),
        exact_case("scaling: worker-seconds on", "(2.51 - 0) + (4 - 0.45)", 6.06, station["on_s"]),
        exact_case("scaling: worker-seconds off", "0.1 + (4 - 2.51)", 1.59, station["off_s"]),
        exact_case("scaling: energy (J)", "10 W x (6.06 - 4 + 0.35) + 70 W x 4", 304.1,
                   station["total_j"]),
    ]  # fmt: skip


def cloud_lone_request() -> list[Case]:
    """An unloaded request by way of the cloud: hop, service, hop."""
    stream = Stream([0.004], at_s=[1.0], cloud_s=[0.002], bits=30_000, answer_bits=2_000)
    driven = drive(_relay(rate_bps=1e7, delay_s=0.015), [stream])
    formula, expected = "2 delay + bits / rate + service", 2 * 0.015 + 32_000 / 1e7 + 0.002
    measured = float(driven.edge.env.now) - driven.requests[0].edge_arrival_s
    return [exact_case("unloaded latency by the cloud (s)", formula, expected, measured)]


def cloud_hop() -> list[Case]:
    """The hop is an M/D/1 queue of its own."""
    bits, rate_bps, rate_hz, delay_s = 20_000, 2e6, 70.0, 0.03
    spec = _relay(rate_bps=rate_bps, delay_s=delay_s, workers=50)
    stream = Stream([1.0], rate_hz, cloud_s=[1e-3], bits=bits)
    hop_s = bits / rate_bps
    waits = [
        _mean(waits_s(drive(spec, [stream], count=4000, seed=seed).requests)) - delay_s - hop_s
        for seed in range(900, 920)
    ]
    rho = rate_hz * hop_s
    expected = rho * hop_s / (2 * (1 - rho))
    return [interval_case("second hop M/D/1 wait (s)", "rho s / (2 (1 - rho))", expected, waits)]


def _relay(**cloud: float) -> Edge:
    always = {"hardware": "edge_gpu", "max_batch": 1, "offload": {"kind": "always"}}
    return Edge.model_validate({"max_batch": 1, "cloud": always | cloud})


def tiers_little() -> list[Case]:
    """L = lambda W at both tiers, in a run that starts and ends empty (Little 1961)."""
    cloud = {"hardware": "edge_gpu", "max_batch": 2, "offload": {"kind": "when_full", "waiting": 3}}
    spec = Edge.model_validate({"max_batch": 2, "cloud": cloud})
    stream = Stream([0.01, 0.015], 180.0, cloud_s=[0.016, 0.024], bits=10_000)
    driven = drive(spec, [stream], count=5000, seed=31)
    stations = {"edge": driven.station(), "cloud": driven.cloud.station(driven.edge.env.now)}
    return [
        exact_case(
            f"Little's law, waiting at the {name}",
            "L = lambda W",
            station["begun"] / driven.edge.env.now * station["mean_wait_s"],
            station["mean_waiting"],
        )
        for name, station in stations.items()
    ]


CASES: tuple[Callable[[], list[Case]], ...] = (
    edge_md1,
    edge_mmc,
    edge_mdc,
    edge_priority,
    edge_bulk,
    edge_fill,
    edge_loss,
    edge_token_bucket,
    edge_scaling,
    cloud_lone_request,
    cloud_hop,
    tiers_little,
)
