"""Ways of training compared by their cards, paired over training seeds.

A comparison is said as ``A:B``, or ``A+A2:B`` where what B does is done by several networks on the
other side (one per task). Of every score that both sides have, B - A is taken seed by seed (the
same seed draws the same start, pictures and order on both sides), and its mean has Student's 95 %
interval over the seeds: mean ± t_{0.975, n-1} s / sqrt(n). So has the mean over the scores of a
comparison, and that over all comparisons, each taken within a seed first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import write_whole
from simsplit.results.ladders import model_folder, seed_folders
from simsplit.results.rate_distortion import spread

Row = dict[str, Any]
Cells = list[str]
DIRECT, CODED = "direct", "coded"
MEAN, ALL = "mean", "all"
COLUMNS = ("B", "score", "A", "B", "B - A", "95 % interval", "seeds")
SIZE_COLUMNS = ("B", "parameters of A", "of B", "B / A")


@dataclass(frozen=True, slots=True)
class Trained:
    """What a network's cards say.

    Attributes:
        name: Of its folder.
        scores: Mean of every score, by training seed.
        parameters: Of the whole network.
        facts: What both sides of a comparison must share, by seed: the test pictures.
    """

    name: str
    scores: Mapping[int, Mapping[str, float]]
    parameters: int
    facts: Mapping[int, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class PairedCards:
    """``rows``: one per comparison and score, then means; ``sizes``: parameters; remarks."""

    way: str
    rows: tuple[Row, ...]
    sizes: tuple[Row, ...]
    notes: tuple[str, ...]


def paired_cards(
    texts: Sequence[str], way: str | None = None, scores: Sequence[str] = ()
) -> PairedCards:
    """Compare trained networks by their cards.

    Args:
        texts: ``A:B`` or ``A+A2:B``, each a name in ``models`` or a folder.
        way: Section of the cards' scores: ``direct``, ``coded``, ``jscc_10_db`` and so on. None:
            ``coded`` of codes of bytes, else ``direct``, which of a code is its network without it.
        scores: Only these, or those that begin so: ``accuracy`` is ``accuracy_size`` too.

    Raises:
        ScenarioError: No such network or way, no common seed or score, other test pictures.
        ArtefactError: A card that is missing or damaged.
    """
    if len(set(texts)) < len(texts):
        raise ScenarioError("the same comparison twice", value=list(texts))
    way = way or _usual_way(texts)
    rows: list[Row] = []
    means, sizes, notes = list[dict[int, float]](), list[Row](), list[str]()
    for text in texts:
        several, one = _sides(text, way)
        found, mean = _compared(text, several, one, tuple(scores))
        rows += found
        means.append(mean)
        sizes.append(_size(text, several, one))
        notes += _unpaired(several, one)
    if len(texts) > 1:
        rows += _over_all(means)
    return PairedCards(way, tuple(rows), tuple(sizes), tuple(dict.fromkeys(notes)))


def _usual_way(texts: Sequence[str]) -> str:
    """``coded`` if the last network of the first comparison is a code of bytes."""
    file = model_folder(texts[0].rpartition(":")[2]) / "card.json" if texts else None
    scores = _card(file).get("scores") if file is not None and file.is_file() else None
    return CODED if isinstance(scores, dict) and CODED in scores else DIRECT


def sides_of(text: str) -> tuple[list[str], str]:
    """The networks of both sides of ``A+A2:B``.

    Raises:
        ScenarioError: It is not of that form.
    """
    first, colon, second = text.partition(":")
    names = first.split("+")
    if not (colon and second and all(names)):
        raise ScenarioError("networks to compare are A:B or A+A2:B", value=text)
    return names, second


def _sides(text: str, way: str) -> tuple[list[Trained], Trained]:
    several, one = sides_of(text)
    return [read_cards(name, way) for name in several], read_cards(one, way)


def read_cards(model: str, way: str) -> Trained:
    """A network's scores over its training seeds; seeds without a card are left out.

    Raises:
        ScenarioError: No such network, or no such way in a card.
        ArtefactError: No card, or a damaged one.
    """
    folder = model_folder(model)
    cards = {
        seed: _card(path / "card.json")
        for seed, path in sorted(seed_folders(folder).items())
        if (path / "card.json").is_file()
    }
    if not cards:
        raise ArtefactError("no card yet; `simsplit train` makes it", path=str(folder))
    try:
        return _trained(folder, cards, way)
    except (AttributeError, TypeError, ValueError) as error:
        raise ArtefactError(f"damaged card: {error}", path=str(folder)) from None


def _trained(folder: Path, cards: Mapping[int, Mapping[str, Any]], way: str) -> Trained:
    scores = {}
    for seed, card in cards.items():
        ways = card["scores"]
        if way not in ways:
            message = f"{folder.name}, seed {seed}: the card has no such scores"
            raise ScenarioError(message, path="way", value=way, choices=[*ways])
        scores[seed] = {
            name: float(score["mean"])
            for name, score in ways[way].items()
            if isinstance(score, dict) and "mean" in score
        }
    counted = next(iter(cards.values()))["parameters"]
    parameters = counted["total"] if isinstance(counted, dict) else counted
    keys = ("data_digest", "test_images", "height")
    facts = {seed: tuple(map(card.get, keys)) for seed, card in cards.items()}
    return Trained(folder.name, scores, int(parameters), facts)


def _card(file: Path) -> dict[str, Any]:
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
        missing = {"scores", "parameters", "height"} - set(card)
    except (ValueError, TypeError) as error:
        raise ArtefactError(f"damaged card: {error}", path=str(file)) from None
    if missing:
        raise ArtefactError(f"the card lacks {', '.join(sorted(missing))}", path=str(file))
    return dict(card)


def _compared(
    text: str, several: Sequence[Trained], one: Trained, wanted: tuple[str, ...]
) -> tuple[list[Row], dict[int, float]]:
    """Rows of every score that both sides have, and the mean over them by seed."""
    seeds = sorted(set(one.scores).intersection(*(side.scores for side in several)))
    if not seeds:
        raise ScenarioError("no training seed of both sides", value=text)
    for seed in seeds:
        facts = {side.facts[seed] for side in (*several, one)}
        if len(facts) > 1:
            raise ScenarioError(f"seed {seed}: scored on other pictures", value=text)
    theirs = [
        (side, name)
        for side in several
        for name in side.scores[seeds[0]]
        if not wanted or name in wanted or name.startswith(tuple(f"{w}_" for w in wanted))
    ]
    twice = sorted({name for _, name in theirs if [n for _, n in theirs].count(name) > 1})
    if twice:
        raise ScenarioError(f"two networks of A have the score {twice[0]}", value=text)
    common = [(side, name) for side, name in theirs if name in one.scores[seeds[0]]]
    for side, name in common:
        for here, seed in ((here, seed) for here in (side, one) for seed in seeds):
            if name not in here.scores[seed]:
                message = f"{here.name}, seed {seed}: the card has no such score"
                choices = sorted(here.scores[seed])
                raise ScenarioError(message, path="score", value=name, choices=choices)
    if not common:
        choices = sorted(one.scores[seeds[0]])
        raise ScenarioError("no score of both sides", value=text, choices=choices)
    pairs = {
        name: [(side.scores[seed][name], one.scores[seed][name]) for seed in seeds]
        for side, name in common
    }
    rows = [_row(text, name, values, seeds) for name, values in pairs.items()]
    joined = np.mean([np.array(values) for values in pairs.values()], axis=0)  # (seeds, 2)
    if len(pairs) > 1:
        rows.append(_row(text, MEAN, [(float(a), float(b)) for a, b in joined], seeds))
    gaps = joined[:, 1] - joined[:, 0]
    return rows, dict(zip(seeds, gaps.tolist(), strict=True))


def _row(text: str, score: str, pairs: Sequence[tuple[float, float]], seeds: Sequence[int]) -> Row:
    a, b = np.array(pairs).T
    ends = {"networks": text, "score": score, "a": float(a.mean()), "b": float(b.mean())}
    by_seed = dict(zip(seeds, (b - a).tolist(), strict=True))
    return {**ends, "difference": spread([*by_seed.values()]), "by_seed": by_seed}


def _over_all(means: Sequence[Mapping[int, float]]) -> list[Row]:
    """The mean over all comparisons, within every seed that all of them have."""
    seeds = sorted(set(means[0]).intersection(*means[1:]))
    if not seeds:
        return []
    by_seed = {seed: float(np.mean([mean[seed] for mean in means])) for seed in seeds}
    apart = {"networks": ALL, "score": MEAN, "a": None, "b": None}
    return [{**apart, "difference": spread([*by_seed.values()]), "by_seed": by_seed}]


def _size(text: str, several: Sequence[Trained], one: Trained) -> Row:
    total = sum(side.parameters for side in several)
    return {"networks": text, "parameters_a": total, "parameters_b": one.parameters}


def _unpaired(several: Sequence[Trained], one: Trained) -> list[str]:
    """Seeds that a network has and another side lacks."""
    everyone = (*several, one)
    both = set(one.scores).intersection(*(side.scores for side in several))
    return [
        f"{side.name}, seed {seed}: the other side has no such seed; left out"
        for side in everyone
        for seed in sorted(set(side.scores) - both)
    ]


# --- in print -----------------------------------------------------------------------------------


def write_summary(result: PairedCards, file: Path) -> None:
    """All of it as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(asdict(result), indent=1) + "\n")


def score_lines(result: PairedCards) -> list[Cells]:
    """Lines under `COLUMNS`; a comparison is called by the network that is B."""
    return [_line(row) for row in result.rows]


def _name(networks: str) -> str:
    return Path(networks.rpartition(":")[2]).name


def _line(row: Row) -> Cells:
    gap = row["difference"]
    interval = "-" if gap["low"] is None else f"{gap['low']:+.4f} … {gap['high']:+.4f}"
    levels = ["-" if row[side] is None else f"{row[side]:.4f}" for side in ("a", "b")]
    name = _name(row["networks"])
    return [name, row["score"], *levels, f"{gap['mean']:+.4f}", interval, str(gap["n"])]


def size_lines(result: PairedCards) -> list[Cells]:
    """Lines under `SIZE_COLUMNS`."""
    lines = []
    for row in result.sizes:
        a, b = row["parameters_a"], row["parameters_b"]
        lines.append([_name(row["networks"]), f"{a:,}", f"{b:,}", f"{b / a:.2f}"])
    return lines
