"""The workers of a server as ledgers, and what a server reports at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simsplit.serving import Edge, QueueScaling
from simsplit.sim.ledger import Ledger
from simsplit.sim.waiting import Tally

ON = ("idle", "compute")


def crew(spec: Edge, idle_w: float, compute_w: float) -> list[Ledger]:
    """One ledger per worker that there may be; a starting worker draws idle power, off draws 0."""
    most = spec.scaling.max_workers if isinstance(spec.scaling, QueueScaling) else spec.workers
    power_w = {"off": 0.0, "starting": idle_w, "idle": idle_w, "compute": compute_w}
    return [Ledger(power_w, "idle" if n < spec.workers else "off") for n in range(most)]


def on(workers: Sequence[Ledger]) -> int:
    """Workers that are on."""
    return sum(ledger.state in ON for ledger in workers)


def alive(workers: Sequence[Ledger]) -> int:
    """Workers that are on or starting."""
    return sum(ledger.state != "off" for ledger in workers)


def station(workers: Sequence[Ledger], tally: Tally, end_s: float) -> dict[str, Any]:
    """Seconds and joules of the workers by state up to ``end_s``, and what the queue saw.

    ``on_s`` = ``busy_s`` + ``idle_s``; with ``starting_s`` and ``off_s`` it fills ``workers`` x
    ``end_s``. ``mean_waiting``: time average; ``mean_wait_s`` and ``mean_batch``: of those that
    began, 0 if none did. ``starts``: workers started by scaling.
    """
    for ledger in workers:
        ledger.close(end_s)
    tally.until(end_s)
    return _seconds(workers) | _joules(workers) | _counts(tally, end_s)


def _seconds(workers: Sequence[Ledger]) -> dict[str, Any]:
    s = {name: sum(w.seconds[name] for w in workers) for name in ("off", "starting", *ON)}
    on_s = s["idle"] + s["compute"]
    return {
        "workers": len(workers),
        "busy_s": s["compute"],
        "idle_s": s["idle"],
        "starting_s": s["starting"],
        "off_s": s["off"],
        "on_s": on_s,
        "utilisation": s["compute"] / on_s if on_s else 0.0,
    }


def _joules(workers: Sequence[Ledger]) -> dict[str, float]:
    states = ("idle", "starting", "compute")
    joules = {f"{state}_j": sum(w.joules(state) for w in workers) for state in states}
    return joules | {"total_j": sum(worker.total_j for worker in workers)}


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
