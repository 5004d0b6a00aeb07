"""One point of a sweep: where it stands on every axis, and the overrides that put it there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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
