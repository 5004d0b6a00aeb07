"""Which requests of a run are exported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simsplit.errors import ScenarioError

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Window:
    """Requests that arrived in [start_s, end_s), of these replications; None: all."""

    replications: tuple[int, ...] | None = None
    start_s: float = 0.0
    end_s: float = math.inf

    def of(self, requests: DataFrame) -> DataFrame:
        """The rows inside, in order of replication and arrival.

        Raises:
            ScenarioError: Such a replication is not there, or no row is inside.
        """
        there = sorted({int(number) for number in requests["replication"]})
        for wanted in self.replications or ():
            if wanted not in there:
                choices = [str(number) for number in there]
                raise ScenarioError(
                    "no such replication", path="--replication", value=wanted, choices=choices
                )
        arrival_s = requests["arrival_s"]
        inside = (arrival_s >= self.start_s) & (arrival_s < self.end_s)
        inside &= requests["replication"].isin(self.replications or there)
        if not inside.any():
            raise ScenarioError(f"no request arrived in [{self.start_s:g}, {self.end_s:g}) s")
        return requests[inside].sort_values("request_id", kind="stable")
