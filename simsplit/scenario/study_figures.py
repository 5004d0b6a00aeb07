"""What a study's step ``plot`` may say of a figure, checked before anything is run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from simsplit.scenario.spec import Number

FIGURES = (
    "metric",
    "cliff",
    "rate_distortion",
    "stages",
    "pareto",
    "heatmap",
    "policies",
    "latency_cdf",
    "latency_by_stage",
    "energy_by_part",
    "timeline",
    "queue",
    "radio_map",
)
LIMITED = ("metric", "cliff")  # those whose vertical axis can be cut
Style = Literal["ieee_column", "ieee_page", "thesis", "slide"]


def _pair(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError("two numbers, [low, high]")
    return value


def _rising(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] >= limits[1]:
        raise ValueError("[low, high], low below high")
    return limits


Limits = Annotated[tuple[Number, Number], BeforeValidator(_pair), AfterValidator(_rising)]


def check_limits(limits: tuple[float, float], kind: str | None, scale: str | None) -> None:
    """Nothing, if a figure of this kind has a vertical axis that can end there.

    Raises:
        ValueError: It has none that can be cut, or a logarithmic one, which lies above 0.
    """
    if kind not in (None, *LIMITED):
        raise ValueError(f"the figure {kind} has no limits; {', '.join(LIMITED)} have")
    if scale == "log" and limits[0] <= 0:
        raise ValueError("a logarithmic axis lies above 0")
