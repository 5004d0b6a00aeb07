"""Builds devices, cell and edge from a scenario, runs the clock, and hands back what happened."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from simsplit.phy.link import BlerTable
from simsplit.phy.trace import ChannelTrace
from simsplit.policies import EarlyExit, Fixed, Oracle, Policy, points_of
from simsplit.scenario import DeviceGroup, Scenario
from simsplit.seeds import Cause, device_streams, generator
from simsplit.sim.blocks import BlockChannel, TableBlocks
from simsplit.sim.cell import SharedChannel
from simsplit.sim.decision import Decision
from simsplit.sim.device import Device, DevicePower, arrival_gaps_s
from simsplit.sim.edge import EdgeServer
from simsplit.sim.frame import downlink_share, uplink_share
from simsplit.sim.informer import Informer, costs_of, exit_seconds
from simsplit.sim.knowledge import Knowledge
from simsplit.sim.place import Positions
from simsplit.sim.policy import build_policy, reward
from simsplit.sim.radio_network import Inputs, RadioNetwork
from simsplit.sim.request import Plan, Request, serve
from simsplit.sim.thermal import ThermalBody
from simsplit.sim.traffic import Recorded

REQUESTS_PER_REPLICATION = 10_000_000  # request ids of one replication stay below this
MakeBlocks = Callable[[Sequence[np.random.Generator]], BlockChannel]


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
    """One replication: every request, and the busy times and energies of every station."""

    requests: tuple[Request, ...]
    stations: dict[str, Any]


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
        tracks: Mapping[str, Positions] | None = None,
    ) -> None:
        self.scenario = scenario
        self.replication = replication
        self._streams = device_streams([group.count for group in scenario.devices])
        self.env = simpy.Environment()
        self.requests: list[Request] = []
        self._open = 0
        self._all_closed = self.env.event()
        self._arrivals_over = False
        self.devices = self._make_devices(plans, machines)
        self.radio = RadioNetwork(
            self.env,
            scenario.cell,
            self.devices,
            [number for number, _ in _numbered(self.devices)],
            _places(self.devices),
            Inputs(
                table,
                self._blocks(Cause.BLOCKS, table, make_blocks),
                self._blocks(Cause.DOWNLINK_BLOCKS, table, None),
                self.random,
                self._key,
                channel_trace,
                tracks or {},
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
        )
        self._informer = Informer(self.env, scenario.cell, self.radio, self.edge, table)
        for device in self.devices:
            device.policy = self._policy(device, plans)
        self._start_arrivals(traffic or {})

    def random(self, device: int, cause: Cause, part: int = 0) -> np.random.Generator:
        """The generator of one device and cause (and site or chunk) in this replication."""
        return generator(*self._key(device, cause, part))

    def _key(self, device: int, cause: Cause, part: int = 0) -> tuple[int, ...]:
        key = (self.scenario.seed, self.replication, self._streams[device], int(cause))
        return (*key, part) if part else key

    def run(self) -> History:
        """Arrivals until ``duration_s``, then drain until all are closed or ``drain_s`` is over."""
        self.env.run(until=self.scenario.duration_s)
        self._arrivals_over = True
        if self._open:
            drained = self.env.timeout(self.scenario.drain_s)
            self.env.run(until=self.env.any_of([self._all_closed, drained]))
        return History(tuple(self.requests), self._stations())

    def _make_devices(self, plans: Mapping[str, Plan], machines: Machines) -> list[Device]:
        devices: list[Device] = []
        for group in self.scenario.devices:
            power = machines.device[group.name]
            for _ in range(group.count):
                drx = self.scenario.cell.drx
                device = Device(
                    self.env,
                    len(devices),
                    group,
                    plans,
                    power,
                    drx,
                    thermal=machines.thermal.get(group.name),
                    battery=group.battery,
                    ambient_c=25.0 if group.heat is None else group.heat.ambient_c,
                )
                devices.append(device)
        return devices

    def _policy(self, device: Device, plans: Mapping[str, Plan]) -> Any:
        """The device's own policy over the points that its group may choose from."""
        spec = expanded_policy(self.scenario, device.group)
        names = [point.name for point in self.scenario.points_of(device.group)]
        offered = {name: plans[name] for name in names}
        machine, exits = device.group.machine, {}
        if isinstance(spec, EarlyExit):
            exits = exit_seconds(offered, machine)
        return build_policy(
            spec,
            costs_of(offered, machine, true=isinstance(spec, Oracle)),
            self.random(device.index, Cause.POLICY),
            confidence={name: plan.confidence for name, plan in offered.items() if plan.confidence},
            exit_s=exits,
            path=f"devices.{device.group.name}.policy",
        )

    def _told(self, device: Device) -> Knowledge:
        """What the device knows; the truth for the oracle; nothing for those who do not ask."""
        spec = device.group.choice
        if isinstance(spec, Fixed | EarlyExit):
            return NOTHING
        if isinstance(spec, Oracle):
            return self._informer.truth(device)
        return self._informer.knowledge(device)

    def _blocks(
        self, cause: Cause, table: BlerTable, make_blocks: MakeBlocks | None
    ) -> BlockChannel:
        randoms = [self.random(device.index, cause) for device in self.devices]
        if make_blocks is not None:
            return make_blocks(randoms)
        return TableBlocks(table, [rng.random for rng in randoms], self.scenario.cell.harq)

    def _start_arrivals(self, traffic: Mapping[str, Mapping[int, Recorded]]) -> None:
        for number, device in _numbered(self.devices):
            recorded = traffic.get(device.group.name, {}).get(number, Recorded())
            self.env.process(self._arrive(device, device.group, recorded))

    def _arrive(
        self, device: Device, group: DeviceGroup, recorded: Recorded
    ) -> Generator[simpy.Event, Any, None]:
        rng = self.random(device.index, Cause.ARRIVALS)
        samples = self._samples(device, recorded)
        for gap_s in arrival_gaps_s(group, device.index, recorded.times_s, rng):
            yield self.env.timeout(gap_s)
            if self._arrivals_over or self.env.now >= self.scenario.duration_s:
                return
            sample = next(samples)
            if device.has_power():
                decision = device.policy.choose(self._told(device), sample)
                request = self._new_request(device, sample, decision)
                self.env.process(self._live(request, device))
            else:
                self._new_request(device, sample).close("no_power", self.env.now)

    def _samples(self, device: Device, recorded: Recorded) -> Iterator[int]:
        """Which sample each request is about: recorded, or drawn from those that circulate."""
        yield from recorded.samples
        rng = self.random(device.index, Cause.SAMPLES)
        while True:
            yield int(rng.integers(self.scenario.task.samples))

    def _new_request(
        self, device: Device, sample: int, decision: Decision | None = None
    ) -> Request:
        """A request's record; without a decision (no power) it counts for the first point."""
        request_id = self.replication * REQUESTS_PER_REPLICATION + len(self.requests)
        if decision is None:
            decision = Decision(self.scenario.points_of(device.group)[0].name)
        point = decision.point
        request = Request(
            request_id,
            self.replication,
            device.index,
            device.group.name,
            point,
            self.scenario.operating_point(point).scheme,
            sample,
            self.env.now,
            np.nan if device.group.deadline_s is None else device.group.deadline_s,
            priority=device.group.priority,
            exit_s=decision.exit_s,
        )
        self.requests.append(request)
        return request

    def _live(self, request: Request, device: Device) -> Generator[simpy.Event, Any, None]:
        self._open += 1
        yield from serve(request, device, self.uplink, self.edge, self.downlink)
        self._informer.observe(device, request)
        self._teach(request, device)
        self._open -= 1
        if self._arrivals_over and self._open == 0 and not self._all_closed.triggered:
            self._all_closed.succeed()

    def _teach(self, request: Request, device: Device) -> None:
        """The policy hears how its choice ended; without a deadline any answer earns the whole."""
        limit_s = device.group.deadline_s
        latency_s = request.closed_s - request.arrival_s
        earned = reward(
            latency_s, math.inf if limit_s is None else limit_s, request.status == "done"
        )
        device.policy.learn(request.operating_point, earned)

    def _stations(self) -> dict[str, Any]:
        end_s = float(self.env.now)
        stations = {
            "replication": self.replication,
            "window_s": self.scenario.duration_s,
            "end_s": end_s,
            "devices": [_device_station(device, end_s) for device in self.devices],
            "radio": self._radio_station(self.uplink, uplink_share(self.radio.frame), end_s),
            "handovers": sum(self.radio.association.handovers),
            "edge": self.edge.station(end_s),
        }
        if self.edge.cloud is not None:
            stations["cloud"] = self.edge.cloud.station(end_s)
        if isinstance(self.downlink, SharedChannel):
            share = downlink_share(self.radio.frame)
            stations["downlink"] = self._radio_station(self.downlink, share, end_s)
        return stations

    def _radio_station(self, channel: SharedChannel, share: float, end_s: float) -> dict[str, Any]:
        """Resource blocks x slots used, and there, of one direction of all sites."""
        slots = end_s / self.scenario.cell.slot_s * share
        return {
            "prb_slots_used": channel.use.prb_slots_used,
            "passed_bits": sum(bearer.passed_bits for bearer in channel.bearers),
            "prb_slots_total": channel.n_prb * channel.air.n_sites * slots,
        }


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


def expanded_policy(scenario: Scenario, group: DeviceGroup) -> Policy:
    """The group's policy with names of ``split: every`` points written out, in its own order."""
    spec, names = group.choice, []
    for name in points_of(spec):
        cuts = [p.name for p in scenario.operating_points if p.of == name]
        names += cuts or [name]
    return spec.model_copy(update={"points": tuple(names)}) if hasattr(spec, "points") else spec


def _places(devices: Sequence[Device]) -> list[int]:
    """Whose place and fading each device has: its own, or that of its ``place_group``'s device."""
    first: dict[str, int] = {}
    for device in devices:
        first.setdefault(device.group.name, device.index)
    return [
        first[device.group.place_group or device.group.name] + number
        for number, device in _numbered(devices)
    ]


def _numbered(devices: Sequence[Device]) -> list[tuple[int, Device]]:
    """Each device with its number within its group."""
    seen: dict[str, int] = {}
    numbered = []
    for device in devices:
        number = seen.get(device.group.name, 0)
        seen[device.group.name] = number + 1
        numbered.append((number, device))
    return numbered


def _device_station(device: Device, end_s: float) -> dict[str, Any]:
    extra = device.station_extra()
    processor, radio, receiver = device.processor, device.radio, device.receiver.ledger
    processor.close(end_s)
    radio.book("off", end_s - radio.seconds["transmit"])
    device.receiver.close(end_s)
    return {
        "device": device.index,
        "group": device.group.name,
        "busy_s": processor.seconds["compute"],
        "idle_s": processor.seconds["idle"],
        "transmit_s": radio.seconds["transmit"],
        "radio_off_s": radio.seconds["off"],
        "idle_j": processor.joules("idle"),
        "compute_j": processor.joules("compute"),
        "transmit_j": radio.joules("transmit"),
        "receive_s": receiver.seconds["receive"],
        "listen_s": receiver.seconds["listen"],
        "sleep_s": receiver.seconds["sleep"],
        "receive_j": receiver.joules("receive"),
        "listen_j": receiver.joules("listen"),
        "sleep_j": receiver.joules("sleep"),
        "total_j": device.energy_j,
    } | extra
