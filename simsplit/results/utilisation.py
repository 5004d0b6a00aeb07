"""How much of every station was used in the arrival window, and how much work came for it.

Utilisation is what was used within the window, work under way at its end counted up to that moment:
never above 1. The offered load counts that work whole, with all that was done until the run's end
over what the window holds: above 1 where more came than could be done in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from simsplit.results import statistics

if TYPE_CHECKING:
    from simsplit.results.statistics import Kpi

Station = Mapping[str, Any]


def utilisation(stations: Sequence[Station]) -> dict[str, Kpi]:
    """Used share of what each station could do in [0, ``window_s``), of every replication.

    Device: busy seconds / ``window_s``; edge and cloud: busy / on seconds of all workers; radio:
    resource blocks x slots used / there. Work under way at the window's end counts up to it.
    """
    return _shares(stations, "window_", (0.0, 1.0))


def offered_load(stations: Sequence[Station]) -> dict[str, Kpi]:
    """All work done until the run's end, over what each station could do in [0, ``window_s``).

    At least the utilisation. Requests still open at the end have brought more work than is counted.
    """
    return _shares(stations, "", (0.0, math.inf))


def _shares(stations: Sequence[Station], used: str, bounds: tuple[float, float]) -> dict[str, Kpi]:
    device = [[d[f"{used}busy_s"] / s["window_s"] for d in s["devices"]] for s in stations]
    shares = {
        "device_mean": [sum(d) / len(d) for d in device if d],
        "device_max": [max(d) for d in device if d],
        "radio": _of("radio", _air_share, stations, used),
        "edge": _of("edge", _server_share, stations, used),
    }
    if all("cloud" in s for s in stations):
        shares["cloud"] = _of("cloud", _server_share, stations, used)
    if all("downlink" in s for s in stations):
        shares["downlink"] = _of("downlink", _air_share, stations, used)
    return {name: statistics.over_replications(numbers, bounds) for name, numbers in shares.items()}


Share = Callable[[Station, str], float]


def _of(name: str, share: Share, stations: Sequence[Station], used: str) -> list[float]:
    return [share(station[name], used) for station in stations]


def _server_share(server: Station, used: str) -> float:
    return _ratio(server[f"{used}busy_s"], server["window_on_s"])


def _air_share(air: Station, used: str) -> float:
    return _ratio(air[f"{used}prb_slots_used"], air["window_prb_slots_total"])


def _ratio(used: float, there: float) -> float:
    """Of what was there; NaN where nothing was (all workers off, no slot of this direction)."""
    return float(used / there) if there else math.nan
