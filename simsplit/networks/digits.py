"""A very small digit classifier with the same cut and bottlenecks as the real network."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from simsplit.networks.bottleneck import DigitalBottleneck
from simsplit.networks.deepjscc import JsccBottleneck
from simsplit.networks.split_model import SplitModel


class DigitsNet(SplitModel):
    """8x8 digits: two convolutions on the device, one and a linear layer at the edge.

    Args:
        height, width: Image size in pixels, multiples of 4.
        classes: Number of classes.
        channels: Channels of the feature ``(B, channels, H/4, W/4)``.
        latent_channels: Channels of the digital bottleneck.
        symbol_channels: Complex JSCC symbols per feature position (k = 8 at 8x8).
    """

    splits: ClassVar[tuple[str, ...]] = ("stage2",)

    def __init__(
        self,
        height: int = 8,
        width: int = 8,
        classes: int = 10,
        channels: int = 32,
        latent_channels: int = 4,
        symbol_channels: int = 2,
    ) -> None:
        grid = (height // 4, width // 4)
        jscc = JsccBottleneck(channels, symbol_channels, *grid, hidden_channels=16)
        super().__init__(DigitalBottleneck(channels, latent_channels), jscc)
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, channels, 3, 2, 1), nn.ReLU()
        )
        self.tail = nn.Sequential(
            nn.Conv2d(channels, 32, 3, 1, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * grid[0] * grid[1], classes),
        )

    def encode(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` in [0, 1] → feature ``(B, channels, H/4, W/4)``, non-negative."""
        feature: Tensor = self.trunk(2.0 * images - 1.0)
        return feature

    def answer(self, feature: Tensor) -> dict[str, Tensor]:
        """Feature → ``label`` logits ``(B, classes)``."""
        logits: Tensor = self.tail(feature)
        return {"label": torch.as_tensor(logits)}
