"""Which requests a server lets in, and how many workers are on: both by what waits before it.

A gate refuses a request before it queues, by its predicted end or by a rate. A scaler starts
workers while requests wait, each after a start-up in seconds, and lets idle ones go off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from typing import Any, Protocol

import simpy

from simsplit.scenario.edge import (
    Admission,
    AdmitAll,
    DeadlineAdmission,
    FixedWorkers,
    QueueScaling,
    RateAdmission,
    Scaling,
)
from simsplit.sim.edge.queue import Job
from simsplit.sim.request import Request

ROUNDING = 1e-9  # a token that came back to within rounding is whole
Gate = Callable[[Job], bool]


# --- who is let in ----------------------------------------------------------------------------


class TokenBucket:
    """``rate_hz`` tokens a second, at most ``burst`` saved; full at the start."""

    def __init__(self, rate_hz: float, burst: int) -> None:
        self._rate_hz, self._burst = rate_hz, burst
        self._tokens, self._at_s = float(burst), 0.0

    def take(self, now_s: float) -> bool:
        """Take a token if there is one at ``now_s``; times must not go back."""
        saved = self._tokens + (now_s - self._at_s) * self._rate_hz
        self._tokens, self._at_s = min(saved, float(self._burst)), now_s
        if self._tokens < 1.0 - ROUNDING:
            return False
        self._tokens -= 1.0
        return True


def is_late(request: Request, end_s: float) -> bool:
    """An answer at ``end_s`` misses the deadline; never without one."""
    return not math.isnan(request.deadline_s) and end_s > request.arrival_s + request.deadline_s


def build_gate(
    env: simpy.Environment, spec: Admission, predicted_end_s: Callable[[Job], float]
) -> Gate:
    """The rule of a spec: True if this job may come in now.

    ``predicted_end_s``: job → when it would have its answer.
    """
    match spec:
        case AdmitAll():
            return lambda _: True
        case DeadlineAdmission():
            return lambda job: not is_late(job.request, predicted_end_s(job))
        case RateAdmission():
            bucket = TokenBucket(spec.rate_hz, spec.burst)
            return lambda _: bucket.take(env.now)


# --- how many workers -------------------------------------------------------------------------


class Scalable(Protocol):
    """A server as a scaler sees it: what it watches, and what it can do."""

    @property
    def queued(self) -> int:
        """Requests that no worker has taken yet."""

    @property
    def alive(self) -> int:
        """Workers that are on or starting."""

    def start_worker(self, start_up_s: float) -> None:
        """Switch on one more worker, which serves after ``start_up_s``."""


class Scaler:
    """The rule of `simsplit.scenario.edge.QueueScaling`; looks only while somebody waits."""

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
        """True if one of so many that are on may go off."""
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


def build_scaler(env: simpy.Environment, spec: Scaling, server: Scalable) -> Scaler | None:
    """The scaler of a spec; None if all workers are always on."""
    match spec:
        case FixedWorkers():
            return None
        case QueueScaling():
            return Scaler(env, spec, server)
