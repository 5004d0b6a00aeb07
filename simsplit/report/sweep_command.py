"""The command that makes a sweep anew."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simsplit.load import bundled_names
from simsplit.points import as_yaml
from simsplit.report.provenance import command

AGAIN = "mkdir again\ncp sweep.json again/\nsimsplit sweep again"
"""What always works: the folder's ``sweep.json`` says every point."""

Points = Mapping[str, Mapping[str, Any]]


def sweep_command(said: Mapping[str, Any]) -> str | None:
    """``simsplit sweep SCENARIO --axis …`` from ``sweep.json``; None if the points are no grid."""
    axes = grid_axes(said["points"])
    fixed = _fixed(said["points"], said.get("overrides") or {})
    if not axes or fixed is None or not said.get("source"):
        return None
    words = ["simsplit", "sweep", scenario_name(str(said["source"]))]
    words += _options("--axis", (f"{axis}={_listed(values)}" for axis, values in axes.items()))
    words += _options("--set", fixed)
    words += _said(said, "replications", "until", "max_replications")
    return command([*words, "--out", "again"])


def grid_axes(points: Points) -> dict[str, list[Any]] | None:
    """Values by axis if the points are all their combinations, else None."""
    axes: dict[str, list[Any]] = {}
    for values in points.values():
        for axis, value in values.items():
            known = axes.setdefault(axis, [])
            if value not in known:
                known.append(value)
    is_whole = all(values.keys() == axes.keys() for values in points.values())
    is_grid = is_whole and math.prod(map(len, axes.values())) == len(points)
    return axes if is_grid else None


def _fixed(points: Points, overrides: Mapping[str, Sequence[str]]) -> list[str] | None:
    """What is set alike at all points; None if they differ in more than their axes' paths."""
    found: list[str] | None = None
    for name, values in points.items():
        own = [f"{axis}={as_yaml(value)}" for axis, value in values.items()]
        texts = list(overrides.get(name, own))
        rest = [text for text in texts if text not in own]
        if not set(own) <= set(texts) or found not in (None, rest):
            return None
        found = rest
    return found


def _options(option: str, texts: Iterable[str]) -> list[str]:
    return [word for text in texts for word in (option, text)]


def _said(said: Mapping[str, Any], *keys: str) -> list[str]:
    known = [key for key in keys if said.get(key) is not None]
    return [word for key in known for word in (f"--{key.replace('_', '-')}", str(said[key]))]


def _listed(values: Sequence[Any]) -> str:
    return ",".join(as_yaml(value) for value in values)


def scenario_name(source: str) -> str:
    """A bundled scenario's name for its path; any other path as it is."""
    path = Path(source)
    is_bundled = path.parent.name == "scenarios" and path.stem in bundled_names()
    return path.stem if is_bundled else source
