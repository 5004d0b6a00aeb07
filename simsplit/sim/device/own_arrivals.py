"""Arrivals of a user's own: their contract, and a process held to it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from simsplit.errors import ContractError
from simsplit.scenario.devices import CustomArrivals
from simsplit.scenario.user_code import build_target, made_of, users_code

KIND = "arrivals"
MOST_AT_ONCE = 1000  # gaps of 0 s one after the other
_LOOKED_AT = 2000  # gaps, at most
_END = object()


class Arrivals(Protocol):
    """When one device asks; a user's own is built with ``(rng, **options)``, once per device.

    ``rng`` is the device's own `numpy.random.Generator` for arrivals: whoever draws from it alone
    has the same arrivals whatever else the scenario says (common random numbers).
    """

    def gaps_s(self) -> Iterable[float]:
        """Seconds from 0 to the first arrival, from that to the second, and so on.

        Each finite and at least 0, and no more than 1000 of 0 s in a row; without end, or until the
        device asks no more.
        """


def own_gaps_s(spec: CustomArrivals, rng: np.random.Generator, path: str) -> Iterator[float]:
    """Gaps in s of a device's own process, checked one by one; see `Arrivals.gaps_s`.

    Raises:
        ScenarioError: It cannot be built, or fails.
        ContractError: It breaks the contract.
    """
    where = f"{path}.target"
    own = build_target(spec.target, rng, path=where, base=Arrivals, options=spec.options)
    return checked_gaps_s(own, spec.target, where)


def checked_gaps_s(own: Arrivals, who: str, path: str = "") -> Iterator[float]:
    """The gaps in s of a process; raises ContractError at the first that is none."""
    at_once = 0
    with users_code(f"{who} failed to give its arrivals", path):
        gaps: Iterator[Any] = iter(own.gaps_s())
    while True:
        with users_code(f"{who} failed to give its arrivals", path):
            gap_s: Any = next(gaps, _END)
        if gap_s is _END:
            return
        if not _is_number(gap_s):
            clause = "every gap is a number of seconds, finite and at least 0"
            raise ContractError.broken(who, KIND, clause, gap_s, path=path)
        at_once = 0 if gap_s > 0 else at_once + 1
        if at_once > MOST_AT_ONCE:
            clause = f"no more than {MOST_AT_ONCE} gaps of 0 s in a row"
            raise ContractError.broken(who, KIND, clause, path=path)
        yield float(gap_s)


def _is_number(value: object) -> bool:
    is_real = isinstance(value, int | float | np.integer | np.floating)
    return is_real and not isinstance(value, bool) and 0 <= value < math.inf  # type: ignore[operator]


def check_arrivals(thing: Any, options: Mapping[str, Any] | None = None) -> None:
    """Hold arrivals to their contract: a class, built with ``(rng, **options)``, or an object.

    Raises:
        ContractError: Names the clause that does not hold.
        ScenarioError: It cannot be built, or fails.
    """
    runs = []
    for _ in range(2 if isinstance(thing, type) else 1):
        rng = np.random.default_rng(1)
        own, who = made_of(thing, rng, contract=Arrivals, kind=KIND, options=options)
        runs.append(list(itertools.islice(checked_gaps_s(own, who), _LOOKED_AT)))
    if not runs[0]:
        raise ContractError.broken(who, KIND, "there is at least one arrival", "none")
    if runs[0] != runs[-1]:
        raise ContractError.broken(
            who, KIND, "it draws from its rng alone: the same rng, the same gaps"
        )
