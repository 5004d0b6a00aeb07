"""Networks by name: torchvision's, timm's, those of published systems, an exported program, or a
user's own class.

Weights are random, a local file's, or those that a Python package brings; nothing is downloaded.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from simsplit.errors import ScenarioError
from simsplit.networks.checkpoints import load_weights
from simsplit.networks.detection import DetectionNet
from simsplit.networks.exported import open_program
from simsplit.networks.file_kinds import Kind
from simsplit.networks.lite import EfficientNetLite0, plain_name
from simsplit.networks.published import PUBLISHED
from simsplit.scenario.network_files import PROGRAM, packaged_weights
from simsplit.scenario.user_code import build_target, users_code

Weights = Path | Literal["random", "package", "included"]

TIMM = "timm/"
LITE0 = "efficientnet_lite0"
READING = "weights_reading"  # attribute: how the weights file was read, if not as it is
_NOT_YET = {".onnx": Kind.ONNX, ".torchscript": Kind.TORCHSCRIPT, ".ptl": Kind.TORCHSCRIPT}
_NEAR = 5  # names of timm's thousand that are suggested


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
    weights_key: str | None = None,
    weights_prefix: str | None = None,
    weights_fresh: tuple[str, ...] = (),
) -> nn.Module:
    """A network in evaluation mode that takes images ``(B, C, height, width)``.

    Args:
        source: Name of a torchvision model or of one in `simsplit.networks.published`;
            ``timm/NAME``; ``efficientnet_lite0``; a ``.pt2`` file; or ``package.module:Name`` of a
            class or function that makes a module.
        height, width: Of its input, in px.
        weights: ``random``; a local safetensors file or state dict; ``package``, those of the
            package that belongs to the source; ``included``, those in the ``.pt2``.
        seed: Of random weights; nobody else's random numbers change.
        leaves: Paths of submodules that stay whole when the network is cut.
        options: Arguments for the class or the model.
        weights_key, weights_prefix: See `simsplit.networks.checkpoints.load_weights`.
        weights_fresh: Its ``fresh``.

    Raises:
        ScenarioError: unknown source, or options that it does not take.
        ArtefactError: weights that are missing, damaged, or another network's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _made(source, height, width, options or {})
    how = ""
    if weights == "package":
        load_weights(module, packaged_weights(source), rename=plain_name, fresh=weights_fresh)
    elif isinstance(weights, Path):
        key, prefix, fresh = weights_key, weights_prefix, weights_fresh
        reading = load_weights(module, weights, key=key, prefix=prefix, fresh=fresh)
        how = str(reading) if reading.key or reading.prefix else ""
    finished = _finished(module, source, height, width, tuple(leaves))
    setattr(finished, READING, how)
    return finished


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
    _refuse_other_files(source)
    if source.endswith(PROGRAM):
        return open_program(Path(source), height, width)
    make = _builder_of(source, height, width)
    with users_code(f"{source} cannot be built with these options", "options", dict(options)):
        module: nn.Module = make(**options)
    return module


def _refuse_other_files(source: str) -> None:
    kind = _NOT_YET.get(Path(source).suffix.lower())
    if kind is not None:
        raise ScenarioError(f"is {kind.value}{kind.remedy}", path="source", value=source)


def _builder_of(source: str, height: int, width: int) -> Callable[..., Any]:
    if source == LITE0:
        return lambda **options: EfficientNetLite0(height, width, **options)
    if source in PUBLISHED:
        return partial(PUBLISHED[source], height, width)
    if source.startswith(TIMM):
        return _timm(source, height, width)
    return _torchvision(source, height, width)


def _timm(source: str, height: int, width: int) -> Callable[..., Any]:
    name = source.removeprefix(TIMM)
    if find_spec("timm") is None:
        message = "timm is not installed: pip install 'simsplit[timm]'"
        raise ScenarioError(message, path="source", value=source)
    import timm

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=_NEAR, cutoff=0.5)
        choices = [f"{TIMM}{each}" for each in near]
        raise ScenarioError("no such timm model", path="source", value=source, choices=choices)
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    given = {"img_size": (height, width)} if config and config.fixed_input_size else {}
    return lambda **options: timm.create_model(name, pretrained=False, **{**given, **options})


def _torchvision(source: str, height: int, width: int) -> Callable[..., Any]:
    from torchvision import models

    if source not in torchvision_names():
        message = "neither a torchvision model, timm/NAME, a .pt2 program nor package.module:Name"
        choices = (*torchvision_names(), LITE0, *PUBLISHED)
        raise ScenarioError(message, path="source", value=source, choices=choices)
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
