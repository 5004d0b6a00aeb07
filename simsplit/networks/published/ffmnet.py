"""FFMNet: feature levels fused into one tensor on the device, a pyramid and two heads behind it.

Wang et al., IEEE Signal Processing Letters 2021 (arXiv 2109.05779): one backbone's levels become
one tensor, which alone crosses the cut; the server makes a pyramid of it again, on which a
detection and a segmentation head stand. Sizes are ours, for pictures of 128 x 256 px: the stages of
ResNet-18 (He et al., CVPR 2016), levels merged from the top down (Lin et al., CVPR 2017), boxes as
centre points (`simsplit.networks.centre_points`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from torch import Tensor, nn

from simsplit.networks.centre_points import CentreBoxes, CentreHead
from simsplit.networks.multitask import ResidualBlock
from simsplit.networks.published.options import checked, once_each
from simsplit.networks.published.stages import (
    BOX_CLASSES,
    CLASSES,
    HEADS_STRIDE,
    STAGES,
    STRIDE,
    Stem,
    check_sides,
    detected,
    projected,
    scaled,
    stage,
)
from simsplit.scenario.spec import Count, Positive, Spec

FUSED_STRIDE = 8  # px per position of the tensor that crosses the cut
Task = Literal["segmentation", "detection"]
TASKS: tuple[Task, ...] = ("segmentation", "detection")
_LEVELS = (4, 8, STRIDE)  # strides of the stages
_LEVEL, _PYRAMID = 128, (96, 64)  # channels of a projected level; of the pyramid, at 8 and 4
_WHOLE = (
    *("stem", "layer1", "layer2", "layer3", "fuse"),
    *("pyramid", "segment", "centre_head", "boxes"),
)


class FfmnetOptions(Spec):
    """What a scenario may say of the network.

    ``width``: of all channels but those at the cut: 1 gives 64, 128 and 256 in the three stages, as
    ResNet-18 has. ``channels``: of the fused tensor. ``tasks``: what it answers. ``fusion: false``:
    the tensor at the cut comes from the deepest stage alone. ``classes``: of pixels;
    ``box_classes``: of boxes. ``most_boxes``: of a picture, whatever their scores.
    """

    width: Annotated[Positive, Field(le=4)] = 0.5
    channels: Annotated[Count, Field(le=1024)] = 128
    tasks: Annotated[tuple[Task, ...], Field(min_length=1), AfterValidator(once_each)] = TASKS
    fusion: Annotated[bool, Field(strict=True)] = True
    classes: Annotated[int, Field(ge=2, le=254, strict=True)] = CLASSES
    box_classes: Annotated[Count, Field(le=1000)] = BOX_CLASSES
    most_boxes: Annotated[Count, Field(le=100)] = 32


def ffmnet(height: int, width: int, /, **options: Any) -> Ffmnet:
    """The network for pictures of a size.

    Raises:
        ScenarioError: An unknown option or bad value, or a side that is no multiple of 16 px.
    """
    return Ffmnet(height, width, checked(FfmnetOptions, options))


class Fusion(nn.Module):
    """Levels of a backbone → one tensor at stride 8.

    Each is projected and brought to that stride; their sum goes through a 3x3 convolution.

    Args:
        levels: Channels by stride.
        hidden: Channels of a projected level.
        channels: Of the tensor.
    """

    def __init__(self, levels: dict[int, int], hidden: int, channels: int) -> None:
        super().__init__()
        ways = (projected(count, hidden, at, FUSED_STRIDE) for at, count in levels.items())
        self.levels = nn.ModuleList(ways)
        self.smooth = nn.Sequential(
            nn.Conv2d(hidden, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()
        )

    def forward(self, *stages: Tensor) -> Tensor:
        """A tensor per level ``(B, C_i, H/s_i, W/s_i)`` → ``(B, channels, H/8, W/8)``."""
        parts = [way(level) for way, level in zip(self.levels, stages, strict=True)]
        total: Tensor = self.smooth(sum(parts[1:], start=parts[0]))
        return total


class Merge(nn.Module):
    """A level of the pyramid: what the fused tensor gives at its stride, and the level above.

    Args:
        channels: Of the fused tensor.
        above: Channels of the level above, at twice the stride.
        outside: Channels.
        stride: Of the level.
    """

    def __init__(self, channels: int, above: int, outside: int, stride: int) -> None:
        super().__init__()
        self.beside = projected(channels, outside, FUSED_STRIDE, stride)
        self.above = projected(above, outside, 2 * stride, stride)
        self.smooth = nn.Sequential(
            nn.BatchNorm2d(outside), nn.ReLU(), ResidualBlock(outside, outside)
        )

    def forward(self, fused: Tensor, above: Tensor) -> Tensor:
        """``(B, channels, H/8, W/8)`` and ``(B, above, h/2, w/2)`` → ``(B, outside, h, w)``."""
        level: Tensor = self.smooth(self.beside(fused) + self.above(above))
        return level


class Pyramid(nn.Module):
    """Levels at strides 16, 8 and 4 from the fused tensor alone, merged from the top down.

    Args:
        channels: Of the fused tensor.
        high, low: Channels at strides 16 and 8, and at stride 4.
    """

    def __init__(self, channels: int, high: int, low: int) -> None:
        super().__init__()
        self.top = nn.Sequential(
            nn.Conv2d(channels, high, 3, 2, 1, bias=False),
            nn.BatchNorm2d(high),
            nn.ReLU(),
            ResidualBlock(high, high),
        )
        self.middle = Merge(channels, high, high, 8)
        self.bottom = Merge(channels, high, low, HEADS_STRIDE)

    def forward(self, fused: Tensor) -> Tensor:
        """``(B, channels, H/8, W/8)`` → the lowest level ``(B, low, H/4, W/4)``."""
        level: Tensor = self.bottom(fused, self.middle(fused, self.top(fused)))
        return level


class Ffmnet(nn.Module):
    """Segmentation and boxes from one tensor that several levels were fused into; cut at ``fuse``.

    Args:
        height, width: Of the input in px, multiples of 16.
        options: See `FfmnetOptions`.

    Raises:
        ScenarioError: A side that is no multiple of 16.
    """

    def __init__(self, height: int, width: int, options: FfmnetOptions) -> None:
        super().__init__()
        check_sides("ffmnet", height, width)
        self.tasks, self.fusion = options.tasks, options.fusion
        counts = [scaled(channels, options.width) for channels in STAGES]
        first, second, third = counts
        self.stem = Stem(first)
        self.layer1 = stage(first, first)
        self.layer2, self.layer3 = stage(first, second, 2), stage(second, third, 2)
        levels = dict(list(zip(_LEVELS, counts, strict=True))[0 if options.fusion else -1 :])
        self.fuse = Fusion(levels, scaled(_LEVEL, options.width), options.channels)
        high, low = (scaled(channels, options.width) for channels in _PYRAMID)
        self.pyramid = Pyramid(options.channels, high, low)
        if "segmentation" in self.tasks:
            logits = nn.Conv2d(low, options.classes * HEADS_STRIDE**2, 1)
            self.segment = nn.Sequential(logits, nn.PixelShuffle(HEADS_STRIDE))
        if "detection" in self.tasks:
            grid, classes = (height // HEADS_STRIDE, width // HEADS_STRIDE), options.box_classes
            self.centre_head = CentreHead(low, classes, low)
            self.boxes = CentreBoxes(grid, (height, width), classes, options.most_boxes)
        self.split_leaves = tuple(name for name in _WHOLE if hasattr(self, name))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images ``(B, 3, H, W)`` in [0, 1] → the answers of its tasks.

        Returns:
            ``segmentation`` logits ``(B, classes, H, W)``; ``boxes`` ``(B, K, 4)``, ``scores`` and
            ``labels`` ``(B, K)``, and the maps that they come from: ``centres``
            ``(B, box_classes, H/4, W/4)`` and ``extents`` ``(B, 4, H/4, W/4)``.
        """
        fine = self.layer1(self.stem(images))
        middle = self.layer2(fine)
        deep = self.layer3(middle)
        fused = self.fuse(fine, middle, deep) if self.fusion else self.fuse(deep)
        feature = self.pyramid(fused)
        answers: dict[str, Tensor] = {}
        if "segmentation" in self.tasks:
            answers["segmentation"] = self.segment(feature)
        if "detection" in self.tasks:
            answers |= detected(feature, self.centre_head, self.boxes)
        return answers
