"""Boxes as centre points: from raw maps to a fixed number of boxes, as part of a network.

Zhou, Wang and Krähenbühl, Objects as points (arXiv 1904.07850), section 4. A heat map per class
says where centres are; at a centre, four ``extents`` say where in its cell it lies (right and down
of the cell's corner, in cells) and how large the box is (ln width, ln height, in cells, so that an
error counts in relation to the box; the paper takes pixels). Everything is of fixed shape, so that
a network can be traced, cut and batched.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from simsplit.tasks.wanted import EXTENTS

_PRIOR = 0.1  # of a centre, before training (Lin et al., ICCV 2017, section 4.1)


class CentreHead(nn.Module):
    """The raw maps: 3x3 convolution, then logits of centres and extents.

    Args:
        channels: Of the feature.
        classes: Of boxes.
        hidden: Channels in between.
    """

    def __init__(self, channels: int, classes: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Sequential(
            nn.Conv2d(channels, hidden, 3, 1, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU()
        )
        self.centres, self.extents = nn.Conv2d(hidden, classes, 1), nn.Conv2d(hidden, EXTENTS, 1)
        prior = torch.tensor(_PRIOR)
        nn.init.constant_(self.centres.bias, float(prior.logit()))  # type: ignore[arg-type]

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        """``(B, C, h, w)`` → logits ``(B, classes, h, w)`` and extents ``(B, 4, h, w)``."""
        hidden = self.hidden(feature)
        return self.centres(hidden), self.extents(hidden)


class CentreBoxes(nn.Module):
    """The ``most`` strongest centres of a picture as boxes, whatever their scores.

    A centre is a cell that none of its eight neighbours surpasses, which stands for non-maximum
    suppression. Boxes are cut at the picture's edges.

    Args:
        grid: ``(h, w)`` of the maps.
        size: ``(H, W)`` of the network's input, in px.
        classes: Of boxes.
        most: Boxes per picture, K.
    """

    def __init__(
        self, grid: tuple[int, int], size: tuple[int, int], classes: int, most: int
    ) -> None:
        super().__init__()
        self.grid, self.size = grid, size
        self.most = min(most, classes * grid[0] * grid[1])

    def forward(self, centres: Tensor, extents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes in px, scores and labels, best first.

        Args:
            centres: Logits ``(B, classes, h, w)``.
            extents: ``(B, 4, h, w)``.

        Returns:
            ``(B, K, 4)`` as x0 y0 x1 y1, ``(B, K)`` in [0, 1] and ``(B, K)`` int64 from 1.
        """
        (rows, columns), (height, width) = self.grid, self.size
        cells, tall, wide = rows * columns, height / rows, width / columns
        scores = torch.sigmoid(centres)
        peaks = scores * (functional.max_pool2d(scores, 3, 1, 1) == scores)
        scores, places = peaks.flatten(1).topk(self.most)
        cell = places % cells
        index = cell.unsqueeze(1).expand(-1, EXTENTS, -1)
        right, down, ln_width, ln_height = extents.flatten(2).gather(2, index).unbind(1)
        x, y = cell % columns + right, cell // columns + down
        half_width, half_height = 0.5 * ln_width.exp(), 0.5 * ln_height.exp()
        across = [wide * (x - half_width), wide * (x + half_width)]
        along = [tall * (y - half_height), tall * (y + half_height)]
        x0, x1 = (edge.clamp(0, width) for edge in across)
        y0, y1 = (edge.clamp(0, height) for edge in along)
        return torch.stack((x0, y0, x1, y1), 2), scores, places // cells + 1
