"""Torchvision's detectors as networks of one tensor, so that their backbones can be cut."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

Detections = list[dict[str, Tensor]]


class DetectionNet(nn.Module):
    """A torchvision detector that takes images ``(B, 3, H, W)`` of one size, in evaluation mode.

    Resizing and normalising stay whole (``prologue``), and so does everything behind the backbone
    (``epilogue``: proposals, heads, non-maximum suppression); the backbone is open to any cut.

    Args:
        detector: Anything from `torchvision.models.detection`.
        height, width: Of the images, in px.
    """

    split_leaves: ClassVar[tuple[str, ...]] = ("prologue", "epilogue")

    def __init__(self, detector: Any, height: int, width: int) -> None:
        super().__init__()
        detector.eval()
        self.prologue = _Prologue(detector.transform)
        self.backbone = detector.backbone
        self.epilogue = _Epilogue(detector, height, width)

    def forward(self, images: Tensor) -> Detections:
        """Images ``(B, 3, H, W)`` in [0, 1] → per image, boxes, scores, labels and the like."""
        features = self.backbone(self.prologue(images))
        if not isinstance(features, dict):
            features = {"0": features}
        return self.epilogue(tuple(features), *features.values())  # type: ignore[no-any-return]


class _Prologue(nn.Module):
    def __init__(self, transform: Any) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, images: Tensor) -> Tensor:
        resized, _ = self.transform(list(images))
        return resized.tensors  # type: ignore[no-any-return]


class _Epilogue(nn.Module):
    """The detector's own forward, its transform and its backbone replaced by what came before.

    Behind the backbone a detector looks at the images' sizes only, never at their content.
    """

    def __init__(self, detector: Any, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        self.rest = copy.copy(detector)
        self.rest._modules = dict(detector._modules)
        self.rest.transform = _SizesOnly(detector.transform, height, width)
        self.rest.backbone = _Received()

    def forward(self, names: tuple[str, ...], *features: Tensor) -> Detections:
        self.rest.backbone.features = dict(zip(names, features, strict=True))
        blank = features[0].new_zeros(1).expand(3, *self.size)
        return self.rest([blank] * features[0].shape[0])  # type: ignore[no-any-return]


class _Received(nn.Module):
    """Stands for a backbone whose features have arrived already."""

    def __init__(self) -> None:
        super().__init__()
        self.features: dict[str, Tensor] = {}

    def forward(self, _: Tensor) -> dict[str, Tensor]:
        features, self.features = self.features, {}
        return features


class _SizesOnly(nn.Module):
    """A detector's transform that knows the sizes and leaves the pixels out."""

    def __init__(self, transform: Any, height: int, width: int) -> None:
        super().__init__()
        resized, _ = transform([torch.zeros(3, height, width)])
        self.shape = tuple(resized.tensors.shape[1:])
        self.image_size = resized.image_sizes[0]
        self.transform = transform

    def forward(self, images: list[Tensor], targets: None = None) -> tuple[Any, None]:
        from torchvision.models.detection.image_list import ImageList

        blank = images[0].new_zeros(1).expand(len(images), *self.shape)
        return ImageList(blank, [self.image_size] * len(images)), targets

    def postprocess(self, *arguments: Any) -> Detections:
        """Boxes back in the original images' pixels."""
        return self.transform.postprocess(*arguments)  # type: ignore[no-any-return]
