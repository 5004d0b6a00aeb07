"""Transport blocks on their way through HARQ, and whether they pass their check sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from simsplit.phy.effective import accumulate_db
from simsplit.phy.link import BlerTable
from simsplit.scenario.cell import Harq

if TYPE_CHECKING:
    from simsplit.sim.radio.flows import Block, Flow


REDUNDANCY_VERSIONS = (0, 2, 3, 1)  # TS 38.214 clause 6.1.2.1, Table 6.1.2.1-2, first row
CURVES = 3  # attempts with a curve of their own
MOTHER_RATE = 0.2  # of base graph 2 (TS 38.212 clause 5.3.2); at or below it everything is sent


class BlockChannel(Protocol):
    """Whether transport blocks pass their CRC after one more attempt each."""

    def passes(self, sent: Sequence[tuple[Flow, Block]]) -> Sequence[bool]:
        """The fates of this slot's blocks; ``block.snrs_db`` ends with this attempt's SNR."""


class TableBlocks:
    """Block fates from the BLER table.

    Chase combining adds the attempts' linear SNRs (maximum ratio combining). Incremental redundancy
    looks the t-th attempt up in the curve of t transmissions at equal SNR, at the SNR whose mutual
    information is the mean over the attempts (MIESM over time; Brueninghaus et al., PIMRC 2005).
    From the fourth attempt on only energy counts, 10 log10(t / 3) on the third's curve: true
    at low rates, pessimistic by up to 2 dB at the highest, where bits of the code are still unsent.
    Where one attempt holds the whole code word, the two are the same.

    One uniform number per block, kept over its attempts, makes the marginal error after n attempts
    that of the table, and a block that passed stays passed.
    """

    def __init__(
        self, table: BlerTable, uniform_of: Sequence[Callable[[], float]], harq: Harq
    ) -> None:
        self.table = table
        self._uniform_of = uniform_of
        self._is_chase = harq.combining == "chase"

    def passes(self, sent: Sequence[tuple[Flow, Block]]) -> Sequence[bool]:
        """Fates in the order of the blocks: whether each hardness reaches the error probability."""
        fates, first = [], self.table.transport_block_error
        for flow, block in sent:
            if block.state is None:  # as at its first attempt, which is most often its last
                block.state = self._uniform_of[flow.bearer.index]()
                error = first(block.scheme, block.tb_bits, block.snrs_db[-1], 1, block.n_re)
            else:
                error = self.error(block)
            fates.append(block.state >= error)
        return fates

    def error(self, block: Block) -> float:
        """Error probability of the block after its attempts so far; OutOfTable if unknown."""
        snrs_db, error = block.snrs_db, self.table.transport_block_error
        if len(snrs_db) == 1:
            return error(block.scheme, block.tb_bits, snrs_db[0], 1, block.n_re)
        attempts, what = len(snrs_db), (block.scheme, block.tb_bits)
        if self._is_chase or block.scheme.code_rate <= MOTHER_RATE:
            snr_db = 10.0 * math.log10(sum(10.0 ** (0.1 * snr_db) for snr_db in snrs_db))
            return error(*what, snr_db, 1, block.n_re)
        snr_db = accumulate_db(snrs_db, block.scheme.bits_per_symbol)
        if attempts > CURVES:
            snr_db += 10.0 * math.log10(attempts / CURVES)
        return error(*what, snr_db, min(attempts, CURVES), block.n_re)
