"""The control bits of JSCC symbols: which robust scheme, on how much of a grant."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simsplit.errors import OutOfTable
from simsplit.phy.mcs import MCS_TABLES, Mcs
from simsplit.phy.sizes import is_decodable, resource_elements
from simsplit.sim.radio.adaptation import BlockSizes

if TYPE_CHECKING:
    from simsplit.phy.link import BlerTable
    from simsplit.sim.radio.adaptation import Elements, Reports
    from simsplit.sim.radio.flows import Bearer, Flow

CONTROL_BLER = 0.01
QPSK = tuple(scheme for scheme in MCS_TABLES[1] if scheme.bits_per_symbol == 2)


class Candidate(NamedTuple):
    """A scheme, the resource blocks that its block takes, and the Es/N0 in dB that it needs."""

    scheme: Mcs
    n_prb: int
    need_db: float


def symbols_of(bearer: Bearer) -> Flow | None:
    """The JSCC symbols that the control bits at the head of a bearer's queue belong to."""
    if len(bearer.flows) < 2 or bearer.flows[1].request is not bearer.flows[0].request:
        return None
    return bearer.flows[1]


class ControlBlocks:
    """QPSK of the highest rate that the last report allows at a block error of 1 %.

    The schemes are MCS 0 to 9 of TS 38.214 Table 5.1.3.1-1, whatever the cell's own MCS is. Fewest
    resource elements win, with the power spread over the grant that results. If none is robust
    enough, the symbols wait, and the lowest rate goes on as few resource blocks as the power
    serves. Block errors are the table's; HARQ repeats the block as any other.
    """

    def __init__(self, table: BlerTable, elements: Elements, reports: Reports) -> None:
        self._table, self._elements, self._reports = table, elements, reports
        self._sizes = BlockSizes(elements)
        self._elements_of_one = resource_elements(1, *elements)
        self._candidates: dict[tuple[int, int], list[Candidate]] = {}

    def choose(
        self, bearer: Bearer, slot: int, first_prb: int, share: int
    ) -> tuple[Mcs, int, int, int]:
        """The scheme, its resource blocks, its block's bits, and the blocks beside it for symbols.

        Of the control bits at the head of a bearer's queue, on ``share`` resource blocks at most.

        Raises:
            OutOfTable: The table knows no QPSK block that fits.
        """
        bits, symbols = bearer.flows[0].next_bits(), symbols_of(bearer)
        wanted = 0 if symbols is None else -(-symbols.remaining // self._elements_of_one)
        candidates = self._candidates.get((bits, share)) or self._make(bits, share)
        for most in (wanted, 0):
            for scheme, n_prb, need_db in candidates:
                extra = min(most, share - n_prb)
                if self._level_db(bearer, slot, first_prb, n_prb + extra) >= need_db:
                    return scheme, n_prb, self._sizes.bits(scheme, n_prb), extra
        scheme, n_prb, need_db = candidates[-1]
        level_db = self._level_db(bearer, slot, first_prb, n_prb)
        fewer = max(1, int(n_prb * 10.0 ** (0.1 * (level_db - need_db))))
        if self._level_db(bearer, slot, first_prb, fewer) > level_db:  # power can be concentrated
            n_prb = fewer
        return scheme, n_prb, self._sizes.bits(scheme, n_prb), 0

    def _level_db(self, bearer: Bearer, slot: int, first_prb: int, n_prb: int) -> float:
        return self._reports.snr_db(bearer, slot, first_prb, n_prb) + bearer.offset_db

    def _make(self, bits: int, share: int) -> list[Candidate]:
        """Candidates from the fewest resource elements to the most robust scheme, remembered."""
        found = [c for scheme in reversed(QPSK) if (c := self._candidate(scheme, bits, share))]
        if not found:
            raise OutOfTable("no QPSK block of the table holds the control bits", value=bits)
        self._candidates[bits, share] = found
        return found

    def _candidate(self, scheme: Mcs, bits: int, share: int) -> Candidate | None:
        if not is_decodable(scheme, share, *self._elements):
            return None
        n_prb = self._sizes.needed(scheme, bits, share)
        tb_bits, n_re = self._sizes.bits(scheme, n_prb), resource_elements(n_prb, *self._elements)
        try:
            need_db = self._table.required_snr_db(scheme, tb_bits, CONTROL_BLER, n_re)
        except OutOfTable:
            return None
        return Candidate(scheme, n_prb, need_db)
