"""What is looked for, where and how: axes, objectives, constraints, and their text."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from simsplit import axes as sweep_axes
from simsplit.axes import Range
from simsplit.errors import ScenarioError
from simsplit.kpis import Condition, Interval
from simsplit.points import Value
from simsplit.summary import check_kpi

Axis = tuple[Value, ...] | Range
SAMPLERS = ("tpe", "nsga2", "random")
STORED = ("source", "overrides", "replications")  # what all designs of a folder have in common
_CALL = re.compile(r"(\w+)\s*\(([^,()]+),([^,()]+)\)")
_SCALES = {  # name on the command line → logarithmic?, integer?
    "uniform": (False, False),
    "loguniform": (True, False),
    "int": (False, True),
    "logint": (True, True),
}


@dataclass(frozen=True)
class Objective:
    """What shall be large or small."""

    kpi: str
    is_max: bool

    def __str__(self) -> str:
        return f"{'max' if self.is_max else 'min'} {self.kpi}"

    def cost(self, found: Interval) -> float:
        """The mean, negated if it shall be large."""
        return -found.mean if self.is_max else found.mean


@dataclass(frozen=True)
class Search:
    """A search; two that are equal propose the same designs in the same order."""

    source: str
    axes: Mapping[str, Axis]
    objectives: tuple[Objective, ...]
    conditions: tuple[Condition, ...]
    point: str | None
    overrides: tuple[str, ...]
    replications: int | None
    seed: int
    batch: int
    sampler: str

    def __post_init__(self) -> None:
        if not self.axes or not self.objectives:
            raise ScenarioError("a search needs at least one axis and one objective")
        if self.batch < 1:
            raise ScenarioError("batches start at 1", value=self.batch)
        if self.sampler not in SAMPLERS:
            raise ScenarioError("no such sampler", value=self.sampler, choices=SAMPLERS)
        names = [objective.kpi for objective in self.objectives]
        if len(set(names)) < len(names):
            raise ScenarioError("an objective is said twice", value=", ".join(names))
        for name in (*names, *(condition.kpi for condition in self.conditions)):
            check_kpi(name)

    def described(self) -> dict[str, Any]:
        """As it stands in ``optimum.json``."""
        return {
            "source": self.source,
            "axes": {path: axis_text(axis) for path, axis in self.axes.items()},
            "objectives": [str(objective) for objective in self.objectives],
            "constraints": [str(condition) for condition in self.conditions],
            "operating_point": self.point,
            "overrides": list(self.overrides),
            "replications": self.replications,
            "seed": self.seed,
            "batch": self.batch,
            "sampler": self.sampler,
        }

    def grid(self) -> list[dict[str, Value]] | None:
        """Every design, if no axis is a range."""
        listed = [axis for axis in self.axes.values() if not isinstance(axis, Range)]
        if len(listed) < len(self.axes):
            return None
        return [dict(zip(self.axes, values, strict=True)) for values in product(*listed)]


# --- text -------------------------------------------------------------------------------------


def parse_objective(text: str) -> Objective:
    """``max accuracy`` or ``min energy_j``.

    Raises:
        ScenarioError: Not of that form.
    """
    way, _, kpi = " ".join(text.split()).partition(" ")
    if way not in ("max", "min") or not kpi or " " in kpi:
        raise ScenarioError("an objective reads max KPI or min KPI, e.g. max accuracy", value=text)
    return Objective(kpi, way == "max")


def parse_axes(texts: Sequence[str]) -> dict[str, Axis]:
    """Axes as the command line says them, by path.

    Raises:
        ScenarioError: Not an axis (`parse_axis`), or one path twice.
    """
    axes: dict[str, Axis] = {}
    for path, axis in map(parse_axis, texts):
        if path in axes:
            raise ScenarioError("the axis is said twice", value=path)
        axes[path] = axis
    return axes


def parse_axis(text: str) -> tuple[str, Axis]:
    """``path=uniform(0,23)``, ``loguniform(1,100)``, ``int(1,16)``, ``logint(1,1024)``, or a list.

    Lists and steps are read by `simsplit.axes`: ``path=a,b,c``, ``path=low:high:step``.

    Raises:
        ScenarioError: Not of that form, an empty range, or a value twice.
    """
    path, _, right = text.partition("=")
    call = _CALL.fullmatch(right.strip())
    if call is None or call[1] in ("lin", "log"):
        return _listed(text)
    if call[1] not in _SCALES:
        raise ScenarioError("no such range", path=text, value=call[1], choices=list(_SCALES))
    try:
        low, high = float(call[2]), float(call[3])
    except ValueError:
        raise ScenarioError("a range reads low,high in numbers", value=text) from None
    return path.strip(), checked(path.strip(), Range(path.strip(), low, high, *_SCALES[call[1]]))


def _listed(text: str) -> tuple[str, Axis]:
    axis = sweep_axes.axis_from_text(text)
    if axis.only_where is not None or len(axis.names) > 1:
        message = "a search takes plain axes, neither zipped nor conditional"
        raise ScenarioError(message, value=text)
    path = axis.names[0]
    return path, checked(path, [step.values[path] for step in axis.steps])


def checked(path: str, axis: Sequence[Value] | Range) -> Axis:
    """The axis.

    Raises:
        ScenarioError: It is empty, has a value twice, or its ends are impossible.
    """
    if not isinstance(axis, Range):
        if not axis or len(set(map(repr, axis))) < len(axis):
            raise ScenarioError("an axis needs values, each once", path=path, value=list(axis))
        return tuple(axis)
    low, high = float(axis.low), float(axis.high)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ScenarioError("a range has finite ends", path=path, value=axis_text(axis))
    sweep_axes.sampled_range(path, low, high, is_log=axis.is_log, whole=axis.is_integer)
    return axis


def axis_text(axis: Axis) -> str | list[Value]:
    """A range as the command line says it, or the list."""
    if not isinstance(axis, Range):
        return list(axis)
    names = {kind: name for name, kind in _SCALES.items()}
    return f"{names[axis.is_log, axis.is_integer]}({axis.low:g},{axis.high:g})"
