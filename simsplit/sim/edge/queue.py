"""The work before a server: jobs in a line, batches that are being gathered or run, and a tally.

The line is in the order of a discipline: arrival, deadline or priority.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from simsplit.scenario.edge import Discipline, Edge
from simsplit.sim.request import Request


@dataclass(slots=True)
class Job:
    """A request waiting for its answer.

    Attributes:
        done: Fires when the answer is there.
        tail: What the requests of one batch share.
        seconds: Of a batch of 1, 2, … such jobs.
        since_s: When it came to this server.
        codec_s: Of its own payload and answer, which a batch does one after the other.
        shares: Of the roofline that such batches reach; empty: all of it.
    """

    request: Request
    done: simpy.Event
    tail: str
    seconds: Sequence[float]
    since_s: float
    codec_s: float = 0.0
    shares: Sequence[float] = ()

    def share(self, batch: int) -> float:
        """Share of the server's roofline that a batch of so many such jobs reaches."""
        return self.shares[batch - 1] if self.shares else 1.0

    def book(self, network_s: float, network_w: float, codec_w: float) -> None:
        """Its share of the batch's energy, the network's seconds and its own; the answer is there.

        Args:
            network_s: Its share of the network's seconds.
            network_w, codec_w: Watts of the worker in the network, and in codecs.
        """
        self.request.edge_codec_s = self.codec_s
        self.request.edge_energy_j = network_s * network_w + self.codec_s * codec_w
        self.done.succeed()


def batch_seconds(jobs: Sequence[Job]) -> float:
    """Seconds of a batch: the network for so many, and each job's own codec."""
    return jobs[0].seconds[len(jobs) - 1] + sum(job.codec_s for job in jobs)


@dataclass(slots=True)
class Batch:
    """Jobs that run together, the first come first.

    Attributes:
        full: Fires when no more fit.
        start_by_s: While it is gathered: when it begins at the latest.
    """

    full: simpy.Event
    jobs: list[Job]
    start_by_s: float = 0.0


def rank(discipline: Discipline, request: Request) -> float:
    """Lower is served first: 0, the absolute deadline (infinite if none), or minus the priority."""
    match discipline:
        case "fifo":
            return 0.0
        case "edf":
            deadline_s = request.deadline_s
            return math.inf if math.isnan(deadline_s) else request.arrival_s + deadline_s
        case "priority":
            return -float(request.priority)


def _order(entry: tuple[float, int, Job]) -> tuple[float, int]:
    return entry[:2]


class WaitingLine:
    """Waiting jobs by tail, each tail in the order of the discipline, ties first come first."""

    def __init__(self, discipline: Discipline) -> None:
        self._discipline: Discipline = discipline
        self._heaps: dict[str, list[tuple[float, int, Job]]] = {}
        self._came = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, job: Job) -> None:
        """One more job waits."""
        entry = (rank(self._discipline, job.request), self._came, job)
        heapq.heappush(self._heaps.setdefault(job.tail, []), entry)
        self._came += 1
        self._length += 1

    def take(self, most: int) -> list[Job]:
        """Take out the first of all and those of its tail in their order, ``most`` at most.

        Raises:
            ValueError: Nobody waits.
        """
        tail = min(self._heaps, key=lambda name: self._heaps[name][0][:2])
        heap = self._heaps[tail]
        jobs = [heapq.heappop(heap)[2] for _ in range(min(most, len(heap)))]
        if not heap:
            del self._heaps[tail]
        self._length -= len(jobs)
        return jobs

    def counts(self, before: Request | None = None) -> dict[str, int]:
        """Waiting jobs by tail; with ``before`` only those that it would not overtake."""
        if before is None or self._discipline == "fifo":
            return {tail: len(heap) for tail, heap in self._heaps.items()}
        limit = rank(self._discipline, before)
        return {tail: sum(e[0] <= limit for e in heap) for tail, heap in self._heaps.items()}

    def ahead(self, job: Job) -> list[Job]:
        """Waiting jobs of a newcomer's tail that it would not overtake, in their order."""
        limit = rank(self._discipline, job.request)
        return [e[2] for e in sorted(self._heaps.get(job.tail, ()), key=_order) if e[0] <= limit]

    def codec_s(self, before: Request | None = None, but: str = "") -> float:
        """Seconds of the codecs of those whom `counts` counts, the tail ``but`` left out."""
        limit = math.inf if before is None else rank(self._discipline, before)
        heaps = (heap for tail, heap in self._heaps.items() if tail != but)
        return sum(entry[2].codec_s for heap in heaps for entry in heap if entry[0] <= limit)

    def seconds(self, tail: str) -> Sequence[float]:
        """Seconds of the next batch of that tail, of size 1, 2, …"""
        return self._heaps[tail][0][2].seconds


@dataclass(slots=True)
class Tally:
    """What one server counted; times in seconds.

    Attributes:
        waiting: Accepted and not yet begun, now.
        waiting_area_s: Integral of ``waiting`` over time up to ``changed_s``.
        waits_s: Sum of the waits of those that began.
        begun, batches: Requests, and batches, that began.
        batch_s: Sum of the seconds of those batches.
        refused: Requests that were not let in.
        starts: Workers that scaling started.
    """

    waiting: int = 0
    waiting_area_s: float = 0.0
    changed_s: float = 0.0
    waits_s: float = 0.0
    begun: int = 0
    batches: int = 0
    batch_s: float = 0.0
    refused: int = 0
    starts: int = 0

    def until(self, now_s: float) -> None:
        """Integrate up to ``now_s``, before ``waiting`` changes."""
        self.waiting_area_s += self.waiting * (now_s - self.changed_s)
        self.changed_s = now_s

    def begin(self, jobs: Sequence[Job], seconds: float, now_s: float) -> None:
        """A batch of these jobs begins that takes so many seconds."""
        self.waiting -= len(jobs)
        self.waits_s += sum(now_s - job.since_s for job in jobs)
        self.begun += len(jobs)
        self.batches += 1
        self.batch_s += seconds


class Backlog:
    """What a server has begun, is gathering and still has to take.

    Attributes:
        line: Jobs that nobody has taken yet.
        gathering: Tail → the batch that takes in newcomers of that tail.
        ends_s: Worker → when its running batch ends.
    """

    def __init__(self, env: simpy.Environment, spec: Edge) -> None:
        self._env = env
        self.line = WaitingLine(spec.discipline)
        self.gathering: dict[str, Batch] = {}
        self.ends_s: dict[int, float] = {}
        self._max_batch, self._max_wait_s = spec.max_batch, spec.max_wait_s

    # --- gathering ----------------------------------------------------------------------------

    def gather(
        self, batch: Batch, before_change: Callable[[], None]
    ) -> Generator[simpy.Event, Any, None]:
        """Wait for more jobs while the oldest may still wait, unless its tail is being gathered.

        ``before_change`` is called before the batch takes in no more.
        """
        tail = batch.jobs[0].tail
        batch.start_by_s = min(job.since_s for job in batch.jobs) + self._max_wait_s
        left_s = batch.start_by_s - self._env.now
        if left_s <= 0 or len(batch.jobs) >= self._max_batch or tail in self.gathering:
            return
        self.gathering[tail] = batch
        yield batch.full | self._env.timeout(left_s)
        before_change()
        if self.gathering.get(tail) is batch:
            del self.gathering[tail]

    def join(self, batch: Batch, job: Job) -> None:
        """A newcomer enters a batch that is being gathered."""
        batch.jobs.append(job)
        if len(batch.jobs) >= self._max_batch:
            self.gathering.pop(job.tail)
            batch.full.succeed()

    def joined_end_s(self, job: Job) -> float | None:
        """When a newcomer is done in the batch that would take it in; None if there is none."""
        batch = self.gathering.get(job.tail)
        if batch is None:
            return None
        fills = len(batch.jobs) + 1 >= self._max_batch
        start_s = self._env.now if fills else batch.start_by_s
        return start_s + batch_seconds([*batch.jobs, job])

    # --- seconds of work ----------------------------------------------------------------------

    def to_begin_s(self) -> float:
        """Seconds of all batches that are still to begin, as full as they can be."""
        return self._gathered_s() + self._lines_s(self.line.counts()) + self.line.codec_s()

    def ahead_of(self, job: Job) -> tuple[float, int, float]:
        """Seconds of work before a newcomer's own batch; how many are in that, and their codecs."""
        counts = self.line.counts(before=job.request)
        counts.pop(job.tail, 0)
        others_s = self._lines_s(counts) + self.line.codec_s(job.request, but=job.tail)
        own = self.line.ahead(job)
        rest = len(own) % self._max_batch
        whole, beside = own[: len(own) - rest], own[len(own) - rest :]
        before_s = self._batches_s(job.seconds, len(whole)) + sum(one.codec_s for one in whole)
        work_s = self._running_s() + self._gathered_s() + others_s + before_s
        return work_s, rest, sum(one.codec_s for one in beside)

    def _running_s(self) -> float:
        now_s = self._env.now
        return sum(end_s - now_s for end_s in self.ends_s.values())

    def _gathered_s(self) -> float:
        batches = [batch.jobs for batch in self.gathering.values()]
        return sum(batch_seconds(jobs) for jobs in batches)

    def _lines_s(self, counts: Mapping[str, int]) -> float:
        return sum(self._batches_s(self.line.seconds(tail), n) for tail, n in counts.items())

    def _batches_s(self, seconds: Sequence[float], count: int) -> float:
        """Seconds of so many jobs of one tail in full batches and a last one."""
        whole, rest = divmod(count, self._max_batch)
        full_s = whole * seconds[self._max_batch - 1] if whole else 0.0
        return full_s + (seconds[rest - 1] if rest else 0.0)
