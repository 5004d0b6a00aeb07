"""The edge server: answers requests itself, or sends them on to the cloud behind it."""

from __future__ import annotations

from collections.abc import Mapping

import simpy

from simsplit.serving import (
    Cloud,
    Edge,
    OffloadAlways,
    OffloadNever,
    OffloadWhenFull,
    OffloadWhenLate,
)
from simsplit.sim.admission import is_late
from simsplit.sim.cloud import CloudTier
from simsplit.sim.request import Life, Plan, Request
from simsplit.sim.server import Server


class EdgeServer(Server):
    """A server, and the cloud behind it if the scenario has one.

    Who goes on to the cloud is decided on arrival, before the edge's own admission. The hop to the
    cloud and back counts from ``edge_arrival_s``; ``edge_start_s``, ``edge_end_s``, the worker and
    the energy are those of the server that computed, which ``tier`` names.

    Args:
        idle_w, compute_w: Power of one worker of the edge.
        cloud_power_w: Idle and compute power of one worker of the cloud; needed if there is one.
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
    ) -> None:
        super().__init__(env, spec, plans, idle_w=idle_w, compute_w=compute_w)
        self.cloud: CloudTier | None = None
        if spec.cloud is not None:
            if cloud_power_w is None:
                raise ValueError("a cloud needs cloud_power_w")
            self.cloud = CloudTier(env, spec.cloud, plans, cloud_power_w)

    def answer(self, request: Request) -> Life:
        """Ends with the answer, or with status 'rejected'."""
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
                return not self._idle and self.queued >= waiting
            case OffloadWhenLate():
                return is_late(request, self.predicted_end_s(request))
