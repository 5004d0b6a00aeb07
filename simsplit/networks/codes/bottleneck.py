"""A narrow latent, min-max quantised to n bits and range coded with tables counted in training.

Matsubara et al., "BottleFit" (WoWMoM 2022) and Shao and Zhang, "BottleNet++" (ICC Workshops 2020)
have such bottlenecks; training replaces rounding by uniform noise (Ballé et al., ICLR 2017).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from simsplit.codecs.entropy import EntropyCodec, count_codes
from simsplit.codecs.quantise import QuantiseCodec, dequantise, quantise
from simsplit.networks.bottleneck import add_quantisation_noise
from simsplit.networks.codes.contract import Noise, Passed, Shape, as_rows, sized_by_data
from simsplit.networks.codes.transformed import TransformedCode
from simsplit.scenario.code_specs import BottleneckCodeSpec


class BottleneckCode(TransformedCode):
    """Feature ↔ latent ``(L, h, w)`` ↔ minimum, maximum and n-bit codes, range coded or as is."""

    table: Tensor  # (L, 2^bits) int64 frequencies; empty without tables

    def __init__(self, spec: BottleneckCodeSpec, shape: Shape, until: Shape | None = None) -> None:
        super().__init__(spec, shape, until)
        self.bits, self.tables = spec.bits, spec.tables
        sized_by_data(self, "table")

    def encode(self, feature: Tensor) -> Tensor:
        """Feature → latent ``(B, L, h, w)``."""
        latent: Tensor = self.down(self.form.enter(feature))
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Dequantised latent → feature."""
        return self.goal.leave(self.up(latent))

    def through(self, feature: Tensor, noise: Noise, generator: torch.Generator) -> Passed:
        """Uniform noise of one quantisation step in place of rounding."""
        latent = self.encode(feature)
        bits = torch.full((len(latent),), self.bits, device=latent.device)
        return Passed(self.decode(add_quantisation_noise(latent, bits, generator)))

    def rounded(self, latent: Tensor) -> Tensor:
        """The levels that each sample's latent is rounded to."""
        rows = [dequantise(quantise(one, self.bits)) for one in latent.float().cpu().numpy()]
        return torch.from_numpy(np.stack(rows)).to(latent.device)

    @property
    def header_bytes(self) -> int:
        """The range, and where there are tables a checksum."""
        return 10 if self.tables else 8

    def settle(self, feature: Tensor) -> None:
        """Counts the tables."""
        if not self.tables:
            return
        latents = self.encode(feature).numpy()
        codes = np.stack([quantise(latent, self.bits).codes for latent in latents])
        self.table = torch.from_numpy(count_codes(codes, self.bits))

    def pack(self, latent: NDArray[Any]) -> bytes:
        """Range and checksum, then the range coder's words; or the range and packed codes."""
        return self._codec.encode(latent)

    def unpack(self, payload: bytes) -> NDArray[np.float32]:
        """Payload → dequantised latent."""
        return self._codec.decode(payload)

    def information_bits(self, latent: NDArray[Any]) -> float:
        """-log2 p of the codes under the tables, header apart; without tables all their bits."""
        if not self.tables:
            return float(self.bits * latent.size)
        codes = as_rows(quantise(latent, self.bits).codes).astype(np.int64)
        table = self.table.numpy()
        shares = np.take_along_axis(table / table.sum(axis=1, keepdims=True), codes, axis=1)
        return float(-np.log2(shares).sum())

    @property
    def range_coded(self) -> tuple[int, int, int]:
        """Symbols, channels, table entries; nothing where codes are sent as they are."""
        if not self.tables:
            return (0, 0, 0)
        channels, height, width = self.latent_shape
        return channels * height * width, channels, channels * 2**self.bits

    @property
    def _codec(self) -> EntropyCodec | QuantiseCodec:
        if not self.tables:
            return QuantiseCodec(self.latent_shape, self.bits)
        return EntropyCodec(self.latent_shape, self.table.numpy())
