"""Rate matching of 5G NR LDPC codes, and combining of what was received of it.

Which coded bits an attempt carries is TS 38.212 V17 clauses 5.2.2, 5.3.2 and 5.4.2. Of a block's
attempts HARQ keeps received symbols, combined per redundancy version. Equal versions carry equal
symbols, which are added with their SNR as weight (maximum ratio combining; D. Chase, IEEE Trans.
Commun. 33, 1985), so that their linear SNRs add up. Adding LLRs of 16-QAM and above instead would
cost 0.3 to 2 dB at rates around 1/2, since a bit's LLR forgets its neighbours'. Different versions
meet only as LLRs of coded bits, later. NumPy and torch only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

VERSIONS = 4
# TS 38.212 Table 5.3.2-1: all lifting sizes Z.
_LIFTING_SIZES = sorted(
    a << j for a in (2, 3, 5, 7, 9, 11, 13, 15) for j in range(8) if a << j < 385
)
# TS 38.212 Table 5.4.2.1-2, without limited buffer (N_cb = N): k0 / Z by redundancy version.
_START_COLUMNS = {1: (0, 17, 33, 56), 2: (0, 13, 25, 43)}
_INFORMATION_COLUMNS = {1: 22, 2: 10}
_BUFFER_COLUMNS = {1: 66, 2: 50}  # N / Z: the first two columns are never sent

LARGEST_BITS = {(1, 22): 8448, (2, 10): 3840, (2, 9): 640, (2, 8): 560, (2, 6): 192}
"""(Base graph, K_b) -> largest K' (clause 5.2.2)."""

INCREMENTAL_ORDER = (0, 2, 3, 1)
"""Redundancy versions of attempts 1 to 4 under incremental redundancy."""


# --- which bits are sent ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CircularBuffer:
    """Where the bits of a code block lie in the circular buffer of N bits.

    Attributes:
        bits: K', information bits with check bits.
        base_graph: 1 or 2.
        used_columns: K_b, columns of the base graph that hold information bits.
        lifting: Z_c, smallest with K_b Z_c >= K'.
    """

    bits: int
    base_graph: int
    used_columns: int
    lifting: int

    @property
    def length(self) -> int:
        """N = 66 Z or 50 Z, fillers included."""
        return _BUFFER_COLUMNS[self.base_graph] * self.lifting

    @property
    def fillers(self) -> slice:
        """Indices of the filler bits, which are skipped (clause 5.4.2.1)."""
        last = _INFORMATION_COLUMNS[self.base_graph] - 2
        return slice(self.bits - 2 * self.lifting, last * self.lifting)

    def positions(self, coded_bits: int, rv: int) -> NDArray[np.int64]:
        """Index in the buffer of each of the E bits selected at a redundancy version, ``(E,)``.

        Clause 5.4.2.1: from k0 on, around the end as often as it takes, fillers left out.
        """
        start = _START_COLUMNS[self.base_graph][rv] * self.lifting
        order = np.roll(np.arange(self.length, dtype=np.int64), -start)
        sent = order[(order < self.fillers.start) | (order >= self.fillers.stop)]
        return np.resize(sent, coded_bits)


def circular_buffer(bits: int, base_graph: int) -> CircularBuffer:
    """Lifting size and buffer of a code block of K' bits (clauses 5.2.2 and 5.3.2)."""
    fitting = [(limit, kb) for (g, kb), limit in LARGEST_BITS.items() if g == base_graph]
    columns = min((limit, kb) for limit, kb in fitting if bits <= limit)[1]
    lifting = next(z for z in _LIFTING_SIZES if columns * z >= bits)
    return CircularBuffer(bits, base_graph, columns, lifting)


def interleaver(coded_bits: int, bits_per_symbol: int) -> NDArray[np.int64]:
    """Bit interleaving of TS 38.212 clause 5.4.2.2: sent bit i + j Qm is coded bit i E / Qm + j."""
    rows = np.arange(coded_bits, dtype=np.int64).reshape(bits_per_symbol, -1)
    return np.ascontiguousarray(rows.T).reshape(-1)


def code_block_sizes(n_symbols: int, bits_per_symbol: int, n_code_blocks: int) -> list[int]:
    """Coded bits E_r of each code block, one layer (TS 38.212 clause 5.4.2.1)."""
    short, longer = divmod(n_symbols, n_code_blocks)
    n_short = n_code_blocks - longer
    return [bits_per_symbol * (short + (r >= n_short)) for r in range(n_code_blocks)]


# --- what HARQ keeps --------------------------------------------------------------------------


def combine(received: Tensor, snr_db: Tensor, rv: int, earlier: Tensor | None) -> Tensor:
    """Add an attempt to what was kept of a batch of B blocks.

    Args:
        received: Equalised symbols ``(B, n_re)``.
        snr_db: Es/N0 ``(B, 1)`` or ``(B, n_re)``.
        rv: Redundancy version of the attempt.
        earlier: What was returned of the attempts before; left as it is.

    Returns:
        ``(B, 4, 3, n_re)``: version, (Re and Im of the sum of SNR times y; sum of SNR), symbol.
    """
    shape = (len(received), VERSIONS, 3, received.shape[1])
    combined = torch.zeros(shape) if earlier is None else earlier.clone()
    snr = (10.0 ** (snr_db / 10.0)).expand(received.shape)
    combined[:, rv, 0] += received.real * snr
    combined[:, rv, 1] += received.imag * snr
    combined[:, rv, 2] += snr
    return combined


def versions_in(combined: Tensor) -> list[int]:
    """Redundancy versions, rising, that some block of the batch has received."""
    return [rv for rv in range(VERSIONS) if bool((combined[:, rv, 2] > 0).any())]


def symbols_of(combined: Tensor, rv: int) -> tuple[Tensor, Tensor]:
    """Symbols ``(B, n_re)`` and noise variance ``(B, n_re)``; 0 and infinite where none came."""
    real, imaginary, snr = combined[:, rv].unbind(1)
    weight = torch.where(snr > 0, 1.0 / snr, 0.0)
    return torch.complex(real * weight, imaginary * weight), 1.0 / snr
