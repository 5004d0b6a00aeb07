"""A pooled score over chosen requests: their answers' evidence stands side by side or together."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.messages import Evidence
from simsplit.results.pooled import pooled_names, resampled_score

CONFUSION = np.array([[3, 1, 0], [0, 4, 0]])
ERRORS = ((4.0, 1.0), (9.0, 1.0), (16.0, 1.0))  # sum of squares, pixels


def evidence(squares: float, pixels: float, *, is_together: bool) -> tuple[Evidence, ...]:
    """Of a request with a segmentation and a disparity, as scored anew or as the cache has it."""
    one = {"confusion": CONFUSION}
    other = {"disparity_error": np.array([squares, pixels])}
    if is_together:
        return (Evidence("", one | other),)
    return (Evidence("", one), Evidence("", other))


@pytest.mark.parametrize("is_together", [True, False])
def test_the_evidence_of_the_score_is_found(is_together: bool) -> None:
    requests = [evidence(*one, is_together=is_together) for one in ERRORS]
    assert set(pooled_names(requests)) >= {"dataset_miou", "dataset_disparity_rmse_px"}
    score = resampled_score("dataset_disparity_rmse_px", requests)
    assert score(np.array([0, 1])) == pytest.approx(np.sqrt(6.5))
    assert score(np.array([2, 2])) == pytest.approx(4.0)
    assert resampled_score("dataset_miou", requests)(np.array([0])) == pytest.approx(0.775)
