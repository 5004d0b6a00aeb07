"""Which kind of data set a folder or file is, by how it is laid out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from simsplit.errors import ScenarioError
from simsplit.scenario.data import NAMES, DataChoice, DataSpec, data_folders

_SIGNS = (
    ("cityscapes", "leftImg8bit"),
    ("kitti", "training/image_2"),
    ("voc", "JPEGImages"),
    ("voc", "VOCdevkit"),
    ("coco", "annotations"),
    ("npz", "*.npz"),
)  # kind, what its folder holds
_OF_FILES = {".npz": "npz", ".h5": "shapes"}


def kind_of(path: Path) -> str:
    """The kind of a data set.

    Raises:
        ScenarioError: A file that is of none.
    """
    if path.is_file():
        if path.suffix not in _OF_FILES:
            message = "not a data set: a folder, or a file that ends in"
            raise ScenarioError(message, value=str(path), choices=tuple(_OF_FILES))
        return _OF_FILES[path.suffix]
    signs = (kind for kind, sign in _SIGNS if next(path.glob(sign), None) is not None)
    return next(signs, "image_folder")


def mapping_of(path: Path) -> dict[str, Any]:
    """What a scenario would say of a data set whose kind is seen from its layout."""
    return {"kind": kind_of(path), "path": str(path)}


def spec_of(path: Path, **settings: Any) -> DataSpec:
    """The spec of a data set whose kind is seen from its layout; settings that it takes."""
    adapter: TypeAdapter[Any] = TypeAdapter(DataChoice)
    spec: DataSpec = adapter.validate_python(mapping_of(path))
    return spec.model_copy(update={k: v for k, v in settings.items() if hasattr(spec, k)})


def own_by_name(name: object) -> dict[str, Any] | None:
    """The mapping of a data set that lies under a bare name below ``SIMSPLIT_DATA``, if one does.

    Names of the bundled sets stay theirs.
    """
    if not isinstance(name, str) or name in NAMES or not name or Path(name).name != name:
        return None
    places = (folder / name for folder in data_folders())
    found = next((place for place in places if place.is_dir()), None)
    return None if found is None else mapping_of(found)
