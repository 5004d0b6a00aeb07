"""Who is served next: the orders in which a cell's backlogged devices get their grants.

An order knows the devices with something new to send (``add``, ``remove``), names the next ones
(``pick``) and hears what they got (``served``). Device numbers are positions in the cell's list of
bearers; retransmissions are the cell's own business and come first.
"""

from __future__ import annotations

import heapq
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.radio import (
    EarliestDeadline,
    MaxSnr,
    ProportionalFair,
    RoundRobin,
    Scheduler,
    WeightedShare,
)

KnownLevels = Callable[[NDArray[np.int64], int], NDArray[np.float64]]
"""(device numbers, slot) -> last reported Es/N0 of each in dB."""


class Order(Protocol):
    """The contract of every scheduler."""

    def add(self, device: int) -> None:
        """The device has something new to send."""

    def remove(self, device: int) -> None:
        """It has not, or may not, any more."""

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """At most ``count`` devices, the first one first; they stay in the order."""

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """A grant went to the device in this slot."""

    def __len__(self) -> int:
        """Devices with something new to send."""


class Turns:
    """Round robin: whoever was served goes to the end."""

    def __init__(self) -> None:
        self._members: OrderedDict[int, None] = OrderedDict()

    def add(self, device: int) -> None:
        """See `Order`."""
        self._members[device] = None

    def remove(self, device: int) -> None:
        """See `Order`."""
        self._members.pop(device, None)

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """See `Order`; in time O(count), however many wait."""
        members = self._members
        picked = []
        for _ in range(min(count, len(members))):
            device = next(iter(members))
            members.move_to_end(device)
            picked.append(device)
        return picked

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """See `Order`."""

    def __len__(self) -> int:
        return len(self._members)


class Ranked:
    """Highest score first. Scores of all members are computed at once, in NumPy.

    Args:
        n_devices: Devices of the cell; numbers stay below.
        score: (members, slot) -> score of each.
    """

    def __init__(
        self, n_devices: int, score: Callable[[NDArray[np.int64], int], NDArray[np.float64]]
    ) -> None:
        self._is_member = np.zeros(n_devices, dtype=bool)
        self._members: NDArray[np.int64] | None = None
        self._count = 0
        self._score = score

    def add(self, device: int) -> None:
        """See `Order`."""
        self._change(device, True)

    def remove(self, device: int) -> None:
        """See `Order`."""
        self._change(device, False)

    def _change(self, device: int, member: bool) -> None:
        if self._is_member[device] != member:
            self._is_member[device] = member
            self._count += 1 if member else -1
            self._members = None

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """See `Order`; ties go to the lower number."""
        if self._members is None:
            self._members = np.flatnonzero(self._is_member)
        members = self._members
        score = self._score(members, slot)
        if count < len(members):
            best = np.argpartition(-score, count - 1)[:count]
            members, score = members[best], score[best]
        picked: list[int] = members[np.lexsort((members, -score))].tolist()
        return picked

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """See `Order`."""

    def __len__(self) -> int:
        return self._count


class Fair(Ranked):
    """Proportional fair: log2(1 + SNR) over the mean bits per slot served so far.

    The mean forgets by 1 / window per slot (Tse's algorithm, Viswanath, Tse & Laroia 2002, eq. 4).
    A device that was never served comes first.
    """

    def __init__(self, n_devices: int, known: KnownLevels, window_slots: float) -> None:
        super().__init__(n_devices, self._ratio)
        self._known = known
        self._keep = 1.0 - 1.0 / window_slots
        self._mean_bits = np.zeros(n_devices)
        self._now: list[tuple[int, float]] = []
        self._slot = 0

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """See `Order`."""
        self._forget(slot)
        return super().pick(count, slot)

    def _forget(self, slot: int) -> None:
        """Book the last slot's grants and let the means decay up to this slot."""
        for device, bits in self._now:
            self._mean_bits[device] += (1.0 - self._keep) * bits
        self._now.clear()
        self._mean_bits *= self._keep ** max(0, slot - self._slot)
        self._slot = slot

    def _ratio(self, members: NDArray[np.int64], slot: int) -> NDArray[np.float64]:
        rate = np.log2(1.0 + 10.0 ** (0.1 * self._known(members, slot)))
        ratio: NDArray[np.float64] = rate / np.maximum(self._mean_bits[members], 1e-9)
        return ratio

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """See `Order`."""
        self._now.append((device, bits))


class Airtime(Ranked):
    """Weighted share: least resource blocks per weight first.

    A device that comes back is treated as the least served among those waiting, so that it cannot
    claim the time in which it had nothing to send (start-time fair queueing, Goyal et al. 1997).
    """

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__(len(weights), lambda members, slot: -self._used[members])
        self._weights = weights
        self._used = np.zeros(len(weights))
        self._floor = 0.0

    def add(self, device: int) -> None:
        """See `Order`."""
        if not self._is_member[device]:
            self._used[device] = max(self._used[device], self._floor)
        super().add(device)

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """See `Order`."""
        self._floor = max(self._floor, float(self._used[device]))
        self._used[device] += n_prb / self._weights[device]


class Deadlines:
    """Earliest deadline first.

    Args:
        deadline_s: Device -> absolute deadline of its oldest request; infinite if it has none.
    """

    def __init__(self, deadline_s: Callable[[int], float]) -> None:
        self._deadline_s = deadline_s
        self._members: dict[int, None] = {}

    def add(self, device: int) -> None:
        """See `Order`."""
        self._members[device] = None

    def remove(self, device: int) -> None:
        """See `Order`."""
        self._members.pop(device, None)

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """See `Order`; without a deadline in the order of arrival."""
        return heapq.nsmallest(count, self._members, key=self._deadline_s)

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """See `Order`; those without a deadline take turns."""
        if device in self._members and math.isinf(self._deadline_s(device)):
            del self._members[device]
            self._members[device] = None

    def __len__(self) -> int:
        return len(self._members)


def build_order(
    spec: Scheduler,
    weights: Sequence[float],
    known: KnownLevels,
    deadline_s: Callable[[int], float],
) -> Order:
    """The order that a scenario asks for, over ``len(weights)`` devices."""
    match spec:
        case RoundRobin():
            return Turns()
        case ProportionalFair():
            return Fair(len(weights), known, spec.window_slots)
        case MaxSnr():
            return Ranked(len(weights), known)
        case EarliestDeadline():
            return Deadlines(deadline_s)
        case WeightedShare():
            return Airtime(weights)
