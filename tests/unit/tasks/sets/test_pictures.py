"""Pictures of every mode come as 8-bit colour or grey; what cannot be read is told by its path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_folders import flat, save
from simsplit.tasks.sets.contract import DataError
from simsplit.tasks.sets.pictures import picture_files, read_class_map, read_picture


def _colour(file: Path, channels: int = 3) -> list[int]:
    return [int(value) for value in read_picture(file, channels)[0, 0]]


def test_colour_comes_as_it_is_and_grey_as_its_luma(tmp_path: Path) -> None:
    file = save(flat((200, 100, 50)), tmp_path / "a.png")
    assert _colour(file) == [200, 100, 50]
    assert _colour(file, 1) == [round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)]  # Rec. 601
    assert read_picture(file, 1).shape == (12, 16, 1)


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    assert _colour(save(flat(77), tmp_path / "a.png")) == [77, 77, 77]


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    grey = np.full((4, 4), 257 * 100 + 120, np.uint16)  # 100.47
    assert _colour(save(grey, tmp_path / "a.png"), 1) == [100]


def test_a_palette_becomes_its_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(np.ones((4, 4), np.uint8))
    picture.putpalette([0, 0, 0, 12, 34, 56])
    picture.save(tmp_path / "a.png")
    assert _colour(tmp_path / "a.png") == [12, 34, 56]
    assert read_class_map(tmp_path / "a.png")[0, 0] == 1


def test_what_is_transparent_lies_over_black(tmp_path: Path) -> None:
    pixels = np.full((4, 4, 4), 200, np.uint8)
    pixels[..., 3] = 51  # a fifth
    assert _colour(save(pixels, tmp_path / "a.png")) == [40, 40, 40]


def test_a_jpeg_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    pixels = np.zeros((16, 32, 3), np.uint8)
    pixels[:, :16] = (255, 0, 0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise: left comes on top
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    turned = read_picture(tmp_path / "a.jpg", 3)
    assert turned.shape == (32, 16, 3)
    assert turned[4, 8, 0] > 240 and turned[28, 8, 0] < 15


def test_cmyk_becomes_colour(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    red, green, blue = _colour(tmp_path / "a.jpg")
    assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_a_truncated_file_is_refused(tmp_path: Path, ending: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    file = save(noise, tmp_path / f"a.{ending}")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match=rf"a\.{ending}: cannot be read as a picture: .*truncated"):
        read_picture(file, 3)


def test_files_of_other_kinds_are_no_pictures(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert [file.name for file in picture_files(tmp_path)] == ["a.JPG", "b.png"]
    (tmp_path / "c.tiff").write_bytes(b"x")
    with pytest.raises(DataError, match=r"c\.tiff: pictures of this format are not read"):
        picture_files(tmp_path)
