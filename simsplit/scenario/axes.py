"""Points of a sweep, and the axes that span them.

The command line says them as `simsplit.scenario.axis_text` reads them, a sweep file as
`simsplit.scenario.sweeps` does.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from simsplit.errors import ScenarioError
from simsplit.scenario.evaluation import Expression
from simsplit.scenario.expressions import one_of, parse

Value = float | int | str | bool  # a mapping stands as its YAML text, a variant as its name


@dataclass(frozen=True)
class Point:
    """Values by axis (columns of the table) and ``path=value`` texts as ``--set`` takes them.

    A conditional axis that does not apply at this point is left out of ``values``.
    """

    values: Mapping[str, Value]
    overrides: tuple[str, ...]

    @classmethod
    def at(cls, values: Mapping[str, Value]) -> Point:
        """The point whose axes are paths of the scenario, at these values."""
        return cls(dict(values), tuple(f"{path}={as_yaml(v)}" for path, v in values.items()))


def as_yaml(value: Value) -> str:
    """A value as YAML text."""
    return str(value).lower() if isinstance(value, bool) else str(value)


_MOST_DIGITS = 308  # before the point: those of a float
MOST_VALUES = 10_000
MOST_POINTS = 100_000
# columns of every table
RESERVED = ("operating_point", "scheme", "n", "interval_scope", "flags", "folder")
SAMPLED = {  # kind of range → logarithmic?, integer?
    "uniform": (False, False),
    "loguniform": (True, False),
    "int": (False, True),
    "logint": (True, True),
}


@dataclass(frozen=True)
class Axis:
    """Steps along one axis (or along several that move together).

    Attributes:
        steps: Partial points: values by column, and the overrides that set them.
        only_where: Condition on earlier axes; where it does not hold, the axis does not apply.
    """

    steps: tuple[Point, ...]
    only_where: str | None = None

    @property
    def names(self) -> list[str]:
        """Columns of the table."""
        return list(dict.fromkeys(name for step in self.steps for name in step.values))

    def steps_by_values(self) -> list[str]:
        """Every step as text."""
        texts = [[f"{name} = {value}" for name, value in s.values.items()] for s in self.steps]
        return [", ".join(parts) for parts in texts]


@dataclass(frozen=True)
class Range:
    """A sampled axis: numbers in [low, high]."""

    path: str
    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False

    def __str__(self) -> str:
        """``uniform(0,23)``, as the command line says it."""
        kind = next(k for k, how in SAMPLED.items() if how == (self.is_log, self.is_integer))
        return f"{kind}({self.low:g},{self.high:g})"

    def at(self, share: float) -> Value:
        """The value at a share in [0, 1) of the range (of its logarithm if ``is_log``)."""
        if self.is_integer:
            low, end = self.low, self.high + 1
            number = low * (end / low) ** share if self.is_log else low + share * (end - low)
            return min(int(self.high), math.floor(number))
        if self.is_log:
            return _short(self.low * (self.high / self.low) ** share)
        return _short(self.low + share * (self.high - self.low))


def _short(number: float) -> Value:
    """Twelve significant digits, so that a value reads the same everywhere; whole ones as int."""
    rounded = float(f"{number:.12g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded


# --- points -----------------------------------------------------------------------------------


def listed(path: str, values: Iterable[Value], *, name: str | None = None) -> Axis:
    """An axis over given values of one path."""
    column = name or path
    steps = (Point.at({path: value}) for value in values)
    return Axis(tuple(replace(p, values={column: p.values[path]}) for p in steps))


def zipped(axes: Sequence[Axis]) -> Axis:
    """Axes that move together, step by step.

    Raises:
        ScenarioError: They differ in length, or set the same thing.
    """
    names = [name for axis in axes for name in axis.names]
    if len(set(names)) < len(names):
        raise ScenarioError("zipped axes must differ", value=", ".join(names))
    lengths = [len(axis.steps) for axis in axes]
    if len(set(lengths)) != 1:
        counts = ", ".join(f"{name}: {n}" for name, n in zip(names, lengths, strict=False))
        raise ScenarioError("zipped axes must have equally many values", value=counts)
    together = zip(*(axis.steps for axis in axes), strict=True)
    return Axis(tuple(_joined(steps) for steps in together))


def latin_hypercube(ranges: Sequence[Range], samples: int, seed: int) -> Axis:
    """``samples`` points of which every range's ``samples`` strata hold one each."""
    from scipy.stats.qmc import LatinHypercube

    shares = LatinHypercube(len(ranges), rng=seed).random(samples)
    rows = [[r.at(float(share)) for r, share in zip(ranges, row, strict=True)] for row in shares]
    paths = [r.path for r in ranges]
    return Axis(tuple(Point.at(dict(zip(paths, row, strict=True))) for row in rows))


def combine(axes: Sequence[Axis], where: str | None = None) -> list[Point]:
    """The points that the axes span, in their order, the last axis fastest.

    Args:
        axes: Each may be conditional on those before it.
        where: Condition on all axes; points where it does not hold are left out.

    Raises:
        ScenarioError: No axis, an axis or a value twice, a condition on no axis or that holds
            nowhere, no point left, or too many.
    """
    conditions = _checked(axes)
    names = [name for axis in axes for name in axis.names]
    whole = _condition(where, names, "the condition speaks of no axis of this sweep")
    points = [Point({}, ())]
    for axis, condition in zip(axes, conditions, strict=True):
        before = len(points)
        points = [longer for point in points for longer in _along(point, axis, condition)]
        if len(points) == before and not any(axis.names[0] in p.values for p in points):
            message = "the condition holds at no point, so the axis never applies"
            raise ScenarioError(message, path=axis.names[0], value=axis.only_where)
        if len(points) > MOST_POINTS:
            raise ScenarioError(f"more than {MOST_POINTS} points")
    kept = [point for point in points if whole is None or whole.holds(point.values)]
    if not kept:
        raise ScenarioError("the condition leaves no point", path="where", value=where)
    return kept


def _checked(axes: Sequence[Axis]) -> list[Expression | None]:
    """Every axis' condition, understood; the axes are such as `combine` takes."""
    if not axes or not all(axis.steps for axis in axes):
        raise ScenarioError("a sweep needs at least one axis with at least one value")
    names: list[str] = []
    conditions = []
    for axis in axes:
        message = "an axis' condition may speak of earlier axes only"
        conditions.append(_condition(axis.only_where, names, message))
        for step, count in Counter(axis.steps_by_values()).items():
            if count > 1:
                raise ScenarioError("the value is said twice", value=step)
        for name in axis.names:
            if name in names or name in RESERVED:
                message = "the axis is said twice" if name in names else "a column has this name"
                raise ScenarioError(message, value=name)
        names += axis.names
    return conditions


def _condition(text: str | None, names: Sequence[str], message: str) -> Expression | None:
    return None if text is None else parse(text, one_of(list(names), message))


def _along(point: Point, axis: Axis, condition: Expression | None) -> list[Point]:
    if condition is not None and not condition.holds(point.values):
        return [point]
    return [_joined((point, step)) for step in axis.steps]


def _joined(points: Iterable[Point]) -> Point:
    values: dict[str, Value] = {}
    overrides: tuple[str, ...] = ()
    for point in points:
        values |= point.values
        overrides += point.overrides
    return Point(values, overrides)


# --- numbers ------------------------------------------------------------------------------------


def sampled_range(
    path: str, low: float, high: float, *, is_log: bool = False, whole: bool = False
) -> Range:
    """A sampled axis.

    Raises:
        ScenarioError: ``low`` is not below ``high``, not above 0 on a log scale, or no integer; an
            end is not finite.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ScenarioError("a range has finite ends", path=path, value=f"{low:g}, {high:g}")
    if not low < high:
        raise ScenarioError("low must be below high", path=path, value=f"{low:g}, {high:g}")
    if is_log and low <= 0:
        raise ScenarioError("a logarithmic range starts above 0", path=path, value=low)
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        raise ScenarioError("int(low, high) takes integers", path=path, value=f"{low:g}, {high:g}")
    return Range(path, low, high, is_log, whole)


def spaced(low: float, high: float, count: float, *, is_log: bool, text: str) -> list[Value]:
    """``count`` values from ``low`` to ``high``, equally spaced or in equal ratios.

    Raises:
        ScenarioError: Fewer than 2 values or more than 10 000, or a log range that touches 0.
    """
    if not (float(count).is_integer() and 2 <= count <= MOST_VALUES):
        raise ScenarioError(f"the count is a number from 2 to {MOST_VALUES}", value=text)
    if is_log and not (low > 0 and high > 0):
        raise ScenarioError("a logarithmic range lies above 0", value=text)
    shares = [step / (count - 1) for step in range(int(count))]
    if is_log:
        return [_short(low * (high / low) ** share) for share in shares]
    return [_short(low + share * (high - low)) for share in shares]


def stepped(parts: Sequence[str], text: str) -> list[Value]:
    """low, high (included) and step as text → values, exact in decimals.

    Raises:
        ScenarioError: Not numbers, a step of the wrong sign, or more than 10 000 values.
    """
    try:
        low, high, step = (Decimal(part.strip()) for part in parts)
    except InvalidOperation:
        raise ScenarioError("low:high:step must be numbers", value=text) from None
    numbers = (low, high, step)
    if not all(n.is_finite() and abs(n.adjusted()) <= _MOST_DIGITS for n in numbers):
        raise ScenarioError("low:high:step must be finite", value=text)
    if step == 0 or (high - low) / step < 0:
        raise ScenarioError("the step must lead from low to high", value=text)
    count = int((high - low) / step) + 1
    if count > MOST_VALUES:
        raise ScenarioError(f"more than {MOST_VALUES} values on one axis", value=text)
    values = [low + step * position for position in range(count)]
    whole = all(number == number.to_integral_value() for number in (low, step))
    return [int(value) if whole else float(value) for value in values]
