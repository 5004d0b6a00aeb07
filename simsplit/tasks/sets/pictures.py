"""Files of pictures, class maps and disparities as arrays; what cannot be read is told by its path.

Pictures: PNG, JPEG, WebP or BMP. A JPEG is turned as its EXIF orientation says; 16-bit grey becomes
8 bits by p / 257, rounded; a palette becomes its colours; what is transparent is laid over black.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from simsplit.tasks.sets.contract import DataError

ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
_FOREIGN = (".gif", ".tif", ".tiff", ".heic", ".avif", ".jp2", ".ppm", ".pgm", ".npy")
_SIXTEEN_BITS = ("I;16", "I;16B", "I;16L", "I")


def picture_files(folder: Path) -> list[Path]:
    """Pictures directly in a folder by name; hidden files and other kinds of files are no pictures.

    Raises:
        DataError: A picture of a format that is not read.
    """
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    foreign = [file for file in files if file.suffix.lower() in _FOREIGN]
    if foreign:
        message = "pictures of this format are not read"
        raise DataError(message, file=foreign[0], value=foreign[0].suffix, choices=ENDINGS)
    return [file for file in files if file.suffix.lower() in ENDINGS]


def read_picture(file: Path, channels: int) -> NDArray[np.uint8]:
    """A picture as ``(h, w, channels)`` uint8; see the module.

    Raises:
        DataError: It is not there, is cut off, or is no picture.
    """
    picture = _turned(_loaded(file))
    if picture.mode in _SIXTEEN_BITS:
        picture = Image.fromarray(_eight_bits(np.asarray(picture)))
    return to_channels(picture, channels)


def to_channels(picture: Image.Image, channels: int) -> NDArray[np.uint8]:
    """Pixels as ``(h, w, channels)`` uint8: colour of grey is three times the same."""
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        coloured = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (0, 0, 0, 255)), coloured)
    pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    return pixels[..., None] if channels == 1 else pixels


def read_class_map(file: Path) -> NDArray[np.uint8]:
    """Class of each pixel, ``(h, w)`` uint8: the bytes of an 8-bit grey or palette PNG.

    Raises:
        DataError: Unreadable, or of another kind.
    """
    picture = _loaded(file)
    if picture.mode not in ("L", "P"):
        message = "a map of classes must be 8-bit grey or with a palette"
        raise DataError(message, file=file, value=picture.mode)
    return np.asarray(picture)


def read_sixteen_bits(file: Path) -> NDArray[np.uint16]:
    """A 16-bit grey PNG, ``(h, w)``.

    Raises:
        DataError: Unreadable, or of another kind.
    """
    picture = _loaded(file)
    if picture.mode not in _SIXTEEN_BITS:
        raise DataError("must be 16-bit grey", file=file, value=picture.mode)
    return np.asarray(picture).astype(np.uint16)


def _loaded(file: Path) -> Image.Image:
    try:
        with Image.open(file, formats=FORMATS) as picture:
            picture.load()
            return picture
    except FileNotFoundError:
        raise DataError("there is no such file", file=file) from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        first = str(error).replace(str(file), "the file").splitlines()[0]
        raise DataError(f"cannot be read as a picture: {first}", file=file) from None


def _turned(picture: Image.Image) -> Image.Image:
    try:
        turned: Image.Image = ImageOps.exif_transpose(picture)
    except (ValueError, SyntaxError, TypeError, KeyError):  # damaged EXIF says no orientation
        return picture
    return turned


def _eight_bits(grey: NDArray[Any]) -> NDArray[np.uint8]:
    return np.rint(grey.astype(np.float64) / 257).clip(0, 255).astype(np.uint8)


def check_there(files: Iterable[Path], noun: str, top: Path) -> None:
    """All these files are there.

    Raises:
        DataError: Some are not; the first is named.
    """
    missing = [file for file in files if not file.is_file()]
    if missing:
        where = missing[0].relative_to(top).as_posix()
        raise DataError(f"{len(missing)} {noun} are missing, the first is {where}", file=top)
