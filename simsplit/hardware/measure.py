"""Measure this machine: seconds of every node of networks' graphs and of the whole networks.

A round visits every network and batch size once: one pass that is not timed (so that the caches
hold what they hold in steady use), one pass timed node by node, one pass timed as a whole. Rounds
of all networks are interleaved, so that a machine that slows down slows all of them alike.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from simsplit.errors import ScenarioError
from simsplit.hardware.profile import (
    FEWEST_ROUNDS,
    Host,
    NetworkProfile,
    Profile,
    Timing,
    median_timing,
)
from simsplit.networks.graph import Graph, trace
from simsplit.operators import network_key

BATCHES = (1, 2, 4, 8)
REPEATS = 15
EMPTY_CALLS = 1001
CLOCKS = {"wall": time.perf_counter_ns, "cpu": time.thread_time_ns}


@dataclass(frozen=True)
class Subject:
    """A network to be measured, traced at its input size; ``batches`` are samples per launch."""

    name: str
    graph: Graph
    height: int
    width: int
    batches: tuple[int, ...] = BATCHES

    @property
    def key(self) -> str:
        """Its key in a profile."""
        return network_key(self.name, self.height, self.width)


def subject(
    name: str, network: nn.Module, height: int, width: int, batches: Sequence[int] = BATCHES
) -> Subject:
    """Trace a network of pictures ``(B, 3, height, width)`` for measuring.

    Raises:
        ScenarioError: The network cannot be traced; names the operation.
    """
    return traced(name, trace(network, torch.zeros(1, 3, height, width)), height, width, batches)


def traced(
    name: str, graph: Graph, height: int, width: int, batches: Sequence[int] = BATCHES
) -> Subject:
    """A traced network to be measured.

    Raises:
        ScenarioError: More than one sample at a time of a graph that takes but one.
    """
    if max(batches) > 1 and not graph.takes_batches:
        message = f"this network takes one sample at a time ({graph.why_one_at_a_time})"
        raise ScenarioError(message, value=list(batches))
    return Subject(name, graph, height, width, tuple(batches))


def profile(
    network: nn.Module,
    *,
    name: str,
    height: int,
    width: int,
    batches: Sequence[int] = BATCHES,
    threads: int = 1,
    repeats: int = REPEATS,
    max_seconds: float | None = None,
    clock: str = "wall",
) -> Profile:
    """Profile of one network on this machine in inference mode.

    Args:
        network: Takes pictures ``(B, 3, height, width)``, px.
        name: With the size, its key in the profile.
        batches: Batch sizes to measure.
        threads, repeats, max_seconds, clock: As `profile_networks` takes them.

    Raises:
        ValueError: Fewer than six rounds, or the ``cpu`` clock for several threads.
    """
    return profile_networks(
        [subject(name, network, height, width, batches)],
        threads=threads,
        repeats=repeats,
        max_seconds=max_seconds,
        clock=clock,
    )


def profile_networks(
    subjects: Sequence[Subject],
    *,
    threads: int = 1,
    repeats: int = REPEATS,
    max_seconds: float | None = None,
    clock: str = "wall",
) -> Profile:
    """Profile of networks on this machine in inference mode, rounds interleaved.

    Args:
        subjects: The networks, each under its own key, with the batch sizes to measure.
        threads: Threads of the tensor library while measuring; put back afterwards.
        repeats: Rounds; at least six, the fewest that give a median a 95 % interval.
        max_seconds: No further round starts after so long, but six rounds are always run.
        clock: ``wall``, or ``cpu`` on a machine that others use: the time of this thread alone, the
            same as the wall's on a quiet machine (caches and memory are shared all the same).

    Raises:
        ValueError: Fewer than six rounds, or the ``cpu`` clock for several threads.
    """
    if clock == "cpu" and threads > 1:
        raise ValueError(f"the cpu clock sees one thread, found {threads}")
    if repeats < FEWEST_ROUNDS:
        raise ValueError(f"at least {FEWEST_ROUNDS} rounds, found {repeats}")
    with _quiet(threads):
        stands = [_Stand(one, batch, clock) for one in subjects for batch in one.batches]
        _rounds(stands, repeats, max_seconds)
        empty_s = empty_call_s(clock)
    networks = {one.key: _network(one, stands, empty_s) for one in subjects}
    return Profile(this_machine(threads, clock), networks)


@contextmanager
def _quiet(threads: int) -> Iterator[None]:
    """Inference mode with so many threads and no garbage collection in between."""
    before, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(threads)
    gc.collect()
    gc.disable()
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)
        if collecting:
            gc.enable()


def _rounds(stands: Sequence[_Stand], repeats: int, max_seconds: float | None) -> None:
    start = time.monotonic()
    for done in range(repeats):
        late = max_seconds is not None and time.monotonic() - start > max_seconds
        if late and done >= FEWEST_ROUNDS:
            return
        for stand in stands:
            stand.visit()


class _Stand:
    """One network at one batch size on the measuring stand."""

    def __init__(self, one: Subject, batch: int, clock: str) -> None:
        self.key, self.batch, self._clock_ns = one.key, batch, CLOCKS[clock]
        self._module = one.graph.module
        self._size = (batch, 3, one.height, one.width)
        self._runner = _Stopwatch(one.graph.module, clock)
        self.nodes_s: list[list[float]] = []
        self.whole_s: list[float] = []

    def visit(self) -> None:
        """One round: a pass to warm up, one node by node, one as a whole."""
        picture = torch.rand(self._size)  # values do not matter for dense arithmetic
        self._module(picture)
        self.nodes_s.append(self._runner.seconds(picture))
        begin_ns = self._clock_ns()
        self._module(picture)
        self.whole_s.append((self._clock_ns() - begin_ns) * 1e-9)


class _Stopwatch(fx.Interpreter):
    """Runs a graph node by node and keeps how long each call took; values are freed when dead."""

    def __init__(self, module: fx.GraphModule, clock: str) -> None:
        super().__init__(module)
        self._clock_ns = CLOCKS[clock]
        self._seconds: list[float] = []

    def seconds(self, *inputs: torch.Tensor) -> list[float]:
        """Seconds of every timed node, in order."""
        self._seconds = []
        self.run(*inputs)
        return self._seconds

    def run_node(self, n: fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        call, target = getattr(self, n.op), n.target
        begin_ns = self._clock_ns()
        result = call(target, args, kwargs)
        if is_timed(n):
            self._seconds.append((self._clock_ns() - begin_ns) * 1e-9)
        return result


def is_timed(node: fx.Node) -> bool:
    """Whether a node computes: neither an input, an output nor a constant."""
    return node.op.startswith("call_")


def empty_call_s(clock: str = "wall") -> float:
    """Median seconds of a node that does nothing, timed as all others."""
    graph = fx.Graph()
    graph.output(graph.call_function(_nothing))
    runner = _Stopwatch(fx.GraphModule(nn.Module(), graph), clock)
    return sorted(runner.seconds()[0] for _ in range(EMPTY_CALLS))[EMPTY_CALLS // 2]


def _nothing() -> None:
    return None


# --- from measured times to a profile ---------------------------------------------------------


def _network(one: Subject, stands: Sequence[_Stand], empty_s: float) -> NetworkProfile:
    own = {stand.batch: stand for stand in stands if stand.key == one.key}
    return NetworkProfile(
        height=one.height,
        width=one.width,
        date=datetime.now(UTC).date().isoformat(),
        operators=one.graph.operators,
        totals={batch: median_timing(stand.whole_s) for batch, stand in own.items()},
        nodes={batch: _working_nodes(one.graph, stand) for batch, stand in own.items()},
        empty_call_s=empty_s,
        p90_over_median={batch: _unrest(stand.whole_s) for batch, stand in own.items()},
        rounds={batch: len(stand.whole_s) for batch, stand in own.items()},
        instrumented_s={batch: _instrumented_s(stand) for batch, stand in own.items()},
    )


def _working_nodes(graph: Graph, stand: _Stand) -> tuple[Timing, ...]:
    """Timings of the nodes that have operators; views are left to the scaling to the whole."""
    timed = [step for step in graph.steps if is_timed(step.node)]
    by_node = zip(timed, zip(*stand.nodes_s, strict=True), strict=True)
    return tuple(median_timing(samples) for step, samples in by_node if step.operators)


def _unrest(samples_s: Sequence[float]) -> float:
    """90 % quantile (nearest rank) over the median."""
    ordered = sorted(samples_s)
    return ordered[int(0.9 * (len(ordered) - 1) + 0.5)] / median_timing(samples_s).median_s


def _instrumented_s(stand: _Stand) -> float:
    return median_timing([sum(seconds) for seconds in stand.nodes_s]).median_s


def this_machine(threads: int, clock: str = "wall") -> Host:
    """This machine as a profile names it: processor and versions, no host name."""
    return Host(cpu=_cpu(), threads=threads, torch=str(torch.__version__), clock=clock)


def _cpu() -> str:
    """Model name and widest vector instructions that PyTorch uses."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else 'unknown'}, {torch.backends.cpu.get_cpu_capability()}"
