"""Rooms with one object: factors, hues, sizes, places; and the same pixels tomorrow."""

from __future__ import annotations

import colorsys
import sys
from pathlib import Path

import numpy as np
import pytest

from simsplit.files import arrays_digest
from simsplit.scenario.data import SHAPES_FACTORS, ShapesData
from simsplit.tasks import rooms
from simsplit.tasks.datasets import SPLITS, open_dataset
from simsplit.tasks.sets import shapes
from simsplit.tasks.sets.contract import DataError

PIXELS = "cebb24352b65d95a3d2fc440f2fc040eada40adb5869b989802bd46ecd5aa76d"


def _thing(scale: int = 3, form: int = 0, orientation: int = 7, size: int = 64) -> np.ndarray:
    return rooms.layers(scale, form, orientation, size).thing_share


def test_a_combination_counts_as_in_the_official_file() -> None:
    assert shapes.TOTAL == 480_000
    assert shapes.factors_of([0, 14, 15, 60, 480, 479_999]).tolist() == [
        [0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 14],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 0],
        [0, 0, 1, 0, 0, 0],
        [9, 9, 9, 7, 3, 14],
    ]


def test_splits_share_no_combination() -> None:
    lengths = [len(open_dataset("shapes", split)) for split in SPLITS]
    assert lengths == [384_000, 48_000, 48_000]
    assert np.array_equal(np.sort(shapes.order()), np.arange(480_000))
    bounds = [shapes.BOUNDS[split] for split in SPLITS]
    assert [start for start, _ in bounds] == [0, *(end for _, end in bounds[:-1])]


def test_labels_are_the_factors_and_the_first_are_a_mixed_lot() -> None:
    data = open_dataset("shapes", "test")
    factors = shapes.factors_of(data.indices(range(200)))  # type: ignore[attr-defined]
    arrays = data.arrays(range(3))
    for column, (name, count) in enumerate(zip(SHAPES_FACTORS, shapes.COUNTS, strict=True)):
        np.testing.assert_array_equal(arrays[f"label_{name}"], factors[:3, column])
        assert len(data.heads[f"label_{name}"]) == count
        assert len(np.unique(factors[:, column])) == count


def test_hues_are_those_of_the_labels() -> None:
    """Floor at the bottom, wall at the top, object in the middle: hue k is k / 10 of the circle."""
    for floor, wall, thing in ((0, 3, 6), (9, 1, 4)):
        picture = rooms.picture((floor, wall, thing), 3, 2, 7, 64)
        for pixel, hue in (
            (picture[62, 5], floor),
            (picture[2, 5], wall),
            (picture[34, 32], thing),
        ):
            seen = colorsys.rgb_to_hsv(*(pixel / 255))[0]
            assert min(abs(seen - hue / 10), 1 - abs(seen - hue / 10)) < 0.01


def test_hues_move_no_edge() -> None:
    one, other = (rooms.picture(hues, 5, 1, 2, 64) for hues in ((0, 1, 2), (3, 4, 5)))
    assert ((one.max(axis=2) > 0) == (other.max(axis=2) > 0)).all()


@pytest.mark.parametrize("form", range(4))
def test_the_object_stands_in_the_middle_and_grows(form: int) -> None:
    areas = []
    for scale in (0, 3, 7):
        share = _thing(scale, form)
        rows, columns = np.nonzero(share > 0.5)
        assert abs(columns.mean() - 31.5) < 0.6 and 28 < rows.mean() < 42
        areas.append(share.sum())
    # 0.75, 0.964 and 1.25 in length; a little more in area, since it comes nearer
    assert areas[0] < areas[1] < areas[2]
    assert 2.5 < areas[2] / areas[0] < 3.6  # (1.25 / 0.75)^2 = 2.78 seen from afar


def test_forms_are_told_apart() -> None:
    areas = [float(_thing(form=form).sum()) for form in range(4)]
    width = [np.ptp(np.nonzero(_thing(form=form) > 0.5)[1]) for form in range(4)]
    assert len({round(area) for area in areas}) == 4
    assert width[0] > width[1] >= width[2] > width[3]  # a cube seen at its edge, ..., a capsule


def test_the_corner_moves_with_the_orientation() -> None:
    """The darker wall is left of the corner; its width at the top grows as the view turns."""

    def corner(orientation: int) -> int:
        row = rooms.layers(0, 2, orientation, 128).wall[1]
        return int(np.abs(np.diff(row)).argmax())

    places = [corner(orientation) for orientation in range(15)]
    steps = np.diff(places)
    assert (steps > 0).all() or (steps < 0).all()
    assert abs(places[7] - 63) <= 1  # straight ahead


def test_a_sphere_looks_the_same_from_everywhere_and_a_cube_does_not() -> None:
    np.testing.assert_allclose(_thing(form=2, orientation=0), _thing(form=2, orientation=9))
    assert np.abs(_thing(form=0, orientation=0) - _thing(form=0, orientation=9)).sum() > 5


def test_both_sizes_show_the_same_room() -> None:
    small, large = (rooms.picture((1, 5, 8), 4, 3, 10, size).astype(int) for size in (64, 128))
    halved = large.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
    assert np.abs(halved - small).mean() < 2


def test_noise_is_black_or_white_at_its_share() -> None:
    arrays = open_dataset(ShapesData(kind="shapes", noise=0.15), "test").arrays(range(6))
    clean = open_dataset("shapes", "test").arrays(range(6))["image"]
    np.testing.assert_array_equal(arrays["clean"], clean)
    changed = (arrays["image"] != clean).any(axis=-1)
    assert set(np.unique(arrays["image"][changed])) == {0, 255}
    share = changed.mean()  # of 24,576 pixels; standard deviation 0.0023
    assert abs(share - 0.15) < 0.01
    salt = (arrays["image"][changed] == 255).all(axis=-1).mean()
    assert abs(salt - 0.5) < 0.05


def test_pixels_stay_what_they_are() -> None:
    """Whoever changes them on purpose says so in the changelog."""
    assert arrays_digest(open_dataset("shapes", "test").arrays(range(4))) == PIXELS


def test_other_sizes_are_refused() -> None:
    with pytest.raises(DataError, match=r"dataset: shapes have another size.*64 x 64, 128 x 128"):
        open_dataset("shapes", "test", height=96, width=96)


class TestOfficialFile:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        """The official layout, all zeros but for the first test picture (chunks are sparse)."""
        h5py = pytest.importorskip("h5py")
        index = int(shapes.order()[shapes.BOUNDS["test"][0]])
        floor, wall, thing, scale, form, turn = shapes.factors_of([index])[0].tolist()
        with h5py.File(tmp_path / "3dshapes.h5", "w") as out:
            images = out.create_dataset("images", (480_000, 64, 64, 3), "u1", chunks=(1, 64, 64, 3))
            labels = out.create_dataset("labels", (480_000, 6), "f8", chunks=(1000, 6))
            images[index] = 99
            labels[index] = [
                floor / 10, wall / 10, thing / 10, rooms.SCALES[scale], form,
                rooms.ORIENTATIONS_DEG[turn],
            ]  # fmt: skip
        return tmp_path / "3dshapes.h5"

    def test_is_read(self, file: Path) -> None:
        data = open_dataset(ShapesData(kind="shapes", path=str(file)), "test")
        arrays = data.arrays([0])
        assert (arrays["image"] == 99).all() and arrays["image"].shape == (1, 64, 64, 3)
        mine = open_dataset("shapes", "test").arrays([0])
        assert all(arrays[key] == mine[key] for key in mine if key != "image")

    def test_wrong_labels_are_seen(self, file: Path) -> None:
        data = open_dataset(ShapesData(kind="shapes", path=str(file)), "test")
        with pytest.raises(DataError, match=r"dataset\.path: .*3dshapes\.h5: labels of picture"):
            data.arrays([1])

    def test_needs_h5py(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "h5py", None)
        with pytest.raises(DataError, match="pip install h5py"):
            open_dataset(ShapesData(kind="shapes", path=str(file)), "test")
