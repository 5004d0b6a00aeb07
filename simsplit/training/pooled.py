"""Scores over all pictures of a range together, as a card states them: mAP, mean IoU."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import t

from simsplit.messages import Outcome
from simsplit.scenario.answers import AnswerSpec
from simsplit.tasks.evidence import Values, merged, pooled
from simsplit.tasks.score_names import pooled_names

GROUPS = 20  # of the jackknife
_OF_CLASSES = {"dataset_miou": "segmentation", "map50": "box_labels"}  # score → head of its classes


def pooled_scores(
    answers: Sequence[AnswerSpec],
    outcomes: Sequence[Outcome],
    heads: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    """Every pooled score with its 95 % interval; of mean IoU and mAP at 0.50 every class's too.

    ``half_width_95``: by the jackknife over `GROUPS` groups of pictures, Student's t (Efron and
    Tibshirani, 1993, section 11.5).

    Args:
        answers: The network's.
        outcomes: One per picture.
        heads: Names of the classes by the data set's array, see `simsplit.tasks.sets.contract`.
    """
    scores: dict[str, Any] = {}
    for name, (score, own) in pooled_pieces(answers, outcomes).items():
        scores[name] = jackknife(_of_rows(score, own), len(own))
        plain = score.keywords["name"]
        names = heads.get(_OF_CLASSES.get(plain, ""), ())
        if names:
            scores[f"{name}_by_class"] = _by_class(plain, own, names)
    return scores


Score = partial[float]  # of pieces of evidence; its keyword ``name`` is the score's without endings


def pooled_pieces(
    answers: Sequence[AnswerSpec], outcomes: Sequence[Outcome]
) -> dict[str, tuple[Score, list[Values]]]:
    """Every pooled score that the answers have: how it is made, and its evidence by picture."""
    found: dict[str, tuple[Score, list[Values]]] = {}
    for answer in answers:
        pieces = [e.values for o in outcomes for e in o.evidence if e.ending == answer.ending]
        for name in pooled_names(answer):
            plain = name.removesuffix(answer.ending) if answer.ending else name
            if own := [piece for piece in pieces if _belongs(piece, plain)]:
                found[name] = (partial(_pooled, name=plain), own)
    return found


def _pooled(pieces: Sequence[Values], name: str) -> float:
    return pooled(name, pieces)


def _of_rows(score: Score, pieces: Sequence[Values]) -> Callable[[Sequence[int]], float]:
    return lambda rows: score([pieces[i] for i in rows])


def _belongs(piece: Values, name: str) -> bool:
    """Whether a piece of evidence is of this score: several answers may share an ending."""
    try:
        pooled(name, [piece])
    except KeyError:
        return False
    return True


def jackknife(estimate: Callable[[Sequence[int]], float], pictures: int) -> dict[str, float]:
    """What an estimate makes of all pictures, and its 95 % interval.

    Args:
        estimate: Of the pictures of these numbers.
        pictures: How many there are.
    """
    value, groups = estimate(range(pictures)), min(GROUPS, pictures)
    if groups < 2:
        return {"value": round(value, 4)}
    kept = ([i for i in range(pictures) if i % groups != group] for group in range(groups))
    without = np.array([estimate(others) for others in kept])
    spread = np.sqrt((groups - 1) / groups * np.sum((without - without.mean()) ** 2))
    half = float(spread * t.ppf(0.975, groups - 1))
    return {"value": round(value, 4), "half_width_95": round(half, 4)}


def _by_class(name: str, pieces: Sequence[Values], names: Sequence[str]) -> dict[str, float]:
    """Of each class that occurs, alone."""
    values = merged(pieces)
    if name == "dataset_miou":
        counts = values["confusion"]
        right = np.diag(counts).astype(float)
        either = counts.sum(axis=1) + counts[:, :-1].sum(axis=0) - right
        rows = np.divide(right, either, out=np.full(len(right), np.nan), where=either > 0)
    else:
        alone = [np.where(np.arange(len(values["truths"])) == c, values["truths"], 0)
                 for c in range(len(values["truths"]))]  # fmt: skip
        rows = np.array([pooled(name, [{**values, "truths": truths}]) for truths in alone])
    return {c: round(float(v), 4) for c, v in zip(names, rows, strict=False) if not np.isnan(v)}
