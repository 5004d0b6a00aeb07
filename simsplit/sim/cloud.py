"""The cloud behind the edge: a second hop with delay and capacity, and servers of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import simpy

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.serving import Cloud, Edge
from simsplit.sim.request import Life, Plan, Request
from simsplit.sim.server import Server


class Hop:
    """One direction of a link: bits / rate, first come first served, then a fixed delay."""

    def __init__(self, env: simpy.Environment, rate_bps: float, delay_s: float) -> None:
        self.env, self._rate_bps, self._delay_s = env, rate_bps, delay_s
        self._free_at_s = 0.0
        self._busy_s = 0.0
        self.bits = 0

    def carry(self, bits: int) -> Life:
        """Ends when the last bit is there."""
        seconds = bits / self._rate_bps
        self._free_at_s = max(self.env.now, self._free_at_s) + seconds
        self._busy_s += seconds
        self.bits += bits
        yield self.env.timeout(self._free_at_s + self._delay_s - self.env.now)

    def busy_s(self, end_s: float) -> float:
        """Seconds of sending up to ``end_s``."""
        return self._busy_s - max(0.0, self._free_at_s - end_s)


class CloudTier:
    """Up the hop, the cloud's queue and batches, down the hop.

    Args:
        plans: Operating point → costs; ``cloud_s`` are the cloud's seconds.
        power_w: Of one worker, idle and computing.

    Raises:
        ScenarioError: An operating point that needs the server has no seconds for the cloud.
    """

    def __init__(
        self,
        env: simpy.Environment,
        spec: Cloud,
        plans: Mapping[str, Plan],
        power_w: tuple[float, float],
    ) -> None:
        self.spec = spec
        self._plans = plans
        self.up = Hop(env, spec.rate_bps, spec.delay_s)
        self.down = Hop(env, spec.rate_bps, spec.delay_s)
        there = {name: _there(name, plan) for name, plan in plans.items()}
        self.server = Server(env, _server(spec), there, idle_w=power_w[0], compute_w=power_w[1])

    def answer(self, request: Request) -> Life:
        """Ends with the answer at the edge, or with status 'rejected'."""
        plan = self._plans[request.operating_point]
        yield from self.up.carry(self._bits_up(plan, request.sample))
        yield from self.server.serve(request)
        if request.status != "rejected":
            yield from self.down.carry(plan.answer_bits[request.sample])

    def station(self, end_s: float) -> dict[str, Any]:
        """As a server's, and the hop's seconds of sending and bits by direction."""
        return self.server.station(end_s) | {
            "up_busy_s": self.up.busy_s(end_s),
            "down_busy_s": self.down.busy_s(end_s),
            "up_bits": self.up.bits,
            "down_bits": self.down.bits,
        }

    def _bits_up(self, plan: Plan, sample: int) -> int:
        if plan.scheme is Scheme.JSCC:
            return plan.channel_uses[sample] * self.spec.bits_per_symbol
        return plan.payload_bits[sample]


def _there(name: str, plan: Plan) -> Plan:
    if plan.scheme is not Scheme.LOCAL and not len(plan.cloud_s):
        raise ScenarioError("the operating point has no seconds for the cloud", value=name)
    return replace(plan, edge_s=plan.cloud_s)


def _server(spec: Cloud) -> Edge:
    """The cloud's servers as a server's spec."""
    return Edge(
        hardware=spec.hardware,
        workers=spec.workers,
        max_batch=spec.max_batch,
        max_wait_s=spec.max_wait_s,
        queue_capacity=spec.queue_capacity,
        discipline=spec.discipline,
    )
