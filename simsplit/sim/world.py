"""Builds devices, cell and edge from a scenario, runs the clock, and hands back what happened."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from simsplit.phy.link import BlerTable
from simsplit.phy.traces.read import ChannelTrace
from simsplit.scenario.scenario import Scenario
from simsplit.seeds import Cause
from simsplit.sim.decisions import Decisions
from simsplit.sim.device.arrivals import Recorded, arrival_gaps_s, sample_numbers
from simsplit.sim.device.device import Device, DevicePower
from simsplit.sim.device.thermal import ThermalBody
from simsplit.sim.edge.tiers import EdgeServer
from simsplit.sim.informer import Informer
from simsplit.sim.policy.knowledge import Decision
from simsplit.sim.radio.blocks import BlockChannel, TableBlocks
from simsplit.sim.radio.network import Inputs, RadioNetwork
from simsplit.sim.radio.positions import Spot, Tracks, spots
from simsplit.sim.request import Plan, Request
from simsplit.sim.serve import serve
from simsplit.sim.stations import stations, within_window
from simsplit.sim.streams import Streams

REQUESTS_PER_REPLICATION = 10_000_000  # request ids of one replication stay below this
MakeBlocks = Callable[[Sequence[np.random.Generator]], BlockChannel]
"""A generator per device -> fates of the uplink's transport blocks."""


@dataclass(frozen=True)
class Machines:
    """Powers of devices (by group name), of one edge and one cloud worker, in watts; heat.

    ``thermal``: group name → thermal figures, for the groups whose heat counts.
    """

    device: Mapping[str, DevicePower]
    edge_idle_w: float
    edge_compute_w: float
    cloud_idle_w: float = 0.0
    cloud_compute_w: float = 0.0
    thermal: Mapping[str, ThermalBody] = field(default_factory=dict)


@dataclass(frozen=True)
class History:
    """One replication: every request in order of arrival, and what every station did."""

    requests: tuple[Request, ...]
    stations: dict[str, Any]


@dataclass
class Beginning:
    """Where a world begins that is a part of a run.

    Attributes:
        from_s: Requests that come before it are left out.
        offsets_db: SNR offset of each device's outer loop: taken over, and left for the next part.
    """

    from_s: float = 0.0
    offsets_db: dict[int, float] = field(default_factory=dict)


class World:
    """One replication of a scenario.

    Args:
        plans: Operating point → costs.
        machines: Powers.
        table: BLER table (also chooses the MCS).
        traffic: Group → device number in the group → its arrivals, for trace arrivals.
        make_blocks: Builds the exact block channel; None draws block errors from the table.
        channel_trace: The measured channel, for channels of kind ``trace``.
        tracks: Group → device number in the group → recorded positions.
        begin: Where it begins, if it is a part of a run.

    Raises:
        ScenarioError: What the parts refuse: a policy, a path, a trace, a cloud without seconds.
    """

    def __init__(
        self,
        scenario: Scenario,
        plans: Mapping[str, Plan],
        machines: Machines,
        table: BlerTable,
        *,
        replication: int = 0,
        traffic: Mapping[str, Mapping[int, Recorded]] | None = None,
        make_blocks: MakeBlocks | None = None,
        channel_trace: ChannelTrace | None = None,
        tracks: Mapping[str, Tracks] | None = None,
        begin: Beginning | None = None,
    ) -> None:
        self.scenario, self.replication = scenario, replication
        self._begin = begin or Beginning()
        self.env = simpy.Environment()
        self._late = _late_arrivals(traffic, scenario.duration_s)
        self.requests: list[Request] = []
        self._streams = Streams(scenario, replication)
        self._open = 0
        self._all_closed = self.env.event()
        self._arrivals_over = False
        devices = spots(scenario.devices)
        self.devices = [_device(self.env, scenario, spot, plans, machines) for spot in devices]
        self.radio = RadioNetwork(
            self.env,
            scenario.cell,
            self.devices,
            devices,
            Inputs(
                table=table,
                uplink_blocks=self._blocks(Cause.BLOCKS, table, make_blocks),
                downlink_blocks=self._blocks(Cause.DOWNLINK_BLOCKS, table, None),
                random=self._streams.random,
                key=self._streams.key,
                trace=channel_trace,
                tracks=tracks or {},
            ),
        )
        self.uplink, self.downlink = self.radio.uplink, self.radio.downlink
        self.edge = EdgeServer(
            self.env,
            scenario.edge,
            plans,
            idle_w=machines.edge_idle_w,
            compute_w=machines.edge_compute_w,
            cloud_power_w=(machines.cloud_idle_w, machines.cloud_compute_w),
            headers=scenario.cell.headers,
        )
        self.informer = Informer(self.env, scenario.cell, self.radio, self.edge, table)
        self._decisions = Decisions(scenario, self.devices, plans, self._streams, self.informer)
        for spot, device in zip(devices, self.devices, strict=True):
            recorded = (traffic or {}).get(spot.group.name, {}).get(spot.number, Recorded())
            self.env.process(self._arrive(device, recorded))

    def run(self) -> History:
        """Arrivals until ``duration_s``, then drain until all are closed or ``drain_s`` is over."""
        bearers, offsets_db = self.radio.uplink.bearers, self._begin.offsets_db
        for bearer in bearers:
            bearer.offset_db = offsets_db.get(bearer.index, 0.0)
        window_s = self.scenario.duration_s
        self.env.run(until=window_s)
        used = within_window(self.devices, self.radio, self.edge, window_s)
        self._arrivals_over = True
        if self._open:
            drained = self.env.timeout(self.scenario.drain_s)
            self.env.run(until=self.env.any_of([self._all_closed, drained]))
        end_s = float(self.env.now)
        offsets_db |= {bearer.index: bearer.offset_db for bearer in bearers}
        clock = {"replication": self.replication, "window_s": window_s, "end_s": end_s}
        rows = stations(self.devices, self.radio, self.edge, end_s, used)
        return History(tuple(self.requests), clock | self._late | rows)

    def _blocks(
        self, cause: Cause, table: BlerTable, make_blocks: MakeBlocks | None
    ) -> BlockChannel:
        randoms = [self._streams.random(device.index, cause) for device in self.devices]
        if make_blocks is not None:
            return make_blocks(randoms)
        return TableBlocks(table, [rng.random for rng in randoms], self.scenario.cell.harq)

    def _arrive(self, device: Device, recorded: Recorded) -> Generator[simpy.Event, Any, None]:
        rng = self._streams.random(device.index, Cause.ARRIVALS)
        sample_rng = self._streams.random(device.index, Cause.SAMPLES)
        samples = sample_numbers(recorded.samples, self.scenario.task.samples, sample_rng)
        for gap_s in arrival_gaps_s(device.group, recorded.times_s, rng):
            yield self.env.timeout(gap_s)
            if self._arrivals_over or self.env.now >= self.scenario.duration_s:
                return
            sample = next(samples)
            if self.env.now < self._begin.from_s:
                continue
            if device.has_power():
                decision = self._decisions.choose(device, sample)
                request = self._new_request(device, sample, decision)
                self.env.process(self._live(request, device))
            else:  # it counts for the first point
                first = Decision(self.scenario.points_of(device.group)[0].name)
                self._new_request(device, sample, first).close("no_power", self.env.now)

    def _new_request(self, device: Device, sample: int, decision: Decision) -> Request:
        deadline_s = device.group.deadline_s
        request = Request(
            request_id=self.replication * REQUESTS_PER_REPLICATION + len(self.requests),
            replication=self.replication,
            device=device.index,
            group=device.group.name,
            operating_point=decision.point,
            scheme=self.scenario.operating_point(decision.point).scheme,
            sample=sample,
            arrival_s=self.env.now,
            deadline_s=np.nan if deadline_s is None else deadline_s,
            priority=device.group.priority,
            exit_s=decision.exit_s,
        )
        self.requests.append(request)
        return request

    def _live(self, request: Request, device: Device) -> Generator[simpy.Event, Any, None]:
        self._open += 1
        yield from serve(request, device, self.uplink, self.edge, self.downlink)
        self.informer.observe(device, request)
        self._decisions.learn(device, request)
        self._open -= 1
        if self._arrivals_over and self._open == 0 and not self._all_closed.triggered:
            self._all_closed.succeed()


def _device(
    env: simpy.Environment,
    scenario: Scenario,
    spot: Spot,
    plans: Mapping[str, Plan],
    machines: Machines,
) -> Device:
    group = spot.group
    return Device(
        env,
        spot.index,
        group,
        plans,
        machines.device[group.name],
        scenario.cell.drx,
        thermal=machines.thermal.get(group.name),
        battery=group.battery,
        ambient_c=25.0 if group.heat is None else group.heat.ambient_c,
    )


def _late_arrivals(
    traffic: Mapping[str, Mapping[int, Recorded]] | None, duration_s: float
) -> dict[str, dict[str, int]]:
    """``late_arrivals``: group → its recorded arrivals that the run is too short for."""
    late = {
        group: sum(time_s >= duration_s for one in devices.values() for time_s in one.times_s)
        for group, devices in (traffic or {}).items()
    }
    return {"late_arrivals": late}
