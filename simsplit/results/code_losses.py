"""What codes cost their networks, by their cards: scores with the code minus scores without it.

A card holds the differences over its test pictures, which are the same with and without the code.
Folds test on pictures of their own, so that over all folds of a recipe a mean is that of all
pictures: sum(n_k d_k) / n, with the half width sqrt(sum((n_k h_k)^2)) / n of independent folds.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import write_whole
from simsplit.results.ladders import model_folder

SECTION, PAYLOAD = "paired", "payload_bytes"
COLUMNS = (
    "code", "way", "score", "pictures", "byte", "without", "with", "difference", "95 % interval",
)  # fmt: skip
FOLDS = "all folds"
_BELOW = re.compile(r"(fold\d+)?/?(seed\d+)?")
_DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Loss:
    """A score with a code minus that without it.

    Attributes:
        code: Name of the model, with the fold and seed behind.
        way: Section of the card: ``coded``, ``jscc_10_db``.
        score: Its name.
        pictures: Of the test.
        payload_bytes: Mean; None of symbols.
        direct, coded: The score without and with the code.
        difference: with - without.
        half_width_95: Of the difference, over the pictures; None of a single picture.
        is_pooled: A score of all pictures together, no mean over them.
    """

    code: str
    way: str
    score: str
    pictures: int
    payload_bytes: float | None
    direct: float
    coded: float
    difference: float
    half_width_95: float | None
    is_pooled: bool = False


def code_losses(
    models: Sequence[str], scores: Sequence[str] = (), way: str | None = None
) -> tuple[Loss, ...]:
    """A row per card, way and score; of a model with folds rows of all its folds too.

    Args:
        models: Names in ``models``, or folders: that of the recipe; seeds and folds below it count.
        scores: Only these, or those that begin so.
        way: Only this section of the cards.

    Raises:
        ScenarioError: No such model, way or score.
        ArtefactError: No card; one without the section, or a damaged one.
    """
    rows: list[Loss] = []
    for model in models:
        folder = model_folder(model)
        cards = dict(_cards(folder))
        if not cards:
            raise ArtefactError("no card yet; `simsplit train` makes it", path=str(folder))
        own = {below: _rows(folder, below, card) for below, card in cards.items()}
        rows += [row for below in own for row in own[below]]
        folds = {below: own[below] for below in own if re.fullmatch(r"fold\d+", below)}
        if len(folds) > 1:
            rows += _over_folds(f"{folder.name}, {FOLDS}", list(folds.values()))
    ways = [row for row in rows if way in (None, row.way)]
    if not ways:
        choices = sorted({row.way for row in rows})
        raise ScenarioError("no such scores", path="way", value=way, choices=choices)
    wanted = [row for row in ways if _is_wanted(row.score, scores)]
    if not wanted:
        choices = sorted({row.score for row in ways})
        raise ScenarioError("no such score", path="score", value=list(scores), choices=choices)
    return tuple(wanted)


def _is_wanted(name: str, scores: Sequence[str]) -> bool:
    return not scores or name in scores or name.startswith(tuple(f"{s}_" for s in scores))


def _cards(folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Cards of a model by their place below its folder: its own, of other seeds and folds."""
    for file in sorted(folder.rglob("card.json")):
        below = "" if file.parent == folder else file.parent.relative_to(folder).as_posix()
        if _BELOW.fullmatch(below):
            try:
                yield below, json.loads(file.read_text(encoding="utf-8"))
            except ValueError as error:
                raise ArtefactError(f"damaged card: {error}", path=str(file)) from None


def _rows(folder: Path, below: str, card: Mapping[str, Any]) -> list[Loss]:
    path = str(folder / below / "card.json")
    if SECTION not in card:
        message = f"the card has no section '{SECTION}': of no code, without answers, or older"
        raise ArtefactError(message, path=path)
    name = f"{folder.name} {below}".strip()
    try:
        return [
            _row(card, name, way, score, gap)
            for way, gaps in card[SECTION].items()
            for score, gap in gaps.items()
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"damaged card: {error!r}", path=path) from None


def _row(card: Mapping[str, Any], name: str, way: str, score: str, gap: Mapping[str, Any]) -> Loss:
    sent = card.get(PAYLOAD)
    half = gap.get("half_width_95")
    return Loss(
        name,
        way,
        score,
        int(card["test_images"]),
        None if sent is None else float(sent["mean"]),
        _level(card, _DIRECT, score),
        _level(card, way, score),
        float(gap["mean"] if "mean" in gap else gap["value"]),
        None if half is None else float(half),
        is_pooled="mean" not in gap,
    )


def _level(card: Mapping[str, Any], way: str, score: str) -> float:
    """A score of single pictures or a pooled one."""
    single = card["scores"][way].get(score)
    found = card["pooled"][way][score] if single is None else single
    return float(found["mean"] if "mean" in found else found["value"])


def _over_folds(name: str, folds: Sequence[Sequence[Loss]]) -> Iterator[Loss]:
    """Means over the pictures of all folds, of scores of single pictures that every fold has."""
    for first in folds[0]:
        same = [row for rows in folds for row in rows if _key(row) == _key(first)]
        ends = [row.half_width_95 for row in same if row.half_width_95 is not None]
        if len(ends) < len(folds) or first.is_pooled:  # which do not add up
            continue
        n = sum(row.pictures for row in same)
        halves = [row.pictures * end for row, end in zip(same, ends, strict=True)]
        weights = [row.pictures / n for row in same]
        sent = [row.payload_bytes for row in same if row.payload_bytes is not None]
        yield Loss(
            name,
            first.way,
            first.score,
            n,
            _mean(weights, sent) if len(sent) == len(same) else None,
            _mean(weights, [row.direct for row in same]),
            _mean(weights, [row.coded for row in same]),
            _mean(weights, [row.difference for row in same]),
            math.hypot(*halves) / n,
        )


def _key(row: Loss) -> tuple[str, str]:
    return row.way, row.score


def _mean(weights: Sequence[float], values: Sequence[float]) -> float:
    return float(sum(w * v for w, v in zip(weights, values, strict=True)))


# --- in print -----------------------------------------------------------------------------------


def as_dict(rows: Sequence[Loss]) -> dict[str, Any]:
    """For JSON."""
    return {"rows": [asdict(row) for row in rows]}


def write_losses(rows: Sequence[Loss], file: Path) -> None:
    """All of it as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(as_dict(rows), indent=1) + "\n")


def loss_lines(rows: Sequence[Loss]) -> list[list[str]]:
    """Lines under `COLUMNS`."""
    return [_line(row) for row in rows]


def _line(row: Loss) -> list[str]:
    sent = "-" if row.payload_bytes is None else f"{row.payload_bytes:,.0f}"
    named = [row.code, row.way, row.score, f"{row.pictures:,}", sent]
    half, gap = row.half_width_95, row.difference
    interval = "-" if half is None else f"{gap - half:+.4f} … {gap + half:+.4f}"
    return [*named, f"{row.direct:.4f}", f"{row.coded:.4f}", f"{gap:+.4f}", interval]
