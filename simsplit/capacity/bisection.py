"""The search along the count: doubling, bisection, and a look beyond."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

from simsplit.capacity.verdict import Verdict


class Scale:
    """Counts from ``lowest`` to ``highest``, each judged once, with as many runs as it needs.

    Args:
        judge: Verdict of (count, replications).
        replications: First and most; doubled while the intervals do not decide.
        tell: Called with every verdict.
    """

    def __init__(
        self,
        judge: Callable[[int, int], Verdict],
        lowest: int,
        highest: int,
        replications: tuple[int, int],
        tell: Callable[[Verdict], None],
    ) -> None:
        self.lowest, self.highest = lowest, highest
        self._judge, self._replications, self._tell = judge, replications, tell
        self._verdicts: dict[int, Verdict] = {}

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """All that were judged, by count."""
        return tuple(self._verdicts[count] for count in sorted(self._verdicts))

    def at(self, count: int) -> Verdict:
        """The verdict of a count."""
        if count not in self._verdicts:
            self._verdicts[count] = self._decided(count)
            self._tell(self._verdicts[count])
        return self._verdicts[count]

    def _decided(self, count: int) -> Verdict:
        replications, most = self._replications
        verdict = self._judge(count, replications)
        while not verdict.is_certain and replications < most:
            replications = min(2 * replications, most)
            verdict = self._judge(count, replications)
        return verdict

    def boundary(
        self, holds: Callable[[Verdict], bool], open_: Callable[[Verdict], bool] | None = None
    ) -> int:
        """The largest count that holds; ``lowest - 1``: none.

        What was judged before narrows the search: doubling while everything holds, then bisection
        between the last that holds, below the first that is not ``open_`` (None: that does not
        hold), and the next that does not.
        """
        self._double(holds)
        kept = [v for v in takewhile(open_ or holds, self.verdicts) if holds(v)]
        low = kept[-1].count if kept else self.lowest - 1
        above = [verdict.count for verdict in self.verdicts if verdict.count > low]
        high = min(above, default=self.highest + 1)
        while high - low > 1:
            middle = (low + high) // 2
            if holds(self.at(middle)):
                low = middle
            else:
                high = middle
        return low

    def look_beyond(self) -> None:
        """Twice the largest count so far: if it fits again, feasibility is not monotone."""
        self.at(min(2 * self.verdicts[-1].count, self.highest))

    def _double(self, holds: Callable[[Verdict], bool]) -> None:
        count = self.verdicts[-1].count if self.verdicts else self.lowest
        self.at(count)
        while count < self.highest and all(map(holds, self.verdicts)):
            count = min(2 * count, self.highest)
            self.at(count)


def fits(verdict: Verdict) -> bool:
    """It fits by its means."""
    return verdict.is_feasible


def surely_fits(verdict: Verdict) -> bool:
    """It fits with its whole intervals."""
    return verdict.is_feasible and verdict.is_certain


def may_fit(verdict: Verdict) -> bool:
    """The intervals do not exclude that it fits."""
    return verdict.is_feasible or not verdict.is_certain
