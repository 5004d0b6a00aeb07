"""What becomes of a picture before a network sees it: ``preprocess`` of an entry of ``networks:``.

Left out, a byte is divided by 255 and a grey picture is repeated for a network of three channels.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from simsplit.scenario.spec import Count, Number, Positive, Spec

Side = Annotated[Count, Field(le=8192)]
Size = Side | tuple[Side, Side]
PLACED = ("segmentation", "detection", "disparity", "reconstruction")
"""Kinds of answers that say where in the picture something is."""


class Preprocess(Spec):
    """In this order: channels, size, crop, scale, mean and standard deviation.

    ``channels``: 1 makes grey of colour (luma, Rec. 601), 3 repeats grey; left out: what the
    network takes. ``size_px``: of the shorter side, or [height, width]; antialiased. ``crop_px``:
    of the middle, a square's side or [height, width]. ``scale``: what a byte is multiplied by; 1 /
    255 if left out. ``mean`` and ``std``: per channel, of the scaled values: (x - mean) / std.
    """

    channels: Literal[1, 3] | None = None
    size_px: Size | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    crop_px: Size | None = None
    scale: Positive | None = None
    mean: tuple[Number, ...] = ()
    std: tuple[Positive, ...] = ()

    @field_validator("mean", "std")
    @classmethod
    def _per_channel(cls, values: tuple[float, ...]) -> tuple[float, ...]:
        if len(values) not in (0, 1, 3):
            raise ValueError(f"one number per channel, 1 or 3, found {len(values)}")
        return values

    @model_validator(mode="after")
    def _fits_channels(self) -> Preprocess:
        sizes = {len(values) for values in (self.mean, self.std) if values}
        if len(sizes) > 1:
            raise ValueError("mean and std are of as many channels")
        if self.channels is not None and sizes - {1, self.channels}:
            raise ValueError(f"{max(sizes)} means or deviations for {self.channels} channel(s)")
        return self


WeightsName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+_Weights\.[A-Za-z0-9_]+$")]


def _form(value: Any) -> str:
    """In brackets it is no part of a path (see mistakes.py)."""
    return "(name)" if isinstance(value, str) else "(mapping)"


PreprocessChoice = Annotated[
    Annotated[WeightsName, Tag("(name)")] | Annotated[Preprocess, Tag("(mapping)")],
    Discriminator(_form),
]
"""A mapping, or torchvision's name of weights, ``ResNet18_Weights.IMAGENET1K_V1``: theirs."""
