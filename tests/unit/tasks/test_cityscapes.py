"""Cityscapes, read from a miniature folder in the official layout; values worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.scenario.data import CityscapesData, truth_of
from simsplit.tasks import cityscapes, datasets
from simsplit.tasks.datasets import Dataset, open_dataset
from simsplit.tasks.truth_tiles import class_colour

FRAMES = (  # written in this order, which is not the sorted one
    ("weimar", "weimar_000001_000019"),
    ("weimar", "weimar_000000_000019"),
    ("aachen", "aachen_000002_000019"),
    ("aachen", "aachen_000000_000019"),
    ("aachen", "aachen_000001_000019"),
)
SORTED = [name for _, name in sorted(FRAMES)]
LABEL_IDS = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 7, 0, 33, 0, 9, 0, 31],  # road, bicycle, parking (not evaluated), train
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 1, 0, 255, 0, 11, 0, 34],  # own car, no id, building, a later id
    ],
    np.uint8,
)  # what is at odd places is at the centre of 2 x 2 px
RAW_DISPARITY = np.array(
    [
        [9, 9, 9, 9, 9, 9, 9, 9],
        [9, 0, 9, 1, 9, 257, 9, 513],  # none, 0, 1 and 2 px of 8
        [9, 9, 9, 9, 9, 9, 9, 9],
        [9, 129, 9, 0, 9, 65535, 9, 2],
    ],
    np.uint16,
)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CITYSCAPES_DATASET", raising=False)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five pictures of 4 x 8 px in val and one in train; picture i is 10 i, but for one pixel."""
    folder = tmp_path / "city"
    for city, frame in FRAMES:
        _write(folder, "val", city, frame, _picture(SORTED.index(frame)))
    _write(folder, "train", "ulm", "ulm_000000_000019", _picture(7))
    monkeypatch.setenv("CITYSCAPES_DATASET", str(folder))
    return folder


def _picture(number: int) -> NDArray[np.uint8]:
    picture = np.full((4, 8, 3), 10 * number, np.uint8)
    picture[0, 0] = (100, 120, 140)
    return picture


def _write(folder: Path, split: str, city: str, frame: str, picture: NDArray[np.uint8]) -> None:
    for kind, suffix, pixels in (
        ("leftImg8bit", "leftImg8bit", picture),
        ("gtFine", "gtFine_labelIds", LABEL_IDS),
        ("disparity", "disparity", RAW_DISPARITY),
    ):
        place = folder / kind / split / city
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place / f"{frame}_{suffix}.png")


def _open(split: str = "test") -> Dataset:
    return open_dataset("cityscapes", split, height=2, width=4)


@pytest.mark.usefixtures("root")
class TestArrays:
    def test_pictures_come_by_city_sequence_and_frame(self) -> None:
        data = _open()
        assert (len(data), data.capacity, data.image_shape) == (5, 5, (2, 4, 3))
        assert data.arrays(range(5))["image"][:, 1, 3, 0].tolist() == [0, 10, 20, 30, 40]
        assert data.arrays([4, 1])["image"][:, 1, 3, 0].tolist() == [40, 10]

    def test_a_pixel_is_the_mean_of_its_area(self) -> None:
        image = _open().arrays([2])["image"]
        assert image.dtype == np.uint8 and image.shape == (1, 2, 4, 3)
        assert image[0, 0, 0].tolist() == [40, 45, 50]  # (100 + 3 x 20) / 4, ...

    def test_label_ids_become_train_ids(self) -> None:
        labels = _open().arrays([0])["segmentation"]
        assert labels.dtype == np.uint8
        assert labels.tolist() == [[[0, 18, 255, 16], [255, 255, 2, 255]]]

    def test_disparity_is_px_of_the_smaller_picture(self) -> None:
        disparity = _open().arrays([0])["disparity"]
        # (p - 1) / 256 px, halved with the width: 8 px become 4
        expected = [[[np.nan, 0, 0.5, 1], [0.25, np.nan, 65534 / 512, 1 / 512]]]
        assert disparity.dtype == np.float32
        np.testing.assert_array_equal(disparity, np.array(expected, np.float32))

    def test_the_picture_itself_is_the_target(self) -> None:
        assert set(_open().arrays([0])) == {"image", "segmentation", "disparity"}

    def test_at_its_own_size_nothing_is_changed(self) -> None:
        arrays = open_dataset("cityscapes", "test", height=4, width=8).arrays([3])
        np.testing.assert_array_equal(arrays["image"][0], _picture(3))
        known = RAW_DISPARITY > 0
        np.testing.assert_array_equal(~np.isnan(arrays["disparity"][0]), known)
        expected = (RAW_DISPARITY[known] - 1.0) / 256
        np.testing.assert_array_equal(arrays["disparity"][0][known], expected.astype(np.float32))

    def test_test_and_validation_are_their_val(self) -> None:
        test, validation = _open("test").arrays([0, 1]), _open("validation").arrays([0, 1])
        for key, array in test.items():
            np.testing.assert_array_equal(validation[key], array)
        assert len(_open("train")) == 1
        assert _open("train").arrays([0])["image"][0, 1, 3, 0] == 70

    def test_the_paper_s_size_is_the_usual_one(self) -> None:
        assert open_dataset("cityscapes", "train").image_shape == (256, 512, 3)

    def test_positions_outside_are_refused(self) -> None:
        with pytest.raises(IndexError, match="position 5"):
            _open().arrays([5])

    def test_pictures_are_not_enlarged(self) -> None:
        with pytest.raises(ScenarioError, match="4 x 8 px and are not enlarged"):
            open_dataset("cityscapes", "test", height=4, width=9).arrays([0])
        with pytest.raises(ScenarioError, match="at least 1 x 1"):
            open_dataset("cityscapes", "test", height=0, width=4)


INSTANCES = np.array(
    [
        [7, 7, 26_003, 26_003, 7, 24, 24, 7],  # a car, partly hidden; a group
        [7, 7, 26_003, 26_012, 26_012, 24, 7, 33_000],  # what hides it; a bicycle
        [7, 7, 7, 26_012, 26_012, 7, 7, 29],  # a caravan, which is not evaluated
        [7, 26_003, 7, 7, 7, 7, 30_001, 0],
    ],
    np.uint16,
)


class TestBoxes:
    @pytest.fixture
    def spec(self, root: Path) -> CityscapesData:
        """The miniature, with instances of val beside the labels; none in the first picture."""
        for number, (city, frame) in enumerate(sorted(FRAMES)):
            ids = INSTANCES if number else np.full((4, 8), 7, np.uint16)
            file = root / "gtFine" / "val" / city / f"{frame}_gtFine_instanceIds.png"
            Image.fromarray(ids).save(file)
        return CityscapesData(kind="cityscapes", boxes=True)

    def test_they_enclose_what_is_seen_of_things_with_ids(self, spec: CityscapesData) -> None:
        data = open_dataset(spec, "test", height=4, width=8)
        arrays = data.arrays([1])
        assert data.heads["box_labels"] == cityscapes.THINGS
        assert [cityscapes.THINGS[label] for label in arrays["box_labels"][0]] == [
            "person", "car", "car", "bicycle",
        ]  # fmt: skip
        assert arrays["box_crowd"][0].tolist() == [True, False, False, False]
        expected = [[5, 0, 7, 2], [1, 0, 4, 4], [3, 1, 5, 3], [7, 1, 8, 2]]
        assert arrays["boxes"][0].tolist() == expected

    def test_they_are_scaled_with_the_picture(self, spec: CityscapesData) -> None:
        boxes = open_dataset(spec, "test", height=2, width=2).arrays([1])["boxes"][0]
        assert boxes.dtype == np.float32
        assert boxes[1].tolist() == [0.25, 0, 1, 2] and boxes[2].tolist() == [0.75, 0.5, 1.25, 1.5]

    def test_a_picture_without_things_has_rows_of_nothing(self, spec: CityscapesData) -> None:
        arrays = open_dataset(spec, "test", height=2, width=4).arrays([0, 1])
        assert np.isnan(arrays["boxes"][0]).all() and (arrays["box_labels"][0] == -1).all()
        assert not arrays["box_crowd"][0].any() and (arrays["box_labels"][1] >= 0).all()
        alone = open_dataset(spec, "test", height=2, width=4).arrays([0])
        assert alone["boxes"].shape == (1, 0, 4)

    def test_things_are_the_eight_that_are_evaluated(self) -> None:
        things = ("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
        assert things == cityscapes.THINGS
        ids = np.array([[24_000, 25_000, 26_000, 27_000, 28_000, 31_000, 32_000, 33_000]])
        assert cityscapes.objects_of(ids)["box_labels"].tolist() == list(range(8))

    def test_a_picture_lacks_its_instances(self, root: Path, spec: CityscapesData) -> None:
        name = "aachen_000001_000019_gtFine_instanceIds.png"
        (root / "gtFine" / "val" / "aachen" / name).unlink()
        with pytest.raises(ArtefactError, match=f"1 of 5 pictures have no instances; .*{name}"):
            open_dataset(spec, "test", height=2, width=4)
        assert len(_open()) == 5  # who wants no boxes needs no instances

    def test_the_cache_tells_sets_with_boxes_from_those_without(self, spec: CityscapesData) -> None:
        boxed = open_dataset(spec, "test", height=2, width=4)
        assert datasets._digest(boxed, 5) != datasets._digest(_open(), 5)
        assert "boxes" in datasets.cached_arrays(boxed, 5)
        assert "boxes" not in datasets.cached_arrays(_open(), 5)

    def test_what_says_no_boxes_is_written_down_as_before(self, spec: CityscapesData) -> None:
        plain = CityscapesData(kind="cityscapes", path="/data")
        assert plain.model_dump(mode="json") == {"kind": "cityscapes", "path": "/data"}
        assert spec.model_dump(mode="json")["boxes"] is True
        assert truth_of(plain) == ("segmentation", "disparity")
        assert truth_of(spec) == (*truth_of(plain), "boxes", "box_labels", "box_crowd")

    def test_a_contact_sheet_shows_them(self, spec: CityscapesData) -> None:
        plain, boxed = (
            datasets.contact_sheet(open_dataset(data, "test", height=4, width=8), 2)
            for data in ("cityscapes", spec)
        )
        assert plain.shape[:2] == (4, 2 * 3 * 8)
        assert boxed.shape[0] > 96 and (boxed == class_colour(2)).all(axis=-1).any()  # a car's


def test_widths_that_do_not_divide_take_the_pixel_at_the_centre() -> None:
    row = np.arange(8)[None]
    # centres of thirds of 8 px: 1.33, 4, 6.67
    assert cityscapes._nearest(row, 1, 3).tolist() == [[1, 4, 6]]


def test_classes_are_the_nineteen_evaluated_ones() -> None:
    assert datasets.class_names("cityscapes") == cityscapes.CLASSES
    assert len(cityscapes.CLASSES) == len(set(cityscapes.CLASSES)) == 19
    assert len({tuple(colour) for colour in cityscapes.PALETTE.tolist()}) == 19
    ids = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
    assert cityscapes.TRAIN_IDS[ids].tolist() == list(range(19))
    assert np.count_nonzero(cityscapes.TRAIN_IDS == 255) == 256 - 19
    assert cityscapes.CLASSES[cityscapes.TRAIN_IDS[26]] == "car"
    assert cityscapes.PALETTE[cityscapes.TRAIN_IDS[26]].tolist() == [0, 0, 142]


class TestCache:
    def test_gives_what_the_files_gave(self, root: Path) -> None:
        data = _open()
        first, made = datasets.cached_arrays(data, 5), data.arrays(range(5))
        for file in root.rglob("*.png"):
            file.write_bytes(b"x" * file.stat().st_size)  # a second reading would fail
        again = datasets.cached_arrays(_open(), 5)
        for key, array in first.items():
            np.testing.assert_array_equal(again[key], array)
        np.testing.assert_array_equal(first["image"], made["image"])
        np.testing.assert_array_equal(np.isnan(first["disparity"]), np.isnan(made["disparity"]))
        np.testing.assert_allclose(first["disparity"], made["disparity"], rtol=1e-3)

    def test_goes_by_names_and_sizes(self, root: Path) -> None:
        keys = [datasets._digest(_open(), 5)]
        noisy = np.random.default_rng(0).integers(0, 256, (4, 8, 3), np.uint8)
        _write(root, "val", "weimar", "weimar_000001_000019", noisy)
        keys.append(datasets._digest(_open(), 5))  # a file of another size
        _write(root, "val", "weimar", "weimar_000000_000007", noisy)
        keys.append(datasets._digest(_open(), 5))  # another file among the first five
        for file in root.rglob("*weimar_000000_000007*"):
            file.rename(file.with_name(file.name.replace("000007", "000008")))
        keys.append(datasets._digest(_open(), 5))  # another name, all sizes as they were
        assert len(set(keys)) == 4

    def test_outlives_a_move_of_the_folder(
        self, root: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = datasets._digest(_open(), 5)
        moved = root.rename(root.with_name("moved"))
        monkeypatch.setenv("CITYSCAPES_DATASET", str(moved))
        assert datasets._digest(_open(), 5) == before


class TestMistakes:
    def test_the_variable_is_not_set(self) -> None:
        with pytest.raises(ScenarioError, match="CITYSCAPES_DATASET is not set") as caught:
            _open()
        assert "\n" not in str(caught.value)
        for wanted in ("https://www.cityscapes-dataset.com", "disparity_trainvaltest"):
            assert wanted in str(caught.value)

    def test_the_folder_is_missing_or_another(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path / "nowhere"))
        with pytest.raises(ScenarioError, match=r"no folder .*nowhere"):
            _open()
        monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path))
        with pytest.raises(ScenarioError, match=r"no pictures in .*leftImg8bit/val"):
            _open()

    @pytest.mark.parametrize(
        ("kind", "noun", "suffix"),
        [("gtFine", "labels", "gtFine_labelIds"), ("disparity", "disparity", "disparity")],
    )
    def test_a_picture_lacks_its_truth(self, root: Path, kind: str, noun: str, suffix: str) -> None:
        name = f"aachen_000001_000019_{suffix}.png"
        (root / kind / "val" / "aachen" / name).unlink()
        expected = f"1 of 5 pictures have no {noun}; the first misses {kind}/val/aachen/{name}"
        with pytest.raises(ArtefactError, match=expected):
            _open()

    def test_sizes_differ(self, root: Path) -> None:
        file = root / "disparity" / "val" / "aachen" / "aachen_000000_000019_disparity.png"
        Image.fromarray(RAW_DISPARITY[:, :6]).save(file)
        with pytest.raises(ArtefactError, match=r"000000_000019_disparity.png.*4 x 6 px.*4 x 8"):
            _open().arrays([0])

    def test_a_file_is_of_another_kind(self, root: Path) -> None:
        file = root / "disparity" / "val" / "aachen" / "aachen_000000_000019_disparity.png"
        Image.fromarray(RAW_DISPARITY.astype(np.uint8)).save(file)
        with pytest.raises(ArtefactError, match=r"_disparity\.png: must be 16-bit grey"):
            _open().arrays([0])

    def test_a_file_is_cut_off(self, root: Path) -> None:
        file = root / "gtFine" / "val" / "aachen" / "aachen_000000_000019_gtFine_labelIds.png"
        file.write_bytes(file.read_bytes()[:40])
        with pytest.raises(ArtefactError, match=r"labelIds\.png: cannot be read"):
            _open().arrays([0])

    def test_leavings_of_a_file_system_are_no_pictures(self, root: Path) -> None:
        city = root / "leftImg8bit" / "val" / "aachen"
        (city / "._aachen_000000_000019_leftImg8bit.png").write_bytes(b"x")
        assert len(_open()) == 5


@pytest.mark.usefixtures("root")
def test_a_contact_sheet_shows_picture_classes_and_disparity() -> None:
    sheet = datasets.contact_sheet(_open())  # five rows of 3 x 4 px, two beside each other
    assert sheet.shape == (3 * 2, 2 * 3 * 4, 3) and sheet.dtype == np.uint8
    np.testing.assert_array_equal(sheet[:2, :4], _open().arrays([0])["image"][0])
    classes, disparity = sheet[:2, 4:8], sheet[:2, 8:12]
    assert classes[0, :3].tolist() == [[128, 64, 128], [119, 11, 32], [0, 0, 0]]
    assert disparity[0, 0].tolist() == [64, 0, 0]  # unknown
    assert disparity[0, 1].tolist() == [0, 0, 0] and disparity[0, 3].tolist() == [255] * 3
    with pytest.raises(IndexError):
        datasets.contact_sheet(_open(), 6)
