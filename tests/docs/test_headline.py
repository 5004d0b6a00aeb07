"""What the pages say of the first table: no scheme is beaten in every column by another."""

from __future__ import annotations

import importlib
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

run_module = importlib.import_module("simsplit.study.run")
HIGHER_IS_BETTER = ("score_miou", "deadline_met")
LOWER_IS_BETTER = (
    "latency_p50_s",
    "latency_p95_s",
    "device_energy_j",
    "edge_energy_j",
    "payload_bits",
    "channel_uses",
)


@pytest.mark.slow
def test_no_scheme_of_the_headline_is_beaten_in_every_column(tmp_path: Path) -> None:
    result = run_module.run("urban_5g", out=tmp_path / "run")
    points = {name: columns(kpis) for name, kpis in result.summary["operating_points"].items()}
    assert len(points) == 4
    beaten = [(a, b) for a, b in permutations(points, 2) if beats(points[a], points[b])]
    assert not beaten


def columns(kpis: dict[str, Any]) -> dict[str, float]:
    """Means as the table of the README has them: joules of the device and of the edge apart."""
    means = {
        key: kpi["mean"] for key, kpi in kpis.items() if isinstance(kpi, dict) and "mean" in kpi
    }
    return means | {"device_energy_j": means["energy_j"] - means["edge_energy_j"]}


def beats(one: dict[str, float], other: dict[str, float]) -> bool:
    """As good in every column, and better in one."""
    gains = [one[key] - other[key] for key in HIGHER_IS_BETTER]
    gains += [other[key] - one[key] for key in LOWER_IS_BETTER]
    return min(gains) >= 0 and max(gains) > 0


def test_beaten_means_every_column() -> None:
    def point(**better: float) -> dict[str, float]:
        keys = (*HIGHER_IS_BETTER, *LOWER_IS_BETTER)
        return {key: better.get(key, 1.0) for key in keys}

    assert beats(point(score_miou=1.1), point())
    assert not beats(point(), point())
    assert not beats(point(score_miou=1.1, device_energy_j=1.1), point())
