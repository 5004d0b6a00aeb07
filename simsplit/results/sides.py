"""What is compared: the measured requests of a result, or of one operating point or group of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from simsplit.errors import NothingThere, ScenarioError
from simsplit.results.metrics import is_pooled
from simsplit.results.pooled import COLUMN
from simsplit.results.pooled_parts import PooledPart, pooled_by_name, read_parts
from simsplit.results.store import Result, read_result
from simsplit.results.summary import measured

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.scenario.scenario import Scenario


KINDS = ("operating_point", "group")


@dataclass(frozen=True)
class Side:
    """One of two things compared: the measured requests of a result, or of a part of it.

    Attributes:
        label: What it is called.
        scenario: Of the result.
        rows: The requests.
        pooled: KPIs that are made of all requests together.
        lacking: Those that the summary has but an older version's result cannot be compared by.
    """

    label: str
    scenario: Scenario
    rows: DataFrame
    pooled: Mapping[str, PooledPart] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()


Comparable: TypeAlias = Side | Result | str | Path


def side(result: Result | str | Path, part: str | None = None) -> Side:
    """The measured requests of a result (or of the one in a folder), or of a part of it.

    ``part`` is an operating point or a group and may say which: ``group:png``,
    ``operating_point:png``.

    Raises:
        ArtefactError: No result in the folder.
        ScenarioError: No such part, it is ambiguous, or it has no request.
    """
    if not isinstance(result, Result):
        result = read_result(Path(result))
    scenario = result.scenario
    label = result.folder.name if result.folder else scenario.name
    rows = measured(scenario, result.requests)
    key = ""
    if part is not None:
        label, (key, rows) = f"{label} {part}", _part(scenario, rows, part)
    if rows.empty:
        raise NothingThere("no request in the measured window", path=label)
    pooled, lacking = _pooled(result, rows, key)
    return Side(label, scenario, rows, pooled, lacking)


def _pooled(
    result: Result, rows: DataFrame, key: str
) -> tuple[Mapping[str, PooledPart], tuple[str, ...]]:
    """Pooled KPIs of a result's part, and those that an older version did not store enough of."""
    if COLUMN in rows:
        replicated = result.requests["replication"].nunique() > 1
        return pooled_by_name(rows, replicated=replicated), ()
    stored = {} if result.folder is None else read_parts(result.folder)
    there = result.summary.get("overall", {})
    has_any = [name for name in there if is_pooled(name) and there[name]["mean"] is not None]
    return stored.get(key, {}), () if stored else tuple(has_any)


def sides(
    a: Comparable, b: Comparable | None = None, of: str | None = None, with_: str | None = None
) -> tuple[Side, Side]:
    """What to compare: two results, the same part of both, or two parts (of one result, if alone).

    A `Side` stays as it is.

    Raises:
        ScenarioError: It is not said what to compare, or see `side`.
    """
    if of is None and with_ is not None:
        raise ScenarioError("--with needs --of: what to compare it with", value=with_)
    if isinstance(a, str | Path):
        a = read_result(Path(a))
    if b is None and (of is None or with_ is None):
        choices = [spec.name for spec in a.scenario.operating_points]
        message = "one result alone: say which parts to compare, --of NAME --with NAME"
        raise ScenarioError(message, choices=choices)
    b = a if b is None else b
    one = a if isinstance(a, Side) else side(a, of)
    return one, b if isinstance(b, Side) else side(b, with_ or of)


def _part(scenario: Scenario, rows: DataFrame, part: str) -> tuple[str, DataFrame]:
    """``kind:name`` of a part, and its rows."""
    names = {
        "operating_point": [spec.name for spec in scenario.operating_points],
        "group": [spec.name for spec in scenario.devices],
    }
    kind, colon, name = part.partition(":")
    kinds, name = ([kind], name) if colon and kind in KINDS else (list(KINDS), part)
    matching = [(f"{one}:{name}", rows[rows[one] == name]) for one in kinds if name in names[one]]
    if not matching:
        choices = list(dict.fromkeys(choice for one in kinds for choice in names[one]))
        raise ScenarioError("no such operating point or group", value=name, choices=choices)
    if any(not one.index.equals(matching[0][1].index) for _, one in matching):
        choices = [f"{one}:{name}" for one in KINDS]
        raise ScenarioError("both an operating point and a group", value=name, choices=choices)
    return matching[0]


def changes(a: Scenario, b: Scenario, most: int = 4) -> list[str]:
    """What B's scenario says otherwise, path by path."""
    one, two = _leaves(a.model_dump(mode="json")), _leaves(b.model_dump(mode="json"))
    paths = [path for path in one | two if one.get(path) != two.get(path)]
    if not paths:
        return []
    texts = [f"{path} {one.get(path, '-')} → {two.get(path, '-')}" for path in paths[:most]]
    more = [f"{len(paths) - most} more"] if len(paths) > most else []
    return [f"B's scenario has {', '.join([*texts, *more])}"]


def _leaves(value: object, path: str = "") -> dict[str, object]:
    inner: list[tuple[str, object]] = []
    if isinstance(value, dict):
        inner = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list):
        inner = [(str(position), item) for position, item in enumerate(value)]
    else:
        return {path: value}
    leaves: dict[str, object] = {}
    for key, item in inner:
        leaves |= _leaves(item, f"{path}.{key}" if path else key)
    return leaves
