"""Gain of single links, slot by slot: the mean by path loss or as given, with fading upon it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.phy.fading import BlockFading, JakesFading
from simsplit.phy.multipath import SelectiveFading, subbands_needed
from simsplit.scenario.channel import Jakes, Multipath, NoFading, RayleighBlocks, RicianBlocks

if TYPE_CHECKING:
    from simsplit.phy.traces.read import TraceLink
    from simsplit.scenario.cell import Cell
    from simsplit.scenario.channel import Fading
    from simsplit.sim.radio.mobility import Path
    from simsplit.sim.radio.path_loss import Loss


CHUNK_SLOTS = 64
Floats = NDArray[np.float64]


# --- small-scale fading -----------------------------------------------------------------------


class Fade(Protocol):
    """Small-scale power gain of one link."""

    def gains_db(self, slots: NDArray[np.int64]) -> Floats:
        """Slots ``(T,)``, rising -> gains in dB, ``(T,)`` or, per subband, ``(T, F)``."""


class BlockFade:
    """Gains that stay for a coherence time of so many slots."""

    def __init__(self, blocks: BlockFading, slots_per_block: int) -> None:
        self._blocks, self._slots = blocks, slots_per_block

    def gains_db(self, slots: NDArray[np.int64]) -> Floats:
        blocks = slots // self._slots
        first = int(blocks[0])
        gains = [self._blocks.gain_db(block) for block in range(first, int(blocks[-1]) + 1)]
        return np.array(gains)[blocks - first]


class MovingFade:
    """Gains that follow the way travelled: the device's own and that of things around it."""

    def __init__(
        self, model: JakesFading | SelectiveFading, path: Path, speed_mps: float, slot_s: float
    ) -> None:
        self._model, self._path = model, path
        self._speed_mps, self._slot_s = speed_mps, slot_s

    def gains_db(self, slots: NDArray[np.int64]) -> Floats:
        times_s = slots * self._slot_s
        own_m = np.array([self._path.travelled_m(t) for t in times_s.tolist()])
        gains: Floats = self._model.gain_db(own_m + self._speed_mps * times_s)
        return gains


def subbands_of(spec: Multipath, cell: Cell, n_prb: int) -> int:
    """The scenario's own number of subbands, or what its carrier needs (`subbands_needed`)."""
    if spec.subbands is not None:
        return spec.subbands
    width_hz = 12.0 * cell.subcarrier_spacing_hz * n_prb
    return subbands_needed(spec.delay_spread_s, width_hz, n_prb)


def build_fade(cell: Cell, path: Path, n_prb: int, key: tuple[int, ...]) -> Fade | None:
    """The fading of one link under a seed's ``key``; None if there is none."""
    spec: Fading = cell.fading
    match spec:
        case NoFading():
            return None
        case RayleighBlocks() | RicianBlocks():
            k_factor_db = spec.k_factor_db if isinstance(spec, RicianBlocks) else None
            slots = max(1, round(spec.coherence_time_s / cell.slot_s))
            return BlockFade(BlockFading(spec.kind, key, k_factor_db), slots)
        case Jakes():
            flat = JakesFading(cell.carrier_hz, key, spec.k_factor_db)
            return MovingFade(flat, path, spec.speed_mps, cell.slot_s)
        case Multipath():
            width_hz = 12.0 * cell.subcarrier_spacing_hz * n_prb
            count = subbands_of(spec, cell, n_prb)
            middles = (np.arange(count) + 0.5) / count - 0.5
            name = f"{spec.kind.upper()}-{spec.profile}"
            selective = SelectiveFading(
                name, spec.delay_spread_s, cell.carrier_hz, middles * width_hz, key
            )
            return MovingFade(selective, path, spec.speed_mps, cell.slot_s)


# --- gain without fading ----------------------------------------------------------------------


class MeanGain(Protocol):
    """Gain without fading from 0 dBm per resource block to Es/N0 (``is_constant``: at all times).

    Where the channel gives the level itself, 0 dBm stands for whatever was sent.
    """

    is_constant: bool

    def gain_db(self, time_s: float) -> float:
        """The gain in dB at a time."""


class PathGain:
    """Minus path loss, minus the noise in one resource block."""

    def __init__(self, loss: Loss, noise_dbm: float) -> None:
        self.is_constant = loss.is_constant
        self._loss, self._noise_dbm = loss, noise_dbm

    def gain_db(self, time_s: float) -> float:
        return -self._loss.loss_db(time_s) - self._noise_dbm


class GivenLevel:
    """The same Es/N0 at all times."""

    is_constant = True

    def __init__(self, level_db: float) -> None:
        self._level_db = level_db

    def gain_db(self, time_s: float) -> float:
        return self._level_db


class RecordedLevel:
    """Es/N0 of a measured trace."""

    is_constant = False

    def __init__(self, link: TraceLink) -> None:
        self._link = link

    def gain_db(self, time_s: float) -> float:
        return self._link.level_db(time_s)


# --- links ------------------------------------------------------------------------------------


class Link(Protocol):
    """One device at one site: gain in dB from 0 dBm per resource block to Es/N0, slot by slot."""

    def mean_gain_db(self, slot: int) -> float:
        """Gain without fading."""

    def gain_db(self, slot: int) -> float:
        """Gain with fading (the band's mean power, if the channel is selective)."""

    def bands_db(self, slot: int) -> Floats:
        """Gain of each subband ``(F,)``; one subband if the channel is flat."""


class SteadyLink:
    """A link whose gain never changes."""

    def __init__(self, gain_db: float) -> None:
        self._gain_db = gain_db
        self._bands_db = np.array([gain_db])

    def mean_gain_db(self, slot: int) -> float:
        return self._gain_db

    def gain_db(self, slot: int) -> float:
        return self._gain_db

    def bands_db(self, slot: int) -> Floats:
        return self._bands_db


class VaryingLink:
    """A link that fades or whose mean changes; computed 64 slots at a time."""

    def __init__(self, mean: MeanGain, fade: Fade | None, slot_s: float) -> None:
        self._mean, self._fade, self._slot_s = mean, fade, slot_s
        self._chunks: list[tuple[int, list[float]]] = [(-1, []), (-1, [])]
        self._bands: list[Floats] = [np.empty(0), np.empty(0)]

    def mean_gain_db(self, slot: int) -> float:
        return self._mean.gain_db(slot * self._slot_s)

    def gain_db(self, slot: int) -> float:
        number = slot // CHUNK_SLOTS
        chunk = self._chunks[number & 1]
        if chunk[0] != number:
            chunk = self._load(number)
        return chunk[1][slot % CHUNK_SLOTS]

    def bands_db(self, slot: int) -> Floats:
        number = slot // CHUNK_SLOTS
        if self._chunks[number & 1][0] != number:
            self._load(number)
        row: Floats = self._bands[number & 1][slot % CHUNK_SLOTS]
        return row

    def _load(self, number: int) -> tuple[int, list[float]]:
        """Gains of one chunk of slots; two chunks are kept, since reports look back."""
        slots = np.arange(number * CHUNK_SLOTS, (number + 1) * CHUNK_SLOTS)
        level = self._levels_db(slots)
        if self._fade is not None:
            gains = self._fade.gains_db(slots)
            bands = level[:, None] + (gains if gains.ndim == 2 else gains[:, None])
            if gains.ndim == 2:
                gains = 10.0 * np.log10(np.mean(10.0 ** (0.1 * gains), axis=1))
            level = level + gains
        else:
            bands = level[:, None]
        self._bands[number & 1] = bands
        chunk = self._chunks[number & 1] = (number, level.tolist())
        return chunk

    def _levels_db(self, slots: NDArray[np.int64]) -> Floats:
        if self._mean.is_constant:
            return np.full(len(slots), self.mean_gain_db(0))
        return np.array([self.mean_gain_db(slot) for slot in slots.tolist()])


def build_link(mean: MeanGain, fade: Fade | None, slot_s: float) -> Link:
    """The link of a mean gain and a fading; without change of either it is one number."""
    if fade is None and mean.is_constant:
        return SteadyLink(mean.gain_db(0.0))
    return VaryingLink(mean, fade, slot_s)
