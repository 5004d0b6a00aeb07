"""What training minimises: the recipe's objectives under fixed or learned weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from simsplit.fit import objectives
from simsplit.fit.recipe import NetRecipe
from simsplit.nets.contract import as_images

Batch = dict[str, Tensor]


class Criterion(nn.Module):
    """One number per batch; its own parameters are the learned weights of ``uncertainty``.

    Args:
        recipe: Says the objectives and fixed weights.
        class_weights: ``(classes,)``; see `objectives.class_weights`.
    """

    class_weights: Tensor

    def __init__(self, recipe: NetRecipe, class_weights: Tensor) -> None:
        super().__init__()
        self.recipe = recipe
        self.register_buffer("class_weights", class_weights, persistent=False)
        if recipe.objective == "uncertainty":
            features = ("compressibility",) if recipe.compressibility == "learned" else ()
            self.learned = objectives.UncertaintyWeights(
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
            return objectives.classification_loss(answers["label"], batch["label"].long())
        if self.recipe.objective == "uncertainty":
            assert feature is not None
            return self._uncertainty(answers, batch, feature, step)
        return self._weighted(answers, batch)

    def _weighted(self, answers: Batch, batch: Batch) -> Tensor:
        recipe, labels = self.recipe, batch["segmentation"].long()
        return (
            objectives.segmentation_loss(
                answers["segmentation"], labels, self.class_weights, recipe.jaccard_weight
            )
            + recipe.disparity_weight
            * objectives.disparity_loss(answers["disparity"], batch["disparity"])
            + recipe.reconstruction_weight
            * objectives.reconstruction_loss(answers["reconstruction"], as_images(batch["clean"]))
        )

    def _uncertainty(self, answers: Batch, batch: Batch, feature: Tensor, step: int) -> Tensor:
        labels = batch["segmentation"].long()
        picture = as_images(batch.get("clean", batch["image"]))
        losses = {
            "segmentation": objectives.labelled_cross_entropy(
                answers["segmentation"], labels, self.class_weights
            ),
            "disparity": objectives.known_mean_square(answers["disparity"], batch["disparity"]),
            "reconstruction": (answers["reconstruction"] - picture).abs().mean(),
        }
        weight = self.recipe.compressibility
        if weight is None or step < self.recipe.compressibility_from_step:
            return self._learned(losses)
        by = self.recipe.compressibility_by
        compressibility = objectives.compressibility_loss(feature, by)
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
    return objectives.class_weights(data["segmentation"], classes, recipe.class_exponent)
