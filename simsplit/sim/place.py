"""Where devices stand and what SNR that gives them in every slot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from simsplit.phy.fading import (
    BlockFading,
    draw_los_umi,
    draw_shadowing_db,
    free_space_db,
    log_distance_db,
    thermal_noise_dbm,
    umi_street_canyon_db,
)
from simsplit.scenario import (
    Cell,
    DeviceGroup,
    FixedSnr,
    FreeSpace,
    LogDistance,
    UmiStreetCanyon,
)
from simsplit.seeds import Cause

_SUBCARRIERS_PER_PRB = 12  # TS 38.211 clause 4.4.4.1
RandomOf = Callable[[int, Cause], np.random.Generator]


class LinkBudget:
    """Es/N0 of one device: transmit power - loss - noise over the grant + fading.

    The device spreads its whole power over the granted blocks, so Es/N0 falls by 10 log10(n_prb).
    """

    def __init__(self, received_dbm: float, noise_prb_dbm: float, fade: FadeOfSlot) -> None:
        self.received_dbm = received_dbm
        self._snr_one_prb_db = received_dbm - noise_prb_dbm
        self._fade = fade

    def snr_db(self, slot: int, n_prb: int) -> float:
        """Es/N0 in dB in a slot on ``n_prb`` resource blocks."""
        return self._snr_one_prb_db - _db(n_prb) + self._fade.gain_db(slot)


class FixedSnrLink:
    """The same mean Es/N0 for every grant, with fading on top."""

    def __init__(self, mean_snr_db: float, fade: FadeOfSlot) -> None:
        self.mean_snr_db = mean_snr_db
        self._fade = fade

    def snr_db(self, slot: int, n_prb: int) -> float:
        """Es/N0 in dB in a slot; the grant does not matter."""
        return self.mean_snr_db + self._fade.gain_db(slot)


class FadeOfSlot:
    """Block fading seen from slots: the gain stays for ``coherence_time_s``."""

    def __init__(self, blocks: BlockFading, slots_per_block: int) -> None:
        self._blocks = blocks
        self._slots = slots_per_block

    def gain_db(self, slot: int) -> float:
        """Power gain in dB."""
        return self._blocks.gain_db(slot // self._slots)


@lru_cache(maxsize=512)
def _db(n_prb: int) -> float:
    return 10.0 * math.log10(n_prb)


def build_snr_sources(
    cell: Cell, groups: Sequence[DeviceGroup], random: RandomOf, keys: Sequence[tuple[int, ...]]
) -> list[LinkBudget | FixedSnrLink]:
    """One SNR source per device, by its group.

    Args:
        random: Generator of (device, cause); place and shadowing are drawn from it.
        keys: Per device the key of its fading stream.
    """
    noise_dbm = thermal_noise_dbm(
        _SUBCARRIERS_PER_PRB * cell.subcarrier_spacing_hz, cell.noise_figure_db
    )
    noise_dbm += cell.interference_margin_db
    sources: list[LinkBudget | FixedSnrLink] = []
    for index, group in enumerate(groups):
        fade = _fade(cell, keys[index])
        if isinstance(cell.channel, FixedSnr):
            sources.append(FixedSnrLink(cell.channel.snr_db, fade))
        else:
            distance_m = _distance_m(group, random(index, Cause.PLACE))
            loss_db = path_loss_db(cell, distance_m, random(index, Cause.SHADOWING))
            sources.append(LinkBudget(group.tx_power_dbm - loss_db, noise_dbm, fade))
    return sources


def path_loss_db(cell: Cell, distance_m: float, rng: np.random.Generator) -> float:
    """Path loss with this device's shadowing, drawn once: devices stand still."""
    match cell.channel:
        case UmiStreetCanyon() as umi:
            los = draw_los_umi(distance_m, rng)
            shadow_db = draw_shadowing_db(los, rng) if umi.shadowing else 0.0
            heights = (umi.base_station_height_m, umi.device_height_m)
            return umi_street_canyon_db(distance_m, cell.carrier_hz, *heights, los) + shadow_db
        case FreeSpace() as free:
            return free_space_db(distance_m, cell.carrier_hz) + float(
                rng.normal(0.0, free.shadowing_db)
            )
        case LogDistance() as law:
            loss_db = log_distance_db(distance_m, cell.carrier_hz, law.exponent)
            return loss_db + float(rng.normal(0.0, law.shadowing_db))
        case _:
            raise TypeError(f"no path loss in a channel of kind {cell.channel.kind}")


def _distance_m(group: DeviceGroup, rng: np.random.Generator) -> float:
    """Uniform over the area of the group's ring: d = sqrt(U(min^2, max^2))."""
    return math.sqrt(rng.uniform(group.distance_min_m**2, group.distance_max_m**2))


def _fade(cell: Cell, key: tuple[int, ...]) -> FadeOfSlot:
    spec = cell.fading
    k_factor_db = spec.k_factor_db if spec.kind == "rician" else None
    blocks = BlockFading(spec.kind, key, k_factor_db)
    return FadeOfSlot(blocks, max(1, round(spec.coherence_time_s / cell.slot_s)))
