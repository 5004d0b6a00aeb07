"""What a centre-point detector learns: its maps for true boxes, and the loss of the raw maps.

Zhou, Wang and Krähenbühl, Objects as points (arXiv 1904.07850), sections 3 and 4; what the maps
mean is in `simsplit.networks.centre_points`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from simsplit.scenario.answers import DetectionAnswer
from simsplit.tasks.wanted import Wanted
from simsplit.training.batches import Batch

ALPHA, BETA = 2, 4  # of the focal loss, eq. 1
_OVERLAP = 0.7  # a box moved by the radius keeps this IoU (Law and Deng, ECCV 2018, section 3.2)
_LEAST_SIDE = 1e-3  # cells, of a box


@dataclass(frozen=True)
class Targets:
    """Maps for the true boxes of a batch; M: most boxes of a picture.

    Attributes:
        heat: ``(B, C, h, w)``: 1 at centres, falling off around as a Gaussian.
        counted: ``(B, 1, h, w)``: 0 in regions of many, which may hold anything.
        cells: Number of the cell of each box's centre ``(B, M)``.
        extents: ``(B, M, 4)``, as the network is to give them at the centre.
        known: Rows that are boxes ``(B, M)``.
    """

    heat: Tensor
    counted: Tensor
    cells: Tensor
    extents: Tensor
    known: Tensor


def targets_of(batch: Batch, wanted: Wanted, grid: tuple[int, int], classes: int) -> Targets:
    """The maps for the boxes of a batch.

    Args:
        batch: ``boxes`` ``(B, M, 4)`` in px of the picture, ``box_labels`` ``(B, M)``, -1 where
            there is none, maybe ``box_crowd`` ``(B, M)``.
        wanted: The answer; its size is the picture's.
        grid: ``(h, w)`` of the maps.
        classes: Of the maps.
    """
    spec = wanted.spec
    assert isinstance(spec, DetectionAnswer)
    own = batch["box_labels"] >= 0
    crowd = batch["box_crowd"] & own if "box_crowd" in batch else torch.zeros_like(own)
    scale = torch.tensor([g / s for g, s in zip(grid, wanted.size, strict=True)]).flip(0)
    cells = batch[spec.truth_key].float().nan_to_num() * scale.repeat(2).to(own.device)
    centre = (cells[..., :2] + cells[..., 2:]) / 2  # x, y
    sides = (cells[..., 2:] - cells[..., :2]).clamp_min(_LEAST_SIDE)
    most = torch.tensor([grid[1] - 1, grid[0] - 1], device=own.device)
    corner = centre.floor().clamp_min(0).minimum(most)
    known = own & ~crowd
    bumps = _gaussians(corner, _radius(sides), grid) * known[..., None, None]
    maps = _channels(batch["box_labels"], spec).clamp(0, classes - 1)
    heat = torch.zeros(len(own), classes, *grid, device=own.device)
    index = maps[..., None, None].expand_as(bumps)
    heat = heat.scatter_reduce(1, index, bumps, "amax")
    counted = 1.0 - _inside(cells, grid, crowd)
    extents = torch.cat((centre - corner, sides.log()), dim=2)
    at = (corner[..., 1] * grid[1] + corner[..., 0]).long()
    return Targets(heat, counted, at, extents, known)


def _channels(labels: Tensor, spec: DetectionAnswer) -> Tensor:
    """Map of each label of the data set."""
    if spec.labels is None:
        return labels
    own = torch.tensor(spec.labels, device=labels.device) - spec.first_label
    return own[labels.clamp_min(0)]


def _radius(sides: Tensor) -> Tensor:
    """How far both corners may move, in cells, until `_OVERLAP` is lost; ``(B, M)``.

    The smallest of three cases (both corners inside, both outside, one each): the smaller root of
    a r² - b r + c = 0, of the second case the positive one.
    """
    width, height = sides.unbind(-1)
    total, area, t = width + height, width * height, _OVERLAP
    one_each = _root(1.0, total, area * (1 - t) / (1 + t))
    inside = _root(4.0, 2 * total, (1 - t) * area)
    outside = _root(4 * t, -2 * t * total, (t - 1) * area)
    return torch.minimum(torch.minimum(one_each, inside), outside).clamp_min(0).floor()


def _root(a: float, b: Tensor, c: Tensor) -> Tensor:
    """The root of a r² - b r + c = 0 that is positive and smallest."""
    square = (b.square() - 4 * a * c).clamp_min(0).sqrt()
    low, high = (b - square) / (2 * a), (b + square) / (2 * a)
    return torch.where(low > 0, low, high)


def _gaussians(centre: Tensor, radius: Tensor, grid: tuple[int, int]) -> Tensor:
    """exp(-d² / 2σ²) around each cell, σ a sixth of the diameter 2 r + 1; ``(B, M, h, w)``."""
    rows, columns = (torch.arange(side, device=centre.device) for side in grid)
    sigma = (2 * radius + 1)[..., None] / 6
    across = torch.exp(-((columns - centre[..., :1]) ** 2) / (2 * sigma**2))
    along = torch.exp(-((rows - centre[..., 1:]) ** 2) / (2 * sigma**2))
    return along.unsqueeze(3) * across.unsqueeze(2)


def _inside(cells: Tensor, grid: tuple[int, int], chosen: Tensor) -> Tensor:
    """1 where a chosen box covers a cell's middle, ``(B, 1, h, w)``."""
    rows, columns = (torch.arange(side, device=cells.device) + 0.5 for side in grid)
    across = (columns >= cells[..., :1]) & (columns < cells[..., 2:3])
    along = (rows >= cells[..., 1:2]) & (rows < cells[..., 3:])
    covered = along.unsqueeze(3) & across.unsqueeze(2) & chosen[..., None, None]
    return covered.any(dim=1, keepdim=True).float()


def centre_loss(centres: Tensor, extents: Tensor, targets: Targets) -> Tensor:
    """Focal loss of the heat map plus the mean absolute error of extents at centres.

    Both over the number of boxes, as in the paper; there sizes weigh 0.1 per pixel.

    Args:
        centres: Logits ``(B, C, h, w)``.
        extents: ``(B, 4, h, w)``.
        targets: Of the same maps.
    """
    count = targets.known.sum().clamp_min(1)
    focal = focal_loss(centres, targets.heat, targets.counted) / count
    index = targets.cells.unsqueeze(1).expand(-1, extents.shape[1], -1)
    seen = extents.flatten(2).gather(2, index).transpose(1, 2)
    errors = (seen - targets.extents).abs() * targets.known.unsqueeze(2)
    return focal + errors.sum() / count


def focal_loss(centres: Tensor, heat: Tensor, counted: Tensor) -> Tensor:
    """Penalty-reduced focal loss, summed over the maps (eq. 1 without 1 / N).

    Args:
        centres: Logits p̂ ``(B, C, h, w)``.
        heat: Y, 1 at centres.
        counted: Weight of every cell that is no centre, ``(B, 1, h, w)``.
    """
    ln_p, ln_not = functional.logsigmoid(centres), functional.logsigmoid(-centres)
    at_centre = (heat == 1).float()
    hit = at_centre * ln_not.exp() ** ALPHA * ln_p
    missed = (1 - at_centre) * counted * (1 - heat) ** BETA * ln_p.exp() ** ALPHA * ln_not
    return -(hit + missed).sum()
