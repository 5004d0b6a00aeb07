"""What errors print: values that a user wrote are quoted in part if they are long."""

from __future__ import annotations

import pytest

from simsplit.errors import ScenarioError

LONG = "9" * 5000


@pytest.mark.parametrize(
    "error",
    [
        ScenarioError("wrong", path=f"seed={LONG}", value=LONG),
        ScenarioError(f"'{LONG}' is wrong", path="seed"),
    ],
)
def test_long_values_are_shortened(error: ScenarioError) -> None:
    assert len(str(error)) < 700
    assert "…" in str(error)
    assert "wrong" in str(error)
