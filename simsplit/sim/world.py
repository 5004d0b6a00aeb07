"""Builds devices, cell and edge from a scenario, runs the clock, and hands back what happened."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from simsplit.phy.link import BlerTable
from simsplit.scenario import DeviceGroup, Scenario
from simsplit.seeds import Cause, generator
from simsplit.sim.cell import BlockChannel, Downlink, TableBlocks, Uplink
from simsplit.sim.device import Device, DevicePower, arrival_gaps_s
from simsplit.sim.edge import EdgeServer
from simsplit.sim.place import build_snr_sources
from simsplit.sim.request import Plan, Request, serve

REQUESTS_PER_REPLICATION = 10_000_000  # request ids of one replication stay below this
MakeBlocks = Callable[[Sequence[np.random.Generator]], BlockChannel]


@dataclass(frozen=True)
class Machines:
    """Powers by hardware name (devices, by group name) and of one edge worker, in watts."""

    device: Mapping[str, DevicePower]
    edge_idle_w: float
    edge_compute_w: float


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
        traces_s: Group → device number in the group → arrival times, for trace arrivals.
        make_blocks: Builds the exact block channel; None draws block errors from the table.
    """

    def __init__(
        self,
        scenario: Scenario,
        plans: Mapping[str, Plan],
        machines: Machines,
        table: BlerTable,
        *,
        replication: int = 0,
        traces_s: Mapping[str, Mapping[int, Sequence[float]]] | None = None,
        make_blocks: MakeBlocks | None = None,
    ) -> None:
        self.scenario = scenario
        self.replication = replication
        self.env = simpy.Environment()
        self.requests: list[Request] = []
        self._open = 0
        self._all_closed = self.env.event()
        self._arrivals_over = False
        self.devices = self._make_devices(plans, machines)
        self.uplink = self._make_uplink(table, make_blocks)
        self.edge = EdgeServer(
            self.env,
            scenario.edge,
            plans,
            idle_w=machines.edge_idle_w,
            compute_w=machines.edge_compute_w,
        )
        down = scenario.cell.downlink
        self.downlink = Downlink(self.env, down.rate_bps, down.latency_s)
        self._start_arrivals(traces_s or {})

    def random(self, device: int, cause: Cause) -> np.random.Generator:
        """The generator of one device and cause in this replication."""
        return generator(self.scenario.seed, self.replication, device, cause)

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
                devices.append(Device(self.env, len(devices), group, plans, power))
        return devices

    def _make_uplink(self, table: BlerTable, make_blocks: MakeBlocks | None) -> Uplink:
        randoms = [self.random(device.index, Cause.BLOCKS) for device in self.devices]
        blocks: BlockChannel
        if make_blocks is None:
            blocks = TableBlocks(table, [rng.random for rng in randoms])
        else:
            blocks = make_blocks(randoms)
        groups = [device.group for device in self.devices]
        seed, replication = self.scenario.seed, self.replication
        keys = [(seed, replication, d.index, int(Cause.FADING)) for d in self.devices]
        sources = build_snr_sources(self.scenario.cell, groups, self.random, keys)
        return Uplink(self.env, self.scenario.cell, table, blocks, sources)

    def _start_arrivals(self, traces_s: Mapping[str, Mapping[int, Sequence[float]]]) -> None:
        for number, device in _numbered(self.devices):
            trace_s = traces_s.get(device.group.name, {}).get(number, ())
            self.env.process(self._arrive(device, device.group, trace_s))

    def _arrive(
        self, device: Device, group: DeviceGroup, trace_s: Sequence[float]
    ) -> Generator[simpy.Event, Any, None]:
        rng = self.random(device.index, Cause.ARRIVALS)
        samples = self.random(device.index, Cause.SAMPLES)
        for gap_s in arrival_gaps_s(group, device.index, trace_s, rng):
            yield self.env.timeout(gap_s)
            if self._arrivals_over or self.env.now >= self.scenario.duration_s:
                return
            request = self._new_request(device, int(samples.integers(self.scenario.task.samples)))
            if device.has_power():
                self.env.process(self._live(request, device))
            else:
                request.close("no_power", self.env.now)

    def _new_request(self, device: Device, sample: int) -> Request:
        request_id = self.replication * REQUESTS_PER_REPLICATION + len(self.requests)
        point = device.policy.choose()
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
        )
        self.requests.append(request)
        return request

    def _live(self, request: Request, device: Device) -> Generator[simpy.Event, Any, None]:
        self._open += 1
        yield from serve(request, device, self.uplink, self.edge, self.downlink)
        self._open -= 1
        if self._arrivals_over and self._open == 0 and not self._all_closed.triggered:
            self._all_closed.succeed()

    def _stations(self) -> dict[str, Any]:
        end_s = float(self.env.now)
        cell = self.scenario.cell
        return {
            "replication": self.replication,
            "window_s": self.scenario.duration_s,
            "end_s": end_s,
            "devices": [_device_station(device, end_s) for device in self.devices],
            "radio": {
                "prb_slots_used": self.uplink.use.prb_slots_used,
                "prb_slots_total": cell.resource_blocks * end_s / cell.slot_s,
            },
            "edge": _edge_station(self.edge, end_s),
        }


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
    processor, radio = device.processor, device.radio
    processor.close(end_s)
    radio.close(end_s)
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
        "total_j": device.energy_j,
    }


def _edge_station(edge: EdgeServer, end_s: float) -> dict[str, Any]:
    for ledger in edge.workers:
        ledger.close(end_s)
    return {
        "workers": len(edge.workers),
        "busy_s": sum(ledger.seconds["compute"] for ledger in edge.workers),
        "idle_s": sum(ledger.seconds["idle"] for ledger in edge.workers),
        "idle_j": sum(ledger.joules("idle") for ledger in edge.workers),
        "compute_j": sum(ledger.joules("compute") for ledger in edge.workers),
        "total_j": sum(ledger.total_j for ledger in edge.workers),
    }
