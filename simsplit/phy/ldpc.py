"""LDPC codes of 5G NR between information bits and circular buffer; the matrix is given."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsplit.phy.decoder import ITERATIONS, LLR_LIMIT, BeliefPropagation
from simsplit.phy.encoder import Encoder
from simsplit.phy.ratematch import LARGEST_BITS, circular_buffer

ParityChecks = Callable[[int, int], Any]
Lifted = tuple[int, int, int]


class MotherCode:
    """A base graph lifted to Z, without rate matching (TS 38.212 clause 5.3.2).

    Args:
        lifted: Base graph, K_b and Z.
        parity_checks: (K', base graph) -> sparse parity-check matrix.
    """

    def __init__(self, lifted: Lifted, parity_checks: ParityChecks) -> None:
        base_graph, used_columns, lifting = lifted
        # The source takes K_b from the size, which must not pass the limit of K_b (clause 5.2.2).
        bits = min(used_columns * lifting, LARGEST_BITS[base_graph, used_columns])
        self._lifting = lifting
        self._matrix = parity_checks(bits, base_graph)
        edges = self._matrix.tocoo()
        order = np.lexsort((edges.col, edges.row))
        self._checks, self._variables = edges.row[order], edges.col[order]
        self.encoder = Encoder(self._shifts(), lifting)

    def _shifts(self) -> NDArray[np.int64]:
        """The base graph: where the first row of each block row has its ones."""
        shape = tuple(n // self._lifting for n in self._matrix.shape)
        shifts = np.full(shape, -1, dtype=np.int64)
        first = self._checks % self._lifting == 0
        column, shift = np.divmod(self._variables[first], self._lifting)
        shifts[self._checks[first] // self._lifting, column] = shift
        return shifts

    def decoder(self, is_sent: NDArray[np.bool_]) -> tuple[BeliefPropagation, Tensor]:
        """Belief propagation without the extension checks ``(rows,)`` whose own bit is not sent.

        An unsent bit of degree 1 makes its check say nothing, so the decisions stay the same.

        Returns:
            The decoder and the columns of the parity-check matrix it takes, ``(n,)``.
        """
        n_checks, n_columns = self._matrix.shape
        core = n_checks - len(is_sent)
        keeps_check = np.concatenate([np.ones(core, dtype=bool), is_sent])
        keeps_column = np.concatenate([np.ones(n_columns - len(is_sent), dtype=bool), is_sent])
        keep = keeps_check[self._checks]
        check, column = (np.cumsum(mask) - 1 for mask in (keeps_check, keeps_column))
        edges = check[self._checks[keep]], column[self._variables[keep]]
        columns = np.flatnonzero(keeps_column)
        return BeliefPropagation(*edges, len(columns), ITERATIONS), torch.from_numpy(columns)


@lru_cache(maxsize=32)
def _mother_code(lifted: Lifted, parity_checks: ParityChecks) -> MotherCode:
    """Building one takes 10 to 500 ms, so it is kept; many block sizes share one."""
    return MotherCode(lifted, parity_checks)


@lru_cache(maxsize=64)
def _decoder(
    lifted: Lifted, parity_checks: ParityChecks, is_sent: bytes
) -> tuple[BeliefPropagation, Tensor]:
    return _mother_code(lifted, parity_checks).decoder(np.frombuffer(is_sent, dtype=bool))


class LdpcCode:
    """One 5G LDPC code between information bits and circular buffer.

    Args:
        bits: K' information bits of a code block, check bits included.
        base_graph: 1 or 2.
        parity_checks: As of `MotherCode`.
    """

    def __init__(self, bits: int, base_graph: int, parity_checks: ParityChecks) -> None:
        self.bits = bits
        self.buffer = circular_buffer(bits, base_graph)
        lifted = (base_graph, self.buffer.used_columns, self.buffer.lifting)
        self._mother = (lifted, parity_checks)
        self._information = (22 if base_graph == 1 else 10) * self.buffer.lifting
        self._core = self._information + 2 * self.buffer.lifting  # places before the extension

    def encode(self, bits: Tensor) -> Tensor:
        """Bits ``(B, K')`` -> circular buffers ``(B, N)`` uint8 of zeros and ones, fillers 0."""
        padded = np.zeros((self._information, len(bits)), dtype=np.uint8)
        padded[: self.bits] = bits.numpy().T
        word = _mother_code(*self._mother).encoder.encode(padded)
        return torch.from_numpy(np.ascontiguousarray(word[2 * self.buffer.lifting :].T))

    def decode(self, soft: Tensor) -> Tensor:
        """LLRs ``(B, N)``, 0 where nothing was received -> information bits ``(B, K')`` bool."""
        is_sent = (soft[:, self._core :] != 0).any(0).numpy()
        decoder, columns = _decoder(*self._mother, is_sent.tobytes())
        llr = torch.nn.functional.pad(soft, (2 * self.buffer.lifting, 0))
        fillers, shift = self.buffer.fillers, 2 * self.buffer.lifting
        llr[:, fillers.start + shift : fillers.stop + shift] = -LLR_LIMIT
        return decoder.hard_bits(llr.index_select(1, columns))[:, : self.bits]
