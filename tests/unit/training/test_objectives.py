"""Objectives of compressible features: pixels without label or value, odd places to be called."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from simsplit.training import objectives
from simsplit.training.objectives import (
    IGNORED,
    UncertaintyWeights,
    class_weights,
    compressibility_loss,
    known_mean_square,
    labelled_cross_entropy,
)

CLASSES = 5


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def entropy_by_loops(
    logits: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Sum over labelled pixels of w ln(1 / p), over the sum of their w."""
    total = weight = 0.0
    for image, row, column in np.ndindex(labels.shape):
        label = labels[image, row, column]
        if label != IGNORED:
            scores = logits[image, :, row, column]
            logarithm = float(scores[label] - np.log(np.exp(scores).sum()))
            total -= float(weights[label]) * logarithm
            weight += float(weights[label])
    return total / weight


@pytest.mark.parametrize("share_ignored", [0.0, 0.3, 0.97])
def test_cross_entropy_over_labelled_pixels(share_ignored: float) -> None:
    logits = 3.0 * torch.randn(2, CLASSES, 6, 8, generator=generator())
    labels = torch.randint(CLASSES, (2, 6, 8), generator=generator(1))
    labels[torch.rand(2, 6, 8, generator=generator(2)) < share_ignored] = IGNORED
    weights = torch.tensor([0.2, 1.0, 3.0, 0.7, 1.4])
    found = float(labelled_cross_entropy(logits, labels, weights))
    expected = entropy_by_loops(logits.double().numpy(), labels.numpy(), weights.double().numpy())
    assert found == pytest.approx(expected, rel=1e-5)


def test_ignored_pixels_have_no_gradient() -> None:
    logits = torch.randn(1, CLASSES, 2, 3, generator=generator()).requires_grad_()
    labels = torch.tensor([[[0, IGNORED, 2], [IGNORED, 4, 1]]])
    loss = labelled_cross_entropy(logits, labels, torch.ones(CLASSES))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.equal(logits.grad.abs().sum(1) > 0, labels != IGNORED)


def test_no_label_at_all_is_no_loss_rather_than_nan() -> None:
    logits = torch.randn(1, CLASSES, 2, 3, generator=generator()).requires_grad_()
    labels = torch.full((1, 2, 3), IGNORED)
    weights = UncertaintyWeights(("segmentation",), ())
    loss = labelled_cross_entropy(logits, labels, torch.ones(CLASSES))
    weights({"segmentation": loss}).backward()
    s = weights.log_variance["segmentation"]
    assert float(loss.detach()) == 0.0 and logits.grad is not None and s.grad is not None
    assert torch.equal(logits.grad, torch.zeros_like(logits)) and float(s.grad) == 0.5


@pytest.mark.parametrize("share_unknown", [0.0, 0.4, 1.0])
def test_mean_square_over_known_pixels(share_unknown: float) -> None:
    predicted = 20 * torch.rand(2, 6, 8, generator=generator())
    target = 20 * torch.rand(2, 6, 8, generator=generator(1))
    target[torch.rand(2, 6, 8, generator=generator(2)) < share_unknown] = torch.nan
    predicted.requires_grad_()
    loss = known_mean_square(predicted, target)
    loss.backward()  # type: ignore[no-untyped-call]
    errors = (predicted.detach().double() - target.double()).numpy()
    expected = np.nanmean(errors**2) if share_unknown < 1 else 0.0
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6)
    assert predicted.grad is not None and bool(predicted.grad.isfinite().all())
    assert torch.equal(predicted.grad != 0, ~target.isnan())


def test_a_target_of_zero_is_known() -> None:
    target = torch.tensor([[[0.0, torch.nan]]])
    assert float(known_mean_square(torch.tensor([[[3.0, 8.0]]]), target)) == 9.0


def test_class_weights_count_labelled_pixels_only() -> None:
    labels = torch.tensor([0] * 60 + [2] * 20 + [IGNORED] * 1000, dtype=torch.uint8)
    found = class_weights(labels.reshape(4, -1), 3, 0.5)
    share = np.array([0.75, 0.0, 0.25])
    expected = (share + 0.01) ** -0.5
    expected /= (expected * share).sum()
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-6)
    assert torch.equal(found, class_weights(labels[:80], 3, 0.5))


def test_derivative_of_the_magnitude_at_zero_is_one() -> None:
    values = torch.tensor([-2.0, -0.0, 0.0, 3.0], requires_grad=True)
    magnitudes = objectives._Magnitude.apply(values)
    assert magnitudes.tolist() == [2.0, 0.0, 0.0, 3.0]
    (magnitudes * torch.tensor([1.0, 10.0, 100.0, 1000.0])).sum().backward()
    assert values.grad is not None and values.grad.tolist() == [-1.0, 10.0, 100.0, 1000.0]


def test_zero_coefficients_are_pushed_as_positive_ones() -> None:
    """An empty channel beside one that sets the range: each of its coefficients is exactly 0.

    Their derivatives, 1 each over the n elements of all channels, go back through the transform
    (D, one per side) and the residual R: the gradient is Rᵀ D_hᵀ 1 D_w / n, and the same for every
    element of the channel what comes through the least value, which all of them are.
    """
    feature = torch.zeros(1, 2, 4, 8, dtype=torch.float64)
    feature[0, 1] = torch.linspace(0, 1, 32).view(4, 8)
    feature.requires_grad_()
    compressibility_loss(feature).backward()  # type: ignore[no-untyped-call]
    rows, columns = (objectives.dct_matrix(side, torch.float64).numpy() for side in (4, 8))
    spread = rows.T @ np.ones((4, 8)) @ columns / 64
    right = np.pad(spread, ((0, 0), (0, 1)))[:, 1:]
    lower = np.pad(spread, ((0, 1), (0, 0)))[1:]
    assert feature.grad is not None
    found = feature.grad[0, 0].numpy()
    expected = (2 * spread - right - lower) / 2
    assert found - found.mean() == pytest.approx(expected - expected.mean(), abs=1e-12)


def test_measuring_first_does_not_hinder_a_later_training() -> None:
    objectives.dct_matrix.cache_clear()
    feature = torch.rand(1, 2, 8, 4, generator=generator())
    with torch.inference_mode():
        measured = float(compressibility_loss(feature))
    loss = compressibility_loss(feature.requires_grad_())
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == measured and feature.grad is not None


def test_a_loss_without_a_weight_is_an_error() -> None:
    with pytest.raises(AttributeError, match="depth"):
        UncertaintyWeights(("segmentation",), ())({"depth": torch.ones(())})
