"""Who is served next, and with how much, as a scenario's YAML says it below ``cell.scheduler``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from simsplit.scenario.custom import CustomSpec
from simsplit.scenario.spec import Number, Spec


class _Scheduler(Spec):
    """``max_grants``: devices served in one slot, at most. Each costs a downlink control message;
    a 20 MHz carrier at 30 kHz has 16 control channel elements in two symbols, 8 messages of
    aggregation level 2 (TS 38.213 clause 10.1). Each scheduler says who comes first, and how much
    of the band each may have.
    """

    max_grants: Annotated[int, Field(ge=1, le=1000, strict=True)] = 8


class RoundRobin(_Scheduler):
    """In turn, with equal shares; what one does not need goes to the others."""

    kind: Literal["round_robin"] = "round_robin"


class ProportionalFair(_Scheduler):
    """Highest ratio of achievable rate to the average served so far (Kelly 1997; Tse 1999).

    The highest ratio takes all the blocks that it can use, the next one what is left: ranks are of
    the whole band, grants are contiguous (resource allocation type 1, TS 38.214 clause 6.1.2.2.2),
    so that there is no choice per subband. With a fixed MCS all achieve the same rate. The average
    forgets exponentially over ``window_slots``.
    """

    kind: Literal["proportional_fair"]
    window_slots: Annotated[Number, Field(ge=1, le=1e6)] = 100.0


class MaxSnr(_Scheduler):
    """Highest reported SNR first, all that it can use: most bits, no fairness."""

    kind: Literal["max_snr"]


class EarliestDeadline(_Scheduler):
    """The request whose deadline comes first, all that it can use; those without one come last."""

    kind: Literal["earliest_deadline"]


class WeightedShare(_Scheduler):
    """Resource blocks in proportion to the groups' ``weight``, in each slot and in the long run."""

    kind: Literal["weighted"]


class CustomScheduler(_Scheduler, CustomSpec):
    """A user's own order, one object per site and direction: see `simsplit.contracts.Scheduler`."""


Scheduler = Annotated[
    RoundRobin | ProportionalFair | MaxSnr | EarliestDeadline | WeightedShare | CustomScheduler,
    Field(discriminator="kind"),
]
