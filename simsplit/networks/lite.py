"""EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, with ReLU6.

Tan and Le, EfficientNet (ICML 2019), table 1; the Lite variants: google-research's TPU repository,
``efficientnet/lite``. Padding is TensorFlow's (``SAME``), as its weights were trained. Names are
those of the weights' package without leading underscores.
"""

from __future__ import annotations

import re

from torch import Tensor, nn

_EPSILON = 1e-3  # of batch normalisation, as in TensorFlow
_STAGES = (  # kernel, stride of the first block, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_STEM, _HEAD = 32, 1280

Size = tuple[int, int]


def plain_name(name: str) -> str:
    """A name of the weights' package as it is here: ``_blocks.0._bn1`` → ``blocks.0.bn1``."""
    return re.sub(r"(^|\.)_", r"\1", name)


class EfficientNetLite0(nn.Module):
    """4.65 million parameters; takes RGB ``(B, 3, H, W)``, gives ``(B, num_classes)`` logits.

    The ImageNet weights want ``(pixel - 127) / 128`` of pixels 0 .. 255, at 224 x 224 px.

    Args:
        height, width: Of the input in px, on which TensorFlow's padding depends.
        num_classes: Of the last layer.
        dropout: Before it, in training.
    """

    def __init__(
        self, height: int = 224, width: int = 224, num_classes: int = 1000, dropout: float = 0.2
    ) -> None:
        super().__init__()
        size = (height, width)
        self.stem_pad = _pad(size, 3, 2)
        self.conv_stem = nn.Conv2d(3, _STEM, 3, 2, bias=False)
        self.bn0, self.act0 = _norm(_STEM), nn.ReLU6(inplace=True)
        size, channels, blocks = _halved(size), _STEM, list[nn.Module]()
        for kernel, first_stride, expansion, out, repeats in _STAGES:
            for i in range(repeats):
                stride = first_stride if i == 0 else 1
                blocks.append(InvertedBottleneck(channels, out, kernel, stride, expansion, size))
                channels, size = out, _halved(size) if stride == 2 else size
        self.blocks = nn.Sequential(*blocks)
        self.conv_head = nn.Conv2d(channels, _HEAD, 1, bias=False)
        self.bn1, self.act1 = _norm(_HEAD), nn.ReLU6(inplace=True)
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.dropout, self.fc = nn.Dropout(dropout), nn.Linear(_HEAD, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """RGB ``(B, 3, H, W)`` → logits ``(B, num_classes)``."""
        x = self.act0(self.bn0(self.conv_stem(self.stem_pad(x))))
        x = self.act1(self.bn1(self.conv_head(self.blocks(x))))
        logits: Tensor = self.fc(self.dropout(self.flatten(self.pool(x))))
        return logits


class InvertedBottleneck(nn.Module):
    """Expand, filter each channel, project; the input is added where shapes agree."""

    def __init__(
        self, channels: int, out: int, kernel: int, stride: int, expansion: int, size: Size
    ) -> None:
        super().__init__()
        wide = channels * expansion
        self.is_wider, self.adds = expansion != 1, stride == 1 and channels == out
        if self.is_wider:
            self.expand_conv = nn.Conv2d(channels, wide, 1, bias=False)
            self.bn0, self.act0 = _norm(wide), nn.ReLU6(inplace=True)
        self.pad = _pad(size, kernel, stride)
        self.depthwise_conv = nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False)
        self.bn1, self.act1 = _norm(wide), nn.ReLU6(inplace=True)
        self.project_conv, self.bn2 = nn.Conv2d(wide, out, 1, bias=False), _norm(out)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, channels, H, W)`` → ``(B, out, H / stride, W / stride)``."""
        y = self.act0(self.bn0(self.expand_conv(x))) if self.is_wider else x
        y = self.act1(self.bn1(self.depthwise_conv(self.pad(y))))
        projected: Tensor = self.bn2(self.project_conv(y))
        return x + projected if self.adds else projected


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=0.01)


def _halved(size: Size) -> Size:
    return -(-size[0] // 2), -(-size[1] // 2)


def _pad(size: Size, kernel: int, stride: int) -> nn.ZeroPad2d:
    """TensorFlow's ``SAME``: as many outputs as ceil(size / stride); odd zeros right and below."""
    below, right = (max((-(-s // stride) - 1) * stride + kernel - s, 0) for s in size)
    return nn.ZeroPad2d((right // 2, right - right // 2, below // 2, below - below // 2))
