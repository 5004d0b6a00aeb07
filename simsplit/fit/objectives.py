"""What training minimises, one function per task; every one is near the metric it serves."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def class_weights(segmentation: Tensor, classes: int, exponent: float) -> Tensor:
    """Weights (share + 1 %)^-exponent per class, scaled to a mean of 1 per pixel; ``(classes,)``.

    Args:
        segmentation: Labels of the training images, uint8, any shape.
        classes: Number of classes.
        exponent: 0 leaves all classes equal, 1 makes rare classes count as much as common ones.
    """
    counts = torch.bincount(segmentation.flatten().long(), minlength=classes).float()
    share = counts / counts.sum()
    weights = (share + 0.01) ** -exponent
    return weights / (weights * share).sum()


def segmentation_loss(logits: Tensor, labels: Tensor, weights: Tensor, jaccard: float) -> Tensor:
    """Weighted cross-entropy plus ``jaccard`` times one minus the batch's soft mean IoU.

    Args:
        logits: ``(B, classes, H, W)``.
        labels: ``(B, H, W)`` int64.
        weights: ``(classes,)``.
        jaccard: Weight of the soft-IoU term (Rahman and Wang, ISVC 2016, eq. 3-5).
    """
    logarithms = functional.log_softmax(logits, dim=1)
    entropy = functional.nll_loss(logarithms, labels, weights)
    return entropy + jaccard * (1.0 - soft_iou(logarithms, labels).mean())


def soft_iou(logarithms: Tensor, labels: Tensor) -> Tensor:
    """Intersection over union of a batch with probabilities as pixels, ``(classes,)``.

    Args:
        logarithms: Log-probabilities ``(B, classes, H, W)``.
        labels: ``(B, H, W)`` int64.
    """
    classes = logarithms.shape[1]
    flat = labels.flatten()
    hit = logarithms.gather(1, labels.unsqueeze(1)).exp().flatten()
    overlap = torch.zeros(classes).index_add(0, flat, hit)
    size = torch.bincount(flat, minlength=classes) + logarithms.exp().sum(dim=(0, 2, 3))
    return (overlap + 1.0) / (size - overlap + 1.0)


def disparity_loss(predicted_px: Tensor, target_px: Tensor) -> Tensor:
    """Mean over images of each image's RMSE in px; both ``(B, H, W)``."""
    squares = (predicted_px - target_px).square().mean(dim=(1, 2))
    return torch.sqrt(squares + 1e-4).mean()


def reconstruction_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean over images of ln MSE, so that every dB of PSNR counts alike; both ``(B, 3, H, W)``."""
    return torch.log((predicted - target).square().mean(dim=(1, 2, 3)) + 1e-5).mean()


def classification_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of ``(B, classes)`` logits with ``(B,)`` int64 labels."""
    return functional.cross_entropy(logits, labels)
