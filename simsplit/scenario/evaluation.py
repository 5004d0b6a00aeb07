"""Conditions that were understood: their parts, and whether they hold for given values."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from simsplit.errors import ScenarioError

_COMPARED: dict[str, Callable[[Any, Any], Any]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "≤": operator.le,
    "≥": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_REACHED: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}
TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True)
class Name:
    """A name; ``text`` is how it was said, ``name`` what it stands for."""

    name: str
    text: str


@dataclass(frozen=True)
class Literal:
    """A number, a text or a truth. ``text`` is what texts are compared with.

    ``unit`` is what stood behind a number, without per cent, which is divided out.
    """

    value: float | int | str | bool
    text: str
    unit: str = ""
    is_percent: bool = False


@dataclass(frozen=True)
class Arithmetic:
    """``left sign right`` of numbers; ``text`` if it may be a text instead (``2026-11``)."""

    sign: str
    left: Node
    right: Node
    text: str | None = None


@dataclass(frozen=True)
class Comparison:
    """``items[0] signs[0] items[1] …``, every neighbouring pair."""

    items: tuple[Node, ...]
    signs: tuple[str, ...]


@dataclass(frozen=True)
class Membership:
    """Whether an item equals one of the choices (``is_in``), or none of them."""

    item: Node
    choices: tuple[Node, ...]
    is_in: bool


@dataclass(frozen=True)
class Junction:
    """All of the parts, or any of them."""

    is_all: bool
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Negation:
    """Not the part."""

    part: Node


Node = Name | Literal | Arithmetic | Comparison | Membership | Junction | Negation


@dataclass(frozen=True)
class Expression:
    """A condition that was understood; ``text`` is how it was said."""

    text: str
    node: Node

    @property
    def names(self) -> list[str]:
        """What its names stand for, each once, in their order."""
        return list(dict.fromkeys(name.name for name in names_in(self.node)))

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it holds where its names have these values; None and NaN are no values.

        Raises:
            ScenarioError: Values that cannot be compared.
        """
        try:
            return _truth(self.node, values) is True
        except _Unworkable as error:
            raise ScenarioError(f"cannot be worked out: {error}", value=self.text) from None


class _Absent(Exception):
    """A name has no value here."""


class _Unworkable(Exception):
    """Values that the condition asks too much of; says why."""


def names_in(node: Node) -> Iterator[Name]:
    """The names of a condition, from left to right."""
    match node:
        case Name():
            yield node
        case Arithmetic():
            yield from (*names_in(node.left), *names_in(node.right))
        case Comparison():
            yield from (name for item in node.items for name in names_in(item))
        case Membership():
            yield from (name for item in (node.item, *node.choices) for name in names_in(item))
        case Junction():
            yield from (name for part in node.parts for name in names_in(part))
        case Negation():
            yield from names_in(node.part)


def _truth(node: Node, values: Mapping[str, Any]) -> bool | None:
    """Whether it holds; None, which ``not`` leaves as it is: a name that decides has no value."""
    match node:
        case Comparison():
            pairs = zip(node.signs, node.items[:-1], node.items[1:], strict=True)
            return _every(_compared(sign, a, b, values) for sign, a, b in pairs)
        case Membership():
            alike = _some(_compared("==", node.item, choice, values) for choice in node.choices)
            return alike if node.is_in else _opposite(alike)
        case Junction():
            verdicts = (_truth(part, values) for part in node.parts)
            return _every(verdicts) if node.is_all else _some(verdicts)
        case Negation():
            return _opposite(_truth(node.part, values))
        case Name() | Literal() | Arithmetic():
            try:
                return bool(_value(node, values))
            except _Absent:
                return None


def _every(verdicts: Iterable[bool | None]) -> bool | None:
    """False if one is, else None if one is, else True."""
    whole: bool | None = True
    for verdict in verdicts:
        if verdict is False:
            return False
        whole = whole and verdict
    return whole


def _some(verdicts: Iterable[bool | None]) -> bool | None:
    return _opposite(_every(map(_opposite, verdicts)))


def _opposite(verdict: bool | None) -> bool | None:
    return None if verdict is None else not verdict


def _value(node: Node, values: Mapping[str, Any]) -> Any:
    match node:
        case Name():
            value = values.get(node.name)
            if value is None or (isinstance(value, float) and math.isnan(value)):
                raise _Absent(node.name)
            return value
        case Literal():
            return node.value
        case Arithmetic():
            return _reached(node, _number(node.left, values), _number(node.right, values))
        case Comparison() | Membership() | Junction() | Negation():
            verdict = _truth(node, values)
            if verdict is None:
                raise _Absent
            return verdict


def _number(node: Node, values: Mapping[str, Any]) -> Any:
    value = _value(node, values)
    if not isinstance(value, Real):
        said = node.text if isinstance(node, Name | Literal) else "a part"
        raise _Unworkable(f"sums and products are of numbers, and {said} is {value!r}")
    return value


def _reached(node: Arithmetic, left: Any, right: Any) -> Any:
    try:
        return _REACHED[node.sign](left, right)
    except ZeroDivisionError:
        raise _Unworkable("a division by zero") from None
    except OverflowError:
        raise _Unworkable("a number is too large") from None


def _compared(sign: str, left: Node, right: Node, values: Mapping[str, Any]) -> bool | None:
    """A text is compared with the other side as it was said; == of anything is allowed.

    A word behind == that is also a name means either: ``group == device``. None: a side is absent.
    """
    try:
        a = _value(left, values)
        if isinstance(right, Name) and sign in ("==", "!=") and a == right.text:
            return sign == "=="
        b = _value(right, values)
    except _Absent:
        return None
    if isinstance(a, str) != isinstance(b, str) and sign in ("==", "!="):
        return _alike(_as_text(left, a), _as_text(right, b)) == (sign == "==")
    try:
        return bool(_COMPARED[sign](a, b))
    except TypeError:
        message = f"{a!r} {sign} {b!r}: texts and numbers have no common order, use == or !="
        raise _Unworkable(message) from None


def _as_text(node: Node, value: Any) -> str:
    """A value as it was said, so that it can be compared with a text."""
    if isinstance(node, Literal | Arithmetic) and node.text is not None:
        return node.text
    return str(value)


def _alike(a: str, b: str) -> bool:
    """Whether two texts say the same: letter by letter, or the same number or truth."""
    if a == b or (a.lower() == b.lower() and a.lower() in TRUTHS):
        return True
    try:
        return float(a) == float(b)
    except ValueError:
        return False
