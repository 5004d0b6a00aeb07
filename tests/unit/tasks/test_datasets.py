"""Data sets: fixed disjoint splits, stable answers, a cache that is whole or absent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.tasks import datasets, streets
from simsplit.tasks.cache_folder import cache_directory
from simsplit.tasks.datasets import SPLITS, STREETS_RANGES, TRAIN_RANGE, open_dataset
from simsplit.tasks.sets.digits import digit_positions
from simsplit.tasks.sets.streets import Streets


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMSPLIT_CACHE", str(tmp_path / "cache"))


def test_street_ranges_do_not_meet() -> None:
    seen = [set(STREETS_RANGES[split]) for split in SPLITS]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])
    assert set(TRAIN_RANGE) <= seen[0]
    lengths = [len(open_dataset("streets", split)) for split in SPLITS]
    assert lengths == [4096, 512, 512]


def test_positions_stand_for_scene_indices() -> None:
    arrays = open_dataset("streets", "test", height=32, width=64).arrays([511, 0])
    expected = streets.render(2_000_511, height=32, width=64)
    assert arrays["image"].shape == (2, 32, 64, 3)
    for key in ("image", "clean", "segmentation", "disparity"):
        np.testing.assert_array_equal(arrays[key][0], getattr(expected, key))


def test_streets_have_their_own_size_when_none_is_given() -> None:
    assert open_dataset("streets", "train").image_shape == (64, 128, 3)
    assert open_dataset("streets", "train", height=128, width=256).image_shape == (128, 256, 3)


def test_digit_splits_part_the_whole_set_by_class() -> None:
    pytest.importorskip("sklearn")
    parts = [digit_positions(split) for split in SPLITS]
    assert sorted(np.concatenate(parts).tolist()) == list(range(1797))
    for split in SPLITS:
        data = open_dataset("digits", split)
        arrays = data.arrays(range(len(data)))
        assert np.bincount(arrays["label"], minlength=10).min() > 30
        assert arrays["image"].shape == (len(data), 8, 8, 1) and arrays["image"].max() == 255
        assert arrays["label"].dtype == np.int64 and arrays["image"].dtype == np.uint8


@pytest.mark.parametrize(
    ("name", "split", "height"),
    [("street", "train", None), ("streets", "val", None), ("streets", "train", 8),
     ("digits", "train", 16)],
)  # fmt: skip
def test_unknown_things_are_scenario_errors(name: str, split: str, height: int | None) -> None:
    with pytest.raises(ScenarioError):
        open_dataset(name, split, height=height)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'streets'"):
        open_dataset("street", "train")


@pytest.mark.parametrize("position", [-1, 512])
def test_positions_outside_are_refused(position: int) -> None:
    with pytest.raises(IndexError, match="position"):
        open_dataset("streets", "validation").arrays([position])


def test_cache_gives_what_the_first_call_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_dataset("streets", "validation", height=32, width=64)
    first = datasets.cached_arrays(data, 3)
    made = data.arrays(range(3))
    monkeypatch.setattr(Streets, "read", None)  # a second rendering would fail
    again = datasets.cached_arrays(data, 3)
    for key in first:
        np.testing.assert_array_equal(first[key], again[key])
    np.testing.assert_array_equal(first["image"], made["image"])
    np.testing.assert_allclose(first["disparity"], made["disparity"], rtol=1e-3)
    assert first["disparity"].dtype == np.float32
    files = [path for path in cache_directory().rglob("*") if path.is_file()]
    assert len(files) == 1


def test_cache_tells_versions_sizes_and_counts_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    data = open_dataset("streets", "train", height=32, width=64)
    other = open_dataset("streets", "train", height=32, width=80)
    keys = {datasets._digest(data, 3), datasets._digest(data, 4), datasets._digest(other, 3)}
    monkeypatch.setattr(datasets, "code_digest", lambda *_: "other code")
    assert len(keys | {datasets._digest(data, 3)}) == 4


def test_a_write_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, **_: object) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match="disk full"):
        datasets.cached_arrays(open_dataset("streets", "train", height=16, width=32), 1)
    assert not [path for path in cache_directory().rglob("*") if path.is_file()]


def test_contact_sheets_are_pictures() -> None:
    sheet = datasets.contact_sheet(open_dataset("streets", "train", height=32, width=64), 3)
    assert sheet.shape == (2 * 32, 2 * 3 * 64, 3) and sheet.dtype == np.uint8
    pytest.importorskip("sklearn")
    grid = datasets.contact_sheet(open_dataset("digits", "train"), 10)
    assert grid.shape == (2 * 46, 8 * 36, 3) and grid.max() > 0
