"""One server: a queue, workers that come and go, dynamic batches over compatible tails."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import simpy

from simsplit.scenario.edge import Edge
from simsplit.sim.edge.admission import build_gate, build_scaler
from simsplit.sim.edge.load_report import Load, LoadReports, Snapshot
from simsplit.sim.edge.queue import Backlog, Batch, Job, Tally, batch_seconds
from simsplit.sim.edge.workers import Steps, Workers, server_station
from simsplit.sim.request import Life, Plan, Request, of_sample


class Forecast:
    """A server's load as it is, and when a newcomer would have its answer."""

    def __init__(
        self,
        env: simpy.Environment,
        spec: Edge,
        workers: Workers,
        backlog: Backlog,
        tally: Tally,
    ) -> None:
        self._env, self._spec = env, spec
        self._workers, self._backlog, self._tally = workers, backlog, tally

    def snapshot(self) -> Snapshot:
        """The state of this moment, which says the load until the next change."""
        tally = self._tally
        return Snapshot(
            tally.waiting,
            self._workers.on,
            self._workers.some_idle,
            tuple(self._backlog.ends_s.values()),
            self._backlog.to_begin_s(),
            tally.batch_s / tally.batches if tally.batches else 0.0,
        )

    def end_s(self, job: Job) -> float:
        """The end of a newcomer, in the batch that takes it in or from the line.

        Work ahead of it in the order of the discipline, over the workers that are on, and its own
        batch with those ahead of it. Exact for one worker, first come first served, if its batch
        gets no further company; a batch that is not full waits at least ``max_wait_s``.
        """
        end_s = self._backlog.joined_end_s(job)
        if end_s is not None:
            return end_s
        work_s, before, beside_s = self._backlog.ahead_of(job)
        wait_s = 0.0 if self._workers.some_idle else work_s / self._workers.on
        if before + 1 < self._spec.max_batch:
            wait_s = max(wait_s, self._spec.max_wait_s)
        return self._env.now + wait_s + job.seconds[before] + beside_s + job.codec_s


class Server:
    """Workers, each one unit of the hardware with its own ledger (off, starting, idle, compute).

    A free worker takes the first job of the discipline and the waiting jobs of the same tail up to
    ``max_batch``; a batch that is not full waits until its oldest job is ``max_wait_s`` old, and
    takes in newcomers of its tail meanwhile. Nobody is interrupted. A job that finds no free
    worker and ``queue_capacity`` others waiting, or that admission refuses, is rejected.

    Args:
        plans: Operating point → costs.
        idle_w, compute_w: Watts of one worker, idle and at its roofline.

    Attributes:
        tally: What was counted so far.
        reports: What others know of its load.
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
        self.env, self.spec = env, spec
        self.tally = Tally()
        self.workers = Workers(
            env, spec, idle_w=idle_w, compute_w=compute_w, before_change=self._before_change
        )
        self._plans = plans
        self._backlog = Backlog(env, spec)
        self._line = self._backlog.line
        self._forecast = Forecast(env, spec, self.workers, self._backlog, self.tally)
        self.reports = LoadReports(spec.report, spec.workers, self._forecast.snapshot)
        self._admits = build_gate(env, spec.admission, self._forecast.end_s)
        self._scaler = build_scaler(env, spec.scaling, self)
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
        return self.workers.alive

    def load(self) -> Load:
        """The truth of the moment; what others know of it is in ``reports``."""
        return self._forecast.snapshot().at(self.env.now)

    def predicted_end_s(self, request: Request) -> float:
        """When this request would have its answer if it came now; as of `Forecast.end_s`."""
        return self._forecast.end_s(self._job(request))

    def station(self, end_s: float) -> dict[str, Any]:
        """Seconds, joules and counts up to ``end_s``, named as by `server_station`."""
        return server_station(self.workers, self.tally, end_s)

    def start_worker(self, start_up_s: float) -> None:
        """Switch on the first worker that is off; it serves after ``start_up_s``."""
        index, starting = self.workers.start(start_up_s)
        self.tally.starts += 1
        self.env.process(self._work(index, starting))

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
        codec_s = of_sample(plan.edge_codec_s, request.sample)
        done, now_s = self.env.event(), self.env.now
        return Job(request, done, tail, plan.edge_s, now_s, codec_s, plan.edge_share)

    def _enter(self, job: Job) -> bool:
        batch = self._backlog.gathering.get(job.tail)
        if (batch is None and self._is_full()) or not self._admits(job):
            return False
        self._before_change()
        self.tally.waiting += 1
        if batch is not None:
            self._backlog.join(batch, job)
        else:
            self._queue(job)
        return True

    def _is_full(self) -> bool:
        capacity, workers = self.spec.queue_capacity, self.workers
        if capacity is None or workers.some_idle:
            return False
        return self.queued - workers.called >= capacity

    def _queue(self, job: Job) -> None:
        """Into the line; with scaling the last to go idle is called, so that others can go off."""
        self._line.push(job)
        if self.workers.some_idle:
            self.workers.call(longest_idle=self._scaler is None)
        elif self._scaler is not None:
            self._scaler.notice()

    # --- a worker's life ----------------------------------------------------------------------

    def _work(self, index: int, starting: Steps | None = None) -> Steps:
        if starting is not None:
            yield from starting
        since_s = self.env.now
        while self._line or (yield from self.workers.rest(since_s, self._scaler)):
            if not self._line:
                continue  # another worker took what this one was called for
            batch = Batch(self.env.event(), self._line.take(self.spec.max_batch))
            yield from self._backlog.gather(batch, self._before_change)
            yield from self._run(index, batch.jobs)
            since_s = self.env.now
        self.workers.stop(index)

    def _run(self, index: int, jobs: Sequence[Job]) -> Steps:
        ledger, start_s = self.workers.ledgers[index], self.env.now
        seconds = batch_seconds(jobs)
        self._before_change()
        self.tally.begin(jobs, seconds, start_s)
        self._backlog.ends_s[index] = start_s + seconds
        draw = _draw(jobs, seconds, self.workers.batch_w)
        ledger.enter("compute", start_s, draw.mean_w)
        yield self.env.timeout(seconds)
        self._before_change()
        del self._backlog.ends_s[index]
        ledger.enter("idle", self.env.now)
        for job in jobs:
            _write_down(job.request, index, start_s, self.env.now, len(jobs))
            job.book(draw.network_s / len(jobs), draw.network_w, draw.codec_w)

    def _before_change(self) -> None:
        """To be called before anything changes that a report or an average looks at."""
        self.reports.before_change(self.env.now)
        self.tally.until(self.env.now)


class _Draw(NamedTuple):
    """What a batch draws: its network's seconds, watts in it and in codecs, and the mean of all."""

    network_s: float
    network_w: float
    codec_w: float
    mean_w: float


def _draw(jobs: Sequence[Job], seconds: float, batch_w: Callable[[float], float]) -> _Draw:
    """Codecs are worked on by a host's core: idle power, but where nothing is said of shares."""
    first, size = jobs[0], len(jobs)
    network_s = first.seconds[size - 1]
    network_w, codec_w = batch_w(first.share(size)), batch_w(0.0 if first.shares else 1.0)
    drawn_j = network_s * network_w + (seconds - network_s) * codec_w
    return _Draw(network_s, network_w, codec_w, drawn_j / seconds if seconds else network_w)


def _write_down(request: Request, index: int, start_s: float, end_s: float, size: int) -> None:
    request.edge_start_s, request.edge_end_s = start_s, end_s
    request.batch_size, request.worker = size, index
