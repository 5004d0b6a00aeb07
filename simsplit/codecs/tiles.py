"""Features as one grey image file of their channels, side by side, behind the range header.

The mosaic is that of Choi and Bajić, "Deep feature compression for collaborative object
detection", ICIP 2018: with C padded to 2^m channels it has 2^floor(m/2) rows of tiles and
2^ceil(m/2) columns. Alvar and Bajić, "Multi-task learning with compressible features for
collaborative intelligence", ICIP 2019 (arXiv 1902.05179), code it as PNG and as JPEG.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError, checked_feature
from simsplit.codecs.picture import FileFormat
from simsplit.codecs.quantise import (
    MAX_BITS,
    RANGE_HEADER,
    Quantised,
    check_bits,
    dequantise,
    pack_range,
    quantise,
    unpack_range,
)

_LUMA = np.array([299, 587, 114])  # thousandths of R, G and B (ITU-R BT.601)


class TilesCodec:
    """Min-max quantised feature as tiles of one grey image file behind the 8-byte range header.

    Of a lossless file the error is at most half a quantisation step. A lossy one adds its own,
    which has no bound but measured ones. Root mean square error in steps on Laplace noise, the
    worst there is for them, at qualities 95, 80, 50 and 10: JPEG 2.0, 7.9, 18 and 28; WebP 1.4,
    3.8, 6.9 and 16; AVIF 0.8, 1.9, 5.2 and 24. The contract test allows a fifth more.

    Args:
        shape: ``(C, h, w)`` of the features.
        bits: Bit depth, 1 to 8; 8 if the file is lossy, whose quality is meant for 256 levels.
        file: Format and setting of the file.

    Raises:
        CodecError: Another shape or bit depth.
    """

    def __init__(self, shape: tuple[int, ...], bits: int, file: FileFormat) -> None:
        if len(shape) != 3:
            raise CodecError(f"tiles need shape (C, h, w), not {shape}")
        if file.quality is not None and bits != MAX_BITS:
            raise CodecError(f"bit depth {bits}: a lossy {file.name} needs {MAX_BITS}")
        self.shape = (shape[0], shape[1], shape[2])
        self.bits = check_bits(bits)
        self.file = file

    def encode(self, array: NDArray[Any]) -> bytes:
        """Feature ``(C, h, w)`` → range header and file."""
        quantised = quantise(checked_feature(array, self.shape), self.bits)
        return pack_range(quantised) + self.file.compress(tile(quantised.codes)[..., None])

    def decode(self, payload: bytes) -> NDArray[np.float32]:
        """Payload → feature ``(C, h, w)``; CodecError if header, file or its size are wrong.

        A flipped bit inside a JPEG, WebP or AVIF may go unseen; CRC is the link's affair.
        """
        low, high = unpack_range(payload)
        size = mosaic_size(self.shape)
        codes = untile(_grey(self.file.expand(payload[RANGE_HEADER.size :], size)), self.shape)
        if int(codes.max()) >= 2**self.bits:
            raise CodecError(f"code {codes.max()} in a mosaic of {self.bits} bits")
        return dequantise(Quantised(codes, low, high, self.bits))


class PngTilesCodec(TilesCodec):
    """Tiles as PNG, lossless.

    A constant mosaic of 64x64 px takes 84 bytes, of 8x8 px 69 (8 of range header not counted).
    """

    def __init__(self, shape: tuple[int, ...], bits: int) -> None:
        super().__init__(shape, bits, FileFormat("png"))


class JpegTilesCodec(TilesCodec):
    """Tiles as grey JPEG at 8 bits, quality 1 to 95.

    A constant mosaic of 64x64 px takes 177 bytes, of 8x8 px 160. With libjpeg's standard Huffman
    tables, as most published studies have it, each JPEG has some 170 more (328 in all at 8x8).
    """

    def __init__(self, shape: tuple[int, ...], quality: int, bits: int = MAX_BITS) -> None:
        if not 1 <= quality <= 95:
            raise CodecError(f"quality {quality} of jpeg tiles is not within 1..95")
        super().__init__(shape, bits, FileFormat("jpeg", quality))


class WebpTilesCodec(TilesCodec):
    """Tiles as WebP at 8 bits: lossy of a quality 1 to 100, or lossless.

    WebP has no grey mode: the mosaic is coded as three equal colours, which in lossless files
    costs next to nothing, and in lossy ones two flat chroma planes and a luma of 220 levels
    instead of 256, so that a code may be off by one even at quality 100. What is decoded is the
    luma of the three colours. A constant mosaic of 64x64 px takes 66 bytes, lossless 40.
    """

    def __init__(
        self, shape: tuple[int, ...], quality: int | None = None, *, lossless: bool = False
    ) -> None:
        super().__init__(shape, MAX_BITS, FileFormat("webp", quality, lossless))


class AvifTilesCodec(TilesCodec):
    """Tiles as monochrome AVIF at 8 bits, quality 0 to 100.

    A constant mosaic takes about 300 bytes whatever its size, nearly all of them the container.
    """

    def __init__(self, shape: tuple[int, ...], quality: int) -> None:
        super().__init__(shape, MAX_BITS, FileFormat("avif", quality))


def mosaic_grid(channels: int) -> tuple[int, int]:
    """Rows and columns of tiles for a number of channels."""
    exponent = (channels - 1).bit_length()
    return 2 ** (exponent // 2), 2 ** (exponent - exponent // 2)


def mosaic_size(shape: tuple[int, int, int]) -> tuple[int, int]:
    """Height and width in px of the mosaic of features ``(C, h, w)``."""
    rows, columns = mosaic_grid(shape[0])
    return rows * shape[1], columns * shape[2]


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


def _grey(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(H, W, 1 or 3)`` → ``(H, W)``: the luma of three colours, exact where they are equal."""
    if picture.shape[2] == 1:
        return picture[..., 0]
    luma: NDArray[np.uint8] = ((picture @ _LUMA + 500) // 1000).astype(np.uint8)
    return luma
