"""MTL-Split: one backbone on the device, one small head per task at the edge.

Source: Capogrosso, Fummi, Girella, Cristani and Setti, DAC 2024 (arXiv 2407.05982). The flattened
feature Z_b crosses the cut; a head is Linear(-> 256), dropout 0.1, ReLU, Linear(-> classes). Theirs
are torchvision's backbones at 224 px; these are small ones of the same families for 64 px. With
``width: 16`` Z_b is as long as that of the originals would be at 64 px: 2,048 values for VGG16 and
ResNet-18 (512 x 2 x 2), 2,304 for MobileNetV3-small (576 x 2 x 2); with 8 it is half as long. Of
larger pictures Z_b is long, and a head's first layer with it: ``pool``, which is not theirs, lets a
head see means over fields of the map. All of the map still crosses the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from keyword import iskeyword
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn

from simsplit.errors import ScenarioError
from simsplit.networks.published.options import checked
from simsplit.scenario.spec import Count, Fraction, Spec

STRIDE = 16  # of every backbone
_HIDDEN = 256
Backbone = Literal["vgg", "resnet", "mobilenet"]
_TAKEN = frozenset(dir(nn.ModuleDict()))


def _free(name: str) -> str:
    """A head is a submodule of its name, and a name in the code that torch.fx writes."""
    if name in _TAKEN or iskeyword(name):
        what = "a word of Python" if iskeyword(name) else "what every module of PyTorch has"
        raise ValueError(f"a head cannot be called like {what}")
    return name


TaskName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40), AfterValidator(_free)]
Classes = Annotated[int, Field(ge=2, strict=True)]


class MtlSplitOptions(Spec):
    """What ``options`` of ``source: mtl_split`` may say.

    ``heads``: classes of every task, by its name, which is the name of the output too (but for what
    a module of PyTorch has, such as ``forward``, and words of Python). ``width``:
    channels of the backbone's first layer; all others follow it. ``dropout``: of the heads.
    ``shared: false``: a backbone per task, as single-task networks have that run side by side.
    ``pool``: rows and columns of the means that a head sees of the map, which is H/16 x W/16.
    """

    backbone: Backbone
    heads: Annotated[dict[TaskName, Classes], Field(min_length=1)]
    width: Count = 8
    dropout: Annotated[Fraction, Field(lt=1)] = 0.1
    shared: Annotated[bool, Field(strict=True)] = True
    pool: Annotated[list[Count], Field(min_length=2, max_length=2)] | None = None


def mtl_split(height: int, width: int, /, **options: Any) -> nn.Module:
    """The network for pictures of a size.

    Args:
        height, width: Of the input in px, multiples of 16.
        options: See `MtlSplitOptions`.

    Raises:
        ScenarioError: Unknown option, bad value, another size, or a pool that does not divide the
            map.
    """
    spec = checked(MtlSplitOptions, options)
    for key, pixels in (("height", height), ("width", width)):
        if pixels % STRIDE:
            message = f"pictures of mtl_split are multiples of {STRIDE} px"
            raise ScenarioError(message, path=key, value=pixels)
    _check_pool(spec, _grid(height, width))
    return MtlSplit(height, width, spec) if spec.shared else SideBySide(height, width, spec)


def _grid(height: int, width: int) -> tuple[int, int]:
    """Rows and columns of what a backbone gives of a picture of a size in px."""
    return height // STRIDE, width // STRIDE


def _check_pool(options: MtlSplitOptions, grid: tuple[int, int]) -> None:
    """Nothing, if every mean is over as many whole places of the map as the next.

    Raises:
        ScenarioError: Fields would overlap, or there are more of them than places.
    """
    for index, (fields, size) in enumerate(zip(options.pool or (), grid, strict=False)):
        if size % fields:
            what = ("rows", "columns")[index]
            message = f"the map has {size} {what} at this size, and the pool's divide them"
            choices = [str(n) for n in range(1, size + 1) if size % n == 0]
            path = f"options.pool[{index}]"
            raise ScenarioError(message, path=path, value=fields, choices=choices)


class MtlSplit(nn.Module):
    """RGB ``(B, 3, H, W)`` in [0, 1] → logits ``(B, classes)`` by task.

    The cut ``flatten`` is the vector Z_b; heads that pool read the map itself.

    Args:
        height, width: Of the input in px.
        options: Backbone, heads and sizes.
    """

    def __init__(self, height: int, width: int, options: MtlSplitOptions) -> None:
        super().__init__()
        self.backbone, channels = _BACKBONES[options.backbone](options.width)
        self.flatten = nn.Flatten()
        self.heads = _heads(options, channels, _grid(height, width))
        self.is_pooled = options.pool is not None

    def forward(self, x: Tensor) -> Mapping[str, Tensor]:
        """All heads' logits of a batch."""
        shared = self.backbone(x)  # (B, C, H / 16, W / 16)
        if not self.is_pooled:
            shared = self.flatten(shared)  # (B, values)
        return {task: head(shared) for task, head in self.heads.items()}


class SideBySide(nn.Module):
    """Single-task networks of one picture: what leaves the device is one map, ``cat``.

    RGB ``(B, 3, H, W)`` in [0, 1] → logits ``(B, classes)`` by task. No parameter is shared, so the
    sum of the tasks' losses trains each as if it were alone.

    Args:
        height, width: Of the input in px.
        options: Backbone, heads and sizes.
    """

    def __init__(self, height: int, width: int, options: MtlSplitOptions) -> None:
        super().__init__()
        made = {task: _BACKBONES[options.backbone](options.width) for task in options.heads}
        self.backbones = nn.ModuleDict({task: backbone for task, (backbone, _) in made.items()})
        self.flatten = nn.Flatten()
        _, channels = next(iter(made.values()))
        self.heads = _heads(options, channels, _grid(height, width))
        self.is_pooled = options.pool is not None

    def forward(self, x: Tensor) -> Mapping[str, Tensor]:
        """All networks' logits of a batch."""
        maps = torch.cat([backbone(x) for backbone in self.backbones.values()], dim=1)
        parts = maps.chunk(len(self.heads), dim=1)  # (B, C, H / 16, W / 16) each
        pairs = zip(self.heads.items(), parts, strict=True)
        return {
            task: head(part if self.is_pooled else self.flatten(part))
            for (task, head), part in pairs
        }


def _heads(options: MtlSplitOptions, channels: int, grid: tuple[int, int]) -> nn.ModuleDict:
    """A head per task, of the map where it pools and else of the vector."""
    rows, columns = options.pool or grid
    heads = {}
    for task, classes in options.heads.items():
        layers = _layers(channels * rows * columns, classes, options.dropout)
        if options.pool is not None:
            fields = nn.AvgPool2d((grid[0] // rows, grid[1] // columns))
            layers = (fields, nn.Flatten(), *layers)
        heads[task] = nn.Sequential(*layers)
    return nn.ModuleDict(heads)


def _layers(values: int, classes: int, dropout: float) -> tuple[nn.Module, ...]:
    first, last = nn.Linear(values, _HIDDEN), nn.Linear(_HIDDEN, classes)
    return first, nn.Dropout(dropout), nn.ReLU(), last


# --- backbones: layers, and channels of what they give at 1/16 of the picture's size ------------


def _vgg(width: int) -> tuple[nn.Sequential, int]:
    """Four stages of 3 x 3 convolution and 2 x 2 maximum (Simonyan and Zisserman, ICLR 2015)."""
    channels = [3, width, 2 * width, 4 * width, 8 * width]
    stages = pairwise(channels)
    layers = [layer for a, b in stages for layer in (*_normed(a, b), nn.ReLU(), nn.MaxPool2d(2))]
    return nn.Sequential(*layers), channels[-1]


def _resnet(width: int) -> tuple[nn.Sequential, int]:
    """A stem of stride 2 and four residual blocks (He et al., CVPR 2016, figure 5 left)."""
    channels = [width, width, 2 * width, 4 * width, 8 * width]
    stages = zip(channels, channels[1:], (1, 2, 2, 2), strict=False)
    blocks = [_Residual(a, b, stride) for a, b, stride in stages]
    return nn.Sequential(*_normed(3, width, 3, 2), nn.ReLU(), *blocks), channels[-1]


def _mobilenet(width: int) -> tuple[nn.Sequential, int]:
    """A stem of stride 2, inverted bottlenecks and a 1 x 1 convolution (Sandler et al., CVPR 2018).

    As MobileNetV3-small (Howard et al., ICCV 2019) without its squeeze-and-excitation.
    """
    wide, channels = [width, width * 3 // 2, width * 5 // 2, 4 * width], 9 * width
    stages = pairwise(wide)
    blocks = [block for a, b in stages for block in (_Inverted(a, b, 2), _Inverted(b, b, 1))]
    last = (*_normed(wide[-1], channels, 1), nn.Hardswish())
    return nn.Sequential(*_normed(3, width, 3, 2), nn.Hardswish(), *blocks, *last), channels


_BACKBONES: Mapping[str, Callable[[int], tuple[nn.Sequential, int]]] = {
    "vgg": _vgg,
    "resnet": _resnet,
    "mobilenet": _mobilenet,
}


def _normed(
    inside: int, outside: int, kernel: int = 3, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, nn.Module]:
    """A convolution and its batch normalisation."""
    pad = kernel // 2
    convolution = nn.Conv2d(inside, outside, kernel, stride, pad, groups=groups, bias=False)
    return convolution, nn.BatchNorm2d(outside)


class _Residual(nn.Module):
    """Two 3 x 3 convolutions beside the input, which is projected where shapes differ."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        first = (*_normed(inside, outside, 3, stride), nn.ReLU())
        self.body = nn.Sequential(*first, *_normed(outside, outside))
        is_same = stride == 1 and inside == outside
        projected = _normed(inside, outside, 1, stride)
        self.beside = nn.Identity() if is_same else nn.Sequential(*projected)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inside, H, W)`` → ``(B, outside, H / stride, W / stride)``."""
        total: Tensor = self.act(self.body(x) + self.beside(x))
        return total


class _Inverted(nn.Module):
    """Expand threefold, filter each channel, project; the input is added where shapes agree."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        wide = 3 * inside
        expand = (*_normed(inside, wide, 1), nn.Hardswish())
        depthwise = (*_normed(wide, wide, 3, stride, groups=wide), nn.Hardswish())
        self.body = nn.Sequential(*expand, *depthwise, *_normed(wide, outside, 1))
        self.adds = stride == 1 and inside == outside

    def forward(self, x: Tensor) -> Tensor:
        """``(B, inside, H, W)`` → ``(B, outside, H / stride, W / stride)``."""
        projected: Tensor = self.body(x)
        return x + projected if self.adds else projected
