"""A device's receiver: it receives, listens or sleeps (DRX), booked when something happens.

3GPP TR 38.840 clause 8.1.3 has three states of sleep, each with the time that going in and out
takes and what that costs beside the state's own power (units of deep sleep's power, and times ms)::

    deep   1 unit    20 ms   450
    light  20 units   6 ms   100
    micro  45 units   0 ms     0

The sleep between two on-durations is the deepest whose transitions fit into it.
"""

from __future__ import annotations

from dataclasses import dataclass

from simsplit.scenario.cell import Drx
from simsplit.sim.device.energy import Ledger

DEEP_TRANSITION_S = 0.020
LIGHT_TRANSITION_S = 0.006


@dataclass(frozen=True)
class ReceiverPower:
    """Watts beyond the device's idle power, and joules into a state of sleep and back.

    Attributes:
        receive_w: Control and data channel (TR 38.840: 300 units).
        listen_w: Control channel only (100 units).
        sleep_w, transition_j: Deep sleep (1 unit, 450 units x ms).
        light_w, light_transition_j: Light sleep (20 units, 100 units x ms).
        micro_w: Micro sleep (45 units).
    """

    receive_w: float = 0.0
    listen_w: float = 0.0
    sleep_w: float = 0.0
    transition_j: float = 0.0
    light_w: float = 0.0
    light_transition_j: float = 0.0
    micro_w: float = 0.0


@dataclass(frozen=True)
class Sleep:
    """One state of sleep: its power, its transitions' energy, and the seconds they take."""

    power_w: float
    transition_j: float
    transition_s: float


def sleep_of(power: ReceiverPower, asleep_s: float) -> Sleep:
    """The deepest state whose transition time fits into a sleep (TR 38.840 clause 8.1.3)."""
    if asleep_s >= DEEP_TRANSITION_S:
        return Sleep(power.sleep_w, power.transition_j, DEEP_TRANSITION_S)
    if asleep_s >= LIGHT_TRANSITION_S:
        return Sleep(power.light_w, power.light_transition_j, LIGHT_TRANSITION_S)
    return Sleep(power.micro_w, 0.0, 0.0)


class Receiver:
    """Ledger and wake-up times of one receiver.

    Without DRX the receiver is off between its grants and never late: an ideal radio. With DRX it
    listens for ``inactivity_s`` after the last activity, then sleeps and wakes for ``on_s`` of
    every ``cycle_s``. Every sleep costs its state's transitions, spread over it, and all of them if
    it is broken off; uplink data that comes in a sleep waits until the receiver is awake.
    """

    def __init__(self, power: ReceiverPower, drx: Drx | None) -> None:
        self._asleep_s = drx.cycle_s - drx.on_s if drx else 0.0
        self._sleep = sleep_of(power, self._asleep_s)
        watts = {"receive": power.receive_w, "listen": power.listen_w, "sleep": self._sleep.power_w}
        if drx is None:
            watts = {"receive": power.receive_w, "listen": 0.0, "sleep": 0.0}
        self.ledger = Ledger(watts, "sleep")
        self._drx = drx
        self._active_s = 0.0  # end of the last activity; the time before it is booked
        self._received_s = 0.0  # end of the last reception
        self._awake_s = 0.0  # end of the last transition that uplink data began

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
        self._book_gap(start_s - self._active_s, broken_off=True)
        self.ledger.book(state, end_s - start_s)
        self._active_s = end_s
        self.ledger.settle(end_s)

    def _book_gap(self, gap_s: float, *, broken_off: bool) -> None:
        listened_s = self._listened_s(gap_s)
        slept_s = gap_s - listened_s
        self.ledger.book("listen", listened_s)
        if slept_s > 0.0:
            transitions_j = self._transitions(gap_s, broken_off) * self._sleep.transition_j
            self.ledger.book("sleep", slept_s, self._asleep_w + transitions_j / slept_s)

    @property
    def _asleep_w(self) -> float:
        return self.ledger.power_w["sleep"]

    def _listened_s(self, gap_s: float) -> float:
        """Seconds awake in a gap: the inactivity timer, then the end of every cycle."""
        drx = self._drx
        if drx is None:
            return 0.0
        if gap_s <= drx.inactivity_s:
            return gap_s
        cycles, rest_s = divmod(gap_s - drx.inactivity_s, drx.cycle_s)
        awake_s = max(0.0, rest_s - self._asleep_s)
        return drx.inactivity_s + cycles * drx.on_s + awake_s

    def _transitions(self, gap_s: float, broken_off: bool) -> float:
        """Sleeps in a gap; the last counts whole if it was broken off, else as far as it went."""
        drx = self._drx
        if drx is None or gap_s <= drx.inactivity_s or not self._asleep_s:
            return 0.0
        cycles, rest_s = divmod(gap_s - drx.inactivity_s, drx.cycle_s)
        if broken_off:
            return cycles + (rest_s > 0.0)
        return cycles + min(1.0, rest_s / self._asleep_s)

    def ready_in_s(self, now_s: float) -> float:
        """Seconds that an answer must wait for the receiver to be awake."""
        drx = self._drx
        gap_s = now_s - self._active_s
        if drx is None or gap_s <= drx.inactivity_s:
            return 0.0
        phase_s = (gap_s - drx.inactivity_s) % drx.cycle_s
        return max(0.0, self._asleep_s - phase_s)

    def wakes_in_s(self, now_s: float) -> float:
        """Seconds until uplink data of now finds the receiver awake.

        The sleep's transition time, or less if an on-duration or earlier data woke it before.
        """
        asleep_s = self.ready_in_s(now_s)
        if asleep_s <= 0.0:
            return 0.0
        if self._awake_s <= now_s:
            self._awake_s = now_s + self._sleep.transition_s
        return min(asleep_s, self._awake_s - now_s)

    def total_j(self, now_s: float) -> float:
        """Energy in J up to ``now_s``: booked, and listening and asleep since the last activity."""
        watts = self.ledger.power_w
        gap_s = max(0.0, now_s - self._active_s)
        listened_s = self._listened_s(gap_s)
        since_j = listened_s * watts["listen"] + (gap_s - listened_s) * watts["sleep"]
        since_j += self._transitions(gap_s, broken_off=False) * self._sleep.transition_j
        return self.ledger.total_j + since_j

    def close(self, now_s: float) -> None:
        """Book the time up to ``now_s``."""
        end_s = max(now_s, self._active_s)
        self._book_gap(end_s - self._active_s, broken_off=False)
        self._active_s = end_s
        self.ledger.settle(end_s)
