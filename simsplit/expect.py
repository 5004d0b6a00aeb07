"""What a scenario will ask of its stations, by arithmetic, before anything runs (`simsplit check`).

Estimates, not results: one mean SNR per group (no fading, no shadowing, power spread over the
whole band, ring's median distance, line of sight by its probability), no retransmissions. Costs
come from the model's card, whose optional keys are ``operators_by_part``, ``payload_bits`` and
``channel_uses`` (``{key: number}``), where key is the operating point's name, its ``scheme/codec
kind``, or its scheme; trained cards give sizes at 8 bits and quality 75. What the card leaves out
is unknown until act one; so is what a policy will choose, and what another network costs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from simsplit.channel import FixedSnr, FreeSpace, LogDistance, TraceChannel
from simsplit.errors import ScenarioError
from simsplit.hardware import Hardware, load_hardware
from simsplit.load import model_card
from simsplit.messages import Scheme, Workload
from simsplit.operators import Operators, from_rows
from simsplit.policies import Fixed
from simsplit.radio import Cell, FixedMcs, InterferenceMargin, NeighbourCells
from simsplit.scenario import (
    DeviceGroup,
    OperatingPoint,
    PeriodicArrivals,
    PoissonArrivals,
    Scenario,
)

SNR_GAP_DB = 3.0  # assumption: distance of 5G LDPC with finite blocks from Shannon's limit
UNKNOWN = "unknown"
LATER = "measured in act one"


@dataclass(frozen=True, slots=True)
class GroupLoad:
    """What one group of devices offers; None is unknown."""

    name: str
    scheme: str
    offered_hz: float
    mean_snr_db: float
    spectral_efficiency: float  # bits per complex symbol
    payload_bits: float | None
    channel_uses: float | None
    need_re_per_s: float | None
    device_utilisation: float | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """Offered load, capacity and utilisation of every station; None is unknown.

    ``edge_utilisation``: at full batches, the least; ``edge_utilisation_alone``: batches of one.
    ``notes``: what was made of a channel trace.
    """

    groups: tuple[GroupLoad, ...]
    offered_hz: float
    capacity_re_per_s: float
    radio_utilisation: float | None
    edge_utilisation: float | None
    edge_utilisation_alone: float | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def rows(self) -> list[dict[str, str]]:
        """The table of `simsplit check`: a row per group, one for the cell, one for the edge."""
        cell = {
            "station": "cell",
            "offered": f"{self.offered_hz:.3g} req/s",
            "load": f"{self.capacity_re_per_s:.3g} RE/s capacity",
            "utilisation": _share(self.radio_utilisation),
        }
        edge = {"station": "edge", "offered": "", "load": "full batches … batches of one"}
        least, most = _share(self.edge_utilisation), _share(self.edge_utilisation_alone)
        edge["utilisation"] = f"{least} … {most}"
        return [*map(_group_row, self.groups), cell, edge]


def expect(scenario: Scenario) -> Expectation:
    """The expectation of a checked scenario; imports neither torch nor SimPy."""
    card = model_card(scenario.model) if scenario.model is not None else {}
    groups = tuple(_group_load(scenario, group, card) for group in scenario.devices)
    capacity = capacity_re_per_s(scenario.cell)
    radio = _sum(group.need_re_per_s for group in groups)
    edge = _edge_utilisation(scenario, card, scenario.edge.max_batch)
    return Expectation(
        groups=groups,
        offered_hz=sum(group.offered_hz for group in groups),
        capacity_re_per_s=capacity,
        radio_utilisation=None if radio is None else radio / capacity,
        edge_utilisation=edge,
        edge_utilisation_alone=_edge_utilisation(scenario, card, 1),
        warnings=(
            *_warnings(groups, None if radio is None else radio / capacity, edge),
            *_code_warnings(scenario, card),
        ),
        notes=_trace_notes(scenario.cell),
    )


def _code_warnings(scenario: Scenario, card: Mapping[str, Any]) -> Iterable[str]:
    """A JSCC code that was not trained to be cut short can be; its users should know."""
    for point in scenario.operating_points:
        if point.airtime_s is not None and "prefixes" not in card:
            yield f"{point.name}: the JSCC code of {scenario.model} is not nested; see airtime_s"


def _trace_notes(cell: Cell) -> tuple[str, ...]:
    """What was decided when the channel trace was read, and whether it will be repeated."""
    if not isinstance(cell.channel, TraceChannel):
        return ()
    from simsplit.sim.frame import open_trace

    trace = open_trace(cell.channel)
    end = f"trace lasts {trace.duration_s:.4g} s; at its end: {cell.channel.at_end}"
    return (*trace.notes, end)


def capacity_re_per_s(cell: Cell) -> float:
    """Data resource elements per second of one site's whole uplink band."""
    from simsplit.phy.sizes import resource_elements
    from simsplit.sim.frame import elements_of, frame_of, uplink_share

    frame, elements = frame_of(cell), elements_of(cell, is_downlink=False)
    return resource_elements(frame.n_prb, *elements) / cell.slot_s * uplink_share(frame)


def mean_snr_db(cell: Cell, group: DeviceGroup, place: DeviceGroup | None = None) -> float:
    """Es/(N0 + I0) at the ring's median distance with the power spread over the whole band.

    ``place``: the group whose ring counts. Of a measured channel: the median of all its levels.
    """
    if isinstance(cell.channel, FixedSnr):
        return cell.channel.snr_db - _noise_rise_db(cell)
    from simsplit.phy.fading import thermal_noise_dbm
    from simsplit.sim.frame import frame_of

    band_hz = 12 * cell.subcarrier_spacing_hz * frame_of(cell).n_prb
    noise_dbm = thermal_noise_dbm(band_hz, cell.noise_figure_db) + _noise_rise_db(cell)
    if isinstance(cell.channel, TraceChannel):
        level_db, is_snr = _median_level_db(cell.channel)
        if is_snr:
            return level_db - _noise_rise_db(cell)
        return group.tx_power_dbm - (cell.channel.reference_dbm_per_re - level_db) - noise_dbm
    ring = place or group
    distance_m = math.sqrt((ring.distance_min_m**2 + ring.distance_max_m**2) / 2)
    return group.tx_power_dbm - _path_loss_db(cell, distance_m) - noise_dbm


def _median_level_db(spec: TraceChannel) -> tuple[float, bool]:
    """Median over all rows of a trace, and whether it is an SNR (else RSRP in dBm)."""
    import numpy as np

    from simsplit.sim.frame import open_trace

    trace = open_trace(spec)
    return float(np.median(np.concatenate(trace.level_db))), trace.value == "snr"


def _noise_rise_db(cell: Cell) -> float:
    """Interference over noise as known beforehand: the margin, or neighbours at their load."""
    match cell.interference:
        case InterferenceMargin() as margin:
            return margin.margin_db
        case NeighbourCells() as cells:
            load = 0.5 if cells.load == "coupled" else float(cells.load)
            return 10 * math.log10(1 + load * sum(10 ** (inr / 10) for inr in cells.inr_db))
        case _:
            return 0.0


def _path_loss_db(cell: Cell, distance_m: float) -> float:
    from simsplit.phy import fading

    channel, carrier_hz = cell.channel, cell.carrier_hz
    if isinstance(channel, FreeSpace):
        return fading.free_space_db(distance_m, carrier_hz)
    if isinstance(channel, LogDistance):
        return fading.log_distance_db(distance_m, carrier_hz, channel.exponent)
    assert not isinstance(channel, FixedSnr | TraceChannel)
    from simsplit.phy import propagation
    from simsplit.sim.place import environment_of

    place = environment_of(channel)
    share = propagation.los_probability(place, distance_m)
    low_m = 1.0 if place.kind == "uma" else None
    states = [(True, share), (False, 1 - share)]
    return sum(
        weight * propagation.path_loss_db(place, distance_m, carrier_hz, seen, low_m)
        for seen, weight in states
        if weight
    )


def spectral_efficiency(cell: Cell, snr_db: float) -> float:
    """Bits per symbol: the fixed MCS, or the highest SNR_GAP_DB below Shannon; 0 if none fits."""
    from simsplit.phy.mcs import MCS_TABLES, mcs

    if isinstance(cell.mcs, FixedMcs):
        return mcs(cell.mcs.index, cell.mcs.table).spectral_efficiency
    table = cell.mcs.table
    limit = math.log2(1 + 10 ** ((snr_db - SNR_GAP_DB - cell.mcs.backoff_db) / 10))
    rates = [scheme.spectral_efficiency for scheme in MCS_TABLES[table]]
    return max((rate for rate in rates if rate <= limit), default=0.0)


def offered_hz(scenario: Scenario, group: DeviceGroup) -> float:
    """Requests per second of the whole group; of recorded traffic those of replication 0."""
    arrivals = group.arrivals
    if isinstance(arrivals, PoissonArrivals):
        return group.count * arrivals.rate_hz
    if isinstance(arrivals, PeriodicArrivals):
        return group.count / arrivals.period_s
    from simsplit.sim.traffic import Recording

    path, samples = f"devices.{group.name}.arrivals.file", scenario.task.samples
    recorded = Recording(arrivals.file, path, group.name, group.count, samples).of(0)
    times_s = (time_s for device in recorded.values() for time_s in device.times_s)
    return sum(time_s < scenario.duration_s for time_s in times_s) / scenario.duration_s


def _group_load(scenario: Scenario, group: DeviceGroup, card: Mapping[str, Any]) -> GroupLoad:
    rate_hz = offered_hz(scenario, group)
    snr_db = mean_snr_db(scenario.cell, group, scenario.place_of(group))
    efficiency = spectral_efficiency(scenario.cell, snr_db)
    point = fixed_point(scenario, group)
    if point is None:
        chosen = f"policy {group.choice.kind}"
        return GroupLoad(group.name, chosen, rate_hz, snr_db, efficiency, None, None, None, None)
    bits = _number(_of(card, "payload_bits", point))
    uses = _number(_of(card, "channel_uses", point))
    per_request = _elements(point, bits, uses, efficiency)
    busy = _device_utilisation(scenario, group, card, rate_hz)
    need = None if per_request is None else rate_hz * per_request
    return GroupLoad(group.name, point.scheme, rate_hz, snr_db, efficiency, bits, uses, need, busy)


def fixed_point(scenario: Scenario, group: DeviceGroup) -> OperatingPoint | None:
    """The one operating point of a group; None if a policy chooses."""
    named = group.choice.point if isinstance(group.choice, Fixed) else None
    return next((point for point in scenario.operating_points if point.name == named), None)


def _elements(
    point: OperatingPoint, bits: float | None, uses: float | None, efficiency: float
) -> float | None:
    """Resource elements that one request needs."""
    if point.scheme == "jscc":
        return uses
    if point.scheme == "local" and not point.send_result:
        return 0.0
    if bits is None:
        return None
    return bits / efficiency if efficiency else math.inf


def _device_utilisation(
    scenario: Scenario, group: DeviceGroup, card: Mapping[str, Any], rate_hz: float
) -> float | None:
    work = _workload(scenario, group, card)
    if work is None:
        return None
    hardware = load_hardware(group.hardware)
    hardware = hardware if group.dvfs is None else hardware.at_level(group.dvfs)
    return rate_hz / group.count * _busy_s(scenario, group, work.device, hardware, 1)


def _busy_s(
    scenario: Scenario, group: DeviceGroup, work: Operators, hardware: Hardware, batch: int
) -> float:
    """Seconds per request of a full batch: network, and the image codec if there is one."""
    network_s = hardware.seconds(work, batch) / batch if work else 0.0
    point = fixed_point(scenario, group)
    if point is None or not point.codes_image:
        return network_s
    return network_s + hardware.codec_s(scenario.task.height_px * scenario.task.width_px)


def _edge_utilisation(scenario: Scenario, card: Mapping[str, Any], batch: int) -> float | None:
    """Worker share if every batch has this size."""
    hardware = load_hardware(scenario.edge.hardware)
    busy = [_edge_busy(scenario, group, card, hardware, batch) for group in scenario.devices]
    total = _sum(busy)
    return None if total is None else total / scenario.edge.workers


def _edge_busy(
    scenario: Scenario,
    group: DeviceGroup,
    card: Mapping[str, Any],
    hardware: Hardware,
    batch: int,
) -> float | None:
    work = _workload(scenario, group, card)
    if work is None:
        return None
    if not work.edge:
        return 0.0
    busy_s = _busy_s(scenario, group, work.edge, hardware, batch)
    return offered_hz(scenario, group) * busy_s


def _workload(scenario: Scenario, group: DeviceGroup, card: Mapping[str, Any]) -> Workload | None:
    """Operators of the group's operating point by the model's card; None: not known beforehand."""
    from simsplit.prepared import exit_workload, workloads

    point = fixed_point(scenario, group)
    rows = card.get("operators_by_part")
    if point is None or point.network is not None or not isinstance(rows, Mapping):
        return None
    parts = {part: from_rows(operators) for part, operators in rows.items()}
    ways = workloads(parts)
    if Scheme(point.scheme) not in ways:
        raise _no_such_way(scenario, point)
    found = exit_workload(parts) if point.exit else ways[Scheme(point.scheme)]
    return found if point.exit or point.scheme != "local" else replace(found, device=found.local)


def _no_such_way(scenario: Scenario, point: OperatingPoint) -> ScenarioError:
    """What `simsplit.pipeline` would say once the network is open."""
    path = f"operating_points[{scenario.operating_points.index(point)}].scheme"
    message, choices = f"model '{scenario.model}' has no JSCC path", ("local", "raw", "separate")
    return ScenarioError(message, path=path, value=point.scheme, choices=choices)


def _of(card: Mapping[str, Any], key: str, point: OperatingPoint) -> Any:
    """What the card says under ``key`` about an operating point, the closest description first."""
    table = card.get(key)
    if not isinstance(table, Mapping):
        return None
    kind = point.codec.kind if point.codec else "none"
    names = (point.name, f"{point.scheme}/{kind}", point.scheme)
    return next((table[name] for name in names if name in table), None)


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _sum(values: Iterable[float | None]) -> float | None:
    known = list(values)
    return None if None in known else math.fsum(v for v in known if v is not None)


def _warnings(
    groups: Iterable[GroupLoad], radio: float | None, edge: float | None
) -> Iterable[str]:
    stations: list[tuple[str, float | None]] = [("cell", radio), ("edge", edge)]
    stations += [(f"devices of group {g.name}", g.device_utilisation) for g in groups]
    for station, share in stations:
        if share is not None and share >= 1:
            yield f"{station}: utilisation {share:.2f} >= 1, the queue grows without bound"
    for group in groups:
        if group.scheme in ("raw", "separate") and group.spectral_efficiency == 0:
            snr = f"{group.mean_snr_db:.1f} dB"
            yield f"group {group.name}: no MCS is decodable at its mean SNR of {snr}"


def _group_row(group: GroupLoad) -> dict[str, str]:
    air = _air(group)
    snr = f"{group.mean_snr_db:.1f} dB"
    if group.scheme != "jscc":
        snr += f", {group.spectral_efficiency:.2f} bit/symbol"
    return {
        "station": f"{group.name} ({group.scheme})",
        "offered": f"{group.offered_hz:.3g} req/s",
        "load": air if group.scheme == "local" else f"{air} at {snr}",
        "utilisation": _share(group.device_utilisation),
    }


def _air(group: GroupLoad) -> str:
    if group.need_re_per_s is None:
        return f"airtime {LATER}"
    return f"{group.need_re_per_s:.3g} RE/s" if group.need_re_per_s else "no airtime"


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.2f}"
