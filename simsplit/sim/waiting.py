"""Who waits at a server, in which order, and what was counted about them."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

import simpy

from simsplit.serving import Discipline
from simsplit.sim.request import Request


@dataclass(slots=True)
class Job:
    """A request waiting for its answer.

    Attributes:
        done: Fires with the answer.
        tail: What the requests of one batch share.
        seconds: Of a batch of 1, 2, … of them.
        since_s: When it came to this server.
    """

    request: Request
    done: simpy.Event
    tail: str
    seconds: Sequence[float]
    since_s: float


@dataclass(slots=True)
class Batch:
    """Jobs that a worker is gathering until ``start_by_s``; ``full`` fires when no more fit."""

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
        """One more."""
        entry = (rank(self._discipline, job.request), self._came, job)
        heapq.heappush(self._heaps.setdefault(job.tail, []), entry)
        self._came += 1
        self._length += 1

    def take(self, most: int) -> list[Job]:
        """The first of all, and those of its tail in their order, at most ``most``."""
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

    def seconds(self, tail: str) -> Sequence[float]:
        """Seconds of the next batch of that tail, by its size."""
        return self._heaps[tail][0][2].seconds


@dataclass(slots=True)
class Tally:
    """What one server counted; times in seconds.

    Attributes:
        waiting: Accepted and not yet begun, now.
        waiting_area_s: Integral of ``waiting`` over time up to ``changed_s``.
        waits_s: Sum of the waits of those that began.
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
        """A batch begins."""
        self.waiting -= len(jobs)
        self.waits_s += sum(now_s - job.since_s for job in jobs)
        self.begun += len(jobs)
        self.batches += 1
        self.batch_s += seconds
