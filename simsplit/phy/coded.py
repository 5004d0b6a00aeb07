"""The exact coded link: real bits through CRC, LDPC, QAM, noise and back. Only here is Sionna used.

Sionna gives the LDPC encoder and its parity checks, the CRC polynomials, the constellations and
the scrambling sequence. Decoder and demapper are ours: same decisions as Sionna's, 6 to 10 times
faster on a CPU (tests/unit/phy/test_coded.py keeps them equal). LLR = log p(1)/p(0): positive
means bit 1. Thread count is the caller's business: one is fastest on shared machines.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsplit.errors import ScenarioError
from simsplit.phy.decoder import ITERATIONS, LLR_LIMIT, BeliefPropagation
from simsplit.phy.link import SUPPORTED_MCS, Mcs, resource_elements, segment, transport_block_bits

Bits = NDArray[np.uint8]


def _sionna(module: str) -> ModuleType:
    """A Sionna module; its import reseeds torch's global generator, which is put back."""
    state = torch.get_rng_state()
    try:
        return importlib.import_module(f"sionna.phy.{module}")
    finally:
        torch.set_rng_state(state)


class LdpcCode:
    """One 5G LDPC code, rate-matched at redundancy version 0 (TS 38.212 clauses 5.3.2, 5.4.2).

    Args:
        bits: K' information bits of a code block, check bits included.
        coded_bits: Bits sent, E.
        base_graph: 1 or 2.

    Raises:
        ScenarioError: Sionna cannot encode this pair (rate below 1/5, above 0.95, or repetition).
    """

    def __init__(
        self, bits: int, coded_bits: int, base_graph: int, iterations: int = ITERATIONS
    ) -> None:
        ldpc = _sionna("fec.ldpc")
        try:
            with warnings.catch_warnings():  # it warns above 948/1024; up to 0.95 is legal
                warnings.simplefilter("ignore", UserWarning)
                self.encoder = ldpc.LDPC5GEncoder(bits, coded_bits, bg=f"bg{base_graph}")
        except ValueError as error:
            raise ScenarioError(f"no LDPC code: {error}", value=(bits, coded_bits)) from error
        self.bits, self.coded_bits = bits, coded_bits
        self._punctured = 2 * self.encoder.z
        self._fillers = self.encoder.k_ldpc - bits
        self._decoder = self._build_decoder(iterations)

    def _build_decoder(self, iterations: int) -> BeliefPropagation:
        """Belief propagation without the unsent degree-1 parity bits and their checks."""
        encoder = self.encoder
        matrix = encoder.pcm.tocoo()
        degree_one = np.bincount(matrix.col, minlength=encoder.n_ldpc) == 1
        last_needed = int(np.flatnonzero(~degree_one)[-1]) + 1
        last_sent = self._punctured + self.coded_bits + self._fillers
        self._length = max(last_needed, last_sent)
        n_checks = encoder.pcm.shape[0] - (encoder.n_ldpc - self._length)
        keep = (matrix.row < n_checks) & (matrix.col < self._length)
        row, col = matrix.row[keep].astype(np.int64), matrix.col[keep].astype(np.int64)
        order = np.lexsort((col, row))
        return BeliefPropagation(row[order], col[order], self._length, iterations)

    def encode(self, bits: Tensor) -> Tensor:
        """Bits ``(B, K')`` float32 -> code words ``(B, E)`` float32 of zeros and ones."""
        coded: Tensor = self.encoder(bits)
        return coded

    def decode(self, llr: Tensor) -> Tensor:
        """LLRs ``(B, E)`` -> decided information bits ``(B, K')`` bool."""
        size, split = len(llr), self.bits - self._punctured
        tail = self._length - self._punctured - self._fillers - self.coded_bits
        parts = (
            torch.zeros(size, self._punctured),
            llr[:, :split],
            torch.full((size, self._fillers), -LLR_LIMIT),
            llr[:, split:],
            torch.zeros(size, tail),
        )
        return self._decoder.hard_bits(torch.cat(parts, 1))[:, : self.bits]


class Modem:
    """Gray-mapped QAM (TS 38.211 clause 5.1) of unit mean power with exact APP demapping.

    Square Gray QAM is two independent amplitude modulations, even bits on I, odd bits on Q, so the
    sums of the APP demapper run over 2^(Qm/2) levels instead of 2^Qm points, without loss.
    """

    def __init__(self, bits_per_symbol: int) -> None:
        self.bits_per_symbol = bits_per_symbol
        half = bits_per_symbol // 2
        points = _sionna("mapping").Constellation("qam", bits_per_symbol).points
        codes = torch.arange(2**half)
        shifts = torch.arange(half - 1, -1, -1)
        self._weights = 2**shifts
        self._is_one = ((codes[:, None] >> shifts) & 1).bool()  # (levels, half)
        spread = (self._is_one * 4**shifts).sum(1)  # the code's bits at every second place
        self._levels = points.imag[spread].clone()  # (levels,), I and Q alike
        assert torch.allclose(self._levels, points.real[2 * spread])

    def symbols(self, bits: Tensor) -> Tensor:
        """Bits ``(B, n)`` -> symbols ``(B, n / Qm)`` complex64."""
        pairs = bits.long().reshape(
            len(bits), -1, self.bits_per_symbol // 2, 2
        )  # (B, s, half, I/Q)
        codes = (pairs * self._weights[:, None]).sum(2)
        return torch.view_as_complex(self._levels[codes].contiguous())

    def llrs(self, received: Tensor, noise_variance: Tensor) -> Tensor:
        """Symbols ``(B, s)`` and noise variance ``(B,)`` -> LLRs ``(B, s * Qm)`` float32."""
        amplitude = torch.view_as_real(received)  # (B, s, I/Q)
        scale = -1.0 / noise_variance[:, None, None, None]
        metric = (amplitude.unsqueeze(-1) - self._levels).square() * scale  # (B, s, I/Q, levels)
        columns = [
            metric[..., one].logsumexp(-1) - metric[..., ~one].logsumexp(-1)
            for one in self._is_one.t()
        ]
        return torch.stack(columns, 2).flatten(1)  # bit order: (half, I/Q)


def interleaver(coded_bits: int, bits_per_symbol: int) -> NDArray[np.int64]:
    """Bit interleaving of TS 38.212 clause 5.4.2.2: sent bit i + j Qm is coded bit i E / Qm + j."""
    rows = np.arange(coded_bits, dtype=np.int64).reshape(bits_per_symbol, -1)
    return np.ascontiguousarray(rows.T).reshape(-1)


@lru_cache(maxsize=64)
def ldpc_code(bits: int, coded_bits: int, base_graph: int) -> LdpcCode:
    """The code of these sizes; building one takes 10 to 500 ms, so it is kept."""
    return LdpcCode(bits, coded_bits, base_graph)


@lru_cache(maxsize=8)
def modem(bits_per_symbol: int) -> Modem:
    """The modem of this modulation order, kept."""
    return Modem(bits_per_symbol)


@lru_cache(maxsize=64)
def scrambling(length: int, c_init: int) -> Tensor:
    """Gold sequence of TS 38.211 clause 5.2.1 as ``(length,)`` bool."""
    sequence = _sionna("nr.utils").generate_prng_seq(length, c_init)
    return torch.from_numpy(np.asarray(sequence) > 0.5)


@dataclass(frozen=True)
class BlockResult:
    """What one transmission of a transport block gave.

    Attributes:
        bits: ``(tb_bits,)`` uint8, decided bits, right or wrong.
        crc_ok: Every check sum (transport block and code blocks) holds.
        soft: ``(G,)`` float32, LLRs of all attempts so far; hand them to the next attempt.
    """

    bits: Bits
    crc_ok: bool
    soft: NDArray[np.float32]


class _Chain:
    """Everything of one (MCS, allocation) but scrambling and noise; built once, then reused."""

    def __init__(self, mcs: Mcs, n_prb: int, n_symbols: int, dmrs_re_per_prb: int) -> None:
        crc = _sionna("fec.crc")
        self.tb_bits = transport_block_bits(mcs, n_prb, n_symbols, dmrs_re_per_prb)
        self.n_symbols = resource_elements(n_prb, n_symbols, dmrs_re_per_prb)
        self.coded_bits = self.n_symbols * mcs.bits_per_symbol
        self.parts = segment(self.tb_bits, mcs.code_rate)
        self.modem = modem(mcs.bits_per_symbol)
        several = self.parts.n_code_blocks > 1
        tb_crc = "CRC24A" if self.parts.crc_bits == 24 else "CRC16"
        self._tb_crc = crc.CRCEncoder(tb_crc, k=self.tb_bits)
        cb_bits = self.parts.code_block_bits
        self._cb_crc = crc.CRCEncoder("CRC24B", k=cb_bits - 24) if several else None
        sizes = self._block_sizes(mcs.bits_per_symbol)
        self._longest = max(sizes)
        self.code = ldpc_code(cb_bits, self._longest, self.parts.base_graph)
        places = [
            r * self._longest + interleaver(size, mcs.bits_per_symbol)
            for r, size in enumerate(sizes)
        ]
        self._order = torch.from_numpy(np.concatenate(places))  # (G,)

    def _block_sizes(self, bits_per_symbol: int) -> list[int]:
        """Coded bits E_r of each code block (TS 38.212 clause 5.4.2.1)."""
        blocks = self.parts.n_code_blocks
        short, longer = divmod(self.n_symbols, blocks)
        n_short = blocks - longer
        return [bits_per_symbol * (short + (r >= n_short)) for r in range(blocks)]

    def encode(self, bits: Tensor) -> Tensor:
        """Transport blocks ``(B, tb_bits)`` float32 -> coded bits ``(B, G)`` float32."""
        checked = self._tb_crc(bits)
        if self._cb_crc is not None:
            checked = self._cb_crc(checked.reshape(len(bits) * self.parts.n_code_blocks, -1))
        coded = self.code.encode(checked)  # (B * C, longest)
        return coded.reshape(len(bits), -1).index_select(1, self._order)

    def decode(self, llr: Tensor) -> tuple[Tensor, Tensor]:
        """LLRs ``(B, G)`` -> bits ``(B, tb_bits)`` float32 and CRC verdicts ``(B,)`` bool."""
        size, blocks = len(llr), self.parts.n_code_blocks
        spread = torch.zeros(size, blocks * self._longest)
        spread[:, self._order] = llr
        found = self.code.decode(spread.reshape(size * blocks, -1)).float()
        ok = torch.ones(size, dtype=torch.bool)
        if self._cb_crc is not None:
            payload = found[:, :-24]
            ok &= (self._cb_crc(payload) == found).all(1).reshape(size, blocks).all(1)
            found = payload
        found = found.reshape(size, -1)
        payload = found[:, : self.tb_bits]
        return payload, ok & (self._tb_crc(payload) == found).all(1)


@lru_cache(maxsize=64)
def _chain(mcs: Mcs, n_prb: int, n_symbols: int, dmrs_re_per_prb: int) -> _Chain:
    if mcs not in SUPPORTED_MCS:
        choices = [str(m.index) for m in SUPPORTED_MCS]
        raise ScenarioError("the exact link lacks this MCS", value=mcs.index, choices=choices)
    return _Chain(mcs, n_prb, n_symbols, dmrs_re_per_prb)


def add_noise(symbols: Tensor, snr_db: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
    """AWGN on symbols ``(B, s)`` at Es/N0 ``(B,)``: CN(0, 1/SNR), one generator per row."""
    rows = [rng.standard_normal((symbols.shape[1], 2), dtype=np.float32) for rng in rngs]
    noise = torch.view_as_complex(torch.from_numpy(np.stack(rows)))
    deviation = (0.5 * 10.0 ** (-snr_db / 10.0)).sqrt().unsqueeze(1)
    return symbols + noise * deviation


class CodedLink:
    """Transport blocks over AWGN, bit by bit, with chase combining.

    Args:
        seed: Names the scrambling sequence (c_init, TS 38.211 clause 6.3.1.1), not the noise: that
            comes from the generator given with each block, so the order of blocks is of no matter.
        n_symbols: OFDM symbols of the slot that carry the block.
        dmrs_re_per_prb: Resource elements of pilots per resource block.
    """

    def __init__(self, seed: int, n_symbols: int = 14, dmrs_re_per_prb: int = 12) -> None:
        self._c_init = seed % 2**31
        self._slot = (n_symbols, dmrs_re_per_prb)

    def transmit(
        self,
        bits: Bits,
        mcs: Mcs,
        n_prb: int,
        snr_db: float,
        rng: np.random.Generator,
        soft: NDArray[np.float32] | None = None,
    ) -> BlockResult:
        """Send one transport block once.

        Args:
            bits: ``(tb_bits,)`` uint8 of zeros and ones, ``link.transport_block_bits`` many.
            mcs: Modulation and coding scheme, one of SUPPORTED_MCS.
            n_prb: Resource blocks.
            snr_db: Es/N0 per complex symbol, fading included.
            rng: Source of this attempt's noise; draws 2 normals per resource element.
            soft: LLRs ``(G,)`` of earlier attempts, which are added (same redundancy version).

        Raises:
            ScenarioError: MCS not supported, wrong number of bits, or no code for this allocation.
        """
        earlier = None if soft is None else soft[None]
        return self.transmit_batch(bits[None], mcs, n_prb, snr_db, rng, earlier)[0]

    def transmit_batch(
        self,
        bits: Bits,
        mcs: Mcs,
        n_prb: int,
        snr_db: float | NDArray[np.floating],
        rng: np.random.Generator | Sequence[np.random.Generator],
        soft: NDArray[np.float32] | None = None,
    ) -> list[BlockResult]:
        """Send equal blocks ``(B, tb_bits)`` at one or ``(B,)`` SNRs; otherwise as ``transmit``.

        One generator is used block after block; a sequence gives each block its own.
        """
        chain = _chain(mcs, n_prb, *self._slot)
        if bits.ndim != 2 or bits.shape[1] != chain.tb_bits:
            raise ScenarioError(f"a block has {chain.tb_bits} bits", value=bits.shape)
        rngs = [rng] * len(bits) if isinstance(rng, np.random.Generator) else rng
        levels = np.broadcast_to(np.asarray(snr_db, dtype=np.float32), (len(bits),))
        with torch.inference_mode():
            llr = self._llrs(chain, bits, torch.from_numpy(levels.copy()), rngs)
            if soft is not None:
                llr = llr + torch.from_numpy(soft)
            found, ok = chain.decode(llr)
            return list(_results(found, ok, llr))

    def _llrs(
        self, chain: _Chain, bits: Bits, snr_db: Tensor, rngs: Sequence[np.random.Generator]
    ) -> Tensor:
        """Encode, scramble, map, add noise, demap, descramble: LLRs ``(B, G)``."""
        flip = scrambling(chain.coded_bits, self._c_init)
        coded = chain.encode(torch.from_numpy(bits.astype(np.float32)))
        symbols = chain.modem.symbols(coded.bool() ^ flip)
        received = add_noise(symbols, snr_db, rngs)
        llr = chain.modem.llrs(received, 10.0 ** (-snr_db / 10.0))
        return torch.where(flip, -llr, llr)


def _results(found: Tensor, ok: Tensor, llr: Tensor) -> Iterator[BlockResult]:
    for row, verdict, soft in zip(found, ok.tolist(), llr, strict=True):
        yield BlockResult(row.numpy().astype(np.uint8), verdict, soft.numpy().copy())


class CodeBlockLink:
    """One code block without check sums, for calibration: errors are told by comparing all bits.

    Args:
        mcs: Gives modulation.
        bits: K', information bits.
        coded_bits: E, a multiple of Qm.
        base_graph: 1 or 2.
    """

    def __init__(self, mcs: Mcs, bits: int, coded_bits: int, base_graph: int) -> None:
        self._code = LdpcCode(bits, coded_bits, base_graph)
        self._modem = modem(mcs.bits_per_symbol)
        self._order = torch.from_numpy(interleaver(coded_bits, mcs.bits_per_symbol))
        self._batch = max(8, min(256, 400_000 // coded_bits))

    def errors(self, snr_db: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.bool_]:
        """Whether each of random blocks sent at the SNRs ``(N,)`` is decided wrongly: ``(N,)``."""
        with torch.inference_mode():
            levels = torch.from_numpy(snr_db.astype(np.float32))
            starts = range(0, len(levels), self._batch)
            parts = [self._errors(levels[i : i + self._batch], rng) for i in starts]
            return np.concatenate(parts)

    def _errors(self, snr_db: Tensor, rng: np.random.Generator) -> NDArray[np.bool_]:
        sent = rng.integers(0, 2, (len(snr_db), self._code.bits), dtype=np.uint8)
        bits = torch.from_numpy(sent)
        coded = self._code.encode(bits.float()).index_select(1, self._order)
        received = add_noise(self._modem.symbols(coded), snr_db, [rng] * len(snr_db))
        llr = torch.empty(len(snr_db), self._code.coded_bits)
        llr[:, self._order] = self._modem.llrs(received, 10.0 ** (-snr_db / 10.0))
        wrong: NDArray[np.bool_] = (self._code.decode(llr) != bits.bool()).any(1).numpy()
        return wrong
