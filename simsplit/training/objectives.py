"""What training minimises: an objective per task near its metric; fixed or learned weights."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from simsplit.networks.split_model import as_images
from simsplit.training.recipe import NetRecipe

IGNORED = 255  # label of pixels that have none


def class_weights(segmentation: Tensor, classes: int, exponent: float) -> Tensor:
    """Weights (share + 1 %)^-exponent per class, scaled to a mean of 1 per pixel; ``(classes,)``.

    Args:
        segmentation: Labels of the training images, uint8, any shape; ``IGNORED`` ones don't count.
        classes: Number of classes.
        exponent: 0 leaves all classes equal, 1 makes rare classes count as much as common ones.
    """
    labels = segmentation.flatten()
    counts = torch.bincount(labels[labels != IGNORED].long(), minlength=classes).float()
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
    overlap = torch.zeros(classes, device=flat.device).index_add(0, flat, hit)
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


# --- compressible features ----------------------------------------------------------------------


def compressibility_loss(feature: Tensor, normalised_by: str = "range") -> Tensor:
    """How many bits a transform coder would need, in a form that has a gradient.

    The normalised feature x, per channel: r = (x minus its left neighbour + x minus its upper
    neighbour) / 2 with the first column and the first row kept, then the mean of |DCT-II(r)|, the
    orthonormal two-dimensional transform over the whole channel; mean over channels and images.
    The gradient of |c| at 0 is taken as 1. Normalising matters: else shrinking the feature would
    minimise it and save no bit.

    Source: Alvar and Bajić, ICIP 2019 (arXiv 1902.05179), section 2.2.

    Args:
        feature: ``(B, C, h, w)``.
        normalised_by: ``range``, as published: each picture's whole tensor to 0 … 1. ``energy``: to
            a standard deviation of 1; then a few large values, which only make the quantiser
            coarser, gain nothing.
    """
    normalised = energy_normalised if normalised_by == "energy" else range_normalised
    residual = prediction_residual(normalised(feature))
    sides = (dct_matrix(side, feature.dtype) for side in feature.shape[2:])
    rows, columns = (matrix.to(feature.device) for matrix in sides)
    coefficients = rows @ residual @ columns.T
    return cast(Tensor, _Magnitude.apply(coefficients)).mean()


def range_normalised(feature: Tensor) -> Tensor:
    """Each image's whole tensor ``(B, C, h, w)`` to 0 … 1; one that is constant becomes 0."""
    low = feature.amin(dim=(1, 2, 3), keepdim=True)
    span = feature.amax(dim=(1, 2, 3), keepdim=True) - low
    return (feature - low) / torch.where(span > 0, span, 1.0)  # a tiny span: an endless gradient


def energy_normalised(feature: Tensor) -> Tensor:
    """Each image's whole tensor ``(B, C, h, w)`` over its standard deviation, not centred.

    One that is constant stays as it is.
    """
    deviation = (
        (feature - feature.mean(dim=(1, 2, 3), keepdim=True))
        .square()
        .mean(dim=(1, 2, 3), keepdim=True)
    )
    return feature / torch.where(deviation > 0, deviation, 1.0).sqrt()


def prediction_residual(feature: Tensor) -> Tensor:
    """Mean of the horizontal and the vertical first difference, ``(..., h, w)`` → the same shape.

    The first column of the horizontal and the first row of the vertical difference are the values
    themselves (differential pulse-code modulation from a prediction of 0).
    """
    horizontal = torch.cat((feature[..., :1], feature[..., 1:] - feature[..., :-1]), dim=-1)
    upper, lower = feature[..., :-1, :], feature[..., 1:, :]
    vertical = torch.cat((feature[..., :1, :], lower - upper), dim=-2)
    return 0.5 * (horizontal + vertical)


@lru_cache(maxsize=16)
@torch.inference_mode(False)  # one made there could not serve a training that comes later
def dct_matrix(size: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Orthonormal DCT-II as a matrix ``(size, size)``: row k is frequency k."""
    index = torch.arange(size, dtype=torch.float64)
    rows = torch.cos(math.pi / size * (index + 0.5) * index[:, None])
    rows[0] *= math.sqrt(0.5)
    return (rows * math.sqrt(2.0 / size)).to(dtype)


class _Magnitude(torch.autograd.Function):
    """|x| whose derivative at 0 is 1."""

    @staticmethod
    def forward(context: Any, values: Tensor) -> Tensor:
        context.save_for_backward(values)
        return values.abs()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> Tensor:
        (values,) = context.saved_tensors
        return torch.where(values < 0, -gradients[0], gradients[0])


# --- several tasks at once ----------------------------------------------------------------------


class UncertaintyWeights(nn.Module):
    """Losses weighted by what training learns of their noise, one log variance s each.

        classification: exp(-s) L + s / 2        regression: exp(-s) L / 2 + s / 2

    Source: Kendall, Gal and Cipolla, CVPR 2018 (arXiv 1705.07115), equations 7 and 10.

    Args:
        classification, regression: Names of the losses of either form.
    """

    def __init__(self, classification: tuple[str, ...], regression: tuple[str, ...]) -> None:
        super().__init__()
        names = classification + regression
        self.factor = dict.fromkeys(classification, 1.0) | dict.fromkeys(regression, 0.5)
        self.log_variance = nn.ParameterDict({n: nn.Parameter(torch.zeros(())) for n in names})

    def forward(self, losses: dict[str, Tensor]) -> Tensor:
        """The sum over the losses, all of which must have been named."""
        parts = [self._weighted(name, loss) for name, loss in losses.items()]
        return torch.stack(parts).sum()

    def _weighted(self, name: str, loss: Tensor) -> Tensor:
        s: Tensor = self.log_variance[name]
        return self.factor[name] * torch.exp(-s) * loss + 0.5 * s


def labelled_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy over pixels that have a label; 0 where none has.

    Args:
        logits: ``(B, classes, H, W)``.
        labels: ``(B, H, W)`` int64; ``IGNORED`` where there is none.
        weights: ``(classes,)``.
    """
    if not bool((labels != IGNORED).any()):
        return 0.0 * logits.sum()  # the mean over no pixels is NaN
    return functional.cross_entropy(logits, labels, weights, ignore_index=IGNORED)


def known_mean_square(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean square error where the target is known, that is no NaN; 0 if it is nowhere."""
    has_target = ~target.isnan()
    squares = (predicted - target.nan_to_num()).square() * has_target
    return squares.sum() / has_target.sum().clamp_min(1)


Batch = dict[str, Tensor]


class Criterion(nn.Module):
    """One number per batch; its own parameters are the learned weights of ``uncertainty``.

    Args:
        recipe: Says the objectives and fixed weights.
        class_weights: ``(classes,)``; see `class_weights`.
    """

    class_weights: Tensor

    def __init__(self, recipe: NetRecipe, class_weights: Tensor) -> None:
        super().__init__()
        self.recipe = recipe
        self.register_buffer("class_weights", class_weights, persistent=False)
        if recipe.objective == "uncertainty":
            features = ("compressibility",) if recipe.compressibility == "learned" else ()
            self.learned = UncertaintyWeights(
                ("segmentation",), ("disparity", "reconstruction", *features)
            )

    def forward(
        self, answers: Batch, batch: Batch, feature: Tensor | None, step: int = 0
    ) -> Tensor:
        """The loss.

        Args:
            answers: What the network gives.
            batch: Labels, named as in the data set; without ``clean`` the picture itself is the
                target of reconstruction.
            feature: What is quantised and coded, before either; counts for ``compressibility``.
            step: Of the training, from 0.
        """
        if self.recipe.kind == "digits":
            return classification_loss(answers["label"], batch["label"].long())
        if self.recipe.objective == "uncertainty":
            assert feature is not None
            return self._uncertainty(answers, batch, feature, step)
        return self._weighted(answers, batch)

    def _weighted(self, answers: Batch, batch: Batch) -> Tensor:
        recipe, labels = self.recipe, batch["segmentation"].long()
        return (
            segmentation_loss(
                answers["segmentation"], labels, self.class_weights, recipe.jaccard_weight
            )
            + recipe.disparity_weight * disparity_loss(answers["disparity"], batch["disparity"])
            + recipe.reconstruction_weight
            * reconstruction_loss(answers["reconstruction"], as_images(batch["clean"]))
        )

    def _uncertainty(self, answers: Batch, batch: Batch, feature: Tensor, step: int) -> Tensor:
        labels = batch["segmentation"].long()
        picture = as_images(batch.get("clean", batch["image"]))
        losses = {
            "segmentation": labelled_cross_entropy(
                answers["segmentation"], labels, self.class_weights
            ),
            "disparity": known_mean_square(answers["disparity"], batch["disparity"]),
            "reconstruction": (answers["reconstruction"] - picture).abs().mean(),
        }
        weight = self.recipe.compressibility
        if weight is None or step < self.recipe.compressibility_from_step:
            return self._learned(losses)
        by = self.recipe.compressibility_by
        compressibility = compressibility_loss(feature, by)
        if weight == "learned":
            return self._learned(losses | {"compressibility": compressibility})
        return self._learned(losses) + weight * compressibility

    def log_variances(self) -> dict[str, float]:
        """What the weights of ``uncertainty`` have become."""
        pairs = self.learned.log_variance.items()
        return {name: round(float(value.detach()), 4) for name, value in pairs}

    def _learned(self, losses: Batch) -> Tensor:
        total: Tensor = self.learned(losses)
        return total


def class_weights_of(recipe: NetRecipe, data: Batch) -> Tensor:
    """Weights of the classes for a recipe and its training data, ``(classes,)``; 1 without any."""
    if "segmentation" not in data:
        return torch.ones(1)
    classes = recipe.network.classes if recipe.network else 8
    return class_weights(data["segmentation"], classes, recipe.class_exponent)
