"""Pooled KPIs of a result and of its parts, with the pseudo-values that two results compare by.

The evidence of single requests (`simsplit.results.pooled`) is not stored. What is left of it beside
the KPI itself are its jackknife pseudo-values, one per replication or batch, in ``pooled.json``:

    {"": {"dataset_miou": {"value": 0.61, "pseudo": [...], "n": 640, "replications": [0, 1, 2]}},
     "operating_point:png": {...}, "group:cameras": {...}}

``replications`` is empty where the pieces are batches of a single run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from simsplit.errors import ArtefactError
from simsplit.results.intervals import Estimated
from simsplit.results.pooled import pooled_estimate, pooled_of
from simsplit.results.statistics import FEWEST_REQUESTS, bounds_of

if TYPE_CHECKING:
    from pandas import DataFrame

FILE = "pooled.json"  # of results with pooled KPIs; results of older versions lack it
PARTS = ("operating_point", "group")


@dataclass(frozen=True, slots=True)
class PooledPart:
    """A pooled KPI of a part of a result.

    Attributes:
        value: Over all requests of the part.
        pseudo: Jackknife pseudo-values, one per piece.
        n: Requests behind it.
        replications: Which replication each piece is; empty: batches.
    """

    value: float
    pseudo: tuple[float, ...]
    n: int
    replications: tuple[int, ...]

    def estimated(self, name: str) -> Estimated | None:
        """As `simsplit.results.intervals` compares it; None: too few requests for an interval."""
        if len(self.pseudo) < 2 or self.n < FEWEST_REQUESTS:
            return None
        pseudo = np.array(self.pseudo)
        variance = float(pseudo.var(ddof=1)) / len(pseudo)
        bounds, nothing = bounds_of(name), np.empty(0)
        return Estimated(self.value, pseudo, variance, nothing, self.n, bounds, None, False)


Parts = Mapping[str, Mapping[str, PooledPart]]


def pooled_parts(rows: DataFrame, *, replicated: bool) -> dict[str, dict[str, PooledPart]]:
    """Pooled KPIs of the measured rows and of every part of them, as the file holds them.

    Args:
        rows: With evidence, in order of arrival.
        replicated: Whether there are several replications.
    """
    if not pooled_of(rows):
        return {}
    parts = {"": rows} | {
        f"{kind}:{name}": of_part for kind in PARTS for name, of_part in rows.groupby(kind)
    }
    return {part: pooled_by_name(of, replicated=replicated) for part, of in parts.items()}


def pooled_by_name(rows: DataFrame, *, replicated: bool) -> dict[str, PooledPart]:
    """Pooled KPIs of some measured rows by their names; none without an interval."""
    found: dict[str, PooledPart] = {}
    for item in pooled_of(rows):
        estimate, n, names = pooled_estimate(item, rows, replicated=replicated)
        if estimate is not None:
            pseudo = tuple(map(float, estimate.pseudo))
            found[item.name] = PooledPart(estimate.centre, pseudo, n, names)
    return found


def as_json(parts: Parts) -> dict[str, Any]:
    """As the file holds them."""
    return {
        part: {
            name: {
                "value": one.value,
                "pseudo": list(one.pseudo),
                "n": one.n,
                "replications": list(one.replications),
            }
            for name, one in of.items()
        }
        for part, of in parts.items()
    }


def read_parts(folder: Path) -> dict[str, dict[str, PooledPart]]:
    """What the file of a result holds; nothing if there is none.

    Raises:
        ArtefactError: It is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {
            part: {
                name: PooledPart(
                    float(one["value"]),
                    tuple(map(float, one["pseudo"])),
                    int(one["n"]),
                    tuple(map(int, one["replications"])),
                )
                for name, one in of.items()
            }
            for part, of in content.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtefactError(f"damaged: {error}", path=str(file)) from error
