"""The one grammar of conditions: which points of a sweep, rows of a table, KPIs of a design.

.. code-block:: text

    condition   comparison, joined by and, or, not; a comma between comparisons means and
    comparison  NAME OPERATOR value   with  < <= > >= == != (also ≤ ≥), chained as in 1 < x <= 3
                NAME == value, value, …   one of these values; != none of them
                NAME in [value, …], NAME not in [value, …]
                NAME              true or false by itself
    value       number, with % or a unit of the name's kind: 2 %, 100 ms, 8 kbit, 3.5 GHz
                text, with quotes or without; true, false; {kind: fixed, point: a}
                another name; sums and products of names and numbers

Who asks says what a name may be (`Resolver`): axes, columns, KPIs with their aliases. Nothing of
Python can be said, so a condition from a file executes nothing. A name that has no value (an axis
that does not apply, a gap of a table) meets no comparison, nor the opposite of one: neither
``rate_hz == 5`` nor ``rate_hz != 5`` nor ``not rate_hz == 5`` holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NoReturn

from simsplit.errors import ScenarioError
from simsplit.scenario.evaluation import (
    TRUTHS,
    Arithmetic,
    Comparison,
    Expression,
    Junction,
    Literal,
    Membership,
    Name,
    Negation,
    Node,
    names_in,
)
from simsplit.units import in_unit_of

Resolver = Callable[[str], str]  # a name as said → the name of its value; ScenarioError: no name
EXAMPLE = "cell.channel.snr_db >= 5 and split == stage3"

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_END = r"(?=\s*(?:$|[,)\]}]|(?:and|or|if)\b))"  # a per cent sign elsewhere is the remainder's
_MEASURE = re.compile(rf"([+-]?{_NUMBER})(\s*%{_END}|\s*[a-zA-Zµ°][\w/]*)?(?![\w.])")
_NAME = re.compile(r"[^\W\d]\w*(?:\.(?:\w+|\*))*")
_LONG_NAME = re.compile(r"[^\W\d]\w*(?:[.-](?:\w+|\*))*")
_AND = re.compile(r"(?:(?:,\s*)+(?:and\b)?|and\b)(?=\s*[^\s,])")
_OR_THIS = re.compile(r",(?=\s*[^\s,(])(?!\s*(?:and|or|not)\b)")
_WORD = re.compile(r"[^\s,()\[\]{}<>=!'\"%≤≥]+")
_COMPARISON = re.compile(r"<=|>=|==|!=|≤|≥|<|>")
_KEYWORDS = ("and", "or", "not", "in", "if")


DEEPEST = 50  # brackets and ``not`` within each other, terms of a sum
MOST_DIGITS = 18


def parse(text: str, resolve: Resolver, example: str = EXAMPLE) -> Expression:
    """A condition whose names ``resolve`` knows; a word behind an operator may be a text instead.

    Raises:
        ScenarioError: Not a condition, or what ``resolve`` says of a name it does not know.
    """
    return Expression(text, _Reader(text, resolve, example).whole())


def one_of(names: Sequence[str], message: str) -> Resolver:
    """Names, each also by its last part where that is no other's: ``snr_db``.

    ``message`` is what the error says of another name.
    """

    def resolve(word: str) -> str:
        if word in names:
            return word
        ends = [name for name in names if name.endswith(f".{word}")]
        if len(ends) == 1:
            return ends[0]
        raise ScenarioError(message, value=word, choices=ends or list(names))

    return resolve


# --- reading ----------------------------------------------------------------------------------


class _Words:
    """Takes words from a text: numbers, names, texts."""

    def __init__(self, text: str, resolve: Resolver, example: str) -> None:
        self._text, self._resolve, self._example = text, resolve, example
        self._at = 0
        self._depth = 0

    def _fail(self) -> NoReturn:
        rest = self._text[self._at :].strip()
        where = f"; not understood from {rest!r} on" if rest and self._at else ""
        raise ScenarioError(f"a condition reads {self._example}{where}", value=self._text)

    def _take(self, pattern: re.Pattern[str] | str) -> re.Match[str] | None:
        """What comes next, blanks left out, if it has the pattern."""
        compiled = re.compile(pattern) if isinstance(pattern, str) else pattern
        start = self._at + len(self._text[self._at :]) - len(self._text[self._at :].lstrip())
        match = compiled.match(self._text, start)
        if match is not None:
            self._at = match.end()
        return match

    def _within(self, part: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise ScenarioError("the condition is too deep", value=self._text)
        node = part()
        self._depth -= 1
        return node

    def _mapping(self, start: int) -> Literal:
        """YAML in flow style, as an axis has it; a text."""
        depth = 1
        while depth and self._at < len(self._text):
            depth += {"{": 1, "}": -1}.get(self._text[self._at], 0)
            self._at += 1
        text = self._text[start : self._at]
        return Literal(text, text) if depth == 0 else self._fail()

    def _value(self) -> Node:
        """A word behind an operator: a number, a truth, a name, or else a text."""
        word, end = self._take(_WORD), self._at
        if word is None or word[0] in _KEYWORDS:
            self._fail()
        self._at = word.start()
        number = self._number()
        if number is not None and self._at >= end:
            return number
        self._at = end
        if word[0].lower() in TRUTHS:
            return Literal(TRUTHS[word[0].lower()], word[0])
        try:
            return Name(self._resolve(word[0]), word[0])
        except ScenarioError:
            return Literal(word[0], word[0])

    def _hyphened(self) -> Name | None:
        """A name such as ``devices.iot-node.count``, if there is one; else it is a difference."""
        start, word = self._at, self._take(_LONG_NAME)
        if word is not None and "-" in word[0]:
            try:
                return Name(self._resolve(word[0]), word[0])
            except ScenarioError:
                pass
        self._at = start
        return None

    def _named(self) -> Node:
        word = self._take(_NAME)
        if word is None or word[0] in _KEYWORDS:
            self._fail()
        if word[0].lower() in TRUTHS:
            return Literal(TRUTHS[word[0].lower()], word[0])
        return Name(self._resolve(word[0]), word[0])

    def _term(self, node: Node) -> Node:
        """A part of a sum or product, which no text is."""
        if isinstance(node, Literal) and isinstance(node.value, str):
            message = f"sums and products are of numbers and names, and {node.text!r} is neither"
            hint = "a unit stands right behind its number: 100 ms, 5 Hz, 8 kbit"
            raise ScenarioError(f"{message}; {hint}", value=self._text)
        return node

    def _number(self) -> Literal | None:
        match = self._take(_MEASURE)
        if match is None:
            return None
        number, unit = match[1], (match[2] or "").strip()
        if unit in _KEYWORDS:
            self._at, unit = match.end(1), ""
        is_whole = number.lstrip("+-").isdigit() and len(number) < MOST_DIGITS
        value = int(number) if is_whole else float(number)
        if unit == "%":
            return Literal(value / 100, match[0], is_percent=True)
        return Literal(value, match[0], unit)


class _Reader(_Words):
    """Recursive descent, loosest first: or, and, not, comparison, sum, product, sign, item."""

    def whole(self) -> Node:
        node = self._any()
        return node if self._at == len(self._text.rstrip(" ,\t\n")) else self._fail()

    def _any(self) -> Node:
        parts = [self._all()]
        while self._take(r"or\b"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Junction(False, tuple(parts))

    def _all(self) -> Node:
        parts = [self._not()]
        while self._take(_AND):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else Junction(True, tuple(parts))

    def _not(self) -> Node:
        is_negated = self._take(r"not\b") is not None
        return Negation(self._within(self._not)) if is_negated else self._comparison()

    def _comparison(self) -> Node:
        first = self._sum()
        membership = self._take(r"(not\s+)?in\b")
        if membership is not None:
            return self._member(first, self._choices(), membership[1] is None)
        items, signs = [first], []
        while (sign := self._take(_COMPARISON)) is not None:
            signs.append(sign[0])
            items.append(self._sum(is_value=any(True for item in items for _ in names_in(item))))
        more = self._more() if signs in (["=="], ["!="]) else []
        if more:
            return self._member(first, [items[1], *more], signs == ["=="])
        if not signs:
            return first
        return Comparison(tuple(self._measured(items)), tuple(signs))

    def _member(self, item: Node, choices: Sequence[Node], is_in: bool) -> Membership:
        return Membership(item, tuple(self._measured([item, *choices])[1:]), is_in)

    def _choices(self) -> list[Node]:
        """What stands in brackets behind ``in``."""
        bracket = self._take(r"[\[({]")
        if bracket is None:
            self._fail()
        closing = {"[": r"\]", "(": r"\)", "{": r"\}"}[bracket[0]]
        choices = [self._sum(is_value=True)]
        while self._take(r","):
            if re.match(rf"\s*{closing}", self._text[self._at :]):
                break
            choices.append(self._sum(is_value=True))
        return choices if self._take(closing) else self._fail()

    def _more(self) -> list[Node]:
        """Further values behind ``== value``: after a comma, if no comparison begins there."""
        values: list[Node] = []
        while True:
            before = self._at
            if not self._take(_OR_THIS):
                break
            value = self._sum(is_value=True)
            if self._take(_COMPARISON) or self._take(r"(not\s+)?in\b"):
                break
            values.append(value)
        self._at = before
        return values

    def _sum(self, *, is_value: bool = False) -> Node:
        return self._chain(r"[+-]", lambda: self._product(is_value))

    def _product(self, is_value: bool) -> Node:
        return self._chain(r"[*/%]", lambda: self._item(is_value))

    def _chain(self, signs: str, part: Callable[[], Node]) -> Node:
        node, count = part(), 1
        while (sign := self._take(signs)) is not None:
            node, count = Arithmetic(sign[0], self._term(node), self._term(part())), count + 1
            if count > DEEPEST:
                raise ScenarioError("the condition is too deep", value=self._text)
        return node

    def _item(self, is_value: bool) -> Node:
        if self._take(r"\("):
            inner = self._within(self._any)
            return inner if self._take(r"\)") else self._fail()
        quoted = self._take(r"'([^']*)'|\"([^\"]*)\"")
        if quoted is not None:
            text = quoted[1] if quoted[2] is None else quoted[2]
            return Literal(text, text)
        mapping = self._take(r"\{")
        if mapping is not None:
            return self._mapping(mapping.start())
        return self._valued() if is_value else self._operand()

    def _valued(self) -> Node:
        """A value; a text may be a sum or product without blanks."""
        value = self._value()
        if isinstance(value, Literal) and isinstance(value.value, str):
            return self._computed(value.text) or value
        return value

    def _computed(self, word: str) -> Node | None:
        """A sum or product without blanks, if all of its words are names or numbers."""
        if not re.search(r"[^+*/-][+*/-]+[^+*/-]|^-[^\W\d]", word):
            return None
        try:
            node = _Reader(word, self._resolve, self._example)._sum_alone()
        except ScenarioError:
            return None
        return replace(node, text=word) if isinstance(node, Arithmetic) else node

    def _sum_alone(self) -> Node:
        node = self._sum()
        return node if self._at == len(self._text) else self._fail()

    def _operand(self) -> Node:
        """A number or a name; a sign may stand before it."""
        number = self._number()
        if number is not None:
            return number
        sign = self._take(r"[+-]")
        if sign is not None:
            item = self._within(lambda: self._item(is_value=False))
            return Arithmetic(sign[0], Literal(0, "0"), item)
        return self._hyphened() or self._named()

    def _measured(self, items: Sequence[Node]) -> list[Node]:
        """The items, numbers with a unit in that of the name beside them."""
        names = [item for item in items if isinstance(item, Name)]
        return [self._in_unit(item, names) for item in items]

    def _in_unit(self, item: Node, names: Sequence[Name]) -> Node:
        if not isinstance(item, Literal) or not item.unit:
            return item
        value = in_unit_of(names[0].name, float(item.value), item.unit) if names else None
        if value is not None:
            return Literal(value, item.text)
        if " " not in item.text:  # a text such as 8bit
            return Literal(item.text, item.text)
        name = names[0].text if names else "a number"
        raise ScenarioError(f"{name} is not in {item.unit}", value=self._text)
