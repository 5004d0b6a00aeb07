"""Many runs over the cartesian product of axes: one result folder per point, one tidy table."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.load import load as load_scenario
from simsplit.results import Result, flat_rows, identity, read_result, to_json

if TYPE_CHECKING:
    from pandas import DataFrame

Value = float | int | str | bool  # a mapping stands as its YAML text
Progress = Callable[[int, int, str], None]
MOST_VALUES = 10_000


def parse_axis(text: str) -> tuple[str, list[Value]]:
    """``path=low:high:step`` (both ends included) or ``path=a,x,3`` → path and values.

    A value may be a mapping in YAML's flow style, ``{kind: oracle}``; commas inside
    brackets do not part values.

    Raises:
        ScenarioError: Not of that form, step of the wrong sign, or more than 10 000 values.
    """
    path, equals, right = text.partition("=")
    if not (path.strip() and equals and right.strip()):
        raise ScenarioError("an axis reads path=low:high:step or path=a,b,c", value=text)
    parts = right.split(":")
    is_range = len(parts) == 3 and not set(right) & set("{[")
    values = _range(text, parts) if is_range else _listed(text, right)
    return path.strip(), values


def _range(text: str, parts: list[str]) -> list[Value]:
    try:
        low, high, step = (Decimal(part.strip()) for part in parts)
    except InvalidOperation:
        raise ScenarioError("low:high:step must be numbers", value=text) from None
    if not all(number.is_finite() for number in (low, high, step)):
        raise ScenarioError("low:high:step must be finite", value=text)
    if step == 0 or (high - low) / step < 0:
        raise ScenarioError("the step must lead from low to high", value=text)
    count = int((high - low) / step) + 1
    if count > MOST_VALUES:
        raise ScenarioError(f"more than {MOST_VALUES} values on one axis", value=text)
    numbers = [low + step * position for position in range(count)]
    whole = all(number == number.to_integral_value() for number in (low, step))
    return [int(number) if whole else float(number) for number in numbers]


def _listed(text: str, right: str) -> list[Value]:
    import yaml

    values: list[Value] = []
    for part in _parted(right):
        try:
            found = yaml.safe_load(part)
        except yaml.YAMLError:
            raise ScenarioError("not a value in YAML's flow style", path=text, value=part) from None
        if isinstance(found, dict):
            found = part.strip()
        if not isinstance(found, str | int | float | bool):
            raise ScenarioError("an axis lists values: a,b,c", value=text)
        values.append(found)
    return values


def _parted(text: str) -> list[str]:
    """The text at its commas, those inside brackets left alone."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in "{[") - (letter in "}]")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def sweep(
    source: str | Path,
    axes: Mapping[str, Sequence[Value]],
    *,
    replications: int | None = None,
    out: Path,
    progress: Progress | None = None,
) -> DataFrame:
    """Run every combination of the axes' values; points whose folder exists are read, not run.

    Writes ``sweep.json``, one result folder per point and the tidy ``points.csv`` into ``out``.
    """
    if not axes or not all(len(values) for values in axes.values()):
        raise ScenarioError("a sweep needs at least one axis with at least one value")
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    out.mkdir(parents=True, exist_ok=True)
    names = {point_name(source, point, replications): point for point in points}  # all checked
    described = {"source": str(source), "replications": replications, "points": names}
    (out / "sweep.json").write_text(to_json(described), encoding="utf-8")
    rows: list[dict[str, Any]] = []
    for position, (name, point) in enumerate(names.items()):
        if progress:
            progress(position, len(names), ", ".join(overrides(point)))
        rows += point_rows(point, _point(source, point, replications, out / name), name)
    if progress:
        progress(len(names), len(names), "done")
    return _written(rows, out)


def _point(
    source: str | Path, point: Mapping[str, Value], replications: int | None, folder: Path
) -> Result:
    if folder.exists():
        return read_result(folder)
    from simsplit.run import run

    return run(source, overrides=overrides(point), out=folder, replications=replications)


def point_name(source: str | Path, point: Mapping[str, Value], replications: int | None) -> str:
    """Folder name of a point: the identity of its run, so that anything changed is run anew."""
    from simsplit.run import artefact_digests

    texts = overrides(point)
    if replications is not None:
        texts.append(f"replications={replications}")
    scenario = load_scenario(source, overrides=texts)
    return identity(scenario, artefact_digests(scenario))[:16]


def overrides(point: Mapping[str, Value]) -> list[str]:
    """``path=value`` as ``--set`` takes it."""
    return [f"{path}={_as_yaml(value)}" for path, value in point.items()]


def _as_yaml(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def point_rows(point: Mapping[str, Value], result: Result, folder: str) -> list[dict[str, Any]]:
    """One flat row per operating point: axes, then `simsplit.results.flat_rows`, then folder."""
    rows = flat_rows(result.scenario, result.summary)
    return [dict(point) | row | {"folder": folder} for row in rows]


def _written(rows: list[dict[str, Any]], out: Path) -> DataFrame:
    import pandas as pd

    frame = pd.DataFrame(rows)
    aside = out / ".points.csv.part"
    frame.to_csv(aside, index=False)
    aside.replace(out / "points.csv")
    return frame


def load_results(folder: Path) -> DataFrame:
    """The tidy table of a sweep, rebuilt from the points that exist.

    Raises:
        ArtefactError: No sweep there, or none of its points has been run.
    """
    import pandas as pd

    try:
        described = json.loads((Path(folder) / "sweep.json").read_text(encoding="utf-8"))
        points = dict(described["points"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtefactError("no readable sweep.json", path=str(folder)) from error
    rows: list[dict[str, Any]] = []
    for name, point in points.items():
        if (Path(folder) / name).exists():
            rows += point_rows(point, read_result(Path(folder) / name), name)
    if not rows:
        raise ArtefactError("the sweep has no finished point yet", path=str(folder))
    return pd.DataFrame(rows)
