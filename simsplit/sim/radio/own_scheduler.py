"""A scheduler of a user's own, held to the contract of every scheduler."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ContractError, ScenarioError, SimsplitError
from simsplit.scenario.schedulers import CustomScheduler
from simsplit.scenario.user_code import build_target, made_of

KIND = "a scheduler"
_PATH = "cell.scheduler.target"
ReportedLevels = Callable[[NDArray[np.int64], int], NDArray[np.float64]]
"""(device numbers, slot) -> last reported Es/N0 of each in dB."""
Need = Callable[[int], int]
"""Device -> resource blocks that it asks for in this slot: those that are free, or fewer if they
empty its buffer."""


@dataclass(frozen=True)
class View:
    """What a scheduler of a user's own may see of its cell.

    Attributes:
        weights: The groups' ``weight``, by device; as many as there are devices.
        level_db: (device numbers int64 ``(N,)``, slot) → last reported Es/N0 of each in dB
            ``(N,)``, as old as reports are.
        deadline_s: Device → absolute deadline in s of its oldest request; infinite without one.
    """

    weights: Sequence[float]
    level_db: ReportedLevels
    deadline_s: Callable[[int], float]


class Scheduler(Protocol):
    """Who is served next, and with how much; devices by their number, from 0.

    A user's own is built with ``(view, **options)`` (see `View`), once per site and direction.
    Retransmissions are the cell's own business and come first.
    """

    def add(self, device: int) -> None:
        """The device has something new to send; it may be in the order already."""

    def remove(self, device: int) -> None:
        """It has not, or may not, any more; it need not be in the order."""

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """At most ``count`` of the devices in the order, each once, the first one first.

        They stay in the order. At least one, if there is any.
        """

    def shares(self, picked: Sequence[int], need: Need, n_prb: int) -> Sequence[int]:
        """The most resource blocks that each of the picked may have of ``n_prb`` free ones.

        Whole numbers, at least 0 (no grant in this slot), one per device picked. Grants are made
        one by one: a device gets no more than the earlier ones left, and no more than it can use
        (``need(device)``), so that the sum may exceed ``n_prb``.
        """

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """A grant of so many bits and resource blocks went to the device in this slot."""

    def __len__(self) -> int:
        """Devices in the order."""


class CheckedScheduler:
    """A user's scheduler, held to the contract at every call.

    Raises:
        ContractError: It breaks the contract.
        ScenarioError: It fails.
    """

    def __init__(self, own: Scheduler, who: str, path: str = "") -> None:
        self._own, self._who, self._path = own, who, path
        self._members: set[int] = set()

    def add(self, device: int) -> None:
        """It has something new to send."""
        self._members.add(device)
        self._asked("add", device)

    def remove(self, device: int) -> None:
        """It has not any more."""
        self._members.discard(device)
        self._asked("remove", device)

    def pick(self, count: int, slot: int) -> Sequence[int]:
        """At most ``count`` devices."""
        picked = self._listed("pick", count, slot)
        if len(picked) > count:
            raise self._broken(f"pick gives at most {count} devices", len(picked))
        if len(set(picked)) < len(picked):
            raise self._broken("pick gives each device once", picked)
        if not self._members.issuperset(picked):
            raise self._broken("pick gives devices that have something to send", picked)
        if not picked and count and self._members:
            raise self._broken("pick gives a device if there is one", picked)
        return picked

    def shares(self, picked: Sequence[int], need: Need, n_prb: int) -> Sequence[int]:
        """Blocks of each."""
        shares = self._listed("shares", picked, need, n_prb)
        if len(shares) != len(picked):
            raise self._broken("shares gives one number per device picked", shares)
        if any(share < 0 for share in shares):
            raise self._broken("shares gives numbers of at least 0", shares)
        return shares

    def served(self, device: int, bits: float, n_prb: int) -> None:
        """A grant went to the device."""
        self._asked("served", device, bits, n_prb)

    def __len__(self) -> int:
        if (count := self._asked("__len__")) != len(self._members):
            raise self._broken(f"len gives the {len(self._members)} devices in the order", count)
        return len(self._members)

    def _listed(self, name: str, *args: Any) -> list[int]:
        answer = self._asked(name, *args)
        try:
            numbers = list(answer)
        except TypeError:
            raise self._broken(f"{name} gives a sequence of whole numbers", answer) from None
        if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in numbers):
            raise self._broken(f"{name} gives a sequence of whole numbers", numbers)
        return [int(number) for number in numbers]

    def _asked(self, name: str, *args: Any) -> Any:
        """The answer of a method; called every slot, hence no `users_code`."""
        try:
            return getattr(self._own, name)(*args)
        except (SimsplitError, KeyboardInterrupt):
            raise
        except BaseException as error:
            message = f"{self._who} failed to {name}: {type(error).__name__}: {error}"
            raise ScenarioError(message, path=self._path) from error

    def _broken(self, clause: str, found: object) -> ContractError:
        return ContractError.broken(self._who, KIND, clause, found, path=self._path)


def own_scheduler(spec: CustomScheduler, view: View) -> CheckedScheduler:
    """The order of a user's own that a scenario names."""
    own = build_target(spec.target, view, path=_PATH, base=Scheduler, options=spec.options)
    return CheckedScheduler(own, spec.target, _PATH)


def check_scheduler(thing: Any, options: Mapping[str, Any] | None = None) -> None:
    """Hold a scheduler to its contract: a class, built with ``(view, **options)``, or an object.

    An object is one for at least five devices, with an empty order.

    Raises:
        ContractError: Names the clause that does not hold.
        ScenarioError: It cannot be built, or fails.
    """
    levels = np.array([3.0, 12.0, -2.0, 25.0, 8.0])
    view = View(
        (1.0, 2.0, 1.0, 0.5, 1.0),
        lambda devices, slot: levels[devices],
        lambda device: (0.5, 0.2, float("inf"), 0.9, 0.1)[device],
    )
    own, who = made_of(thing, view, contract=Scheduler, kind=KIND, options=options)
    order = CheckedScheduler(own, who)
    len(order)
    for device in (4, 0, 2, 4):
        order.add(device)
    _serve(order, range(20))
    order.remove(2)
    order.remove(2)
    len(order)
    _serve(order, range(20, 30))
    for device in (0, 4):
        order.remove(device)
    if list(order.pick(3, 30)) or len(order):
        raise ContractError.broken(who, KIND, "an emptied order picks nobody")


def _serve(order: CheckedScheduler, slots: Sequence[int]) -> None:
    """Slots as a cell has them: picks, shares, grants."""
    for slot in slots:
        picked = order.pick(1 + slot % 3, slot)
        free, needs = 51, dict.fromkeys(picked, (51, 7, 20)[slot % 3])
        shares = order.shares(picked, needs.__getitem__, free)
        for device, share in zip(picked, shares, strict=True):
            blocks = min(share, free, needs[device])
            free -= blocks
            if blocks:
                order.served(device, 100.0 * blocks, blocks)
        len(order)
