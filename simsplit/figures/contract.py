"""What every kind of figure takes and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


@dataclass(frozen=True, slots=True)
class PlotOptions:
    """What a user may say of a figure; None: the kind's own choice.

    Attributes:
        metric: KPI on the vertical axis (see `simsplit.results.kpis`).
        axis: Column on the horizontal axis; for a heat map and a Pareto front the first dimension.
        against: Second dimension of a heat map or a Pareto front.
        by: Column whose values are the curves or bars; None: ``operating_point``.
        device: Device of a timeline, of the queues' device panel, of a map's transmit power.
        start_s, end_s: Window of a figure over time, in simulated seconds.
        style: Name of a style (`simsplit.figures.style.STYLES`).
        where: Rows to draw, each ``column == value[, value …]`` (`simsplit.results.frames.where`).
    """

    metric: str | None = None
    axis: str | None = None
    against: str | None = None
    by: str | None = None
    device: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    style: str = "ieee_column"
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure and the numbers in it, which are written beside it as CSV.

    ``tables``: further tables by name, written beside it as CSV and LaTeX.
    """

    figure: Figure
    data: DataFrame
    tables: Mapping[str, DataFrame] = field(default_factory=dict)
