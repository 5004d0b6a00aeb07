"""Random generators of one replication, one per device and cause."""

from __future__ import annotations

import numpy as np

from simsplit.scenario.scenario import Scenario
from simsplit.seeds import Cause, device_streams, generator


class Streams:
    """Generators keyed by seed, replication, device and cause.

    A device's stream is that of its group and its number therein, so that another group's size
    changes nothing.
    """

    def __init__(self, scenario: Scenario, replication: int) -> None:
        self._seed, self._replication = scenario.seed, replication
        self._streams = device_streams([group.count for group in scenario.devices])

    def key(self, device: int, cause: Cause, part: int = 0) -> tuple[int, ...]:
        """The key of a device (its index), a cause, and a site or chunk."""
        key = (self._seed, self._replication, self._streams[device], int(cause))
        return (*key, part) if part else key

    def random(self, device: int, cause: Cause, part: int = 0) -> np.random.Generator:
        """A fresh generator of that key."""
        return generator(*self.key(device, cause, part))
