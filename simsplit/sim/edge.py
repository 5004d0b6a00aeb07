"""The edge server: one queue, c workers, dynamic batches of one operating point, finite room."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any

import simpy

from simsplit.scenario import Edge
from simsplit.sim.ledger import Ledger
from simsplit.sim.request import Life, Plan, Request

Gaps = Generator[simpy.Event, Any, None]


@dataclass
class _Job:
    """A request waiting for its answer."""

    request: Request
    done: simpy.Event


@dataclass
class _Batch:
    """Jobs that a worker is collecting; ``full`` fires when no more fit."""

    full: simpy.Event
    jobs: list[_Job] = field(default_factory=list)


class EdgeServer:
    """c workers, each one unit of the edge hardware with its own ledger.

    A free worker takes the oldest job and every waiting job of the same operating point up to
    ``max_batch``; a batch that is not full waits until its oldest job is ``max_wait_s`` old. A job
    that finds ``queue_capacity`` others waiting is rejected.
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
        self.workers = [
            Ledger({"idle": idle_w, "compute": compute_w}, "idle") for _ in range(spec.workers)
        ]
        self._plans = plans
        self._compute_w = compute_w
        self._waiting: deque[_Job] = deque()
        self._gathering: dict[str, _Batch] = {}
        self._idle: deque[simpy.Event] = deque()
        for index in range(spec.workers):
            env.process(self._work(index))

    def answer(self, request: Request) -> Life:
        """Queue, run decoder + tail in a batch; ends with the answer or with status 'rejected'."""
        request.edge_arrival_s = self.env.now
        job = _Job(request, self.env.event())
        batch = self._gathering.get(request.operating_point)
        if batch is not None:
            self._join(batch, job)
        elif self._is_full():
            return request.close("rejected", self.env.now)
        else:
            self._waiting.append(job)
            if self._idle:
                self._idle.popleft().succeed()
        yield job.done

    def _is_full(self) -> bool:
        room = self.spec.queue_capacity
        return room is not None and not self._idle and len(self._waiting) >= room

    def _join(self, batch: _Batch, job: _Job) -> None:
        batch.jobs.append(job)
        if len(batch.jobs) >= self.spec.max_batch:
            self._gathering.pop(job.request.operating_point)
            batch.full.succeed()

    def _work(self, index: int) -> Gaps:
        while True:
            if not self._waiting:
                wake = self.env.event()
                self._idle.append(wake)
                yield wake
            if not self._waiting:
                continue
            batch = self._take()
            yield from self._gather(batch)
            yield from self._run(index, batch.jobs)

    def _take(self) -> _Batch:
        """The oldest job and its fellows of the same operating point."""
        point = self._waiting[0].request.operating_point
        batch = _Batch(self.env.event())
        others: deque[_Job] = deque()
        while self._waiting:
            job = self._waiting.popleft()
            fits = job.request.operating_point == point and len(batch.jobs) < self.spec.max_batch
            (batch.jobs if fits else others).append(job)
        self._waiting = others
        return batch

    def _gather(self, batch: _Batch) -> Gaps:
        """Wait for more jobs while the oldest may still wait."""
        first = batch.jobs[0].request
        left_s = first.edge_arrival_s + self.spec.max_wait_s - self.env.now
        if left_s <= 0 or len(batch.jobs) >= self.spec.max_batch:
            return
        if first.operating_point in self._gathering:
            return
        self._gathering[first.operating_point] = batch
        yield self.env.any_of([batch.full, self.env.timeout(left_s)])
        if self._gathering.get(first.operating_point) is batch:
            del self._gathering[first.operating_point]

    def _run(self, index: int, jobs: list[_Job]) -> Gaps:
        ledger, start_s = self.workers[index], self.env.now
        seconds = self._plans[jobs[0].request.operating_point].edge_s[len(jobs) - 1]
        ledger.enter("compute", start_s)
        yield self.env.timeout(seconds)
        ledger.enter("idle", self.env.now)
        for job in jobs:
            request = job.request
            request.edge_start_s, request.edge_end_s = start_s, self.env.now
            request.batch_size, request.worker = len(jobs), index
            request.edge_energy_j = seconds * self._compute_w / len(jobs)
            job.done.succeed()
