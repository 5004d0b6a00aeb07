"""Pictures as PNG, JPEG, WebP or AVIF; and, as they always were, the tiles of features."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError
from simsplit.codecs.formats import FileFormat, ImageFormat
from simsplit.codecs.tiles import PngTilesCodec, mosaic_grid, tile, untile

__all__ = ["ImageCodec", "PngTilesCodec", "mosaic_grid", "tile", "untile"]


class ImageCodec:
    """uint8 pictures ``(H, W, 1 or 3)`` in a Pillow format; lossless for PNG, and WebP if asked.

    Args:
        image_format: ``png``, ``jpeg`` (4:2:0, optimised Huffman tables), ``webp`` or ``avif``.
        quality: 1 to 100 of JPEG and WebP, 0 to 100 of AVIF; must be None where lossless.
        lossless: WebP only.

    Raises:
        CodecError: A quality that does not fit the format, or no AVIF in this Pillow.
    """

    def __init__(
        self, image_format: ImageFormat, quality: int | None = None, *, lossless: bool = False
    ) -> None:
        self.file = FileFormat(image_format, quality, lossless)
        self.image_format = image_format
        self.quality = quality

    def encode(self, array: NDArray[Any]) -> bytes:
        """Picture → file bytes. Raises CodecError unless uint8 ``(H, W, 1 or 3)``, not empty."""
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (1, 3):
            raise CodecError(f"no uint8 picture (H, W, 1 or 3): {array.dtype} {array.shape}")
        return self.file.compress(array)

    def decode(self, payload: bytes) -> NDArray[np.uint8]:
        """File bytes → uint8 ``(H, W, 1 or 3)``; CodecError if Pillow cannot read them.

        WebP has no grey mode: a picture coded from one channel comes back with three. Whether a
        grey AVIF does depends on the version of Pillow.
        """
        return self.file.expand(payload)
