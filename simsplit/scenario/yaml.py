"""YAML from files that nobody vouches for, and ``path=value`` texts that change what was read.

Files are bounded before they are built, doubled keys refused. A path goes down the YAML by dots; an
entry of a list is called by its ``name`` or its number. ``*`` stands for every entry of a list: the
value is put where the entry has that key already, in every entry if none has. ``operating_point.``
and ``device.`` are short for ``operating_points.*.`` and ``devices.*.``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from simsplit.errors import ScenarioError

MAX_FILE_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_ALIASES = 50
MAX_NODES = 50_000  # aliases expanded


def copied(node: Any) -> Any:
    """Mappings and sequences anew, so that overrides never reach the caller (or an alias)."""
    if isinstance(node, Mapping):
        return {key: copied(value) for key, value in node.items()}
    return [copied(item) for item in node] if isinstance(node, list | tuple) else node


_OF_TAGS = (LookupError, AttributeError, TypeError)  # PyYAML's, of ``!!bool x``, ``!!int ''`` …


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses a key said twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping; ConstructorError on a doubled key."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # refused by the parent
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key.value}' is said twice", key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; ScenarioError with line and column if it is none.

    A file that has not changed is parsed once per process: a sweep reads the same ones often.
    """
    where = str(path)
    try:
        state = path.stat()
        if state.st_size > MAX_FILE_BYTES:
            message = f"file is larger than {MAX_FILE_BYTES} bytes"
            raise ScenarioError(message, path=where, value=state.st_size)
        content: dict[str, Any] = copied(_mapping(path, state.st_mtime_ns, state.st_size))
    except OSError as error:
        raise ScenarioError(f"cannot be read: {error.strerror}", path=where) from None
    return content


@lru_cache(maxsize=256)
def _mapping(path: Path, mtime_ns: int, size: int) -> dict[str, Any]:
    where = str(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ScenarioError(f"not UTF-8 text (byte {error.start})", path=where) from None
    content = parse_yaml(text, where)
    if content is None:
        raise ScenarioError("the file is empty", path=where)
    if not isinstance(content, dict):
        raise ScenarioError("must be a mapping of keys to values", path=where, value=content)
    return content


def lines_of(path: Path) -> dict[str, int]:
    """Line of every YAML path in a file that `read_mapping` has read, e.g. of ``devices[0].count``.

    A key's line is its own, an entry's of a list that of its first key.
    """
    lines: dict[str, int] = {}
    root = yaml.compose(path.read_text("utf-8"), Loader=yaml.SafeLoader)
    if root is not None:
        _note_lines(root, (), lines)
    return lines


def _note_lines(node: yaml.Node, parts: tuple[str | int, ...], lines: dict[str, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        entries = [((*parts, str(key.value)), key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        entries = [((*parts, i), value, value) for i, value in enumerate(node.value)]
    else:
        return
    for below, first, value in entries:
        lines[yaml_path(below)] = first.start_mark.line + 1
        _note_lines(value, below, lines)


def yaml_path(parts: Sequence[str | int]) -> str:
    """E.g. ``devices[0].arrivals.rate_hz``."""
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def parse_yaml(text: str, where: str) -> Any:
    """The content of YAML text, bounded in depth and aliases, doubled keys refused."""
    try:
        _guard(text, where)
        return copied(yaml.load(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ScenarioError(f"not valid YAML{position}: {error.problem}", path=where) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, *_OF_TAGS) as error:
        is_tag = isinstance(error, _OF_TAGS)
        first = "a tag and its value do not fit" if is_tag else _first_line(error)
        raise ScenarioError(f"not valid YAML: {first}", path=where) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _guard(text: str, where: str) -> None:
    """Walk the events before anything is built: depth, aliases, and nodes with aliases expanded."""
    sizes: dict[str, int] = {}  # anchor → nodes below it
    stack: list[tuple[str | None, int]] = []  # open collections: anchor, total before it
    total = aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            aliases += 1
            if event.anchor not in sizes:
                raise ScenarioError(
                    "alias inside or before its anchor", path=where, value=event.anchor
                )
            total += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            stack.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = stack.pop()
            if anchor:
                sizes[anchor] = total - before
        _bounded(len(stack), aliases, total, where)


def _bounded(depth: int, aliases: int, nodes: int, where: str) -> None:
    for what, value, limit in (
        ("nested too deep", depth, MAX_DEPTH),
        ("too many aliases", aliases, MAX_ALIASES),
        ("too many values, aliases expanded", nodes, MAX_NODES),
    ):
        if value > limit:
            raise ScenarioError(f"{what}: at most {limit}", path=where, value=value)


def settings(texts: Iterable[str]) -> dict[str, Any]:
    """``key=value`` texts as a mapping, values read as YAML."""
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ScenarioError("a setting reads key=value, e.g. profile=C", value=text)
        values[key] = parse_yaml(value, key)
    return values


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
    index = parts.index(EVERY_ENTRY)
    before, after = list(parts[:index]), parts[index + 1 :]
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
            entries = [_look(item, parts[depth + 1 :]) for item in node]
            return next((item for item in entries if item is not None), None)
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
