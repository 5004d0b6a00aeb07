"""Result folders for the tests of the report: a run and a sweep, made up."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import synthetic

SNR_DB = (0, 5, 10)
BLOCKS = (10, 50)


def run_folder(folder: Path, **changes: Any) -> Path:
    """A synthetic run."""
    synthetic.store(folder, **changes)
    return folder


def sweep_folder(folder: Path, name: str = "toy_sweep", **changes: Any) -> Path:
    """A synthetic sweep over SNR and resource blocks: six points, one failed, one not run yet."""
    axes = ("cell.channel.snr_db", "cell.resource_blocks")
    grid = itertools.product(SNR_DB, BLOCKS)
    points = {f"{i:016x}": dict(zip(axes, at, strict=True)) for i, at in enumerate(grid)}
    names = list(points)
    for seed, point in enumerate(names[:4]):
        synthetic.store(folder / point, seed=seed, **changes)
    (folder / "failed").mkdir(parents=True)
    note = json.dumps({"error": "the table ends at <30 dB>", "traceback": "…"})
    for point in (names[0], names[4]):  # the first one succeeded later
        (folder / "failed" / f"{point}.json").write_text(note)
    _describe(folder, name, points)
    return folder


def conditional_sweep(folder: Path) -> Path:
    """A sweep whose axes pick the operating point, one of them only at some points."""
    points: dict[str, dict[str, Any]] = {}
    for place, (snr_db, one) in enumerate(itertools.product(SNR_DB, synthetic.POINTS)):
        at = {"cell.channel.snr_db": snr_db, "split": one} | ({"coding": "x"} if place % 4 else {})
        points[f"{place:016x}"] = at
        synthetic.store(folder / f"{place:016x}", seed=place)
        table = folder / f"{place:016x}" / "table.json"
        rows = json.loads(table.read_text())
        table.write_text(json.dumps([row for row in rows if row["operating_point"] == one]))
    _describe(folder, "conditional", points)
    return folder


def _describe(folder: Path, name: str, points: Mapping[str, Mapping[str, Any]]) -> None:
    texts = {p: [f"{axis}={value}" for axis, value in at.items()] for p, at in points.items()}
    said: dict[str, Any] = {"name": name, "source": "urban_5g", "replications": 5}
    said |= {"description": "A toy", "axes": ["cell.channel.snr_db", "cell.resource_blocks"]}
    said |= {"points": points, "overrides": texts, "until": None, "max_replications": None}
    (folder / "sweep.json").write_text(json.dumps(said))
