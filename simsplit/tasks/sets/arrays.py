"""Whether arrays are what the contract says: types, shapes, classes in range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.tasks.metrics import IGNORED
from simsplit.tasks.sets.contract import DataError

_KINDS = {  # name → (types, axes of one sample)
    "image": ("uint8", 3),
    "clean": ("uint8", 3),
    "label": ("int64", 0),
    "segmentation": ("uint8", 2),
    "disparity": ("float32", 2),
    "boxes": ("float32", 2),
    "box_labels": ("int64", 1),
    "box_crowd": ("bool", 1),
    "target": ("float32", 1),
}
NAMES = (*_KINDS, "label_<head>")


def kind_of(name: str) -> tuple[str, int]:
    """Type and axes (of one sample) of an array of the contract.

    Raises:
        DataError: The contract has no array of that name.
    """
    known = "label" if name.startswith("label_") else name
    if known not in _KINDS:
        raise DataError("no array of the contract has this name", value=name, choices=NAMES)
    return _KINDS[known]


def checked(name: str, array: NDArray[Any], *, is_one: bool = False) -> NDArray[Any]:
    """The array, whole numbers of any width as int64; ``is_one``: of one sample.

    Raises:
        DataError: Another type or another number of axes than the contract says.
    """
    dtype, axes = kind_of(name)
    axes += 0 if is_one else 1
    is_whole = dtype == "int64" and array.dtype.kind in "iu"
    is_real = dtype == "float32" and array.dtype == np.float64
    if array.dtype != dtype and not is_whole and not is_real:
        raise DataError(f"'{name}' must be of type {dtype}", value=str(array.dtype))
    if array.ndim != axes:
        shape = "x".join(map(str, array.shape)) or "a single number"
        raise DataError(f"'{name}' must have {axes} axes", value=shape)
    if name == "image" and array.shape[-1] not in (1, 3):
        raise DataError("'image' must have 1 or 3 channels, last", value=array.shape)
    if name == "boxes" and array.shape[-1] != 4:
        raise DataError("'boxes' must end in x0 y0 x1 y1", value=array.shape)
    return array.astype(dtype, copy=False)


def check_classes(arrays: Mapping[str, NDArray[Any]], heads: Mapping[str, tuple[str, ...]]) -> None:
    """Every label is one of its head's classes.

    Raises:
        DataError: One is not.
    """
    for name, names in heads.items():
        if name not in arrays:
            continue
        free = {"segmentation": IGNORED, "box_labels": -1}.get(name)
        values = arrays[name][arrays[name] != free] if free is not None else arrays[name]
        wrong = values[(values < 0) | (values >= len(names))]
        if wrong.size:
            message = f"'{name}' must be 0..{len(names) - 1}, for {len(names)} classes"
            raise DataError(message, key="classes", value=int(wrong.flat[0]))


def heads_of(
    arrays: Mapping[str, NDArray[Any]], classes: tuple[str, ...] | None
) -> dict[str, tuple[str, ...]]:
    """Class names of every array of labels: as given, else numbers up to the largest.

    Raises:
        DataError: Labels beyond the classes given.
    """
    heads = {}
    for name, array in arrays.items():
        if name != "label" and not name.startswith("label_") and name not in _CLASSED:
            continue
        valid = array[array != IGNORED] if name == "segmentation" else array
        count = 1 + int(valid.max()) if valid.size else 0
        heads[name] = classes or tuple(map(str, range(count)))
    check_classes(arrays, heads)
    return heads


_CLASSED = ("segmentation", "box_labels")
