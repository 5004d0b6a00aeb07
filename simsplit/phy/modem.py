"""QAM of 5G NR, mapping and demapping, and the noise between. Torch only; phy/coded.py feeds it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from simsplit.errors import ScenarioError

DEMAPPERS = ("app", "max_log")


class Modem:
    """Gray-mapped QAM (TS 38.211 clauses 5.1.3 to 5.1.6) of unit mean power and its demapper.

    Square Gray QAM is two independent amplitude modulations, even bits on I, odd bits on Q, so the
    sums of the demapper run over 2^(Qm/2) levels instead of 2^Qm points, without loss.

    Args:
        bits_per_symbol: Qm: 2, 4, 6 or 8.
        demapper: "app" (exact log-likelihood ratios) or "max_log" (largest term of each sum).

    Raises:
        ScenarioError: No such demapper.
    """

    def __init__(self, bits_per_symbol: int, demapper: str = "app") -> None:
        if demapper not in DEMAPPERS:
            raise ScenarioError("no such demapper", value=demapper, choices=DEMAPPERS)
        self.bits_per_symbol = bits_per_symbol
        self._is_exact = demapper == "app"
        half = bits_per_symbol // 2
        shifts = torch.arange(half - 1, -1, -1)
        self._weights = 2**shifts
        self._is_one = ((torch.arange(2**half)[:, None] >> shifts) & 1).bool()  # (levels, half)
        self._levels = _amplitudes(self._is_one)  # (levels,), I and Q alike

    def symbols(self, bits: Tensor) -> Tensor:
        """Bits ``(B, n)`` -> symbols ``(B, n / Qm)`` complex64."""
        half = self.bits_per_symbol // 2
        pairs = bits.long().reshape(len(bits), -1, half, 2)  # (B, s, half, I/Q)
        codes = (pairs * self._weights[:, None]).sum(2)
        return torch.view_as_complex(self._levels[codes].contiguous())

    def llrs(self, received: Tensor, noise_variance: Tensor) -> Tensor:
        """LLRs ``(B, s * Qm)`` float32 of symbols ``(B, s)`` at noise variance ``(B,)``/``(B, s)``.

        LLR = log p(1)/p(0): positive means bit 1.
        """
        amplitude = torch.view_as_real(received).unsqueeze(0)  # (1, B, s, I/Q)
        scale = (-1.0 / noise_variance).reshape(len(received), -1, 1)
        distance = amplitude - self._levels[:, None, None, None]
        metric = distance.square_().mul_(scale)  # (levels, B, s, I/Q): sums run over the first axis
        columns = [
            self._sum(metric[one.nonzero()[:, 0]]) - self._sum(metric[(~one).nonzero()[:, 0]])
            for one in self._is_one.t()
        ]
        return torch.stack(columns, 2).flatten(1)  # bit order: (half, I/Q)

    def _sum(self, metric: Tensor) -> Tensor:
        """Logarithm of the sum of exponentials over the first axis, or its largest term."""
        if len(metric) == 1:
            return metric[0]
        return metric.logsumexp(0) if self._is_exact else metric.amax(0)


def _amplitudes(is_one: Tensor) -> Tensor:
    """Amplitude of bit patterns ``(levels, half)``: +-(8 -+ (4 -+ (2 -+ 1))), mean power 1/2."""
    signs = 1.0 - 2.0 * is_one.float()
    half = signs.shape[1]
    amplitude = signs[:, -1]
    for bit in range(half - 2, -1, -1):
        amplitude = signs[:, bit] * (2.0 ** (half - 1 - bit) - amplitude)
    return amplitude / math.sqrt(2 * (4**half - 1) / 3)


@lru_cache(maxsize=16)
def modem(bits_per_symbol: int, demapper: str = "app") -> Modem:
    """The modem of this modulation order and demapper; remembered."""
    return Modem(bits_per_symbol, demapper)


def add_noise(symbols: Tensor, snr_db: Tensor, rngs: Sequence[np.random.Generator]) -> Tensor:
    """AWGN on symbols ``(B, s)`` at Es/N0 ``(B,)`` or ``(B, s)``: CN(0, 1/SNR), a generator a row.

    Equals a channel with a gain per symbol after coherent equalisation, which scales the noise.
    """
    rows = [rng.standard_normal((symbols.shape[1], 2), dtype=np.float32) for rng in rngs]
    noise = torch.view_as_complex(torch.from_numpy(np.stack(rows)))
    deviation = (0.5 * noise_variance(snr_db)).sqrt().reshape(len(symbols), -1)
    return symbols + noise * deviation


def noise_variance(snr_db: Tensor) -> Tensor:
    """Variance of the complex noise at Es/N0 in dB and unit symbol power."""
    variance: Tensor = 10.0 ** (-snr_db / 10.0)
    return variance
