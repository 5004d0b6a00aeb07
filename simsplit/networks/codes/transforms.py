"""From a feature of any shape to a code's own grid, and back.

``(C, h, w)`` stays as it is; tokens ``(T, D)`` are D channels at T positions; a vector ``(C,)`` is
C channels at one. Only maps have neighbours: the others' convolutions are linear per position.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from simsplit.errors import ScenarioError
from simsplit.networks.codes.contract import Shape

_SMALLEST_SPREAD = 1e-3  # of a channel, as a share of the mean one: below, it counts as constant


class Form(nn.Module):
    """A feature as a grid ``(B, C, h, w)`` of mean 0 and deviation 1 per channel, and back.

    Args:
        shape: Of one sample's feature.
        path: Where a recipe says which feature.

    Raises:
        ScenarioError: It has neither one, two nor three dimensions.
    """

    mean: Tensor
    deviation: Tensor
    lowest: Tensor

    def __init__(self, shape: Shape, path: str = "cut") -> None:
        super().__init__()
        if not 1 <= len(shape) <= 3 or not all(shape):
            message = "a code takes a map (C, h, w), tokens (T, D) or a vector (C,) at its cut"
            raise ScenarioError(message, path=path, value=shape)
        self.shape = shape
        self.register_buffer("mean", torch.zeros(self.channels, 1, 1))
        self.register_buffer("deviation", torch.ones(self.channels, 1, 1))
        self.register_buffer("lowest", torch.tensor(-math.inf))

    @property
    def channels(self) -> int:
        """C of the grid."""
        return self.shape[-1] if len(self.shape) == 2 else self.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """``(h, w)`` of the grid."""
        if len(self.shape) == 3:
            return self.shape[1], self.shape[2]
        return (self.shape[0], 1) if len(self.shape) == 2 else (1, 1)

    @property
    def kernel(self) -> Literal[1, 3]:
        """Side of convolutions: 1 where positions are no neighbours."""
        return 3 if len(self.shape) == 3 else 1

    def calibrate(self, feature: Tensor) -> None:
        """Takes mean and deviation of each channel, and whether a value is ever negative."""
        grid = self._grid(feature).double()
        self.mean.copy_(grid.mean(dim=(0, 2, 3)).view(-1, 1, 1))
        deviation = grid.std(dim=(0, 2, 3), unbiased=False).view(-1, 1, 1)
        floor = _SMALLEST_SPREAD * float(deviation.mean())
        self.deviation.copy_(torch.where(deviation > floor, deviation, torch.ones_like(deviation)))
        self.lowest.fill_(0.0 if float(grid.min()) >= 0.0 else -math.inf)

    def enter(self, feature: Tensor) -> Tensor:
        """Feature ``(B, *shape)`` → grid."""
        return (self._grid(feature) - self.mean) / self.deviation

    def leave(self, grid: Tensor) -> Tensor:
        """Grid → feature, never negative if none was seen that is."""
        values = torch.maximum(grid * self.deviation + self.mean, self.lowest)
        if len(self.shape) == 2:
            values = values.squeeze(3).transpose(1, 2)
        return values.reshape(len(grid), *self.shape)

    def _grid(self, feature: Tensor) -> Tensor:
        if len(self.shape) == 2:
            return feature.transpose(1, 2).unsqueeze(3)
        return feature.reshape(len(feature), self.channels, *self.size)


class BetweenForms:
    """What codes share that lead from one form to another, or back to the same.

    Attributes:
        form: Of what is encoded.
        target: Of what the decoder gives, where that is another tensor.
        until_shape: Of that tensor; empty: it is the same.
    """

    form: Form
    target: Form
    until_shape: Shape

    @property
    def goal(self) -> Form:
        """Of what the decoder gives."""
        return self.target if self.until_shape else self.form

    def calibrate(self, feature: Tensor, target: Tensor | None = None) -> None:
        """Standardises the channels of the feature, and of what the decoder gives."""
        self.form.calibrate(feature)
        self.calibrate_decoder(target)

    def calibrate_decoder(self, target: Tensor | None) -> None:
        """Standardises what the decoder gives, where that is another tensor than the feature."""
        if target is not None:
            self.target.calibrate(target)


def strided(form: Form, stride: int) -> tuple[int, int]:
    """``(h, w)`` of a grid that is ``stride`` times smaller, rounded up.

    Raises:
        ScenarioError: Vectors and tokens have no grid to make smaller, or it is too small.
    """
    if stride > 1 and (form.kernel == 1 or min(form.size) < stride):
        message = "only maps of at least that height and width can be made smaller"
        raise ScenarioError(message, path="code.stride", value=stride)
    height, width = form.size
    return -(-height // stride), -(-width // stride)


def doublings(grid: tuple[int, int], size: tuple[int, int]) -> int:
    """How often a code's grid is doubled to reach a size, which halving rounds up.

    Raises:
        ScenarioError: It never does.
    """
    for steps in range(max(size).bit_length() + 1):
        if tuple(-(-side // 2**steps) for side in size) == grid:
            return steps
    tall, wide = size
    message = f"the decoder doubles the code's grid, which never gives the {tall} x {wide} asked"
    raise ScenarioError(message, path="code.stride", value=f"{grid[0]} x {grid[1]}")


def analysis(form: Form, out_channels: int, hidden: int, stride: int) -> nn.Sequential:
    """Convolutions grid → ``(B, out_channels, h / stride, w / stride)``."""
    layers: list[nn.Module] = []
    channels, steps = form.channels, stride.bit_length() - 1
    for step in (2,) * steps or (1,):
        layers += [_same(channels, hidden, form.kernel, step), nn.PReLU()]
        channels = hidden
    return nn.Sequential(*layers, _same(hidden, out_channels, form.kernel))


class Synthesis(nn.Module):
    """Convolutions from a grid that doubles ``steps`` times → grid ``(B, C, h, w)`` of a form."""

    def __init__(self, form: Form, in_channels: int, hidden: int, steps: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_same(in_channels, hidden, form.kernel), nn.PReLU()]
        for _ in range(steps):
            layers += [_same(hidden, 4 * hidden, form.kernel), nn.PixelShuffle(2), nn.PReLU()]
        self.net = nn.Sequential(*layers, _same(hidden, form.channels, form.kernel))
        self.size = form.size

    def forward(self, latent: Tensor) -> Tensor:
        """Latent → grid, cut to the feature's size."""
        height, width = self.size
        grid: Tensor = self.net(latent)[:, :, :height, :width]
        return grid


def _same(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2)
