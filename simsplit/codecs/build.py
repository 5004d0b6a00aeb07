"""The codec that a scenario's spec names: for pictures, and for features that need no table."""

from __future__ import annotations

from simsplit.codecs.adaptive import AdaptiveEntropyCodec
from simsplit.codecs.contract import Codec
from simsplit.codecs.formats import is_available
from simsplit.codecs.image import ImageCodec
from simsplit.codecs.tensors import PixelsCodec
from simsplit.codecs.tiles import AvifTilesCodec, JpegTilesCodec, PngTilesCodec, WebpTilesCodec
from simsplit.errors import ScenarioError
from simsplit.scenario import FeatureCodec, OperatingPoint, PictureCodec


def picture_codec(spec: PictureCodec, shape: tuple[int, ...]) -> Codec:
    """The codec of the raw scheme for pictures ``(H, W, C)``."""
    match spec.kind:
        case "pixels":
            return PixelsCodec(shape)
        case "png":
            return ImageCodec("png")
        case "webp":
            return ImageCodec("webp", spec.quality, lossless=spec.lossless)
        case "jpeg" | "avif":
            return ImageCodec(spec.kind, spec.quality)


def feature_codec(spec: FeatureCodec, shape: tuple[int, ...]) -> Codec:
    """The codec of the separate scheme for features ``(C, h, w)``, if it needs no trained table."""
    match spec.kind:
        case "png_tiles":
            return PngTilesCodec(shape, spec.bits)
        case "jpeg_tiles":
            return JpegTilesCodec(shape, spec.quality, spec.bits)
        case "webp_tiles":
            return WebpTilesCodec(shape, spec.quality, lossless=spec.lossless)
        case "avif_tiles":
            return AvifTilesCodec(shape, spec.quality)
        case "adaptive_entropy":
            return AdaptiveEntropyCodec(shape, spec.bits)


def check_formats(points: dict[str, OperatingPoint]) -> None:
    """Refuse what this installation cannot code, before anything is computed.

    Args:
        points: Operating points by their path in the YAML.

    Raises:
        ScenarioError: AVIF, and a Pillow without it.
    """
    for path, point in points.items():
        kind = "" if point.codec is None else point.codec.kind
        if kind.startswith("avif") and not is_available("avif"):
            message = "this Pillow was built without AVIF; install one that has it, or another kind"
            raise ScenarioError(message, path=f"{path}.codec.kind", value=kind)
