"""From the pixels that circulate to what a network takes: the only place where that is done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torchvision
from torch import Tensor
from torchvision.transforms import InterpolationMode, functional

from simsplit.errors import ScenarioError
from simsplit.networks.split_model import as_images
from simsplit.scenario.preprocess import PLACED, Preprocess

Choice = str | Preprocess | None
WHERE = "preprocess"


def preprocess_of(choice: Choice, path: str = WHERE) -> Preprocess:
    """What a key ``preprocess`` says, written out; nothing is downloaded.

    Raises:
        ScenarioError: Torchvision has no weights of that name.
    """
    if isinstance(choice, str):
        return _of_weights(choice, path)
    return choice or Preprocess()


def _of_weights(name: str, path: str) -> Preprocess:
    """The numbers of the transforms that belong to torchvision's weights."""
    try:
        preset: Any = torchvision.models.get_weight(name).transforms()
    except (ValueError, AttributeError, KeyError) as error:
        enums = [e.__name__ for n in torchvision.models.list_models() if (e := _enum(n))]
        message = "torchvision has no weights of that name"
        names = tuple(dict.fromkeys(f"{enum}.DEFAULT" for enum in enums))
        raise ScenarioError(message, path=path, value=name, choices=names) from error
    content: dict[str, Any] = {
        "channels": 3,
        "mean": tuple(getattr(preset, "mean", ())),
        "std": tuple(getattr(preset, "std", ())),
        "size_px": _side(getattr(preset, "resize_size", None)),
        "crop_px": _side(getattr(preset, "crop_size", None)),
    }
    interpolation = getattr(preset, "interpolation", None)
    if interpolation is not None:
        content["interpolation"] = interpolation.value
    return Preprocess.model_validate(content)


def _enum(model: str) -> Any:
    return torchvision.models.get_model_weights(model)


def _side(sizes: Any) -> int | tuple[int, ...] | None:
    if sizes is None or isinstance(sizes, int):
        return sizes
    return int(sizes[0]) if len(sizes) == 1 else tuple(map(int, sizes))


def network_size(
    preprocess: Preprocess, height: int, width: int, path: str = WHERE
) -> tuple[int, int]:
    """Height and width of a network's input for pictures ``height`` x ``width``.

    Raises:
        ScenarioError: The crop is larger than the (resized) picture.
    """
    size, crop = preprocess.size_px, preprocess.crop_px
    if isinstance(size, tuple):
        height, width = size
    elif size is not None:
        height, width = _shorter_side(size, height, width)
    if crop is None:
        return height, width
    tall, wide = crop if isinstance(crop, tuple) else (crop, crop)
    if tall > height or wide > width:
        message = f"a crop of {tall} x {wide} from a picture of {height} x {width}"
        raise ScenarioError(message, path=f"{path}.crop_px", value=crop)
    return tall, wide


def check_whole(preprocess: Preprocess, kinds: Iterable[str], path: str = WHERE) -> None:
    """A network that sees a part of the picture cannot say where in the whole something is.

    Raises:
        ScenarioError: A crop, and an answer with a place.
    """
    placed = [kind for kind in kinds if kind in PLACED]
    if placed and preprocess.crop_px is not None:
        message = f"a crop leaves an answer of kind '{placed[0]}' without its borders"
        raise ScenarioError(message, path=f"{path}.crop_px", value=preprocess.crop_px)


def _shorter_side(size: int, height: int, width: int) -> tuple[int, int]:
    """As torchvision's ``Resize`` rounds: the longer side down."""
    if height <= width:
        return size, int(size * width / height)
    return int(size * height / width), size


def network_input(
    pixels: Tensor, preprocess: Preprocess | None = None, channels: int = 3, path: str = WHERE
) -> Tensor:
    """Pixels uint8 ``(B, H, W, C)`` → float32 ``(B, channels, h, w)`` as the network takes it.

    Without ``preprocess``: `as_images`, values in [0, 1].

    Args:
        pixels: Pictures as they circulate.
        preprocess: What becomes of them.
        channels: How many the network takes, unless ``preprocess`` says it.
        path: Where the scenario says it.

    Raises:
        ScenarioError: Colour pictures for a network of one channel, without a word about it.
    """
    wanted = channels if preprocess is None or preprocess.channels is None else preprocess.channels
    if preprocess is None and wanted == 3:
        return as_images(pixels)
    images = _in_channels(pixels.permute(0, 3, 1, 2), wanted, preprocess, path)
    if preprocess is None:
        return images.to(torch.float32) / 255.0
    return _normalised(_resized(images, preprocess, path), preprocess)


def _in_channels(images: Tensor, wanted: int, preprocess: Preprocess | None, path: str) -> Tensor:
    given = images.shape[1]
    if given == wanted:
        return images
    if given == 1:
        return images.expand(-1, wanted, -1, -1)
    if wanted == 1 and preprocess is not None and preprocess.channels == 1:
        weights = torch.tensor((0.299, 0.587, 0.114)).reshape(1, 3, 1, 1)
        luma: Tensor = (images.to(torch.float32) * weights).sum(1, keepdim=True).round()
        return luma.to(torch.uint8)
    message = f"the network takes {wanted} channel(s), the pictures have {given}"
    hint = "; say channels: 1 to make them grey" if wanted == 1 else ""
    raise ScenarioError(message + hint, path=path)


def _resized(images: Tensor, preprocess: Preprocess, path: str) -> Tensor:
    """uint8 ``(B, C, H, W)`` → the same of another size, as torchvision resizes and crops."""
    height, width = images.shape[2:]
    whole = preprocess.model_copy(update={"crop_px": None})
    size, crop = network_size(whole, height, width), network_size(preprocess, height, width, path)
    if size != (height, width):
        mode = InterpolationMode(preprocess.interpolation)
        images = functional.resize(images.contiguous(), list(size), mode, antialias=True)
    return images if crop == size else functional.center_crop(images, list(crop))


def _normalised(images: Tensor, preprocess: Preprocess) -> Tensor:
    values = images.to(torch.float32)
    values = values / 255.0 if preprocess.scale is None else values * preprocess.scale
    if preprocess.mean:
        values = values - torch.tensor(preprocess.mean).reshape(1, -1, 1, 1)
    if preprocess.std:
        values = values / torch.tensor(preprocess.std).reshape(1, -1, 1, 1)
    return values
