"""Encoder of 5G NR LDPC codes by shifts of whole blocks, many code words at once. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint8]


class Encoder:
    """Systematic encoder of a lifted base graph (T. J. Richardson & R. L. Urbanke, 2001).

    The four core parity blocks are linked by a double diagonal, so that the sum of the four core
    rows leaves the first parity block alone; each extension row gives one more block.

    Args:
        shifts: ``(rows, columns)`` of the base graph: cyclic shift of each Z x Z identity, -1 where
            there is none (TS 38.212 tables 5.3.2-2 and 5.3.2-3).
        lifting: Z.
    """

    def __init__(self, shifts: NDArray[np.int64], lifting: int) -> None:
        rows, columns = shifts.shape
        self._lifting = lifting
        self._columns = columns
        self._first_parity = columns - rows
        self._rows = [[(int(c), int(row[c])) for c in np.flatnonzero(row >= 0)] for row in shifts]

    def encode(self, bits: Bits) -> Bits:
        """Information bits ``(k Z, B)``, fillers included -> code words ``(columns Z, B)``."""
        word = np.zeros((self._columns, self._lifting, bits.shape[1]), dtype=np.uint8)
        word[: self._first_parity] = bits.reshape(self._first_parity, self._lifting, -1)
        self._core(word)
        for place, row in enumerate(self._rows[4:], start=self._first_parity + 4):
            self._add(word[place], word, [entry for entry in row if entry[0] != place])
        return word.reshape(self._columns * self._lifting, -1)

    def _core(self, word: Bits) -> None:
        """Parity blocks 0 to 3: one from the sum of all rows, then one row after the other."""
        first = self._first_parity
        total = np.zeros_like(word[0])
        for row in self._rows[:4]:
            self._add(total, word, [entry for entry in row if entry[0] < first])
        word[first] = np.roll(total, self._lone_shift(), axis=0)
        open_rows, known = list(self._rows[:4]), {first}
        while open_rows:
            row = next(r for r in open_rows if len(self._unknown(r, known)) <= 1)
            open_rows.remove(row)
            for place in self._unknown(row, known):
                self._add(word[place], word, [entry for entry in row if entry[0] != place])
                known.add(place)

    def _unknown(self, row: list[tuple[int, int]], known: set[int]) -> list[int]:
        return [c for c, _ in row if c >= self._first_parity and c not in known]

    def _lone_shift(self) -> int:
        """Shift of the first parity block that is left when the core rows are summed."""
        entries = [shift for row in self._rows[:4] for c, shift in row if c == self._first_parity]
        return next(shift for shift in entries if entries.count(shift) % 2)

    def _add(self, total: Bits, word: Bits, entries: list[tuple[int, int]]) -> None:
        """Add shifted blocks modulo 2 in place."""
        for column, shift in entries:
            split = self._lifting - shift
            total[:split] ^= word[column, shift:]
            if shift:
                total[split:] ^= word[column, :shift]
