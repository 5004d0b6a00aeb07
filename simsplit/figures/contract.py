"""What every kind of figure takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from simsplit.errors import ScenarioError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


SCALES = LINEAR, LOG = "linear", "log"
Limits = tuple[float, float]


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
        scale: Of the vertical axis, one of `SCALES`; None: linear.
        limits: Of the vertical axis, in the unit that it shows; None: as far as the values reach.
        label: What operating points, and other settings that are words, are called in print.
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
    scale: str | None = None
    limits: Limits | None = None
    label: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure and the numbers in it, which are written beside it as CSV.

    ``tables``: further tables by name, written beside it as CSV and LaTeX.
    """

    figure: Figure
    data: DataFrame
    tables: Mapping[str, DataFrame] = field(default_factory=dict)


def label_options(texts: Sequence[str]) -> dict[str, str]:
    """Texts ``NAME=TEXT`` of the command line, by name; a text may be quoted as in YAML.

    Raises:
        ScenarioError: One is not of that form, or a name is there twice.
    """
    labels: dict[str, str] = {}
    for said in texts:
        name, _, text = (part.strip() for part in said.partition("="))
        if not (name and text):
            raise ScenarioError("a label is NAME=TEXT", path="--label", value=said)
        if name in labels:
            raise ScenarioError(f"'{name}' has two labels", path="--label", value=said)
        labels[name] = _unquoted(text)
    return labels


def _unquoted(text: str) -> str:
    if text[0] not in "'\"":
        return text
    try:
        return str(yaml.safe_load(text))
    except yaml.YAMLError:
        return text
