"""What a scenario draws once per run: with one replication, all that is measured depends on it.

Such a set of draws (places, line of sight, shadowing …) is called a drop, as in 3GPP TR 36.814
clause A.2.1. Longer runs do not average over drops; replications do, since each draws its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from simsplit.messages import Scheme
from simsplit.scenario.access import ConfiguredAccess, DynamicAccess
from simsplit.scenario.channel import (
    CustomChannel,
    FreeSpace,
    InfHall,
    InhOffice,
    LogDistance,
    NoFading,
    RayleighBlocks,
    RicianBlocks,
    Tr38901,
    Uma,
)
from simsplit.scenario.devices import CustomArrivals, DeviceGroup, PeriodicArrivals, PoissonArrivals
from simsplit.scenario.scenario import Scenario

PHASES = "arrival phases"
ACCESS = "phases of access"
OWN_ARRIVALS = "arrivals"
# Longest distance in m at which line of sight is sure (TR 38.901 Table 7.4.2-1); in halls never.
_SURE_LOS_M = {"umi_street_canyon": 18.0, "uma": 18.0, "rma": 10.0}
_SURE_OFFICE_LOS_M = {"mixed": 1.2, "open": 5.0}
_LOW_M = 13.0  # above it UMa's effective environment height is random: Table 7.4.1-1, note 1


def drawn_once(scenario: Scenario) -> tuple[str, ...]:
    """What is drawn once per replication and holds to its end; empty if nothing is.

    Not among them: what is drawn again and again within a run (fading, arrivals of a Poisson
    process, samples, block errors), and what is given (traces of channels, tracks and arrivals,
    fixed SNR). A random walk counts by its start, which a run is too short to forget.
    """
    return tuple(dict.fromkeys([*_of_places(scenario), *_of_time(scenario)]))


def _of_places(scenario: Scenario) -> Iterator[str]:
    """Of a channel whose loss follows from positions."""
    channel = scenario.cell.channel
    if not isinstance(channel, FreeSpace | LogDistance | Tr38901):
        return
    owners = [scenario.place_of(group) for group in scenario.devices]
    if any(_is_place_drawn(scenario, group) for group in owners):
        yield "places"
    if any(_is_heading_drawn(group) for group in owners):
        yield "headings"
    if isinstance(channel, FreeSpace | LogDistance):
        if channel.shadowing_db > 0:
            yield "shadowing"
        return
    yield from _of_surroundings(scenario, channel, owners)


def _of_surroundings(
    scenario: Scenario, channel: Tr38901, owners: Collection[DeviceGroup]
) -> Iterator[str]:
    if any(_is_los_drawn(scenario, channel, group) for group in owners):
        yield "line of sight"
        if isinstance(channel, Uma) and channel.device_height_m > _LOW_M:
            yield "environment height"
    if channel.shadowing:
        yield "shadowing"
    if not isinstance(channel, InhOffice | InfHall) and channel.indoor_share > 0:
        yield "indoor depth"


def _of_time(scenario: Scenario) -> Iterator[str]:
    """Of fading that stands still, of arrivals that repeat, and of slots for access.

    Of a user's own channel or arrivals nobody knows: each may hold something for a whole run.
    """
    if isinstance(scenario.cell.channel, CustomChannel):
        yield "the channel"
    if any(isinstance(group.arrivals, CustomArrivals) for group in scenario.devices):
        yield OWN_ARRIVALS
    if any(_is_fading_frozen(scenario, group) for group in scenario.devices):
        yield "fading"
    if any(_has_phase(group) for group in scenario.devices):
        yield PHASES
    if _is_access_drawn(scenario):
        yield ACCESS


def _is_place_drawn(scenario: Scenario, group: DeviceGroup) -> bool:
    """Around one site the distance alone counts, around several the direction too."""
    if group.mobility.kind == "trace":
        return False
    is_ring = group.distance_max_m > group.distance_min_m
    return is_ring or scenario.cell.sites.kind != "single"


def _is_heading_drawn(group: DeviceGroup) -> bool:
    return group.mobility.kind == "straight" and group.mobility.heading_deg is None


def _is_los_drawn(scenario: Scenario, channel: Tr38901, group: DeviceGroup) -> bool:
    if scenario.cell.sites.kind != "single" or group.mobility.kind == "trace":
        return True
    if isinstance(channel, InhOffice):
        sure_m = _SURE_OFFICE_LOS_M[channel.office]
    else:
        sure_m = _SURE_LOS_M.get(channel.kind, 0.0)
    return group.distance_max_m > sure_m


def _is_fading_frozen(scenario: Scenario, group: DeviceGroup) -> bool:
    """One coherence time covers the run, or neither the device nor anything around it moves."""
    fading = scenario.cell.fading
    if isinstance(fading, NoFading):
        return False
    if isinstance(fading, RayleighBlocks | RicianBlocks):
        return fading.coherence_time_s >= scenario.duration_s
    return fading.speed_mps == 0 and scenario.place_of(group).mobility.kind == "static"


def _has_phase(group: DeviceGroup) -> bool:
    return isinstance(group.arrivals, PeriodicArrivals) and not group.arrivals.in_phase


def _is_access_drawn(scenario: Scenario) -> bool:
    """Whether the phases of scheduling requests or own slots make one run differ from another.

    A Poisson process meets every part of a period; given times may always meet the same. Whose own
    slots are the same ones, and share the band, holds for a whole run with any arrivals.
    """
    senders = [group for group in scenario.devices if _sends(scenario, group)]
    if _access_period_slots(scenario) == 1 or not senders:
        return False
    is_given = any(not isinstance(group.arrivals, PoissonArrivals) for group in senders)
    is_shared = sum(group.count for group in senders) > 1
    return is_given or (is_shared and isinstance(scenario.cell.access, ConfiguredAccess))


def _access_period_slots(scenario: Scenario) -> int:
    match scenario.cell.access:
        case DynamicAccess() as access:
            return access.sr_period_slots
        case ConfiguredAccess() as access:
            return access.period_slots
        case _:
            return 1


def _sends(scenario: Scenario, group: DeviceGroup) -> bool:
    """Whether any operating point that the group may choose sends something up."""
    points = scenario.points_of(group)
    return any(point.scheme is not Scheme.LOCAL or point.send_result for point in points)


# --- common draws -----------------------------------------------------------------------------


def share_draws(
    a: Scenario, a_groups: Collection[str], b: Scenario, b_groups: Collection[str]
) -> bool:
    """Whether groups of one run and groups of another (or the same) one have the same drop.

    They do with the same seed, if each group stands where its counterpart does: the same number of
    devices of the same group (or of its ``place_group``), in the same ring, moving alike; phases of
    access are drawn with the place. Phases of periodic arrivals are a device's own, so only the
    same groups share them.
    """
    if a.seed != b.seed:
        return False
    drawn = {*drawn_once(a), *drawn_once(b)}
    if drawn - {PHASES, ACCESS} and _stand(a, a_groups) != _stand(b, b_groups):
        return False
    if ACCESS in drawn and _owners(a, a_groups) != _owners(b, b_groups):
        return False
    return PHASES not in drawn or _phases(a, a_groups) == _phases(b, b_groups)


def _stand(scenario: Scenario, names: Collection[str]) -> list[str]:
    """Where the devices of these groups stand and how they move, as comparable texts."""
    groups = [group for group in scenario.devices if group.name in names]
    owners = [(group.count, scenario.place_of(group)) for group in groups]
    return sorted(
        f"{scenario.devices.index(owner)} {count} {owner.distance_min_m} {owner.distance_max_m} "
        f"{owner.mobility}"
        for count, owner in owners
    )


def _owners(scenario: Scenario, names: Collection[str]) -> list[tuple[int, int]]:
    """Numbers of the groups with whose places these groups' phases of access are drawn."""
    groups = [group for group in scenario.devices if group.name in names]
    return sorted((scenario.devices.index(scenario.place_of(g)), g.count) for g in groups)


def _phases(scenario: Scenario, names: Collection[str]) -> list[str]:
    return [
        f"{number} {group.count} {group.arrivals}"
        for number, group in enumerate(scenario.devices)
        if group.name in names and _has_phase(group)
    ]
