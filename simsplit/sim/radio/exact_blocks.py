"""Exact fidelity: every transport block is really encoded, modulated, transmitted and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import OutOfTable
from simsplit.sim.radio.blocks import CURVES, MOTHER_RATE, REDUNDANCY_VERSIONS, TableBlocks

if TYPE_CHECKING:
    from simsplit.phy.coded import CodedLink
    from simsplit.phy.mcs import Mcs
    from simsplit.scenario.cell import Harq
    from simsplit.sim.radio.flows import Block, Flow


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
        """Send one more attempt of each block at its last SNR; like blocks go in one batch.

        A block's fate does not depend on which others are sent with it.
        """
        groups: dict[tuple[Mcs, int, int], list[int]] = {}
        for index, (_, block) in enumerate(sent):
            attempt = len(block.snrs_db) - 1
            key = (block.scheme, block.n_prb, attempt % len(self._versions))
            groups.setdefault(key, []).append(index)
        fates = [False] * len(sent)
        for (scheme, n_prb, turn), indices in groups.items():
            batch = [sent[index] for index in indices]
            passed = self._send(batch, scheme, n_prb, self._versions[turn])
            for index, fate in zip(indices, passed, strict=True):
                fates[index] = fate
        return fates

    def _send(
        self, batch: Sequence[tuple[Flow, Block]], scheme: Mcs, n_prb: int, version: int
    ) -> list[bool]:
        states = [block.state or (_block_bits(flow.payload, block), None) for flow, block in batch]
        bits = np.stack([sent_bits for sent_bits, _ in states])
        results = self._link.transmit_batch(
            bits,
            scheme,
            n_prb,
            np.stack([_snrs_db(block) for _, block in batch]),
            [self._randoms[flow.bearer.index] for flow, _ in batch],
            _stacked(states),
            version,
        )
        fates = []
        for (_, block), sent_bits, result in zip(batch, bits, results, strict=True):
            block.state = (sent_bits, result.soft)
            is_equal = bool(np.array_equal(result.bits, sent_bits))
            self.missed_errors += int(result.crc_ok and not is_equal)
            fates.append(bool(result.crc_ok) and is_equal)
        return fates


def _stacked(states: Sequence[tuple[Any, NDArray[np.float32] | None]]) -> Any:
    """Soft bits of earlier attempts ``(B, C, N)``, zeros where there is none; None if nowhere."""
    received = [soft for _, soft in states if soft is not None]
    if not received:
        return None
    return np.stack([np.zeros_like(received[0]) if soft is None else soft for _, soft in states])


def _snrs_db(block: Block) -> NDArray[np.float32]:
    """Es/N0 of each resource element ``(n_re,)``, frequency first."""
    profile, snr_db = block.snr_profile_db, block.snrs_db[-1]
    if profile is None:
        return np.full(block.n_re, snr_db, np.float32)
    per_prb = np.repeat(profile.astype(np.float32), 12)
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
        self._attempts = range(1, min(attempts, CURVES) + 1)
        self._in_table: dict[tuple[Mcs, int, int], bool] = {}

    def passes(self, sent: Sequence[tuple[Flow, Block]]) -> Sequence[bool]:
        ways = [self._table if self._is_in_table(block) else self._exact for _, block in sent]
        return [way.passes([pair])[0] for way, pair in zip(ways, sent, strict=True)]

    def _is_in_table(self, block: Block) -> bool:
        key = (block.scheme, block.tb_bits, block.n_re)
        if key not in self._in_table:
            combined = block.scheme.code_rate > MOTHER_RATE
            attempts = self._attempts if combined else range(1, 2)
            self._in_table[key] = all(self._holds(block, attempt) for attempt in attempts)
        return self._in_table[key]

    def _holds(self, block: Block, attempt: int) -> bool:
        try:
            error = self._table.table.transport_block_error
            error(block.scheme, block.tb_bits, 0.0, attempt, block.n_re)
        except OutOfTable:
            return False
        return True
