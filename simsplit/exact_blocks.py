"""Exact fidelity: every transport block is really encoded, modulated, transmitted and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import OutOfTable
from simsplit.sim.blocks import REDUNDANCY_VERSIONS, TableBlocks

if TYPE_CHECKING:
    from simsplit.phy.coded import CodedLink
    from simsplit.phy.mcs import Mcs
    from simsplit.radio import Harq
    from simsplit.sim.blocks import Block
    from simsplit.sim.cell import Flow


class ExactBlocks:
    """Block fates from the coded link, on the payload's own bits, soft bits combined over attempts.

    A block passes if its CRC does and the bits are the ones sent. CRC misses (about 2^-16 or 2^-24
    of the erroneous blocks, TS 38.212 clause 5.1) are counted in ``missed_errors`` and treated as
    errors, so that no damaged payload reaches a decoder.
    """

    def __init__(self, link: CodedLink, randoms: Sequence[np.random.Generator], harq: Harq) -> None:
        self._link = link
        self._randoms = randoms
        self._versions = (0,) if harq.combining == "chase" else REDUNDANCY_VERSIONS
        self.missed_errors = 0

    def passes(self, sent: Sequence[tuple[Flow, Block]]) -> Sequence[bool]:
        """Send one more attempt of each block at its last SNR."""
        return [self._passes(flow, block) for flow, block in sent]

    def _passes(self, flow: Flow, block: Block) -> bool:
        rng = self._randoms[flow.bearer.index]
        bits, soft = block.state or (_block_bits(flow.payload, block), None)
        version = self._versions[(len(block.snrs_db) - 1) % len(self._versions)]
        snr_db = self._snr_db(block)
        result: Any = self._link.transmit(
            bits, block.scheme, block.n_prb, snr_db, rng, soft, rv=version
        )
        block.state = (bits, result.soft)
        is_equal = bool(np.array_equal(result.bits, bits))
        self.missed_errors += int(result.crc_ok and not is_equal)
        return bool(result.crc_ok) and is_equal

    def _snr_db(self, block: Block) -> float | NDArray[np.float64]:
        """One SNR, or on a selective channel one per resource element, frequency first."""
        profile = block.snr_profile_db
        if profile is None:
            return block.snrs_db[-1]
        per_prb = np.repeat(np.asarray(profile), 12)
        symbols = -(-block.n_re // len(per_prb))
        return np.tile(per_prb, symbols)[: block.n_re]


def _block_bits(payload: bytes, block: Block) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The block's slice of the payload, zero padded to the block size, ``(tb_bits,)`` uint8."""
    first, last = block.bits_from // 8, -(-block.bits_to // 8)
    chunk = np.unpackbits(np.frombuffer(payload[first:last], np.uint8))
    bits = chunk[block.bits_from - 8 * first : block.bits_to - 8 * first]
    return np.pad(bits, (0, block.tb_bits - bits.size))


class ExactOutside:
    """Block fates from the table where it knows the block, from the coded link where it does not.

    A block takes the same way in all its attempts: the table's, if it holds every attempt that the
    block may need.
    """

    def __init__(self, table: TableBlocks, exact: ExactBlocks, harq: Harq) -> None:
        self._table, self._exact = table, exact
        attempts = harq.max_transmissions if harq.combining == "incremental_redundancy" else 1
        self._attempts = range(1, min(attempts, len(REDUNDANCY_VERSIONS)) + 1)
        self._known: dict[tuple[Mcs, int, int], bool] = {}

    def passes(self, sent: Sequence[tuple[Flow, Block]]) -> Sequence[bool]:
        """See `simsplit.sim.blocks.BlockChannel`."""
        ways = [self._table if self._is_known(block) else self._exact for _, block in sent]
        return [way.passes([pair])[0] for way, pair in zip(ways, sent, strict=True)]

    def _is_known(self, block: Block) -> bool:
        key = (block.scheme, block.tb_bits, block.n_re)
        if key not in self._known:
            self._known[key] = all(self._holds(block, attempt) for attempt in self._attempts)
        return self._known[key]

    def _holds(self, block: Block, attempt: int) -> bool:
        try:
            error = self._table.table.transport_block_error
            error(block.scheme, block.tb_bits, 0.0, attempt, block.n_re)
        except OutOfTable:
            return False
        return True
