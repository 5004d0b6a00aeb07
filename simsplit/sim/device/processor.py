"""A device's processor: what it has to do, its power states and its heat."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from simsplit.sim.device.energy import Ledger
from simsplit.sim.device.thermal import Piece

if TYPE_CHECKING:
    from simsplit.sim.device.thermal import Temperature


class Processor:
    """Jobs one after the other, each cut into pieces of one speed and power; idle in between.

    Its ledger's states: ``idle``, ``compute``, and ``off`` where an empty battery gives less than
    idle power.

    Args:
        idle_w, compute_w: Watts at rest and at full speed.
        heat: Its temperature; None: it never gets too hot.
        idle_limit_w: Watts that an idle processor may draw now.
        now_s: The clock.
    """

    def __init__(
        self,
        idle_w: float,
        compute_w: float,
        heat: Temperature | None,
        idle_limit_w: float,
        now_s: float,
    ) -> None:
        self.ledger = Ledger({"idle": idle_w, "off": 0.0, "compute": compute_w}, "idle")
        self.heat = heat
        self._jobs: deque[float] = deque()  # full-speed seconds to do; the first one runs
        self._begun_s, self._speed = 0.0, 0.0
        self.idle(now_s, idle_limit_w)

    @property
    def is_idle(self) -> bool:
        """True while nothing is computed."""
        return self.ledger.state != "compute"

    def backlog_s(self, now_s: float) -> float:
        """Full-speed seconds of work that wait or are running."""
        return sum(self._jobs) - self._speed * (now_s - self._begun_s)

    def queue(self, seconds: float) -> None:
        """One more job of so many full-speed seconds, last in the line."""
        self._jobs.append(seconds)

    def pieces(self, seconds: float, now_s: float) -> Iterable[Piece]:
        """The job that begins now: one piece at full speed, or what heat makes of it."""
        if self.heat is not None:
            return self.heat.run(seconds, now_s)
        return (Piece(seconds, self.ledger.power_w["compute"], 1.0, seconds, np.nan),)

    def begin(self, piece: Piece, now_s: float) -> None:
        """A piece of the first job begins."""
        self.ledger.enter("compute", now_s, piece.power_w)
        self._jobs[0], self._begun_s, self._speed = piece.work_s, now_s, piece.scale
        if self.heat is not None:
            self.heat.begin(piece, now_s)

    def finish(self, now_s: float, idle_limit_w: float) -> None:
        """The first job is done; the processor idles, if only for no time."""
        self._jobs.popleft()
        self._speed = 0.0
        self.idle(now_s, idle_limit_w)

    def idle(self, now_s: float, idle_limit_w: float) -> None:
        """Nothing to compute: idle power, or off if the battery does not give that much.

        Off, it draws what the battery gives.
        """
        wanted_w = self.ledger.power_w["idle"]
        self.idle_w = min(wanted_w, idle_limit_w)
        self.ledger.enter("idle" if self.idle_w >= wanted_w else "off", now_s, self.idle_w)
        if self.heat is not None:
            self.heat.rest(now_s, self.idle_w)
