"""A pilot: a few hundred requests of a scenario over many drops, so that loads can be reckoned.

Acts one and two as a run has them (places, line of sight, shadowing, fading, retransmissions, the
policies' choices), without scores. What it gives is work per request, never a load
that was measured in its short windows: loads are rates, which a scenario says, times that work.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simsplit.scenario.cell import AdaptiveMcs
from simsplit.scenario.devices import CustomArrivals, DeviceGroup, PeriodicArrivals, PoissonArrivals
from simsplit.scenario.scenario import Scenario
from simsplit.sim.device.arrivals import Recording

if TYPE_CHECKING:
    from pandas import DataFrame

    from simsplit.sim.request import Plan
    from simsplit.sim.world import History

DEVICES = 800  # over all drops: places count more than requests
MOST_DROPS, FEWEST_DROPS = 40, 3
REQUESTS = 400  # over all drops
FEWEST_OF_A_GROUP = 20  # over all drops, where a group is rare
# Where load decides who works: long enough for it to build up.
LOADED_S, MOST_REQUESTS = 4.0, 10_000
# Where time decides: requests over all drops as of so many runs, that loops settle as there.
SPREAD_RUNS, MOST_SPREAD, MOST_SPREAD_DROPS = 2, 2000, 20


def offered_hz(scenario: Scenario, group: DeviceGroup) -> float:
    """Requests per second of the whole group; of recorded traffic those of replication 0.

    NaN: of a user's own process that does not say its rate.
    """
    arrivals = group.arrivals
    if isinstance(arrivals, PoissonArrivals):
        return group.count * arrivals.rate_hz
    if isinstance(arrivals, PeriodicArrivals):
        return group.count / arrivals.period_s
    if isinstance(arrivals, CustomArrivals):
        return math.nan if arrivals.rate_hz is None else group.count * arrivals.rate_hz
    path, samples = f"devices.{group.name}.arrivals.file", scenario.task.samples
    recorded = Recording(arrivals.file, path, group.name, group.count, samples).of(0)
    times_s = (time_s for device in recorded.values() for time_s in device.times_s)
    return sum(time_s < scenario.duration_s for time_s in times_s) / scenario.duration_s


def drops_of(scenario: Scenario) -> int:
    """How often places are drawn anew: until ``DEVICES`` stood somewhere."""
    wanted = math.ceil(DEVICES / sum(group.count for group in scenario.devices))
    if load_decides(scenario):
        rates_hz = (offered_hz(scenario, group) for group in scenario.devices)
        rate_hz = math.fsum(rate_hz for rate_hz in rates_hz if rate_hz > 0)
        wanted = min(wanted, int(MOST_REQUESTS / (rate_hz * LOADED_S)) if rate_hz else wanted)
    most = MOST_SPREAD_DROPS if time_decides(scenario) else MOST_DROPS
    return min(most, max(FEWEST_DROPS, wanted))


def load_decides(scenario: Scenario) -> bool:
    """Whether it depends on the load who works: the cloud, more workers, or nobody."""
    edge = scenario.edge
    bounded = edge.queue_capacity is not None or edge.admission.kind != "none"
    return edge.cloud is not None or edge.scaling.kind != "none" or bounded


def window_s(scenario: Scenario, drops: int) -> float:
    """Seconds of arrivals per drop that give the requests wanted, at most the scenario's own."""
    rates_hz = [offered_hz(scenario, group) for group in scenario.devices]
    rates_hz = [rate_hz for rate_hz in rates_hz if rate_hz > 0]
    if not rates_hz:
        return scenario.duration_s
    needed_s = max(REQUESTS / sum(rates_hz), FEWEST_OF_A_GROUP / min(rates_hz)) / drops
    least_s = LOADED_S if load_decides(scenario) else 0.0
    if time_decides(scenario):
        spread_s = min(SPREAD_RUNS * scenario.duration_s, MOST_SPREAD / sum(rates_hz))
        least_s = max(least_s, spread_s / drops)
    return min(scenario.duration_s, max(needed_s, least_s))


def time_decides(scenario: Scenario) -> bool:
    """Whether the air of a run's end is another than that of its beginning: who moves, measured
    channels, an outer loop that settles.
    """
    cell = scenario.cell
    moves = any(group.mobility.kind != "static" for group in scenario.devices)
    learns = isinstance(cell.mcs, AdaptiveMcs) and cell.mcs.outer_loop is not None
    return moves or learns or cell.channel.kind in ("trace", "custom")


def pilot(scenario: Scenario) -> tuple[DataFrame, list[dict[str, Any]]]:
    """One row per request, and what the stations of each drop did.

    Raises:
        ScenarioError, ArtefactError: What opening networks, files and stations finds.
    """
    import pandas as pd

    from simsplit.study.inputs import make_plans
    from simsplit.study.run import open_scenario_pipeline
    from simsplit.study.simulate import simulate

    drops = drops_of(scenario)
    window = {"duration_s": window_s(scenario, drops), "warmup_s": 0.0, "replications": drops}
    short = scenario.model_copy(update=window)
    pipeline = open_scenario_pipeline(short)
    plans = make_plans(short, pipeline, pipeline.prepare())
    if time_decides(scenario):
        histories = _in_turn(short, plans, scenario.duration_s)
    else:
        histories = simulate(short, plans)
    rows = [request.row() for history in histories for request in history.requests]
    return pd.DataFrame(rows), [history.stations for history in histories]


def _in_turn(short: Scenario, plans: Mapping[str, Plan], whole_s: float) -> list[History]:
    """Drop after drop at rising times of a run of ``whole_s``; outer loops go on from the last.

    So a drop's requests meet devices that have moved as far, and loops that have settled as much,
    as somewhere in a run.
    """
    from simsplit.sim.world import Beginning
    from simsplit.study.simulate import simulate

    lasting_s, drops, begin = short.duration_s, short.replications, Beginning()
    histories = []
    for number in range(drops):
        begin.from_s = (number + 0.5) / drops * (whole_s - lasting_s)
        part = short.model_copy(update={"duration_s": begin.from_s + lasting_s})
        histories += simulate(part, plans, numbers=[number], begin=begin)
    return histories
