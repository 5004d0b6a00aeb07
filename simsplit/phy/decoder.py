"""Belief propagation for LDPC codes, made for CPUs. Torch only; phy/coded.py feeds it."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as nnf
from numpy.typing import NDArray
from torch import Tensor

ITERATIONS = 20
LLR_LIMIT = 20.0  # as Sionna's LDPC5GDecoder
_CHECK_EVERY = 2  # iterations between parity checks
_CHUNK_FLOATS = 500_000  # per message array: stays in the cache
_TINY = 1e-12  # keeps a silent neighbour from hiding what the others say
_UNIT = math.log2(math.e)  # messages are held in bits: exp2 and log2 are the cheap functions
_REPLY_LIMIT = 2.0 * math.atanh(1.0 - 1e-7) * _UNIT  # as Sionna's


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
