"""YAML from files that nobody vouches for: bounded before it is built, doubled keys refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
        found = path.stat()
        if found.st_size > MAX_FILE_BYTES:
            message = f"file is larger than {MAX_FILE_BYTES} bytes"
            raise ScenarioError(message, path=where, value=found.st_size)
        content: dict[str, Any] = copied(_mapping(path, found.st_mtime_ns, found.st_size))
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


def parse_yaml(text: str, where: str) -> Any:
    """The content of YAML text, bounded in depth and aliases, doubled keys refused."""
    try:
        _guard(text, where)
        return copied(yaml.load(text, Loader=_Loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ScenarioError(f"not valid YAML{place}: {error.problem}", path=where) from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ScenarioError(f"not valid YAML: {first}", path=where) from None


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
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise ScenarioError("a setting reads key=value, e.g. profile=C", value=text)
        found[key] = parse_yaml(value, key)
    return found
