"""What every chain of a network gives a run: act one, its work, act three."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from simsplit.messages import Outcome, Prepared, ScoreRequest, Workload


class Chain(Protocol):
    """Operating points of one network on one task.

    Plain cuts (`simsplit.pipeline.traced`) and trained codes (`simsplit.pipeline.coded`) are such;
    the networks in ``models/`` (`simsplit.pipeline.trained`) prepare all their points in one call.
    """

    def prepare(self, name: str) -> Prepared:
        """Act one of one operating point: what every sample costs to send."""

    def workload(self, name: str) -> Workload:
        """Operators per request on either side of the operating point's cut."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[Outcome]:
        """Act three: what each request's answer is worth, in the order asked."""
