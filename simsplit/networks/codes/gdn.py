"""Transforms of the Entropic Student: strided convolutions, generalised divisive normalisation.

Matsubara et al., "Supervised Compression for Resource-Constrained Edge Computing Systems" (WACV
2022), section 4: encoder conv 5x5 / 2, GDN, conv 5x5 / 2, GDN, conv 2x2; decoder of 2x2
convolutions with inverse GDN between. Here with the simplified form of Johnston et al.,
"Computationally Efficient Neural Image Compression" (2019).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from simsplit.errors import ScenarioError
from simsplit.networks.codes.contract import Shape
from simsplit.networks.codes.transforms import Form, doublings

_LEAST_BETA = 1e-6
_STARTING_GAMMA = 0.1  # of a channel upon itself
_NEARLY_NONE = 2.0**-36  # of a channel upon another; of 0 the square root has no gradient


class Gdn1(nn.Module):
    """y_i = x_i / (beta_i + sum_j gamma_ij |x_j|); the inverse multiplies (Johnston et al., 2019).

    beta and gamma stay positive as squares of what is learned.

    Args:
        channels: C of ``(B, C, h, w)``.
        inverse: Multiply in place of dividing.
    """

    def __init__(self, channels: int, *, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        gamma = _STARTING_GAMMA * torch.eye(channels) + _NEARLY_NONE
        self.root_beta = nn.Parameter(torch.ones(channels))
        self.root_gamma = nn.Parameter(gamma.sqrt().view(channels, channels, 1, 1))

    @property
    def beta(self) -> Tensor:
        """``(C,)``, positive."""
        return self.root_beta.square() + _LEAST_BETA

    @property
    def gamma(self) -> Tensor:
        """``(C, C)``, not negative."""
        return self.root_gamma.square().flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, h, w)`` → the same shape."""
        norm = functional.conv2d(x.abs(), self.root_gamma.square(), self.beta)
        return x * norm if self.inverse else x / norm


def gdn_analysis(
    form: Form, out_channels: int, channels: Sequence[int], stride: int
) -> tuple[nn.Sequential, Shape]:
    """Encoder: grid → latent ``(B, out_channels, h / stride - 1, w / stride - 1)``.

    Args:
        form: Of the feature; a map.
        out_channels: Of the latent.
        channels: Of the 5x5 convolutions; the first ones halve the grid, as often as stride asks.
        stride: Power of 2.

    Returns:
        The transform, and the latent's shape per sample.

    Raises:
        ScenarioError: No map, too few convolutions for the stride, or too small a grid.
    """
    halvings = stride.bit_length() - 1
    if form.kernel == 1:
        message = "these transforms take a map (C, h, w)"
        raise ScenarioError(message, path="code.transforms", value="gdn", choices=["prelu"])
    if len(channels) < halvings:
        message = f"stride {stride} needs at least {halvings} convolutions"
        raise ScenarioError(message, path="code.encoder_channels", value=list(channels))
    height, width = (-(-side // stride) - 1 for side in form.size)
    if min(height, width) < 1:
        message = "the code's grid has less than 2 x 2 positions"
        raise ScenarioError(message, path="code.stride", value=stride)
    layers: list[nn.Module] = []
    before = form.channels
    for index, count in enumerate(channels):
        step = 2 if index < halvings else 1
        layers += [nn.Conv2d(before, count, 5, step, padding=2), Gdn1(count)]
        before = count
    net = nn.Sequential(*layers, nn.Conv2d(before, out_channels, 2))
    return net, (out_channels, height, width)


class GdnSynthesis(nn.Module):
    """Decoder: latent ``(B, L, h - 1, w - 1)`` → grid ``(B, C, H, W)`` of the goal.

    2x2 convolutions with inverse GDN between; where the goal's grid is larger the first ones make
    it (pixel shuffle).

    Args:
        goal: Of what is given.
        latent: ``(L, h - 1, w - 1)``.
        channels: Of the convolutions but the last.

    Raises:
        ScenarioError: No doubling of the grid makes the goal's, or there are too few convolutions.
    """

    def __init__(self, goal: Form, latent: Shape, channels: Sequence[int]) -> None:
        super().__init__()
        before, height, width = latent
        steps = doublings((height + 1, width + 1), goal.size)
        if len(channels) < steps:
            message = f"a grid that doubles {steps} times needs at least {steps} convolutions"
            raise ScenarioError(message, path="code.decoder_channels", value=list(channels))
        layers: list[nn.Module] = []
        paddings = _paddings(steps, len(channels) + 1)
        for index, (count, padding) in enumerate(zip(channels, paddings, strict=False)):
            doubled = index < steps
            layers += _square(before, 4 * count if doubled else count, padding)
            layers += [nn.PixelShuffle(2)] if doubled else []
            layers.append(Gdn1(count, inverse=True))
            before = count
        self.net = nn.Sequential(*layers, *_square(before, goal.channels, paddings[-1]))
        self.size = goal.size

    def forward(self, latent: Tensor) -> Tensor:
        """Latent → grid, cut to the goal's size."""
        height, width = self.size
        grid: Tensor = self.net(latent)[:, :, :height, :width]
        return grid


def _paddings(steps: int, count: int) -> list[int]:
    """Rows and columns that each of ``count`` 2x2 convolutions has put on.

    The first gives the grid one more of each (2), those that double it keep it (1), the others take
    one away and give it back in turn (0, 2), an odd last one keeps it: published 2, 0, 2.
    """
    kept = max(1, steps)
    turns = [0, 2] * ((count - kept) // 2)
    odd = [1] * ((count - kept) % 2)
    return [2, *[1] * (kept - 1), *turns, *odd]


def _square(before: int, after: int, padding: int) -> list[nn.Module]:
    """A 2x2 convolution with so many rows and columns of zeros put on."""
    ahead, behind = padding // 2, padding - padding // 2
    return [nn.ZeroPad2d((ahead, behind, ahead, behind)), nn.Conv2d(before, after, 2)]
