"""One server: a queue, workers that come and go, dynamic batches over compatible tails."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import simpy

from simsplit.serving import Edge
from simsplit.sim import crew
from simsplit.sim.admission import gate
from simsplit.sim.backlog import Backlog
from simsplit.sim.load_report import Load, LoadReports, Snapshot
from simsplit.sim.request import Life, Plan, Request
from simsplit.sim.scaling import scaler
from simsplit.sim.waiting import Batch, Job, Tally

Gaps = Generator[simpy.Event, Any, None]


class Server:
    """Workers, each one unit of the hardware with its own ledger (off, starting, idle, compute).

    A free worker takes the first job of the discipline and the waiting jobs of the same tail up to
    ``max_batch``; a batch that is not full waits until its oldest job is ``max_wait_s`` old, and
    takes in newcomers of its tail meanwhile. Nobody is interrupted. A job that finds no free
    worker and ``queue_capacity`` others waiting, or that admission refuses, is rejected.
    """

    def __init__(
        self,
        env: simpy.Environment,
        spec: Edge,
        plans: Mapping[str, Plan],
        *,
        idle_w: float,
        compute_w: float,
    ) -> None:
        self.env = env
        self.spec = spec
        self.tally = Tally()
        self.workers = crew.crew(spec, idle_w, compute_w)
        self.reports = LoadReports(spec.report, spec.workers, self._snapshot)
        self._plans = plans
        self._compute_w = compute_w
        self._backlog = Backlog(spec.discipline, spec.max_batch)
        self._line, self._gathering = self._backlog.line, self._backlog.gathering
        self._idle: deque[simpy.Event] = deque()
        self._called = 0  # idle workers that a job has woken and that have not taken it yet
        self._admits = gate(env, spec.admission, self._end_s)
        self._scaler = scaler(env, spec.scaling, self)
        for index in range(spec.workers):
            env.process(self._work(index))

    # --- what the others see ------------------------------------------------------------------

    @property
    def queued(self) -> int:
        """Jobs in the queue; those that a worker is gathering are no longer in it."""
        return len(self._line)

    @property
    def alive(self) -> int:
        """Workers that are on or starting."""
        return crew.alive(self.workers)

    def load(self) -> Load:
        """The truth of the moment; what others know of it is in ``reports``."""
        return self._snapshot().at(self.env.now)

    def predicted_end_s(self, request: Request) -> float:
        """When a newcomer would have its answer.

        Work ahead of it in the order of the discipline, over the workers that are on, and its own
        batch with those ahead of it. Exact for one worker, first come first served, if its batch
        gets no further company; a batch that is not full waits at least ``max_wait_s``.
        """
        return self._end_s(self._job(request))

    def station(self, end_s: float) -> dict[str, Any]:
        """See `simsplit.sim.crew.station`."""
        return crew.station(self.workers, self.tally, end_s)

    # --- a job comes --------------------------------------------------------------------------

    def serve(self, request: Request) -> Life:
        """Queue, run decoder + tail in a batch; ends with the answer or with status 'rejected'."""
        job = self._job(request)
        if not self._enter(job):
            self.tally.refused += 1
            return request.close("rejected", self.env.now)
        yield job.done

    def _job(self, request: Request) -> Job:
        plan = self._plans[request.operating_point]
        tail = plan.tail or request.operating_point
        return Job(request, self.env.event(), tail, plan.edge_s, self.env.now)

    def _enter(self, job: Job) -> bool:
        batch = self._gathering.get(job.tail)
        if (batch is None and self._is_full()) or not self._admits(job):
            return False
        self._change()
        self.tally.waiting += 1
        if batch is not None:
            self._join(batch, job)
        else:
            self._queue(job)
        return True

    def _is_full(self) -> bool:
        room = self.spec.queue_capacity
        return room is not None and not self._idle and self.queued - self._called >= room

    def _join(self, batch: Batch, job: Job) -> None:
        batch.jobs.append(job)
        if len(batch.jobs) >= self.spec.max_batch:
            self._gathering.pop(job.tail)
            batch.full.succeed()

    def _queue(self, job: Job) -> None:
        self._line.push(job)
        if self._idle:
            self._call()
        elif self._scaler is not None:
            self._scaler.notice()

    def _call(self) -> None:
        """Wake a worker: the longest idle, or with scaling the shortest, so that others can go."""
        call = self._idle.popleft() if self._scaler is None else self._idle.pop()
        self._called += 1
        call.succeed()

    # --- workers ------------------------------------------------------------------------------

    def start_worker(self, start_up_s: float) -> None:
        """Switch on the first worker that is off; it serves after ``start_up_s``."""
        index = next(n for n, ledger in enumerate(self.workers) if ledger.state == "off")
        self.workers[index].enter("starting", self.env.now)
        self.tally.starts += 1
        self.env.process(self._start(index, start_up_s))

    def _start(self, index: int, start_up_s: float) -> Gaps:
        yield self.env.timeout(start_up_s)
        self._change()
        self.workers[index].enter("idle", self.env.now)
        yield from self._work(index)

    def _work(self, index: int) -> Gaps:
        since_s = self.env.now
        while self._line or (yield from self._rest(since_s)):
            if not self._line:
                continue  # another worker took what this one was called for
            batch = Batch(self.env.event(), self._line.take(self.spec.max_batch))
            yield from self._gather(batch)
            yield from self._run(index, batch.jobs)
            since_s = self.env.now
        self.workers[index].enter("off", self.env.now)

    def _rest(self, since_s: float) -> Generator[simpy.Event, Any, bool]:
        """Idle until called; False: idle for so long that the worker goes off."""
        call = self.env.event()
        self._idle.append(call)
        if self._scaler is not None:
            yield call | self.env.timeout(self._scaler.patience_s(since_s))
            if not call.triggered and self._scaler.may_stop(crew.on(self.workers)):
                self._change()
                self._idle.remove(call)
                return False
        yield call
        self._called -= 1
        return True

    def _gather(self, batch: Batch) -> Gaps:
        """Wait for more jobs while the oldest may still wait."""
        tail = batch.jobs[0].tail
        batch.start_by_s = min(job.since_s for job in batch.jobs) + self.spec.max_wait_s
        left_s = batch.start_by_s - self.env.now
        if left_s <= 0 or len(batch.jobs) >= self.spec.max_batch or tail in self._gathering:
            return
        self._gathering[tail] = batch
        yield batch.full | self.env.timeout(left_s)
        self._change()
        if self._gathering.get(tail) is batch:
            del self._gathering[tail]

    def _run(self, index: int, jobs: Sequence[Job]) -> Gaps:
        ledger, start_s = self.workers[index], self.env.now
        seconds = jobs[0].seconds[len(jobs) - 1]
        self._change()
        self.tally.begin(jobs, seconds, start_s)
        self._backlog.ends_s[index] = start_s + seconds
        ledger.enter("compute", start_s)
        yield self.env.timeout(seconds)
        self._change()
        del self._backlog.ends_s[index]
        ledger.enter("idle", self.env.now)
        for job in jobs:
            _write_down(job.request, index, start_s, self.env.now, len(jobs))
            job.request.edge_energy_j = seconds * self._compute_w / len(jobs)
            job.done.succeed()

    # --- load ---------------------------------------------------------------------------------

    def _change(self) -> None:
        """To be called before anything changes."""
        self.reports.before_change(self.env.now)
        self.tally.until(self.env.now)

    def _snapshot(self) -> Snapshot:
        return Snapshot(
            self.tally.waiting,
            crew.on(self.workers),
            len(self._idle) > 0,
            tuple(self._backlog.ends_s.values()),
            self._backlog.to_begin_s(),
            self.tally.batch_s / self.tally.batches if self.tally.batches else 0.0,
        )

    def _end_s(self, job: Job) -> float:
        """The predicted end of a newcomer, in the batch that takes it in or from the line."""
        batch = self._gathering.get(job.tail)
        if batch is None:
            return self._end_from_line_s(job)
        fills = len(batch.jobs) + 1 >= self.spec.max_batch
        start_s = self.env.now if fills else batch.start_by_s
        return start_s + batch.jobs[0].seconds[len(batch.jobs)]

    def _end_from_line_s(self, job: Job) -> float:
        work_s, before = self._backlog.ahead_of(job, self.env.now)
        wait_s = 0.0 if self._idle else work_s / crew.on(self.workers)
        if before + 1 < self.spec.max_batch:
            wait_s = max(wait_s, self.spec.max_wait_s)
        return self.env.now + wait_s + job.seconds[before]


def _write_down(request: Request, index: int, start_s: float, end_s: float, size: int) -> None:
    request.edge_start_s, request.edge_end_s = start_s, end_s
    request.batch_size, request.worker = size, index
