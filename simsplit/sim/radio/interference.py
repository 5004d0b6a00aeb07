"""How much other cells raise the noise, in dB: by a constant, or as they come and go."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np

from simsplit.scenario.cell import InterferenceMargin, NeighbourCells, NoInterference

_CHUNK_BURSTS = 256


class NoiseRise(Protocol):
    """Interference at one receiver as a rise of its noise: 10 log10(1 + I/N) in dB.

    ``is_constant``: the same at all times, whatever this cell does, which need not be told.
    """

    is_constant: bool

    def rise_db(self, slot: int) -> float:
        """Noise rise in dB that the receiver suffers in this slot."""

    def occupy(self, slot: int, share: float) -> None:
        """This cell itself used that share of its resource blocks in the slot."""


class ConstantRise:
    """A margin, or none."""

    is_constant = True

    def __init__(self, margin_db: float) -> None:
        self._margin_db = margin_db

    def rise_db(self, slot: int) -> float:
        return self._margin_db

    def occupy(self, slot: int, share: float) -> None:
        """Nothing: a margin does not depend on this cell."""


class NeighbourRise:
    """Neighbours that are each on or off for a burst of slots, independently.

    With load ``coupled`` the chance to be on is this cell's own share of granted resource blocks,
    averaged exponentially over ``window_slots`` (symmetric load coupling: every cell is as loaded
    as this one; Fehske & Fettweis 2012).

    Args:
        generator_of: Chunk of bursts -> generator.
    """

    is_constant = False

    def __init__(
        self, spec: NeighbourCells, generator_of: Callable[[int], np.random.Generator]
    ) -> None:
        self._spec = spec
        self._generator_of = generator_of
        self._inr = 10.0 ** (0.1 * np.asarray(spec.inr_db))
        self._chunks: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = {}
        self._rises: dict[int, float] = {}
        self._load, self._slot = 0.0, 0

    def rise_db(self, slot: int) -> float:
        """Noise rise in dB; a burst's state is settled when it is first asked for."""
        burst = slot // self._spec.burst_slots
        rise_db = self._rises.get(burst)
        if rise_db is None:
            chunk, row = divmod(burst, _CHUNK_BURSTS)
            if chunk not in self._chunks:
                shape = (_CHUNK_BURSTS, len(self._inr))
                self._chunks[chunk] = self._generator_of(chunk).random(shape)
                self._chunks.pop(chunk - 2, None)
            is_on = self._chunks[chunk][row] < self._chance(slot)
            rise_db = 10.0 * math.log10(1.0 + float(self._inr[is_on].sum()))
            self._rises[burst] = rise_db
            self._rises.pop(burst - 4 * _CHUNK_BURSTS, None)
        return rise_db

    def _chance(self, slot: int) -> float:
        load = self._spec.load
        return self._decayed(slot) if load == "coupled" else float(load)

    def _decayed(self, slot: int) -> float:
        return self._load * (1.0 - 1.0 / self._spec.window_slots) ** max(0, slot - self._slot)

    def occupy(self, slot: int, share: float) -> None:
        self._load = self._decayed(slot) + share / self._spec.window_slots
        self._slot = slot


def build_rise(
    spec: NoInterference | InterferenceMargin | NeighbourCells,
    generator_of: Callable[[int], np.random.Generator],
) -> NoiseRise:
    """The noise rise that a scenario asks for; ``generator_of``: chunk of bursts -> generator."""
    match spec:
        case NeighbourCells():
            return NeighbourRise(spec, generator_of)
        case InterferenceMargin():
            return ConstantRise(spec.margin_db)
        case NoInterference():
            return ConstantRise(0.0)
