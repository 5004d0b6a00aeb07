"""What every operating point costs on a scenario's machines: act one's sizes, hardware's seconds.

Seconds on a machine: its measured profile if it holds the network, else the roofline. What devices
believe, and so what their policies decide on: the machine's latency predictor if it names one.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from simsplit.hardware import Hardware, load_hardware
from simsplit.load import models_dir
from simsplit.messages import Prepared, Scheme, Workload
from simsplit.operators import Operators
from simsplit.predictor import LatencyModel, read_model
from simsplit.profiles import Profile, read_profile
from simsplit.scenario import OperatingPoint, Scenario
from simsplit.sim.request import Plan


class Workloads(Protocol):
    """What knows the operators of every operating point (a pipeline)."""

    def workload(self, name: str) -> Workload:
        """Operators of an operating point on either side of its cut."""


class Machine:
    """One hardware file at one frequency level, with what was measured and fitted for it.

    Measured and fitted times are those of the highest level; at a lower one they are longer by the
    ratio that the roofline gives.
    """

    def __init__(self, hardware: Hardware) -> None:
        self.hardware = hardware
        self._highest = hardware.at_level(hardware.levels[-1].name) if hardware.level else hardware
        self._profile: Profile | None = _profile(hardware.profile)
        self._predictor: LatencyModel | None = _predictor(hardware.predictor)

    def seconds(self, work: Operators, network: str, batch: int = 1) -> float:
        """Seconds of one launch: as measured where it was, else by the roofline."""
        if not work:
            return 0.0
        if self._profile is not None and network:
            measured_s = self._profile.seconds(network, [o.name for o in work], batch)
            if measured_s is not None:
                return measured_s * self._slower(work, batch)
        return self.hardware.seconds(work, batch)

    def believed_s(self, work: Operators, network: str) -> float:
        """Seconds of a batch of one as the latency predictor has it; else the true ones."""
        if self._predictor is None or not work:
            return self.seconds(work, network)
        return self._predictor.seconds(work, 1) * self._slower(work, 1)

    def _slower(self, work: Operators, batch: int) -> float:
        """Seconds at this level over those at the highest, both by the roofline."""
        highest_s = self._highest.seconds(work, batch)
        return self.hardware.seconds(work, batch) / highest_s if highest_s > 0 else 1.0


@lru_cache(maxsize=8)
def _profile(path: str | None) -> Profile | None:
    return None if path is None else read_profile(Path(path))


@lru_cache(maxsize=8)
def _predictor(name: str | None) -> LatencyModel | None:
    return None if name is None else read_model(models_dir() / name)


@lru_cache(maxsize=64)
def machine(name: str) -> Machine:
    """The machine of a name like ``phone_soc`` or ``phone_soc@low`` (a frequency level)."""
    hardware, _, level = name.partition("@")
    found = load_hardware(hardware)
    return Machine(found.at_level(level) if level else found)


def make_plans(
    scenario: Scenario, pipeline: Workloads, prepared: Mapping[str, Prepared]
) -> dict[str, Plan]:
    """Operating point → what it costs on this scenario's machines."""
    return {
        point.name: _plan(scenario, point, pipeline.workload(point.name), prepared[point.name])
        for point in scenario.operating_points
    }


def _plan(scenario: Scenario, point: OperatingPoint, work: Workload, prepared: Prepared) -> Plan:
    is_local = point.scheme == "local"
    pixels = scenario.task.height_px * scenario.task.width_px if point.codes_image else 0
    sent = prepared.answer_bits if is_local else prepared.payload_bits
    names = sorted({group.machine for group in scenario.devices})
    machines = {name: machine(name) for name in names}
    edge, network = machine(scenario.edge.hardware), work.network
    head = work.local if is_local and not point.exit else work.device
    codec_s = {name: m.hardware.codec_s(pixels) if pixels else 0.0 for name, m in machines.items()}
    return Plan(
        scheme=Scheme(point.scheme),
        payload_bits=sent.tolist(),
        channel_uses=prepared.channel_uses.tolist(),
        answer_bits=prepared.answer_bits.tolist(),
        device_s={n: m.seconds(head, network) + codec_s[n] for n, m in machines.items()},
        local_s={n: m.seconds(work.local, network) for n, m in machines.items()},
        edge_s=_batches(edge, work, pixels, scenario.edge.max_batch),
        payloads=prepared.payloads,
        send_result=point.send_result,
        airtime_s=point.airtime_s,
        min_symbols=point.min_symbols,
        papr_db=_papr_db(scenario, prepared),
        cloud_s=_cloud_batches(scenario, work, pixels),
        tail=work.tail if pixels or point.scheme != "raw" else f"{work.tail}/pixels",
        believed_device_s={
            n: m.believed_s(head, network) + codec_s[n] for n, m in machines.items()
        },
        believed_edge_s=edge.believed_s(work.edge, network)
        + (edge.hardware.codec_s(pixels) if pixels else 0.0),
        exit_s=_exit_s(machines, work),
        confidence=() if prepared.confidence is None else prepared.confidence.tolist(),
    )


def _exit_s(machines: Mapping[str, Machine], work: Workload) -> dict[str, float]:
    """Machine → seconds of an exit's head; empty if the network has no exit."""
    if not work.exit_head:
        return {}
    return {n: m.seconds(work.exit_head, work.network) for n, m in machines.items()}


def _batches(server: Machine, work: Workload, pixels: int, max_batch: int) -> list[float]:
    """Seconds of decoder + tail, and of expanding the pictures, for batches of 1, 2, …"""
    codec_s = server.hardware.codec_s(pixels) if pixels else 0.0
    return [
        server.seconds(work.edge, work.network, batch) + batch * codec_s
        for batch in range(1, max_batch + 1)
    ]


def _cloud_batches(scenario: Scenario, work: Workload, pixels: int) -> list[float]:
    cloud = scenario.edge.cloud
    if cloud is None:
        return []
    return _batches(machine(cloud.hardware), work, pixels, cloud.max_batch)


def _papr_db(scenario: Scenario, prepared: Prepared) -> list[float]:
    """PAPR of every sample's JSCC symbols over the whole carrier; empty for digital schemes."""
    if prepared.symbols is None:
        return []
    from simsplit.phy.analog import papr_db
    from simsplit.sim.frame import frame_of

    subcarriers = 12 * frame_of(scenario.cell).n_prb
    return [papr_db(row, subcarriers) for row in prepared.symbols]
