"""Data sets that simsplit brings or draws itself: streets, shapes, digits, photographs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from simsplit.scenario.spec import Fraction, Reference, Spec

SHAPES_FACTORS = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
StreetsLabel = Literal["weather", "time", "vehicles", "persons", "signs", "nearest", "road"]
STREETS_LABELS: tuple[StreetsLabel, ...] = get_args(StreetsLabel)
_LATER: Mapping[str, tuple[str, ...]] = {"streets": ("labels", "noise"), "shapes": ("hold_out",)}
"""Keys that older scenarios do not know."""


class DrawnData(Spec):
    """What sets that simsplit draws may say; ``noise``: share of pixels that are black or white."""

    kind: str
    noise: Fraction = 0.0

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As always; later keys only where they are said, so that older digests hold."""
        content: dict[str, Any] = dump(self)
        later = _LATER[self.kind]
        return {k: v for k, v in content.items() if k not in later or v}


def _labels_once(labels: tuple[StreetsLabel, ...]) -> tuple[StreetsLabel, ...]:
    if len(set(labels)) < len(labels):
        raise ValueError("each label once")
    return labels


class StreetsData(DrawnData):
    """Street scenes that simsplit draws: classes, disparity, boxes, the clean picture.

    ``labels``: of the whole picture, too: ``weather`` (4 classes), ``time`` of day (3), and how
    many ``vehicles``, ``persons`` and ``signs`` are seen (0, 1, 2, 3 or more). ``noise``: salt and
    pepper, as of ``shapes``.
    """

    kind: Literal["streets"]
    labels: Annotated[tuple[StreetsLabel, ...], AfterValidator(_labels_once)] = ()


class DigitsData(Spec):
    """The 1,797 digits of scikit-learn, 8 x 8 px, grey: labels."""

    kind: Literal["digits"]


class PhotographsData(Spec):
    """Crops of scikit-learn's two photographs, of any size: no truth."""

    kind: Literal["photographs"]


class ShapesData(DrawnData):
    """Rooms with one object as in 3D Shapes (Burgess and Kim, 2018): six factors as labels.

    Drawn by simsplit at 64 x 64 or 128 x 128 px; of the official file ``3dshapes.h5`` if ``path``
    names it (64 x 64). ``noise``: share of pixels that become black or white (salt and pepper).
    ``hold_out``: share of the 100 pairs of floor and wall hue that no training picture shows, and
    that every validation and test picture does.
    """

    kind: Literal["shapes"]
    path: Reference | None = None
    hold_out: Annotated[Fraction, Field(le=0.99)] = 0.0

    @model_validator(mode="after")
    def _some_pair(self) -> ShapesData:
        if 0 < self.hold_out < 0.01:
            raise ValueError(f"hold_out is 0, or 0.01 (one pair of 100) to 0.99: {self.hold_out}")
        return self
