"""Which data: the bundled sets by name, and a user's own by kind and path.

A bare name (``streets``) means the same as the mapping ``{kind: streets}`` and is written out as
the bare name. A path is looked for beside the YAML that names it, in the working folder, on
``SIMSPLIT_PATH``, and then below the folders of ``SIMSPLIT_DATA``.

The pictures that circulate are ``height_px`` x ``width_px`` of the task. Pictures on disk that are
of other sizes need ``fit``, which holds for the picture and for its truth alike:

    resize   the whole picture, stretched to that size
    crop     scaled until it covers that size, its aspect kept, and cut around its centre
    pad      scaled until it fits into that size, its aspect kept, and centred on black

Pictures are scaled by Pillow's antialiased bilinear filter; maps of classes and disparities take
the nearest pixel, disparities are multiplied by the horizontal scale, boxes move along and are cut
at the edges. Around a padded picture there is no label and no disparity.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Discriminator, Field, SerializerFunctionWrapHandler, Tag, model_serializer

from simsplit.errors import ScenarioError
from simsplit.scenario import bundled
from simsplit.scenario.drawn_data import SHAPES_FACTORS as SHAPES_FACTORS
from simsplit.scenario.drawn_data import DigitsData as DigitsData
from simsplit.scenario.drawn_data import PhotographsData as PhotographsData
from simsplit.scenario.drawn_data import ShapesData as ShapesData
from simsplit.scenario.drawn_data import StreetsData as StreetsData
from simsplit.scenario.picture_data import Classes, FoldedData, PictureData
from simsplit.scenario.picture_data import Shares as Shares
from simsplit.scenario.places import looked_in, search_folders
from simsplit.scenario.spec import Reference, Spec

VARIABLE = "SIMSPLIT_DATA"
Target = Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]

# --- kinds ------------------------------------------------------------------------------------


class ImageFolderData(FoldedData):
    """One folder per class, directly or below ``train``, ``validation`` (``val``) and ``test``.

    ``classes``: names of the folders in the order of their numbers; all, by name, if left out.
    """

    kind: Literal["image_folder"]
    path: Reference
    classes: Classes = None


class CocoData(PictureData):
    """COCO's layout: ``annotations/instances_<split>.json`` and a folder of pictures for each.

    ``masks``: maps of classes too (0 is background, then the categories in order).
    """

    kind: Literal["coco"]
    path: Reference
    masks: bool = False


class VocData(PictureData):
    """PASCAL VOC's layout: JPEGImages, Annotations, ImageSets, SegmentationClass.

    ``masks``: the maps of SegmentationClass too, of the pictures that have one. ``classes``: other
    than the twenty of VOC.
    """

    kind: Literal["voc"]
    path: Reference
    masks: bool = False
    classes: Classes = None


class CityscapesData(Spec):
    """Cityscapes; in the folder that ``path`` or else the variable CITYSCAPES_DATASET names.

    ``boxes``: of the objects of ``gtFine_instanceIds`` too (person, rider, car … bicycle).
    """

    kind: Literal["cityscapes"]
    path: Reference | None = None
    boxes: Annotated[bool, Field(strict=True)] = False

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The later key only where it is said, so that older digests hold."""
        content: dict[str, Any] = dump(self)
        return {key: value for key, value in content.items() if key != "boxes" or value}


class KittiData(PictureData):
    """KITTI stereo 2015: ``training/image_2`` with disparities in ``training/disp_occ_0``.

    ``disparity``: all points (``occ``) or those that both cameras see (``noc``).
    """

    kind: Literal["kitti"]
    path: Reference
    disparity: Literal["occ", "noc"] = "occ"


class NpzData(PictureData):
    """Arrays with the names of the contract in one ``.npz``, or in one per split in a folder.

    ``classes``: names of the labels, for as many as there are.
    """

    kind: Literal["npz"]
    path: Reference
    classes: Classes = None


class CustomData(PictureData):
    """A ``torch.utils.data.Dataset`` of a user's own.

    ``target``: its class, or a function that gives one; called with ``split`` and ``options``.
    """

    kind: Literal["custom"]
    target: Target
    options: dict[str, float | int | str | bool] = Field(default_factory=dict)
    classes: Classes = None


DataSpec = (
    StreetsData
    | ShapesData
    | DigitsData
    | PhotographsData
    | ImageFolderData
    | CocoData
    | VocData
    | CityscapesData
    | KittiData
    | NpzData
    | CustomData
)
BareName = Literal["streets", "shapes", "digits", "photographs", "cityscapes"]
NAMES: tuple[str, ...] = get_args(BareName)
"""Data sets that a bare name stands for."""
_BY_NAME: Mapping[str, DataSpec] = {
    "streets": StreetsData(kind="streets"),
    "shapes": ShapesData(kind="shapes"),
    "digits": DigitsData(kind="digits"),
    "photographs": PhotographsData(kind="photographs"),
    "cityscapes": CityscapesData(kind="cityscapes"),
}
BARE = "name"  # the tag of a bare name among the kinds


def _tag(value: Any) -> str | None:
    if isinstance(value, Mapping):
        kind = value.get("kind")
        return None if kind is None else str(kind)
    return getattr(value, "kind", BARE)


DataChoice = Annotated[
    Annotated[BareName, Tag(BARE)]
    | Annotated[StreetsData, Tag("streets")]
    | Annotated[ShapesData, Tag("shapes")]
    | Annotated[DigitsData, Tag("digits")]
    | Annotated[PhotographsData, Tag("photographs")]
    | Annotated[ImageFolderData, Tag("image_folder")]
    | Annotated[CocoData, Tag("coco")]
    | Annotated[VocData, Tag("voc")]
    | Annotated[CityscapesData, Tag("cityscapes")]
    | Annotated[KittiData, Tag("kitti")]
    | Annotated[NpzData, Tag("npz")]
    | Annotated[CustomData, Tag("custom")],
    Discriminator(_tag),
]
"""What ``dataset:`` takes: a bare name or a mapping with a kind."""
KINDS = tuple(get_args(spec.model_fields["kind"].annotation)[0] for spec in get_args(DataSpec))


def data_spec(data: str | DataSpec) -> DataSpec:
    """The spec that a bare name stands for; a spec as it is.

    Raises:
        ScenarioError: There is no such name.
    """
    if not isinstance(data, str):
        return data
    if data not in _BY_NAME:
        raise ScenarioError("unknown data set", value=data, choices=NAMES)
    return _BY_NAME[data]


def is_on_disk(spec: DataSpec) -> bool:
    """Whether a data set is a user's own: files, or a class of his."""
    return not isinstance(spec, StreetsData | DigitsData | PhotographsData) and not (
        isinstance(spec, ShapesData) and spec.path is None
    )


def truth_of(data: str | DataSpec) -> tuple[str, ...] | None:
    """Names of the arrays a set's truth has; None where only the data themselves can tell."""
    match data_spec(data):
        case StreetsData(labels=labels):
            own = ("segmentation", "disparity", "clean", "boxes", "box_labels")
            return *own, *(f"label_{name}" for name in labels)
        case CityscapesData(boxes=boxes):
            objects = ("boxes", "box_labels", "box_crowd") if boxes else ()
            return "segmentation", "disparity", *objects
        case DigitsData() | ImageFolderData():
            return ("label",)
        case ShapesData():
            return tuple(f"label_{factor}" for factor in SHAPES_FACTORS)
        case PhotographsData():
            return ()
        case KittiData():
            return ("disparity",)
        case CocoData(masks=masks) | VocData(masks=masks):
            return ("boxes", "box_labels", "box_crowd", *(("segmentation",) if masks else ()))
    return None


def is_same_data(one: Any, other: Any) -> bool:
    """Whether two mean the same set: kind, last part of path or target, fold; as YAML says them.

    A card remembers a user's set by these, since the folder may lie elsewhere today. The training
    pictures of one fold are the test pictures of another.
    """
    return _essence(one) == _essence(other)


def _essence(data: Any) -> tuple[Any, ...]:
    content = {"kind": data} if isinstance(data, str) else data
    if isinstance(content, Spec):
        content = content.model_dump(mode="json")
    name = Path(content.get("path") or content.get("target") or "").name
    return content["kind"], name, content.get("folds"), content.get("fold")


def portable(data: str | DataSpec) -> Any:
    """As a card remembers it: a bare name, or the mapping with the path's last part only."""
    if isinstance(data, str):
        return data
    content = data.model_dump(mode="json", exclude_defaults=True)
    named = getattr(data, "path", None)
    return content if named is None else content | {"path": Path(named).name}


def data_name(data: str | DataSpec) -> str:
    """A data set in a few words, for tables: kind, last part of its path or target, and fold."""
    spec = data_spec(data)
    what = getattr(spec, "path", None) or getattr(spec, "target", None)
    fold = f", fold {spec.fold}" if isinstance(spec, ImageFolderData) and spec.fold else ""
    return spec.kind if what is None else f"{spec.kind} {Path(what).name}{fold}"


# --- where they are ---------------------------------------------------------------------------


def data_folders() -> list[Path]:
    """The folders of data sets that ``SIMSPLIT_DATA`` names, absolute."""
    entries = os.environ.get(VARIABLE, "").split(os.pathsep)
    return [Path(entry).expanduser().absolute() for entry in entries if entry.strip()]


def find_data(name: str, *, beside: Path | None = None, path: str = "") -> Path:
    """The folder or file of a data set, absolute.

    Args:
        name: As the user wrote it.
        beside: Folder of the file that names it.
        path: Where it is named, for the error.

    Raises:
        ScenarioError: There is none; the error lists where it was looked for.
    """
    text = os.path.expanduser(name.replace("\0", ""))
    for folder in (*search_folders(beside), *data_folders(), bundled.data_root()):
        try:
            if (folder / text).exists():
                return Path(os.path.abspath(folder / text))
        except OSError:  # a name that no file can have, a folder that is closed to us
            continue
    named = ", ".join(map(str, data_folders()))
    also = f"and below {VARIABLE}: {named}" if named else f"{VARIABLE} is not set"
    message = f"no such data set ({looked_in(beside)}; {also})"
    raise ScenarioError(message, path=path, value=name, choices=own_data())


def own_data() -> list[str]:
    """Names of the folders below those of ``SIMSPLIT_DATA``."""
    folders = (folder for folder in data_folders() if folder.is_dir())
    entries = (entry for folder in folders for entry in folder.iterdir())
    return sorted({e.name for e in entries if e.is_dir() and not e.name.startswith(".")})


def found_data(data: str | DataSpec, *, beside: Path | None = None, path: str = "") -> DataSpec:
    """The spec with its path found, see `find_data`."""
    spec = data_spec(data)
    named = getattr(spec, "path", None)
    if named is None:
        return spec
    where = str(find_data(named, beside=beside, path=f"{path}.path" if path else "path"))
    return spec if where == named else spec.model_copy(update={"path": where})
