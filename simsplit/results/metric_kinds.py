"""What a metric is: its kind, which way is better, its unit and its range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

SCORE = "score_"
BOUNDLESS = -math.inf
_SHOWN_IN = {"s": ("ms", 1e3), "J": ("mJ", 1e3), "bit": ("kbit", 1e-3), "1": ("", 1.0)}


class Kind(StrEnum):
    """What a metric is a figure of, and whether a summary holds it as a KPI."""

    MEAN = "mean over the requests"
    SCORE = "mean over the scored requests"
    POOLED = "over the scored requests together"
    QUANTILE = "quantile over the requests"
    COMPLEMENT = "1 less another KPI"
    ROW = "a request alone"
    STATION = "a station over the whole run"
    BODY = "a group's devices, the worst of them"
    TABLE = "a row of a table"


class Better(StrEnum):
    """Which way a metric should go."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        name: Its column; of a station, how the columns' names begin.
        label: What axes and headers of figures and tables say.
        heading: The same where there is little room; empty: the label.
        unit: SI, dB or px; ``1`` for counts and shares.
        kind: What it is a figure of.
        better: Which way it should go.
        formula: How it is made.
        meaning: Of one request (of a ROW, MEAN or SCORE), else of the KPI; one sentence.
        least, most: The range of possible values.
        in_percent: Whether reports show it in per cent.
        source: Column that a QUANTILE is of; KPI that a COMPLEMENT is 1 less.
        quantile: Of a QUANTILE, in (0, 1).
    """

    name: str
    label: str
    formula: str
    meaning: str
    unit: str = "1"
    kind: Kind = Kind.MEAN
    better: Better = Better.LOWER
    heading: str = ""
    least: float = 0.0
    most: float = math.inf
    in_percent: bool = False
    source: str = ""
    quantile: float | None = None

    @property
    def short(self) -> str:
        """The heading, or the label if there is none."""
        return self.heading or self.label

    @property
    def shown_in(self) -> tuple[str, float]:
        """Unit in which reports show it (ms, mJ, kbit, %), and the factor from the stored value."""
        return ("%", 100.0) if self.in_percent else _SHOWN_IN.get(self.unit, (self.unit, 1.0))
