"""Where devices and sites stand, and the path loss between them over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.channel import FixedSnr, FreeSpace, InfHall, InhOffice, LogDistance, Tr38901
from simsplit.errors import ScenarioError
from simsplit.phy import propagation
from simsplit.phy.environment import Environment, Kind, distance_range_m
from simsplit.phy.fading import free_space_db, log_distance_db
from simsplit.phy.penetration import draw_o2i_db
from simsplit.phy.propagation import CorrelatedNormal
from simsplit.phy.trace import ChannelTrace, TraceLink, path_loss_from_rsrp_db
from simsplit.radio import Cell, HexSites, Sites
from simsplit.scenario import (
    DeviceGroup,
    RandomWaypoint,
    StraightLine,
    TraceMobility,
)
from simsplit.seeds import Cause
from simsplit.sim import mobility

STEP_S = 0.1  # moving devices: path loss and shadowing are evaluated so often
Point = tuple[float, float]
RandomOf = Callable[[Cause, int], np.random.Generator]
"""(cause, site) -> the device's generator."""
Positions = Mapping[int, tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]]
"""Device number in its group -> times, x and y of a recorded track."""


def site_points(sites: Sites) -> list[Point]:
    """Places of the base stations: the origin, then ring by ring of a hexagonal grid."""
    if not isinstance(sites, HexSites):
        return [(0.0, 0.0)]
    across = range(-sites.rings, sites.rings + 1)
    cells = [(q, r) for q in across for r in across if abs(q + r) <= sites.rings]
    cells.sort(key=lambda c: (max(abs(c[0]), abs(c[1]), abs(c[0] + c[1])), c))
    step_m = sites.inter_site_distance_m
    return [(step_m * (q + r / 2), step_m * r * math.sqrt(3) / 2) for q, r in cells]


def build_path(
    group: DeviceGroup, number: int, random: RandomOf, tracks: Positions
) -> mobility.Path:
    """The device's way: it starts uniformly over the area of the group's ring.

    Args:
        number: The device's number in its group.
    """
    rng = random(Cause.PLACE, 0)
    distance_m = math.sqrt(rng.uniform(group.distance_min_m**2, group.distance_max_m**2))
    angle = rng.uniform(0.0, 2.0 * math.pi)
    start = (distance_m * math.cos(angle), distance_m * math.sin(angle))
    match group.mobility:
        case RandomWaypoint() as walk:
            speeds = (walk.speed_min_mps, walk.speed_max_mps, walk.pause_s)
            ring = (group.distance_min_m, group.distance_max_m)
            return mobility.RandomWaypoint(start, *ring, *speeds, random(Cause.MOBILITY, 0))
        case StraightLine() as line:
            heading = line.heading_deg
            if heading is None:
                heading = random(Cause.MOBILITY, 0).uniform(0.0, 360.0)
            turn = math.radians(heading)
            return mobility.StraightLine(start, turn, line.speed_mps, group.distance_max_m)
        case TraceMobility():
            return mobility.Recorded(*tracks[number])
        case _:
            return mobility.Static(*start)


class Loss(Protocol):
    """Path loss between a device and a site, or a level that stands for it."""

    is_constant: bool

    def loss_db(self, time_s: float) -> float:
        """Path loss with shadowing and penetration in dB."""


class ConstantLoss:
    """The same at all times."""

    is_constant = True

    def __init__(self, loss_db: float) -> None:
        self._loss_db = loss_db

    def loss_db(self, time_s: float) -> float:
        """See `Loss`."""
        return self._loss_db


class RecordedLoss:
    """Path loss from a measured trace: ``reference`` - level."""

    is_constant = False

    def __init__(self, link: TraceLink, reference_db: float) -> None:
        self._link = link
        self._reference_db = reference_db

    def loss_db(self, time_s: float) -> float:
        """See `Loss`."""
        return self._reference_db - self._link.level_db(time_s)


class PlaceLoss:
    """Path loss of a model between a site and a device on its way.

    LOS state and shadowing follow the way with their correlation distances (TR 38.901 clauses 7.4.4
    and 7.6.3.3): a uniform variable made from a correlated normal one is compared with the LOS
    probability; shadowing is an exponentially correlated normal per LOS state. Below the shortest
    distance that the model is made for, that distance counts: what would matter there, the
    antenna's pattern, is no part of the model.
    """

    def __init__(self, law: PathLaw, path: mobility.Path, site: Point, random: RandomOf) -> None:
        self.is_constant = isinstance(path, mobility.Static)
        self._law, self._path, self._site = law, path, site
        self._draws = law.draws(random)
        self._steps: list[float] = []

    def loss_db(self, time_s: float) -> float:
        """See `Loss`."""
        step = 0 if self.is_constant else int(time_s / STEP_S)
        while len(self._steps) <= step:
            self._steps.append(self._loss_db(len(self._steps) * STEP_S))
        return self._steps[step]

    def _loss_db(self, time_s: float) -> float:
        x_m, y_m = self._path.at(time_s)
        distance_m = math.hypot(x_m - self._site[0], y_m - self._site[1])
        travelled_m = 0.0 if self.is_constant else self._path.travelled_m(time_s)
        return self._law.loss_db(distance_m, travelled_m, self._draws)


@dataclass(frozen=True)
class Draws:
    """The random part of one link: shadowing per LOS state, LOS state, loss into a building.

    ``height_m``: the effective environment height, drawn when first needed (UMa above 13 m).
    """

    shadow: Mapping[bool, CorrelatedNormal]
    los: CorrelatedNormal | None = None
    penetration_db: float | None = None
    height_rng: np.random.Generator | None = None
    height_m: list[float] = field(default_factory=list)


class PathLaw(Protocol):
    """Path loss as a function of distance, way and random draws."""

    def draws(self, random: RandomOf) -> Draws:
        """Fresh draws for one link."""

    def loss_db(self, distance_m: float, travelled_m: float, draws: Draws) -> float:
        """Path loss with shadowing in dB."""


class PowerLaw:
    """Free space or log-distance with log-normal shadowing."""

    def __init__(self, spec: FreeSpace | LogDistance, carrier_hz: float) -> None:
        self._spec, self._carrier_hz = spec, carrier_hz

    def draws(self, random: RandomOf) -> Draws:
        """See `PathLaw`."""
        rng = random(Cause.SHADOWING, 0)
        normal = CorrelatedNormal(self._spec.shadowing_correlation_m, rng)
        return Draws({True: normal})

    def loss_db(self, distance_m: float, travelled_m: float, draws: Draws) -> float:
        """See `PathLaw`."""
        spec = self._spec
        shadow_db = spec.shadowing_db * draws.shadow[True].at(travelled_m)
        if isinstance(spec, FreeSpace):
            return free_space_db(distance_m, self._carrier_hz) + shadow_db
        distance_m = max(distance_m, 1.0)
        return log_distance_db(distance_m, self._carrier_hz, spec.exponent) + shadow_db


class StandardLaw:
    """An environment of TR 38.901."""

    def __init__(self, spec: Tr38901, carrier_hz: float) -> None:
        self.environment = environment_of(spec)
        self._spec, self._carrier_hz = spec, carrier_hz
        self._shortest_m = distance_range_m(self.environment)[0]

    def draws(self, random: RandomOf) -> Draws:
        """See `PathLaw`; penetration loss is the device's own, the same to every site."""
        site_free = random(Cause.PENETRATION, 0)
        penetration_db = self._penetration_db(site_free)
        shadow_rng, los_rng = random(Cause.SHADOWING, 0), random(Cause.LINE_OF_SIGHT, 0)
        indoor = penetration_db is not None
        shadow = {
            los: CorrelatedNormal(
                propagation.shadowing_correlation_m(self.environment, los, indoor), shadow_rng
            )
            for los in (True, False)
        }
        los_correlation_m = propagation.los_correlation_m(self.environment)
        los = CorrelatedNormal(los_correlation_m, los_rng)
        height_rng = random(Cause.ENVIRONMENT_HEIGHT, 0) if self._is_high else None
        return Draws(shadow, los, penetration_db, height_rng)

    @property
    def _is_high(self) -> bool:
        return self.environment.kind == "uma" and self.environment.device_height_m > 13.0

    def _penetration_db(self, rng: np.random.Generator) -> float | None:
        spec = self._spec
        if isinstance(spec, InhOffice | InfHall) or rng.random() >= spec.indoor_share:
            return None
        return draw_o2i_db(spec.o2i, self.environment, self._carrier_hz, rng)

    def loss_db(self, distance_m: float, travelled_m: float, draws: Draws) -> float:
        """See `PathLaw`."""
        place, distance_m = self.environment, max(distance_m, self._shortest_m)
        indoor = draws.penetration_db is not None
        assert draws.los is not None
        chance = NormalDist().cdf(draws.los.at(travelled_m))
        los = chance < propagation.los_probability(place, distance_m)
        if draws.height_rng is not None and not draws.height_m:
            height = propagation.draw_environment_height_m(place, distance_m, draws.height_rng)
            draws.height_m.append(height)
        where = (place, distance_m, self._carrier_hz, los)
        loss_db = propagation.path_loss_db(*where, *draws.height_m)
        normal = {state: process.at(travelled_m) for state, process in draws.shadow.items()}[los]
        if self._spec.shadowing:
            spread = (los, distance_m, self._carrier_hz, indoor)
            loss_db += propagation.shadowing_sigma_db(place, *spread) * normal
        return loss_db + (draws.penetration_db or 0.0)


_KINDS: Mapping[str, Kind] = {
    "umi_street_canyon": "umi",
    "uma": "uma",
    "rma": "rma",
    "inh_office": "inh",
    "inf": "inf",
}


def environment_of(spec: Tr38901) -> Environment:
    """The TR 38.901 environment that a channel's noun describes."""
    left_out = {"kind", "shadowing", "indoor_share", "o2i"}
    try:
        return Environment(kind=_KINDS[spec.kind], **spec.model_dump(exclude=left_out))
    except ScenarioError as error:
        raise ScenarioError(error.message, path="cell.channel", value=error.value) from None


def build_losses(
    cell: Cell,
    path: mobility.Path,
    sites: Sequence[Point],
    random: RandomOf,
    trace: ChannelTrace | None,
    number: int,
) -> list[Loss]:
    """The device's loss to every site.

    Args:
        random: (cause, site) -> generator of this device.
        trace: The measured channel, for channels of kind ``trace``.
        number: The device's number in the scenario.
    """
    spec = cell.channel
    if trace is not None:
        return [_recorded(cell, trace, number)]
    if isinstance(spec, FixedSnr):
        return [ConstantLoss(-spec.snr_db)]
    law: PathLaw
    if isinstance(spec, FreeSpace | LogDistance):
        law = PowerLaw(spec, cell.carrier_hz)
    else:
        assert isinstance(spec, Tr38901)
        law = StandardLaw(spec, cell.carrier_hz)
    return [
        PlaceLoss(law, path, point, _at_site(random, number_of_site))
        for number_of_site, point in enumerate(sites)
    ]


def _at_site(random: RandomOf, site: int) -> RandomOf:
    """The device's generators for one site; what is the device's own stays at site 0."""
    own = (Cause.PENETRATION,)
    return lambda cause, _: random(cause, 0 if cause in own else site)


def _recorded(cell: Cell, trace: ChannelTrace, number: int) -> Loss:
    spec = cell.channel
    assert spec.kind == "trace"
    place, lap = number % len(trace.devices), number // len(trace.devices)
    link = TraceLink(
        trace.time_s[place],
        trace.level_db[place],
        at_end=spec.at_end,
        interpolation=spec.interpolation,
        offset_s=spec.offset_s * lap,
    )
    reference_db = 0.0
    if trace.value == "rsrp":
        reference_db = spec.reference_dbm_per_re
        path_loss_from_rsrp_db(trace.level_db[place], reference_db)  # refuses a loss below 0 dB
    return RecordedLoss(link, reference_db)
