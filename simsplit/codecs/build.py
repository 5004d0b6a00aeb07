"""The codec that a scenario's spec names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.codecs.adaptive import AdaptiveEntropyCodec
from simsplit.codecs.contract import CheckedCodec, Codec
from simsplit.codecs.entropy import EntropyCodec
from simsplit.codecs.picture import ImageCodec, is_available
from simsplit.codecs.tensors import PixelsCodec
from simsplit.codecs.tiles import AvifTilesCodec, JpegTilesCodec, PngTilesCodec, WebpTilesCodec
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.scenario.operating_points import (
    CodecSpec,
    CustomCodecSpec,
    EntropyCodecSpec,
    FeatureCodecSpec,
    OperatingPoint,
    PictureCodecSpec,
)
from simsplit.scenario.user_code import build_target

Tables = Mapping[int, NDArray[np.integer[Any]]]  # bit depth → (C, 2^bits) frequencies


def make_codec(
    spec: CodecSpec,
    shape: tuple[int, ...],
    tables: Tables | None = None,
    *,
    is_picture: bool = False,
    path: str = "codec",
) -> Codec:
    """The codec of one array that a spec names.

    Args:
        spec: As an operating point has it.
        shape: Of what is coded: pictures ``(H, W, C)`` in the raw scheme, features ``(C, h, w)``
            in the separate scheme.
        tables: Trained frequencies ``(C, 2^bits)`` by bit depth, for ``entropy`` alone.
        is_picture: What is coded is a picture, for ``custom`` alone.
        path: Where the spec stands in the YAML, for errors of ``custom``.

    Raises:
        ArtefactError: ``entropy``, and no table of its bit depth.
        CodecError: A shape that the codec does not take.
        ContractError: A user's own that breaks the contract.
        ScenarioError: A user's own that cannot be built; ``tensor``, which codes all tensors of a
            cut: `tensors.TensorsCodec`.
    """
    if isinstance(spec, PictureCodecSpec):
        return _picture_codec(spec, shape)
    if isinstance(spec, FeatureCodecSpec):
        return _feature_codec(spec, shape)
    if isinstance(spec, EntropyCodecSpec):
        return EntropyCodec(shape, _table(tables or {}, spec.bits))
    if isinstance(spec, CustomCodecSpec):
        return _custom_codec(spec, shape, is_picture, path)
    raise ScenarioError("codes all tensors of a cut, not one array", value=spec.kind)


def _custom_codec(
    spec: CustomCodecSpec, shape: tuple[int, ...], is_picture: bool, path: str
) -> Codec:
    where, options = f"{path}.target", spec.options
    own = build_target(spec.target, shape, path=where, base=Codec, options=options)
    return CheckedCodec(own, shape, is_picture=is_picture, who=spec.target, path=where)


def _picture_codec(spec: PictureCodecSpec, shape: tuple[int, ...]) -> Codec:
    match spec.kind:
        case "pixels":
            return PixelsCodec(shape)
        case "png":
            return ImageCodec("png")
        case "webp":
            return ImageCodec("webp", spec.quality, lossless=spec.lossless)
        case "jpeg" | "avif":
            return ImageCodec(spec.kind, spec.quality)


def _feature_codec(spec: FeatureCodecSpec, shape: tuple[int, ...]) -> Codec:
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


def _table(tables: Tables, bits: int) -> NDArray[np.integer[Any]]:
    if bits not in tables:
        message = "the weights hold no entropy table of this bit depth"
        raise ArtefactError(message, value=bits, choices=[str(depth) for depth in sorted(tables)])
    return tables[bits]


def is_own(point: OperatingPoint) -> bool:
    """Whether an operating point's codec is a user's own."""
    return isinstance(point.codec, CustomCodecSpec)


def examine_own(codecs: Iterable[Any]) -> None:
    """Hold codecs of a user's own to their contract, before anything is coded; others pass.

    Raises:
        ContractError: One breaks it.
    """
    for codec in codecs:
        if isinstance(codec, CheckedCodec):
            codec.examine()


def check_formats(points: Mapping[str, OperatingPoint]) -> None:
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
