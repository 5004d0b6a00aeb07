"""Transmit power: how much goes into each granted resource block, and what is radiated in all."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from simsplit.scenario.cell import Cell, FractionalPower
from simsplit.units import db_to_linear, dbm_to_w

MAX_PRB = 275  # TS 38.101-1 Table 5.3.2-1 and TS 38.211 clause 4.4.4: the widest carrier
LEVEL_DB = (0.0, *(10.0 * math.log10(n) for n in range(1, MAX_PRB + 1)))
"""10 log10(n) by n."""


class Power(Protocol):
    """A transmitter's power on a grant of ``n_prb`` resource blocks in a slot."""

    def per_prb_db(self, n_prb: int, slot: int) -> float:
        """dBm in each of the resource blocks, min(cap, total - 10 log10(n_prb)) of `limits_db`."""

    def limits_db(self, slot: int) -> tuple[float, float]:
        """Cap per resource block and total over all blocks in dBm; infinite if there is none."""

    def radiated_w(self, n_prb: int, slot: int) -> float:
        """Watts radiated in all of them."""


class SpreadPower:
    """The whole power, spread over the grant: Es/N0 falls by 10 log10(n_prb)."""

    def __init__(self, tx_power_dbm: float) -> None:
        self._tx_power_dbm = tx_power_dbm
        self._watts = dbm_to_w(tx_power_dbm)

    def per_prb_db(self, n_prb: int, slot: int) -> float:
        return self._tx_power_dbm - LEVEL_DB[n_prb]

    def limits_db(self, slot: int) -> tuple[float, float]:
        return math.inf, self._tx_power_dbm

    def radiated_w(self, n_prb: int, slot: int) -> float:
        return self._watts


class LevelPower:
    """The same level in every resource block: 0 dB where the channel's own level is the Es/N0, or a
    base station whose power is spread over its whole band.
    """

    def __init__(self, per_prb_db: float, radiated_w: float) -> None:
        self._per_prb_db, self._radiated_w = per_prb_db, radiated_w

    def per_prb_db(self, n_prb: int, slot: int) -> float:
        return self._per_prb_db

    def limits_db(self, slot: int) -> tuple[float, float]:
        return self._per_prb_db, math.inf

    def radiated_w(self, n_prb: int, slot: int) -> float:
        return self._radiated_w


class ControlledPower:
    """Open-loop fractional control, P = min(P_max, P0 + 10 log10(2^mu M) + alpha PL) in dBm.

    TS 38.213 clause 7.1.1 without closed loop and MCS term; P0 is per resource block of 15 kHz
    spacing, M the number of blocks.

    Args:
        loss_db: Slot -> path loss that the device sees (fading averaged out).
        numerology: mu, 0 to 3.
    """

    def __init__(
        self,
        spec: FractionalPower,
        tx_power_dbm: float,
        numerology: int,
        loss_db: Callable[[int], float],
    ) -> None:
        self._spec, self._max_dbm = spec, tx_power_dbm
        self._spacing_db = LEVEL_DB[2**numerology]
        self._loss_db = loss_db

    def per_prb_db(self, n_prb: int, slot: int) -> float:
        return self._total_dbm(n_prb, slot) - LEVEL_DB[n_prb]

    def limits_db(self, slot: int) -> tuple[float, float]:
        spec = self._spec
        asked_dbm: float = spec.p0_dbm + self._spacing_db + spec.alpha * self._loss_db(slot)
        return asked_dbm, self._max_dbm

    def _total_dbm(self, n_prb: int, slot: int) -> float:
        asked_dbm, most_dbm = self.limits_db(slot)
        return min(most_dbm, asked_dbm + LEVEL_DB[n_prb])

    def radiated_w(self, n_prb: int, slot: int) -> float:
        return 1e-3 * db_to_linear(self._total_dbm(n_prb, slot))


def build_power(cell: Cell, tx_power_dbm: float, loss_db: Callable[[int], float]) -> Power:
    """The uplink power of a device with ``tx_power_dbm`` at most, by the cell's power control.

    Args:
        loss_db: Slot -> path loss in dB that the device sees.
    """
    control = cell.power_control
    if not isinstance(control, FractionalPower):
        return SpreadPower(tx_power_dbm)
    numerology = (cell.subcarrier_spacing_hz // 15_000).bit_length() - 1
    return ControlledPower(control, tx_power_dbm, numerology, loss_db)
