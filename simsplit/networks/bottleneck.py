"""Digital bottleneck: a few latent channels that survive coarse rounding."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DigitalBottleneck(nn.Module):
    """Convolutions feature → latent → feature; the latent is what is quantised and coded.

    Args:
        feature_channels: C of the feature ``(B, C, h, w)``.
        latent_channels: L of the latent ``(B, L, h, w)``.
    """

    def __init__(self, feature_channels: int, latent_channels: int) -> None:
        super().__init__()
        self.latent_channels = latent_channels
        self.down = nn.Conv2d(feature_channels, latent_channels, 3, padding=1)
        self.up = nn.Conv2d(latent_channels, feature_channels, 3, padding=1)

    def encode(self, feature: Tensor) -> Tensor:
        """Feature ``(B, C, h, w)`` → latent ``(B, L, h, w)``."""
        latent: Tensor = self.down(feature)
        return latent

    def decode(self, latent: Tensor) -> Tensor:
        """Latent ``(B, L, h, w)`` → non-negative feature ``(B, C, h, w)``."""
        return torch.relu(self.up(latent))


class NoBottleneck(nn.Module):
    """The feature itself is the latent: what is quantised and coded as it is.

    Args:
        channels: C of the feature ``(B, C, h, w)``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.latent_channels = channels

    def encode(self, feature: Tensor) -> Tensor:
        """Feature → the same."""
        return feature

    def decode(self, latent: Tensor) -> Tensor:
        """Latent → the same."""
        return latent


def quantisation_step(latent: Tensor, bits: Tensor) -> Tensor:
    """Step of an n-bit uniform quantiser over each image's own range, ``(B, 1, 1, 1)``.

    Args:
        latent: ``(B, L, h, w)``.
        bits: Bit depth per image, ``(B,)``.
    """
    low = latent.amin(dim=(1, 2, 3), keepdim=True)
    high = latent.amax(dim=(1, 2, 3), keepdim=True)
    levels = torch.exp2(bits.to(latent.dtype)).view(-1, 1, 1, 1) - 1.0
    return (high - low) / levels


def add_quantisation_noise(latent: Tensor, bits: Tensor, generator: torch.Generator) -> Tensor:
    """Training stand-in for rounding: uniform noise of one step (Ballé et al., ICLR 2017, eq. 7).

    Args:
        latent: ``(B, L, h, w)``.
        bits: Bit depth per image, ``(B,)``.
        generator: Source of the noise.
    """
    noise = torch.rand(latent.shape, generator=generator, dtype=latent.dtype) - 0.5
    noise = noise.to(latent.device)  # drawn on the CPU: the same numbers for every device
    return latent + noise * quantisation_step(latent, bits)


def round_to_bits(latent: Tensor, bits: Tensor) -> Tensor:
    """True rounding to n bits over each image's own range (what a test or a real payload does)."""
    low = latent.amin(dim=(1, 2, 3), keepdim=True)
    step = quantisation_step(latent, bits).clamp_min(torch.finfo(latent.dtype).tiny)
    return low + torch.round((latent - low) / step) * step
