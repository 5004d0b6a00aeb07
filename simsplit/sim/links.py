"""Small-scale fading and gain of single links, slot by slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.channel import Jakes, Multipath, NoFading, RayleighBlocks, RicianBlocks
from simsplit.phy.fading import BlockFading, JakesFading
from simsplit.phy.multipath import SelectiveFading

if TYPE_CHECKING:
    from simsplit.channel import Fading
    from simsplit.radio import Cell
    from simsplit.sim.mobility import Path
    from simsplit.sim.place import Loss

CHUNK_SLOTS = 64
Floats = NDArray[np.float64]


class Fade(Protocol):
    """Small-scale power gain of one link."""

    def gains_db(self, slots: NDArray[np.int64]) -> Floats:
        """Slots ``(T,)`` -> gains in dB, ``(T,)`` or, per subband, ``(T, F)``."""


class BlockFade:
    """Gains that stay for a coherence time."""

    def __init__(self, blocks: BlockFading, slots_per_block: int) -> None:
        self._blocks, self._slots = blocks, slots_per_block

    def gains_db(self, slots: NDArray[np.int64]) -> Floats:
        """See `Fade`."""
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
        """See `Fade`."""
        times_s = slots * self._slot_s
        own_m = np.array([self._path.travelled_m(t) for t in times_s.tolist()])
        gains: Floats = self._model.gain_db(own_m + self._speed_mps * times_s)
        return gains


def build_fade(cell: Cell, path: Path, n_prb: int, key: tuple[int, ...]) -> Fade | None:
    """The fading of one link under ``key``; None if there is none."""
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
            middles = (np.arange(spec.subbands) + 0.5) / spec.subbands - 0.5
            name = f"{spec.kind.upper()}-{spec.profile}"
            selective = SelectiveFading(
                name, spec.delay_spread_s, cell.carrier_hz, middles * width_hz, key
            )
            return MovingFade(selective, path, spec.speed_mps, cell.slot_s)


class Link:
    """One device at one site: gain in dB from 0 dBm per resource block to Es/N0, slot by slot.

    Args:
        loss: Path loss over time.
        noise_dbm: Noise in one resource block.
    """

    def __init__(self, loss: Loss, fade: Fade | None, noise_dbm: float, slot_s: float) -> None:
        self._loss, self._fade, self._noise_dbm = loss, fade, noise_dbm
        self._slot_s = slot_s
        if fade is None and loss.is_constant:
            constant_db = self.mean_gain_db(0)
            self.gain_db = lambda slot: constant_db  # type: ignore[method-assign]
        self._chunks: list[tuple[int, list[float]]] = [(-1, []), (-1, [])]
        self._bands: list[Floats] = [np.empty(0), np.empty(0)]

    def loss_db(self, slot: int) -> float:
        """Path loss, fading averaged out."""
        return self._loss.loss_db(slot * self._slot_s)

    def mean_gain_db(self, slot: int) -> float:
        """Gain without fading."""
        return -self.loss_db(slot) - self._noise_dbm

    def gain_db(self, slot: int) -> float:
        """Gain with fading (the band's mean power, if the channel is selective)."""
        chunk = slot // CHUNK_SLOTS
        found = self._chunks[chunk & 1]
        if found[0] != chunk:
            found = self._load(chunk)
        return found[1][slot % CHUNK_SLOTS]

    def bands_db(self, slot: int) -> Floats:
        """Gain of each subband ``(F,)``."""
        chunk = slot // CHUNK_SLOTS
        if self._chunks[chunk & 1][0] != chunk:
            self._load(chunk)
        row: Floats = self._bands[chunk & 1][slot % CHUNK_SLOTS]
        return row

    def _load(self, chunk: int) -> tuple[int, list[float]]:
        """Gains of one chunk of slots; two chunks are kept, since reports look back."""
        slots = np.arange(chunk * CHUNK_SLOTS, (chunk + 1) * CHUNK_SLOTS)
        level = self._levels_db(slots)
        if self._fade is not None:
            gains = self._fade.gains_db(slots)
            bands = level[:, None] + (gains if gains.ndim == 2 else gains[:, None])
            if gains.ndim == 2:
                gains = 10.0 * np.log10(np.mean(10.0 ** (0.1 * gains), axis=1))
            level = level + gains
        else:
            bands = level[:, None]
        self._bands[chunk & 1] = bands
        found = self._chunks[chunk & 1] = (chunk, level.tolist())
        return found

    def _levels_db(self, slots: NDArray[np.int64]) -> Floats:
        if self._loss.is_constant:
            return np.full(len(slots), self.mean_gain_db(0))
        return np.array([self.mean_gain_db(slot) for slot in slots.tolist()])
