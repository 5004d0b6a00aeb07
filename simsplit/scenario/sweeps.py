"""A sweep as a YAML file: the scenario, what is set at every point, axes, replications.

.. code-block:: yaml

    scenario: awgn_cliff            # bundled name, or a path beside this file
    set: {duration_s: 4}            # at every point
    replications: 5
    until: "accuracy:0.01"          # or: replicate until every interval is that narrow
    axes:
      - {path: cell.channel.snr_db, range: [-5, 25, 2.5]}               # low, high, step
      - {path: cell.resource_blocks, log_range: [5, 270, 6]}            # low, high, count
      - {name: quality, path: operating_points.jpeg.codec.quality, values: [50, 75, 90]}
      - zip:                                                            # move together
          - {path: edge.workers, values: [1, 2]}
          - {path: edge.max_batch, values: [8, 4]}
      - name: radio                                                     # whole sub-trees by name
        variants:
          plain: {cell.fading: {kind: none}}
          fading: {cell.fading: {kind: rayleigh}, cell.harq.max_transmissions: 4}
      - {path: cell.mcs.index, values: [5, 11], only_where: "radio == 'plain'"}
      - latin_hypercube: {samples: 40, seed: 1, axes: [{path: seed, int: [1, 99]}]}
    where: "edge.workers == 1 or radio == 'fading'"                     # points that are kept
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from simsplit.errors import ScenarioError
from simsplit.scenario.axes import (
    SAMPLED,
    Axis,
    Point,
    Range,
    Value,
    combine,
    latin_hypercube,
    listed,
    sampled_range,
    spaced,
    stepped,
    zipped,
)
from simsplit.scenario.axis_text import axes_from_text
from simsplit.scenario.load import load
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.places import SCENARIO, SWEEP, find_named, referred
from simsplit.scenario.spec import Count, Name, Number, Spec, Whole
from simsplit.scenario.yaml import read_mapping

Scalar = bool | int | float | str
Pair = tuple[Number, Number]
Triple = tuple[Number, Number, Number]
_HOW = ("values", "range", "lin_range", "log_range")


class PathAxis(Spec):
    """One path over a list of values, or from low to high."""

    path: str = Field(min_length=1)
    name: Name | None = Field(None, description="Column of the table; the path if not said.")
    values: list[Scalar | dict[str, Any]] | None = Field(None, min_length=1)
    range: Triple | None = Field(None, description="low, high (included), step")
    lin_range: Triple | None = Field(None, description="low, high, count")
    log_range: Triple | None = Field(None, description="low, high, count; equal ratios")
    only_where: str | None = None

    @model_validator(mode="after")
    def _one_way(self) -> PathAxis:
        _exactly_one(self, _HOW)
        return self

    def axis(self) -> Axis:
        """The axis that this says."""
        return Axis(listed(self.path, self._values(), name=self.name).steps, self.only_where)

    def _values(self) -> list[Value]:
        if self.values is not None:
            return [json.dumps(v) if isinstance(v, dict) else v for v in self.values]
        if self.range is not None:
            return stepped([repr(number) for number in self.range], self.path)
        low, high, count = self.lin_range or self.log_range or (0, 0, 0)
        return spaced(low, high, count, is_log=self.log_range is not None, text=self.path)


class ZipAxis(Spec):
    """Axes that move together."""

    zip: list[PathAxis] = Field(min_length=2)
    only_where: str | None = None

    def axis(self) -> Axis:
        """The axis that this says."""
        return Axis(zipped([axis.axis() for axis in self.zip]).steps, self.only_where)


class VariantAxis(Spec):
    """Named variants: each puts values or whole sub-trees at any paths."""

    name: Name
    variants: dict[Name, dict[str, Any]] = Field(min_length=1)
    only_where: str | None = None

    def axis(self) -> Axis:
        """The axis that this says; its values are the variants' names."""
        steps = (
            Point({self.name: label}, tuple(f"{path}={json.dumps(v)}" for path, v in tree.items()))
            for label, tree in self.variants.items()
        )
        return Axis(tuple(steps), self.only_where)


class SampledAxis(Spec):
    """One dimension of a Latin hypercube."""

    path: str = Field(min_length=1)
    uniform: Pair | None = None
    loguniform: Pair | None = None
    int: Pair | None = None
    logint: Pair | None = None

    @model_validator(mode="after")
    def _one_way(self) -> SampledAxis:
        _exactly_one(self, tuple(SAMPLED))
        return self

    def range(self) -> Range:
        """The range that this says."""
        kind = next(name for name in SAMPLED if getattr(self, name) is not None)
        (low, high), (is_log, is_integer) = getattr(self, kind), SAMPLED[kind]
        return sampled_range(self.path, low, high, is_log=is_log, whole=is_integer)


class Hypercube(Spec):
    """``samples`` points in the ranges of ``axes``."""

    samples: Count
    seed: Whole = 1
    axes: list[SampledAxis] = Field(min_length=1)


class HypercubeAxis(Spec):
    """A Latin hypercube."""

    latin_hypercube: Hypercube
    only_where: str | None = None

    def axis(self) -> Axis:
        """The axis that this says."""
        cube = self.latin_hypercube
        steps = latin_hypercube([a.range() for a in cube.axes], cube.samples, cube.seed).steps
        return Axis(steps, self.only_where)


def _exactly_one(spec: Spec, keys: Sequence[str]) -> None:
    given = [key for key in keys if getattr(spec, key) is not None]
    if len(given) != 1:
        raise ValueError(
            f"say exactly one of {', '.join(keys)}; found {', '.join(given) or 'none'}"
        )


_FAMILY: dict[str, type[Spec]] = {
    "zip": ZipAxis,
    "variants": VariantAxis,
    "latin_hypercube": HypercubeAxis,
}
AnyAxis = PathAxis | ZipAxis | VariantAxis | HypercubeAxis


class SweepFile(Spec):
    """Everything that a sweep file may say."""

    scenario: str = Field(min_length=1)
    name: Name | None = None
    description: str = ""
    question: str = ""
    set: dict[str, Any] = Field(default_factory=dict)
    replications: Count | None = None
    until: str | None = None
    max_replications: Count | None = None
    axes: Annotated[list[AnyAxis], Field(min_length=1)]
    where: str | None = None


@dataclass(frozen=True)
class Sweep:
    """What to run: points of a scenario, how often, and how it was said."""

    name: str
    source: str
    points: list[Point]
    replications: int | None = None
    until: str | None = None
    max_replications: int | None = None
    description: str = ""


def sweep_path(source: str | Path) -> Path | None:
    """The file of a sweep: a path that has ``axes:``, or a name; None if it is none."""
    return find_named(SWEEP, str(source))


def sweep_from_axes(
    scenario: str,
    axes: Sequence[str],
    *,
    where: str | None = None,
    samples: int | None = None,
    overrides: Sequence[str] = (),
) -> Sweep:
    """The sweep that a command line says (see `simsplit.scenario.axis_text`)."""
    points = combine(axes_from_text(axes, samples=samples), where)
    points = [Point(point.values, (*overrides, *point.overrides)) for point in points]
    return Sweep(f"sweep-{Path(scenario).stem}", scenario, points)


def read_sweep(path: Path, *, overrides: Sequence[str] = (), where: str | None = None) -> Sweep:
    """The sweep in a file; ``overrides`` come after its own ``set:``, before the axes.

    ``where`` leaves out further points.

    Raises:
        ScenarioError: It says something impossible; the error names the path in the YAML.
    """
    raw = read_mapping(path)
    spec = _checked(raw)
    fixed = (*(f"{key}={json.dumps(value)}" for key, value in spec.set.items()), *overrides)
    conditions = [f"({text})" for text in (spec.where, where) if text is not None]
    axes = [_built(axis, f"axes[{index}]") for index, axis in enumerate(spec.axes)]
    points = combine(axes, " and ".join(conditions) or None)
    source = _scenario(path, spec.scenario)
    load(source, overrides=fixed)  # a mistake in ``set`` is no point's
    return Sweep(
        name=spec.name or path.stem,
        source=source,
        points=[Point(point.values, (*fixed, *point.overrides)) for point in points],
        replications=spec.replications,
        until=spec.until,
        max_replications=spec.max_replications,
        description=spec.question or spec.description,
    )


def _checked(raw: Mapping[str, Any]) -> SweepFile:
    """Each axis is checked by the model of its kind, so that an error speaks of that kind only."""
    axes = raw.get("axes")
    content = dict(raw)
    if isinstance(axes, list):
        content["axes"] = [_axis(axis, f"axes[{index}]") for index, axis in enumerate(axes)]
    try:
        return SweepFile.model_validate(content)
    except ValidationError as error:
        raise mistake(error, raw, SweepFile) from None


def _axis(raw: Any, path: str) -> Spec:
    if not isinstance(raw, dict):
        raise ScenarioError("an axis is a mapping with path, zip or variants", path=path, value=raw)
    kinds = ("path", *_FAMILY)
    if not any(key in raw for key in kinds):
        other = next((key for key in raw if key not in ("name", "only_where")), None)
        message = "an axis says one of path, zip, variants and latin_hypercube"
        raise ScenarioError(message, path=path, value=other, choices=kinds)
    kind = next((_FAMILY[key] for key in _FAMILY if key in raw), PathAxis)
    try:
        return kind.model_validate(raw)
    except ValidationError as error:
        raise mistake(error, raw, kind, prefix=path) from None


def _built(spec: AnyAxis, path: str) -> Axis:
    """The axis; what is wrong with its numbers is told with its place in the file."""
    try:
        return spec.axis()
    except ScenarioError as error:
        raise ScenarioError(
            error.message, path=path, value=error.path or error.value, choices=error.choices
        ) from error


def _scenario(path: Path, scenario: str) -> str:
    """The reference of a scenario: what is beside the sweep file comes first."""
    return referred(SCENARIO, scenario, beside=path.parent, path="scenario")
