"""Act two: the replications of a scenario, here one after the other or in processes side by side.

A replication depends on the seed and its number alone, so its rows are the same wherever it runs.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from simsplit.errors import SimsplitError
from simsplit.scenario.devices import DeviceGroup, PeriodicArrivals, PoissonArrivals
from simsplit.scenario.permission import Carried
from simsplit.scenario.scenario import Scenario
from simsplit.study.inputs import (
    _block_channel,
    machines,
    open_bler_table,
    read_channel_trace,
    read_traces,
)
from simsplit.study.workers import cores, executor

if TYPE_CHECKING:
    from simsplit.sim.request import Plan
    from simsplit.sim.world import Beginning, History

FEWEST_REQUESTS = 1000  # below it, processes take longer to start than they save
Progress = Callable[[int, int], None]


def simulate(
    scenario: Scenario,
    plans: Mapping[str, Plan],
    progress: Progress | None = None,
    numbers: Sequence[int] | None = None,
    workers: int | None = 0,
    begin: Beginning | None = None,
) -> list[History]:
    """Run the replications of these numbers (all by default); no network is touched.

    Args:
        progress: Called with (number of the last replication + 1 so far, that at the end).
        workers: Processes; 0: this one; None: one per core, if that is worth their start.
        begin: Where these begin if they are parts of a run; without processes alone.

    Raises:
        ScenarioError: What a world refuses.
        SimsplitError: A worker process died.
    """
    numbers = range(scenario.replications) if numbers is None else numbers
    count = _how_many(scenario, len(numbers), workers)
    if count < 2:
        return list(_told(_one_by_one(scenario, plans, numbers, begin), numbers, progress))
    return _side_by_side(scenario, plans, numbers, count, progress)


def _told(
    histories: Iterator[History], numbers: Sequence[int], progress: Progress | None
) -> Iterator[History]:
    for done, history in enumerate(histories, start=1):
        if progress is not None:
            progress(numbers[0] + done, numbers[-1] + 1)
        yield history


def _one_by_one(
    scenario: Scenario,
    plans: Mapping[str, Plan],
    numbers: Sequence[int],
    begin: Beginning | None = None,
) -> Iterator[History]:
    from simsplit.sim.radio.tracks import read_tracks
    from simsplit.sim.world import World

    table, powers = open_bler_table(), machines(scenario)
    trace, tracks = read_channel_trace(scenario), read_tracks(scenario)
    for replication in numbers:
        yield World(
            scenario,
            plans,
            powers,
            table,
            replication=replication,
            traffic=read_traces(scenario, replication),
            make_blocks=_block_channel(scenario, table),
            channel_trace=trace,
            tracks=tracks,
            begin=begin,
        ).run()


def _side_by_side(
    scenario: Scenario,
    plans: Mapping[str, Plan],
    numbers: Sequence[int],
    count: int,
    progress: Progress | None,
) -> list[History]:
    try:
        with executor(count, None) as pool:
            futures = [pool.submit(Carried(_single), scenario, plans, number) for number in numbers]
            for _ in _told((f.result() for f in as_completed(futures)), numbers, progress):
                pass  # in the order of their ends; the first error stops the others
            return [future.result() for future in futures]
    except BrokenProcessPool as error:
        message = "a worker process died (killed, or out of memory); fewer workers need less memory"
        raise SimsplitError(message, path="--workers", value=count) from error


def _single(scenario: Scenario, plans: Mapping[str, Plan], number: int) -> History:
    """A worker's task."""
    return next(_one_by_one(scenario, plans, [number]))


def _how_many(scenario: Scenario, replications: int, workers: int | None) -> int:
    """Processes for so many replications; a process of somebody's pool starts none of its own."""
    if replications < 2:
        return 0
    if workers is not None:
        return min(workers, replications)
    is_worker = multiprocessing.parent_process() is not None
    requests = replications * sum(map(_rate_hz, scenario.devices)) * scenario.duration_s
    is_worth_it = requests >= FEWEST_REQUESTS and not is_worker
    return min(cores(), replications) if is_worth_it else 0


def _rate_hz(group: DeviceGroup) -> float:
    """Requests per second of a group; of recorded arrivals, whose number is not known here, 1."""
    match group.arrivals:
        case PoissonArrivals(rate_hz=rate_hz):
            return group.count * rate_hz
        case PeriodicArrivals(period_s=period_s):
            return group.count / period_s
        case _:
            return float(group.count)
