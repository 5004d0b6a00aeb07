"""A server's load, and the reports of it: taken now and then, and late where they are heard."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from simsplit.scenario.edge import Report

ROUNDING = 1e-9  # 0.3 / 0.1 is the third report


@dataclass(frozen=True, slots=True)
class Load:
    """How busy a server is.

    Attributes:
        waiting: Requests accepted and not yet begun.
        busy_workers, workers: Computing, and on.
        wait_s: Expected wait of a newcomer: 0 if a worker is free, else what is left of the
            running batches plus the waiting ones at full batches, over the workers that are on.
        level: 1 + ``wait_s`` / mean seconds of a batch so far; what multiplies a server's seconds
            in Neurosurgeon (Kang et al., ASPLOS 2017, the load level K of Algorithm 1).
    """

    waiting: int
    busy_workers: int
    workers: int
    wait_s: float
    level: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A server between two changes: enough to say its load at any time before the next one.

    Attributes:
        ends_s: When each running batch ends.
        work_s: Seconds of the batches that are still to begin.
        batch_s: Mean seconds of a batch so far; 0 before the first.
    """

    waiting: int
    workers: int
    free: bool
    ends_s: tuple[float, ...]
    work_s: float
    batch_s: float

    def at(self, time_s: float) -> Load:
        """The load at ``time_s``, to which the running batches have come."""
        begun_s = sum(max(0.0, end_s - time_s) for end_s in self.ends_s)
        wait_s = 0.0 if self.free else (begun_s + self.work_s) / self.workers
        level = 1.0 + wait_s / self.batch_s if self.batch_s else 1.0
        return Load(self.waiting, len(self.ends_s), self.workers, wait_s, level)


class LoadReports:
    """Reports taken at 0, T, 2T, … and heard ``delay_s`` later.

    No process runs: a server's state is constant between changes, so the server says when it is
    about to change, and the reports that fell due since then are kept. A report at the very moment
    of a change is from before it.
    """

    def __init__(self, spec: Report, workers: int, snapshot: Callable[[], Snapshot]) -> None:
        self._spec, self._snapshot = spec, snapshot
        self._empty = Load(0, 0, workers, 0.0, 1.0)
        self._kept: deque[tuple[int, Snapshot]] = deque()  # from which report on, what
        self._due = 0
        self._due_s = 0.0

    def before_change(self, now_s: float) -> None:
        """Keep the reports due up to ``now_s``; to be called before the server changes."""
        if now_s < self._due_s:
            return
        self._kept.append((self._due, self._snapshot()))
        self._due = self._number(now_s) + 1
        self._due_s = (self._due - ROUNDING) * self._spec.period_s
        self._forget(now_s)

    def __len__(self) -> int:
        """Snapshots that are kept because somebody may still ask for them."""
        return len(self._kept)

    def latest(self, now_s: float) -> Load:
        """The newest report that has arrived; before the first an empty server."""
        number = self._number(now_s - self._spec.delay_s)
        if number < 0:
            return self._empty
        self.before_change(now_s)
        self._forget(now_s)
        return self._kept[0][1].at(number * self._spec.period_s)

    def _number(self, time_s: float) -> int:
        return math.floor(time_s / self._spec.period_s + ROUNDING)

    def _forget(self, now_s: float) -> None:
        """Drop what no one can ask for any more."""
        number = self._number(now_s - self._spec.delay_s)
        while len(self._kept) > 1 and self._kept[1][0] <= number:
            self._kept.popleft()
