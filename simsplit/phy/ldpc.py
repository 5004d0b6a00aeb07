"""LDPC codes of 5G NR (TS 38.212 clause 5.3.2): encoder, decoder, and the two as one code.

The parity-check matrix is given. The encoder works by shifts of whole blocks, many code words at
once (NumPy); the decoder is belief propagation made for CPUs (torch).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor

from simsplit.phy.ratematch import LARGEST_BITS, circular_buffer

Bits = NDArray[np.uint8]
ParityChecks = Callable[[int, int], Any]
"""(K', base graph) -> sparse parity-check matrix of the lifted graph."""
Lifted = tuple[int, int, int]
"""(base graph, K_b, Z)."""

ITERATIONS = 20
LLR_LIMIT = 20.0  # as Sionna's LDPC5GDecoder
_CHECK_EVERY = 2  # iterations between parity checks
_CHUNK_FLOATS = 500_000  # per message array: stays in the cache
_TINY = 1e-12  # keeps a silent neighbour from hiding what the others say
_UNIT = math.log2(math.e)  # messages are held in bits: exp2 and log2 are the cheap functions
_REPLY_LIMIT = 2.0 * math.atanh(1.0 - 1e-7) * _UNIT  # as Sionna's


# --- decoder ----------------------------------------------------------------------------------


class BeliefPropagation:
    """Flooding belief propagation with the exact (tanh) check rule; finished blocks leave early.

    The batch is the last, contiguous axis and edges are ordered by check degree, so nothing is
    padded and check sums are dense. Source: Ryan & Lin, Channel Codes (2009), alg. 5.2.

    Args:
        checks: Check index of every edge ``(E,)``, rising.
        variables: Variable index of every edge ``(E,)``.
        n_variables: Length n of the code word.
        iterations: At most so many; parity is looked at every second one if ``early_stop``.
    """

    def __init__(
        self,
        checks: NDArray[np.int64],
        variables: NDArray[np.int64],
        n_variables: int,
        iterations: int = ITERATIONS,
        early_stop: bool = True,
    ) -> None:
        self._iterations = iterations
        self._early_stop = early_stop
        self._groups: list[tuple[slice, int, int]] = []  # edges, check degree, checks
        edge_variable = self._group_by_degree(checks, variables)
        counts = np.bincount(edge_variable, minlength=n_variables)
        self._edge_variable = torch.from_numpy(edge_variable)
        self._by_variable = torch.from_numpy(np.argsort(edge_variable, kind="stable"))
        self._bag_start = torch.from_numpy(np.concatenate([[0], np.cumsum(counts)[:-1]]))

    def _group_by_degree(
        self, checks: NDArray[np.int64], variables: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Variable of each edge in the order (degree, j-th edge of the check, check)."""
        degrees = np.bincount(checks)
        first = np.concatenate([[0], np.cumsum(degrees)[:-1]])
        order: list[NDArray[np.int64]] = []
        start = 0
        for degree in (int(d) for d in np.unique(degrees[degrees > 0])):
            rows = np.flatnonzero(degrees == degree)
            order += [variables[first[rows] + j] for j in range(degree)]
            self._groups.append((slice(start, start + degree * len(rows)), degree, len(rows)))
            start += degree * len(rows)
        return np.concatenate(order).astype(np.int64)

    def hard_bits(self, llr: Tensor) -> Tensor:
        """Decide code words: LLRs ``(B, n)`` float32 -> bits ``(B, n)`` bool."""
        inputs = llr.clamp(-LLR_LIMIT, LLR_LIMIT).mul(-_UNIT).t()  # (n, B), log2 p(0)/p(1)
        step = max(1, _CHUNK_FLOATS // len(self._edge_variable))
        starts = range(0, inputs.shape[1], step)
        parts = [self._run(inputs[:, i : i + step].contiguous()) for i in starts]
        return torch.cat(parts, dim=1).t() <= 0

    def _run(self, llr: Tensor) -> Tensor:
        """A-posteriori LLRs ``(n, B)`` of channel LLRs ``(n, B)``."""
        result = torch.empty_like(llr)
        active = torch.arange(llr.shape[1])
        messages = llr.index_select(0, self._edge_variable)  # (E, B)
        for iteration in range(1, self._iterations + 1):
            replies = self._check_update(messages)
            total = llr + nnf.embedding_bag(self._by_variable, replies, self._bag_start, mode="sum")
            if iteration == self._iterations:
                break
            if self._early_stop and iteration % _CHECK_EVERY == 0:
                failed = self._parity_failed(total)
                result[:, active[~failed]] = total[:, ~failed]
                if not failed.any():
                    return result
                if not failed.all():
                    active, llr = active[failed], llr[:, failed]
                    total, replies = total[:, failed], replies[:, failed]
            messages = total.index_select(0, self._edge_variable).sub_(replies)
            messages.clamp_(-LLR_LIMIT * _UNIT, LLR_LIMIT * _UNIT)
        result[:, active] = total
        return result

    def _check_update(self, messages: Tensor) -> Tensor:
        """Extrinsic 2 atanh(prod tanh(m/2)) per edge ``(E, B)``, in bits; overwrites its input.

        With t = tanh(m/2) and P the product over the whole check, this is log (t + P) / (t - P).
        """
        tanh = messages.neg_().exp2_()
        other = tanh + 1.0
        tanh.neg_().add_(1.0).add_(_TINY).div_(other)
        for edges, degree, checks in self._groups:
            group, above = (part[edges].view(degree, checks, -1) for part in (tanh, other))
            product = group.prod(0)
            torch.add(group, product, out=above)
            group.sub_(product)
        return other.div_(tanh).abs_().log2_().clamp_(-_REPLY_LIMIT, _REPLY_LIMIT)

    def _parity_failed(self, total: Tensor) -> Tensor:
        """``(B,)`` bool: some check is not satisfied by the present decisions."""
        hard = (total <= 0).index_select(0, self._edge_variable)
        failed = torch.zeros(total.shape[1], dtype=torch.bool)
        for edges, degree, checks in self._groups:
            odd = hard[edges].view(degree, checks, -1).sum(0, dtype=torch.int8) & 1
            failed |= odd.bool().any(0)
        return failed


# --- encoder ----------------------------------------------------------------------------------


class Encoder:
    """Systematic encoder of a lifted base graph (T. J. Richardson & R. L. Urbanke, 2001).

    The four core parity blocks are linked by a double diagonal, so that the sum of the four core
    rows leaves the first parity block alone; each extension row gives one more block.

    Args:
        shifts: ``(rows, columns)`` of the base graph: cyclic shift of each Z x Z identity, -1 where
            there is none (TS 38.212 tables 5.3.2-2 and 5.3.2-3).
        lifting: Z.
    """

    def __init__(self, shifts: NDArray[np.int64], lifting: int) -> None:
        rows, columns = shifts.shape
        self._lifting = lifting
        self._columns = columns
        self._first_parity = columns - rows
        self._rows = [[(int(c), int(row[c])) for c in np.flatnonzero(row >= 0)] for row in shifts]

    def encode(self, bits: Bits) -> Bits:
        """Information bits ``(k Z, B)``, fillers included -> code words ``(columns Z, B)``."""
        word = np.zeros((self._columns, self._lifting, bits.shape[1]), dtype=np.uint8)
        word[: self._first_parity] = bits.reshape(self._first_parity, self._lifting, -1)
        self._core(word)
        for column, row in enumerate(self._rows[4:], start=self._first_parity + 4):
            self._add(word[column], word, [entry for entry in row if entry[0] != column])
        return word.reshape(self._columns * self._lifting, -1)

    def _core(self, word: Bits) -> None:
        """Parity blocks 0 to 3: one from the sum of all rows, then one row after the other."""
        first = self._first_parity
        total = np.zeros_like(word[0])
        for row in self._rows[:4]:
            self._add(total, word, [entry for entry in row if entry[0] < first])
        word[first] = np.roll(total, self._lone_shift(), axis=0)
        open_rows, solved = list(self._rows[:4]), {first}
        while open_rows:
            row = next(r for r in open_rows if len(self._unsolved(r, solved)) <= 1)
            open_rows.remove(row)
            for column in self._unsolved(row, solved):
                self._add(word[column], word, [entry for entry in row if entry[0] != column])
                solved.add(column)

    def _unsolved(self, row: list[tuple[int, int]], solved: set[int]) -> list[int]:
        return [c for c, _ in row if c >= self._first_parity and c not in solved]

    def _lone_shift(self) -> int:
        """Shift of the first parity block that is left when the core rows are summed."""
        entries = [shift for row in self._rows[:4] for c, shift in row if c == self._first_parity]
        return next(shift for shift in entries if entries.count(shift) % 2)

    def _add(self, total: Bits, word: Bits, entries: list[tuple[int, int]]) -> None:
        """Add shifted blocks modulo 2 in place."""
        for column, shift in entries:
            split = self._lifting - shift
            total[:split] ^= word[column, shift:]
            if shift:
                total[split:] ^= word[column, :shift]


# --- the code ---------------------------------------------------------------------------------


class MotherCode:
    """A base graph lifted to Z, without rate matching (TS 38.212 clause 5.3.2).

    Args:
        lifted: Base graph, K_b and Z.
        parity_checks: Where the matrix comes from.
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
        parity_checks: Where the matrix comes from.
    """

    def __init__(self, bits: int, base_graph: int, parity_checks: ParityChecks) -> None:
        self.bits = bits
        self.buffer = circular_buffer(bits, base_graph)
        lifted = (base_graph, self.buffer.used_columns, self.buffer.lifting)
        self._mother = (lifted, parity_checks)
        self._information = (22 if base_graph == 1 else 10) * self.buffer.lifting
        self._core = self._information + 2 * self.buffer.lifting  # bits before the extension

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
        llr = nnf.pad(soft, (2 * self.buffer.lifting, 0))
        fillers, shift = self.buffer.fillers, 2 * self.buffer.lifting
        llr[:, fillers.start + shift : fillers.stop + shift] = -LLR_LIMIT
        return decoder.hard_bits(llr.index_select(1, columns))[:, : self.bits]
