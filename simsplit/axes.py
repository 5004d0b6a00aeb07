"""Axes of a sweep, and the points that they span.

On the command line an axis reads

* ``path=a,b,c`` (a value may be a mapping in YAML's flow style), ``path=low:high:step`` (both ends
  included), ``path=lin(low,high,count)``, ``path=log(low,high,count)`` (geometric);
* ``path=1,2;other=10,20``: zipped, both move together;
* ``path=uniform(low,high)``, ``loguniform(low,high)``, ``int(low,high)``: sampled; all sampled axes
  of a sweep form one Latin hypercube (McKay, Beckman & Conover 1979) of ``samples`` points;
* any of these followed by ``if CONDITION`` on earlier axes: elsewhere the axis does not apply, and
  what the scenario says stands.

A sweep file says the same and more (`simsplit.sweep_file`).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

from simsplit.errors import ScenarioError
from simsplit.expressions import holds, names_in
from simsplit.points import Point, Value

MOST_VALUES = 10_000
MOST_POINTS = 100_000
RESERVED = ("operating_point", "scheme", "n", "flags", "folder")  # columns of every table
_CALL = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*")
_CONDITIONAL = re.compile(r"(.*\S)\s+if\s+(.+)", re.DOTALL)


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
        said = [[f"{name} = {value}" for name, value in s.values.items()] for s in self.steps]
        return [", ".join(parts) for parts in said]


@dataclass(frozen=True)
class Range:
    """A sampled axis: numbers in [low, high]."""

    path: str
    low: float
    high: float
    is_log: bool = False
    is_integer: bool = False

    def at(self, share: float) -> Value:
        """The value at a share in [0, 1) of the range (of its logarithm if ``is_log``)."""
        if self.is_integer:
            return min(int(self.high), int(self.low + share * (self.high - self.low + 1)))
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
        found = ", ".join(f"{name}: {n}" for name, n in zip(names, lengths, strict=False))
        raise ScenarioError("zipped axes must have equally many values", value=found)
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
    _check(axes, where)
    points = [Point({}, ())]
    for axis in axes:
        before = len(points)
        points = [longer for point in points for longer in _along(point, axis)]
        if len(points) == before and not any(axis.names[0] in p.values for p in points):
            message = "the condition holds at no point, so the axis never applies"
            raise ScenarioError(message, path=axis.names[0], value=axis.only_where)
        if len(points) > MOST_POINTS:
            raise ScenarioError(f"more than {MOST_POINTS} points")
    kept = [point for point in points if where is None or holds(where, point.values)]
    if not kept:
        raise ScenarioError("the condition leaves no point", path="where", value=where)
    return kept


def _check(axes: Sequence[Axis], where: str | None) -> None:
    if not axes or not all(axis.steps for axis in axes):
        raise ScenarioError("a sweep needs at least one axis with at least one value")
    known: list[str] = []
    for axis in axes:
        _known(axis.only_where, known, "an axis' condition may speak of earlier axes only")
        for step, count in Counter(axis.steps_by_values()).items():
            if count > 1:
                raise ScenarioError("the value is said twice", value=step)
        for name in axis.names:
            if name in known or name in RESERVED:
                message = "the axis is said twice" if name in known else "a column has this name"
                raise ScenarioError(message, value=name)
        known += axis.names
    _known(where, known, "the condition speaks of no axis of this sweep")


def _known(condition: str | None, names: Sequence[str], message: str) -> None:
    for name in sorted(names_in(condition)) if condition is not None else ():
        if name not in names:
            raise ScenarioError(message, value=name, choices=list(names))


def _along(point: Point, axis: Axis) -> list[Point]:
    if axis.only_where is not None and not holds(axis.only_where, point.values):
        return [point]
    return [_joined((point, step)) for step in axis.steps]


def _joined(points: Iterable[Point]) -> Point:
    values: dict[str, Value] = {}
    overrides: tuple[str, ...] = ()
    for point in points:
        values |= point.values
        overrides += point.overrides
    return Point(values, overrides)


# --- text -------------------------------------------------------------------------------------


def axes_from_text(
    texts: Sequence[str], *, samples: int | None = None, seed: int = 1
) -> list[Axis]:
    """Axes as the command line says them (see the module); sampled ones come last, as one.

    Raises:
        ScenarioError: Not an axis, or sampled axes without ``samples``.
    """
    axes, ranges = [], []
    for text in texts:
        sampled = _sampled(text)
        if sampled is None:
            axes.append(axis_from_text(text))
        else:
            ranges.append(sampled)
    if ranges and samples is None:
        message = "a sampled axis needs the number of points: --samples N"
        raise ScenarioError(message, value=ranges[0].path)
    if samples is not None and not ranges:
        raise ScenarioError("--samples needs a sampled axis, e.g. path=uniform(0,1)", value=samples)
    return axes + ([latin_hypercube(ranges, samples, seed)] if ranges and samples else [])


def axis_from_text(text: str) -> Axis:
    """One axis that is not sampled, or several zipped by ``;``, perhaps with ``if CONDITION``."""
    conditional = _CONDITIONAL.fullmatch(text)
    said, condition = (conditional[1], conditional[2]) if conditional else (text, None)
    axes = [listed(*parse_axis(part)) for part in _parted(said, ";")]
    return replace(axes[0] if len(axes) == 1 else zipped(axes), only_where=condition)


def parse_axis(text: str) -> tuple[str, list[Value]]:
    """``path=low:high:step``, ``path=log(1,100,7)`` or ``path=a,x,3`` → path and values.

    A value may be a mapping in YAML's flow style, ``{kind: oracle}``; commas inside brackets do
    not part values.

    Raises:
        ScenarioError: Not of that form, step of the wrong sign, or more than 10 000 values.
    """
    path, right = _sides(text)
    call = _CALL.fullmatch(right)
    if call is not None:
        return path, _called(text, call[1], call[2])
    parts = right.split(":")
    is_range = len(parts) == 3 and not set(right) & set("{[")
    return path, stepped(parts, text) if is_range else _written(text, right)


def _sides(text: str) -> tuple[str, str]:
    path, equals, right = text.partition("=")
    if not (path.strip() and equals and right.strip()):
        raise ScenarioError("an axis reads path=low:high:step or path=a,b,c", value=text)
    return path.strip(), right


def _sampled(text: str) -> Range | None:
    path, right = _sides(text)
    call = _CALL.fullmatch(right)
    if call is None or call[1] not in ("uniform", "loguniform", "int"):
        return None
    low, high = _numbers(text, call[2], 2)
    return sampled_range(path, low, high, is_log=call[1] == "loguniform", whole=call[1] == "int")


def sampled_range(
    path: str, low: float, high: float, *, is_log: bool = False, whole: bool = False
) -> Range:
    """A sampled axis.

    Raises:
        ScenarioError: ``low`` is not below ``high``, not above 0 on a log scale, or no integer.
    """
    if not low < high:
        raise ScenarioError("low must be below high", path=path, value=f"{low:g}, {high:g}")
    if is_log and low <= 0:
        raise ScenarioError("a logarithmic range starts above 0", path=path, value=low)
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        raise ScenarioError("int(low, high) takes integers", path=path, value=f"{low:g}, {high:g}")
    return Range(path, low, high, is_log, whole)


def _called(text: str, name: str, inside: str) -> list[Value]:
    if name not in ("lin", "log"):
        choices = ("lin", "log", "uniform", "loguniform", "int")
        raise ScenarioError("no such kind of axis", path=text, value=name, choices=choices)
    low, high, count = _numbers(text, inside, 3)
    return spaced(low, high, count, is_log=name == "log", text=text)


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


def _numbers(text: str, inside: str, count: int) -> list[float]:
    try:
        found = [float(part) for part in inside.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(math.isfinite(number) for number in found):
        raise ScenarioError(f"expected {count} numbers in the brackets", value=text)
    return found


def stepped(parts: Sequence[str], text: str) -> list[Value]:
    """low, high (included) and step as text → values, exact in decimals.

    Raises:
        ScenarioError: Not numbers, a step of the wrong sign, or more than 10 000 values.
    """
    try:
        low, high, step = (Decimal(part.strip()) for part in parts)
    except InvalidOperation:
        raise ScenarioError("low:high:step must be numbers", value=text) from None
    if not all(number.is_finite() for number in (low, high, step)):
        raise ScenarioError("low:high:step must be finite", value=text)
    if step == 0 or (high - low) / step < 0:
        raise ScenarioError("the step must lead from low to high", value=text)
    count = int((high - low) / step) + 1
    if count > MOST_VALUES:
        raise ScenarioError(f"more than {MOST_VALUES} values on one axis", value=text)
    numbers = [low + step * position for position in range(count)]
    whole = all(number == number.to_integral_value() for number in (low, step))
    return [int(number) if whole else float(number) for number in numbers]


def _written(text: str, right: str) -> list[Value]:
    import yaml

    values: list[Value] = []
    for part in _parted(right, ","):
        number = _number(part)
        try:
            found = yaml.safe_load(part) if number is None else number
        except yaml.YAMLError:
            raise ScenarioError("not a value in YAML's flow style", path=text, value=part) from None
        if ":" in part and isinstance(found, int | float):  # base 60 in YAML 1.1
            raise ScenarioError("a range reads low:high:step", path=text, value=part.strip())
        if isinstance(found, dict):
            found = part.strip()
        if not isinstance(found, str | int | float | bool):
            raise ScenarioError("an axis lists values: a,b,c", value=text)
        values.append(found)
    return values


def _number(text: str) -> Value | None:
    """A plain number, decimal whatever YAML 1.1 says of 010 and 1e1; None if it is none."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    is_whole = number == number.to_integral_value() and not set(text) & set(".eE")
    return int(number) if is_whole else float(number)


def _parted(text: str, mark: str) -> list[str]:
    """The text at its marks, those inside brackets left alone."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "{[(") - (letter in "}])")
        if letter == mark and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
