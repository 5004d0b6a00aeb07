"""Energy and time by power state, integrated at state changes."""

from __future__ import annotations

from collections.abc import Mapping


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
        """
        if state not in self.seconds:
            raise KeyError(state)
        self.book(self.state, now_s - self._since_s, self._now_w)
        self.state = state
        self._since_s = now_s
        self._now_w = self.power_w[state] if power_w is None else power_w

    def book(self, state: str, seconds: float, power_w: float | None = None) -> None:
        """Add time in a state that was found out afterwards; the clock does not move."""
        self.seconds[state] += seconds
        self._joules[state] += seconds * (self.power_w[state] if power_w is None else power_w)

    def settle(self, now_s: float) -> None:
        """Everything up to ``now_s`` was booked by `book`; the present state begins anew."""
        self._since_s = now_s

    def close(self, now_s: float) -> None:
        """Book the time up to ``now_s``; the states then fill [0, now_s]."""
        self.enter(self.state, now_s, self._now_w)

    def joules(self, state: str) -> float:
        """Booked energy of one state: power x time."""
        return self._joules[state]

    @property
    def total_j(self) -> float:
        """Booked energy of all states."""
        return sum(self._joules.values())
