"""A device's receiver: receive, listen or sleep (DRX), booked when something happens."""

from __future__ import annotations

from dataclasses import dataclass

from simsplit.radio import Drx
from simsplit.sim.ledger import Ledger


@dataclass(frozen=True)
class ReceiverPower:
    """Watts beyond the device's idle power.

    Attributes:
        receive_w: Control and data channel (TR 38.840: 300 units).
        listen_w: Control channel only (100 units).
        sleep_w: Deep sleep (1 unit).
        transition_j: One way into deep sleep and back (450 units x ms).
    """

    receive_w: float = 0.0
    listen_w: float = 0.0
    sleep_w: float = 0.0
    transition_j: float = 0.0


class Receiver:
    """Ledger and wake-up times of one receiver.

    Without DRX the receiver is off between its grants and never late: an ideal radio. With DRX it
    listens for ``inactivity_s`` after the last activity, then sleeps and wakes for ``on_s`` of
    every ``cycle_s``; a sleep costs ``transition_j``, spread over its time (TR 38.840 clause 8.1).
    """

    def __init__(self, power: ReceiverPower, drx: Drx | None) -> None:
        asleep_s = drx.cycle_s - drx.on_s if drx else 0.0
        sleep_w = power.sleep_w + (power.transition_j / asleep_s if asleep_s else 0.0)
        watts = {"receive": power.receive_w, "listen": power.listen_w, "sleep": sleep_w}
        if drx is None:
            watts = {"receive": power.receive_w, "listen": 0.0, "sleep": 0.0}
        self.ledger = Ledger(watts, "sleep")
        self._drx = drx
        self._active_s = 0.0  # end of the last activity; the time before it is booked
        self._received_s = 0.0  # end of the last reception

    def receive(self, start_s: float, end_s: float) -> float:
        """The device heard a grant of its own from start to end.

        Returns the seconds that this added to receiving: what was booked as listening becomes
        receiving, two grants in one slot count once.
        """
        before_s = self.ledger.seconds["receive"]
        listened_s = max(0.0, min(end_s, self._active_s) - max(start_s, self._received_s))
        self.ledger.book("listen", -listened_s)
        self.ledger.book("receive", listened_s)
        self._activity("receive", start_s, end_s)
        self._received_s = max(self._received_s, end_s)
        return self.ledger.seconds["receive"] - before_s

    def listen(self, start_s: float, end_s: float) -> None:
        """The device was awake from start to end, because it sent or because it had to."""
        self._activity("listen", start_s, end_s)

    def _activity(self, state: str, start_s: float, end_s: float) -> None:
        """Book the time since the last activity, then this one; what overlaps counts once."""
        start_s, end_s = max(start_s, self._active_s), max(end_s, self._active_s)
        gap_s = start_s - self._active_s
        listened_s = self._listened_s(gap_s)
        self.ledger.book("listen", listened_s)
        self.ledger.book("sleep", gap_s - listened_s)
        self.ledger.book(state, end_s - start_s)
        self._active_s = end_s
        self.ledger.settle(end_s)

    def _listened_s(self, gap_s: float) -> float:
        """Seconds awake in a gap: the inactivity timer, then the end of every cycle."""
        drx = self._drx
        if drx is None:
            return 0.0
        if gap_s <= drx.inactivity_s:
            return gap_s
        cycles, rest_s = divmod(gap_s - drx.inactivity_s, drx.cycle_s)
        awake_s = max(0.0, rest_s - (drx.cycle_s - drx.on_s))
        return drx.inactivity_s + cycles * drx.on_s + awake_s

    def ready_in_s(self, now_s: float) -> float:
        """How long an answer must wait for the receiver to be awake."""
        drx = self._drx
        gap_s = now_s - self._active_s
        if drx is None or gap_s <= drx.inactivity_s:
            return 0.0
        phase_s = (gap_s - drx.inactivity_s) % drx.cycle_s
        return max(0.0, drx.cycle_s - drx.on_s - phase_s)

    def close(self, now_s: float) -> None:
        """Book the time up to ``now_s``."""
        self._activity("sleep", now_s, now_s)
