"""What feeds a device: the mains, or a battery that is followed through all its ledgers.

The battery is followed at every change of the processor's state, at every slot of the transmitter
and whenever somebody asks. Empty,
it lets an idle processor draw no more than is harvested (nothing without), from the very moment it
ran empty; what computes is finished, which may take the level below zero. A receiver with DRX goes
on listening.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

from simsplit.scenario.devices import Battery
from simsplit.sim.device.energy import Charge, Ledger
from simsplit.sim.device.processor import Processor
from simsplit.sim.device.receiver import Receiver


class Supply(Protocol):
    """Where a device's power comes from.

    Attributes:
        radio: The transmitter's ledger.
        is_empty: Nothing is left, as of the last call of `follow`.
        share: Energy left over capacity, as of the last call of `follow`; None on mains.
        idle_limit_w: Watts that an idle processor may draw.
    """

    @property
    def radio(self) -> Ledger: ...
    @property
    def is_empty(self) -> bool: ...
    @property
    def share(self) -> float | None: ...
    @property
    def idle_limit_w(self) -> float: ...

    def follow(self, now_s: float) -> None:
        """Follow the level up to ``now_s``; a moment before the last one changes nothing."""

    def station(self) -> dict[str, float | None]:
        """What a battery has to say of itself, as of the last call of `follow`."""


class Mains:
    """Power without end.

    Args:
        transmit_w: Watts of the transmitter while it radiates.
    """

    is_empty = False
    share: float | None = None
    idle_limit_w = math.inf

    def __init__(self, transmit_w: float) -> None:
        self.radio = Ledger({"off": 0.0, "transmit": transmit_w}, "off")

    def follow(self, now_s: float) -> None:
        """Nothing to follow."""

    def station(self) -> dict[str, float | None]:
        return {}


class _SlotLedger(Ledger):
    """A transmitter's ledger that has the battery followed slot by slot.

    When it runs empty, and what it cannot hold, depends on when power is drawn.
    """

    def __init__(self, power_w: Mapping[str, float], state: str, battery: OnBattery) -> None:
        super().__init__(power_w, state)
        self._battery = battery

    def book(self, state: str, seconds: float, power_w: float | None = None) -> None:
        """Add time that ends now, with the battery followed up to its beginning and its end."""
        now_s = self._battery.clock.now
        self._battery.follow(now_s - seconds)
        super().book(state, seconds, power_w)
        self._battery.follow(now_s)


class Clock(Protocol):
    """What tells the time in seconds."""

    @property
    def now(self) -> float: ...


class OnBattery:
    """A battery, and the three ledgers that it feeds.

    Args:
        processor: Made to idle on what is harvested once the battery is empty.
        receiver: Also for what it books only afterwards.
        transmit_w: Watts of the transmitter while it radiates.
    """

    def __init__(
        self,
        clock: Clock,
        charge: Charge,
        processor: Processor,
        receiver: Receiver,
        transmit_w: float,
    ) -> None:
        self.clock = clock
        self._charge, self._processor, self._receiver = charge, processor, receiver
        watts = {"off": 0.0, "transmit": transmit_w}
        self.radio: Ledger = _SlotLedger(watts, "off", self)

    @property
    def is_empty(self) -> bool:
        return self._charge.is_empty

    @property
    def share(self) -> float | None:
        return self._charge.share

    @property
    def idle_limit_w(self) -> float:
        return idle_limit_w(self._charge)

    def station(self) -> dict[str, float | None]:
        """``battery_share``, ``battery_empty_s`` (None: never empty), ``battery_spilled_j``."""
        charge = self._charge
        return {
            "battery_share": charge.share,
            "battery_empty_s": charge.empty_s,
            "battery_spilled_j": charge.spilled_j,
        }

    def follow(self, now_s: float) -> None:
        charge, processor = self._charge, self._processor
        if now_s < charge.now_s:
            return
        off_s = self._off_s(now_s) if processor.is_idle else None
        if off_s is not None:
            processor.idle(off_s, min(processor.idle_w, charge.spec.harvest_w))
        processor.ledger.close(now_s)
        charge.follow(now_s, self._consumed_j(now_s), off_s)

    def _off_s(self, now_s: float) -> float | None:
        """When the battery ran empty under an idle processor, up to now; None if it did not."""
        processor = self._processor
        unbooked_s = now_s - sum(processor.ledger.seconds.values())
        consumed_j = self._consumed_j(now_s) + unbooked_s * processor.idle_w
        return self._charge.empties_s(now_s, consumed_j)

    def _consumed_j(self, now_s: float) -> float:
        """Booked energy and, of the receiver, what it books only afterwards."""
        booked_j = self._processor.ledger.total_j + self.radio.total_j
        return booked_j + self._receiver.total_j(now_s)


def idle_limit_w(charge: Charge | None) -> float:
    """Watts that an idle processor may draw from a battery: what is harvested, once it is empty."""
    return math.inf if charge is None or not charge.is_empty else charge.spec.harvest_w


def charge_of(battery: Battery | None, battery_j: float | None) -> Charge | None:
    """The charge of a battery, or of a plain one of ``battery_j`` joules; None: mains."""
    if battery is None and battery_j is not None:
        battery = Battery(capacity_j=battery_j)
    return None if battery is None else Charge(battery)
