"""Scheme and resource blocks of a grant, chosen together by the table of block errors.

The rule: bits that fit go on the fewest resource blocks on which some scheme carries them within
the error target, with the most robust such scheme there; of more bits than fit the most are
carried, on the fewest blocks that do. A device at its power limit has 10 log10(N / n) dB more on n
blocks than on N (power headroom, TS 38.321 clause 5.4.6), so that it gets few blocks and a high
scheme, and what would not raise its rate is left to others. Sizes: TS 38.214 clause 5.1.3.2.

Plain Python and NumPy; every answer that does not depend on the channel is remembered.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import OutOfTable
from simsplit.phy.mcs import Mcs
from simsplit.phy.sizes import transport_block_bits

if TYPE_CHECKING:
    from simsplit.phy.link import BlerTable

Floats = NDArray[np.float64]
Choice = tuple[Mcs, int, int]
"""Scheme, resource blocks, transport block size in bits."""
_MOST_PRB = 1024  # more than any carrier has: ranks (bits, fewest blocks) by one number


class Options:
    """What every scheme carries on 1 to N resource blocks, and the Es/N0 that it needs.

    Args:
        table: Block error rates; of each width the schemes that no other one beats are kept.
        n_prb: Width N of the carrier.
        bler_target: Block error rate of the first transmission that is within the target.
        elements: OFDM symbols of a slot with data, DMRS elements per resource block.
        mcs_table: 1, 2 or 3.

    Attributes:
        bits, need_db: ``(N, S)``, rising along S; filled up with 0 and infinity.
        schemes: The same as lists, width after width.
        largest_bits: The largest transport block on at most 0, 1, … N blocks; 0 if there is none.

    Raises:
        OutOfTable: No scheme that the table knows fits into any width.
    """

    def __init__(
        self,
        table: BlerTable,
        n_prb: int,
        bler_target: float,
        elements: tuple[int, int],
        mcs_table: int,
    ) -> None:
        widths = range(1, n_prb + 1)
        rows = [_row(table, width, bler_target, elements, mcs_table) for width in widths]
        most = max(len(schemes) for _, schemes in rows)
        if not most:
            raise OutOfTable("no calibrated MCS fits into this carrier", value=n_prb)
        self.schemes = [schemes for _, schemes in rows]
        self.bits = np.zeros((n_prb, most), dtype=np.int64)
        self.need_db = np.full((n_prb, most), math.inf)
        for row, (needs_db, schemes) in enumerate(rows):
            self.need_db[row, : len(schemes)] = needs_db
            sizes = [transport_block_bits(scheme, row + 1, *elements) for scheme in schemes]
            self.bits[row, : len(schemes)] = sizes
        self._row_bits = [row[row > 0].tolist() for row in self.bits]
        self._sizes: list[int] = np.unique(self.bits[self.bits > 0]).tolist()
        largest = np.maximum.accumulate(self.bits.max(axis=1))
        self.largest_bits: list[int] = [0, *largest.tolist()]
        self._carrying: dict[int, Floats] = {}

    def size_index(self, bits: float) -> int:
        """Which transport block size is the first to hold the bits; all that count alike."""
        return bisect_left(self._sizes, bits)

    def need_carrying_db(self, index: int) -> Floats:
        """Es/N0 in dB ``(N,)`` that a block of at least the size of that index needs, by width."""
        needs = self._carrying.get(index)
        if needs is None:
            holds = self.bits >= self._sizes[index]
            needs = self._carrying[index] = np.where(holds, self.need_db, math.inf).min(axis=1)
        return needs

    def carrying(self, n_prb: int, bits: float) -> Choice:
        """The most robust scheme on exactly these blocks that holds the bits, or the largest."""
        sizes = self._row_bits[n_prb - 1]
        at = min(bisect_left(sizes, bits), len(sizes) - 1)
        return self.schemes[n_prb - 1][at], n_prb, sizes[at]

    def fewest_robust(self, n_prb: int, bits: float) -> Choice | None:
        """The most robust scheme, which is out of reach too, on as few blocks as hold the bits."""
        fitting = [n for n in range(1, n_prb + 1) if self._row_bits[n - 1]]
        if not fitting:
            return None
        width = next((n for n in fitting if self._row_bits[n - 1][0] >= bits), fitting[-1])
        return self.schemes[width - 1][0], width, self._row_bits[width - 1][0]

    def choose(self, levels_db: Floats, bits: float) -> Choice | None:
        """The choice where the Es/N0 on n blocks is ``levels_db[n - 1]``; None if nothing fits.

        Where no scheme reaches the target the one that lacks least is taken, on all blocks if fewer
        gain nothing: HARQ combines.
        """
        n_prb = len(levels_db)
        if bits <= self.largest_bits[n_prb]:
            needs_db = self.need_carrying_db(self.size_index(bits))[:n_prb]
            reached = needs_db <= levels_db
            width = int(reached.argmax())
            if reached[width]:
                return self.carrying(width + 1, bits)
        return self._most(levels_db) or self._least_lacking(levels_db, bits)

    def _most(self, levels_db: Floats) -> Choice | None:
        n_prb = len(levels_db)
        reached = (self.need_db[:n_prb] <= levels_db[:, None]).sum(axis=1)
        widths = np.arange(n_prb)
        bits = np.where(reached > 0, self.bits[widths, reached - 1], 0)
        width = int((bits * _MOST_PRB - widths).argmax())
        if not bits[width]:
            return None
        return self.schemes[width][reached[width] - 1], width + 1, int(bits[width])

    def _least_lacking(self, levels_db: Floats, bits: float) -> Choice | None:
        n_prb = len(levels_db)
        if not self.largest_bits[n_prb]:
            return None
        if levels_db[-1] >= levels_db.max():
            return self.fewest_robust(n_prb, bits)
        width = int((self.need_db[:n_prb, 0] - levels_db).argmin())
        return self.schemes[width][0], width + 1, self._row_bits[width][0]


class Menu:
    """The choices over a flat channel, where one number in dB tells all.

    Args:
        options: What there is to choose from.
        weights_db: ``(N,)`` dB that n blocks cost: 10 log10(n) for a device at its power limit,
            whose number is the Es/N0 that it would have on one block; 0 for one level per block.
        is_spread: Whether they do: then fewer blocks raise the level.
    """

    def __init__(self, options: Options, weights_db: Floats, *, is_spread: bool) -> None:
        self._options, self._is_spread = options, is_spread
        self._need_db = options.need_db + weights_db[:, None]
        self._weights_db = weights_db
        self._most: dict[int, tuple[list[float], list[Choice]]] = {}
        self._fewest: dict[int, array[float]] = {}

    def choose(self, level_db: float, n_prb: int, bits: float) -> Choice | None:
        """The choice of at most ``n_prb`` blocks for so many bits; None if nothing fits."""
        options = self._options
        if bits <= options.largest_bits[n_prb]:
            index = options.size_index(bits)
            lifts_db = self._fewest.get(index) or self._lifts_db(index)
            width = bisect_left(lifts_db, -level_db) + 1
            if width <= n_prb:
                return options.carrying(width, bits)
        needs_db, choices = self._most.get(n_prb) or self._best(n_prb)
        reached = bisect_right(needs_db, level_db)
        if reached:
            return choices[reached - 1]
        if not self._is_spread or not choices:
            return options.fewest_robust(n_prb, bits)
        return choices[0]

    def _lifts_db(self, index: int) -> array[float]:
        """Minus the least number in dB with which 1, 2, … blocks carry a size, remembered."""
        needs_db = self._options.need_carrying_db(index) + self._weights_db
        lifts_db = array("d", (-np.minimum.accumulate(needs_db)).tolist())
        self._fewest[index] = lifts_db
        return lifts_db

    def _best(self, n_prb: int) -> tuple[list[float], list[Choice]]:
        """Rising numbers in dB, and what carries most on at most ``n_prb`` blocks from each on."""
        need_db, bits = self._need_db[:n_prb].ravel(), self._options.bits[:n_prb].ravel()
        columns = self._need_db.shape[1]
        rank = bits * _MOST_PRB - np.arange(len(bits)) // columns
        rising = np.lexsort((-rank, need_db))
        rising = rising[np.isfinite(need_db[rising])]
        best = np.maximum.accumulate(rank[rising])
        better = rising[np.flatnonzero(np.diff(best, prepend=-1) > 0)]
        choices = [
            (self._options.schemes[at // columns][at % columns], at // columns + 1, int(bits[at]))
            for at in better.tolist()
        ]
        self._most[n_prb] = need_db[better].tolist(), choices
        return self._most[n_prb]


@lru_cache(maxsize=32)
def options_of(
    table: BlerTable, n_prb: int, bler_target: float, elements: tuple[int, int], mcs_table: int
) -> tuple[Options, Menu, Menu]:
    """The options, and their menus for a device at its power limit and for a level per block.

    Arguments and errors as of `Options`; remembered.
    """
    options = Options(table, n_prb, bler_target, elements, mcs_table)
    spread_db = 10.0 * np.log10(np.arange(1, n_prb + 1))
    spread = Menu(options, spread_db, is_spread=True)
    return options, spread, Menu(options, np.zeros(n_prb), is_spread=False)


def _row(
    table: BlerTable, n_prb: int, bler_target: float, elements: tuple[int, int], mcs_table: int
) -> tuple[Sequence[float], Sequence[Mcs]]:
    """Thresholds and schemes of a width; none where the table knows none."""
    try:
        return table.choices(n_prb, bler_target, *elements, mcs_table)
    except OutOfTable:
        return [], []
