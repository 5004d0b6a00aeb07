"""What a codec has to do for one array, in the figures that its time depends on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from simsplit.scenario.operating_points import CodecSpec, PictureCodecSpec

MAP = "map"  # an answer that is a map of classes: one grey PNG
Shapes = Sequence[tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Coding:
    """One array (or all tensors of a cut) as a codec sees it.

    Attributes:
        key: Which codec, see `codec_key`; `MAP` for an answer.
        elements: Colour values of a picture ``(H, W, C)``, values of features.
        coded_bytes: Length of the payload, header included.
        pixels: Height times width of a picture; 0 of features.
        channels: Of features that have a distribution each; 0: the codec builds none.
        table_entries: Entries of those distributions, channels times 2^bits.
    """

    key: str
    elements: int
    coded_bytes: float
    pixels: int = 0
    channels: int = 0
    table_entries: int = 0


def codec_key(spec: CodecSpec) -> str:
    """What a codec's time is filed under: its kind, and what changes the algorithm."""
    match spec.kind:
        case "webp" | "webp_tiles":
            return spec.kind.replace("webp", "webp_lossless") if spec.lossless else spec.kind
        case "custom":
            return spec.costs_like
        case "tensor":
            return f"tensor_{spec.dtype}"
        case _:
            return spec.kind


def coding_of(spec: CodecSpec, shapes: Shapes, coded_bytes: float) -> Coding:
    """What a codec does for arrays of these shapes that become so many bytes.

    Args:
        spec: As an operating point has it.
        shapes: Pictures ``(H, W, C)``, features ``(C, h, w)``, all tensors of a cut.
        coded_bytes: Length of the payload.
    """
    key, elements = codec_key(spec), sum(math.prod(shape) for shape in shapes)
    if isinstance(spec, PictureCodecSpec):
        return Coding(key, elements, coded_bytes, pixels=math.prod(shapes[0][:2]))
    if spec.kind not in ("entropy", "adaptive_entropy"):
        return Coding(key, elements, coded_bytes)
    channels = sum(shape[0] for shape in shapes)
    return Coding(key, elements, coded_bytes, 0, channels, channels * 2**spec.bits)


def range_coding(range_coded: tuple[int, ...], coded_bytes: float) -> Coding:
    """What the range coder of a trained code does.

    Args:
        range_coded: Symbols, channels and table entries.
        coded_bytes: Length of the payload.
    """
    symbols, channels, entries = range_coded
    return Coding("entropy", symbols, coded_bytes, 0, channels, entries)


def map_coding(shape: tuple[int, ...], coded_bytes: float) -> Coding:
    """What PNG does for a map of classes ``(H, W)``, the answer of a segmentation."""
    pixels = math.prod(shape)
    return Coding(MAP, pixels, coded_bytes, pixels=pixels)
