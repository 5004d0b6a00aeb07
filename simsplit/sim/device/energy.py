"""A device's energy: seconds and joules by power state, and the battery's charge.

A ledger integrates at state changes. A battery's charge is followed exactly from one change of
power to the next:
level(t) = initial + harvested - consumed - spilled. Between two calls the net power counts as
constant; then the level after a piece is min(capacity, level + net x seconds), the rest spilled,
and the moment it runs empty is a straight line's crossing. Every slot of the transmitter is a piece
of its own; what the receiver books afterwards counts as drawn evenly within its piece.
"""

from __future__ import annotations

from collections.abc import Mapping

from simsplit.scenario.devices import Battery

EMPTY_SHARE = 1e-9  # closer to the cutoff than this is rounding, and empty


class Ledger:
    """Seconds and joules one component spends in each of its power states.

    Args:
        power_w: State → power in watts. The component is always in exactly one of them.
        state: The state at time zero.
    """

    def __init__(self, power_w: Mapping[str, float], state: str) -> None:
        self.power_w = dict(power_w)
        self.seconds = dict.fromkeys(power_w, 0.0)
        self.state = state
        self._since_s = 0.0
        self._joules = dict.fromkeys(power_w, 0.0)
        self._now_w = self.power_w[state]

    def enter(self, state: str, now_s: float, power_w: float | None = None) -> None:
        """Close the present state's interval at ``now_s`` and go to ``state``.

        ``power_w`` overrules the state's own power for this stay (power-controlled transmission).

        Raises:
            KeyError: No such state.
        """
        if state not in self.seconds:
            raise KeyError(state)
        self.book(self.state, now_s - self._since_s, self._now_w)
        self.state = state
        self._since_s = now_s
        self._now_w = self.power_w[state] if power_w is None else power_w

    def book(self, state: str, seconds: float, power_w: float | None = None) -> None:
        """Add seconds in a state that are told afterwards; the clock does not move.

        ``power_w`` overrules the state's own power for them.
        """
        self.seconds[state] += seconds
        self._joules[state] += seconds * (self.power_w[state] if power_w is None else power_w)

    def settle(self, now_s: float) -> None:
        """Everything up to ``now_s`` was booked by `book`; the present state begins anew."""
        self._since_s = now_s

    def close(self, now_s: float) -> None:
        """Book the time up to ``now_s``; the states then fill [0, now_s]."""
        self.enter(self.state, now_s, self._now_w)

    def seconds_by(self, now_s: float, state: str) -> float:
        """Seconds in a state up to ``now_s``, the present stay included; books nothing."""
        staying_s = max(0.0, now_s - self._since_s) if state == self.state else 0.0
        return self.seconds[state] + staying_s

    def joules(self, state: str) -> float:
        """Booked energy of one state in J: power x time."""
        return self._joules[state]

    @property
    def total_j(self) -> float:
        """Booked energy of all states in J."""
        return sum(self._joules.values())


# --- battery ----------------------------------------------------------------------------------


class Charge:
    """One battery's level; what was consumed in all is told by the device's ledgers.

    Attributes:
        now_s: The level holds for this moment.
        spilled_j: Harvest lost because the battery was full.
        empty_s: When it first was empty; None: never.
    """

    def __init__(self, spec: Battery) -> None:
        self.spec = spec
        self.now_s = 0.0
        self.spilled_j = 0.0
        self._consumed_j = 0.0
        self._cutoff_j = spec.cutoff_share * spec.capacity_j
        self.empty_s = 0.0 if self.is_empty else None

    @property
    def remaining_j(self) -> float:
        """Energy left in J; below the cutoff, even 0, by what was finished after it ran empty."""
        spec = self.spec
        initial_j = spec.initial_share * spec.capacity_j
        return initial_j + spec.harvest_w * self.now_s - self.spilled_j - self._consumed_j

    @property
    def share(self) -> float:
        """Energy left over capacity; below 0 where the battery was overdrawn."""
        return self.remaining_j / self.spec.capacity_j

    @property
    def is_empty(self) -> bool:
        """At or below the cutoff."""
        return self.remaining_j - self._cutoff_j <= EMPTY_SHARE * self.spec.capacity_j

    def empties_s(self, now_s: float, consumed_j: float) -> float | None:
        """When it ran empty on its way to ``consumed_j`` given by ``now_s``; None: it did not."""
        drop_j = consumed_j - self._consumed_j - self.spec.harvest_w * (now_s - self.now_s)
        left_j = self.remaining_j - self._cutoff_j
        if self.is_empty or drop_j < left_j - EMPTY_SHARE * self.spec.capacity_j:
            return None
        return self.now_s + (now_s - self.now_s) * min(1.0, left_j / drop_j)

    def follow(self, now_s: float, consumed_j: float, emptied_s: float | None = None) -> None:
        """Go to ``now_s``, by when the device has consumed so much since time zero.

        ``emptied_s``: when it ran empty since the last call, if the caller knows better.
        """
        if emptied_s is None:
            emptied_s = self.empties_s(now_s, consumed_j)
        self.now_s, self._consumed_j = now_s, consumed_j
        self.spilled_j += max(0.0, self.remaining_j - self.spec.capacity_j)
        if self.empty_s is None:
            self.empty_s = now_s if emptied_s is None and self.is_empty else emptied_s
