"""What a simulation is handed: costs of every operating point, machines, tables and traces.

Seconds on a machine: its measured profile if it holds the network, else the roofline. What devices
believe, and so what their policies decide on: the machine's latency predictor if it names one.
Codecs cost what `simsplit.study.codings` says, for the simulation and for every belief alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from simsplit.hardware.machine import machine
from simsplit.hardware.roofline import Hardware, load_hardware
from simsplit.messages import Prepared, Scheme, Workload
from simsplit.phy.analog import papr_db
from simsplit.phy.link import BlerTable
from simsplit.scenario.channel import TraceChannel
from simsplit.scenario.devices import DeviceGroup, TraceArrivals
from simsplit.scenario.operating_points import OperatingPoint
from simsplit.scenario.places import bler_table_file
from simsplit.scenario.scenario import Scenario
from simsplit.sim.device.arrivals import Recording
from simsplit.sim.device.receiver import ReceiverPower
from simsplit.sim.device.thermal import thermal_body
from simsplit.sim.radio.frame import elements_of, open_trace
from simsplit.sim.request import Plan
from simsplit.study.codings import codings_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from simsplit.hardware.machine import Machine
    from simsplit.phy.link import BlerTable
    from simsplit.phy.traces.read import ChannelTrace
    from simsplit.sim.device.arrivals import Recorded
    from simsplit.sim.device.device import DevicePower
    from simsplit.sim.world import Machines, MakeBlocks


class Workloads(Protocol):
    """What knows the operators of every operating point (a pipeline)."""

    def workload(self, name: str) -> Workload:
        """Operators of an operating point on either side of its cut."""


def make_plans(
    scenario: Scenario, pipeline: Workloads, prepared: Mapping[str, Prepared]
) -> dict[str, Plan]:
    """Operating point → what it costs on this scenario's machines."""
    return {
        point.name: _plan(scenario, point, pipeline.workload(point.name), prepared[point.name])
        for point in scenario.operating_points
    }


def _plan(scenario: Scenario, point: OperatingPoint, work: Workload, prepared: Prepared) -> Plan:
    is_local = point.scheme is Scheme.LOCAL
    sent = prepared.answer_bits if is_local else prepared.payload_bits
    names = sorted({group.machine for group in scenario.devices})
    machines = {name: machine(name) for name in names}
    edge, network = machine(scenario.edge.hardware), work.network
    head = work.local if is_local and not point.exit else work.device
    codings, cloud = codings_of(point, work, prepared), scenario.edge.cloud
    return Plan(
        scheme=point.scheme,
        payload_bits=sent.tolist(),
        channel_uses=prepared.channel_uses.tolist(),
        answer_bits=prepared.answer_bits.tolist(),
        device_s={n: m.seconds(head, network) for n, m in machines.items()},
        local_s={n: m.seconds(work.local, network) for n, m in machines.items()},
        edge_s=_batches(edge, work, scenario.edge.max_batch),
        payloads=prepared.payloads,
        send_result=point.send_result,
        airtime_s=point.airtime_s,
        min_symbols=point.min_symbols,
        papr_db=None if prepared.symbols is None else Papr(prepared.symbols),
        cloud_s=_cloud_batches(scenario, work),
        tail=work.tail,
        believed_device_s={n: m.believed_s(head, network) for n, m in machines.items()},
        believed_edge_s=edge.believed_s(work.edge, network),
        exit_s=_exit_s(machines, work),
        edge_share=_shares(edge, work, scenario.edge.max_batch),
        cloud_share=_cloud_shares(scenario, work),
        confidence=() if prepared.confidence is None else prepared.confidence.tolist(),
        encode_s={n: codings.encode_s(m) for n, m in machines.items()},
        read_answer_s={n: codings.answer_s(m) for n, m in machines.items()},
        edge_codec_s=codings.server_s(edge),
        cloud_codec_s=() if cloud is None else codings.server_s(machine(cloud.hardware)),
    )


def _exit_s(machines: Mapping[str, Machine], work: Workload) -> dict[str, float]:
    """Machine → seconds of an exit's head; empty if the network has no exit."""
    if not work.exit_head:
        return {}
    return {n: m.seconds(work.exit_head, work.network) for n, m in machines.items()}


def _batches(server: Machine, work: Workload, max_batch: int) -> list[float]:
    """Seconds of decoder + tail for batches of 1, 2, …"""
    return [server.seconds(work.edge, work.network, n) for n in range(1, max_batch + 1)]


def _cloud_batches(scenario: Scenario, work: Workload) -> list[float]:
    cloud = scenario.edge.cloud
    if cloud is None:
        return []
    return _batches(machine(cloud.hardware), work, cloud.max_batch)


def _shares(server: Machine, work: Workload, max_batch: int) -> list[float]:
    """Share of the roofline that batches of 1, 2, … reach in decoder + tail."""
    return [server.reached_share(work.edge, batch) for batch in range(1, max_batch + 1)]


def _cloud_shares(scenario: Scenario, work: Workload) -> list[float]:
    cloud = scenario.edge.cloud
    return [] if cloud is None else _shares(machine(cloud.hardware), work, cloud.max_batch)


class Papr:
    """PAPR in dB of a sample's JSCC symbols on the subcarriers of its grant, remembered.

    Args:
        symbols: ``(samples, k)`` complex.
    """

    def __init__(self, symbols: NDArray[np.complexfloating]) -> None:
        self._symbols = symbols
        self._known: dict[tuple[int, int], float] = {}

    def __call__(self, sample: int, n_prb: int) -> float:
        """Of this sample on so many resource blocks of 12 subcarriers."""
        key = (sample, n_prb)
        if key not in self._known:
            self._known[key] = papr_db(self._symbols[sample], 12 * n_prb)
        return self._known[key]


def machines(scenario: Scenario) -> Machines:
    """Powers and heat of the devices, by group, and powers of one edge and one cloud worker."""
    from simsplit.sim.world import Machines

    hardware = {group.name: group_hardware(group) for group in scenario.devices}
    edge, cloud = load_hardware(scenario.edge.hardware), scenario.edge.cloud
    far = None if cloud is None else load_hardware(cloud.hardware)
    return Machines(
        {name: _device_power(found) for name, found in hardware.items()},
        edge.idle_w,
        edge.compute_w,
        cloud_idle_w=0.0 if far is None else far.idle_w,
        cloud_compute_w=0.0 if far is None else far.compute_w,
        thermal={
            group.name: thermal_body(
                group.heat, hardware[group.name].thermal, f"devices.{group.name}.heat"
            )
            for group in scenario.devices
            if group.heat is not None
        },
    )


def group_hardware(group: DeviceGroup) -> Hardware:
    """A group's hardware at its frequency level."""
    hardware = load_hardware(group.hardware)
    return hardware if group.dvfs is None else hardware.at_level(group.dvfs)


def _device_power(hardware: Hardware) -> DevicePower:
    from simsplit.sim.device.device import DevicePower

    radio = hardware.radio
    assert radio is not None  # checked when the scenario was loaded
    unit_w = radio.listen_w / 100  # TR 38.840 clause 8.1.3: listening takes 100 units
    receiver = ReceiverPower(
        radio.rx_w,
        radio.listen_w,
        radio.sleep_w,
        radio.sleep_transition_j,
        light_w=20 * unit_w,
        light_transition_j=radio.sleep_transition_j * 100 / 450,
        micro_w=45 * unit_w,
    )
    return DevicePower(
        hardware.idle_w, hardware.compute_w, radio.pa_efficiency, radio.tx_circuit_w, receiver
    )


def open_bler_table() -> BlerTable:
    """The table of block errors; opened once per process (what it remembers is its own)."""
    path = bler_table_file()
    return _bler_table(path, path.stat().st_mtime_ns if path.is_file() else 0)


@lru_cache(maxsize=2)
def _bler_table(path: Path, mtime_ns: int) -> BlerTable:
    return BlerTable.load(path)


def _block_channel(scenario: Scenario, table: BlerTable) -> MakeBlocks | None:
    """How the fates of uplink blocks come about; None: from the table alone."""
    cell = scenario.cell
    if cell.fidelity == "table" and cell.outside_table == "error":
        return None
    from simsplit.phy.coded import CodedLink
    from simsplit.sim.radio.blocks import TableBlocks
    from simsplit.sim.radio.exact_blocks import ExactBlocks, ExactOutside

    link = CodedLink(scenario.seed, *elements_of(cell, is_downlink=False), cell.demapper)
    if cell.fidelity == "exact":
        return lambda randoms: ExactBlocks(link, randoms, cell.harq)
    return lambda randoms: ExactOutside(
        TableBlocks(table, [rng.random for rng in randoms], cell.harq),
        ExactBlocks(link, randoms, cell.harq),
        cell.harq,
    )


def read_channel_trace(scenario: Scenario) -> ChannelTrace | None:
    """The measured channel of a scenario, if it has one (see phy/traces/read.py)."""
    spec = scenario.cell.channel
    return open_trace(spec) if isinstance(spec, TraceChannel) else None


def read_traces(scenario: Scenario, replication: int = 0) -> dict[str, dict[int, Recorded]]:
    """Recorded arrivals by group and device number (see `simsplit.sim.device.arrivals`)."""
    return {
        group.name: Recording(
            group.arrivals.file,
            f"devices.{group.name}.arrivals.file",
            group.name,
            group.count,
            scenario.task.samples,
        ).of(replication)
        for group in scenario.devices
        if isinstance(group.arrivals, TraceArrivals)
    }
