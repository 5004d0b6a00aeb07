"""What every training loop shares: which pictures a step sees, and how fast it learns."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Batch = dict[str, Tensor]
MIRRORED = {"feature": "mirrored", "target": "mirrored_target", "latent": "mirrored_latent"}
"""Rows that are made beforehand, and the name of the same of mirrored pictures."""
_POWER = 0.9  # of the polynomial schedule


def rate_factor(schedule: str, step: int, warmup_steps: int, done: float) -> float:
    """Learning-rate factor: linear warm-up, then as said, to zero or constant.

    Args:
        schedule: ``cosine``, ``polynomial`` or ``constant``.
        step: From 0.
        warmup_steps: Of the linear part.
        done: Share of the schedule that lies behind.
    """
    warm, done = min(1.0, (step + 1) / max(1, warmup_steps)), min(1.0, done)
    match schedule:
        case "constant":
            return warm
        case "polynomial":
            return float(warm * (1.0 - done) ** _POWER)
    return warm * 0.5 * (1.0 + math.cos(math.pi * done))


def drawn(
    data: Batch,
    step: int,
    size: int,
    seed: int,
    flip_by: torch.Generator | None = None,
    *,
    width: int = 0,
) -> Batch:
    """A step's rows: epoch permutations cut into batches, each picture mirrored or not.

    Args:
        data: ``(N, ...)`` each; see `mirrored`.
        step: From 0.
        size: Rows of a batch.
        seed: Of the permutations.
        flip_by: Source of the draws of mirroring; None mirrors nothing.
        width: Of the pictures in px, for boxes.
    """
    count = len(next(iter(data.values())))
    epoch, number = divmod(step, max(1, count // size))
    order = np.random.default_rng((seed, epoch)).permutation(count)
    chosen = torch.from_numpy(order[number * size : (number + 1) * size].copy())
    batch = {name: values[chosen] for name, values in data.items()}
    if flip_by is None:
        return batch
    return mirrored(batch, torch.rand(len(chosen), generator=flip_by) < 0.5, width)


def mirrored(batch: Batch, flipped: Tensor, width: int = 0) -> Batch:
    """Mirrors the chosen rows; what frozen parts give (`MIRRORED`) comes mirrored beforehand.

    ``width``: of the pictures in px, for boxes.
    """
    apart = {*MIRRORED, *MIRRORED.values(), "boxes"}
    done = {name: _flip(part, flipped) for name, part in batch.items() if name not in apart}
    if "boxes" in batch:
        x0, y0, x1, y1 = batch["boxes"].unbind(-1)
        turned = torch.stack((width - x1, y0, width - x0, y1), dim=-1)
        done["boxes"] = torch.where(flipped.view(-1, 1, 1), turned, batch["boxes"])
    for name in MIRRORED.keys() & batch.keys():
        plain = batch[name]
        rows = flipped.view(-1, *[1] * (plain.ndim - 1))
        done[name] = torch.where(rows, batch[MIRRORED[name]], plain)
    return done


def _flip(values: Tensor, flipped: Tensor) -> Tensor:
    """Mirrors the chosen rows of ``(B, H, W, ...)`` left to right; labels stay."""
    if values.ndim < 3:
        return values
    return torch.where(flipped.view(-1, *[1] * (values.ndim - 1)), values.flip(2), values)


def cropped(batch: Batch, least: float, draw_by: torch.Generator) -> Batch:
    """Cuts a random part out of every picture, and sizes it as before (bilinear).

    Args:
        batch: With ``image``, uint8 ``(B, H, W, C)``.
        least: Share of the sides that a part has at least; 1 leaves the batch as it is.
        draw_by: Source of size (uniform) and place of the parts.
    """
    if least == 1:
        return batch
    images = batch["image"].permute(0, 3, 1, 2).float()
    share, x, y = torch.rand((3, len(images)), generator=draw_by)
    share = least + (1 - least) * share
    middles = [(1 - share) * (2 * place - 1) for place in (x, y)]  # of -1 to 1
    none = torch.zeros_like(share)
    rows = [torch.stack((share, none, middles[0]), 1), torch.stack((none, share, middles[1]), 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(images.shape), align_corners=False)
    parts = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
    return batch | {"image": parts.round().to(torch.uint8).permute(0, 2, 3, 1)}
