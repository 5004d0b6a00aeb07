"""Networks by name: torchvision's, or a user's own class; random weights or a local file."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.networks.detection import DetectionNet
from simsplit.scenario.user_code import build_target, users_code

Weights = Path | Literal["random"]

TRAINING_ONLY = ("aux1.", "aux2.", "AuxLogits.", "aux_classifier.")  # heads left out at inference
_NAMED_KEYS = 3  # of a mismatch


@cache
def torchvision_names() -> tuple[str, ...]:
    """Every classification, segmentation and detection model of the installed torchvision."""
    from torchvision import models

    rooms = (models, models.segmentation, models.detection)
    return tuple(name for room in rooms for name in models.list_models(module=room))


def open_network(
    source: str,
    *,
    height: int,
    width: int,
    weights: Weights = "random",
    seed: int = 0,
    leaves: Iterable[str] = (),
    options: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A network in evaluation mode that takes images ``(B, 3, height, width)``.

    Args:
        source: Name of a torchvision model, or ``package.module:Name`` of a class or function that
            makes a module.
        height, width: Of its input, in px.
        weights: ``random``, or a local safetensors file or state dict; nothing is downloaded.
        seed: Of random weights; nobody else's random numbers change.
        leaves: Paths of submodules that stay whole when the network is cut.
        options: Arguments for the class or the torchvision model.

    Raises:
        ScenarioError: unknown source, or options that it does not take.
        ArtefactError: weights that are missing, damaged, or another network's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _made(source, height, width, options or {})
    if weights != "random":
        load_weights(module, weights)
    return _finished(module, source, height, width, tuple(leaves))


def _finished(
    module: nn.Module, source: str, height: int, width: int, leaves: tuple[str, ...]
) -> nn.Module:
    if _is_detector(source):
        module = DetectionNet(module, height, width)
    if leaves:
        own: tuple[str, ...] = tuple(getattr(module, "split_leaves", ()))
        module.split_leaves = (*own, *leaves)  # type: ignore[assignment]
    return module.eval()


def _is_detector(source: str) -> bool:
    from torchvision import models

    return source in models.list_models(module=models.detection)


def _made(source: str, height: int, width: int, options: Mapping[str, Any]) -> nn.Module:
    if ":" in source:
        own: nn.Module = build_target(source, path="source", base=nn.Module, options=options)
        return own
    make = _torchvision(source, height, width)
    with users_code(f"{source} cannot be built with these options", "options", dict(options)):
        module: nn.Module = make(**options)
    return module


def _torchvision(source: str, height: int, width: int) -> Callable[..., Any]:
    from torchvision import models

    if source not in torchvision_names():
        message = "neither a torchvision model nor package.module:Name"
        raise ScenarioError(message, path="source", value=source, choices=torchvision_names())
    given = {"weights": None, **_fixed_arguments(source, height, width)}
    return lambda **options: models.get_model(source, **{**given, **options})


def _fixed_arguments(source: str, height: int, width: int) -> dict[str, Any]:
    """What a family needs so that nothing is downloaded, and no time or size is wasted."""
    if source.startswith("vit_"):
        return {"image_size": _square(source, height, width)}
    if source == "maxvit_t":
        return {"input_size": (height, width)}
    if source in ("googlenet", "inception_v3"):
        return {"aux_logits": False, "init_weights": False}
    backbone = "weights_backbone" in inspect.signature(_builder(source)).parameters
    return {"weights_backbone": None} if backbone else {}


def _builder(source: str) -> Callable[..., Any]:
    from torchvision import models

    return models.get_model_builder(source)  # type: ignore[no-any-return]


def _square(source: str, height: int, width: int) -> int:
    if height != width:
        message = f"{source} takes square images"
        raise ScenarioError(message, path="width", value=width, choices=[str(height)])
    return height


def load_weights(module: nn.Module, path: Path) -> None:
    """Fills a network from a safetensors file or a state dict (``torch.load(weights_only=True)``).

    Heads that torchvision has for training alone are left out where the network has none.

    Raises:
        ArtefactError: no such file, not readable, or keys or shapes that are another network's.
    """
    state = {
        key: tensor
        for key, tensor in _read(path).items()
        if not key.startswith(TRAINING_ONLY) or key in module.state_dict()
    }
    try:
        missing, unexpected = module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        shapes = "; ".join(str(error).splitlines()[1 : 1 + _NAMED_KEYS]).strip()
        raise ArtefactError(f"{path} holds other shapes: {shapes}", path="weights") from error
    if missing or unexpected:
        raise ArtefactError(
            f"{path} belongs to another network: missing {_some(missing)}, "
            f"unexpected {_some(unexpected)}",
            path="weights",
        )


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED_KEYS} more" if len(keys) > _NAMED_KEYS else ""
    return (", ".join(keys[:_NAMED_KEYS]) or "none") + more


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ArtefactError("no such weights file", path="weights", value=str(path))
    try:
        state = _load(path)
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError, EOFError) as error:
        message = f"{path} is neither safetensors nor a state dict of tensors: {error}"
        raise ArtefactError(message.splitlines()[0], path="weights") from error
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise ArtefactError(f"{path} holds no state dict", path="weights")
    return state


def _load(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if path.suffix != ".safetensors":
        return torch.load(path, map_location="cpu", weights_only=True)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
