"""A user's own ``torch.utils.data.Dataset``, or whatever has a length and gives items by position.

``target`` is called as ``target(split=split, **options)``. An item is

    (picture, truth)   truth: a whole number (label), a 2-D uint8 array (segmentation), a 1-D float
                       array (target), or a mapping of names of the contract
    a mapping          with ``image`` and names of the contract

A picture is a PIL image, a uint8 array (h, w) or (h, w, C), or a tensor (C, h, w), of uint8 or of
floats in 0..1. An item must be the same whenever it is asked for: augmentation belongs elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsplit.errors import ContractError
from simsplit.files import arrays_digest
from simsplit.scenario.data import CustomData
from simsplit.scenario.user_code import build_target, made_of, source_digest, users_code
from simsplit.tasks.sets.arrays import check_classes, checked, kind_of
from simsplit.tasks.sets.contract import DataError, Split
from simsplit.tasks.sets.fit import Sample
from simsplit.tasks.sets.npz import with_channels
from simsplit.tasks.sets.pictures import to_channels
from simsplit.tasks.sets.samples import SampleSet, settings_of, shape_of

KIND = "a data set"


class Items(Protocol):
    """What the class of a data set must have; a ``torch.utils.data.Dataset`` with a length has it.

    It is built with ``(split=..., **options)``, split being ``train``, ``validation`` or ``test``.
    """

    def __len__(self) -> int:
        """How many items."""

    def __getitem__(self, index: int) -> Any:
        """The item at a position, from 0: (picture, truth), or a mapping; the same each time."""


@dataclass(frozen=True, kw_only=True)
class Custom(SampleSet):
    """Whatever arrays the items have."""

    target: str
    items: Any = field(repr=False)

    def sample(self, position: int) -> Sample:
        """One item as arrays."""
        sample = read_item(self.items, position, self.target, self.image_shape[-1], self.where)
        check_classes({key: np.asarray(value) for key, value in sample.items()}, self.heads)
        return sample

    def files_of(self, position: int) -> tuple[Path, ...]:
        """None that we know of."""
        del position
        return ()

    def identity(self, count: int | None = None) -> list[Any]:
        """The settings, the source of the class, and the pixels and truth that it gives."""
        number = self.length if count is None else min(count, self.length)
        content = arrays_digest(self.read(range(number)))
        return [self.settings, source_digest(self.target), content]


def open_custom(
    spec: CustomData, split: Split, height: int | None, width: int | None, where: str
) -> Custom:
    """A split of a user's own data set.

    Raises:
        ScenarioError: The class is not there, may not be imported, or cannot be built.
        DataError: It has no length or gives no items, or gives another item each time.
    """
    items = build_target(
        spec.target,
        path=f"{where}.target",
        base=Items,
        options={"split": split, **spec.options},
        takes="split and options",
    )
    first = _checked_item(items, split, spec.target, spec.channels, where)
    return Custom(
        name="custom",
        split=split,
        length=_length(items, spec.target, where),
        image_shape=shape_of(height, width, spec.channels, first["image"].shape[:2]),
        heads=_heads(first, spec, items),
        where=where,
        fit=spec.fit,
        settings=settings_of(spec),
        target=spec.target,
        items=items,
    )


def check_data_set(
    thing: Any, options: Mapping[str, Any] | None = None, *, split: Split = "test"
) -> None:
    """Hold a data set to its contract: a class, built with ``split`` and options, or an object.

    Raises:
        ContractError: Names the clause that does not hold.
        ScenarioError: It cannot be built, or fails.
    """
    with_split = {"split": split, **dict(options or {})}
    items, who = made_of(thing, contract=Items, kind=KIND, options=with_split)
    try:
        _checked_item(items, split, who, 3, "")
    except DataError as error:
        raise ContractError.broken(who, KIND, error.message, error.value) from None


def _length(items: Any, target: str, where: str) -> int:
    with users_code(f"{target} has no length", f"{where}.target", target):
        return len(items)


def _checked_item(items: Any, split: str, target: str, channels: int, where: str) -> Sample:
    """The first item, which is there, of one of the forms, and the same when asked for again."""
    if not _length(items, target, where):
        raise DataError(f"the {split} split is empty", key="target", value=target)
    try:
        first, again = (read_item(items, 0, target, channels, where) for _ in range(2))
    except DataError as error:
        raise error.of("sample 0") from None
    if arrays_digest(_arrays(first)) != arrays_digest(_arrays(again)):
        message = "item 0 differs each time it is asked for; augmentation belongs into training"
        raise DataError(message, key="target", value=target)
    return first


def _arrays(sample: Sample) -> dict[str, NDArray[Any]]:
    return {key: np.asarray(value) for key, value in sample.items()}


def _heads(sample: Sample, spec: CustomData, items: Any) -> dict[str, tuple[str, ...]]:
    """Classes as the YAML says, else the object's ``classes``; none if neither does."""
    own = getattr(items, "classes", None)
    names = spec.classes or (tuple(map(str, own)) if isinstance(own, list | tuple) else None)
    keys = ("label", "segmentation", "box_labels")
    return {key: names for key in keys if key in sample and names}


# --- items ------------------------------------------------------------------------------------


def read_item(items: Any, position: int, target: str, channels: int, where: str) -> Sample:
    """An item as arrays of the contract.

    Raises:
        ScenarioError: The user's code fails.
        DataError: The item is of none of the forms that the module says.
    """
    with users_code(f"{target} fails on item {position}", f"{where}.target", target):
        item = items[position]
    try:
        content = _content(item)
        sample: Sample = {"image": _pixels(content.pop("image"), channels)}
        for name, value in content.items():
            kind, _ = kind_of(name)
            array = np.asarray(_plain(value))
            if kind == "float32" and array.dtype.kind == "f":
                array = array.astype(np.float32)
            sample[name] = checked(name, array, is_one=True)
    except DataError as error:
        error.path = "target"
        raise
    return sample


def _content(item: Any) -> dict[str, Any]:
    if isinstance(item, Mapping):
        if "image" not in item:
            raise DataError("an item has no 'image'", value=", ".join(map(str, item)))
        return dict(item)
    if not isinstance(item, tuple | list) or len(item) != 2:
        message = "an item must be (picture, truth) or a mapping with 'image'"
        raise DataError(message, value=type(item).__name__)
    picture, truth = item
    if isinstance(truth, Mapping):
        return {"image": picture, **truth}
    return {"image": picture, _name_of(np.asarray(_plain(truth))): truth}


def _name_of(truth: NDArray[Any]) -> str:
    if truth.ndim == 0 and truth.dtype.kind in "iu":
        return "label"
    if truth.ndim == 2 and truth.dtype == np.uint8:
        return "segmentation"
    if truth.ndim == 1 and truth.dtype.kind == "f":
        return "target"
    message = "truth must be a label, a map of classes, numbers, or a mapping with names"
    raise DataError(message, value=f"{truth.dtype} {truth.shape}")


def _plain(value: Any) -> Any:
    """A tensor as an array; anything else as it is."""
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _pixels(picture: Any, channels: int) -> NDArray[np.uint8]:
    if isinstance(picture, Image.Image):
        return to_channels(picture, channels)
    pixels = np.asarray(_plain(picture))
    if hasattr(picture, "detach") and pixels.ndim == 3:
        pixels = np.moveaxis(pixels, 0, -1)  # (C, h, w) → (h, w, C)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.dtype.kind == "f":
        if not (np.isfinite(pixels).all() and pixels.min() >= 0 and pixels.max() <= 1):
            message = "a picture of floats must be in 0..1, before any normalisation"
            raise DataError(message, value=f"{pixels.min():g}..{pixels.max():g}")
        pixels = np.rint(pixels * 255).astype(np.uint8)
    checked("image", pixels, is_one=True)
    return np.ascontiguousarray(with_channels(pixels, channels))
