"""Cases with a closed-form answer, run through the real engine: `simsplit validate`.

Every statistical case is replicated with fixed seeds; the interval is a 99 % Student t interval
over the replications, and the case passes if the closed form lies inside. Bookkeeping cases must
meet 1e-9 relative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, overload

import numpy as np
import simpy

from simsplit import validate_radio
from simsplit.cases import POWER, Case, exact_case, interval_case, toy_plan, toy_world
from simsplit.messages import Scheme
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import transport_block_bits
from simsplit.scenario import Edge
from simsplit.seeds import generator
from simsplit.sim.edge import EdgeServer
from simsplit.sim.request import Plan, Request


def validate(progress: Callable[[str, int, int], None] | None = None) -> list[Case]:
    """Run every case; ``progress`` is told (case, done, total)."""
    cases: list[Case] = []
    for number, make in enumerate(CASES, 1):
        cases += make()
        if progress:
            progress(make.__name__, number, len(CASES))
    return cases


# --- queues -----------------------------------------------------------------------------------


def device_md1() -> list[Case]:
    """Deterministic device with Poisson arrivals: W = rho s / (2 (1 - rho)) (Pollaczek)."""
    service_s, rate_hz, warmup_s = 0.01, 70.0, 10.0
    world = toy_world(
        toy_plan(Scheme.LOCAL, device_s=service_s), devices=30, rate_hz=rate_hz, duration_s=100.0
    )
    waits: dict[int, list[float]] = {}
    for request in world.run().requests:
        if request.arrival_s >= warmup_s:
            wait_s = request.device_start_s - request.arrival_s
            waits.setdefault(request.device, []).append(wait_s)
    rho = rate_hz * service_s
    expected = rho * service_s / (2 * (1 - rho))
    means = [float(np.mean(w)) for w in waits.values()]
    return [interval_case("device M/D/1 mean wait (s)", "rho s / (2 (1 - rho))", expected, means)]


class _ExponentialSeconds(Sequence[float]):
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


def drive_edge(
    spec: Edge, edge_s: Sequence[float], rate_hz: float, count: int, seed: int
) -> list[Request]:
    """Poisson arrivals straight into the edge server until ``count`` have come and gone."""
    env = simpy.Environment()
    plan = Plan(Scheme.RAW, [0], [0], [0], {}, {}, edge_s)
    edge = EdgeServer(env, spec, {"point": plan}, idle_w=10.0, compute_w=70.0)
    gaps_s = generator(seed, 1).exponential(1 / rate_hz, count)
    requests = [Request(i, 0, 0, "g", "point", "raw", 0, 0.0) for i in range(count)]

    def source() -> Iterator[simpy.Event]:
        for request, gap_s in zip(requests, gaps_s, strict=True):
            yield env.timeout(float(gap_s))
            request.arrival_s = env.now
            env.process(edge.answer(request))

    env.process(source_process(source()))
    env.run()
    return requests


def source_process(events: Iterator[simpy.Event]) -> Generator[simpy.Event, Any, None]:
    """An iterator of events as a SimPy process."""
    yield from events


def erlang_c(workers: int, offered: float) -> float:
    """Probability of waiting in M/M/c (Erlang 1917): offered load a = lambda / mu."""
    top = offered**workers / math.factorial(workers) * workers / (workers - offered)
    return top / (sum(offered**n / math.factorial(n) for n in range(workers)) + top)


def edge_mmc() -> list[Case]:
    """c workers, exponential service: W = C(c, a) s / (c - a) (Erlang C), and P(wait) = C(c, a)."""
    workers, service_s, rate_hz = 3, 0.02, 120.0
    offered = rate_hz * service_s
    waits, waiting = [], []
    for seed in range(30):
        service = _ExponentialSeconds(service_s, generator(seed, 2))
        spec = Edge(workers=workers, max_batch=1)
        rows = drive_edge(spec, service, rate_hz, 8000, seed)[1000:]
        wait_s = np.array([r.edge_start_s - r.edge_arrival_s for r in rows])
        waits.append(float(wait_s.mean()))
        waiting.append(float((wait_s > 1e-12).mean()))
    probability = erlang_c(workers, offered)
    expected = probability * service_s / (workers - offered)
    return [
        interval_case("edge M/M/3 mean wait (s)", "C(c,a) s / (c - a)", expected, waits),
        interval_case("edge M/M/3 P(wait)", "Erlang C(c,a)", probability, waiting),
    ]


def edge_md1() -> list[Case]:
    """One worker, deterministic service at the edge: Pollaczek-Khinchine."""
    service_s, rate_hz = 0.01, 80.0
    waits = []
    for seed in range(30):
        rows = drive_edge(Edge(max_batch=1), [service_s], rate_hz, 8000, 100 + seed)[1000:]
        waits.append(float(np.mean([r.edge_start_s - r.edge_arrival_s for r in rows])))
    rho = rate_hz * service_s
    expected = rho * service_s / (2 * (1 - rho))
    return [interval_case("edge M/D/1 mean wait (s)", "rho s / (2 (1 - rho))", expected, waits)]


def mean_number(enter_s: Sequence[float], leave_s: Sequence[float], until_s: float) -> float:
    """Time average of the number inside, by sweeping over the events (independent of waits)."""
    events = sorted([(t, 1) for t in enter_s] + [(t, -1) for t in leave_s])
    area, inside, last_s = 0.0, 0, 0.0
    for time_s, step in events:
        area += inside * (time_s - last_s)
        inside, last_s = inside + step, time_s
    return (area + inside * (until_s - last_s)) / until_s


def littles_law() -> list[Case]:
    """L = lambda W per station in one run that starts and ends empty (Little 1961)."""
    plan = toy_plan(Scheme.RAW, bits=20_000, device_s=0.01, edge_s=0.004)
    history = toy_world(plan, devices=10, rate_hz=20.0, duration_s=50.0).run()
    end_s = history.stations["end_s"]
    stations = {
        "device": ("arrival_s", "device_end_s"),
        "radio": ("radio_start_s", "radio_end_s"),
        "edge": ("edge_arrival_s", "edge_end_s"),
    }
    cases = []
    for name, (enter, leave) in stations.items():
        times = [(getattr(r, enter), getattr(r, leave)) for r in history.requests]
        rate_hz = len(times) / end_s
        expected = rate_hz * float(np.mean([b - a for a, b in times]))
        measured = mean_number([a for a, _ in times], [b for _, b in times], end_s)
        cases.append(exact_case(f"Little's law, {name}", "L = lambda W", expected, measured))
    return cases


# --- time and energy --------------------------------------------------------------------------


def lone_request() -> list[Case]:
    """An unloaded request's latency is the sum of its stages."""
    bits, device_s, edge_s = 20_000, 0.0105, 0.004
    plan = toy_plan(Scheme.RAW, bits=bits, device_s=device_s, edge_s=edge_s)
    group = {"arrivals": {"kind": "periodic", "period_s": 1.0, "in_phase": True}}
    history = toy_world(plan, duration_s=0.5, group=group).run()
    request = history.requests[0]
    slot_s = 0.5e-3
    blocks = math.ceil(bits / transport_block_bits(mcs(11), 51))
    expected = device_s + blocks * slot_s + edge_s + 0.001
    measured = request.closed_s - request.arrival_s
    formula = "device + slots + edge + downlink"
    return [exact_case("unloaded latency (s)", formula, expected, measured)]


def energy_ledger() -> list[Case]:
    """Parts sum to the total; states fill the time; E = P t with t known from the counts."""
    plan = toy_plan(Scheme.RAW, bits=20_000, device_s=0.01, edge_s=0.004)
    history = toy_world(plan, devices=5, rate_hz=20.0, duration_s=20.0).run()
    stations, rows = history.stations, history.requests
    devices, end_s = stations["devices"], stations["end_s"]
    busy_s = 0.01 * len(rows)
    closed_form_j = POWER.idle_w * (5 * end_s - busy_s) + POWER.compute_w * busy_s
    measured_j = sum(d["idle_j"] + d["compute_j"] for d in devices)
    filled_s = sum(d["busy_s"] + d["idle_s"] for d in devices)
    radio_s = sum(d["transmit_s"] + d["radio_off_s"] for d in devices)
    return [
        exact_case(
            "processor energy (J)", "P_idle t_idle + P_compute n s", closed_form_j, measured_j
        ),
        _ledger_case(
            "transmit energy, rows = ledger (J)", rows, "tx_energy_j", devices, "transmit_j"
        ),
        _ledger_case(
            "compute energy, rows = ledger (J)", rows, "compute_energy_j", devices, "compute_j"
        ),
        _ledger_case(
            "edge energy, rows = ledger (J)", rows, "edge_energy_j", [stations["edge"]], "compute_j"
        ),
        exact_case("processor states fill the time (s)", "n T", 5 * end_s, filled_s),
        exact_case("radio states fill the time (s)", "n T", 5 * end_s, radio_s),
    ]


def _ledger_case(
    name: str, rows: Sequence[Request], part: str, stations: Sequence[dict[str, Any]], key: str
) -> Case:
    by_rows = sum(getattr(row, part) for row in rows)
    return exact_case(
        name, "sum over requests = power x time", by_rows, sum(s[key] for s in stations)
    )


CASES: tuple[Callable[[], list[Case]], ...] = (
    device_md1,
    edge_md1,
    edge_mmc,
    littles_law,
    lone_request,
    energy_ledger,
    *validate_radio.CASES,
)
