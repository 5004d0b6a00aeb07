"""The edge server, which answers requests or sends them on to a cloud with servers of its own.

The hop between them has a capacity and a delay in each direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import simpy

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.scenario.access import Headers, NoHeaders, wired_header_bits
from simsplit.scenario.edge import (
    Cloud,
    Edge,
    OffloadAlways,
    OffloadNever,
    OffloadWhenFull,
    OffloadWhenLate,
)
from simsplit.sim.edge.admission import is_late
from simsplit.sim.edge.server import Server
from simsplit.sim.request import Life, Plan, Request


class Hop:
    """One direction of a link: bits / rate, first come first served, then a fixed delay."""

    def __init__(self, env: simpy.Environment, rate_bps: float, delay_s: float) -> None:
        self.env, self._rate_bps, self._delay_s = env, rate_bps, delay_s
        self._free_at_s = 0.0
        self._busy_s = 0.0
        self.bits = 0

    def carry(self, bits: int) -> Life:
        """Send so many bits; ends when the last one is there."""
        seconds = bits / self._rate_bps
        self._free_at_s = max(self.env.now, self._free_at_s) + seconds
        self._busy_s += seconds
        self.bits += bits
        yield self.env.timeout(self._free_at_s + self._delay_s - self.env.now)

    def busy_s(self, end_s: float) -> float:
        """Seconds of sending (without the delay) up to ``end_s``."""
        return self._busy_s - max(0.0, self._free_at_s - end_s)


class CloudTier:
    """Up the hop, the cloud's queue and batches, down the hop.

    Args:
        plans: Operating point → costs; ``cloud_s`` are the cloud's seconds.
        power_w: Of one worker, idle and computing.
        headers: Of the packets on the hop.

    Raises:
        ScenarioError: An operating point that needs the server has no seconds for the cloud.
    """

    def __init__(
        self,
        env: simpy.Environment,
        spec: Cloud,
        plans: Mapping[str, Plan],
        power_w: tuple[float, float],
        headers: Headers,
    ) -> None:
        self.spec = spec
        self._plans, self._headers = plans, headers
        self.up = Hop(env, spec.rate_bps, spec.delay_s)
        self.down = Hop(env, spec.rate_bps, spec.delay_s)
        far_plans = {name: _on_cloud(name, plan) for name, plan in plans.items()}
        idle_w, compute_w = power_w
        self.server = Server(env, _server(spec), far_plans, idle_w=idle_w, compute_w=compute_w)

    def answer(self, request: Request) -> Life:
        """Send up, serve, send down; ends with the answer at the edge, or with 'rejected'."""
        plan = self._plans[request.operating_point]
        yield from self.up.carry(self._with_headers(self._bits_up(plan, request.sample)))
        yield from self.server.serve(request)
        if request.status != "rejected":
            yield from self.down.carry(self._with_headers(plan.answer_bits[request.sample]))

    def station(self, end_s: float) -> dict[str, Any]:
        """As a server's, and the hop's seconds of sending and bits by direction."""
        return self.server.station(end_s) | {
            "up_busy_s": self.up.busy_s(end_s),
            "down_busy_s": self.down.busy_s(end_s),
            "up_bits": self.up.bits,
            "down_bits": self.down.bits,
        }

    def _with_headers(self, bits: int) -> int:
        return bits + wired_header_bits(self._headers, bits)

    def _bits_up(self, plan: Plan, sample: int) -> int:
        if plan.scheme is Scheme.JSCC:
            return plan.channel_uses[sample] * self.spec.bits_per_symbol
        return plan.payload_bits[sample]


def _on_cloud(name: str, plan: Plan) -> Plan:
    """The plan with the cloud's seconds in place of the edge's."""
    if plan.scheme is not Scheme.LOCAL and not len(plan.cloud_s):
        raise ScenarioError("the operating point has no seconds for the cloud", value=name)
    return replace(
        plan,
        edge_s=plan.cloud_s,
        edge_codec_s=plan.cloud_codec_s,
        edge_share=plan.cloud_share,
    )


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


class EdgeServer(Server):
    """A server, and the cloud behind it if the scenario has one.

    Who goes on to the cloud is decided on arrival, before the edge's own admission. The hop to the
    cloud and back counts from ``edge_arrival_s``; ``edge_start_s``, ``edge_end_s``, the worker and
    the energy are those of the server that computed, which ``tier`` names.

    Args:
        idle_w, compute_w: Power of one worker of the edge.
        cloud_power_w: Idle and compute power of one worker of the cloud; needed if there is one.
        headers: Of the packets on the hop to the cloud; None: no headers.

    Raises:
        ValueError: There is a cloud and no ``cloud_power_w``.
        ScenarioError: As of `CloudTier`.
    """

    def __init__(
        self,
        env: simpy.Environment,
        spec: Edge,
        plans: Mapping[str, Plan],
        *,
        idle_w: float,
        compute_w: float,
        cloud_power_w: tuple[float, float] | None = None,
        headers: Headers | None = None,
    ) -> None:
        super().__init__(env, spec, plans, idle_w=idle_w, compute_w=compute_w)
        self.cloud: CloudTier | None = None
        if spec.cloud is not None:
            if cloud_power_w is None:
                raise ValueError("a cloud needs cloud_power_w")
            packets = headers or NoHeaders(kind="none")
            self.cloud = CloudTier(env, spec.cloud, plans, cloud_power_w, packets)

    def answer(self, request: Request) -> Life:
        """Answer here or in the cloud; ends with the answer, or with status 'rejected'."""
        request.edge_arrival_s = self.env.now
        if self.cloud is not None and self._goes_on(self.cloud.spec, request):
            request.tier = "cloud"
            yield from self.cloud.answer(request)
        else:
            request.tier = "edge"
            yield from self.serve(request)

    def _goes_on(self, cloud: Cloud, request: Request) -> bool:
        match cloud.offload:
            case OffloadNever():
                return False
            case OffloadAlways():
                return True
            case OffloadWhenFull(waiting=waiting):
                return not self.workers.some_idle and self.queued >= waiting
            case OffloadWhenLate():
                return is_late(request, self.predicted_end_s(request))
