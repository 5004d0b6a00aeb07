"""Builds a world's radio from its cell: paths, links, powers, interference, both directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import simpy

from simsplit.errors import ScenarioError
from simsplit.phy.fading import thermal_noise_dbm
from simsplit.phy.frame import Frame
from simsplit.phy.link import BlerTable
from simsplit.phy.traces.read import ChannelTrace
from simsplit.scenario.cell import (
    Cell,
    FixedRateDownlink,
    HexSites,
    InterferenceMargin,
    RadioDownlink,
)
from simsplit.scenario.channel import CustomChannel, FixedSnr, Multipath, TraceChannel
from simsplit.seeds import Cause
from simsplit.sim.device.device import Device
from simsplit.sim.radio.access import build_access
from simsplit.sim.radio.air import Air, CellularAir, LinkBudget, SelectiveAir
from simsplit.sim.radio.blocks import BlockChannel
from simsplit.sim.radio.channel import Direction, SharedChannel
from simsplit.sim.radio.directions import AirDownlink, Downlink, Pipe, Uplink
from simsplit.sim.radio.flows import Bearer
from simsplit.sim.radio.frame import elements_of, frame_of
from simsplit.sim.radio.interference import ConstantRise, NoiseRise, build_rise
from simsplit.sim.radio.links import (
    GivenLevel,
    Link,
    MeanGain,
    PathGain,
    RecordedLevel,
    build_fade,
    build_link,
    subbands_of,
)
from simsplit.sim.radio.mobility import Path
from simsplit.sim.radio.own_channel import own_level
from simsplit.sim.radio.path_loss import Loss, build_losses, recorded_link, recorded_loss
from simsplit.sim.radio.positions import Spot, Tracks, build_path, site_points
from simsplit.sim.radio.power import LEVEL_DB, LevelPower, Power, build_power
from simsplit.sim.radio.reach import Reach
from simsplit.sim.radio.sites import Association
from simsplit.units import dbm_to_w

RandomAt = Callable[[int, Cause, int], np.random.Generator]
"""(device, cause, site) -> generator of this replication."""
KeyAt = Callable[[int, Cause, int], tuple[int, ...]]
"""The same as a key."""


@dataclass(frozen=True)
class Inputs:
    """What a world hands over: everything that is not in the cell.

    Attributes:
        table: Block error rates, of both directions.
        uplink_blocks, downlink_blocks: Fates of transport blocks.
        random, key: Generator of a device, a cause and a site; the same as a key.
        trace: The measured channel, for channels of kind ``trace``.
        tracks: Group -> recorded tracks, for mobility of kind ``trace``.
    """

    table: BlerTable
    uplink_blocks: BlockChannel
    downlink_blocks: BlockChannel
    random: RandomAt
    key: KeyAt
    trace: ChannelTrace | None
    tracks: Mapping[str, Tracks]


class RadioLinks:
    """Paths of all devices and their links to all sites; device -> (site ->) each.

    Attributes:
        owners: Whose place and fading each device has.
        sites: (x, y) in m of the base stations.
        losses: Path losses; empty where the channel gives the level itself.
    """

    def __init__(self, cell: Cell, frame: Frame, spots: Sequence[Spot], inputs: Inputs) -> None:
        self._cell, self._frame, self._inputs = cell, frame, inputs
        self.sites = site_points(cell.sites)
        self.owners = [spot.owner for spot in spots]
        self.paths = [self._path(spot) for spot in spots]
        self.losses = [self._losses(*pair) for pair in zip(spots, self.paths, strict=True)]
        self.links = [
            self._links(spot, path, losses)
            for spot, path, losses in zip(spots, self.paths, self.losses, strict=True)
        ]

    @property
    def is_level_given(self) -> bool:
        """The channel gives Es/N0 itself, whatever power and grant are."""
        return is_level_given(self._cell, self._inputs.trace)

    def loss_db(self, device: int, site_of: Sequence[int], slot: int) -> float:
        """Path loss in dB of a device to its own site in a slot, fading averaged out."""
        return self.losses[device][site_of[device]].loss_db(slot * self._cell.slot_s)

    def _path(self, spot: Spot) -> Path:
        group, random = spot.owner_group, partial(self._inputs.random, spot.owner)
        return build_path(group, spot.number, random, self._inputs.tracks.get(group.name, {}))

    def _losses(self, spot: Spot, path: Path) -> list[Loss]:
        spec, trace = self._cell.channel, self._inputs.trace
        if isinstance(spec, FixedSnr | CustomChannel) or self.is_level_given:
            return []
        if isinstance(spec, TraceChannel):
            return [recorded_loss(spec, _needed(trace), spot.owner)]
        random = partial(self._inputs.random, spot.owner)
        return build_losses(spec, self._cell.carrier_hz, path, self.sites, random)

    def _links(self, spot: Spot, path: Path, losses: Sequence[Loss]) -> list[Link]:
        cell, n_prb = self._cell, self._frame.n_prb
        means = self._mean_gains(spot, losses)
        keys = [self._inputs.key(spot.owner, Cause.FADING, site) for site in range(len(means))]
        return [
            build_link(mean, build_fade(cell, path, n_prb, key), cell.slot_s)
            for mean, key in zip(means, keys, strict=True)
        ]

    def _mean_gains(self, spot: Spot, losses: Sequence[Loss]) -> Sequence[MeanGain]:
        cell, spec = self._cell, self._cell.channel
        if isinstance(spec, FixedSnr):
            return [GivenLevel(spec.snr_db)]
        if isinstance(spec, CustomChannel):
            return [own_level(spec, self._inputs.random(spot.owner, Cause.CHANNEL, 0))]
        if isinstance(spec, TraceChannel) and self.is_level_given:
            return [RecordedLevel(recorded_link(spec, _needed(self._inputs.trace), spot.owner))]
        noise_dbm = thermal_noise_dbm(12.0 * cell.subcarrier_spacing_hz, cell.noise_figure_db)
        return [PathGain(loss, noise_dbm) for loss in losses]


def is_level_given(cell: Cell, trace: ChannelTrace | None) -> bool:
    """True if the channel gives Es/N0 itself: a fixed SNR, a trace of SNR, a user's own."""
    if isinstance(cell.channel, TraceChannel):
        return _needed(trace).value == "snr"
    return isinstance(cell.channel, FixedSnr | CustomChannel)


def _needed(trace: ChannelTrace | None) -> ChannelTrace:
    if trace is None:
        raise ScenarioError("the world was given no trace", path="cell.channel.kind", value="trace")
    return trace


class RadioNetwork:
    """All sites, both directions, and who belongs where.

    Args:
        spots: Whose position and fading each device has, in the order of the devices.

    Attributes:
        paths, losses, links: As of `RadioLinks`.

    Raises:
        ScenarioError: A carrier, path, trace or environment that cannot be.
    """

    def __init__(
        self,
        env: simpy.Environment,
        cell: Cell,
        devices: Sequence[Device],
        spots: Sequence[Spot],
        inputs: Inputs,
    ) -> None:
        self.cell = cell
        self.frame = frame_of(cell)
        self._inputs = inputs
        self._geometry = RadioLinks(cell, self.frame, spots, inputs)
        self.sites, self.paths = self._geometry.sites, self._geometry.paths
        self.losses, self.links = self._geometry.losses, self._geometry.links
        reach = Reach(cell.channel, self.paths, self.sites)
        self.association = Association(cell.sites, self.links, cell.slot_s, reach)
        self.uplink = self._make_uplink(env, devices)
        self.downlink = self._make_downlink(env, devices)
        channels: list[SharedChannel] = [self.uplink]
        if isinstance(self.downlink, AirDownlink):
            channels.append(self.downlink)
        self.association.watch(env, channels, self.paths)

    def _make_uplink(self, env: simpy.Environment, devices: Sequence[Device]) -> Uplink:
        def generator_of(chunk: int) -> np.random.Generator:
            return self._inputs.random(0, Cause.INTERFERENCE, chunk)

        powers = [self._uplink_power(device) for device in devices]
        rise = build_rise(self.cell.interference, generator_of)
        air = self._air(powers, rise, is_downlink=False, offset_db=0.0)
        make_access = partial(
            build_access, env, self.cell, self.frame, self._access_generators(), powers
        )
        return Uplink(env, self._direction(air, devices, is_downlink=False), make_access)

    def _access_generators(self) -> Callable[[int], np.random.Generator]:
        """Device -> generator of its access; devices that stand at one place have equal ones."""
        owners = self._geometry.owners
        return lambda device: self._inputs.random(owners[device], Cause.ACCESS, 0)

    def _uplink_power(self, device: Device) -> Power:
        tx_power_dbm = device.group.tx_power_dbm
        if self._geometry.is_level_given:
            return LevelPower(0.0, dbm_to_w(tx_power_dbm))
        loss_db = partial(self._geometry.loss_db, device.index, self.association.site_of)
        return build_power(self.cell, tx_power_dbm, loss_db)

    def _make_downlink(self, env: simpy.Environment, devices: Sequence[Device]) -> Downlink:
        spec = self.cell.downlink
        if isinstance(spec, FixedRateDownlink):
            return Pipe(env, spec, self.cell.headers)
        air = self._downlink_air(spec, len(devices))
        return AirDownlink(env, self._direction(air, devices, is_downlink=True), spec.latency_s)

    def _downlink_air(self, spec: RadioDownlink, n_devices: int) -> Air:
        """Reciprocal gains; the site's power is spread over its band; the device's own noise.

        Neighbour cells (``interference: neighbours``) are uplink interference and not heard here; a
        margin is.
        """
        per_prb_db = spec.tx_power_dbm - LEVEL_DB[self.frame.n_prb]
        offset_db = self.cell.noise_figure_db - spec.device_noise_figure_db
        if self._geometry.is_level_given:
            per_prb_db = offset_db = 0.0
        powers = [LevelPower(per_prb_db, dbm_to_w(spec.tx_power_dbm))] * n_devices
        interference = self.cell.interference
        rise = ConstantRise(0.0)
        if isinstance(interference, InterferenceMargin):
            rise = ConstantRise(interference.margin_db)
        return self._air(powers, rise, is_downlink=True, offset_db=offset_db)

    def _air(
        self, powers: Sequence[Power], rise: NoiseRise, *, is_downlink: bool, offset_db: float
    ) -> Air:
        estimated = self.cell.estimation.kind == "estimated"
        pilots = 12 * self.cell.overhead.dmrs_symbols if estimated else 0
        budget = LinkBudget(self.links, powers, rise, self.frame.n_prb, pilots, offset_db)
        fading = self.cell.fading
        reduced = None
        if isinstance(fading, Multipath):
            count = subbands_of(fading, self.cell, self.frame.n_prb)
            reduced = (count, fading.effective_sinr)
        if isinstance(self.cell.sites, HexSites):
            n_sites = len(self.sites)
            flat = reduced or (1, "miesm")
            return CellularAir(budget, *flat, n_sites=n_sites, is_downlink=is_downlink)
        return Air(budget) if reduced is None else SelectiveAir(budget, *reduced)

    def _direction(self, air: Air, devices: Sequence[Device], *, is_downlink: bool) -> Direction:
        site_of, inputs, frame = self.association.site_of, self._inputs, self.frame
        return Direction(
            cell=self.cell,
            air=air,
            table=inputs.table,
            blocks=inputs.downlink_blocks if is_downlink else inputs.uplink_blocks,
            bearers=[Bearer(d.index, d, d.group.weight, site_of[d.index]) for d in devices],
            elements=elements_of(self.cell, is_downlink=is_downlink),
            next_slot=frame.next_downlink_slot if is_downlink else frame.next_uplink_slot,
            answered_slot=partial(frame.answered_slot, is_downlink=is_downlink),
        )
