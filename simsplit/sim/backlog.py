"""The work before a server: running batches, those being gathered, and the waiting line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simsplit.serving import Discipline
from simsplit.sim.waiting import Batch, Job, WaitingLine


class Backlog:
    """What a server has begun, is gathering and still has to take.

    Attributes:
        gathering: Tail → the batch that takes in newcomers of that tail.
        ends_s: Worker → when its running batch ends.
    """

    def __init__(self, discipline: Discipline, max_batch: int) -> None:
        self.line = WaitingLine(discipline)
        self.gathering: dict[str, Batch] = {}
        self.ends_s: dict[int, float] = {}
        self._max_batch = max_batch

    def to_begin_s(self) -> float:
        """Seconds of all batches that are still to begin, as full as they can be."""
        return self._gathered_s() + self._lines_s(self.line.counts())

    def ahead_of(self, job: Job, now_s: float) -> tuple[float, int]:
        """Seconds of work before a newcomer's own batch, and how many are in that before it."""
        counts = self.line.counts(before=job.request)
        own = counts.pop(job.tail, 0)
        rest = own % self._max_batch
        others_s = self._gathered_s() + self._lines_s(counts)
        before_s = self._batches_s(job.seconds, own - rest)
        return self._running_s(now_s) + others_s + before_s, rest

    def _running_s(self, now_s: float) -> float:
        return sum(end_s - now_s for end_s in self.ends_s.values())

    def _gathered_s(self) -> float:
        batches = [batch.jobs for batch in self.gathering.values()]
        return sum(jobs[0].seconds[len(jobs) - 1] for jobs in batches)

    def _lines_s(self, counts: Mapping[str, int]) -> float:
        return sum(self._batches_s(self.line.seconds(tail), n) for tail, n in counts.items())

    def _batches_s(self, seconds: Sequence[float], count: int) -> float:
        """Seconds of so many jobs of one tail in full batches and a last one."""
        whole, rest = divmod(count, self._max_batch)
        full_s = whole * seconds[self._max_batch - 1] if whole else 0.0
        return full_s + (seconds[rest - 1] if rest else 0.0)
