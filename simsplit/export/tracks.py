"""Tracks on which slices do not overlap, and counters that slices add to."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from simsplit.export.stages import Slice

Event = dict[str, Any]
SERIES = ("compute", "transmit", "receive", "server", "requests")


class Lanes:
    """Tracks on which slices do not overlap: each takes the first that is free."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._busy: list[tuple[int, int]] = []
        self.count = 0

    def take(self, start_ns: int, end_ns: int) -> int:
        """The track, from 1; to be asked in order of the slices' starts."""
        while self._busy and self._busy[0][0] <= start_ns:
            heapq.heappush(self._free, heapq.heappop(self._busy)[1])
        if not self._free:
            self.count += 1
            self._free.append(self.count)
        tid = heapq.heappop(self._free)
        heapq.heappush(self._busy, (end_ns, tid))
        return tid


class Counter:
    """One counter with its series, from the slices that each adds a value to."""

    def __init__(self) -> None:
        self._changes: list[tuple[int, str, int, float]] = []

    def add(self, series: str, stage: Slice, value: float) -> None:
        self._changes.append((stage.start_ns, series, 1, value))
        self._changes.append((stage.end_ns, series, -1, -value))

    def events(self, pid: int, name: str) -> Iterator[Event]:
        """A value of every series at each change; exactly 0 where nothing is under way."""
        sums = {key: 0.0 for key in SERIES if any(change[1] == key for change in self._changes)}
        active = dict.fromkeys(sums, 0)
        for moment_ns, group in _at_once(sorted(self._changes)):
            for _, series, sign, value in group:
                active[series] += sign
                sums[series] = sums[series] + value if active[series] else 0.0
            args = {key: _nine_digits(value) for key, value in sums.items()}
            yield {"ph": "C", "pid": pid, "name": name, "ts": moment_ns / 1e3, "args": args}


def _at_once(
    changes: Iterable[tuple[int, str, int, float]],
) -> Iterator[tuple[int, list[tuple[int, str, int, float]]]]:
    for moment_ns, group in itertools.groupby(changes, key=lambda change: change[0]):
        yield moment_ns, list(group)


def _nine_digits(value: float) -> float:
    number = float(f"{value:.9g}")
    return int(number) if number.is_integer() else number
