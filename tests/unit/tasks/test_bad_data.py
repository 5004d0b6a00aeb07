"""What can be wrong with a user's data: each told with the YAML's path, the file and the cause."""

# ruff: noqa: E501  (one case per line)

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import data_folders as folders
from simsplit.errors import ScenarioError
from simsplit.scenario.data import CocoData
from simsplit.scenario.load import load
from simsplit.tasks.datasets import open_dataset
from simsplit.tasks.survey import NamedData, Survey, remarks_of, surveyed

Write = Callable[[Path], Any]


def _read_all(content: dict[str, Any], split: str = "test") -> None:
    """Open a data set as a scenario's task names it, and read all samples."""
    task = load("digits_smoke").model_dump(mode="json") | {"name": "bad"}
    task["task"] = {"dataset": content, "height_px": 12, "width_px": 16, "samples": 1}
    task["model"], task["networks"] = None, [_NETWORK]
    task["operating_points"] = [{"name": "p", "scheme": "local", "network": "n"}]
    for group in task["devices"]:
        group["operating_point"] = "p"
    spec = load(task).task.dataset
    data = open_dataset(spec, split, height=12, width=16, where="task.dataset")
    for position in range(len(data)):
        data.arrays([position])


_NETWORK = {"name": "n", "source": "resnet18", "weights": "random"}


# --- folders of classes -----------------------------------------------------------------------


def _folder(change: Write) -> Write:
    def write(top: Path) -> dict[str, Any]:
        change(folders.clothing(top, 3))
        return {"kind": "image_folder", "path": str(top), "split": _HALVES}

    return write


def _split_folder(change: Write) -> Write:
    def write(top: Path) -> dict[str, Any]:
        change(folders.clothing_splits(top))
        return {"kind": "image_folder", "path": str(top)}

    return write


_HALVES = {"train": 0, "validation": 0, "test": 1}


def _without(top: Path, *names: str) -> None:
    for name in names:
        for file in sorted((top / name).rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        (top / name).rmdir() if (top / name).is_dir() else None


def _truncated(file: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    folders.save(noise, file)
    file.write_bytes(file.read_bytes()[:300])


def _transposed(file: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(folders.flat((1, 2, 3))).save(file, exif=exif)


FOLDERS: dict[str, tuple[Write, str]] = {
    "empty class folder": (
        _folder(lambda top: (top / "shoes").mkdir()),
        r"task\.dataset\.path: .*shoes: the class folder holds no pictures",
    ),
    "no class folders": (
        _folder(lambda top: _without(top, *folders.CLOTHING)),
        r"task\.dataset\.path: .*there is no class folder",
    ),
    "pictures and no folders": (
        _folder(lambda top: (_without(top, *folders.CLOTHING), folders.save(folders.flat(1), top / "a.png"))),
        r"there is no class folder; expected is one folder per class",
    ),
    "truncated picture": (
        _folder(lambda top: _truncated(top / "hat" / "0001.png")),
        r"task\.dataset\.path: .*hat/0001\.png: cannot be read as a picture: .*truncated",
    ),
    "no picture at all": (
        _folder(lambda top: (top / "hat" / "0001.png").write_text("<html>")),
        r"hat/0001\.png: cannot be read as a picture: cannot identify",
    ),
    "an empty file": (
        _folder(lambda top: (top / "hat" / "0001.png").write_bytes(b"")),
        r"hat/0001\.png: cannot be read as a picture",
    ),
    "a pointer of Git LFS": (
        _folder(lambda top: (top / "hat" / "0001.png").write_text("version https://git-lfs")),
        r"hat/0001\.png: cannot be read as a picture",
    ),
    "a format that is not read": (
        _folder(lambda top: folders.save(folders.flat(1), top / "hat" / "0009.tiff")),
        r"hat/0009\.tiff: pictures of this format are not read .*'\.tiff'.*Choices: \.png",
    ),
    "sizes that differ": (
        _folder(lambda top: folders.save(folders.flat(1, 9, 9), top / "hat" / "0001.png")),
        r"task\.dataset\.fit: .*hat/0001\.png: the picture is 9 x 9 px.*12 x 16.*Choices: resize",
    ),
    "a picture that its EXIF turns": (
        _folder(lambda top: _transposed(top / "hat" / "0001.png")),
        r"task\.dataset\.fit: .*hat/0001\.png: the picture is 16 x 12 px",
    ),
    "class missing in a split": (
        _split_folder(lambda top: _without(top, "test/hat")),
        r"test: the test split lacks a class .*'hat'",
    ),
    "class in one split only": (
        _split_folder(lambda top: folders.save(folders.flat(1), top / "test" / "cap" / "1.png")),
        r"test: the test split has a class that another split lacks .*'cap'",
    ),
    "split missing": (
        _split_folder(lambda top: _without(top, "test")),
        r"there is no test split, only train, validation",
    ),
    "split twice": (
        _split_folder(lambda top: (top / "testing").mkdir()),
        r"both test and testing are there",
    ),
}  # fmt: skip


def _settings(**settings: Any) -> Write:
    return lambda top: {"kind": "image_folder", "path": str(folders.clothing(top, 3)), **settings}


SETTINGS: dict[str, tuple[Write, str]] = {
    "folder missing": (
        lambda top: {"kind": "image_folder", "path": "no_such_folder"},
        r"task\.dataset\.path: no such data set \(looked in .*SIMSPLIT_DATA.*'no_such_folder'",
    ),
    "a file for a folder": (
        lambda top: {"kind": "image_folder", "path": str(folders.npz(top / "a.npz"))},
        r"task\.dataset\.path: .*a\.npz: this is a file; a folder",
    ),
    "unknown class": (
        _settings(classes=["hat", "hut"], split=_HALVES),
        r"task\.dataset\.classes\[1\]: .*no such class folder \(found: 'hut'\).*'hat'",
    ),
    "class twice": (_settings(classes=["hat", "hat"]), r"task\.dataset\.classes: each class once"),
    "shares beyond one": (
        _settings(split={"train": 0.8, "test": 0.3}),
        r"task\.dataset\.split: train, validation and test must sum to 1, found 1\.2",
    ),
    "no share for what is asked": (
        _settings(split={"train": 1, "validation": 0, "test": 0}),
        r"task\.dataset\.split: .*the test split is empty",
    ),
    "one fold": (_settings(folds=1, fold=1), r"task\.dataset\.folds: .*or equal to 2.*found: 1"),
    "half a fold": (_settings(folds=2.5, fold=1), r"task\.dataset\.folds: .*integer.*2\.5"),
    "fold beyond": (_settings(folds=5, fold=6), r"task\.dataset\.fold: must be one of 1 … 5.*found: 6"),
    "fold zero": (_settings(folds=5, fold=0), r"task\.dataset\.fold: .*or equal to 1.*found: 0"),
    "folds without fold": (_settings(folds=5), r"task\.dataset\.fold: folds .* and fold .* need each other"),
    "fold without folds": (_settings(fold=2), r"task\.dataset\.fold: folds .* need each other .*found: 2"),
    "folds and shares": (
        _settings(folds=5, fold=1, split=_HALVES), r"task\.dataset\.folds: .*of split only the seed counts",
    ),
    "no training picture": (
        _settings(folds=5, fold=1, fold_validation=1), r"task\.dataset\.fold_validation: .*less than 1.*found: 1",
    ),
    "fold_validation without folds": (
        _settings(fold_validation=0.2), r"task\.dataset\.fold_validation: fold_validation needs folds",
    ),
    "folds of another kind": (
        lambda top: {"kind": "photographs", "folds": 5},
        r"task\.dataset\.folds: unknown key of kind 'photographs' \(it belongs to kind 'image_folder'",
    ),
    "more folds than pictures": (
        _settings(folds=13, fold=13), r"task\.dataset\.folds: .*the test split is empty",
    ),
    "unknown fit": (_settings(fit="stretch"), r"task\.dataset\.fit: not among.*'stretch'.*crop"),
    "two channels": (_settings(channels=2), r"task\.dataset\.channels: not among.*2.*Choices: 1, 3"),
    "unknown kind": (
        lambda top: {"kind": "imagefolder", "path": "."},
        r"task\.dataset\.kind: unknown kind .*Did you mean 'image_folder'",
    ),
    "no kind": (lambda top: {"path": "."}, r"task\.dataset\.kind: this key is required"),
    "unknown key": (_settings(clases=["a"]), r"task\.dataset\.clases: unknown key.*'classes'"),
    "key of another kind": (
        lambda top: {"kind": "photographs", "noise": 0.1},
        r"task\.dataset\.noise: unknown key of kind 'photographs' \(it belongs to kind 'streets', 'shapes'",
    ),
    "noise beyond one": (lambda top: {"kind": "shapes", "noise": 1.5}, r"task\.dataset\.noise: "),
    "shapes of another size": (lambda top: {"kind": "shapes"}, r"task\.dataset: shapes have another size"),
}  # fmt: skip


# --- COCO, VOC, KITTI -------------------------------------------------------------------------


def _coco(change: Callable[[dict[str, Any]], Any], **settings: Any) -> Write:
    def write(top: Path) -> dict[str, Any]:
        content = folders.coco_content()
        change(content)
        folders.coco(top, content)
        return {"kind": "coco", "path": str(top), "fit": "resize", **settings}

    return write


def _set(entry: str, key: str, value: Any, number: int = 0) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content[entry][number].update({key: value})


def _drop(entry: str, key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content[entry][0].pop(key)


COCO: dict[str, tuple[Write, str]] = {
    "box outside": (
        _coco(_set("annotations", "bbox", [20, 5, 15, 6])),
        r"instances_val2017\.json: annotation 1: the box lies outside its picture a\.png of 20 x 30",
    ),
    "box with a negative size": (
        _coco(_set("annotations", "bbox", [9, 5, -2, 6])), r"annotation 1: a box is x, y, width",
    ),
    "unknown category": (
        _coco(_set("annotations", "category_id", 4)),
        r"annotation 1 is of an unknown category \(found: 4\).*Choices: 3, 18, 90",
    ),
    "annotation of no picture": (
        _coco(_set("annotations", "image_id", 99)), r"annotation 1 is of no picture in the list.*99",
    ),
    "entry without a box": (
        _coco(_drop("annotations", "bbox")), r"an entry of 'annotations' has no bbox",
    ),
    "no list of categories": (
        _coco(lambda content: content.pop("categories")), r"has no list 'categories'",
    ),
    "no categories": (
        _coco(lambda content: content.update(categories=[])), r"there are no categories",
    ),
    "picture missing": (
        _coco(_set("images", "file_name", "c.png")), r"val2017/c\.png: there is no such file",
    ),
    "picture of another size": (
        _coco(_set("images", "height", 40)), r"b\.png: instances_val2017\.json says 40 x 30 px",
    ),
    "mask of another size": (
        _coco(_set("annotations", "segmentation", {"size": [20, 20], "counts": [400]}), masks=True),
        r"a\.png: a mask is of another size than its picture, 20 x 30",
    ),
    "runs that do not fill the picture": (
        _coco(_set("annotations", "segmentation", {"size": [20, 30], "counts": [9]}), masks=True),
        r"a mask's runs must sum to 600 pixels \(found: 9\)",
    ),
    "polygon of two points": (
        _coco(_set("annotations", "segmentation", [[1, 2, 3, 4]]), masks=True),
        r"a polygon needs three points",
    ),
    "mask missing": (
        _coco(_drop("annotations", "segmentation"), masks=True), r"a mask is a list of polygons",
    ),
    "damaged JSON": (
        lambda top: (_coco(lambda _: None)(top), (top / "annotations/instances_val2017.json").write_text("{"))[0],
        r"instances_val2017\.json: is no JSON",
    ),
    "no annotations": (
        lambda top: {"kind": "coco", "path": str(folders.clothing(top, 1))},
        r"no annotations; expected is annotations/instances_<split>\.json",
    ),
}  # fmt: skip


def _voc(change: Write, **settings: Any) -> Write:
    def write(top: Path) -> dict[str, Any]:
        change(folders.voc(top))
        return {"kind": "voc", "path": str(top), "fit": "resize", **settings}

    return write


def _replaced(name: str, old: str, new: str) -> Write:
    return lambda top: (top / name).write_text((top / name).read_text().replace(old, new))


def _kitti(change: Write) -> Write:
    def write(top: Path) -> dict[str, Any]:
        change(folders.kitti(top, 3))
        return {"kind": "kitti", "path": str(top), "fit": "resize", "split": _HALVES}

    return write


DISPARITY = "training/disp_occ_0/000001_10.png"
LAYOUTS: dict[str, tuple[Write, str]] = {
    "VOC: unknown class": (
        _voc(_replaced("Annotations/p2.xml", "person", "robot")),
        r"task\.dataset\.classes: .*p2\.xml: an object of an unknown class \(found: 'robot'\)",
    ),
    "VOC: box outside": (
        _voc(_replaced("Annotations/p2.xml", "<xmax>6<", "<xmax>60<")),
        r"p2\.jpg: a box lies outside the picture of 20 x 30 px",
    ),
    "VOC: box without an edge": (
        _voc(_replaced("Annotations/p2.xml", "<xmin>5</xmin>", "")),
        r"p2\.xml: a box needs xmin, ymin, xmax and ymax",
    ),
    "VOC: damaged XML": (_voc(_replaced("Annotations/p2.xml", "</annotation>", "")), r"p2\.xml: is no XML"),
    "VOC: annotation missing": (
        _voc(lambda top: (top / "Annotations/p2.xml").unlink()),
        r"1 annotations are missing, the first is Annotations/p2\.xml",
    ),
    "VOC: picture missing": (
        _voc(lambda top: (top / "JPEGImages/p1.jpg").unlink()),
        r"1 pictures are missing, the first is JPEGImages/p1\.jpg",
    ),
    "VOC: no list": (
        _voc(lambda top: (top / "ImageSets/Main/val.txt").unlink()), r"Main: there is no list val\.txt",
    ),
    "VOC: empty list": (
        _voc(lambda top: (top / "ImageSets/Main/val.txt").write_text("\n")), r"val\.txt: the list is empty",
    ),
    "VOC: map of another size": (
        _voc(lambda top: folders.save(folders.flat(1, 5, 5), top / "SegmentationClass/p2.png"), masks=True),
        r"p2\.jpg: segmentation is 5 x 5 px, its picture 20 x 30",
    ),
    "VOC: map in colour": (
        _voc(lambda top: folders.save(folders.flat((1, 1, 1), 20, 30), top / "SegmentationClass/p2.png"), masks=True),
        r"p2\.png: a map of classes must be 8-bit grey or with a palette \(found: 'RGB'\)",
    ),
    "VOC: class beyond the list": (
        _voc(lambda top: folders.save(folders.flat(77, 20, 30), top / "SegmentationClass/p2.png"), masks=True),
        r"p2\.png: the map holds a class beyond 20 \(found: 77\)",
    ),
    "VOC: another folder": (
        lambda top: {"kind": "voc", "path": str(folders.clothing(top, 1))},
        r"expected is a folder with JPEGImages",
    ),
    "KITTI: disparity missing": (
        _kitti(lambda top: (top / DISPARITY).unlink()), rf"1 disparities are missing, the first is {DISPARITY}",
    ),
    "KITTI: disparity of 8 bits": (
        _kitti(lambda top: folders.save(folders.flat(3, 8, 24), top / DISPARITY)),
        r"000001_10\.png: must be 16-bit grey \(found: 'L'\)",
    ),
    "KITTI: disparity of another size": (
        _kitti(lambda top: folders.save(np.ones((4, 4), np.uint16), top / DISPARITY)),
        r"000001_10\.png: disparity is 4 x 4 px, its picture 8 x 24",
    ),
    "KITTI: another folder": (
        lambda top: {"kind": "kitti", "path": str(folders.clothing(top, 1))},
        r"expected is training/image_2/\*_10\.png",
    ),
    "shapes: another file": (
        lambda top: {"kind": "shapes", "path": str(folders.npz(top / "3dshapes.h5.npz"))},
        r"task\.dataset: shapes have another size|cannot be read as HDF5",
    ),
}  # fmt: skip


# --- arrays and classes of a user's own -------------------------------------------------------


def _npz(**changes: Any) -> Write:
    return lambda top: {
        "kind": "npz", "path": str(folders.npz(top / "d.npz", **changes)), "fit": "resize",
        "split": _HALVES,
    }  # fmt: skip


def _only(**arrays: Any) -> Write:
    def write(top: Path) -> dict[str, Any]:
        top.mkdir()
        np.savez(top / "d.npz", **arrays)
        return {"kind": "npz", "path": str(top / "d.npz")}

    return write


NPZ: dict[str, tuple[Write, str]] = {
    "floats for a picture": (
        _npz(image=np.zeros((20, 6, 8, 3), np.float32)),
        r"d\.npz: 'image' must be of type uint8 \(found: 'float32'\)",
    ),
    "channels first": (
        _npz(image=np.zeros((20, 3, 6, 8), np.uint8)), r"'image' must have 1 or 3 channels, last",
    ),
    "no axis of channels": (
        _npz(image=np.zeros((20, 6, 8), np.uint8)), r"'image' must have 4 axes \(found: '20x6x8'\)",
    ),
    "labels as floats": (_npz(label=np.zeros(20)), r"'label' must be of type int64.*'float64'"),
    "labels one-hot": (
        _npz(label=np.zeros((20, 2), np.int64)), r"'label' must have 1 axes \(found: '20x2'\)",
    ),
    "a label below 0": (
        _npz(label=np.arange(20) - 1), r"classes: .*'label' must be 0\.\.18, for 19 classes.*-1",
    ),
    "fewer labels than pictures": (
        _npz(label=np.arange(9)), r"'label' holds 9 samples, 'image' 20",
    ),
    "an unknown name": (
        _npz(labels=np.arange(20)), r"no array of the contract.*'labels'\)\. Did you mean 'label'",
    ),
    "no pictures": (_only(label=np.arange(3)), r"d\.npz: there is no array 'image'.*'label'"),
    "objects": (
        _only(image=np.array([{"a": 1}], dtype=object)), r"d\.npz: cannot be read as an \.npz file",
    ),
    "boxes without labels": (
        _npz(boxes=np.zeros((20, 2, 4), np.float32)), r"'boxes' and 'box_labels' need each other",
    ),
    "segmentation of another size": (
        _npz(segmentation=np.zeros((20, 4, 4), np.uint8)), r"segmentation is 4 x 4 px, its picture 6 x 8",
    ),
    "fewer names than labels": (
        lambda top: _npz()(top) | {"classes": ["one"]},
        r"task\.dataset\.classes: .*'label' must be 0\.\.0, for 1 classes \(found: 1\)",
    ),
    "damaged": (
        lambda top: (_npz()(top), (top / "d.npz").write_bytes(b"PK\x03\x04 no"))[0],
        r"d\.npz: cannot be read as an \.npz file of plain arrays",
    ),
    "folder without arrays": (
        lambda top: {"kind": "npz", "path": str(folders.clothing(top, 1))},
        r"expected are train\.npz, validation\.npz and test\.npz",
    ),
}  # fmt: skip

CASES = {**FOLDERS, **SETTINGS, **{f"COCO: {k}": v for k, v in COCO.items()}, **LAYOUTS, **NPZ}


@pytest.fixture(autouse=True)
def _no_folders_of_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SIMSPLIT_DATA", raising=False)


@pytest.mark.parametrize("name", CASES)
def test_is_told(name: str, tmp_path: Path) -> None:
    write, message = CASES[name]
    content = write(tmp_path / "data")
    with pytest.raises(ScenarioError, match=message) as caught:
        _read_all(content)
    assert "task.dataset" in str(caught.value) and caught.value.exit_code == 2
    assert "\n" not in str(caught.value).strip()


OWN: dict[str, tuple[str, str]] = {
    "no length": ("class Own:\n    def __init__(self, split): pass\n", r"has no __len__\(\)"),
    "fails when built": (
        "def Own(split):\n    raise KeyError('disk')\n", r"cannot be built with split and options",
    ),
    "takes no split": ("def Own():\n    return [1]\n", r"cannot be built with split and options"),
    "is empty": ("def Own(split):\n    return []\n", r"target: the test split is empty"),
    "three things": ("def Own(split):\n    return [(1, 2, 3)]\n", r"an item must be \(picture, truth\)"),
    "truth of no kind": (
        "import numpy as np\ndef Own(split):\n    return [(np.zeros((12, 16, 3), np.uint8), 'cat')]\n",
        r"sample 0: truth must be a label, a map of classes",
    ),
    "normalised picture": (
        "import numpy as np\ndef Own(split):\n    return [(np.full((12, 16, 3), -1.5), 1)]\n",
        r"a picture of floats must be in 0\.\.1, before any normalisation",
    ),
    "another item each time": (
        "import numpy as np\nclass Own(list):\n    def __init__(self, split): super().__init__([0])\n"
        "    def __getitem__(self, i):\n"
        "        return np.random.randint(0, 255, (12, 16, 3)).astype(np.uint8), 1\n",
        r"item 0 differs each time",
    ),
    "fails on an item": (
        "class Own(list):\n    def __init__(self, split): super().__init__([0])\n"
        "    def __getitem__(self, i):\n        raise OSError('gone')\n",
        r"fails on item 0: .*gone",
    ),
    "unknown name": (
        "import numpy as np\ndef Own(split):\n"
        "    return [{'image': np.zeros((12, 16, 3), np.uint8), 'lable': 1}]\n",
        r"no array of the contract.*'lable'.*Did you mean 'label'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_of_a_user_s_own_class(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text, message = OWN[name]
    monkeypatch.setenv("SIMSPLIT_PATH", str(tmp_path))
    module = folders.own_module(tmp_path, f"bad_{abs(hash(tmp_path))}", text)
    with pytest.raises(ScenarioError, match=message) as caught:
        _read_all({"kind": "custom", "target": f"{module}:Own"})
    assert caught.value.path in ("task.dataset.target", "task.dataset.options")


def test_there_are_enough() -> None:
    assert len(CASES) + len(OWN) >= 60


def test_a_survey_lists_all_faults(tmp_path: Path) -> None:
    top = folders.clothing_splits(tmp_path / "d")
    for name in ("0000", "0003"):
        _truncated(top / "train" / "hat" / f"{name}.png")
    (top / "test" / "hat" / "0009.png").write_text(json.dumps("no picture"))
    spec = load_spec({"kind": "image_folder", "path": str(top)})
    surveys = surveyed(NamedData(spec))
    assert [len(survey.faults) for survey in surveys] == [2, 0, 1]
    assert surveys[0].counts["label"] == {"dress": 6, "hat": 4, "pants": 6, "shirt": 6}


def load_spec(content: dict[str, Any]) -> Any:
    """The spec of a mapping."""
    from simsplit.scenario.operating_points import Task

    return Task.model_validate({"dataset": content}).dataset


def test_boxes_without_area_are_counted_and_named(tmp_path: Path) -> None:
    content = folders.coco_content()
    flat = [{**content["annotations"][0], "id": 90 + n, "bbox": [3, 4, n, 0]} for n in (0, 6)]
    content["annotations"] += flat
    folders.coco(tmp_path, content)
    spec = CocoData(kind="coco", path=str(tmp_path), fit="resize")
    data = open_dataset(spec, "test", height=20, width=30)
    whole = data.arrays(range(len(data)))["box_labels"]
    assert (whole >= 0).sum() == len(content["annotations"]) - 2
    surveys = surveyed(NamedData(spec, (20, 30)))
    test = next(survey for survey in surveys if survey.split == "test")
    assert test.without_area == {"a.png": 2} and not test.faults
    said = "test: 2 boxes without area are left out, of 1 pictures: a.png"
    assert said in remarks_of(surveys)


def test_many_pictures_with_boxes_without_area_are_not_all_named() -> None:
    survey = Survey("train", without_area={f"{n}.png": 2 for n in range(7)})
    text = "train: 14 boxes without area are left out, of 7 pictures: 0.png, 1.png, 2.png, 3.png, 4.png, …"
    assert remarks_of([survey, Survey("test")]) == [text]
