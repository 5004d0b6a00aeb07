"""ResNet-18 x 0.5 with three heads (segmentation, disparity, reconstruction), cut at stride 16.

Trunk: He et al., CVPR 2016, basic blocks, half the widths, ending with stage 3. Heads: 1x1
convolutions and pixel shuffle (Shi et al., CVPR 2016) from a trunk at stride 8, which costs a
quarter of full-resolution 3x3 heads. The early exit, if there is one, answers behind stage 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from simsplit.networks.bottleneck import DigitalBottleneck
from simsplit.networks.deepjscc import JsccBottleneck
from simsplit.networks.split_model import SplitModel

STRIDE = 16  # pixels per feature position at the cut
DISPARITY_SCALE_PX = 4.0  # the disparity head answers in this unit
_EXIT_AFTER = 6  # children of the trunk up to the end of stage 1


class ResidualBlock(nn.Module):
    """Basic residual block: two 3x3 convolutions with batch norm around a shortcut."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        same = stride == 1 and channels_in == channels_out
        self.shortcut = nn.Identity() if same else _projection(channels_in, channels_out, stride)

    def forward(self, feature: Tensor) -> Tensor:
        """``(B, in, h, w)`` → ``(B, out, h / stride, w / stride)``."""
        return torch.relu(self.body(feature) + self.shortcut(feature))


def _projection(channels_in: int, channels_out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, stride, bias=False), nn.BatchNorm2d(channels_out)
    )


def _trunk(widths: tuple[int, int, int]) -> nn.Sequential:
    first, second, third = widths
    return nn.Sequential(
        nn.Conv2d(3, first, 5, 2, 2, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
        ResidualBlock(first, first),  # stage 1, stride 4
        ResidualBlock(first, first),
        ResidualBlock(first, second, 2),  # stage 2, stride 8
        ResidualBlock(second, second),
        ResidualBlock(second, third, 2),  # stage 3, stride 16
        ResidualBlock(third, third),
    )


class MultitaskNet(SplitModel):
    """Segmentation, disparity and reconstruction from one trunk; cut ``stage3`` at stride 16.

    Args:
        height, width: Image size in pixels, multiples of 16.
        classes: Segmentation classes.
        widths: Channels of stages 1 to 3.
        latent_channels: Channels of the digital bottleneck.
        symbol_channels: Complex JSCC symbols per feature position: k = this · H/16 · W/16
            (12 at 64x128: k = 384, k/n = 1/64 of the image's values).
        decoder_channels: Channels of the heads' trunk at stride 8.

    Raises:
        ValueError: Size not a multiple of 16.
    """

    splits: ClassVar[tuple[str, ...]] = ("stage3",)

    def __init__(
        self,
        height: int = 64,
        width: int = 128,
        classes: int = 8,
        widths: tuple[int, int, int] = (32, 64, 128),
        latent_channels: int = 24,
        symbol_channels: int = 12,
        decoder_channels: int = 80,
    ) -> None:
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"image size {height}x{width} is not a multiple of {STRIDE}")
        channels = widths[-1]
        grid = (height // STRIDE, width // STRIDE)
        jscc = JsccBottleneck(channels, symbol_channels, *grid)
        super().__init__(DigitalBottleneck(channels, latent_channels), jscc)
        self.trunk = _trunk(widths)
        self.widen = nn.Conv2d(channels, 4 * decoder_channels, 1)
        self.refine = ResidualBlock(decoder_channels, decoder_channels)
        self.segment = nn.Conv2d(decoder_channels, classes * 64, 1)
        self.range = nn.Conv2d(decoder_channels, 64, 1)
        self.rebuild = nn.Conv2d(decoder_channels, 3 * 64, 1)

    def encode(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` in [0, 1] → feature ``(B, 128, H/16, W/16)``, non-negative."""
        feature: Tensor = self.trunk(4.0 * images - 2.0)
        return feature

    def answer(self, feature: Tensor) -> dict[str, Tensor]:
        """Feature → answers at full resolution.

        Returns:
            ``segmentation`` logits ``(B, 8, H, W)``; ``disparity`` ``(B, H, W)`` in px;
            ``reconstruction`` ``(B, 3, H, W)``, meant for [0, 1] but not clipped.
        """
        wide = self.refine(torch.relu(functional.pixel_shuffle(self.widen(feature), 2)))
        return _full_resolution(self.segment(wide), self.range(wide), self.rebuild(wide))


def _full_resolution(
    segment: Tensor, distance: Tensor, rebuild: Tensor, stride: int = 8
) -> dict[str, Tensor]:
    """Answers from what the last convolutions give, stride² values per block of pixels."""
    disparity = functional.pixel_shuffle(distance, stride).squeeze(1)
    return {
        "segmentation": functional.pixel_shuffle(segment, stride),
        "disparity": DISPARITY_SCALE_PX * functional.softplus(disparity),
        "reconstruction": 0.5 + functional.pixel_shuffle(rebuild, stride),
    }


class SeparableBlock(nn.Module):
    """Residual depthwise 5x5 and 1x1 convolution (Chollet, CVPR 2017): context for few products."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 5, 1, 2, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        )

    def forward(self, feature: Tensor) -> Tensor:
        """``(B, C, h, w)`` → the same shape."""
        added: Tensor = feature + self.body(feature)
        return added


class ExitHead(nn.Module):
    """Segmentation, disparity and reconstruction from an early feature, with few products.

    Args:
        channels, stride: Of the feature.
        classes: Segmentation classes.
        narrow: Channels ahead of the last convolution, which costs most.
    """

    def __init__(self, channels: int, stride: int, classes: int, narrow: int = 24) -> None:
        super().__init__()
        self.stride, per_block = stride, stride**2
        self.context = nn.Sequential(SeparableBlock(channels), SeparableBlock(channels))
        self.narrow = nn.Sequential(
            nn.Conv2d(channels, narrow, 1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU()
        )
        self.last = nn.Conv2d(narrow, (classes + 1 + 3) * per_block, 1)
        self.sizes = [classes * per_block, per_block, 3 * per_block]

    def forward(self, feature: Tensor) -> dict[str, Tensor]:
        """``(B, channels, H/stride, W/stride)`` → answers as those of the whole network."""
        last = self.last(self.narrow(self.context(feature)))
        segment, distance, rebuild = last.split(self.sizes, 1)
        return _full_resolution(segment, distance, rebuild, self.stride)


class MultitaskExitNet(MultitaskNet):
    """The multi-task network with an early exit behind stage 1, at stride 4.

    Args:
        height, width: Image size in pixels, multiples of 16.
    """

    has_exit: ClassVar[bool] = True

    def __init__(self, height: int = 64, width: int = 128) -> None:
        super().__init__(height, width)
        self.exit = ExitHead(channels=32, stride=4, classes=8)

    def exit_trunk(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` in [0, 1] → feature behind stage 1 ``(B, 32, H/4, W/4)``."""
        feature: Tensor = self.trunk[:_EXIT_AFTER](4.0 * images - 2.0)
        return feature

    def exit_answer(self, feature: Tensor) -> dict[str, Tensor]:
        """Feature behind stage 1 → answers, named and shaped as those of ``answer``."""
        answers: dict[str, Tensor] = self.exit(feature)
        return answers


class Segmenter(MultitaskNet):
    """Trunk and segmentation head of the trained network as one plain module, to be cut anywhere.

    For ``networks:`` of a scenario, with the weights of ``models/streets_multitask``:
    ``source: simsplit.nets.multitask:Segmenter``, ``answer: segmentation``.

    Args:
        height, width: Image size in pixels, multiples of 16.
    """

    def forward(self, images: Tensor) -> Tensor:  # type: ignore[override]  # plain: one tensor
        """Images ``(B, 3, H, W)`` in [0, 1] → logits ``(B, 8, H, W)``."""
        logits: Tensor = self.answer(self.encode(images))["segmentation"]
        return logits

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Fill the network; the entropy tables in the same file are no parameters of it."""
        own = {k: v for k, v in state_dict.items() if not k.startswith("entropy_tables.")}
        return super().load_state_dict(own, strict, assign)
