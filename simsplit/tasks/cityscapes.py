"""Cityscapes (Cordts et al., CVPR 2016) from the folder a user has downloaded: nothing is shipped.

The layout is that of the official packages, unpacked into one folder, which the environment
variable ``CITYSCAPES_DATASET`` names (as for cityscapesScripts):

    leftImg8bit/<split>/<city>/<city>_<seq>_<frame>_leftImg8bit.png     8-bit RGB
    gtFine/<split>/<city>/<city>_<seq>_<frame>_gtFine_labelIds.png      8-bit, label ids
    gtFine/<split>/<city>/<city>_<seq>_<frame>_gtFine_instanceIds.png   16-bit, for boxes
    disparity/<split>/<city>/<city>_<seq>_<frame>_disparity.png         16-bit

Our ``train`` is their ``train`` (2,975 pictures). Our ``validation`` and ``test`` are both their
``val`` (500): the labels of their ``test`` are withheld, and papers score on ``val``. So whoever
chooses a network by its validation score must not report the test score as unseen.
Sources: label ids, classes and colours from cityscapesScripts ``helpers/labels.py``; instance ids
from its ``json2instanceImg.py``; disparity from its README: d = (p - 1) / 256 px for p > 0, and
p = 0 is no measurement.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.tasks.metrics import IGNORED
from simsplit.tasks.sets.samples import PADDING, padded

VARIABLE = "CITYSCAPES_DATASET"
DEFAULT_SIZE_PX = (256, 512)
FOLDERS = {"train": "train", "validation": "val", "test": "val"}

_LABELS = (
    (7, "road", (128, 64, 128)),
    (8, "sidewalk", (244, 35, 232)),
    (11, "building", (70, 70, 70)),
    (12, "wall", (102, 102, 156)),
    (13, "fence", (190, 153, 153)),
    (17, "pole", (153, 153, 153)),
    (19, "traffic light", (250, 170, 30)),
    (20, "traffic sign", (220, 220, 0)),
    (21, "vegetation", (107, 142, 35)),
    (22, "terrain", (152, 251, 152)),
    (23, "sky", (70, 130, 180)),
    (24, "person", (220, 20, 60)),
    (25, "rider", (255, 0, 0)),
    (26, "car", (0, 0, 142)),
    (27, "truck", (0, 0, 70)),
    (28, "bus", (0, 60, 100)),
    (31, "train", (0, 80, 100)),
    (32, "motorcycle", (0, 0, 230)),
    (33, "bicycle", (119, 11, 32)),
)  # label id, name, colour; the place in this list is the train id
CLASSES = tuple(name for _, name, _ in _LABELS)
PALETTE: NDArray[np.uint8] = np.array([colour for *_, colour in _LABELS], np.uint8)
"""One RGB colour per class, (19, 3)."""
TRAIN_IDS: NDArray[np.uint8] = np.full(256, IGNORED, np.uint8)
"""Class of each label id, (256,); ``IGNORED`` for all that are not evaluated."""
TRAIN_IDS[[label_id for label_id, *_ in _LABELS]] = np.arange(len(_LABELS))

THINGS = CLASSES[CLASSES.index("person") :]
"""Classes whose objects have instance ids, as boxes are labelled."""
_THING_IDS = np.array([label_id for label_id, name, _ in _LABELS if name in THINGS])
_PER_CLASS = 1000  # an object's instance id is its class's label id times this, plus a number

_PICTURE = "_leftImg8bit.png"
_UNKNOWN_COLOUR = np.array((64, 0, 0), np.uint8)  # of pixels without disparity, in a contact sheet
_WANTED = (
    "expected is the folder that holds leftImg8bit, gtFine and disparity, each as "
    "<split>/<city>/*.png; the data are at https://www.cityscapes-dataset.com, packages "
    "leftImg8bit_trainvaltest, gtFine_trainvaltest and disparity_trainvaltest"
)


class Files(NamedTuple):
    """The files of one sample; ``instances`` where boxes are asked for."""

    picture: Path
    labels: Path
    disparity: Path
    instances: Path | None = None


# --- what there is -----------------------------------------------------------------------------


def root() -> Path:
    """The folder that the variable ``CITYSCAPES_DATASET`` names.

    Raises:
        ScenarioError: The variable is not set, or there is no such folder.
    """
    named = os.environ.get(VARIABLE, "")
    if not named:
        message = f"the environment variable {VARIABLE} is not set"
        raise ScenarioError(f"{message}: {_WANTED}", path="cityscapes")
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise ScenarioError(f"there is no folder {folder}: {_WANTED}", path=VARIABLE)
    return folder


def samples(
    split: str, folder_of_all: str | None = None, *, boxes: bool = False
) -> tuple[Files, ...]:
    """The files of one of our splits, sorted by city, sequence and frame.

    Args:
        folder_of_all: The data set's; by default `root`.
        boxes: Whether the files of instances are asked for, too.

    Raises:
        ScenarioError: As `root`, or the folder holds no pictures of that split.
        ArtefactError: A picture is without labels, disparity or instances that are asked for.
    """
    top = root() if folder_of_all is None else Path(folder_of_all)
    folder = top / "leftImg8bit" / FOLDERS[split]
    pictures = sorted(
        folder.glob(f"[!.]*/[!.]*{_PICTURE}"), key=lambda path: (path.parent.name, path.name)
    )
    if not pictures:
        raise ScenarioError(f"no pictures in {folder}: {_WANTED}", path=VARIABLE)
    files = tuple(_files(top, picture, boxes) for picture in pictures)
    _check_whole(top, files)
    return files


def _files(top: Path, picture: Path, boxes: bool) -> Files:
    city = Path(*picture.parts[-3:-1])  # split/city
    frame = picture.name.removesuffix(_PICTURE)
    fine = top / "gtFine" / city
    return Files(
        picture,
        fine / f"{frame}_gtFine_labelIds.png",
        top / "disparity" / city / f"{frame}_disparity.png",
        fine / f"{frame}_gtFine_instanceIds.png" if boxes else None,
    )


def _check_whole(top: Path, files: Sequence[Files]) -> None:
    for noun, of_kind in (("labels", [f.labels for f in files]),
                          ("disparity", [f.disparity for f in files]),
                          ("instances", [f.instances for f in files if f.instances])):  # fmt: skip
        missing = [path for path in of_kind if not path.is_file()]
        if missing:
            message = f"{len(missing)} of {len(files)} pictures have no {noun}; the first misses"
            where = missing[0].relative_to(top).as_posix()
            raise ArtefactError(f"{message} {where} in {top}: {_WANTED}", path=VARIABLE)


def identity(files: Iterable[Files]) -> list[tuple[str, int]]:
    """Names (from the package's folder on) and sizes in bytes of all files: what a cache goes by.

    Where the folder is does not matter, so a moved data set keeps its cache.
    """
    paths = [path for sample in files for path in sample if path is not None]
    return [("/".join(path.parts[-4:]), path.stat().st_size) for path in paths]


# --- reading -----------------------------------------------------------------------------------


def read(files: Sequence[Files], height: int, width: int) -> dict[str, NDArray[Any]]:
    """The samples at ``height`` x ``width`` px.

    Pictures are averaged over areas (Pillow's BOX filter). Labels and disparities are those of the
    source pixel at the centre of each target pixel, and disparities are multiplied by ``width``
    over the source's width (2048 in the official data), as they are px of the picture they are
    in. There is no ``clean``: the picture itself is what is to be reconstructed.

    Boxes enclose what is seen of an object in the source, and are scaled with the picture.

    Returns:
        ``image`` uint8 ``(N, H, W, 3)``; ``segmentation`` uint8 ``(N, H, W)``, train id or
        ``IGNORED``; ``disparity`` float32 ``(N, H, W)``, px, NaN where it is unknown. Where there
        are instances: ``boxes`` float32 ``(N, M, 4)``, px; ``box_labels`` int64 ``(N, M)``, place
        in `THINGS`; ``box_crowd`` bool ``(N, M)``: objects of a class that were not told apart.
        M is the most of these samples; rows beyond are NaN, -1 and false.

    Raises:
        ArtefactError: A file cannot be read, is of another kind, or has another size than its
            picture.
        ScenarioError: Pictures would have to be enlarged.
    """
    count = len(files)
    arrays: dict[str, NDArray[Any]] = {
        "image": np.empty((count, height, width, 3), np.uint8),
        "segmentation": np.empty((count, height, width), np.uint8),
        "disparity": np.empty((count, height, width), np.float32),
    }
    objects: list[dict[str, NDArray[Any]]] = []
    for row, sample in enumerate(files):
        given = _sample(sample, height, width)
        for key, array in arrays.items():
            array[row] = given.pop(key)
        objects.append(given)
    most = max((len(one["boxes"]) for one in objects if one), default=0)
    for key in objects[0] if objects else ():
        arrays[key] = np.stack([padded(one[key], most, PADDING[key]) for one in objects])
    return arrays


def _sample(files: Files, height: int, width: int) -> dict[str, NDArray[Any]]:
    image = _pixels(files.picture, ("RGB",), "8-bit RGB")
    maps = {files.labels: _pixels(files.labels, ("L",), "8-bit grey")}
    for path in (files.disparity, files.instances):
        if path is not None:
            maps[path] = _pixels(path, ("I;16", "I"), "16-bit grey")
    tall, wide = image.shape[:2]
    for path, array in maps.items():
        if array.shape != (tall, wide):
            size = f"{array.shape[0]} x {array.shape[1]} px, its picture {tall} x {wide}"
            raise ArtefactError(f"the file is {size}", path=str(path))
    if height > tall or width > wide:
        message = f"pictures are {tall} x {wide} px and are not enlarged"
        raise ScenarioError(message, path="cityscapes", value=f"{height} x {width}")
    disparity = disparity_px(_nearest(maps[files.disparity], height, width))
    sample = {
        "image": _averaged(image, height, width),
        "segmentation": TRAIN_IDS[_nearest(maps[files.labels], height, width)],
        "disparity": disparity * np.float32(width / wide),
    }
    if files.instances is None:
        return sample
    return sample | objects_of(maps[files.instances], (height / tall, width / wide))


def objects_of(
    instances: NDArray[np.integer[Any]], scale: tuple[float, float] = (1.0, 1.0)
) -> dict[str, NDArray[Any]]:
    """Boxes of what has an instance id, and of regions of a class whose objects have none.

    As cityscapesScripts writes them: an object's id is 1000 times its class's label id plus a
    number; a group that could not be told apart has the label id alone, and is marked as crowd.

    Args:
        instances: Ids ``(h, w)``.
        scale: What vertical and horizontal px are multiplied by.

    Returns:
        ``boxes`` float32 ``(n, 4)``, ``box_labels`` int64 and ``box_crowd`` bool ``(n,)``, by id.
    """
    rows, columns = np.nonzero(instances >= _THING_IDS[0])
    ids, of = np.unique(instances[rows, columns].astype(np.int64), return_inverse=True)
    low, high = np.full((len(ids), 2), np.inf), np.zeros((len(ids), 2))
    for axis, places in enumerate((columns, rows)):
        np.minimum.at(low[:, axis], of, places)
        np.maximum.at(high[:, axis], of, places + 1)
    label_ids = np.where(ids < _PER_CLASS, ids, ids // _PER_CLASS)
    kept = np.isin(label_ids, _THING_IDS)
    boxes = np.concatenate([low, high], axis=1) * (*scale[::-1], *scale[::-1])
    return {
        "boxes": boxes[kept].astype(np.float32),
        "box_labels": np.searchsorted(_THING_IDS, label_ids[kept]).astype(np.int64),
        "box_crowd": (ids < _PER_CLASS)[kept],
    }


def disparity_px(raw: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
    """Disparity in px of the picture as recorded: (p - 1) / 256 for p > 0, NaN for p = 0.

    Source: cityscapesScripts, README, "disparity".
    """
    values = (raw.astype(np.float32) - np.float32(1)) / np.float32(256)
    return np.where(raw > 0, values, np.float32(np.nan))


def _pixels(path: Path, modes: tuple[str, ...], kind: str) -> NDArray[Any]:
    try:
        with Image.open(path) as picture:
            mode, pixels = picture.mode, np.asarray(picture)
    except (OSError, SyntaxError) as error:
        raise ArtefactError(f"cannot be read as a picture: {error}", path=str(path)) from None
    if mode not in modes:
        raise ArtefactError(f"must be {kind}", path=str(path), value=mode)
    return pixels


def _averaged(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))


def _nearest(array: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Source pixels at the targets' centres: index floor((i + 1/2) source / target)."""
    tall, wide = array.shape
    rows = (2 * np.arange(height) + 1) * tall // (2 * height)
    columns = (2 * np.arange(width) + 1) * wide // (2 * width)
    return array[np.ix_(rows, columns)]


# --- looking -----------------------------------------------------------------------------------


def sheet_row(
    image: NDArray[np.uint8], segmentation: NDArray[np.uint8], disparity: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """One sample for a contact sheet: picture | classes in colour | disparity, (H, 3 W, 3).

    Ignored pixels are black. Disparity is brighter the nearer, white from a sixteenth of the width
    on (128 px of 2048, as far as the data go); where it is unknown the sheet is dark red.
    """
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(PALETTE)] = PALETTE
    unknown = np.isnan(disparity)
    share = np.clip(np.where(unknown, 0, disparity) * 16 / disparity.shape[1], 0, 1)
    grey = np.repeat((np.sqrt(share) * 255).astype(np.uint8)[..., None], 3, axis=-1)
    grey[unknown] = _UNKNOWN_COLOUR
    return np.concatenate([image, colours[segmentation], grey], axis=1)
