"""Measured profiles: seconds of every operator of a network on one machine, read from a file.

A profile file holds one machine at one number of threads and any number of networks. For every node
of a network's graph and every batch size it holds the median of the node's wall-clock time with a
95 % interval, and the same for the whole network run without instruments.
`simsplit.hardware.measure` writes such files; this module needs no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from simsplit.errors import ArtefactError, OutOfTable
from simsplit.operators import Operator, Operators, total_macs

FORMAT = "simsplit-profile-1"
DIGITS = 4
FEWEST_ROUNDS = 6  # below this no 95 % interval of a median by order statistics exists


@dataclass(frozen=True, slots=True)
class Timing:
    """Median of repeated times in seconds and its 95 % interval."""

    median_s: float
    low_s: float
    high_s: float

    def row(self) -> list[float]:
        """As a list for JSON, rounded to four significant digits."""
        return [rounded(self.median_s), rounded(self.low_s), rounded(self.high_s)]

    def __add__(self, other: Timing) -> Timing:
        """Sum of medians; ends are added too, which is wide enough however times correlate."""
        return Timing(
            self.median_s + other.median_s, self.low_s + other.low_s, self.high_s + other.high_s
        )

    def scaled(self, factor: float) -> Timing:
        """Everything times ``factor`` >= 0."""
        return Timing(self.median_s * factor, self.low_s * factor, self.high_s * factor)


NO_TIME = Timing(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Host:
    """What was measured on; two profiles can share a file only if all of it is equal.

    Attributes:
        cpu: Model of the processor; no host name is kept.
        threads: Threads of the tensor library.
        torch: Version of the tensor library.
        dtype: Type of weights and activations, e.g. ``float32``.
        clock: ``wall``, or ``cpu``: without the time that other programs had the processor.
    """

    cpu: str
    threads: int
    torch: str
    dtype: str = "float32"
    clock: str = "wall"


@dataclass(frozen=True)
class NetworkProfile:
    """One network at one input size.

    Attributes:
        height, width: Of the input, in pixels.
        date: Day of measurement, ISO 8601.
        operators: In order of execution; operators of one node share its name.
        totals: Per batch size, the whole network without instruments, seconds per launch.
        nodes: Per batch size, one timing per node in order.
        empty_call_s: Seconds that an empty call takes when timed so; it is in every node's time.
        p90_over_median: Per batch size, of the whole network's times: 1 on a quiet machine.
        rounds: Per batch size, how often everything was run.
        instrumented_s: Per batch size, median seconds of all nodes together, views included.
    """

    height: int
    width: int
    date: str
    operators: Operators
    totals: Mapping[int, Timing]
    nodes: Mapping[int, tuple[Timing, ...]]
    empty_call_s: float
    p90_over_median: Mapping[int, float]
    rounds: Mapping[int, int]
    instrumented_s: Mapping[int, float]

    @property
    def batches(self) -> tuple[int, ...]:
        """Measured batch sizes, rising."""
        return tuple(sorted(self.totals))

    @cached_property
    def node_operators(self) -> dict[str, Operators]:
        """Operators of every node, by its name, in order."""
        by_node: dict[str, Operators] = {}
        for operator in self.operators:
            by_node[operator.name] = (*by_node.get(operator.name, ()), operator)
        return by_node

    def overhead_s(self, batch: int) -> float:
        """Sum over all nodes minus the whole: what measuring node by node adds; may be negative."""
        return self.instrumented_s[batch] - self.totals[batch].median_s

    def scaled_nodes(self, batch: int) -> dict[str, Timing]:
        """Timings by node, scaled so that the sum of medians is the measured whole."""
        timings = self.nodes[batch]
        factor = self.totals[batch].median_s / sum(timing.median_s for timing in timings)
        return {
            name: timing.scaled(factor)
            for name, timing in zip(self.node_operators, timings, strict=True)
        }

    def seconds(self, names: Iterable[str], batch: int) -> float:
        """Seconds of one launch of the named nodes, linear between measured batch sizes.

        Raises:
            OutOfTable: ``batch`` lies outside the measured batch sizes.
            ArtefactError: A name that the profile does not know.
        """
        wanted = self._checked(names)
        below, above, share = self._around(batch)
        times = (self._sum_s(wanted, below), self._sum_s(wanted, above))
        return times[0] + share * (times[1] - times[0])

    def _checked(self, names: Iterable[str]) -> frozenset[str]:
        wanted = frozenset(names)
        strange = sorted(wanted - set(self.node_operators))
        if strange:
            raise ArtefactError(
                "the profile has no such operator: it was measured on another network",
                value=strange[0],
                choices=tuple(self.node_operators)[:20],
            )
        return wanted

    def _around(self, batch: int) -> tuple[int, int, float]:
        batches = self.batches
        if not batches[0] <= batch <= batches[-1]:
            raise OutOfTable(f"the profile was measured at batch sizes {batches}", value=batch)
        below = max(size for size in batches if size <= batch)
        above = min(size for size in batches if size >= batch)
        return below, above, (batch - below) / (above - below) if above > below else 0.0

    def _sum_s(self, names: frozenset[str], batch: int) -> float:
        return math.fsum(self._scaled[batch][name].median_s for name in sorted(names))

    @cached_property
    def _scaled(self) -> dict[int, dict[str, Timing]]:
        return {batch: self.scaled_nodes(batch) for batch in self.totals}


@dataclass(frozen=True)
class Profile:
    """Everything measured on one machine: networks by key ``name@HEIGHTxWIDTH``."""

    machine: Host
    networks: Mapping[str, NetworkProfile]

    def network(self, key: str) -> NetworkProfile | None:
        """The network of that key; a bare name will do where only one size was measured.

        Raises:
            ArtefactError: A bare name of which several sizes were measured.
        """
        if key in self.networks:
            return self.networks[key]
        sizes = [name for name in self.networks if name.split("@")[0] == key]
        if len(sizes) > 1:
            raise ArtefactError("the profile has several sizes", value=key, choices=sizes)
        return self.networks[sizes[0]] if sizes else None

    def seconds(self, network: str, names: Iterable[str], batch: int) -> float | None:
        """Seconds of one launch of ``batch`` samples over the named nodes of a network.

        The share of the named nodes in the sum over all, times the measured whole; linear between
        measured batch sizes. None if the network was not measured.

        Raises:
            OutOfTable: ``batch`` lies outside the measured batch sizes.
            ArtefactError: A name that the profile does not know, or a size left open.
        """
        measured = self.network(network)
        return None if measured is None else measured.seconds(names, batch)

    def merged(self, other: Profile) -> Profile:
        """Both profiles' networks, the other's first where both measured one.

        Raises:
            ArtefactError: They come from different machines, threads, versions or types.
        """
        if self.machine != other.machine:
            raise ArtefactError(
                f"profiles of different machines do not mix: {self.machine} and {other.machine}"
            )
        return replace(self, networks={**self.networks, **other.networks})


# --- statistics -------------------------------------------------------------------------------


def median_timing(samples_s: Sequence[float]) -> Timing:
    """Median and its distribution-free 95 % interval (x_(r), x_(n+1-r)).

    r is the largest rank with 2 P(Binomial(n, 1/2) < r) <= 0.05; David & Nagaraja, Order
    Statistics, 3rd ed., section 7.1.

    Raises:
        ValueError: Fewer than six samples, which no such interval exists for.
    """
    count, ordered = len(samples_s), sorted(samples_s)
    if count < FEWEST_ROUNDS:
        raise ValueError(f"at least {FEWEST_ROUNDS} samples, found {count}")
    rank = _median_rank(count)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    return Timing(middle, ordered[rank - 1], ordered[count - rank])


@lru_cache(maxsize=256)
def _median_rank(count: int) -> int:
    """Largest r with 2 P(Binomial(count, 1/2) < r) <= 0.05."""
    tail, rank = 0.0, 0
    while 2 * (tail + math.comb(count, rank) / 2**count) <= 0.05:
        tail += math.comb(count, rank) / 2**count
        rank += 1
    return rank


def rounded(value: float) -> float:
    """To four significant digits."""
    return float(f"{value:.{DIGITS - 1}e}")


# --- rows for a table -------------------------------------------------------------------------


def main_kind(operators: Iterable[Operator]) -> str:
    """Kind of the operator with most work among those of one node."""
    return max(operators, key=lambda one: (one.macs, one.moved_elements())).kind


@dataclass(frozen=True, slots=True)
class MeasuredKind:
    """What one kind of operator took.

    Attributes:
        nodes: How many.
        macs: Per sample.
        seconds, low_s, high_s: Per launch, scaled to the whole; ends added up.
        share: Of the total.
    """

    kind: str
    nodes: int
    macs: float
    seconds: float
    low_s: float
    high_s: float
    share: float


def profile_rows(network: NetworkProfile, batch: int = 1) -> list[MeasuredKind]:
    """One row per kind of operator, largest share first, then the whole network.

    Raises:
        OutOfTable: That batch size was not measured.
    """
    if batch not in network.totals:
        raise OutOfTable(f"the profile was measured at batch sizes {network.batches}", value=batch)
    whole, timings = network.totals[batch], network.scaled_nodes(batch)
    groups: dict[str, list[str]] = {}
    for name, operators in network.node_operators.items():
        groups.setdefault(main_kind(operators), []).append(name)
    rows = [_kind_row(network, kind, names, timings, whole) for kind, names in groups.items()]
    rows.sort(key=lambda row: -row.seconds)
    macs = total_macs(network.operators)
    return [*rows, _measured("total", len(network.node_operators), macs, whole, whole)]


def _kind_row(
    network: NetworkProfile,
    kind: str,
    names: list[str],
    timings: Mapping[str, Timing],
    whole: Timing,
) -> MeasuredKind:
    macs = sum(total_macs(network.node_operators[name]) for name in names)
    spent = sum((timings[name] for name in names), NO_TIME)
    return _measured(kind, len(names), macs, spent, whole)


def _measured(kind: str, nodes: int, macs: float, spent: Timing, whole: Timing) -> MeasuredKind:
    share = spent.median_s / whole.median_s
    return MeasuredKind(kind, nodes, macs, spent.median_s, spent.low_s, spent.high_s, share)
