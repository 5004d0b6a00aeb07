"""A graph that takes one sample at a time is not measured in batches."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from simsplit.errors import ScenarioError
from simsplit.hardware.measure import traced


@pytest.mark.parametrize("takes_batches", [True, False])
def test_batches_need_a_graph_that_takes_them(takes_batches: bool) -> None:
    graph: Any = SimpleNamespace(takes_batches=takes_batches, why_one_at_a_time="a reshape")
    assert traced("one", graph, 8, 8, [1]).batches == (1,)
    if takes_batches:
        assert traced("one", graph, 8, 8, [1, 4]).batches == (1, 4)
        return
    with pytest.raises(ScenarioError, match=r"one sample at a time \(a reshape\)"):
        traced("one", graph, 8, 8, [1, 4])
