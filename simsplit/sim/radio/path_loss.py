"""Path loss between a device and a site over time: by a model along the path, or from a trace."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Generic, Protocol, TypeVar

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.phy import propagation
from simsplit.phy.environment import (
    Environment,
    Indoors,
    Kind,
    distance_range_m,
    draw_indoors,
)
from simsplit.phy.fading import free_space_db, log_distance_db
from simsplit.phy.propagation import CorrelatedNormal
from simsplit.phy.traces.read import ChannelTrace, TraceLink, path_loss_from_rsrp_db
from simsplit.scenario.channel import (
    FreeSpace,
    InfHall,
    InhOffice,
    LogDistance,
    Tr38901,
    TraceChannel,
)
from simsplit.seeds import Cause
from simsplit.sim.radio.mobility import Path, Point, Static
from simsplit.sim.radio.positions import RandomOf

STEP_S = 0.1  # moving devices: path loss and shadowing are evaluated so often
Drawn = TypeVar("Drawn")  # the random part of one link, as a law wants it
Geometric = FreeSpace | LogDistance | Tr38901
"""Channels whose path loss follows from positions."""


class Loss(Protocol):
    """Path loss between a device and a site; ``is_constant``: the same at all times."""

    is_constant: bool

    def loss_db(self, time_s: float) -> float:
        """Path loss with shadowing and penetration in dB, fading averaged out."""


class RecordedLoss:
    """Path loss from a measured trace: ``reference_db`` - level."""

    is_constant = False

    def __init__(self, link: TraceLink, reference_db: float) -> None:
        self._link = link
        self._reference_db = reference_db

    def loss_db(self, time_s: float) -> float:
        return self._reference_db - self._link.level_db(time_s)


class ModelLoss(Generic[Drawn]):
    """Path loss of a model between a site and a device on its path.

    LOS state and shadowing follow the path with their correlation distances (TR 38.901 clauses
    7.4.4 and 7.6.3.3): a uniform variable made from a correlated normal one is compared with the
    LOS probability; shadowing is an exponentially correlated normal per LOS state. Below the
    shortest distance that the model is made for, that distance counts: what would matter there,
    the antenna's pattern, is no part of the model. A moving device's loss changes every 0.1 s.
    """

    def __init__(self, law: PathLaw[Drawn], path: Path, site: Point, random: RandomOf) -> None:
        self.is_constant = isinstance(path, Static)
        self._law, self._path, self._site = law, path, site
        self._draws = law.draws(random)
        self._steps: list[float] = []

    def loss_db(self, time_s: float) -> float:
        step = 0 if self.is_constant else int(time_s / STEP_S)
        while len(self._steps) <= step:
            self._steps.append(self._loss_db(len(self._steps) * STEP_S))
        return self._steps[step]

    def _loss_db(self, time_s: float) -> float:
        x_m, y_m = self._path.at(time_s)
        distance_m = math.hypot(x_m - self._site[0], y_m - self._site[1])
        travelled_m = 0.0 if self.is_constant else self._path.travelled_m(time_s)
        return self._law.loss_db(distance_m, travelled_m, self._draws)


class PathLaw(Protocol[Drawn]):
    """Path loss as a function of distance, way travelled and random draws."""

    def draws(self, random: RandomOf) -> Drawn:
        """Fresh draws for one link from its generators."""

    def loss_db(self, distance_m: float, travelled_m: float, draws: Drawn) -> float:
        """Path loss with shadowing and penetration in dB at a horizontal distance."""


class PowerLaw:
    """Free space or log-distance with log-normal shadowing."""

    def __init__(self, spec: FreeSpace | LogDistance, carrier_hz: float) -> None:
        self._spec, self._carrier_hz = spec, carrier_hz

    def draws(self, random: RandomOf) -> CorrelatedNormal:
        """Standard normal shadowing along the path."""
        return CorrelatedNormal(self._spec.shadowing_correlation_m, random(Cause.SHADOWING, 0))

    def loss_db(self, distance_m: float, travelled_m: float, draws: CorrelatedNormal) -> float:
        spec = self._spec
        shadow_db = spec.shadowing_db * draws.at(travelled_m)
        if isinstance(spec, FreeSpace):
            return free_space_db(distance_m, self._carrier_hz) + shadow_db
        distance_m = max(distance_m, 1.0)
        return log_distance_db(distance_m, self._carrier_hz, spec.exponent) + shadow_db


@dataclass(frozen=True)
class Draws:
    """The random part of one link of a `StandardLaw`.

    Attributes:
        shadow: LOS state → standard normal shadowing along the path.
        los: Standard normal along the path that decides on LOS.
        indoors: The way inside a building; None: the device is out of doors.
        height_rng: Draws the effective environment height when it is first needed; None: the
            environment has none that is random (UMa above 13 m has).
        height_m: That height, once it is drawn.
    """

    shadow: Mapping[bool, CorrelatedNormal]
    los: CorrelatedNormal
    indoors: Indoors | None = None
    height_rng: np.random.Generator | None = None
    height_m: list[float] = field(default_factory=list)


class StandardLaw:
    """An environment of TR 38.901.

    Args:
        spec: Of the scenario.
        carrier_hz: Carrier frequency.
        beyond: Continue the law past its longest distance (links to sites that do not serve).
    """

    def __init__(self, spec: Tr38901, carrier_hz: float, *, beyond: bool = False) -> None:
        self.environment = environment_of(spec)
        self._spec, self._carrier_hz, self._beyond = spec, carrier_hz, beyond
        self._shortest_m = distance_range_m(self.environment)[0]

    def draws(self, random: RandomOf) -> Draws:
        """Fresh draws; the way indoors is the device's own, the same to every site."""
        indoors = self._indoors(random(Cause.PENETRATION, 0))
        shadow_rng, los_rng = random(Cause.SHADOWING, 0), random(Cause.LINE_OF_SIGHT, 0)
        shadow = {
            los: CorrelatedNormal(
                propagation.shadowing_correlation_m(self.environment, los, indoors is not None),
                shadow_rng,
            )
            for los in (True, False)
        }
        los = CorrelatedNormal(propagation.los_correlation_m(self.environment), los_rng)
        height_rng = random(Cause.ENVIRONMENT_HEIGHT, 0) if self._is_high else None
        return Draws(shadow, los, indoors, height_rng)

    @property
    def _is_high(self) -> bool:
        return self.environment.kind == "uma" and self.environment.device_height_m > 13.0

    def _indoors(self, rng: np.random.Generator) -> Indoors | None:
        spec = self._spec
        if isinstance(spec, InhOffice | InfHall) or rng.random() >= spec.indoor_share:
            return None
        return draw_indoors(spec.o2i, self.environment, self._carrier_hz, rng)

    def is_los(self, distance_m: float, travelled_m: float, draws: Draws) -> bool:
        """Line of sight: drawn by the part of the distance that is out of doors (Table 7.4.2-1)."""
        outdoor_m = draws.indoors.outdoor_m(distance_m) if draws.indoors else distance_m
        chance = NormalDist().cdf(draws.los.at(travelled_m))
        return chance < propagation.los_probability(self.environment, outdoor_m)

    def loss_db(self, distance_m: float, travelled_m: float, draws: Draws) -> float:
        distance_m = max(distance_m, self._shortest_m)
        los = self.is_los(distance_m, travelled_m, draws)
        self._draw_height(distance_m, draws)
        link = (self.environment, distance_m, self._carrier_hz, los)
        loss_db = propagation.path_loss_db(*link, *draws.height_m, beyond=self._beyond)
        normal = {state: process.at(travelled_m) for state, process in draws.shadow.items()}[los]
        if self._spec.shadowing:
            loss_db += self._sigma_db(distance_m, los, draws) * normal
        return loss_db + (draws.indoors.loss_db(distance_m) if draws.indoors else 0.0)

    def _draw_height(self, distance_m: float, draws: Draws) -> None:
        """h_E of the link, when it is first needed; the roofs along the whole way count."""
        if draws.height_rng is not None and not draws.height_m:
            height_m = propagation.draw_environment_height_m(
                self.environment, distance_m, draws.height_rng
            )
            draws.height_m.append(height_m)

    def _sigma_db(self, distance_m: float, los: bool, draws: Draws) -> float:
        link = (self.environment, los, distance_m, self._carrier_hz, draws.indoors is not None)
        return propagation.shadowing_sigma_db(*link, beyond=self._beyond)


_KINDS: Mapping[str, Kind] = {
    "umi_street_canyon": "umi",
    "uma": "uma",
    "rma": "rma",
    "inh_office": "inh",
    "inf": "inf",
}


def environment_of(spec: Tr38901) -> Environment:
    """The TR 38.901 environment that a channel's spec describes.

    Raises:
        ScenarioError: Heights, clutter or kind that contradict each other, at ``cell.channel``.
    """
    left_out = {"kind", "shadowing", "indoor_share", "o2i"}
    try:
        return Environment(kind=_KINDS[spec.kind], **spec.model_dump(exclude=left_out))
    except ScenarioError as error:
        raise ScenarioError(error.message, path="cell.channel", value=error.value) from None


def build_losses(
    spec: Geometric, carrier_hz: float, path: Path, sites: Sequence[Point], random: RandomOf
) -> list[Loss]:
    """The device's path loss to every site, in their order.

    Of several sites some may be further off than the law is made for: it is continued there, and
    `simsplit.sim.radio.reach` sees to it that none of these serves the device.

    Args:
        random: (cause, site) -> generator of this device.

    Raises:
        ScenarioError: An environment that contradicts itself.
    """
    if isinstance(spec, FreeSpace | LogDistance):
        return _along(PowerLaw(spec, carrier_hz), path, sites, random)
    law = StandardLaw(spec, carrier_hz, beyond=len(sites) > 1)
    return _along(law, path, sites, random)


def _along(law: PathLaw[Drawn], path: Path, sites: Sequence[Point], random: RandomOf) -> list[Loss]:
    return [
        ModelLoss(law, path, site, _at_site(random, number)) for number, site in enumerate(sites)
    ]


def _at_site(random: RandomOf, site: int) -> RandomOf:
    """The device's generators for one site; what is the device's own stays at site 0."""
    own = (Cause.PENETRATION,)
    return lambda cause, _: random(cause, 0 if cause in own else site)


def recorded_link(spec: TraceChannel, trace: ChannelTrace, number: int) -> TraceLink:
    """Levels of the scenario's device ``number``: the trace's device of that number, or, where
    there are fewer, again from the first, shifted by ``offset_s`` each time around.
    """
    lap, device = divmod(number, len(trace.devices))
    return TraceLink(
        trace.time_s[device],
        trace.level_db[device],
        at_end=spec.at_end,
        interpolation=spec.interpolation,
        offset_s=spec.offset_s * lap,
    )


def recorded_loss(spec: TraceChannel, trace: ChannelTrace, number: int) -> RecordedLoss:
    """Path loss of the scenario's device ``number`` from a trace of RSRP.

    Raises:
        ScenarioError: RSRP exceeds the power that was sent.
    """
    reference_dbm = spec.reference_dbm_per_re
    device = number % len(trace.devices)
    path_loss_from_rsrp_db(trace.level_db[device], reference_dbm)  # refuses a loss below 0 dB
    return RecordedLoss(recorded_link(spec, trace, number), reference_dbm)
