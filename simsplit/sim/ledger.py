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

    def enter(self, state: str, now_s: float) -> None:
        """Close the present state's interval at ``now_s`` and go to ``state``."""
        if state not in self.seconds:
            raise KeyError(state)
        self.seconds[self.state] += now_s - self._since_s
        self.state = state
        self._since_s = now_s

    def close(self, now_s: float) -> None:
        """Book the time up to ``now_s``; the states then fill [0, now_s]."""
        self.enter(self.state, now_s)

    def joules(self, state: str) -> float:
        """Booked energy of one state: power x time."""
        return self.power_w[state] * self.seconds[state]

    @property
    def total_j(self) -> float:
        """Booked energy of all states."""
        return sum(self.joules(state) for state in self.seconds)
