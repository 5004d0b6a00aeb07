"""The door to the data sets: open one by name or spec, its arrays from the cache or made anew.

The kinds are in `simsplit.tasks.sets`, what a user may say of them in `simsplit.scenario.data`, and
what each gives in `simsplit.tasks.sets.contract`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.files import text_digest, whole_file
from simsplit.scenario.data import NAMES, DataSpec, data_name, found_data
from simsplit.sources import code_digest
from simsplit.tasks import cityscapes
from simsplit.tasks.cache_folder import cache_directory
from simsplit.tasks.canvas import CLASSES
from simsplit.tasks.contact_sheet import contact_sheet
from simsplit.tasks.sets.cityscapes import open_cityscapes
from simsplit.tasks.sets.coco import open_coco
from simsplit.tasks.sets.contract import SPLITS, Arrays, DataError, Dataset, Split
from simsplit.tasks.sets.custom import open_custom
from simsplit.tasks.sets.digits import open_digits
from simsplit.tasks.sets.image_folder import open_image_folder
from simsplit.tasks.sets.kitti import open_kitti
from simsplit.tasks.sets.npz import open_npz
from simsplit.tasks.sets.photographs import open_photographs
from simsplit.tasks.sets.shapes import open_shapes
from simsplit.tasks.sets.streets import DEFAULT_SIZE_PX, RANGES, TRAIN_RANGE, open_streets
from simsplit.tasks.sets.voc import open_voc

__all__ = [
    "DATASETS",
    "DEFAULT_SIZE_PX",
    "SPLITS",
    "STREETS_RANGES",
    "TRAIN_RANGE",
    "Arrays",
    "Dataset",
    "Split",
    "cached_arrays",
    "class_names",
    "contact_sheet",
    "open_dataset",
    "test_samples",
]

DATASETS = NAMES
STREETS_RANGES = RANGES
_OPENERS: Mapping[str, Callable[..., Dataset]] = {
    "streets": open_streets,
    "shapes": open_shapes,
    "digits": open_digits,
    "photographs": open_photographs,
    "image_folder": open_image_folder,
    "coco": open_coco,
    "voc": open_voc,
    "cityscapes": open_cityscapes,
    "kitti": open_kitti,
    "npz": open_npz,
    "custom": open_custom,
}


def open_dataset(
    data: str | DataSpec,
    split: str,
    *,
    height: int | None = None,
    width: int | None = None,
    beside: Path | None = None,
    where: str = "dataset",
) -> Dataset:
    """Open a split; pictures are ``height`` x ``width`` px.

    When left out: streets 64 x 128, shapes 64 x 64, photographs 224 x 224, cityscapes 256 x 512, of
    pictures on disk the size of the first.

    Args:
        data: Bare name, or spec.
        split: ``train``, ``validation`` or ``test``.
        height: Of the pictures that it gives.
        width: Likewise.
        beside: Folder of the file that names the data set, for paths.
        where: The data set's place in the YAML, for errors.

    Raises:
        ScenarioError: An unknown name or split, a size that the data set does not have, a folder
            that is not there or not of that kind.
        ArtefactError: A picture of Cityscapes without its truth.
    """
    if split not in SPLITS:
        raise ScenarioError("unknown split", value=split, choices=SPLITS)
    spec = found_data(data, beside=beside, path=where)
    try:
        return _OPENERS[spec.kind](spec, cast(Split, split), height, width, where)
    except DataError as error:
        raise error.below(where) from None
    except ScenarioError as error:  # of a size
        error.path = error.path or where
        raise


def class_names(name: str) -> tuple[str, ...]:
    """What the values of a bundled set's ``segmentation`` stand for, from 0; empty without one."""
    if name not in NAMES:
        raise ScenarioError("unknown data set", value=name, choices=NAMES)
    return {"streets": CLASSES, "cityscapes": cityscapes.CLASSES}.get(name, ())


def class_counts(
    data: str | DataSpec, height: int, width: int, where: str = "task.dataset"
) -> dict[str, int]:
    """How many classes a data set's arrays of labels have, by the array's name.

    ``where``: the data set's place in the YAML, for errors.
    """
    heads = open_dataset(data, "test", height=height, width=width, where=where).heads
    return {key: len(names) for key, names in heads.items()}


def cached_arrays(dataset: Dataset, count: int) -> Arrays:
    """Give the first ``count`` samples, from disk when they were made before.

    The file's name holds a digest of data set, size, count, libraries and the code that makes it,
    and of what the data set's `Dataset.identity` says of the files. Disparity is float16 in the
    file and float32 in the answer, cached or not (rounding below 0.05 %). Everything is in memory
    at once: of Cityscapes 10 bytes per pixel while it is read and 8 from then on, that is 3.9 and
    3.1 GB for all 2,975 at 256 x 512.
    Raises IndexError for a count beyond the split.
    """
    if not 0 < count <= dataset.capacity:
        raise IndexError(f"{dataset.name} {dataset.split} has 1..{dataset.capacity} samples")
    path = cache_directory() / "datasets" / f"{dataset.name}-{_digest(dataset, count)}.npz"
    if not path.exists():
        with whole_file(path) as aside:
            np.savez(aside, **cast(Any, _small(dataset.arrays(range(count)))))
    with np.load(path, allow_pickle=False) as stored:
        return {key: _wide(stored[key]) for key in stored.files}


def _digest(dataset: Dataset, count: int) -> str:
    code = code_digest("simsplit.tasks.datasets")
    libraries = [version(name) for name in ("numpy", "pillow", "scikit-learn")]
    identity: tuple[object, ...] = (
        dataset.name, dataset.split, dataset.image_shape, count, code, libraries,
    )  # fmt: skip
    files = dataset.identity(count)
    return text_digest(repr((*identity, files) if files else identity))[:20]


def _small(arrays: Arrays) -> Arrays:
    return arrays | {key: arrays[key].astype(np.float16) for key in ("disparity",) if key in arrays}


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype == np.float16 else array


def test_samples(data: str | DataSpec, height: int, width: int, samples: int) -> Arrays:
    """The first ``samples`` of the test range; ScenarioError if there are not so many."""
    dataset = open_dataset(data, "test", height=height, width=width, where="task.dataset")
    if not 0 < samples <= len(dataset):
        message = f"the test range of {data_name(data)} holds {len(dataset)} samples"
        raise ScenarioError(message, path="task.samples", value=samples)
    return cached_arrays(dataset, samples)
