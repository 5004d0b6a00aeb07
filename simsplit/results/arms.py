"""How an interval is printed beside its mean: ``± 0.014``, or lopsided ``−0.021 +0.008``."""

from __future__ import annotations

from collections.abc import Callable

LOPSIDED = 0.1  # relative: arms that differ by less are given as one half-width
MINUS = "\N{MINUS SIGN}"
NOISE = 1e-9  # relative: what scatters by less than rounding does not scatter


def arms_text(down: float, up: float, form: Callable[[float], str]) -> str:
    """``± half-width``, or both arms where one is longer by more than a tenth.

    So no printed interval reaches beyond what is possible (a share of 1 has no upper arm).

    Args:
        down, up: How far the interval reaches below and above the mean.
        form: Text of a length.
    """
    if abs(up - down) <= LOPSIDED * max(up, down):
        return f"± {form((down + up) / 2)}"
    return f"{MINUS}{form(max(down, 0.0))} +{form(max(up, 0.0))}"


def arms(mean: float, low: float, high: float) -> tuple[float, float]:
    """How far an interval reaches down and up; (0, 0) where that is but rounding."""
    down, up = mean - low, high - mean
    return (0.0, 0.0) if max(down, up) <= NOISE * abs(mean) else (down, up)
