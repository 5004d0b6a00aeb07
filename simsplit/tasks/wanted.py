"""What the data set wants of a network's answer, and which tensor of an output is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._pytree import tree_flatten_with_path

from simsplit.errors import ScenarioError
from simsplit.scenario.answers import (
    AnswerSpec,
    ClassificationAnswer,
    DetectionAnswer,
    SegmentationAnswer,
)
from simsplit.tasks.metrics import IGNORED

Array = NDArray[Any]
EXTENTS = 4  # maps of a centre-point detector beside its centres; see networks.centre_points


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the data set asks of one answer.

    Attributes:
        spec: What the scenario says of it.
        path: Where it says so, e.g. ``networks.net.answer``.
        classes: How many the data set has; None: not a matter of classes, or not known.
        least: Of classes: one more than the largest label that occurs.
        size: ``(H, W)`` of the pictures.
        shape: Of one sample's truth.
        scale: (height, width) of the picture over those of the network's input, for boxes.
    """

    spec: AnswerSpec
    path: str
    classes: int | None
    size: tuple[int, int]
    shape: tuple[int, ...]
    least: int = 0
    scale: tuple[float, float] = (1.0, 1.0)

    def fail(self, given: str, wanted: str, hint: str = "") -> NoReturn:
        """The error that names both sides."""
        message = f"the network gives {given}; the data set wants {wanted}"
        raise ScenarioError(message + (f" ({hint})" if hint else ""), path=self.path)


def wanted_of(
    spec: AnswerSpec,
    path: str,
    truth: Mapping[str, Array],
    classes: Mapping[str, int],
    scale: tuple[float, float] = (1.0, 1.0),
) -> Wanted:
    """What the data set asks of an answer.

    Args:
        spec: The answer.
        path: Where the scenario says it.
        truth: The data set's arrays, first dimension N.
        classes: How many classes an array of labels has, by the array's name.
        scale: See `Wanted`.

    Raises:
        ScenarioError: The data set has no such truth, or another number of classes.
    """
    key, size = spec.truth_key, truth["image"].shape[1:3]
    if key and key not in truth:
        message = f"an answer of kind '{spec.kind}' is held against '{key}', which the data set "
        there = [name for name in truth if name not in ("image", "clean")]
        hint = f"lacks; it has {', '.join(there) or 'no truth at all'}"
        raise ScenarioError(message + hint, path=path, value=key)
    count, least = _classes(spec, key, truth, classes, path)
    shape = truth[key].shape[1:] if key else ()
    return Wanted(spec, path, count, (int(size[0]), int(size[1])), shape, least, scale)


def _classes(
    spec: AnswerSpec, key: str, truth: Mapping[str, Array], known: Mapping[str, int], path: str
) -> tuple[int | None, int]:
    """How many classes there are, as far as anybody says, and at least."""
    if not isinstance(spec, ClassificationAnswer | SegmentationAnswer | DetectionAnswer):
        return None, 0
    labels = truth["box_labels" if isinstance(spec, DetectionAnswer) else key]
    if labels.dtype.kind not in "iu":
        message = f"the data set's '{key}' is {labels.dtype}, which is no class"
        raise ScenarioError(message, path=path)
    count = known.get(key, known.get("box_labels") if key == "boxes" else None)
    said = len(spec.labels) if spec.labels is not None else spec.classes
    if count is not None and said is not None and said != count:
        what = "labels" if spec.labels is not None else "classes"
        message = f"the data set has {count} classes in '{key}', the answer says {said}"
        raise ScenarioError(message, path=f"{path}.{what}", value=said)
    is_map = isinstance(spec, SegmentationAnswer)
    occurring = labels[labels != IGNORED] if is_map else labels
    least = 1 + int(occurring.astype(np.int64).max(initial=-1))
    if said is not None and said < least:
        message = f"the data set has labels up to {least - 1} in '{key}', the answer says {said}"
        raise ScenarioError(message, path=path, value=said)
    return count if count is not None else said, least


# --- which tensor ------------------------------------------------------------------------------


def leaves(output: Any) -> dict[str, Tensor]:
    """The tensors of an output by name: ``out``, ``0``, ``aux.0``; of one tensor the name is empty.

    A list with one dictionary per picture, as torchvision's detectors give it, is that of the one.
    """
    if isinstance(output, list) and len(output) == 1 and isinstance(output[0], dict):
        output = output[0]
    pairs = tree_flatten_with_path(output)[0]
    return {".".join(map(_key, path)): leaf for path, leaf in pairs if isinstance(leaf, Tensor)}


def _key(entry: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def in_words(tensors: Mapping[str, Tensor]) -> str:
    """Names, types and shapes of tensors: ``0 float32 (1, 128), 1 float32 (1, 10)``."""
    return ", ".join(f"{name} {shown(tensor)}".strip() for name, tensor in tensors.items())


def shown(tensor: Tensor) -> str:
    """Type and shape: ``float32 (1, 10)``."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def chosen(output: Any, wanted: Wanted) -> Tensor:
    """The one tensor that the answer is.

    Raises:
        ScenarioError: There is none of that name, or several and none was named.
    """
    tensors, name = leaves(output), wanted.spec.output
    if not tensors:
        wanted.fail(f"no tensor but {type(output).__name__}", f"an answer '{wanted.spec.kind}'")
    if name is None:
        if len(tensors) == 1:
            return next(iter(tensors.values()))
        several = f"the network gives several tensors ({in_words(tensors)})"
        message = f"{several}; say which is the answer"
        raise ScenarioError(message, path=f"{wanted.path}.output", choices=tuple(tensors))
    return named(tensors, name, f"{wanted.path}.output")


def named(tensors: Mapping[str, Tensor], name: str | int, path: str) -> Tensor:
    """The tensor of a name, or of a place.

    Args:
        tensors: See `leaves`.
        name: As the scenario says it.
        path: Where it does.

    Raises:
        ScenarioError: There is none.
    """
    if str(name) in tensors:
        return tensors[str(name)]
    if isinstance(name, int) and name < len(tensors):
        return list(tensors.values())[name]
    message = f"the network gives no such tensor but {in_words(tensors)}"
    raise ScenarioError(message, path=path, value=name, choices=tuple(tensors))


def centre_maps(output: Any, wanted: Wanted) -> tuple[Tensor, Tensor] | None:
    """Logits of centres and extents of a centre-point detector; None: it names no such maps.

    Raises:
        ScenarioError: The network gives none of these names, or of another shape.
    """
    spec = wanted.spec
    if not isinstance(spec, DetectionAnswer) or spec.centres is None or spec.extents is None:
        return None
    tensors = leaves(output)
    centres = named(tensors, spec.centres, f"{wanted.path}.centres")
    extents = named(tensors, spec.extents, f"{wanted.path}.extents")
    least = 1 + max(spec.labels) - spec.first_label if spec.labels else wanted.classes or 1
    fits = centres.ndim == 4 and centres.shape[1] >= least
    if spec.labels is None and wanted.classes is not None:
        fits = fits and centres.shape[1] == wanted.classes
    if not fits or extents.shape != (len(centres), EXTENTS, *centres.shape[2:]):
        maps = f"centres {tuple(centres.shape)} and extents {tuple(extents.shape)}"
        wanted.fail(maps, f"centres (B, {least}, h, w) and extents (B, {EXTENTS}, h, w)")
    return centres, extents
