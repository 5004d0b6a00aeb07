"""A server's workers: who is idle, starting or off, and what they cost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Any

import simpy

from simsplit.scenario.edge import Edge, QueueScaling
from simsplit.sim.device.energy import Ledger
from simsplit.sim.edge.admission import Scaler
from simsplit.sim.edge.queue import Tally

ON = ("idle", "compute")
Steps = Generator[simpy.Event, Any, None]


class Workers:
    """One ledger per worker that there may be; idle workers wait to be called.

    A starting worker draws idle power, one that is off nothing.

    Args:
        idle_w, compute_w: Watts of one worker, idle and at its roofline.
        before_change: To be called before a worker starts to count as on, or stops.
    """

    def __init__(
        self,
        env: simpy.Environment,
        spec: Edge,
        *,
        idle_w: float,
        compute_w: float,
        before_change: Callable[[], None],
    ) -> None:
        self._env, self._before_change = env, before_change
        scaling = spec.scaling
        most = scaling.max_workers if isinstance(scaling, QueueScaling) else spec.workers
        power_w = {"off": 0.0, "starting": idle_w, "idle": idle_w, "compute": compute_w}
        self.ledgers = [Ledger(power_w, "idle" if n < spec.workers else "off") for n in range(most)]
        self._idle_w, self._compute_w = idle_w, compute_w
        self._idle: deque[simpy.Event] = deque()
        self.called = 0  # idle workers that a job has woken and that have not taken it yet

    @property
    def some_idle(self) -> bool:
        """A worker is idle and not called yet."""
        return bool(self._idle)

    @property
    def on(self) -> int:
        """Workers that are idle or computing."""
        return sum(ledger.state in ON for ledger in self.ledgers)

    @property
    def alive(self) -> int:
        """Workers that are on or starting."""
        return sum(ledger.state != "off" for ledger in self.ledgers)

    def batch_w(self, share: float) -> float:
        """Watts of a worker whose batch reaches that share of the roofline; linear in between.

        P = P_idle + u (P_busy - P_idle): X. Fan, W.-D. Weber, L. A. Barroso, "Power provisioning
        for a warehouse-sized computer", ISCA 2007; of GPUs, linear in the rates at which units and
        memory are used: S. Hong, H. Kim, "An integrated GPU power and performance model", ISCA
        2010.
        """
        return self._idle_w + share * (self._compute_w - self._idle_w)

    def call(self, *, longest_idle: bool) -> None:
        """Wake an idle worker: the one that has been idle longest, or shortest."""
        call = self._idle.popleft() if longest_idle else self._idle.pop()
        self.called += 1
        call.succeed()

    def rest(self, since_s: float, scaler: Scaler | None) -> Generator[simpy.Event, Any, bool]:
        """Idle until called; False: idle for so long that the scaler sends the worker off."""
        call = self._env.event()
        self._idle.append(call)
        if scaler is not None:
            yield call | self._env.timeout(scaler.patience_s(since_s))
            if not call.triggered and scaler.may_stop(self.on):
                self._before_change()
                self._idle.remove(call)
                return False
        yield call
        self.called -= 1
        return True

    def start(self, start_up_s: float) -> tuple[int, Steps]:
        """Switch on the first worker that is off: its index, and the steps until it is idle."""
        index = next(n for n, ledger in enumerate(self.ledgers) if ledger.state == "off")
        self.ledgers[index].enter("starting", self._env.now)
        return index, self._start(index, start_up_s)

    def _start(self, index: int, start_up_s: float) -> Steps:
        yield self._env.timeout(start_up_s)
        self._before_change()
        self.ledgers[index].enter("idle", self._env.now)

    def stop(self, index: int) -> None:
        """Switch the worker of this index off."""
        self.ledgers[index].enter("off", self._env.now)


def server_station(workers: Workers, tally: Tally, end_s: float) -> dict[str, Any]:
    """Seconds and joules of the workers by state up to ``end_s``, and what the queue saw.

    ``on_s`` = ``busy_s`` + ``idle_s``; with ``starting_s`` and ``off_s`` it fills ``workers`` x
    ``end_s``. ``mean_waiting``: time average; ``mean_wait_s`` and ``mean_batch``: of those that
    began, 0 if none did. ``starts``: workers started by scaling.
    """
    for ledger in workers.ledgers:
        ledger.close(end_s)
    tally.until(end_s)
    return _seconds(workers.ledgers) | _joules(workers.ledgers) | _counts(tally, end_s)


def server_window(workers: Workers, now_s: float) -> dict[str, float]:
    """Seconds of the workers up to ``now_s``, computing and on; a batch under way in part."""
    s = {state: sum(w.seconds_by(now_s, state) for w in workers.ledgers) for state in ON}
    return {"window_busy_s": s["compute"], "window_on_s": s["idle"] + s["compute"]}


def _seconds(ledgers: Sequence[Ledger]) -> dict[str, Any]:
    s = {name: sum(w.seconds[name] for w in ledgers) for name in ("off", "starting", *ON)}
    on_s = s["idle"] + s["compute"]
    return {
        "workers": len(ledgers),
        "busy_s": s["compute"],
        "idle_s": s["idle"],
        "starting_s": s["starting"],
        "off_s": s["off"],
        "on_s": on_s,
        "utilisation": s["compute"] / on_s if on_s else 0.0,
    }


def _joules(ledgers: Sequence[Ledger]) -> dict[str, float]:
    states = ("idle", "starting", "compute")
    joules = {f"{state}_j": sum(w.joules(state) for w in ledgers) for state in states}
    return joules | {"total_j": sum(ledger.total_j for ledger in ledgers)}


def _counts(tally: Tally, end_s: float) -> dict[str, float]:
    return {
        "begun": tally.begun,
        "batches": tally.batches,
        "refused": tally.refused,
        "starts": tally.starts,
        "mean_batch": tally.begun / tally.batches if tally.batches else 0.0,
        "mean_wait_s": tally.waits_s / tally.begun if tally.begun else 0.0,
        "mean_waiting": tally.waiting_area_s / end_s if end_s else 0.0,
    }
