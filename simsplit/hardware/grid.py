"""Random small networks that vary what a latency predictor must know: layers over their ranges.

Neurosurgeon varies every layer's parameters and measures each setting (Kang et al., ASPLOS 2017,
section 4.2). Here layers stand inside small random networks, so that they find the caches as in a
real one: what came before has just been written, and other weights have been read in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simsplit.seeds import generator

SIDES = (96, 128, 160, 192, 224)
CLASSES = 1000
_STEMS = ((3, 1), (3, 2), (5, 2), (7, 2), (11, 4))  # kernel, stride
_ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    *(lambda: nn.ReLU(inplace=True),) * 4,
    lambda: nn.ReLU6(inplace=True),
    nn.SiLU,
    nn.Hardswish,
    nn.GELU,
)


@dataclass(frozen=True)
class GridNetwork:
    """A random network and the side of its square input."""

    name: str
    network: nn.Module
    side: int


def grid(count: int, seed: int) -> list[GridNetwork]:
    """``count`` random networks: of every eight one is a transformer, one has wide large layers.

    Same seed → same networks.
    """
    return [_grid_network(index, generator(seed, index)) for index in range(count)]


def _grid_network(index: int, rng: np.random.Generator) -> GridNetwork:
    side = int(rng.choice(SIDES))
    build = {3: _large, 7: _transformer}.get(index % 8, _convolutional)
    return GridNetwork(f"grid{index}", build(rng, side).eval(), side)


def _large(rng: np.random.Generator, side: int) -> nn.Sequential:
    """As VGG begins and ends: wide layers on large pictures, large matrices."""
    channels, wider, hidden = _width(rng, 48, 96), _width(rng, 96, 256), _width(rng, 2048, 4096)
    first = [_conv(3, channels, 3, bias=True), nn.ReLU(True), nn.MaxPool2d(2, 2)]
    second = [_conv(channels, wider, 3, bias=True), nn.ReLU(True), nn.MaxPool2d(2, 2)]
    third = [_conv(wider, 2 * wider, 3, bias=True), nn.ReLU(True), nn.AdaptiveAvgPool2d(7)]
    fourth = [_conv(2 * wider, 2 * wider, 3, bias=True), nn.ReLU(True), nn.Flatten()]
    matrices = [nn.Linear(98 * wider, hidden), nn.ReLU(True), nn.Linear(hidden, CLASSES)]
    return nn.Sequential(*first, *second, *third, *fourth, *matrices)


def _convolutional(rng: np.random.Generator, side: int) -> nn.Sequential:
    kernel, stride = _STEMS[rng.integers(len(_STEMS))]
    channels = _width(rng, 16, 96 if stride > 1 else 48)
    biased = bool(rng.integers(2))
    layers: list[nn.Module] = [_conv(3, channels, kernel, stride, bias=biased), nn.ReLU(True)]
    side = -(-side // stride)
    if side > 40 and rng.random() < 0.6:
        layers.append(nn.MaxPool2d(3, 2, padding=1))
        side = -(-side // 2)
    for _ in range(rng.integers(4, 8)):
        block = _BLOCKS[rng.integers(len(_BLOCKS))](_Place(rng, channels, side))
        layers.append(block.network)
        channels, side = block.channels, -(-side // block.stride)
    return nn.Sequential(*layers, *_head(rng, channels))


def _head(rng: np.random.Generator, channels: int) -> list[nn.Module]:
    if rng.random() < 0.6:
        return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]
    side, hidden = int(rng.choice([2, 4, 6, 7])), _width(rng, 512, 4096)
    first = nn.Linear(channels * side**2, hidden)
    last = nn.Linear(hidden, CLASSES)
    return [nn.AdaptiveAvgPool2d(side), nn.Flatten(), first, nn.ReLU(True), last]


@dataclass(frozen=True)
class _Block:
    network: nn.Module
    channels: int
    stride: int


class _Place:
    """Where a block is to stand, and what it may be made of."""

    def __init__(self, rng: np.random.Generator, channels: int, side: int) -> None:
        self.rng, self.channels, self.side = rng, channels, side
        self.activation = _ACTIVATIONS[rng.integers(len(_ACTIVATIONS))]
        self.stride = int(rng.choice([1, 2] if side > 28 else [1, 1, 2])) if side > 7 else 1

    @property
    def most(self) -> int:
        """Channels that a layer may have here; fewer where pictures are large."""
        return max(48, min(1024, 10752 // self.side))

    def wide(self) -> int:
        """Channels for the block's output."""
        low = max(16, self.channels // 2)
        return _width(self.rng, low, max(low, min(self.most, self.channels * 2.5)))

    def narrow(self) -> int:
        """Channels for the block's inside."""
        return _width(self.rng, 16, max(16, self.channels / 2))

    def unit(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
        """Convolution, batch norm, activation."""
        norm = nn.BatchNorm2d(outputs)
        return nn.Sequential(_conv(inputs, outputs, kernel, stride), norm, self.activation())


def _plain(at: _Place) -> _Block:
    outputs = at.wide()
    unit = at.unit(at.channels, outputs, int(at.rng.choice([1, 3, 3, 5])), at.stride)
    return _Block(unit, outputs, at.stride)


def _biased(at: _Place) -> _Block:
    """As in VGG: convolution with bias, activation, max pooling."""
    outputs = at.wide()
    layers = [_conv(at.channels, outputs, 3, bias=True), at.activation()]
    if at.stride == 2:
        layers.append(nn.MaxPool2d(2, 2))
    return _Block(nn.Sequential(*layers), outputs, at.stride)


def _mobile(at: _Place) -> _Block:
    """Inverted residual with depthwise convolution, perhaps with squeeze and excitation."""
    inside = min(int(at.rng.choice([1, 3, 4, 6])) * at.channels, 2048)
    outputs = at.channels if at.stride == 1 else at.wide()
    kernel = int(at.rng.choice([3, 3, 5]))
    deep = _conv(inside, inside, kernel, at.stride, groups=inside)
    layers = [at.unit(at.channels, inside, 1), deep, nn.BatchNorm2d(inside), at.activation()]
    if at.rng.random() < 0.5:
        layers.append(_Gate(inside, max(8, inside // int(at.rng.choice([4, 16, 24])))))
    body = nn.Sequential(*layers, _conv(inside, outputs, 1), nn.BatchNorm2d(outputs))
    return _Block(_Residual(body) if at.stride == 1 else body, outputs, at.stride)


def _dense(at: _Place) -> _Block:
    growth, channels = int(at.rng.choice([16, 32, 48])), at.channels
    layers: list[nn.Module] = []
    for _ in range(at.rng.integers(2, 5)):
        first = nn.Sequential(nn.BatchNorm2d(channels), at.activation())
        unit = at.unit(channels, 4 * growth, 1)
        body = nn.Sequential(first, unit, _conv(4 * growth, growth, 3))
        layers.append(_Concat(nn.Identity(), body))
        channels += growth
    if at.stride == 2:
        layers.append(nn.AvgPool2d(2, 2))
    return _Block(nn.Sequential(*layers), channels, at.stride)


def _fire(at: _Place) -> _Block:
    """As in SqueezeNet: 1 x 1, then 1 x 1 beside 3 x 3."""
    inside, outputs = at.narrow(), _width(at.rng, 16, min(at.most, 256))
    first = nn.Sequential(_conv(at.channels, inside, 1, bias=True), at.activation())
    sides = [
        nn.Sequential(_conv(inside, outputs, kernel, bias=True), at.activation())
        for kernel in (1, 3)
    ]
    layers: list[nn.Module] = [first, _Concat(*sides)]
    if at.stride == 2:
        layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
    return _Block(nn.Sequential(*layers), 2 * outputs, at.stride)


def _residual(at: _Place) -> _Block:
    inside, outputs, kernel = at.narrow(), at.wide(), int(at.rng.choice([1, 3]))
    middle = at.unit(inside, inside, 3, at.stride)
    last = nn.Sequential(_conv(inside, outputs, kernel), nn.BatchNorm2d(outputs))
    body = nn.Sequential(at.unit(at.channels, inside, kernel), middle, last)
    skip = nn.Sequential(_conv(at.channels, outputs, 1, at.stride), nn.BatchNorm2d(outputs))
    return _Block(nn.Sequential(_Residual(body, skip), at.activation()), outputs, at.stride)


def _branches(at: _Place) -> _Block:
    """As in GoogLeNet: 1 x 1, 3 x 3 and pooling side by side."""
    one, two, three = (_width(at.rng, 16, min(at.most // 2, 192)) for _ in range(3))
    inside = max(8, two // 2)
    middle = nn.Sequential(at.unit(at.channels, inside, 1), at.unit(inside, two, 3))
    pooled = nn.Sequential(nn.MaxPool2d(3, 1, padding=1), at.unit(at.channels, three, 1))
    network = _Concat(at.unit(at.channels, one, 1), middle, pooled)
    return _Block(network, one + two + three, 1)


def _shuffle(at: _Place) -> _Block:
    """As in ShuffleNet: half of the channels pass, then channels change places."""
    half = at.channels // 2
    deep = nn.Sequential(_conv(half, half, 3, groups=half), nn.BatchNorm2d(half))
    body = nn.Sequential(at.unit(half, half, 1), deep, at.unit(half, half, 1))
    return _Block(_Shuffle(body), at.channels, 1) if at.channels % 2 == 0 else _plain(at)


_BLOCKS: tuple[Callable[[_Place], _Block], ...] = (
    *(_plain, _biased, _mobile, _mobile, _mobile),
    *(_dense, _fire, _residual, _residual, _branches, _shuffle),
)


def _transformer(rng: np.random.Generator, side: int) -> nn.Sequential:
    heads, patch = int(rng.integers(3, 12)), 16
    width = 64 * heads
    layers = [_Encoder(width, heads, width * int(rng.choice([2, 4]))) for _ in range(2)]
    front = nn.Sequential(nn.Conv2d(3, width, patch, patch), _Tokens())
    return nn.Sequential(front, *layers, nn.LayerNorm(width), nn.Linear(width, CLASSES))


def _conv(
    inputs: int, outputs: int, kernel: int, stride: int = 1, *, groups: int = 1, bias: bool = False
) -> nn.Module:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=bias)


def _width(rng: np.random.Generator, low: float, high: float) -> int:
    """A multiple of 8, uniform in its logarithm."""
    return 8 * max(1, round(float(np.exp(rng.uniform(np.log(low), np.log(high)))) / 8))


class _Residual(nn.Module):
    def __init__(self, body: nn.Module, skip: nn.Module | None = None) -> None:
        super().__init__()
        self.body, self.skip = body, skip or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        past: Tensor = self.skip(x)
        return y + past


class _Concat(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class _Gate(nn.Module):
    """Squeeze and excitation."""

    def __init__(self, channels: int, inside: int) -> None:
        super().__init__()
        down, up = nn.Conv2d(channels, inside, 1), nn.Conv2d(inside, channels, 1)
        self.weigh = nn.Sequential(nn.AdaptiveAvgPool2d(1), down, nn.SiLU(), up, nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        weight: Tensor = self.weigh(x)
        return x * weight


class _Shuffle(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        passed, changed = x.chunk(2, dim=1)
        x = torch.cat((passed, self.body(changed)), dim=1)
        batch, channels, height, width = x.size()
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        return x.view(batch, channels, height, width)


class _Tokens(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


class _Encoder(nn.Module):
    """Attention and two linear layers, each with norm and residual."""

    def __init__(self, width: int, heads: int, inside: int) -> None:
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.three, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, inside), nn.GELU(), nn.Linear(inside, width))

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        parts = self.three(self.first(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(query, key, value).transpose(1, 2)
        x = x + self.out(seen.reshape(batch, tokens, width))
        y: Tensor = self.mlp(self.second(x))
        return x + y
