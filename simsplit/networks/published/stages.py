"""What networks of street scenes share: the stages of ResNet-18, and steps between resolutions.

Stages: He et al., CVPR 2016, table 1. Steps: 1x1 convolution and pixel shuffle (Shi et al., CVPR
2016), down as up.
"""

from __future__ import annotations

from torch import Tensor, nn

from simsplit.errors import ScenarioError
from simsplit.networks.centre_points import CentreBoxes, CentreHead
from simsplit.networks.multitask import ResidualBlock

STRIDE, HEADS_STRIDE = 16, 4  # px per position behind the last stage, and where heads answer
CLASSES, BOX_CLASSES = 8, 3  # of the data set `streets`
STAGES = (64, 128, 256)  # channels at strides 4, 8 and 16, of width 1


def scaled(channels: int, width: float) -> int:
    """Channels of a width, in eights."""
    return max(8, 8 * round(channels * width / 8))


def check_sides(network: str, height: int, width: int) -> None:
    """Sides of the input are multiples of 16 px.

    Raises:
        ScenarioError: One is not; the path is its key.
    """
    for key, side in (("height", height), ("width", width)):
        if side % STRIDE:
            message = f"{network} takes pictures whose sides are multiples of {STRIDE} px"
            raise ScenarioError(message, path=key, value=side)


class Stem(nn.Sequential):
    """Pixels in [0, 1] → stride 4."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.Conv2d(3, channels, 5, 2, 2, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` → ``(B, channels, H/4, W/4)``."""
        feature: Tensor = super().forward(4.0 * images - 2.0)  # type: ignore[no-untyped-call]
        return feature


def stage(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """Two residual blocks, the first of which has the stride."""
    first = ResidualBlock(channels_in, channels_out, stride)
    return nn.Sequential(first, ResidualBlock(channels_out, channels_out))


class Rise(nn.Sequential):
    """Twice the resolution: 1x1 convolution, pixel shuffle, residual block."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            nn.Conv2d(channels_in, 4 * channels_out, 1, bias=False),
            nn.PixelShuffle(2),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            ResidualBlock(channels_out, channels_out),
        )


def projected(channels_in: int, channels_out: int, stride: int, to: int) -> nn.Sequential:
    """From one stride to another by a 1x1 convolution, with nothing behind it.

    Args:
        channels_in: At the stride that it comes from.
        channels_out: At the other; going down, a multiple of the positions that become one.
        stride, to: Px per position, one a whole multiple of the other.
    """
    down, up = max(1, to // stride), max(1, stride // to)
    convolution = nn.Conv2d(channels_in, channels_out * up**2 // down**2, 1, bias=False)
    if down > 1:
        return nn.Sequential(convolution, nn.PixelUnshuffle(down))
    return nn.Sequential(convolution, *([nn.PixelShuffle(up)] if up > 1 else []))


def detected(feature: Tensor, head: CentreHead, to_boxes: CentreBoxes) -> dict[str, Tensor]:
    """What a feature at stride 4 gives of boxes, by name, with the maps that they come from.

    ``boxes`` ``(B, K, 4)``, ``scores`` and ``labels`` ``(B, K)``; ``centres``
    ``(B, box classes, h, w)`` and ``extents`` ``(B, 4, h, w)``.
    """
    centres, extents = head(feature)
    boxes, scores, labels = to_boxes(centres, extents)
    answers = {"boxes": boxes, "scores": scores, "labels": labels}
    return answers | {"centres": centres, "extents": extents}
