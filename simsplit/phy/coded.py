"""The exact coded link: real bits through CRC, LDPC, QAM, noise and back. Only here is Sionna used.

Sionna gives the LDPC parity checks, the CRC polynomials and the scrambling sequence. Encoder, rate
matching, demapper and decoder are ours: same bits and same decisions as Sionna's, but many times
faster on a CPU (tests/unit/phy/test_coded.py keeps them equal). LLR = log p(1)/p(0): positive means
bit 1. Thread count is the caller's business: one is fastest on shared machines.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsplit.errors import ScenarioError
from simsplit.phy.ldpc import LdpcCode
from simsplit.phy.mcs import Mcs
from simsplit.phy.modem import DEMAPPERS, add_noise, modem, noise_variance
from simsplit.phy.ratematch import (
    INCREMENTAL_ORDER,
    code_block_sizes,
    combine,
    interleaver,
    symbols_of,
    versions_in,
)
from simsplit.phy.sizes import is_decodable, resource_elements, segment, transport_block_bits

Bits = NDArray[np.uint8]
Floats = NDArray[np.float32]


def sionna_module(module: str) -> ModuleType:
    """A Sionna module; its import reseeds torch's global generator, which is put back."""
    state = torch.get_rng_state()
    try:
        return importlib.import_module(f"sionna.phy.{module}")
    finally:
        torch.set_rng_state(state)


@lru_cache(maxsize=64)
def ldpc_code(bits: int, base_graph: int) -> LdpcCode:
    """The code of K' = ``bits`` information bits, check bits included; remembered."""
    return LdpcCode(bits, base_graph, _parity_checks)


def _parity_checks(bits: int, base_graph: int) -> Any:
    """Parity-check matrix ``(checks, columns)`` of the base graph lifted for K' bits, sparse."""
    return sionna_module("fec.ldpc").LDPC5GEncoder(bits, 2 * bits, bg=f"bg{base_graph}").pcm


@lru_cache(maxsize=64)
def scrambling(length: int, c_init: int) -> Tensor:
    """Gold sequence of TS 38.211 clause 5.2.1 as ``(length,)`` bool."""
    sequence = sionna_module("nr.utils").generate_prng_seq(length, c_init)
    return torch.from_numpy(np.asarray(sequence) > 0.5)


@dataclass(frozen=True)
class BlockResult:
    """What one transmission of a transport block gave.

    Attributes:
        bits: ``(tb_bits,)`` uint8, decided bits, right or wrong.
        crc_ok: Every check sum (transport block and code blocks) holds.
        soft: ``(4, 3, n_re)`` float32, what all attempts so far have left (see phy/ratematch.py);
            hand it to the next attempt.
    """

    bits: Bits
    crc_ok: bool
    soft: Floats


class _Chain:
    """Everything of one (MCS, allocation) but scrambling and noise; built once, then reused."""

    def __init__(self, mcs: Mcs, n_prb: int, n_symbols: int, dmrs_re_per_prb: int) -> None:
        crc = sionna_module("fec.crc")
        self.tb_bits = transport_block_bits(mcs, n_prb, n_symbols, dmrs_re_per_prb)
        self.n_re = resource_elements(n_prb, n_symbols, dmrs_re_per_prb)
        self.bits_per_symbol = mcs.bits_per_symbol
        self.coded_bits = self.n_re * mcs.bits_per_symbol
        self.parts = segment(self.tb_bits, mcs.code_rate)
        tb_crc = "CRC24A" if self.parts.crc_bits == 24 else "CRC16"
        self._tb_crc = crc.CRCEncoder(tb_crc, k=self.tb_bits)
        cb_bits, several = self.parts.code_block_bits, self.parts.n_code_blocks > 1
        self._cb_crc = crc.CRCEncoder("CRC24B", k=cb_bits - 24) if several else None
        self.code = ldpc_code(cb_bits, self.parts.base_graph)
        self._order: dict[int, Tensor] = {}

    @property
    def buffer_shape(self) -> tuple[int, int]:
        """(C, N): code blocks and their circular buffer."""
        return self.parts.n_code_blocks, self.code.buffer.length

    def order(self, rv: int) -> Tensor:
        """Place of every sent bit in the row of all circular buffers, ``(G,)``."""
        if rv not in self._order:
            self._order[rv] = torch.from_numpy(self._positions(rv))
        return self._order[rv]

    def _positions(self, rv: int) -> NDArray[np.int64]:
        blocks, length = self.buffer_shape
        sizes = code_block_sizes(self.n_re, self.bits_per_symbol, blocks)
        buffer = self.code.buffer
        selected = {size: buffer.positions(size, rv) for size in set(sizes)}
        mixed = {
            size: indices[interleaver(size, self.bits_per_symbol)]
            for size, indices in selected.items()
        }
        return np.concatenate([r * length + mixed[size] for r, size in enumerate(sizes)])

    def encode(self, bits: Tensor, rv: int) -> Tensor:
        """Transport blocks ``(B, tb_bits)`` float32 -> coded bits ``(B, G)`` uint8."""
        checked = self._tb_crc(bits)
        if self._cb_crc is not None:
            checked = self._cb_crc(checked.reshape(len(bits) * self.parts.n_code_blocks, -1))
        buffers = self.code.encode(checked)  # (B * C, N)
        return buffers.reshape(len(bits), -1).index_select(1, self.order(rv))

    def collect(self, llrs: Mapping[int, Tensor]) -> Tensor:
        """LLRs ``(B, G)`` by redundancy version added up by coded bit: ``(B, C, N)``."""
        size = len(next(iter(llrs.values())))
        collected = torch.zeros(size, *self.buffer_shape)
        for rv, llr in llrs.items():
            collected.view(size, -1).index_add_(1, self.order(rv), llr)
        return collected

    def decode(self, soft: Tensor) -> tuple[Tensor, Tensor]:
        """Soft bits ``(B, C, N)`` -> bits ``(B, tb_bits)`` float32 and CRC verdicts ``(B,)``."""
        size, blocks = len(soft), self.parts.n_code_blocks
        decided = self.code.decode(soft.reshape(size * blocks, -1)).float()
        ok = torch.ones(size, dtype=torch.bool)
        if self._cb_crc is not None:
            payload = decided[:, :-24]
            ok &= (self._cb_crc(payload) == decided).all(1).reshape(size, blocks).all(1)
            decided = payload
        decided = decided.reshape(size, -1)
        payload = decided[:, : self.tb_bits]
        return payload, ok & (self._tb_crc(payload) == decided).all(1)


@lru_cache(maxsize=64)
def _chain(mcs: Mcs, n_prb: int, n_symbols: int, dmrs_re_per_prb: int) -> _Chain:
    if not is_decodable(mcs, n_prb, n_symbols, dmrs_re_per_prb):
        message = f"effective rate above 0.95 with MCS {mcs.index} on this many resource blocks"
        raise ScenarioError(message, value=n_prb)
    return _Chain(mcs, n_prb, n_symbols, dmrs_re_per_prb)


class CodedLink:
    """Transport blocks over AWGN or a channel known per resource element, bit by bit, with HARQ.

    Args:
        seed: Names the scrambling sequence (c_init, TS 38.211 clause 6.3.1.1), not the noise: that
            comes from the generator given with each block, so the order of blocks is of no matter.
        n_symbols: OFDM symbols of the slot that carry the block.
        dmrs_re_per_prb: Resource elements of pilots per resource block.
        demapper: "app" or "max_log".

    Raises:
        ScenarioError: No such demapper.
    """

    def __init__(
        self, seed: int, n_symbols: int = 14, dmrs_re_per_prb: int = 12, demapper: str = "app"
    ) -> None:
        if demapper not in DEMAPPERS:
            raise ScenarioError("no such demapper", value=demapper, choices=DEMAPPERS)
        self._c_init = seed % 2**31
        self._slot = (n_symbols, dmrs_re_per_prb)
        self._demapper = demapper

    def transmit(
        self,
        bits: Bits,
        mcs: Mcs,
        n_prb: int,
        snr_db: float | NDArray[np.floating],
        rng: np.random.Generator,
        soft: Floats | None = None,
        rv: int = 0,
    ) -> BlockResult:
        """Send one transport block once.

        Args:
            bits: ``(tb_bits,)`` uint8 of zeros and ones, ``sizes.transport_block_bits`` many.
            mcs: Modulation and coding scheme of any table.
            n_prb: Resource blocks.
            snr_db: Es/N0 per complex symbol, fading included: one, or ``(n_re,)`` by resource
                element in the order of mapping.
            rng: Source of this attempt's noise; draws 2 normals per resource element.
            soft: ``(4, 3, n_re)`` of earlier attempts (``BlockResult.soft``).
            rv: Redundancy version of this attempt, 0 to 3: the same again is chase combining, of
                symbols; 0, 2, 3, 1 incremental redundancy (TS 38.212 clause 5.4.2.1).

        Raises:
            ScenarioError: Wrong number of bits or SNRs, an effective rate above 0.95, or an SNR or
                redundancy version that does not exist.
        """
        earlier = None if soft is None else soft[None]
        levels = np.asarray(snr_db, dtype=np.float32)
        levels = levels[None] if levels.ndim else levels
        return self.transmit_batch(bits[None], mcs, n_prb, levels, rng, earlier, rv)[0]

    def transmit_batch(
        self,
        bits: Bits,
        mcs: Mcs,
        n_prb: int,
        snr_db: float | NDArray[np.floating],
        rng: np.random.Generator | Sequence[np.random.Generator],
        soft: Floats | None = None,
        rv: int = 0,
    ) -> list[BlockResult]:
        """Send blocks ``(B, tb_bits)`` at one, ``(B,)`` or ``(B, n_re)`` SNRs; else as `transmit`.

        One generator is used block after block; a sequence gives each block its own. ``soft`` is
        ``(B, 4, 3, n_re)``.
        """
        chain = _chain(mcs, n_prb, *self._slot)
        _check_block(bits, chain.tb_bits, rv)
        levels = _levels(snr_db, len(bits), chain.n_re)
        rngs = [rng] * len(bits) if isinstance(rng, np.random.Generator) else rng
        earlier = None if soft is None else torch.from_numpy(soft)
        with torch.inference_mode():
            received = self._receive(chain, bits, levels, rngs, rv)
            combined = combine(received, levels, rv, earlier)
            llrs = {v: self._llrs(chain, combined, v) for v in versions_in(combined)}
            decided, ok = chain.decode(chain.collect(llrs))
            return list(_results(decided, ok, combined))

    def _receive(
        self,
        chain: _Chain,
        bits: Bits,
        snr_db: Tensor,
        rngs: Sequence[np.random.Generator],
        rv: int,
    ) -> Tensor:
        """Encode, scramble, map, add noise: equalised symbols ``(B, n_re)``."""
        qam = modem(chain.bits_per_symbol, self._demapper)
        coded = chain.encode(torch.from_numpy(bits.astype(np.float32)), rv)
        flip = scrambling(chain.coded_bits, self._c_init)
        return add_noise(qam.symbols(coded.bool() ^ flip), snr_db, rngs)

    def _llrs(self, chain: _Chain, combined: Tensor, rv: int) -> Tensor:
        """Demap and descramble what one redundancy version has left: LLRs ``(B, G)``."""
        qam = modem(chain.bits_per_symbol, self._demapper)
        llr = qam.llrs(*symbols_of(combined, rv))
        return torch.where(scrambling(chain.coded_bits, self._c_init), -llr, llr)


def _check_block(bits: Bits, tb_bits: int, rv: int) -> None:
    if bits.ndim != 2 or bits.shape[1] != tb_bits:
        raise ScenarioError(f"a block has {tb_bits} bits", value=bits.shape)
    if rv not in INCREMENTAL_ORDER:
        raise ScenarioError("no such redundancy version", value=rv, choices=list("0123"))


def _levels(snr_db: float | NDArray[np.floating], size: int, n_re: int) -> Tensor:
    """SNRs as ``(B, 1)`` or ``(B, n_re)`` float32."""
    given = np.asarray(snr_db, dtype=np.float32)
    if given.shape not in ((), (size,), (size, 1), (size, n_re)):
        message = f"SNR: give one, ({size},) or ({size}, {n_re})"
        raise ScenarioError(message, value=given.shape)
    if not np.isfinite(given).all():
        raise ScenarioError("the SNR is not a finite number of dB", value=given.min())
    rows = given.reshape(size, -1) if given.ndim else np.full((size, 1), given)
    return torch.from_numpy(rows.copy())


def _results(decided: Tensor, ok: Tensor, soft: Tensor) -> Iterator[BlockResult]:
    for row, verdict, llr in zip(decided, ok.tolist(), soft, strict=True):
        yield BlockResult(row.numpy().astype(np.uint8), verdict, llr.numpy().copy())


class Modulated(Protocol):
    """What has a modulation order: an MCS, or a curve of the table."""

    @property
    def bits_per_symbol(self) -> int:
        """Modulation order Qm."""


class CodeBlockLink:
    """One code block without check sums, for calibration: errors are told by comparing all bits.

    Args:
        scheme: Gives modulation, e.g. an Mcs.
        bits: K', information bits.
        coded_bits: E of one attempt, a multiple of Qm.
        base_graph: 1 or 2.
        attempts: Transmissions that are combined, redundancy versions 0, 2, 3, 1 in this order,
            all at the same SNR.

    Where coded bits come again, attempts are scrambled (TS 38.211 clause 6.3.1.1), with random
    bits: otherwise a repeated bit would meet the same value of an amplitude bit, whose reliability
    depends on the value, and the third attempt of 256-QAM seem 0.3 dB worse than it is. QPSK has no
    amplitude bits, and without repetition the code's own bits are as good as scrambled.
    """

    def __init__(
        self, scheme: Modulated, bits: int, coded_bits: int, base_graph: int, attempts: int = 1
    ) -> None:
        self._code = ldpc_code(bits, base_graph)
        self._modem = modem(scheme.bits_per_symbol)
        mixed = interleaver(coded_bits, scheme.bits_per_symbol)
        orders = [self._code.buffer.positions(coded_bits, rv)[mixed] for rv in INCREMENTAL_ORDER]
        order = np.concatenate(orders[:attempts])
        self._order = torch.from_numpy(order)
        self._batch = max(8, min(256, 400_000 // len(self._order)))
        repeats = np.unique(order).size < order.size
        self._is_scrambled = repeats and scheme.bits_per_symbol > 2

    def errors(self, snr_db: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Whether each of random blocks sent at the SNRs ``(N,)`` is decided wrongly: ``(N,)``."""
        with torch.inference_mode():
            levels = torch.from_numpy(snr_db.astype(np.float32))
            starts = range(0, len(levels), self._batch)
            parts = [self._errors(levels[i : i + self._batch], rng) for i in starts]
            return np.concatenate(parts)

    def _flips(self, shape: Sequence[int], rng: np.random.Generator) -> Tensor | None:
        """Scrambling bits ``(B, attempts E)``; None where they would change nothing."""
        if not self._is_scrambled:
            return None
        return torch.from_numpy(rng.integers(0, 2, tuple(shape), dtype=np.uint8)).bool()

    def _errors(self, snr_db: Tensor, rng: np.random.Generator) -> NDArray[np.bool_]:
        sent = rng.integers(0, 2, (len(snr_db), self._code.bits), dtype=np.uint8)
        bits = torch.from_numpy(sent)
        buffers = self._code.encode(bits)
        coded = buffers.index_select(1, self._order)
        flip = self._flips(coded.shape, rng)
        symbols = self._modem.symbols(coded if flip is None else coded.bool() ^ flip)
        received = add_noise(symbols, snr_db, [rng] * len(snr_db))
        llr = self._modem.llrs(received, noise_variance(snr_db))
        soft = torch.zeros(buffers.shape)
        soft.index_add_(1, self._order, llr if flip is None else torch.where(flip, -llr, llr))
        wrong: NDArray[np.bool_] = (self._code.decode(soft) != bits.bool()).any(1).numpy()
        return wrong
