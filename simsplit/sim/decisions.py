"""Every device's policy: built, asked with what the device knows, and told how its choice ended."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from simsplit.scenario.policies import EarlyExit, Fixed, Oracle, points_of
from simsplit.seeds import Cause
from simsplit.sim.informer import costs_of, exit_seconds
from simsplit.sim.policy.bandit import reward
from simsplit.sim.policy.knowledge import Decision, Knowledge, Policy
from simsplit.sim.policy.policy import build_policy

if TYPE_CHECKING:
    from simsplit.scenario import policies as specs
    from simsplit.scenario.devices import DeviceGroup
    from simsplit.scenario.scenario import Scenario
    from simsplit.sim.device.device import Device
    from simsplit.sim.informer import Informer
    from simsplit.sim.request import Plan, Request
    from simsplit.sim.streams import Streams


NOTHING = Knowledge(
    now_s=0.0,
    snr_db=np.nan,
    air_s=lambda bits, uses: np.inf,
    queue_s=0.0,
    edge_wait_s=0.0,
    edge_load=1.0,
    downlink_s=0.0,
    deadline_s=np.inf,
    battery_share=1.0,
    compute_w=0.0,
    transmit_w=0.0,
    receive_w=0.0,
    idle_w=0.0,
)
"""What a device knows whose policy does not ask."""


class Decisions:
    """The policies of all devices.

    Args:
        devices: In their order; each gets a policy and a generator of its own.
        plans: Operating point → costs.
        informer: Tells a device what it knows.

    Raises:
        ScenarioError: A policy over points, confidences or classes that are not there.
    """

    def __init__(
        self,
        scenario: Scenario,
        devices: Sequence[Device],
        plans: Mapping[str, Plan],
        streams: Streams,
        informer: Informer,
    ) -> None:
        self._informer = informer
        self.policies = [
            _policy(scenario, device.group, plans, streams.random(device.index, Cause.POLICY))
            for device in devices
        ]

    def choose(self, device: Device, sample: int) -> Decision:
        """The operating point of a request about a sample, by what the device knows now.

        Raises:
            ScenarioError: A policy that needs a deadline and has none, or a user's own that fails.
        """
        return self.policies[device.index].choose(self._knowledge(device), sample)

    def learn(self, device: Device, request: Request) -> None:
        """A request has closed; without a deadline any answer earns the whole reward."""
        limit_s = device.group.deadline_s
        latency_s = request.closed_s - request.arrival_s
        earned = reward(
            latency_s, math.inf if limit_s is None else limit_s, request.status == "done"
        )
        self.policies[device.index].learn(request.operating_point, earned)

    def _knowledge(self, device: Device) -> Knowledge:
        """What the device knows; the truth for the oracle; nothing for those who do not ask."""
        spec = device.group.choice
        if isinstance(spec, Fixed | EarlyExit):
            return NOTHING
        if isinstance(spec, Oracle):
            return self._informer.truth(device)
        return self._informer.knowledge(device)


def _policy(
    scenario: Scenario,
    group: DeviceGroup,
    plans: Mapping[str, Plan],
    rng: np.random.Generator,
) -> Policy:
    """A device's policy over the points that its group may choose from."""
    spec = expanded_policy(scenario, group)
    offered = {point.name: plans[point.name] for point in scenario.points_of(group)}
    exits = exit_seconds(offered, group.machine) if isinstance(spec, EarlyExit) else {}
    return build_policy(
        spec,
        costs_of(offered, group.machine, scenario.cell.headers, true=isinstance(spec, Oracle)),
        rng,
        confidence={name: plan.confidence for name, plan in offered.items() if plan.confidence},
        exit_s=exits,
        path=f"devices.{group.name}.policy",
    )


def expanded_policy(scenario: Scenario, group: DeviceGroup) -> specs.Policy:
    """The group's policy with names of ``split: every`` points written out, in its own order."""
    spec, names = group.choice, []
    for name in points_of(spec):
        cuts = [p.name for p in scenario.operating_points if p.of == name]
        names += cuts or [name]
    return spec.model_copy(update={"points": tuple(names)}) if hasattr(spec, "points") else spec
