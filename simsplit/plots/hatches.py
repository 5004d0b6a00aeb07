"""Hatches as a few lines and dots, where Matplotlib's PGF backend would write a dense square inch.

A hatch is Matplotlib's text: which strokes, each letter repeated for density. Six per inch and
letter, slanting ones half as many.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, bottom, right, top
STROKES = {"/": (1,), "\\": (-1,), "x": (1, -1), "-": (0,), "|": (None,), "+": (0, None)}
DOTS = {".": 0.011, "o": 0.02}  # radius in inches
_PER_INCH = 6


def is_known(hatch: str) -> bool:
    """Whether `strokes` and `dots` draw all of it."""
    return set(hatch) <= {*STROKES, *DOTS}


def strokes(hatch: str, box: Box) -> Iterator[tuple[Point, Point]]:
    """Ends of the lines that cross a box in inches; on one grid for all boxes, to be clipped."""
    for letter in dict.fromkeys(hatch):
        step = 1 / (_PER_INCH * hatch.count(letter))
        for slope in STROKES.get(letter, ()):
            yield from _across(slope, 2 * step if slope else step, box)


def _across(slope: int | None, step: float, box: Box) -> Iterator[tuple[Point, Point]]:
    """Lines y = slope x + k step, or x = k step if the slope is None."""
    left, bottom, right, top = box
    if slope is None:
        for x in _grid(left, right, step):
            yield (x, bottom), (x, top)
        return
    ends = [bottom - slope * left, bottom - slope * right, top - slope * left, top - slope * right]
    for offset in _grid(min(ends), max(ends), step):
        yield (left, slope * left + offset), (right, slope * right + offset)


def dots(hatch: str, box: Box) -> Iterator[tuple[Point, float, bool]]:
    """Centre, radius (inches) and whether filled of the dots in a box, every other row shifted."""
    left, bottom, right, top = box
    for letter in dict.fromkeys(hatch):
        if letter not in DOTS:
            continue
        step = 1 / (_PER_INCH * hatch.count(letter))
        for y in _grid(bottom, top, step):
            shift = step / 2 if round(y / step) % 2 else 0.0
            for x in _grid(left - shift, right - shift, step):
                yield (x + shift, y), DOTS[letter], letter == "."


def _grid(low: float, high: float, step: float) -> Iterator[float]:
    """Multiples of the step between the ends."""
    for index in range(math.ceil(low / step), math.floor(high / step) + 1):
        yield index * step
