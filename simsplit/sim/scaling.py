"""Autoscaling: when workers are started and when they go off."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any, Protocol

import simpy

from simsplit.serving import FixedWorkers, QueueScaling, Scaling


class Scalable(Protocol):
    """What a scaler watches and does."""

    @property
    def queued(self) -> int:
        """Requests in the queue."""

    @property
    def alive(self) -> int:
        """Workers that are on or starting."""

    def start_worker(self, start_up_s: float) -> None:
        """One more worker, after its start-up."""


class Scaler:
    """The rule of `simsplit.serving.QueueScaling`; looks only while somebody waits."""

    def __init__(self, env: simpy.Environment, spec: QueueScaling, server: Scalable) -> None:
        self.env, self.spec, self._server = env, spec, server
        self._watching = False

    def notice(self) -> None:
        """Somebody waits: look at the coming checks, until nobody does."""
        if not self._watching:
            self._watching = True
            self.env.process(self._watch())

    def patience_s(self, idle_since_s: float) -> float:
        """Seconds from now after which an idle worker goes off."""
        return max(0.0, idle_since_s + self.spec.scale_down_after_s - self.env.now)

    def may_stop(self, workers: int) -> bool:
        """One of so many that are on may go off."""
        return workers > self.spec.min_workers

    def _watch(self) -> Generator[simpy.Event, Any, None]:
        while self._server.queued:
            yield self.env.timeout(self._to_next_check_s())
            self._check()
        self._watching = False

    def _to_next_check_s(self) -> float:
        period_s = self.spec.check_period_s
        left_s = (math.floor(self.env.now / period_s) + 1) * period_s - self.env.now
        return left_s if left_s > 1e-9 * period_s else period_s

    def _check(self) -> None:
        server, spec = self._server, self.spec
        while server.alive < spec.max_workers and server.queued >= spec.scale_up_at * server.alive:
            server.start_worker(spec.start_up_s)


def scaler(env: simpy.Environment, spec: Scaling, server: Scalable) -> Scaler | None:
    """The scaler of a spec; None if all workers are always on."""
    match spec:
        case FixedWorkers():
            return None
        case QueueScaling():
            return Scaler(env, spec, server)
