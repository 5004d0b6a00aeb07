"""Pictures, and tiles of features laid out as one, as PNG, JPEG, WebP or AVIF through Pillow.

Damaged files are refused. Fixed overhead, as the size of a constant grey 64x64 picture in bytes:
PNG 84, JPEG 177, WebP 66 (lossless 40), AVIF about 300. The JPEG is smaller than the 380 of
libjpeg's default because its Huffman tables are optimised, that is, cut down to the symbols that
occur; with all of a full table's symbols in use its header is the usual 328 bytes.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.contract import CodecError

ImageFormat = Literal["png", "jpeg", "webp", "avif"]
_QUALITY = {"jpeg": (1, 100), "webp": (1, 100), "avif": (0, 100)}
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"  # the last chunk, which Pillow does not insist on


@dataclass(frozen=True)
class FileFormat:
    """An image format with its setting; lossless for PNG, and for WebP with ``lossless``.

    JPEG is 4:2:0 with optimised Huffman tables. WebP has no grey mode: a grey picture is coded as
    three equal colours. AVIF codes grey as monochrome (4:0:0), at Pillow's speed 6 and in one
    thread, so that the same picture gives the same bytes.

    Args:
        name: ``png``, ``jpeg``, ``webp`` or ``avif``.
        quality: 1 to 100 of JPEG and lossy WebP, 0 to 100 of AVIF; None where lossless.
        lossless: WebP only.

    Raises:
        CodecError: A quality that does not fit the format, or no AVIF in this Pillow.
    """

    name: ImageFormat
    quality: int | None = None
    lossless: bool = False

    def __post_init__(self) -> None:
        if self.lossless and self.name != "webp":
            raise CodecError(f"{self.name} has no switch for lossless, only webp has")
        if (self.quality is None) != (self.lossless or self.name == "png"):
            message = "what is lossless has none, others need it"
            raise CodecError(f"{self.name} with quality {self.quality}: {message}")
        low, high = _QUALITY.get(self.name, (0, 0))
        if self.quality is not None and not low <= self.quality <= high:
            raise CodecError(f"quality {self.quality} of {self.name} is not within {low}..{high}")
        if not is_available(self.name):
            raise CodecError(f"this Pillow was built without {self.name}")

    def compress(self, picture: NDArray[np.uint8]) -> bytes:
        """Picture uint8 ``(H, W, 1 or 3)`` → file; CodecError if empty or beyond the format."""
        from PIL import Image

        if picture.size == 0:
            raise CodecError(f"nothing to code in a picture of shape {picture.shape}")
        buffer = io.BytesIO()
        image = Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture)
        try:
            image.save(buffer, format=self.name, **self._options())
        except (OSError, ValueError) as error:
            size = f"{picture.shape[0]} x {picture.shape[1]}"
            raise CodecError(f"{self.name} takes no picture of {size} px: {error}") from None
        return buffer.getvalue()

    def expand(self, payload: bytes, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """File → picture uint8 ``(H, W, 1 or 3)``, three colours of every WebP.

        Args:
            payload: The file.
            size: ``(H, W)`` where it is known: any other is refused before it is decoded.

        Raises:
            CodecError: Not a whole, readable file of this format, or of another size.
        """
        from PIL import Image

        if self.name == "png" and not payload.endswith(_PNG_END):
            raise CodecError("no readable png: its end is missing")
        try:
            with Image.open(io.BytesIO(payload), formats=[self.name]) as image:
                if size is not None and image.size != size[::-1]:
                    raise ValueError(f"{image.height} x {image.width} px where {size} was agreed")
                if image.mode not in ("L", "RGB"):
                    raise ValueError(f"no picture in grey or colour: {image.mode}")
                picture = np.asarray(image, dtype=np.uint8)
        except Exception as error:  # of a damaged header Pillow raises whatever its parser met
            raise CodecError(f"no readable {self.name}: {error}") from None
        return picture[..., None] if picture.ndim == 2 else picture

    def _options(self) -> dict[str, Any]:
        match self.name:
            case "png":
                return {"optimize": True}
            case "jpeg":
                return {"optimize": True, "quality": self.quality}
            case "webp":
                return {"lossless": True} if self.lossless else {"quality": self.quality}
            case "avif":
                return {"quality": self.quality, "max_threads": 1}


def is_available(name: ImageFormat) -> bool:
    """Whether this Pillow reads and writes the format; only AVIF may be missing."""
    if name != "avif":
        return True
    from PIL import features

    return bool(features.check("avif"))


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
