"""Deep joint source-channel coding: a feature as channel symbols, decoded knowing the noise.

Convention (tested): k complex symbols z per transmission, mean |z|² = 1 per sample, noise
CN(0, σ²) with σ² = 10^(-SNR/10) per *complex* symbol, SNR = Es/N0. The device need not know the
SNR: the encoder sees only the feature. The decoder is gated by σ² of every symbol, as after
equalisation of a fading channel (feature-attention idea: Xu et al., "Wireless Image Transmission
Using Deep Source Channel Coding With Attention Modules", IEEE TCSVT 2022; FiLM: Perez et al. 2018).

A nested code (:meth:`JsccBottleneck.nest`) may be cut off: the first k' of its symbols decode by
themselves, the rest are erasures. Its latent channels follow each other, each in an order that
spreads over the picture, and each has mean power 1 per sample. The device can thus send without
knowing when it will have to stop (training by random cuts: Rippel et al., "Learning Ordered
Representations with Nested Dropout", ICML 2014; for JSCC: Kurka and Gündüz, "Bandwidth-Agile Image
Transmission With Deep Joint Source-Channel Coding", IEEE Trans. Wireless Commun. 2021).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from simsplit.phy.analog import ERASED_NOISE_VARIANCE


class NoiseGate(nn.Module):
    """FiLM: scales and shifts a feature by the local noise level (identity at initialisation)."""

    def __init__(self, noise_channels: int, channels: int) -> None:
        super().__init__()
        hidden = 2 * noise_channels
        self.net = nn.Sequential(
            nn.Conv2d(noise_channels, hidden, 1), nn.ReLU(), nn.Conv2d(hidden, 2 * channels, 1)
        )
        last = self.net[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def forward(self, feature: Tensor, noise: Tensor) -> Tensor:
        """Feature ``(B, C, h, w)`` and noise level ``(B, N, h, w)`` → gated feature."""
        gate: Tensor = self.net(noise)
        scale, shift = gate.chunk(2, dim=1)
        return feature * (1.0 + scale) + shift


class JsccBottleneck(nn.Module):
    """Feature ``(B, C, h, w)`` ↔ k = symbol_channels · h · w complex symbols of mean power 1.

    Args:
        feature_channels: C.
        symbol_channels: Complex symbols per feature position.
        height, width: h and w of the feature.
        hidden_channels: Width of encoder and decoder.
        kernel: Side of the convolutions; 1 where neighbours have nothing to say (vectors, tokens).
        rectified: Features are never negative; False gives the decoder's last layer its sign.
    """

    def __init__(
        self,
        feature_channels: int,
        symbol_channels: int,
        height: int,
        width: int,
        hidden_channels: int = 64,
        *,
        kernel: Literal[1, 3] = 3,
        rectified: bool = True,
    ) -> None:
        super().__init__()
        self.grid, self.rectified = (symbol_channels, height, width), rectified
        edge = kernel // 2
        self.enter = nn.Conv2d(feature_channels, hidden_channels, kernel, padding=edge)
        self.to_symbols = nn.Conv2d(hidden_channels, 2 * symbol_channels, 1)
        self.from_symbols = nn.Conv2d(2 * symbol_channels, hidden_channels, kernel, padding=edge)
        self.gate_in = NoiseGate(symbol_channels, hidden_channels)
        self.leave = nn.Conv2d(hidden_channels, feature_channels, kernel, padding=edge)
        self.gate_out = NoiseGate(symbol_channels, feature_channels)
        self.symbol_order: Tensor | None
        self.register_buffer("symbol_order", None)  # weights of a plain code hold no such tensor
        self.register_load_state_dict_pre_hook(_nest_as_stored)  # type: ignore[no-untyped-call]

    def nest(self) -> None:
        """Make this a nested code: every prefix of about unit power, spread over the picture."""
        self.symbol_order = nested_order(*self.grid)

    @property
    def symbol_count(self) -> int:
        """Complex channel uses k of one transmission."""
        channels, height, width = self.grid
        return channels * height * width

    def encode(self, feature: Tensor) -> Tensor:
        """Feature → symbols ``(B, k)`` complex64, mean |z|² = 1 per sample; k is channel-major.

        Of a nested code every latent channel has mean power 1 by itself.
        """
        pairs = self.to_symbols(torch.relu(self.enter(feature))).float()  # (B, 2S, h, w)
        real, imaginary = pairs.chunk(2, dim=1)
        if self.symbol_order is None:
            return unit_power(torch.complex(real.flatten(1), imaginary.flatten(1)))
        channels = unit_power(torch.complex(real.flatten(2), imaginary.flatten(2)))  # (B, S, h w)
        return channels.flatten(1)[:, self.symbol_order]

    def decode(self, received: Tensor, noise_variance: Tensor) -> Tensor:
        """Symbols as received and their noise variance → feature ``(B, C, h, w)``.

        Args:
            received: ``(B, k)`` complex64, equalised.
            noise_variance: ``(B, k)`` float32, per complex symbol after equalisation; erasures as
                ``simsplit.phy.analog.pad_erased`` makes them.
        """
        if self.symbol_order is not None:
            places = torch.argsort(self.symbol_order)
            received, noise_variance = received[:, places], noise_variance[:, places]
        mmse = 1.0 / (1.0 + noise_variance)  # Wiener gain of a unit-power symbol in this noise
        scaled = torch.view_as_real(received) * mmse.unsqueeze(-1)  # (B, k, 2)
        pairs = torch.cat([part.reshape(-1, *self.grid) for part in scaled.unbind(-1)], dim=1)
        noise = 2.0 * mmse.reshape(-1, *self.grid) - 1.0  # (B, S, h, w): -1 useless .. 1 clean
        hidden = torch.relu(self.gate_in(self.from_symbols(pairs), noise))
        feature: Tensor = self.gate_out(self.leave(hidden), noise)
        return torch.relu(feature) if self.rectified else feature


def unit_power(symbols: Tensor) -> Tensor:
    """Complex symbols ``(..., k)`` scaled to mean |z|² = 1 per row, not per batch."""
    power = symbols.abs().square().mean(dim=-1, keepdim=True)
    return symbols / torch.sqrt(power + torch.finfo(power.dtype).tiny)


def nested_order(channels: int, height: int, width: int) -> Tensor:
    """Which channel-major place each symbol of a nested code has, ``(k,)`` int64.

    Channel by channel; within one, raster positions in steps of the golden section of h w (the
    nearest coprime number below), so that any part of it covers the picture about evenly.
    """
    count = height * width
    step = max(1, int(count * (math.sqrt(5.0) - 1.0) / 2.0))
    while math.gcd(step, count) != 1:
        step -= 1
    positions = torch.arange(count) * step % count
    return (torch.arange(channels).unsqueeze(1) * count + positions).flatten()


def _nest_as_stored(
    bottleneck: JsccBottleneck, state: dict[str, Any], prefix: str, *_: object
) -> None:
    """Before loading: the bottleneck is nested if and only if the stored weights are."""
    stored = state.get(f"{prefix}symbol_order")
    bottleneck.symbol_order = None if stored is None else torch.empty_like(stored)


def prefix_lengths(
    samples: int,
    symbol_count: int,
    generator: torch.Generator,
    *,
    shortest: float = 0.125,
    full_share: float = 0.25,
) -> Tensor:
    """How many symbols arrive of each sample in training, ``(B,)`` int64.

    Uniform from ``shortest`` k to k, but all k for a share ``full_share`` of the samples.

    Args:
        samples: B.
        symbol_count: k.
        generator: Source of the draws.
        shortest: Shortest prefix as a share of k.
        full_share: Share of samples that are not cut.
    """
    low = max(1, round(shortest * symbol_count))
    lengths = torch.randint(low, symbol_count + 1, (samples,), generator=generator)
    full = torch.rand(samples, generator=generator) < full_share
    return torch.where(full, symbol_count, lengths)


def erase_tail(received: Tensor, noise_variance: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Erases what follows each sample's prefix, as ``simsplit.phy.analog.pad_erased`` does.

    Args:
        received: ``(B, k)`` complex64.
        noise_variance: ``(B, k)`` float32.
        lengths: ``(B,)`` symbols that stay.
    """
    places = torch.arange(received.shape[1], device=received.device)
    gone = places >= lengths.to(received.device).unsqueeze(1)
    return received.masked_fill(gone, 0.0), noise_variance.masked_fill(gone, ERASED_NOISE_VARIANCE)


def awgn(symbols: Tensor, noise_variance: Tensor, generator: torch.Generator) -> Tensor:
    """z + n, n ~ CN(0, σ²): half of σ² on each of the real and imaginary parts.

    Args:
        symbols: ``(B, k)`` complex64.
        noise_variance: ``(B, k)`` float32, σ² per complex symbol.
        generator: Source of the noise.
    """
    parts = torch.randn((*symbols.shape, 2), generator=generator).to(symbols.device)
    noise = torch.view_as_complex(parts * torch.sqrt(noise_variance / 2.0).unsqueeze(-1))
    return symbols + noise


def training_noise_variance(
    samples: int,
    symbol_count: int,
    generator: torch.Generator,
    *,
    snr_db: tuple[float, float] = (-5.0, 20.0),
    fading_share: float = 0.5,
    blocks: int = 8,
) -> Tensor:
    """Noise variance maps ``(B, k)`` to train with: AWGN, and block fading over several grants.

    The mean SNR of every sample is uniform in ``snr_db``. A share of the samples has its symbols
    cut into up to ``blocks`` consecutive grants, each with its own Rayleigh gain |h|² ~ Exp(1).

    Args:
        samples: B.
        symbol_count: k.
        generator: Source of the draws.
        snr_db: Range of the mean SNR in dB.
        fading_share: Share of samples with block fading.
        blocks: Most grants per sample.
    """
    low, high = snr_db
    mean_db = low + (high - low) * torch.rand((samples, 1), generator=generator)
    gains = -torch.log1p(-torch.rand((samples, blocks), generator=generator))  # Exp(1)
    faded = torch.rand((samples, 1), generator=generator) < fading_share
    gains = torch.where(faded, gains.clamp_min(1e-3), torch.ones_like(gains))
    return (10.0 ** (-mean_db / 10.0)) / gains.gather(
        1, _grants(samples, symbol_count, blocks, generator)
    )


def _grants(samples: int, symbol_count: int, blocks: int, generator: torch.Generator) -> Tensor:
    """Which grant carries each symbol, ``(B, k)``: random cuts, in order."""
    cuts = torch.rand((samples, blocks - 1), generator=generator).sort(dim=1).values
    places = torch.linspace(0.0, 1.0, symbol_count).expand(samples, -1).contiguous()
    return torch.searchsorted(cuts, places)
