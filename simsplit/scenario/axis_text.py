"""The one grammar of ``--axis``, of sweeps and of searches for a design.

* ``path=a,b,c`` (a value may be a mapping in YAML's flow style), ``path=low:high:step`` (both ends
  included), ``path=lin(low,high,count)``, ``path=log(low,high,count)`` (geometric);
* ``path=uniform(low,high)``, ``loguniform``, ``int``, ``logint``: sampled; all sampled axes of a
  sweep form one Latin hypercube (McKay, Beckman & Conover 1979) of ``samples`` points, those of a
  search are where its sampler may look;
* ``path=1,2;other=10,20``: zipped, both move together; lists and steps of a sweep alone;
* ``path=a,b if CONDITION`` on earlier axes (`simsplit.scenario.expressions`): elsewhere the axis
  does not apply, and what the scenario says stands; lists and steps of a sweep alone.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from simsplit.errors import ScenarioError
from simsplit.scenario.axes import (
    SAMPLED,
    Axis,
    Range,
    Value,
    latin_hypercube,
    listed,
    sampled_range,
    spaced,
    stepped,
    zipped,
)
from simsplit.scenario.yaml import parse_yaml

_MOST_DIGITS = 308  # before the point: those of a float
_CALL = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*")
_CONDITIONAL = re.compile(r"(.*\S)\s+if\s+(.+)", re.DOTALL)


def axes_from_text(
    texts: Sequence[str], *, samples: int | None = None, seed: int = 1
) -> list[Axis]:
    """The axes of a sweep; sampled ones come last, as one Latin hypercube.

    Raises:
        ScenarioError: Not an axis, or sampled axes without ``samples``.
    """
    axes, ranges = [], []
    for axis in map(axis_from_text, texts):
        if isinstance(axis, Range):
            ranges.append(axis)
        else:
            axes.append(axis)
    if ranges and samples is None:
        message = "a sampled axis needs the number of points: --samples N"
        raise ScenarioError(message, value=ranges[0].path)
    if samples is not None and not ranges:
        raise ScenarioError("--samples needs a sampled axis, e.g. path=uniform(0,1)", value=samples)
    return axes + ([latin_hypercube(ranges, samples, seed)] if ranges and samples else [])


def axis_from_text(text: str) -> Axis | Range:
    """One axis: listed, sampled, or several zipped; perhaps with ``if CONDITION``.

    Raises:
        ScenarioError: Not an axis, or a sampled one that is zipped or conditional.
    """
    conditional = _CONDITIONAL.fullmatch(text)
    plain, condition = (conditional[1], conditional[2]) if conditional else (text, None)
    parts = [_range(part) or listed(*parse_axis(part)) for part in _parted(plain, ";")]
    axes = [part for part in parts if isinstance(part, Axis)]
    if len(axes) == len(parts):
        return replace(axes[0] if len(axes) == 1 else zipped(axes), only_where=condition)
    if condition is not None or len(parts) > 1 or isinstance(parts[0], Axis):
        raise ScenarioError("a sampled axis is neither zipped nor conditional", value=text)
    return parts[0]


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


def _range(text: str) -> Range | None:
    """The sampled axis; None if it is another kind."""
    path, right = _sides(text)
    call = _CALL.fullmatch(right)
    if call is None or call[1] not in SAMPLED:
        return None
    low, high = _numbers(text, call[2], 2)
    is_log, is_integer = SAMPLED[call[1]]
    return sampled_range(path, low, high, is_log=is_log, whole=is_integer)


def _called(text: str, name: str, inside: str) -> list[Value]:
    if name not in ("lin", "log"):
        choices = ("lin", "log", *SAMPLED)
        raise ScenarioError("no such kind of axis", path=text, value=name, choices=choices)
    low, high, count = _numbers(text, inside, 3)
    return spaced(low, high, count, is_log=name == "log", text=text)


def _numbers(text: str, inside: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in inside.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise ScenarioError(f"expected {count} numbers in the brackets, all finite", value=text)
    return numbers


def _written(text: str, right: str) -> list[Value]:
    values: list[Value] = []
    for part in _parted(right, ","):
        number = _number(part)
        try:
            value = parse_yaml(part, text) if number is None else number
        except ScenarioError:
            raise ScenarioError("not a value in YAML's flow style", path=text, value=part) from None
        if ":" in part and isinstance(value, int | float):  # base 60 in YAML 1.1
            raise ScenarioError("a range reads low:high:step", path=text, value=part.strip())
        if isinstance(value, dict):
            value = part.strip()
        if not isinstance(value, str | int | float | bool):
            raise ScenarioError("an axis lists values: a,b,c", value=text)
        values.append(value)
    return values


def _number(text: str) -> Value | None:
    """A plain number, decimal whatever YAML 1.1 says of 010 and 1e1; None if it is none."""
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        return None
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS:
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
