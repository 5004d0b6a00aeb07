"""Who is let in."""

from __future__ import annotations

import math
from collections.abc import Callable

import simpy

from simsplit.serving import Admission, AdmitAll, DeadlineAdmission, RateAdmission
from simsplit.sim.request import Request
from simsplit.sim.waiting import Job

ROUNDING = 1e-9  # a token that came back to within rounding is whole
Gate = Callable[[Job], bool]


class TokenBucket:
    """``rate_hz`` tokens a second, at most ``burst`` saved; full at the start."""

    def __init__(self, rate_hz: float, burst: int) -> None:
        self._rate_hz, self._burst = rate_hz, burst
        self._tokens, self._at_s = float(burst), 0.0

    def take(self, now_s: float) -> bool:
        """Takes a token if there is one."""
        saved = self._tokens + (now_s - self._at_s) * self._rate_hz
        self._tokens, self._at_s = min(saved, float(self._burst)), now_s
        if self._tokens < 1.0 - ROUNDING:
            return False
        self._tokens -= 1.0
        return True


def is_late(request: Request, end_s: float) -> bool:
    """An answer at ``end_s`` misses the deadline; never without one."""
    return not math.isnan(request.deadline_s) and end_s > request.arrival_s + request.deadline_s


def gate(env: simpy.Environment, spec: Admission, predicted_end_s: Callable[[Job], float]) -> Gate:
    """The rule of a spec: may this job come in now?"""
    match spec:
        case AdmitAll():
            return lambda _: True
        case DeadlineAdmission():
            return lambda job: not is_late(job.request, predicted_end_s(job))
        case RateAdmission():
            bucket = TokenBucket(spec.rate_hz, spec.burst)
            return lambda _: bucket.take(env.now)
