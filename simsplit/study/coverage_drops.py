"""Drops of a scenario for the coverage of its intervals: act two of many replications, kept small.

A drop is one replication: places, shadowing and arrivals are drawn anew. Blocks of drops are
written as they are done, so that a killed measurement goes on.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.files import write_whole
from simsplit.results.identity import artefact_digests, run_identity
from simsplit.scenario.permission import Carried
from simsplit.study.inputs import make_plans
from simsplit.study.run import open_scenario_pipeline, resolve
from simsplit.study.simulate import simulate
from simsplit.study.workers import cores, executor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from simsplit.scenario.scenario import Scenario
    from simsplit.sim.request import Plan

    Array = NDArray[np.float64]

BLOCK = 100
COLUMNS = ("drop", "group", "latency_s", "tx_energy_j", "delivered")


@dataclass(frozen=True, slots=True)
class Drops:
    """Rows of drops ``(n, 5)``, by drop, device and arrival; see `COLUMNS`."""

    name: str
    rows: Array

    def of(self, group: int | None) -> Drops:
        """The requests of one group, by its number; None: of all."""
        return self if group is None else Drops(self.name, self.rows[self.rows[:, 1] == group])

    def column(self, name: str) -> list[Array]:
        """The values of every drop."""
        edges = np.flatnonzero(np.diff(self.rows[:, 0])) + 1
        return np.split(self.rows[:, COLUMNS.index(name)], edges)

    def finite(self, name: str) -> list[Array]:
        """The values of every drop that are there."""
        return [values[np.isfinite(values)] for values in self.column(name)]


def simulated(
    source: str | Path,
    overrides: Sequence[str],
    folder: Path,
    count: int,
    workers: int | None,
    tell: Callable[[str, float, float], None],
) -> Drops:
    """So many drops of a scenario, simulated or read from ``folder``.

    Raises:
        ScenarioError: Not exactly two groups at equal places, with the same periodic arrivals.
    """
    scenario = resolve(source, list(overrides), {})
    _check(scenario)
    folder = folder / run_identity(scenario, artefact_digests(scenario))[:16]
    starts = range(0, count, BLOCK)
    files = [folder / f"{start}-{min(start + BLOCK, count)}.npy" for start in starts]
    missing = [
        (start, file) for start, file in zip(starts, files, strict=True) if not file.exists()
    ]
    if missing:
        pipeline = open_scenario_pipeline(scenario)
        plans = make_plans(scenario, pipeline, pipeline.prepare())
        work = partial(_block, scenario, plans, count=count)
        with executor(workers or cores(), None) as pool:
            done = [(file, pool.submit(Carried(work), start)) for start, file in missing]
            for number, (file, future) in enumerate(done, start=1):
                write_whole(file, future.result())
                tell(f"drops of {scenario.name}", number, len(done))
    rows = np.concatenate([np.load(file, allow_pickle=False) for file in files])
    return Drops(scenario.name, rows)


def _check(scenario: Scenario) -> None:
    names = [group.name for group in scenario.devices]
    if len(names) != 2 or scenario.devices[1].place_group != names[0]:
        message = "two groups are needed, the second with the first as its place_group"
        raise ScenarioError(message, path="devices", value=", ".join(names))


def _block(scenario: Scenario, plans: dict[str, Plan], start: int, count: int) -> bytes:
    """A block of drops as the bytes of an ``.npy`` file."""
    names = {group.name: number for number, group in enumerate(scenario.devices)}
    rows = []
    numbers = range(start, min(start + BLOCK, count))
    for drop, history in zip(numbers, simulate(scenario, plans, None, numbers), strict=True):
        requests = sorted(history.requests, key=lambda r: (names[r.group], r.device, r.arrival_s))
        for request in requests:
            latency_s = (
                request.closed_s - request.arrival_s if request.status == "done" else math.nan
            )
            values = (latency_s, request.tx_energy_j, float(bool(request.delivered)))
            rows.append((drop, names[request.group], *values))
    buffer = io.BytesIO()
    np.save(buffer, np.array(rows, float), allow_pickle=False)
    return buffer.getvalue()
