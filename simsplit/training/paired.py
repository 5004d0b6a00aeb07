"""What a code costs its network: scores with it minus scores without it, picture by picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simsplit.messages import Outcome
from simsplit.scenario.answers import AnswerSpec
from simsplit.tasks.evidence import Values
from simsplit.training.card import interval
from simsplit.training.pooled import Score, jackknife, pooled_pieces

_OF_NOTHING = 4.0  # a difference that never showed: 0 ± this / n


def differences(
    answers: Sequence[AnswerSpec], way: Sequence[Outcome], direct: Sequence[Outcome]
) -> dict[str, Any]:
    """Of every score, way - direct with its 95 % interval over the pictures, which are the same.

    Scores of single pictures: mean of the differences, ``half_width_95`` of their normal
    approximation; if no picture differs, 0 ± 4 / n (Zou and Donner, 2008). Pooled scores:
    difference of both values, by the jackknife over the same groups.

    Args:
        answers: The network's.
        way: One outcome per picture, with the code.
        direct: Of the same pictures, without it.
    """
    found: dict[str, Any] = {}
    pairs = list(zip(way, direct, strict=True))
    for name in way[0].as_dict() if way else ():
        both = np.array([(a.as_dict()[name], b.as_dict()[name]) for a, b in pairs], float)
        gaps = both[:, 0] - both[:, 1]
        known = gaps[~np.isnan(gaps)]
        if len(known):
            found[name] = _mean(known)
    sides = [pooled_pieces(answers, outcomes) for outcomes in (way, direct)]
    for name in sides[0]:
        (score, mine), (_, theirs) = (side[name] for side in sides)
        if len(mine) != len(theirs):
            continue  # pictures without evidence on one side are not paired
        found[name] = jackknife(_gap(score, mine, theirs), len(mine))
    return found


def _mean(gaps: NDArray[np.float64]) -> dict[str, float]:
    found = interval(gaps.tolist())
    if np.ptp(gaps) == 0:
        found["half_width_95"] = round(_OF_NOTHING / len(gaps), 4)
    return found


def _gap(
    score: Score, mine: Sequence[Values], theirs: Sequence[Values]
) -> Callable[[Sequence[int]], float]:
    def of(rows: Sequence[int]) -> float:
        return float(score([mine[i] for i in rows]) - score([theirs[i] for i in rows]))

    return of


def differences_by_way(
    ranges: Mapping[str, Mapping[str, Sequence[Outcome]]],
    answers: Sequence[AnswerSpec],
    direct: str,
) -> dict[str, Any]:
    """``paired`` of the test range, of others with the range's name behind: by the way.

    Args:
        ranges: Outcomes of every picture by range, and by the way to the tail.
        answers: The network's.
        direct: The way without the code.
    """
    found: dict[str, Any] = {}
    for name, ways in ranges.items():
        if not ways.get(direct):
            continue
        others = {way: each for way, each in ways.items() if way != direct and each}
        gaps = {way: differences(answers, each, ways[direct]) for way, each in others.items()}
        if gaps:
            found["paired" if name == "test" else f"paired_{name}"] = gaps
    return found
