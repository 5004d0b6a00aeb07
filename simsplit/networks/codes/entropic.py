"""A stochastic bottleneck: latents rounded to integers, range coded with a learned prior.

Ballé et al., "Variational Image Compression with a Scale Hyperprior" (ICLR 2018), the fully
factorised model without hyperprior, for features as in Matsubara et al., "SC2" (TMLR 2023):
uniform noise of width 1 in training, true rounding in use. The prior of each channel is a mixture
of logistics; p(y) = F(y + 1/2) - F(y - 1/2). Its tables are integers, made once when training ends.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from simsplit.codecs.integers import ESCAPE_LOW, ESCAPE_VALUES, IntegersCodec
from simsplit.networks.codes.contract import Noise, Passed, Shape, sized_by_data
from simsplit.networks.codes.transformed import TransformedCode
from simsplit.scenario.code_specs import EntropicCodeSpec

_MIXTURE = 3
_TOTAL = 2**20  # what a table's entries sum to, about
_MARGIN = 4  # integers beyond those that training pictures have
_WIDEST = 1024  # entries of a table; what lies further out is escaped
_SAID = (ESCAPE_LOW, ESCAPE_LOW + ESCAPE_VALUES - 1)  # integers that can be escaped
_STARTING_STEPS = 3.0  # deviation of a latent before the first step, in quantisation steps
_PACE = 10.0  # how much faster than other weights the prior learns


class LogisticMixture(nn.Module):
    """Density of each of L channels: a mixture of logistic distributions.

    Places and logarithms of scales are kept `_PACE` times smaller, so that an optimiser that moves
    every number alike (Adam) lets the prior follow the latents.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(channels, _MIXTURE))
        self.place = nn.Parameter(torch.linspace(-1.0, 1.0, _MIXTURE).repeat(channels, 1))
        self.log_scale = nn.Parameter(torch.zeros(channels, _MIXTURE))

    def start(self, latent: Tensor) -> None:
        """Centres the components on the latents ``(N, L, h, w)`` that there are."""
        rows = latent.transpose(0, 1).flatten(1)  # (L, N h w)
        spread = rows.std(dim=1, keepdim=True).clamp_min(0.1)
        with torch.no_grad():
            offsets = torch.linspace(-1.0, 1.0, _MIXTURE, device=rows.device)
            self.place.copy_((rows.mean(dim=1, keepdim=True) + spread * offsets) / _PACE)
            self.log_scale.copy_((spread * 0.45).log().expand(-1, _MIXTURE) / _PACE)

    def cumulative(self, values: Tensor) -> Tensor:
        """F of values ``(L, n)``."""
        weights = self.weight.softmax(dim=1).unsqueeze(1)
        return (torch.sigmoid(self._scaled(values)) * weights).sum(dim=2)

    def log_probability(self, values: Tensor) -> Tensor:
        """Natural logarithm of F(v + 1/2) - F(v - 1/2) for ``(L, n)`` values, exact in the tails.

        With s the sigmoid, s(a) - s(b) = s(a) s(-b) (1 - exp(b - a)).
        """
        high, low = self._scaled(values + 0.5), self._scaled(values - 0.5)
        between = torch.log1p(-torch.exp(low - high))
        parts = functional.logsigmoid(high) + functional.logsigmoid(-low) + between
        weights = functional.log_softmax(self.weight, dim=1).unsqueeze(1)
        return torch.logsumexp(parts + weights, dim=2)

    def _scaled(self, values: Tensor) -> Tensor:
        """Distance to each component's place over its scale, ``(L, n, components)``."""
        places, scales = _PACE * self.place, torch.exp(_PACE * self.log_scale)
        return (values.unsqueeze(2) - places.unsqueeze(1)) / scales.unsqueeze(1)


class EntropicCode(TransformedCode):
    """Feature ↔ integers ``(L, h, w)`` ↔ range-coded bytes."""

    estimates_bits = True
    table: Tensor  # (L, S + 1) int64 frequencies, the last one of the escape
    low: Tensor  # (1,) int64, value of the first entry

    def __init__(self, spec: EntropicCodeSpec, shape: Shape, until: Shape | None = None) -> None:
        super().__init__(spec, shape, until)
        self.log_gain = nn.Parameter(torch.zeros(spec.channels, 1, 1))
        self.prior = LogisticMixture(spec.channels)
        sized_by_data(self, "table", "low")

    def encode(self, feature: Tensor) -> Tensor:
        """Feature → latent ``(B, L, h, w)`` in quantisation steps."""
        latent: Tensor = self.down(self.form.enter(feature)) * self.log_gain.exp()
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Integers as float32 → feature."""
        return self.goal.leave(self.up(latent / self.log_gain.exp()))

    def through(self, feature: Tensor, noise: Noise, generator: torch.Generator) -> Passed:
        """Uniform noise of width 1 in place of rounding; bits by the prior."""
        latent = self.encode(feature)
        jitter = (torch.rand(latent.shape, generator=generator) - 0.5).to(latent.device)
        noisy = latent + jitter
        return Passed(self.decode(noisy), self._bits(noisy))

    def rounded(self, latent: Tensor) -> Tensor:
        """Integers; beyond what a table's escape can say (16 bits) they saturate."""
        return torch.round(latent).clamp(*_SAID)

    @property
    def header_bytes(self) -> int:
        """The checksum."""
        return 2

    def calibrate(self, feature: Tensor, target: Tensor | None = None) -> None:
        """Standardises the features; latents and prior start a few steps wide."""
        super().calibrate(feature, target)
        with torch.no_grad():
            spread = self.encode(feature).transpose(0, 1).flatten(1).std(dim=1)
            self.log_gain.add_((_STARTING_STEPS / spread.clamp_min(1e-3)).log().view(-1, 1, 1))
            self.prior.start(self.encode(feature))

    def settle(self, feature: Tensor) -> None:
        """Makes the integer tables from the prior, as wide as the training pictures' integers."""
        integers = torch.round(self.encode(feature))
        middle = int(integers.median())
        low = max(int(integers.min()) - _MARGIN, middle - _WIDEST // 2)
        high = min(int(integers.max()) + _MARGIN, middle + _WIDEST // 2)
        self.table, self.low = self._table(low, high), torch.tensor([low])

    def pack(self, latent: NDArray[Any]) -> bytes:
        """Two bytes of checksum, then the range coder's number."""
        return self._codec.encode(_integers(latent))

    def unpack(self, payload: bytes) -> NDArray[np.float32]:
        """Payload → integers, as float32 for the decoder."""
        return self._codec.decode(payload).astype(np.float32)

    def information_bits(self, latent: NDArray[Any]) -> float:
        """-log2 p of the integers under the tables."""
        return self._codec.information_bits(_integers(latent))

    @property
    def range_coded(self) -> tuple[int, int, int]:
        """Symbols, channels, table entries."""
        channels, height, width = self.latent_shape
        return channels * height * width, channels, self.table.numel()

    @property
    def _codec(self) -> IntegersCodec:
        return IntegersCodec(self.latent_shape, self.table.numpy(), int(self.low[0]))

    def _bits(self, latent: Tensor) -> Tensor:
        rows = latent.transpose(0, 1).flatten(1)  # (L, B h w)
        bits = -self.prior.log_probability(rows) / math.log(2.0)
        return bits.view(len(rows), len(latent), -1).sum(dim=(0, 2))

    def _table(self, low: int, high: int) -> Tensor:
        channels = self.latent_shape[0]
        values = torch.arange(low, high + 1, dtype=torch.float64).expand(channels, -1)
        with torch.no_grad():
            prior = copy.deepcopy(self.prior).cpu().double()
            inside = prior.log_probability(values).exp()
            below = prior.cumulative(values[:, :1] - 0.5)
            above = 1.0 - prior.cumulative(values[:, -1:] + 0.5)
        shares = torch.cat([inside, below + above], dim=1)
        return torch.round(shares * _TOTAL).clamp_min(1.0).to(torch.int64)


def _integers(latent: NDArray[Any]) -> NDArray[np.int64]:
    """A latent as payloads hold it."""
    integers: NDArray[np.int64] = np.clip(np.rint(latent), *_SAID).astype(np.int64)
    return integers
