"""Who is served next, and with how much: the orders in which backlogged devices get their grants.

An order knows the devices with something new to send (``add``, ``remove``), names the next ones
(``pick``), says how many resource blocks each may have (``shares``) and hears what they got
(``served``). Device numbers are positions in the cell's list of bearers; retransmissions are the
cell's own business and come first.
"""

from __future__ import annotations

import heapq
import itertools
import math
import operator
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from simsplit.scenario.schedulers import (
    CustomScheduler,
    EarliestDeadline,
    MaxSnr,
    ProportionalFair,
    RoundRobin,
    Scheduler,
    WeightedShare,
)
from simsplit.sim.radio import own_scheduler as own
from simsplit.sim.radio.own_scheduler import Need, ReportedLevels

Order = own.Scheduler
"""The contract of every scheduler; devices by their index in the list of bearers."""


class Turns:
    """Round robin: whoever had a share goes to the end. Equal shares; what one does not need goes
    to the others.
    """

    def __init__(self) -> None:
        self._members: OrderedDict[int, None] = OrderedDict()

    def add(self, device: int) -> None:
        self._members[device] = None

    def remove(self, device: int) -> None:
        self._members.pop(device, None)

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """At most ``count`` devices in turn; in time O(count), however many wait."""
        return list(itertools.islice(self._members, count))

    def shares(self, picked: Sequence[int], need: Need, n_prb: int) -> Sequence[int]:
        """Equal, and blocks that are left over one by one to the first, who is another one next."""
        blocks = [n_prb] if len(picked) == 1 else equal_shares([need(d) for d in picked], n_prb)
        members = self._members
        for device, share in zip(picked, blocks, strict=True):
            if share:
                members.move_to_end(device)
        if 1 < len(picked) == len(members) and all(blocks):
            members.move_to_end(next(iter(members)))
        return blocks

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """Nothing: its turn ended when it had its share."""

    def __len__(self) -> int:
        return len(self._members)


def equal_shares(needs: Sequence[int], n_prb: int) -> list[int]:
    """Whole blocks of each: as equal as possible, none more than it needs, all that is needed.

    Max-min fair (water-filling; Bertsekas & Gallager 1992, section 6.5.2).
    """
    even, odd = divmod(n_prb, len(needs))
    if min(needs) > even:
        return [even + 1] * odd + [even] * (len(needs) - odd)
    shares, left, waiting = [0] * len(needs), n_prb, len(needs)
    for index in sorted(range(len(needs)), key=lambda i: (needs[i], -i)):
        shares[index] = min(needs[index], left // waiting)
        left -= shares[index]
        waiting -= 1
    return shares


class Greedy:
    """Shares of an order by rank: the first takes all that it can use, the next what is left."""

    def shares(self, picked: Sequence[int], need: Need, n_prb: int) -> Sequence[int]:
        return [n_prb] * len(picked)


class Ranked(Greedy):
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
        self._change(device, True)

    def remove(self, device: int) -> None:
        self._change(device, False)

    def _change(self, device: int, member: bool) -> None:
        if self._is_member[device] != member:
            self._is_member[device] = member
            self._count += 1 if member else -1
            self._members = None

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """At most ``count`` devices, highest score first; ties go to the lower number."""
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
        """Nothing: scores do not depend on what was granted."""

    def __len__(self) -> int:
        return self._count


class Fair(Ranked):
    """Proportional fair: log2(1 + SNR) over the mean bits per slot served so far.

    The mean forgets by 1 / window per slot (Tse's algorithm, Viswanath, Tse & Laroia 2002, eq. 4).
    A device that was never served comes first.
    """

    def __init__(self, n_devices: int, level_db: ReportedLevels, window_slots: float) -> None:
        super().__init__(n_devices, self._ratio)
        self._level_db = level_db
        self._keep = 1.0 - 1.0 / window_slots
        self._mean_bits = np.zeros(n_devices)
        self._now: list[tuple[int, float]] = []
        self._slot = 0

    def pick(self, count: int, slot: int) -> Sequence[int]:
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
        rate = np.log2(1.0 + 10.0 ** (0.1 * self._level_db(members, slot)))
        ratio: NDArray[np.float64] = rate / np.maximum(self._mean_bits[members], 1e-9)
        return ratio

    def served(self, device: int, bits: float, n_prb: int) -> None:
        self._now.append((device, bits))


class Airtime(Ranked):
    """Weighted share: resource blocks in proportion to the weights, least served per weight first.

    A slot's blocks lift the blocks per weight of those picked to a common level, as water fills
    vessels of unlike width, so that what rounding took in one slot is made good in the next. What
    one does not need goes to the others, and it has no claim on it later. A device that comes back
    is treated as the least served among those waiting, so that it cannot claim the time in which it
    had nothing to send (start-time fair queueing, Goyal et al. 1997).
    """

    def __init__(self, weights: Sequence[float]) -> None:
        super().__init__(len(weights), lambda members, slot: self._scores[members])
        self._weights = weights
        self._used = [0.0] * len(weights)
        self._scores = np.zeros(len(weights))  # minus what was used, for all members at once
        self._floor = 0.0

    def add(self, device: int) -> None:
        if not self._is_member[device]:
            self._lift(device, self._floor)
        super().add(device)

    def _lift(self, device: int, level: float) -> None:
        if level > self._used[device]:
            self._used[device] = level
            self._scores[device] = -level

    def shares(self, picked: Sequence[int], need: Need, n_prb: int) -> Sequence[int]:
        if len(picked) == 1:
            return [n_prb]
        needs = [need(device) for device in picked]
        used = [self._used[device] for device in picked]
        weights = [self._weights[device] for device in picked]
        level, exact = _water_level(used, weights, needs, n_prb)
        shares = _rounded(exact, needs, min(n_prb, sum(needs)))
        for device, weight, share, most in zip(picked, weights, shares, needs, strict=True):
            if share == most and level < math.inf:
                self._lift(device, level - share / weight)
        return shares

    def served(self, device: int, bits: float, n_prb: int) -> None:
        used = self._used[device]
        if used > self._floor:
            self._floor = used
        self._lift(device, used + n_prb / self._weights[device])


def _water_level(
    used: Sequence[float], weights: Sequence[float], needs: Sequence[int], n_prb: float
) -> tuple[float, list[float]]:
    """v with sum of min(need, weight (v - used)+) = n_prb, and these amounts of each.

    v is infinite if that satisfies all.
    """
    level = (n_prb + sum(map(operator.mul, weights, used))) / sum(weights)
    wanted = [weight * (level - start) for weight, start in zip(weights, used, strict=True)]
    if min(wanted) >= 0.0 and all(map(operator.le, wanted, needs)):
        return level, wanted  # as mostly: all are lifted, and none is full
    level = _level_of_some(used, weights, needs, n_prb)
    amounts = [
        min(float(most), max(0.0, weight * (level - start)))
        for start, weight, most in zip(used, weights, needs, strict=True)
    ]
    return level, amounts


def _level_of_some(
    used: Sequence[float], weights: Sequence[float], needs: Sequence[int], n_prb: float
) -> float:
    """The level where some are full, or stay above it."""
    open_ones = sorted(range(len(used)), key=used.__getitem__)
    while open_ones:
        level, width, filled = math.inf, 0.0, 0.0
        for index in open_ones:
            if used[index] >= level:
                break
            width += weights[index]
            filled += weights[index] * used[index]
            level = (n_prb + filled) / width
        full = [i for i in open_ones if weights[i] * (level - used[i]) > needs[i]]
        if not full:
            return level
        n_prb -= sum(needs[i] for i in full)
        open_ones = [i for i in open_ones if i not in full]
    return math.inf


def _rounded(exact: Sequence[float], needs: Sequence[int], total: int) -> list[int]:
    """Whole numbers nearest to the exact ones, with this sum (largest remainders first)."""
    shares = [int(amount) for amount in exact]
    lacking = list(map(operator.sub, shares, exact))
    by_rest = sorted(range(len(exact)), key=lacking.__getitem__)
    left = total - sum(shares)
    while left > 0:
        for index in by_rest:
            if left > 0 and shares[index] < needs[index]:
                shares[index] += 1
                left -= 1
    return shares


class Deadlines(Greedy):
    """Earliest deadline first.

    Args:
        deadline_s: Device -> absolute deadline of its oldest request; infinite if it has none.
    """

    def __init__(self, deadline_s: Callable[[int], float]) -> None:
        self._deadline_s = deadline_s
        self._members: dict[int, None] = {}

    def add(self, device: int) -> None:
        self._members[device] = None

    def remove(self, device: int) -> None:
        self._members.pop(device, None)

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """At most ``count`` devices by deadline; without one in the order of arrival."""
        return heapq.nsmallest(count, self._members, key=self._deadline_s)

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """Those without a deadline take turns."""
        if device in self._members and math.isinf(self._deadline_s(device)):
            del self._members[device]
            self._members[device] = None

    def __len__(self) -> int:
        return len(self._members)


def build_order(
    spec: Scheduler,
    weights: Sequence[float],
    level_db: ReportedLevels,
    deadline_s: Callable[[int], float],
) -> Order:
    """The order that a scenario asks for, over ``len(weights)`` devices.

    Raises:
        ScenarioError: A user's own that cannot be built.
    """
    match spec:
        case RoundRobin():
            return Turns()
        case ProportionalFair():
            return Fair(len(weights), level_db, spec.window_slots)
        case MaxSnr():
            return Ranked(len(weights), level_db)
        case EarliestDeadline():
            return Deadlines(deadline_s)
        case WeightedShare():
            return Airtime(weights)
        case CustomScheduler():
            return own.own_scheduler(spec, own.View(tuple(weights), level_db, deadline_s))
