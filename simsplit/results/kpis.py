"""How a user names a KPI, and what a condition on one says: ``latency_s.p99 <= 0.1``.

A table of runs (`flat_rows`) has a column per KPI and its interval beside it as ``<kpi>_ci_low``
and ``<kpi>_ci_high``. Users may also say

* ``accuracy``: the task's headline score (``score_miou``, else ``score_accuracy``, ``map50_95`` …);
* ``latency_s.p95`` (p50, p95, p99) or ``latency_s.mean``: ``latency_p95_s``, ``latency_s``;
* ``deadline_misses`` and ``losses``: 1 - ``deadline_met``, 1 - ``delivered``.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.results.arms import arms, arms_text
from simsplit.results.metrics import COMPLEMENTS, headline, metric
from simsplit.scenario.evaluation import Comparison, Junction, Literal, Name, Node
from simsplit.scenario.expressions import parse
from simsplit.scenario.scenario import Scenario

if TYPE_CHECKING:
    from numpy.typing import NDArray


def non_dominated(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows that no other row dominates: as good in every column and better in one.

    Equal rows do not dominate each other. A row with NaN is never among them and dominates none.

    Args:
        costs: ``(designs, objectives)``, smaller is better; negate what shall be large.
    """
    costs = np.asarray(costs, float)
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(costs), axis=1)
    kept, others = finite.copy(), costs[finite]
    for index in np.flatnonzero(finite):
        as_good = (others <= costs[index]).all(axis=1)
        better = (others < costs[index]).any(axis=1)
        kept[index] = not (as_good & better).any()
    return kept


ROUNDING = 1e-12  # 1 - 0.99 is not more than 1 %


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
        """``mean ± half-width`` (or ``−down +up``) times a factor; without an interval the mean.

        Without a value a dash.
        """
        if math.isnan(self.mean):
            return "–"
        text = f"{factor * self.mean:.4g}"
        if math.isnan(self.half_width):
            return text
        down, up = arms(self.mean, self.low, self.high)
        return f"{text} {arms_text(factor * down, factor * up, lambda length: f'{length:.2g}')}"


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

    def shown_value(self, value: Interval) -> str:
        """What was found, in the unit in which the bound was said."""
        is_share = self.is_percent and not math.isnan(value.mean)
        return f"{value.shown(100)} %" if is_share else value.shown()

    def margin(self, value: float) -> float:
        """How far the value is on the good side; negative: violated (0: but for rounding)."""
        margin = self.bound - value if self.is_upper else value - self.bound
        return 0.0 if abs(margin) <= ROUNDING * (abs(self.bound) or 1.0) else margin

    def lacking(self, value: float) -> float:
        """By how much the value violates it, relative to the bound; 0: it holds; NaN stays NaN."""
        margin = self.margin(value)
        return margin if math.isnan(margin) else max(0.0, -margin) / (abs(self.bound) or 1.0)

    def certain(self, interval: Interval) -> bool | None:
        """True or False if the whole interval says so, else None."""
        best, worst = sorted((self.margin(interval.low), self.margin(interval.high)))[::-1]
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
    kpis = kpi_names(columns)
    if name in kpis:
        return name
    if name == "accuracy":
        score = headline(kpis)
        if score is not None:
            return score
    plain, dot, ending = name.partition(".")
    if dot:
        stem, underscore, unit = plain.rpartition("_")
        column = plain if ending == "mean" else f"{stem}{underscore}{ending}_{unit}"
        if column in kpis:
            return column
    raise ScenarioError("no such KPI", value=name, choices=[*kpis, "accuracy", *COMPLEMENTS])


def kpi_of(row: Mapping[str, Any], name: str) -> Interval:
    """Mean and interval of one KPI of a flat row.

    Raises:
        ScenarioError: The row has no such KPI.
    """
    if name in COMPLEMENTS:
        other = kpi_of(row, COMPLEMENTS[name])
        return Interval(1 - other.mean, 1 - other.high, 1 - other.low)
    column = kpi_column(name, list(row))
    endings = ("", "_ci_low", "_ci_high")
    return Interval(*(_number(row[column + ending]) for ending in endings))


def lacking_text(row: Mapping[str, Any], kpis: Mapping[str, Interval]) -> str:
    """Which KPIs of a flat row have no value, and why; empty if all have one."""
    without = [name for name, kpi in kpis.items() if math.isnan(kpi.mean)]
    if not without:
        return ""
    if not row["n"]:
        return "no request arrived"
    why = "no request was answered" if math.isnan(_number(row["latency_s"])) else "no value"
    return f"{', '.join(without)}: {why}, n = {row['n']}"


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


EXAMPLE = "KPI <= number or KPI >= number, e.g. latency_s.p99 <= 0.1"


def parse_conditions(text: str) -> list[Condition]:
    """``latency_s.p99 <= 100 ms, deadline_misses <= 1 % and accuracy >= 0.6``, or nothing.

    The grammar is that of `simsplit.scenario.expressions`; a design must meet all conditions, so
    ``or`` and ``not`` have no place. ``<`` is taken as ``<=``.

    Raises:
        ScenarioError: Not of that form, or a bound that the KPI cannot reach (`_possible`).
    """
    if not text.strip(" ,"):
        return []
    node = parse(text, str, EXAMPLE).node
    parts = node.parts if isinstance(node, Junction) and node.is_all else (node,)
    return [_condition(part, text) for part in parts]


def _condition(node: Node, text: str) -> Condition:
    match node:
        case Comparison(items=(Name() as name, Literal() as number), signs=(sign,)) if sign not in (
            "==",
            "!=",
        ) and _is_finite(number.value):
            is_upper = sign in ("<=", "<", "≤")
            bound = float(number.value)
            condition = Condition(name.text, is_upper, bound, is_percent=number.is_percent)
            _possible(condition, f"{name.text} {sign} {number.text}")
            return condition
    raise ScenarioError(f"a condition reads {EXAMPLE}", value=text)


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and not isinstance(value, bool)


def _possible(condition: Condition, text: str) -> None:
    """Shares lie in [0, 1]; times, energies and bits are not negative."""
    about, bound = metric(condition.kpi), condition.bound
    if about is None or about.least <= bound <= about.most:
        return
    if about.most == 1.0:
        forgot_sign = 1 < bound <= 100 and not condition.is_percent
        hint = f"; did you mean {bound:g} %?" if forgot_sign else ""
        raise ScenarioError(f"a share lies between 0 and 1{hint}", value=text)
    raise ScenarioError(f"{condition.kpi} is never negative", value=text)


# --- flat rows ---------------------------------------------------------------------------------


def flat_rows(scenario: Scenario, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The summary as one flat row per operating point, the rows of every table of runs.

    Columns: ``operating_point``, ``scheme``, ``replications``, ``n``, ``interval_scope``; a KPI as
    ``kpi``, ``kpi_ci_low`` and ``kpi_ci_high``; ``utilisation_<station>`` of the whole run;
    ``flags``.
    """
    schemes = {spec.name: spec.scheme for spec in scenario.operating_points}
    flags = " ".join(sorted({item["code"] for item in summary["flags"]}))
    used = {f"utilisation_{name}": kpi["mean"] for name, kpi in summary["utilisation"].items()}
    replications = summary["replications"]
    interval = {"interval_scope": summary.get("interval_scope") or ""}
    return [
        {"operating_point": name, "scheme": schemes.get(name), "replications": replications}
        | {"n": kpis["n"]}
        | interval
        | _flat(kpis)
        | used
        | {"flags": flags}
        for name, kpis in summary["operating_points"].items()
    ]


def _flat(kpis: Mapping[str, Any]) -> dict[str, Any]:
    endings = {"": "mean", "_ci_low": "ci_low", "_ci_high": "ci_high"}
    return {
        name + ending: value[key]
        for name, value in kpis.items()
        if isinstance(value, Mapping) and "mean" in value
        for ending, key in endings.items()
    }
