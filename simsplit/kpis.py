"""How a user names a KPI, and what a condition on one says: ``latency_s.p99 <= 0.1``.

A table of runs (`simsplit.results.flat_rows`) has a column per KPI and its interval beside it as
``<kpi>_ci_low`` and ``<kpi>_ci_high``. Users may also say

* ``accuracy``: the task's headline score (``score_miou``, else ``score_accuracy``);
* ``latency_s.p95`` (p50, p95, p99) or ``latency_s.mean``: ``latency_p95_s``, ``latency_s``;
* ``deadline_misses`` and ``losses``: 1 - ``deadline_met``, 1 - ``delivered``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from simsplit.errors import ScenarioError

HEADLINES = ("score_miou", "score_accuracy")
COMPLEMENTS = {"deadline_misses": "deadline_met", "losses": "delivered"}
ROUNDING = 1e-12  # 1 - 0.99 is not more than 1 %
SHARES = (*HEADLINES, "accuracy", "score_pixel_accuracy", *COMPLEMENTS, *COMPLEMENTS.values())
_BETTER_HIGH = ("delivered", "deadline_met", "battery_share")
_CONDITION = re.compile(r"\s*([\w.]+)\s*(<=|>=|<|>|≤|≥)\s*([^\s%]+)\s*(%?)\s*")


@dataclass(frozen=True, slots=True)
class Interval:
    """A KPI's mean with its 95 % interval; the ends are NaN where there is no interval."""

    mean: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half of the interval's length."""
        return (self.high - self.low) / 2

    def shown(self, factor: float = 1.0) -> str:
        """``mean ± half-width``, times a factor (100: per cent); without an interval the mean."""
        half = factor * self.half_width
        return f"{factor * self.mean:.4g}" + ("" if math.isnan(half) else f" ± {half:.2g}")


@dataclass(frozen=True, slots=True)
class Condition:
    """``kpi <= bound`` or ``kpi >= bound``; a per cent sign was divided out of ``bound``.

    As a text it is a key of stored results; people read ``shown``, which keeps the per cent sign.
    """

    kpi: str
    is_upper: bool
    bound: float
    is_percent: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        return f"{self.kpi} {self._sign} {self.bound:g}"

    @property
    def _sign(self) -> str:
        return "<=" if self.is_upper else ">="

    @property
    def shown(self) -> str:
        """The condition as the user said it."""
        return f"{self.kpi} {self._sign} {100 * self.bound:g} %" if self.is_percent else str(self)

    def shown_value(self, found: Interval) -> str:
        """What was found, in the unit in which the bound was said."""
        return f"{found.shown(100)} %" if self.is_percent else found.shown()

    def margin(self, value: float) -> float:
        """How far the value is on the good side; negative: violated (0: but for rounding)."""
        margin = self.bound - value if self.is_upper else value - self.bound
        return 0.0 if abs(margin) <= ROUNDING * (abs(self.bound) or 1.0) else margin

    def lacking(self, value: float) -> float:
        """By how much the value violates it, relative to the bound; 0: it holds; NaN stays NaN."""
        margin = self.margin(value)
        return margin if math.isnan(margin) else max(0.0, -margin) / (abs(self.bound) or 1.0)

    def certain(self, found: Interval) -> bool | None:
        """True or False if the whole interval says so, else None."""
        best, worst = sorted((self.margin(found.low), self.margin(found.high)))[::-1]
        if math.isnan(best) or math.isnan(worst):
            return None
        return True if worst >= 0 else False if best < 0 else None


def kpi_names(columns: Collection[str]) -> list[str]:
    """KPIs of a table: the columns that have an interval beside them."""
    return [name for name in columns if f"{name}_ci_low" in columns]


def kpi_column(name: str, columns: Collection[str]) -> str:
    """Column of a KPI as a user names it (see the module).

    Raises:
        ScenarioError: The table has no such KPI; the error lists those it has.
    """
    known = kpi_names(columns)
    if name in known:
        return name
    if name == "accuracy":
        found = next((score for score in HEADLINES if score in known), None)
        if found is not None:
            return found
    plain, dot, ending = name.partition(".")
    if dot:
        stem, underscore, unit = plain.rpartition("_")
        column = plain if ending == "mean" else f"{stem}{underscore}{ending}_{unit}"
        if column in known:
            return column
    raise ScenarioError("no such KPI", value=name, choices=[*known, "accuracy", *COMPLEMENTS])


def kpi_of(row: Mapping[str, Any], name: str) -> Interval:
    """Mean and interval of one KPI of a flat row.

    Raises:
        ScenarioError: The row has no such KPI.
    """
    if name in COMPLEMENTS:
        found = kpi_of(row, COMPLEMENTS[name])
        return Interval(1 - found.mean, 1 - found.high, 1 - found.low)
    column = kpi_column(name, list(row))
    endings = ("", "_ci_low", "_ci_high")
    return Interval(*(_number(row[column + ending]) for ending in endings))


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def higher_is_better(name: str) -> bool:
    """Whether more of a KPI is better: scores (but errors), shares that arrived or were in time."""
    if name == "accuracy" or name in _BETTER_HIGH:
        return True
    return name.startswith("score_") and "rmse" not in name


def parse_condition(text: str) -> Condition:
    """``latency_s.p99 <= 0.1``, ``deadline_misses <= 1 %``, ``accuracy >= 0.6``.

    Raises:
        ScenarioError: Not of that form, or a bound that the KPI cannot reach (`_possible`).
    """
    found = _CONDITION.fullmatch(text)
    try:
        if found is None:
            raise ValueError
        bound = float(found[3]) / (100 if found[4] else 1)
        if not math.isfinite(bound):
            raise ValueError
    except ValueError:
        message = "a condition reads KPI <= number or KPI >= number, e.g. latency_s.p99 <= 0.1"
        raise ScenarioError(message, value=text) from None
    is_upper = found[2] in ("<=", "<", "≤")
    condition = Condition(found[1], is_upper, bound, is_percent=bool(found[4]))
    _possible(condition, text.strip())
    return condition


def _possible(condition: Condition, text: str) -> None:
    """Shares lie in [0, 1]; times, energies and bits are not negative."""
    kpi, bound = condition.kpi.partition(".")[0], condition.bound
    if kpi in SHARES or kpi.endswith("_in_time"):
        if not 0 <= bound <= 1:
            forgot_sign = 1 < bound <= 100 and not condition.is_percent
            hint = f"; did you mean {bound:g} %?" if forgot_sign else ""
            raise ScenarioError(f"a share lies between 0 and 1{hint}", value=text)
    elif bound < 0 and kpi.endswith(("_s", "_j", "_bits")):
        raise ScenarioError(f"{condition.kpi} is never negative", value=text)


def parse_conditions(text: str) -> list[Condition]:
    """Several conditions, parted by commas or ``and``."""
    parts = re.split(r",|\band\b", text)
    return [parse_condition(part) for part in parts if part.strip()]
