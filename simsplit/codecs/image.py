"""Pictures as PNG, JPEG or WebP through Pillow, and features as a PNG mosaic of their channels."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError, checked_feature
from simsplit.codecs.quantise import (
    RANGE_HEADER,
    Quantised,
    check_bits,
    dequantise,
    pack_range,
    quantise,
    unpack_range,
)

ImageFormat = Literal["png", "jpeg", "webp"]
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"  # the last chunk, which Pillow does not insist on


class ImageCodec:
    """uint8 pictures ``(H, W, 1 or 3)`` in a Pillow format; lossless for PNG only.

    Args:
        image_format: ``png``, ``jpeg`` (4:2:0, optimised Huffman tables) or ``webp`` (lossy).
        quality: 1 to 100 of JPEG and WebP; must be None for PNG.
    """

    def __init__(self, image_format: ImageFormat, quality: int | None = None) -> None:
        if (quality is None) != (image_format == "png"):
            raise CodecError(f"{image_format} with quality {quality}: PNG has none, others need it")
        if quality is not None and not 1 <= quality <= 100:
            raise CodecError(f"quality {quality} is not within 1..100")
        self.image_format = image_format
        self.quality = quality

    def encode(self, array: NDArray[Any]) -> bytes:
        """Picture → file bytes. Raises CodecError unless uint8 ``(H, W, 1 or 3)``, not empty."""
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3):
            raise CodecError(f"no uint8 picture (H, W, 1 or 3): {array.dtype} {array.shape}")
        return _compress(array, self.image_format, self.quality)

    def decode(self, payload: bytes) -> NDArray[np.uint8]:
        """File bytes → uint8 ``(H, W, 1 or 3)``; CodecError if Pillow cannot read them.

        WebP has no grey mode: a picture coded from one channel comes back with three.
        """
        return _expand(payload, self.image_format)


class PngTilesCodec:
    """Feature channels as tiles of one grey PNG behind the 8-byte range header.

    After Choi and Bajić, "Deep feature compression for collaborative object detection", ICIP 2018:
    with C padded to 2^m channels the mosaic has 2^floor(m/2) rows and 2^ceil(m/2) columns.

    Args:
        shape: ``(C, h, w)`` of the features.
        bits: Bit depth, 1 to 8.
    """

    def __init__(self, shape: tuple[int, ...], bits: int) -> None:
        if len(shape) != 3:
            raise CodecError(f"tiles need shape (C, h, w), not {shape}")
        self.shape = (shape[0], shape[1], shape[2])
        self.bits = check_bits(bits)

    def encode(self, array: NDArray[Any]) -> bytes:
        """Feature ``(C, h, w)`` → range header and PNG."""
        quantised = quantise(checked_feature(array, self.shape), self.bits)
        return pack_range(quantised) + _compress(tile(quantised.codes)[..., None], "png", None)

    def decode(self, payload: bytes) -> NDArray[np.float32]:
        """Payload → feature ``(C, h, w)``; CodecError if header, PNG or its size are wrong."""
        low, high = unpack_range(payload)
        mosaic = _expand(payload[RANGE_HEADER.size :], "png")
        codes = untile(mosaic[..., 0], self.shape)
        if int(codes.max()) >= 2**self.bits:
            raise CodecError(f"code {codes.max()} in a mosaic of {self.bits} bits")
        return dequantise(Quantised(codes, low, high, self.bits))


def mosaic_grid(channels: int) -> tuple[int, int]:
    """Rows and columns of tiles for a number of channels."""
    exponent = (channels - 1).bit_length()
    return 2 ** (exponent // 2), 2 ** (exponent - exponent // 2)


def tile(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(C, h, w)`` → ``(rows · h, columns · w)``, spare tiles 0."""
    channels, height, width = codes.shape
    rows, columns = mosaic_grid(channels)
    padded = np.zeros((rows * columns, height, width), np.uint8)
    padded[:channels] = codes
    grid = padded.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    return grid.reshape(rows * height, columns * width)


def untile(mosaic: NDArray[np.uint8], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Inverse of :func:`tile`; CodecError if the mosaic has another size."""
    channels, height, width = shape
    rows, columns = mosaic_grid(channels)
    if mosaic.shape != (rows * height, columns * width):
        raise CodecError(f"mosaic {mosaic.shape} does not hold features of shape {shape}")
    grid = mosaic.reshape(rows, height, columns, width).transpose(0, 2, 1, 3)
    return grid.reshape(rows * columns, height, width)[:channels]


def _compress(picture: NDArray[np.uint8], image_format: ImageFormat, quality: int | None) -> bytes:
    from PIL import Image

    if picture.size == 0:
        raise CodecError(f"nothing to code in a picture of shape {picture.shape}")
    options = {} if quality is None else {"quality": quality}
    buffer = io.BytesIO()
    image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
    image.save(buffer, format=image_format, optimize=image_format != "webp", **options)
    return buffer.getvalue()


def _expand(payload: bytes, image_format: ImageFormat) -> NDArray[np.uint8]:
    from PIL import Image

    if image_format == "png" and not payload.endswith(_PNG_END):
        raise CodecError("no readable png: its end is missing")
    try:
        with Image.open(io.BytesIO(payload), formats=[image_format]) as image:
            picture = np.asarray(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise CodecError(f"no readable {image_format}: {error}") from None
    return picture[..., None] if picture.ndim == 2 else picture
