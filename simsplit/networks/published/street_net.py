"""A network of several tasks for street scenes that one tensor crosses at every stage.

Encoder: the stages of ResNet-18 (He et al., CVPR 2016, table 1) up to stride 16. Decoder: 1x1
convolution and pixel shuffle (Shi et al., CVPR 2016) to stride 4, from the last stage alone; no
shortcut from encoder to decoder, so that a cut behind any stage carries one tensor. Heads:
segmentation, disparity, and boxes as centre points (`simsplit.networks.centre_points`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn import functional

from simsplit.networks.centre_points import CentreBoxes, CentreHead
from simsplit.networks.published.options import checked, once_each
from simsplit.networks.published.stages import (
    BOX_CLASSES,
    CLASSES,
    HEADS_STRIDE,
    STAGES,
    Rise,
    Stem,
    check_sides,
    detected,
    scaled,
    stage,
)
from simsplit.scenario.spec import Count, Positive, Spec

Task = Literal["segmentation", "detection", "disparity"]
TASKS: tuple[Task, ...] = ("segmentation", "detection", "disparity")
_WHOLE = ("stem", "layer1", "layer2", "layer3", "decoder", "centre_head", "boxes")
_DECODER = (160, 64)  # channels at strides 8 and 4, of width 1


class StreetNetOptions(Spec):
    """What a scenario may say of the network.

    ``width``: of all channels: 1 gives 64, 128 and 256 in the three stages, as ResNet-18 has.
    ``tasks``: what it answers. ``most_boxes``: of a picture, whatever their scores.
    """

    width: Annotated[Positive, Field(le=4)] = 0.5
    tasks: Annotated[tuple[Task, ...], Field(min_length=1), AfterValidator(once_each)] = TASKS
    most_boxes: Annotated[Count, Field(le=100)] = 32


def street_net(height: int, width: int, /, **options: Any) -> StreetNet:
    """The network for pictures of a size.

    Raises:
        ScenarioError: An unknown option or bad value, or a side that is no multiple of 16 px.
    """
    return StreetNet(height, width, checked(StreetNetOptions, options))


class StreetNet(nn.Module):
    """Segmentation, disparity and boxes from one encoder; ``layer1`` … ``layer3`` are cuts.

    Args:
        height, width: Of the input in px, multiples of 16.
        options: See `StreetNetOptions`.

    Raises:
        ScenarioError: A side that is no multiple of 16.
    """

    def __init__(self, height: int, width: int, options: StreetNetOptions) -> None:
        super().__init__()
        self.tasks = options.tasks
        check_sides("street_net", height, width)
        first, second, third = (scaled(channels, options.width) for channels in STAGES)
        high, low = (scaled(channels, options.width) for channels in _DECODER)
        self.stem = Stem(first)
        self.layer1 = stage(first, first)
        self.layer2, self.layer3 = stage(first, second, 2), stage(second, third, 2)
        self.decoder = nn.Sequential(Rise(third, high), Rise(high, low))
        per_cell, self.disparity_unit_px = HEADS_STRIDE**2, width / 32.0
        if "segmentation" in self.tasks:
            self.segment = nn.Conv2d(low, CLASSES * per_cell, 1)
        if "disparity" in self.tasks:
            self.range = nn.Conv2d(low, per_cell, 1)
        if "detection" in self.tasks:
            grid = (height // HEADS_STRIDE, width // HEADS_STRIDE)
            self.centre_head = CentreHead(low, BOX_CLASSES, low)
            self.boxes = CentreBoxes(grid, (height, width), BOX_CLASSES, options.most_boxes)
        self.split_leaves = tuple(name for name in _WHOLE if hasattr(self, name))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images ``(B, 3, H, W)`` in [0, 1] → the answers of its tasks.

        Returns:
            ``segmentation`` logits ``(B, 8, H, W)``; ``disparity`` ``(B, H, W)`` in px; ``boxes``
            ``(B, K, 4)``, ``scores`` and ``labels`` ``(B, K)``, and the maps that they come from:
            ``centres`` ``(B, 3, H/4, W/4)`` and ``extents`` ``(B, 4, H/4, W/4)``.
        """
        feature = self.decoder(self.layer3(self.layer2(self.layer1(self.stem(images)))))
        answers: dict[str, Tensor] = {}
        if "segmentation" in self.tasks:
            logits = functional.pixel_shuffle(self.segment(feature), HEADS_STRIDE)
            answers["segmentation"] = logits
        if "disparity" in self.tasks:
            near = functional.pixel_shuffle(self.range(feature), HEADS_STRIDE).squeeze(1)
            answers["disparity"] = self.disparity_unit_px * functional.softplus(near)
        if "detection" in self.tasks:
            answers |= detected(feature, self.centre_head, self.boxes)
        return answers
