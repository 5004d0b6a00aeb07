"""Orders of a scheduler over five devices with given levels, weights and deadlines."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from simsplit.scenario.schedulers import Scheduler
from simsplit.sim.radio.scheduler import Order, build_order

LEVELS_DB = np.array([3.0, 12.0, 7.0, 12.0, -5.0])


def order(
    spec: Scheduler,
    weights: Sequence[float] = (1.0,) * 5,
    deadlines_s: Sequence[float] = (math.inf,) * 5,
) -> Order:
    """The order of a spec; the device's reported Es/N0 is that of ``LEVELS_DB``."""
    return build_order(
        spec, weights, lambda devices, slot: LEVELS_DB[devices], lambda d: deadlines_s[d]
    )


def full(device: int) -> int:
    """A buffer that fills any band."""
    return 51
