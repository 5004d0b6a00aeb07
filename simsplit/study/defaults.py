"""What a scenario leaves unsaid, in words: the defaults that it rests on."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from simsplit.scenario.scenario import Scenario

WIDTH = 96
SECTIONS = ("task", "cell", "edge")
_NAMES = ("name", "description", "of")  # what nothing depends on


def defaults(scenario: Scenario) -> dict[str, tuple[str, ...]]:
    """What each section leaves to its default, e.g. ``{"cell": ("fading none", ...)}``.

    Of a scenario as it was written: one that was resolved and read again says everything.
    """
    sections: list[tuple[str, BaseModel]] = [(name, getattr(scenario, name)) for name in SECTIONS]
    sections += [(f"devices.{group.name}", group) for group in scenario.devices]
    unsaid = {name: tuple(_unsaid(spec, "")) for name, spec in sections}
    return {name: settings for name, settings in unsaid.items() if settings}


def default_lines(unsaid: Mapping[str, tuple[str, ...]], width: int = WIDTH) -> list[str]:
    """The same as text: the sections, those that leave the same together, and their settings.

    Lines are broken between settings; within one only where it alone is longer than a line.
    """
    sections: dict[tuple[str, ...], list[str]] = {}
    for name, settings in unsaid.items():
        sections.setdefault(settings, []).append(name)
    lines = []
    for settings, names in sections.items():
        lines.append(f"- {', '.join(names)}")
        lines += _wrapped(settings, width)
    return lines


def _wrapped(settings: tuple[str, ...], width: int) -> list[str]:
    margin, hard = "    ", "\u00a0"  # a blank at which no line is broken
    whole = width - len(margin)
    kept = (one.replace(" ", hard) if len(one) < whole else one for one in settings)
    lines = textwrap.wrap(
        ", ".join(kept),
        width,
        initial_indent=margin,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(hard, " ") for line in lines]


def _unsaid(spec: BaseModel, path: str) -> Iterator[str]:
    for key in type(spec).model_fields:
        value, inner = getattr(spec, key), f"{path}{key}"
        if key in _NAMES or value is None or value == ():
            continue
        if key not in spec.model_fields_set:
            yield f"{inner} {_in_words(value)}"
        elif isinstance(value, BaseModel):
            yield from _unsaid(value, f"{inner}.")


def _in_words(value: Any) -> str:
    """A number or word as it is; a section as its kind and, in brackets, what it says."""
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_in_words, value)) + "]"
    if not isinstance(value, BaseModel):
        return f"{value:g}" if isinstance(value, float) else str(value)
    content = {key: getattr(value, key) for key in type(value).model_fields}
    kind = content.pop("kind", "")
    inside = ", ".join(f"{k} {_in_words(v)}" for k, v in content.items() if v is not None)
    return " ".join(part for part in (str(kind), f"({inside})" if inside else "") if part)
