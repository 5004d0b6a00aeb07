"""Builds a world's radio from its cell: paths, links, powers, interference, both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import simpy

from simsplit.channel import FixedSnr, Multipath
from simsplit.phy.fading import thermal_noise_dbm
from simsplit.phy.link import BlerTable
from simsplit.phy.trace import ChannelTrace
from simsplit.radio import (
    Cell,
    FixedRateDownlink,
    FractionalPower,
    HexSites,
    InterferenceMargin,
    RadioDownlink,
)
from simsplit.seeds import Cause
from simsplit.sim.air import Air, CellularAir, SelectiveAir
from simsplit.sim.blocks import BlockChannel
from simsplit.sim.cell import Bearer, SharedChannel
from simsplit.sim.device import Device
from simsplit.sim.downlink import AirDownlink, Downlink, Pipe
from simsplit.sim.frame import elements_of, frame_of
from simsplit.sim.interference import ConstantRise, NoiseRise, build_rise
from simsplit.sim.links import Link, build_fade
from simsplit.sim.mobility import Path
from simsplit.sim.place import Loss, Positions, build_losses, build_path, site_points
from simsplit.sim.power import LEVEL_DB, ControlledPower, LevelPower, Power, SpreadPower
from simsplit.sim.sites import Association
from simsplit.sim.uplink import Uplink
from simsplit.units import dbm_to_w

RandomAt = Callable[[int, Cause, int], np.random.Generator]
"""(device, cause, site) -> generator of this replication."""
KeyAt = Callable[[int, Cause, int], tuple[int, ...]]
"""The same as a key."""


@dataclass(frozen=True)
class Inputs:
    """What a world hands over: everything that is not in the scenario."""

    table: BlerTable
    uplink_blocks: BlockChannel
    downlink_blocks: BlockChannel
    random: RandomAt
    key: KeyAt
    trace: ChannelTrace | None
    tracks: Mapping[str, Positions]


class RadioNetwork:
    """All sites, both directions, and who belongs where."""

    def __init__(
        self,
        env: simpy.Environment,
        cell: Cell,
        devices: Sequence[Device],
        numbers: Sequence[int],
        places: Sequence[int],
        inputs: Inputs,
    ) -> None:
        self.cell = cell
        self.frame = frame_of(cell)
        self.sites = site_points(cell.sites)
        self._inputs = inputs
        self._places = places
        self._groups = [device.group for device in devices]
        self.paths = [
            self._path(device, number) for device, number in zip(devices, numbers, strict=True)
        ]
        losses = [
            self._losses(device, path) for device, path in zip(devices, self.paths, strict=True)
        ]
        self.links = [
            self._links(device, path, loss)
            for device, path, loss in zip(devices, self.paths, losses, strict=True)
        ]
        self.association = Association(cell.sites, self.links, cell.slot_s)
        self.uplink = self._make_uplink(env, devices)
        self.downlink = self._make_downlink(env, devices)
        channels: list[SharedChannel] = [self.uplink]
        if isinstance(self.downlink, AirDownlink):
            channels.append(self.downlink)
        self.association.watch(env, channels, self.paths)

    # --- places and links ---------------------------------------------------------------------

    def _path(self, device: Device, number: int) -> Path:
        """Of a device with ``place_group``: exactly that of the other group's device."""
        place = self._places[device.index]
        group = self._groups[place]
        tracks = self._inputs.tracks.get(group.name, {})
        return build_path(group, number, partial(self._inputs.random, place), tracks)

    def _losses(self, device: Device, path: Path) -> list[Loss]:
        place = self._places[device.index]
        random, trace = partial(self._inputs.random, place), self._inputs.trace
        return build_losses(self.cell, path, self.sites, random, trace, place)

    def _links(self, device: Device, path: Path, losses: Sequence[Loss]) -> list[Link]:
        noise_dbm = 0.0 if self.is_level_given else self._noise_dbm
        place, n_prb = self._places[device.index], self.frame.n_prb
        keys = [self._inputs.key(place, Cause.FADING, site) for site in range(len(losses))]
        return [
            Link(loss, build_fade(self.cell, path, n_prb, key), noise_dbm, self.cell.slot_s)
            for loss, key in zip(losses, keys, strict=True)
        ]

    @property
    def is_level_given(self) -> bool:
        """The channel gives Es/N0 itself, whatever power and grant are."""
        trace = self._inputs.trace
        return isinstance(self.cell.channel, FixedSnr) or (
            trace is not None and trace.value == "snr"
        )

    @property
    def _noise_dbm(self) -> float:
        return thermal_noise_dbm(12.0 * self.cell.subcarrier_spacing_hz, self.cell.noise_figure_db)

    # --- uplink -------------------------------------------------------------------------------

    def _make_uplink(self, env: simpy.Environment, devices: Sequence[Device]) -> Uplink:
        powers = [self._uplink_power(device) for device in devices]
        air = self._air(powers, self._rise(), is_downlink=False, offset_db=0.0)
        elements = elements_of(self.cell, is_downlink=False)
        bearers = self._bearers(devices)
        return Uplink(
            env,
            self.cell,
            air,
            self._inputs.table,
            self._inputs.uplink_blocks,
            bearers,
            elements,
            self.frame.next_uplink_slot,
        )

    def _bearers(self, devices: Sequence[Device]) -> list[Bearer]:
        return [
            Bearer(d.index, d, d.group.weight, self.association.site_of[d.index]) for d in devices
        ]

    def _uplink_power(self, device: Device) -> Power:
        tx_power_dbm = device.group.tx_power_dbm
        if self.is_level_given:
            return LevelPower(0.0, dbm_to_w(tx_power_dbm))
        control = self.cell.power_control
        if not isinstance(control, FractionalPower):
            return SpreadPower(tx_power_dbm)
        links, site_of = self.links[device.index], self.association.site_of
        numerology = (self.cell.subcarrier_spacing_hz // 15_000).bit_length() - 1
        loss_db = partial(_loss_to_own_site, links, site_of, device.index)
        return ControlledPower(control, tx_power_dbm, numerology, loss_db)

    def _rise(self) -> NoiseRise:
        def generator_of(chunk: int) -> np.random.Generator:
            return self._inputs.random(0, Cause.INTERFERENCE, chunk)

        return build_rise(self.cell.interference, generator_of)

    def _air(
        self, powers: Sequence[Power], rise: NoiseRise, *, is_downlink: bool, offset_db: float
    ) -> Air:
        estimated = self.cell.estimation.kind == "estimated"
        pilots = 12 * self.cell.overhead.dmrs_symbols if estimated else 0
        fading = self.cell.fading
        kind: type[Air] = SelectiveAir if isinstance(fading, Multipath) else Air
        if isinstance(self.cell.sites, HexSites):
            kind = CellularAir
        n_prb = self.frame.n_prb
        air = kind(self.links, powers, rise, n_prb, pilots=pilots, offset_db=offset_db)
        air.n_sites = len(self.sites)
        if isinstance(air, SelectiveAir) and isinstance(fading, Multipath):
            air.subbands, air.effective = fading.subbands, fading.effective_sinr
        if isinstance(air, CellularAir):
            air.is_downlink = is_downlink
        return air

    # --- downlink -----------------------------------------------------------------------------

    def _make_downlink(self, env: simpy.Environment, devices: Sequence[Device]) -> Downlink:
        spec = self.cell.downlink
        if isinstance(spec, FixedRateDownlink):
            return Pipe(env, spec)
        air = self._downlink_air(spec, len(devices))
        elements = elements_of(self.cell, is_downlink=True)
        channel = AirDownlink(
            env,
            self.cell,
            air,
            self._inputs.table,
            self._inputs.downlink_blocks,
            self._bearers(devices),
            elements,
            self.frame.next_downlink_slot,
        )
        channel.latency_s = spec.latency_s
        return channel

    def _downlink_air(self, spec: RadioDownlink, n_devices: int) -> Air:
        """Reciprocal gains; the site's power is spread over its band; the device's own noise.

        Neighbour cells (``interference: neighbours``) are uplink interference and not heard here; a
        margin is.
        """
        per_prb_db = spec.tx_power_dbm - LEVEL_DB[self.frame.n_prb]
        offset_db = self.cell.noise_figure_db - spec.device_noise_figure_db
        if self.is_level_given:
            per_prb_db = offset_db = 0.0
        powers = [LevelPower(per_prb_db, dbm_to_w(spec.tx_power_dbm))] * n_devices
        interference = self.cell.interference
        rise = ConstantRise(0.0)
        if isinstance(interference, InterferenceMargin):
            rise = ConstantRise(interference.margin_db)
        return self._air(powers, rise, is_downlink=True, offset_db=offset_db)


def _loss_to_own_site(
    links: Sequence[Link], site_of: Sequence[int], device: int, slot: int
) -> float:
    return links[site_of[device]].loss_db(slot)
