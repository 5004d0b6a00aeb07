"""The charge of a battery, followed exactly from one change of power to the next.

level(t) = initial + harvested - consumed - spilled. Between two calls the net power counts as
constant; then the level after a piece is min(capacity, level + net x seconds), the rest spilled,
and the moment it runs empty is a straight line's crossing. What a component books afterwards (a
slot of the transmitter, the receiver's listening) counts as drawn evenly within its piece.
"""

from __future__ import annotations

from simsplit.body import Battery

EMPTY_SHARE = 1e-9  # closer to the cutoff than this is rounding, and empty


class Charge:
    """One battery's level; the total ever consumed is told by the device's ledgers.

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
        """Energy left; below the cutoff, even zero, by what was finished after it ran empty."""
        spec = self.spec
        initial_j = spec.initial_share * spec.capacity_j
        return initial_j + spec.harvest_w * self.now_s - self.spilled_j - self._consumed_j

    @property
    def share(self) -> float:
        """Energy left over capacity."""
        return self.remaining_j / self.spec.capacity_j

    @property
    def is_empty(self) -> bool:
        """At or below the cutoff."""
        return self.remaining_j - self._cutoff_j <= EMPTY_SHARE * self.spec.capacity_j

    def empties_s(self, now_s: float, consumed_j: float) -> float | None:
        """When it ran empty on the way to that total at ``now_s``; None if it did not."""
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
