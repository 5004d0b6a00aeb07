"""The contract of a network cut in two: trunk on the device, ways over the air, heads behind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from simsplit.networks.bottleneck import DigitalBottleneck, NoBottleneck
from simsplit.networks.deepjscc import JsccBottleneck


class SplitModel(nn.Module, ABC):
    """A network with one cut, a digital and an analog (JSCC) bottleneck at it, and heads behind it.

    Up to three paths lead over it, all ending in a feature of the same shape for the same heads:
    direct ``answer(encode(x))``; digital ``answer(digital_decode(q(digital_encode(encode(x)))))``;
    JSCC ``answer(jscc_decode(channel(jscc_encode(encode(x)))))``. A network may have an early exit:
    ``exit_answer(exit_trunk(x))`` from the first part of its trunk; and it may lack the JSCC path.

    Args:
        digital: The digital bottleneck.
        jscc: The analog one; None where ``has_jscc`` is False.
        grid: ``(h, w)`` of the feature; that of ``jscc`` if None.
    """

    splits: ClassVar[tuple[str, ...]] = ()  # names of the cuts this network offers
    has_exit: ClassVar[bool] = False
    has_jscc: ClassVar[bool] = True
    jscc: JsccBottleneck

    def __init__(
        self,
        digital: DigitalBottleneck | NoBottleneck,
        jscc: JsccBottleneck | None,
        grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.digital = digital
        if jscc is not None:
            self.jscc = jscc
        self._grid = grid if jscc is None else jscc.grid[1:]

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Trunk: images ``(B, 3, H, W)`` float in [0, 1] → feature ``(B, C, h, w)``."""

    @abstractmethod
    def answer(self, feature: Tensor) -> dict[str, Tensor]:
        """Heads: feature ``(B, C, h, w)`` → named answers, one row per image."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The whole network without any bottleneck."""
        return self.answer(self.encode(images))

    def exit_trunk(self, images: Tensor) -> Tensor:
        """The part of ``encode`` that the early exit shares: images → feature ``(B, C, h, w)``.

        Raises:
            NotImplementedError: The network has no exit.
        """
        raise NotImplementedError(f"{type(self).__name__} has no early exit")

    def exit_answer(self, feature: Tensor) -> dict[str, Tensor]:
        """The exit's head: feature of ``exit_trunk`` → answers named as those of ``answer``.

        Raises:
            NotImplementedError: The network has no exit.
        """
        raise NotImplementedError(f"{type(self).__name__} has no early exit")

    def digital_encode(self, feature: Tensor) -> Tensor:
        """Feature → real latent ``(B, L, h, w)`` to be quantised."""
        return self.digital.encode(feature)

    def digital_decode(self, latent: Tensor) -> Tensor:
        """Dequantised latent ``(B, L, h, w)`` → feature."""
        return self.digital.decode(latent)

    def jscc_encode(self, feature: Tensor) -> Tensor:
        """Feature → complex symbols ``(B, k)``, mean power 1 per sample."""
        return self.jscc.encode(feature)

    def jscc_decode(self, received: Tensor, noise_variance: Tensor) -> Tensor:
        """Received symbols and their noise variance, ``(B, k)`` each → feature."""
        return self.jscc.decode(received, noise_variance)

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """``(L, h, w)`` of one digital latent."""
        assert self._grid is not None
        return (self.digital.latent_channels, *self._grid)

    @property
    def symbol_count(self) -> int:
        """Complex channel uses k of one JSCC transmission; 0 without that path."""
        return self.jscc.symbol_count if self.has_jscc else 0


def as_images(pixels: Tensor) -> Tensor:
    """uint8 ``(B, H, W, C)`` → float ``(B, 3, H, W)`` in [0, 1]; one grey channel is repeated."""
    images = pixels.permute(0, 3, 1, 2).to(torch.float32) / 255.0
    return images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images
