"""What a policy is and what it says; every policy, ours or a user's, has this form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from simsplit.sim.knowledge import Knowledge


@dataclass(frozen=True, slots=True)
class Decision:
    """The operating point of one request.

    Attributes:
        point: Its name.
        exit_s: Seconds on the device for an exit head that was not confident, beyond what
            ``point`` needs anyway.
    """

    point: str
    exit_s: float = 0.0


class Policy(Protocol):
    """Chooses the operating point of each request of one device."""

    def choose(self, knowledge: Knowledge, sample: int) -> Decision:
        """The decision for a request that shows ``sample`` (its number in the task's range)."""

    def learn(self, point: str, reward: float) -> None:
        """A request over ``point`` has closed with this `reward`, in [0, 1]; 0 if it was lost."""
