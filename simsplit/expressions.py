"""Conditions on a sweep's axes: ``cell.channel.snr_db < 10 and scheme == "jscc"``.

Only names, numbers, texts, comparisons, ``and``, ``or``, ``not``, ``in`` and arithmetic are
understood; a name may have dots, as axes have. Nothing else of Python can be said, so a condition
from a file executes nothing.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from simsplit.errors import ScenarioError

_OPERATORS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
_UNARY: dict[type[ast.AST], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_WORDS = {"true": True, "false": False}


def names_in(text: str) -> set[str]:
    """The names, dots included, that a condition speaks of.

    Raises:
        ScenarioError: Not a condition.
    """
    found: set[str] = set()
    _collect(_parsed(text), found)
    return found - set(_WORDS)


def holds(text: str, values: Mapping[str, Any]) -> bool:
    """Whether the condition holds where its names have these values.

    A name that has no value (a conditional axis that does not apply) makes every comparison with
    it false.

    Raises:
        ScenarioError: Not a condition, or values that cannot be compared.
    """
    try:
        return bool(_value(_parsed(text), values))
    except _Absent:
        return False
    except (TypeError, ZeroDivisionError) as error:
        raise ScenarioError(f"cannot be worked out: {error}", value=text) from None


class _Absent(Exception):
    """A name has no value here."""


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError):
        raise _not_understood(text) from None


def _not_understood(text: str) -> ScenarioError:
    message = "not a condition: compare axes with values, e.g. edge.workers > 1 and a == 'x'"
    return ScenarioError(message, value=text)


def _dotted(node: ast.AST) -> str | None:
    """``a.b.c`` of a chain of attributes; None if the node is none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return None if inner is None else f"{inner}.{node.attr}"
    return None


def _collect(node: ast.AST, found: set[str]) -> None:
    name = _dotted(node)
    if name is not None:
        found.add(name)
        return
    for child in ast.iter_child_nodes(node):
        _collect(child, found)


def _value(node: ast.expr, values: Mapping[str, Any]) -> Any:
    name = _dotted(node)
    if name is not None:
        return _named(name, values)
    match node:
        case ast.Constant(value=int() | float() | str() as constant):
            return constant
        case ast.List() | ast.Tuple() | ast.Set():
            return [_value(item, values) for item in node.elts]
        case ast.BoolOp(op=ast.And()):
            return all(_truth(part, values) for part in node.values)
        case ast.BoolOp(op=ast.Or()):
            return any(_truth(part, values) for part in node.values)
        case ast.UnaryOp() if type(node.op) in _UNARY:
            return _UNARY[type(node.op)](_operand(node, values))
        case ast.BinOp() if type(node.op) in _OPERATORS:
            left, right = _value(node.left, values), _value(node.right, values)
            return _OPERATORS[type(node.op)](left, right)
        case ast.Compare() if all(type(op) in _OPERATORS for op in node.ops):
            return _compared(node, values)
    raise _not_understood(ast.unparse(node))


def _operand(node: ast.UnaryOp, values: Mapping[str, Any]) -> Any:
    """What a sign or a ``not`` works on: a comparison that is absent is false under ``not`` too."""
    is_not = isinstance(node.op, ast.Not)
    return _truth(node.operand, values) if is_not else _value(node.operand, values)


def _truth(node: ast.expr, values: Mapping[str, Any]) -> bool:
    try:
        return bool(_value(node, values))
    except _Absent:
        return False


def _compared(node: ast.Compare, values: Mapping[str, Any]) -> bool:
    items = [_value(item, values) for item in (node.left, *node.comparators)]
    pairs = zip(node.ops, items[:-1], items[1:], strict=True)
    return all(_OPERATORS[type(op)](left, right) for op, left, right in pairs)


def _named(name: str, values: Mapping[str, Any]) -> Any:
    if name in values:
        return values[name]
    if name in _WORDS:
        return _WORDS[name]
    raise _Absent(name)
