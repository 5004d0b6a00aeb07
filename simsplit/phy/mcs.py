"""Modulation and coding schemes of 5G NR: 3GPP TS 38.214 V17, clause 5.1.3.1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from simsplit.errors import OutOfTable

_QPSK_LOW = (30, 40, 50, 64, 78, 99)
_QPSK = (120, 157, 193, 251, 308, 379, 449, 526, 602, 679)
_QAM16 = (340, 378, 434, 490, 553, 616, 658)
_QAM64 = (438, 466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948)
_QAM256 = (682.5, 711, 754, 797, 841, 885, 916.5, 948)

# Table -> rows of (modulation order Qm, target code rate x 1024), I_MCS counting from 0.
_ROWS: dict[int, list[tuple[int, float]]] = {
    1: [*((2, r) for r in _QPSK), *((4, r) for r in _QAM16), *((6, r) for r in _QAM64)],
    2: [
        *((2, r) for r in _QPSK[::2]),
        *((4, r) for r in _QAM16[1:]),
        *((6, r) for r in _QAM64[1:10]),
        *((8, r) for r in _QAM256),
    ],
    3: [
        *((2, r) for r in (*_QPSK_LOW, *_QPSK[:9])),
        *((4, r) for r in _QAM16[:6]),
        *((6, r) for r in _QAM64[:8]),
    ],
}


@dataclass(frozen=True, slots=True, eq=False)
class Mcs:
    """One modulation and coding scheme; take it from `mcs`, which gives each one only once.

    Compared and hashed by identity (fast in the event loop); copies and pickles keep it.

    Attributes:
        table: 1 (64-QAM), 2 (256-QAM) or 3 (low spectral efficiency): Table 5.1.3.1-``table``.
        index: I_MCS, 0 to 28 (table 2: 27).
        bits_per_symbol: Modulation order Qm (2 QPSK, 4 16-QAM, 6 64-QAM, 8 256-QAM).
        code_rate: Target code rate R.
        spectral_efficiency: Qm * R, information bits per complex symbol.
    """

    table: int
    index: int
    bits_per_symbol: int
    code_rate: float
    spectral_efficiency: float

    def __reduce__(self) -> tuple[Callable[..., Mcs], tuple[int, int]]:
        return mcs, (self.index, self.table)


def _make(table: int) -> tuple[Mcs, ...]:
    return tuple(
        Mcs(table, index, qm, rate / 1024, qm * rate / 1024)
        for index, (qm, rate) in enumerate(_ROWS[table])
    )


MCS_TABLES: Mapping[int, tuple[Mcs, ...]] = MappingProxyType({t: _make(t) for t in _ROWS})
"""Tables 5.1.3.1-1, -2 and -3, each by rising index."""

SUPPORTED_MCS: tuple[Mcs, ...] = MCS_TABLES[1]
"""The schemes of table 1, all of which table and exact chain know."""


def mcs(index: int, table: int = 1) -> Mcs:
    """The scheme with this I_MCS in Table 5.1.3.1-``table``; raises OutOfTable if there is none."""
    if table not in MCS_TABLES:
        choices = [str(t) for t in MCS_TABLES]
        raise OutOfTable("no such MCS table", value=table, choices=choices)
    rows = MCS_TABLES[table]
    if not 0 <= index < len(rows):
        choices = [str(m.index) for m in rows]
        raise OutOfTable(f"no such index in MCS table {table}", value=index, choices=choices)
    return rows[index]
