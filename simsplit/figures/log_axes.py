"""Logarithmic axes: numbers written out, as many as can be read and no two touching."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from numpy.typing import NDArray

ENOUGH = 4  # labels; what comes first in `_choices` and has as many is taken
_SUBS: tuple[tuple[float, ...], ...] = ((1, 2, 5), (1, 1.5, 2, 3, 5, 7))
_COARSE: tuple[tuple[tuple[float, ...], int], ...] = (((1,), 12), ((1, 3), 12), ((1,), 5))
_STEPS = ([1, 2, 5, 10], [1, 4, 6, 10])
_DIGIT_EM = 0.64  # width of a digit in letters' sizes: DejaVu's, the widest of the styles' fonts


def log_scale(ax: Axes, name: Literal["x", "y"] = "x") -> None:
    """Make an axis logarithmic, with ticks as `plain_log_ticks` sets them."""
    getattr(ax, f"set_{name}scale")("log")
    plain_log_ticks(ax, name)


def plain_log_ticks(ax: Axes, name: Literal["x", "y"] = "x") -> None:
    """Ticks 1, 2, 5, 10 … as plain numbers, small ones without numbers between them.

    Which ones is decided when the figure is drawn, by the limits and the length that the axis has
    then. An axis on which these would be less than `ENOUGH` has closer ones, one on which they
    would touch has 1, 3, 10 … or powers of ten.
    """
    axis: Axis = getattr(ax, f"{name}axis")
    size: Any = mpl.rcParams["xtick.labelsize" if name == "x" else "ytick.labelsize"]
    axis.set_major_locator(PlainLogLocator(FontProperties(size=size).get_size_in_points(), name))
    axis.set_major_formatter(FuncFormatter(lambda value, _: _text(value)))
    axis.set_minor_locator(LogLocator(subs=range(1, 10), numticks=12))
    axis.set_minor_formatter(NullFormatter())


class PlainLogLocator(Locator):
    """Ticks of a logarithmic axis, x or y, whose numbers, ``pt`` points high, do not touch."""

    def __init__(self, pt: float, name: Literal["x", "y"]) -> None:
        self._pt = pt
        self._is_upright = name == "y"

    def __call__(self) -> Sequence[float]:
        """Ticks within the axis's limits."""
        axis: Any = self.axis
        return self.tick_values(*axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> Sequence[float]:
        """Ticks within limits above 0."""
        low, high = sorted((vmin, vmax))
        fitting = [ticks for ticks in _choices(low, high) if self._fits(ticks, low, high)]
        best = max(fitting, key=lambda ticks: min(len(ticks), ENOUGH), default=np.empty(0))
        return [float(tick) for tick in best]

    def _fits(self, ticks: NDArray[np.float64], low: float, high: float) -> bool:
        """Whether half a letter or more is between neighbours on the axis."""
        places_pt = self._length_pt() * np.log(ticks / low) / np.log(high / low)
        ems = [_DIGIT_EM * (1 if self._is_upright else len(_text(tick))) for tick in ticks]
        room_pt = self._pt * np.array(ems)
        needed_pt = (room_pt[1:] + room_pt[:-1]) / 2 + self._pt / 2
        return bool((np.diff(places_pt) >= needed_pt).all())

    def _length_pt(self) -> float:
        axis: Any = self.axis
        box = axis.axes.bbox
        return float(72 * (box.height if self._is_upright else box.width) / axis.figure.dpi)


def _choices(low: float, high: float) -> Iterator[NDArray[np.float64]]:
    """Ticks between the limits, those that read best first."""
    for subs in _SUBS:
        yield _within(LogLocator(subs=subs, numticks=12), low, high)
    if high < 10 * low:  # equal steps
        for steps, most in product(_STEPS, (4, 5, 6, 8, 10)):
            yield _within(MaxNLocator(most, steps=steps), low, high)
    for subs, most in _COARSE:
        yield (ticks := _within(LogLocator(subs=subs, numticks=most), low, high))
    yield ticks[:1]


def _within(locator: Locator, low: float, high: float) -> NDArray[np.float64]:
    ticks = np.asarray(locator.tick_values(low, high), float)
    return ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]


def _text(value: float) -> str:
    return f"{value:g}"
