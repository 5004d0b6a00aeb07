"""What every station of a replication did: seconds, joules and counts up to its end.

What was done within the arrival window alone (``window_...``), from which utilisation is made, is
asked when the window ends (`within_window`): work under way then counts up to that moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simsplit.sim.edge.workers import server_window
from simsplit.sim.radio.channel import SharedChannel
from simsplit.sim.radio.frame import downlink_share, slots_within, uplink_share

if TYPE_CHECKING:
    from simsplit.sim.device.device import Device
    from simsplit.sim.edge.tiers import EdgeServer
    from simsplit.sim.radio.network import RadioNetwork


@dataclass(frozen=True)
class Window:
    """What was used of every station from time zero to the end of the arrival window.

    Attributes:
        device_busy_s: Seconds of computing, by device.
        tiers: ``radio``, ``edge`` and, where there is one, ``cloud`` and ``downlink`` → figures.
    """

    device_busy_s: Sequence[float]
    tiers: Mapping[str, Mapping[str, float]]


def within_window(
    devices: Sequence[Device], radio: RadioNetwork, edge: EdgeServer, now_s: float
) -> Window:
    """To be asked when the arrival window ends; changes nothing."""
    tiers = {
        "radio": _air_window(radio, radio.uplink, now_s, is_downlink=False),
        "edge": server_window(edge.workers, now_s),
    }
    if edge.cloud is not None:
        tiers["cloud"] = server_window(edge.cloud.server.workers, now_s)
    if isinstance(radio.downlink, SharedChannel):
        tiers["downlink"] = _air_window(radio, radio.downlink, now_s, is_downlink=True)
    busy_s = [device.processor.ledger.seconds_by(now_s, "compute") for device in devices]
    return Window(busy_s, tiers)


def _air_window(
    radio: RadioNetwork, channel: SharedChannel, now_s: float, *, is_downlink: bool
) -> dict[str, float]:
    slots = slots_within(radio.frame, now_s / radio.cell.slot_s, is_downlink=is_downlink)
    return {
        "window_prb_slots_used": channel.prb_slots_by(now_s),
        "window_prb_slots_total": channel.n_prb * channel.air.n_sites * slots,
    }


def stations(
    devices: Sequence[Device],
    radio: RadioNetwork,
    edge: EdgeServer,
    end_s: float,
    window: Window,
) -> dict[str, Any]:
    """``devices`` in their order, ``radio``, ``handovers``, ``edge``; where there is one, also
    ``cloud`` and ``downlink``. Closes all ledgers at ``end_s``.
    """
    rows: dict[str, Any] = {
        "devices": [_device_station(device, end_s) for device in devices],
        "radio": _radio_station(radio, radio.uplink, uplink_share(radio.frame), end_s),
        "handovers": sum(radio.association.handovers),
        "edge": edge.station(end_s),
    }
    if edge.cloud is not None:
        rows["cloud"] = edge.cloud.station(end_s)
    if isinstance(radio.downlink, SharedChannel):
        share = downlink_share(radio.frame)
        rows["downlink"] = _radio_station(radio, radio.downlink, share, end_s)
    for name, used in window.tiers.items():
        rows[name] |= used
    for row, busy_s in zip(rows["devices"], window.device_busy_s, strict=True):
        row["window_busy_s"] = busy_s
    return rows


def _radio_station(
    radio: RadioNetwork, channel: SharedChannel, share: float, end_s: float
) -> dict[str, Any]:
    """Resource blocks x slots used, and there, of one direction of all sites."""
    slots = end_s / radio.cell.slot_s * share
    return {
        "prb_slots_used": channel.prb_slots_used,
        "passed_bits": sum(bearer.passed_bits for bearer in channel.bearers),
        "prb_slots_total": channel.n_prb * channel.air.n_sites * slots,
    }


def _device_station(device: Device, end_s: float) -> dict[str, Any]:
    extra = device.station_extra()
    processor, radio, receiver = device.processor.ledger, device.radio, device.receiver.ledger
    processor.close(end_s)
    radio.book("off", end_s - radio.seconds["transmit"])
    device.receiver.close(end_s)
    return {
        "device": device.index,
        "group": device.group.name,
        "busy_s": processor.seconds["compute"],
        "idle_s": processor.seconds["idle"],
        "off_s": processor.seconds["off"],
        "transmit_s": radio.seconds["transmit"],
        "radio_off_s": radio.seconds["off"],
        "idle_j": processor.joules("idle") + processor.joules("off"),
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
