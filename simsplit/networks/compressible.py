"""ResNet encoder and three transposed-convolution heads with nothing but a Q-layer at the cut.

S. R. Alvar and I. V. Bajić, "Multi-task learning with compressible features for collaborative
intelligence", ICIP 2019 (arXiv 1902.05179), section 2. Encoder: ResNet-34 (He et al., CVPR 2016)
without classifier, up to ``layer3`` (Encoder2) or ``layer4`` (Encoder1). The feature itself is
quantised and coded, so how well it codes is a matter of training alone.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from simsplit.networks.bottleneck import NoBottleneck
from simsplit.networks.multitask import DISPARITY_SCALE_PX, ResidualBlock
from simsplit.networks.split_model import SplitModel

CUT_AFTER = {"encoder1": "layer4", "encoder2": "layer3"}
FULL_WIDTHS, FULL_BLOCKS = (64, 128, 256, 512), (3, 4, 6, 3)  # ResNet-34
ANSWERS = {"segmentation": None, "disparity": 1, "reconstruction": 3}  # None: the classes


class UpsamplingHead(nn.Module):
    """Stages of 2x2 stride-2 transposed and 3x3 convolution up to the picture, then a 1x1.

    Args:
        channels: Of the feature.
        widths: Channels of the stages, each of which doubles height and width.
        answers: Channels of the answer.
    """

    def __init__(self, channels: int, widths: tuple[int, ...], answers: int) -> None:
        super().__init__()
        pairs = zip((channels, *widths), widths, strict=False)
        self.stages = nn.Sequential(*(_stage(*pair) for pair in pairs))
        self.last = nn.Conv2d(widths[-1], answers, 1)

    def forward(self, feature: Tensor) -> Tensor:
        """``(B, channels, h, w)`` → ``(B, answers, h · 2^stages, w · 2^stages)``."""
        answer: Tensor = self.last(self.stages(feature))
        return answer


def _stage(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 2, 2),
        nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class CompressibleNet(SplitModel):
    """Segmentation, disparity and reconstruction from one feature that is coded as it is.

    The defaults are the paper's: at 256x512 px the feature is 256x16x32 (Encoder2) or 512x8x16
    (Encoder1), a sixteenth or a thirty-second of the picture's side.

    Args:
        height, width: Picture size in px, multiples of the feature's stride.
        encoder: ``encoder1`` (cut after layer4) or ``encoder2`` (after layer3).
        widths: Channels of layers 1 to 4; the last one counts for Encoder1 only.
        blocks: Residual blocks of layers 1 to 4.
        stem_stride: 4: 7x7 convolution of stride 2 and max pooling, as published; 2 or 1: a 3x3
            convolution of that stride, for small pictures.
        head_widths: Channels of the heads' stages, one per doubling; None halves them from the
            feature's channels on, with 16 as the least.
        classes: Segmentation classes.
        expansion: Channels of a 1x1 convolution with batch norm and ReLU behind the last layer,
            which makes the feature redundant, as those of wide networks are; None: there is none.

    Raises:
        ValueError: Unknown encoder or stem, too few layers, a size that does not fit, or another
            number of stages.
    """

    has_jscc: ClassVar[bool] = False

    def __init__(
        self,
        height: int = 256,
        width: int = 512,
        *,
        encoder: str = "encoder2",
        widths: tuple[int, ...] = FULL_WIDTHS,
        blocks: tuple[int, ...] = FULL_BLOCKS,
        stem_stride: int = 4,
        head_widths: tuple[int, ...] | None = None,
        classes: int = 8,
        expansion: int | None = None,
    ) -> None:
        layers = 4 if encoder == "encoder1" else 3
        _check_layers(encoder, stem_stride, min(len(widths), len(blocks)), layers)
        channels, stride = expansion or widths[layers - 1], stem_stride * 2 ** (layers - 1)
        _check_size((height, width), stride)
        stages = head_widths
        if stages is None:
            stages = tuple(max(16, channels >> n + 1) for n in range(_log2(stride)))
        if len(stages) != _log2(stride):
            raise ValueError(f"{len(stages)} stages of heads where stride {stride} takes others")
        shape = (channels, height // stride, width // stride)
        super().__init__(NoBottleneck(channels), None, shape[1:])
        self.splits = (CUT_AFTER[encoder],)  # type: ignore[misc]  # of this network, not the class
        self.feature_shape = shape
        self.stem = _stem(widths[0], stem_stride)
        self.layers = nn.Sequential(*_layers(widths[:layers], blocks))
        if expansion is not None:
            self.layers.append(_expansion(widths[layers - 1], expansion))
        self.heads = nn.ModuleDict(
            {name: UpsamplingHead(channels, stages, n or classes) for name, n in ANSWERS.items()}
        )

    def encode(self, images: Tensor) -> Tensor:
        """Pictures ``(B, 3, H, W)`` in [0, 1] → feature ``(B, C, h, w)``, non-negative."""
        feature: Tensor = self.layers(self.stem(4.0 * images - 2.0))
        return feature

    def answer(self, feature: Tensor) -> dict[str, Tensor]:
        """Feature → answers at full resolution.

        Returns:
            ``segmentation`` logits ``(B, classes, H, W)``; ``disparity`` ``(B, H, W)`` in px;
            ``reconstruction`` ``(B, 3, H, W)``, meant for [0, 1] but not clipped.
        """
        disparity = self.heads["disparity"](feature).squeeze(1)
        return {
            "segmentation": self.heads["segmentation"](feature),
            "disparity": DISPARITY_SCALE_PX * functional.softplus(disparity),
            "reconstruction": 0.5 + self.heads["reconstruction"](feature),
        }


def _check_layers(encoder: str, stem_stride: int, given: int, needed: int) -> None:
    if encoder not in CUT_AFTER:
        raise ValueError(f"encoder {encoder!r} is none of {', '.join(CUT_AFTER)}")
    if stem_stride not in (1, 2, 4):
        raise ValueError(f"stem_stride {stem_stride} is none of 1, 2, 4")
    if given < needed:
        raise ValueError(f"widths or blocks of {given} layers where {encoder} has {needed}")


def _check_size(size: tuple[int, int], stride: int) -> None:
    if any(side % stride for side in size):
        raise ValueError(f"image size {size[0]}x{size[1]} is not a multiple of {stride}")


def _log2(power: int) -> int:
    return power.bit_length() - 1


def _stem(channels: int, stride: int) -> nn.Sequential:
    if stride == 4:
        convolution, pool = nn.Conv2d(3, channels, 7, 2, 3, bias=False), nn.MaxPool2d(3, 2, 1)
        return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU(), pool)
    convolution = nn.Conv2d(3, channels, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


def _expansion(channels_in: int, channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


def _layers(widths: tuple[int, ...], blocks: tuple[int, ...]) -> list[nn.Sequential]:
    inputs = (widths[0], *widths)
    return [
        _layer(inputs[n], width, count, 2 if n else 1)
        for n, (width, count) in enumerate(zip(widths, blocks, strict=False))
    ]


def _layer(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    rest = (ResidualBlock(channels, channels) for _ in range(blocks - 1))
    return nn.Sequential(ResidualBlock(channels_in, channels, stride), *rest)
