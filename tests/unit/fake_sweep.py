"""`run_points` without a simulator: KPIs are a known function of the point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simsplit.points import Point
from simsplit.sweep.folder import Described, fail, write_description

Kpis = Mapping[str, tuple[float, float]]  # mean and half-width


class FakeSweep:
    """Stands for `simsplit.sweep.run_points`; remembers what it ran, as the folder would.

    Args:
        kpis: Values of a point and replications → KPIs. None: the run fails.
    """

    def __init__(self, kpis: Callable[[Mapping[str, Any], int], Kpis | None]) -> None:
        self._kpis = kpis
        self.calls: list[list[Mapping[str, Any]]] = []
        self.ran: dict[str, Point] = {}

    def __call__(
        self,
        source: str,
        points: Sequence[Point],
        *,
        out: Path,
        replications: int | None = None,
        workers: int | None = None,
        progress: Callable[[int, int, str], None] | None = None,
        keep: bool = False,
    ) -> pd.DataFrame:
        assert keep, "the points of earlier batches must stay listed"
        assert len({point.overrides for point in points}) == len(points), "a point twice"
        out.mkdir(parents=True, exist_ok=True)
        self.calls.append([point.values for point in points])
        rows: list[dict[str, Any]] = []
        for point in points:
            rows += self._row(point, 5 if replications is None else replications, out)
        said = {name: dict(point.values) for name, point in self.ran.items()}
        write_description(out, Described(said))
        axes = list(points[0].values)
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*axes, "folder"])

    def _row(self, point: Point, replications: int, out: Path) -> list[dict[str, Any]]:
        name = f"{abs(hash((point.overrides, replications))):016x}"[:16]
        self.ran[name] = point
        found = self._kpis(point.values, replications)
        if found is None:
            fail(out, name, "it broke")
            return []
        row = dict(point.values) | {"operating_point": "only", "replications": replications}
        for kpi, (mean, half) in found.items():
            row |= {kpi: mean, f"{kpi}_ci_low": mean - half, f"{kpi}_ci_high": mean + half}
        return [row | {"flags": "", "folder": name}]
