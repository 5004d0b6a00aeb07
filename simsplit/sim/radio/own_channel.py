"""A channel of a user's own: the contract of its SNR process, and a process held to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from simsplit.errors import ContractError
from simsplit.scenario.channel import CustomChannel
from simsplit.scenario.user_code import build_target, made_of, users_code

KIND = "a channel"
LOWEST_DB, HIGHEST_DB = -200.0, 200.0
_PATH = "cell.channel.target"


class SnrProcess(Protocol):
    """Es/N0 of one device over time; a user's own is built with ``(rng, **options)`` per device.

    ``rng`` is the device's own `numpy.random.Generator` for its channel. Draw from it when the
    object is built: the level is asked at times that need not rise, a slot's more than once.
    """

    def snr_db(self, time_s: float) -> float:
        """Mean Es/N0 of a resource element in dB at a time in s, in [-200, 200].

        The same number for the same time, however often and in whatever order it is asked.
        """


class OwnLevel:
    """Es/N0 of a user's own process, checked whenever it is asked.

    Raises:
        ContractError: It is no number of dB within [-200, 200].
        ScenarioError: It fails.
    """

    is_constant = False

    def __init__(self, own: SnrProcess, who: str, path: str = "") -> None:
        self._own, self._who, self._path = own, who, path

    def gain_db(self, time_s: float) -> float:
        """The level in dB at a time in s."""
        with users_code(f"{self._who} failed at {time_s:g} s", self._path):
            level_db: Any = self._own.snr_db(time_s)
        is_real = isinstance(level_db, int | float | np.integer | np.floating)
        if not is_real or not LOWEST_DB <= level_db <= HIGHEST_DB:
            clause = "snr_db gives a number of dB in [-200, 200]"
            raise ContractError.broken(self._who, KIND, clause, level_db, path=self._path)
        return float(level_db)


def own_level(spec: CustomChannel, rng: np.random.Generator) -> OwnLevel:
    """The level of one device by a user's own process."""
    own = build_target(spec.target, rng, path=_PATH, base=SnrProcess, options=spec.options)
    return OwnLevel(own, spec.target, _PATH)


def check_channel(thing: Any, options: Mapping[str, Any] | None = None) -> None:
    """Hold an SNR process to its contract: a class, built with ``(rng, **options)``, or an object.

    Raises:
        ContractError: Names the clause that does not hold.
        ScenarioError: It cannot be built, or fails.
    """
    times_s = [0.0, 0.0005, 0.5, 3.0, 100.0]
    runs = []
    for _ in range(2 if isinstance(thing, type) else 1):
        rng = np.random.default_rng(1)
        own, who = made_of(thing, rng, contract=SnrProcess, kind=KIND, options=options)
        level = OwnLevel(own, who)
        runs.append([level.gain_db(time_s) for time_s in times_s])
        if [level.gain_db(time_s) for time_s in reversed(times_s)] != runs[-1][::-1]:
            raise ContractError.broken(
                who, KIND, "the same time has the same level, in whatever order"
            )
    if runs[0] != runs[-1]:
        raise ContractError.broken(
            who, KIND, "it draws from its rng alone: the same rng, the same levels"
        )
