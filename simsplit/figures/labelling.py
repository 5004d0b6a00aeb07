"""Texts beside points where there is room for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox
    from numpy.typing import NDArray


_BESIDE: tuple[tuple[float, float, str, str], ...] = (
    (4, 0, "left", "center"),
    (-4, 0, "right", "center"),
    (0, 4, "center", "bottom"),
    (0, -4, "center", "top"),
    (3, 3, "left", "bottom"),
    (3, -3, "left", "top"),
    (-3, 3, "right", "bottom"),
    (-3, -3, "right", "top"),
)


def label_points(
    ax: Axes,
    points: NDArray[np.float64],
    texts: Sequence[str],
    lines: NDArray[np.float64],
    pt: float,
) -> list[str]:
    """Write texts beside their points, each where it covers nothing; those without room are left.

    The figure's layout must be as it will be saved.

    Args:
        ax: Where the points are.
        points: ``(N, 2)`` in data coordinates, those to be labelled first.
        texts: The first points' labels.
        lines: ``(M, 2, 2)`` segments in data coordinates that no label may cross.
        pt: Size of the letters in points.

    Returns:
        The texts that found room.
    """
    taken = [_around(*pixel) for pixel in ax.transData.transform(points)] if len(points) else []
    for start, end in lines:
        taken += _along(*ax.transData.transform([start, end]))
    placed = []
    for point, text in zip(points, texts, strict=False):
        box = _placed(ax, point, text, pt, taken)
        if box is not None:
            taken.append(box)
            placed.append(text)
    return placed


def _placed(
    ax: Axes, point: NDArray[np.float64], text: str, pt: float, taken: list[Bbox]
) -> Bbox | None:
    for right, up, horizontal, vertical in _BESIDE:
        offset: dict[str, Any] = {"xytext": (right, up), "textcoords": "offset points"}
        side: dict[str, Any] = {"ha": horizontal, "va": vertical}
        note = ax.annotate(text, tuple(point), size=pt, **offset, **side)
        note.set_in_layout(False)
        box = note.get_window_extent()
        if _inside(ax, box) and not any(box.overlaps(other) for other in taken):
            return box
        note.remove()
    return None


def _inside(ax: Axes, box: Bbox) -> bool:
    frame = ax.bbox.padded(-3)
    return bool(
        box.x0 >= frame.x0 and box.x1 <= frame.x1 and box.y0 >= frame.y0 and box.y1 <= frame.y1
    )


def _around(x: float, y: float, half_px: float = 5.0) -> Bbox:
    from matplotlib.transforms import Bbox

    return Bbox.from_extents(x - half_px, y - half_px, x + half_px, y + half_px)


def _along(start: NDArray[np.float64], end: NDArray[np.float64]) -> list[Bbox]:
    """Small boxes along a segment in pixels."""
    count = max(2, int(np.hypot(*(end - start)) / 4))
    return [_around(x, y, half_px=1.0) for x, y in np.linspace(start, end, count)]
