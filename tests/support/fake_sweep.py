"""`run_sweep` without a simulator: KPIs are a known function of the point."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from simsplit.results.sweep_folder import Described, fail, write_description
from simsplit.scenario.axes import Point
from simsplit.scenario.sweeps import Sweep
from simsplit.study.sweep import Execution

Kpis = Mapping[str, tuple[float, float]]  # mean and half-width


class FakeSweep:
    """Stands for `simsplit.study.sweep.run_sweep`; remembers what it ran, as the folder would.

    Args:
        kpis: Values of a point and replications → KPIs. None: the run fails.
    """

    def __init__(self, kpis: Callable[[Mapping[str, Any], int], Kpis | None]) -> None:
        self._kpis = kpis
        self.calls: list[list[Mapping[str, Any]]] = []
        self.ran: dict[str, Point] = {}

    def __call__(
        self,
        asked: Sweep,
        out: Path,
        execution: Execution,
    ) -> pd.DataFrame:
        points = asked.points
        assert execution.keep, "the points of earlier batches must stay listed"
        assert len({point.overrides for point in points}) == len(points), "a point twice"
        out.mkdir(parents=True, exist_ok=True)
        self.calls.append([point.values for point in points])
        rows: list[dict[str, Any]] = []
        for point in points:
            rows += self._row(point, 5 if asked.replications is None else asked.replications, out)
        described = {name: dict(point.values) for name, point in self.ran.items()}
        write_description(out, Described(described))
        axes = list(points[0].values)
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*axes, "folder"])

    def _row(self, point: Point, replications: int, out: Path) -> list[dict[str, Any]]:
        asked = repr((point.overrides, replications)).encode()
        name = hashlib.sha256(asked).hexdigest()[:16]
        self.ran[name] = point
        kpis = self._kpis(point.values, replications)
        if kpis is None:
            fail(out, name, "it broke")
            return []
        row = dict(point.values) | {"operating_point": "only", "replications": replications}
        row |= {"n": 400, "latency_s": 0.01}
        for kpi, (mean, half) in kpis.items():
            row |= {kpi: mean, f"{kpi}_ci_low": mean - half, f"{kpi}_ci_high": mean + half}
        return [row | {"flags": "", "folder": name}]
