"""Exact fidelity: every transport block is really encoded, modulated, transmitted and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from simsplit.phy.coded import CodedLink
    from simsplit.sim.cell import Block, Flow


class ExactBlocks:
    """Block fates from the coded link, on the payload's own bits, chase combining of soft bits.

    A block passes if its CRC does and the bits are the ones sent. CRC misses (about 2^-16 or 2^-24
    of the erroneous blocks, TS 38.212 clause 5.1) are counted in ``missed_errors`` and treated as
    errors, so that no damaged payload reaches a decoder.
    """

    def __init__(self, link: CodedLink, randoms: Sequence[np.random.Generator]) -> None:
        self._link = link
        self._randoms = randoms
        self.missed_errors = 0

    def passes(self, flow: Flow, block: Block) -> bool:
        """Send one more attempt of the block at its last SNR."""
        rng = self._randoms[flow.device.index]
        bits, soft = block.state or (_block_bits(flow.payload, block), None)
        result: Any = self._link.transmit(
            bits, block.scheme, block.n_prb, block.snrs_db[-1], rng, soft
        )
        block.state = (bits, result.soft)
        is_equal = bool(np.array_equal(result.bits, bits))
        self.missed_errors += int(result.crc_ok and not is_equal)
        return bool(result.crc_ok) and is_equal


def _block_bits(payload: bytes, block: Block) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The block's slice of the payload, zero padded to the block size, ``(tb_bits,)`` uint8."""
    first, last = block.bits_from // 8, -(-block.bits_to // 8)
    chunk = np.unpackbits(np.frombuffer(payload[first:last], np.uint8))
    bits = chunk[block.bits_from - 8 * first : block.bits_to - 8 * first]
    return np.pad(bits, (0, block.tb_bits - bits.size))
