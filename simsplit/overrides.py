"""``path=value`` texts that change a scenario before it is checked.

A path goes down the YAML by dots; an entry of a list is called by its ``name`` or its number. ``*``
stands for every entry of a list: the value is put where the entry has that key already, in every
entry if none has. ``operating_point.`` and ``device.`` are short for ``operating_points.*.`` and
``devices.*.``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simsplit.errors import ScenarioError
from simsplit.safe_yaml import copied, parse_yaml

EVERY_ENTRY = "*"
_SHORT = {"operating_point": "operating_points.*", "device": "devices.*"}


def override(raw: dict[str, Any], text: str) -> None:
    """Change the mapping as ``path=value`` says; the value is YAML.

    Raises:
        ScenarioError: Not of that form, or a path that leads nowhere.
    """
    path, equals, value_text = text.partition("=")
    path = path.strip()
    if not equals or not path or not all(path.split(".")):
        raise ScenarioError("an override reads path=value, e.g. cell.channel.snr_db=5", value=text)
    value = parse_yaml(value_text, path)
    for whole in _written_out(raw, _long(path).split(".")):
        _set(raw, whole, value)


def _long(path: str) -> str:
    """The path without the short forms."""
    first, dot, rest = path.partition(".")
    return f"{_SHORT[first]}.{rest}" if dot and first in _SHORT else path


def _written_out(node: Any, parts: Sequence[str]) -> list[list[str]]:
    """The path with each ``*`` replaced by the entries that it stands for."""
    if EVERY_ENTRY not in parts:
        return [list(parts)]
    place = parts.index(EVERY_ENTRY)
    before, after = list(parts[:place]), parts[place + 1 :]
    items = _look(node, before)
    if not isinstance(items, list) or not items or not after:
        message = "* stands for the entries of a list, and a key comes after it"
        raise ScenarioError(message, path=".".join(parts))
    having = [index for index, item in enumerate(items) if _look(item, after) is not None]
    paths = [
        [*before, str(index), *inner]
        for index in having or range(len(items))
        for inner in _written_out(items[index], after)
    ]
    return paths


def _look(node: Any, parts: Sequence[str]) -> Any:
    """What stands there now; None if nothing does."""
    for depth, part in enumerate(parts):
        if part == EVERY_ENTRY and isinstance(node, list):
            found = [_look(item, parts[depth + 1 :]) for item in node]
            return next((item for item in found if item is not None), None)
        if isinstance(node, list):
            names = {str(item.get("name")): item for item in node if isinstance(item, dict)}
            by_number = {str(index): item for index, item in enumerate(node)}
            node = (by_number | names).get(part)
        else:
            node = node.get(part) if isinstance(node, dict) else None
    return node


def _set(raw: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    *parents, last = parts
    node: Any = raw
    for depth, part in enumerate(parents):
        node = _step(node, part, ".".join(parents[: depth + 1]))
    _put(node, last, copied(value), ".".join(parts))


def _step(node: Any, part: str, path: str) -> Any:
    if isinstance(node, list):
        return node[_index(node, part, path)]
    if not isinstance(node, dict):
        raise ScenarioError("there is nothing below a plain value", path=path, value=node)
    if node.get(part) is None:
        node[part] = {}  # a section left to its defaults
    return node[part]


def _put(node: Any, last: str, value: Any, path: str) -> None:
    if isinstance(node, list):
        node[_index(node, last, path)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ScenarioError("there is nothing below a plain value", path=path, value=node)


def _index(items: list[Any], part: str, path: str) -> int:
    names = [str(item.get("name")) if isinstance(item, dict) else "" for item in items]
    if part in names:
        return names.index(part)
    if part.isascii() and part.isdigit() and len(part) < 9 and int(part) < len(items):
        return int(part)
    numbers = [str(index) for index in range(len(items))]
    raise ScenarioError(
        "no such entry", path=path, value=part, choices=[n for n in names if n] or numbers
    )
