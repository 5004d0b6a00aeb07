"""Which of many designs no other design beats."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def non_dominated(costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Rows that no other row dominates: as good in every column and better in one.

    Equal rows do not dominate each other. A row with NaN is never among them and dominates none.

    Args:
        costs: ``(designs, objectives)``, smaller is better; negate what shall be large.
    """
    costs = np.asarray(costs, float)
    finite: NDArray[np.bool_] = np.logical_and.reduce(np.isfinite(costs), axis=1)
    kept, others = finite.copy(), costs[finite]
    for index in np.flatnonzero(finite):
        as_good = (others <= costs[index]).all(axis=1)
        better = (others < costs[index]).any(axis=1)
        kept[index] = not (as_good & better).any()
    return kept
