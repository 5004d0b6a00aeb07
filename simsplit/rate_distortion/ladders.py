"""Trained networks' cards: the rungs of their ladders, and which networks are compared."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from simsplit.bd import Curve, operational
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.load import models_dir, project_root
from simsplit.safe_yaml import read_mapping

Row = dict[str, Any]
SECTION = "rate_distortion"
LADDER = ("png_tiles", "jpeg_tiles")  # the codecs of the curve
_USUAL_SEED = 1  # of a recipe that names none


@dataclass(frozen=True, slots=True)
class Metric:
    """A task's metric: its column in a card, name in print, and how a difference is counted."""

    column: str
    name: str
    unit: str
    counted_in: str  # a difference: points (hundredths), % of the baseline's, dB
    digits: int
    lower_is_better: bool = False

    @property
    def label(self) -> str:
        """Name with unit."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name


METRICS = (
    Metric("miou", "mean IoU", "", "points", 4),
    Metric("disparity_rmse_px", "disparity RMSE", "px", "%", 4, lower_is_better=True),
    Metric("disparity_irmse", "disparity IRMSE", "1/px", "%", 4),
    Metric("psnr_db", "PSNR", "dB", "dB", 2),
)
_NUMBERS = ("payload_bits", "payload_bits_half_width_95", "bits_per_element")
COLUMNS = (*_NUMBERS, *(metric.column for metric in METRICS))


@dataclass(frozen=True, slots=True)
class Ladder:
    """What one network's card says: its rungs, one per codec and quality."""

    model: str
    seed: int
    encoder: str
    shape: tuple[int, ...]
    elements: int
    pictures: int
    rows: tuple[Row, ...]

    def curve(self, metric: Metric) -> Curve:
        """PNG and JPEG, operational."""
        rows = [row for row in self.rows if row["codec"] in LADDER]
        rates, metrics = ([row[c] for row in rows] for c in ("payload_bits", metric.column))
        whole = Curve(rates, metrics, self.model, "payload_bits", metric.column)
        return operational(whole, lower_is_better=metric.lower_is_better)

    def down_to(self, quality: int) -> Ladder:
        """The same without JPEG below a quality."""
        kept = [row for row in self.rows if row["quality"] is None or row["quality"] >= quality]
        return replace(self, rows=tuple(kept))

    def png(self, column: str) -> float:
        """A number of the rung that loses nothing of the quantised feature."""
        return float(next(row[column] for row in self.rows if row["codec"] == "png_tiles"))


@dataclass(frozen=True, slots=True)
class Pair:
    """An anchor and the network compared with it, by the training seeds of both."""

    encoder: str
    anchor: Mapping[int, Ladder]
    test: Mapping[int, Ladder]
    notes: tuple[str, ...] = ()

    def down_to(self, quality: int) -> Pair:
        """The same without JPEG below a quality."""
        anchor, test = (
            {seed: ladder.down_to(quality) for seed, ladder in ladders.items()}
            for ladders in (self.anchor, self.test)
        )
        return replace(self, anchor=anchor, test=test)

    @property
    def seeds(self) -> list[int]:
        """Training seeds of both."""
        return sorted(set(self.anchor) & set(self.test))


def read_pairs(texts: Sequence[str], lowest_quality: int = 1) -> list[Pair]:
    """Pairs ``ANCHOR:TEST``, each a name in ``models`` or a folder.

    Args:
        texts: The pairs.
        lowest_quality: Of JPEG; rungs below are left out.

    Raises:
        ScenarioError: No such network, no training seed in both, other pictures.
        ArtefactError: A card that is missing, damaged or without its rate and distortion.
    """
    return _told_apart([_pair(text).down_to(lowest_quality) for text in texts])


def _pair(text: str) -> Pair:
    first, colon, second = text.partition(":")
    if not (first and colon and second):
        raise ScenarioError("networks to compare are ANCHOR:TEST", value=text)
    (anchor, some), (test, more) = (read_ladders(name) for name in (first, second))
    both = sorted(set(anchor) & set(test))
    if not both:
        seeds = f"{sorted(anchor)} and {sorted(test)}"
        raise ScenarioError(f"no training seed of both: {seeds}", value=text)
    for seed in both:
        if anchor[seed].pictures != test[seed].pictures:
            counts = f"{anchor[seed].pictures} and {test[seed].pictures}"
            raise ScenarioError(f"seed {seed}: measured over {counts} pictures", value=text)
    alone = [
        f"{ladders[seed].model}, seed {seed}: the other network has no such seed; left out"
        for ladders, seed in product((anchor, test), sorted(set(anchor) ^ set(test)))
        if seed in ladders
    ]
    return Pair(_encoder(anchor, test), anchor, test, (*some, *more, *alone))


def _encoder(anchor: Mapping[int, Ladder], test: Mapping[int, Ladder]) -> str:
    """The encoder of both, else the networks' names."""
    names = {ladder.encoder for ladder in (*anchor.values(), *test.values())}
    return names.pop() if len(names) == 1 and "" not in names else _versus(anchor, test)


def _versus(anchor: Mapping[int, Ladder], test: Mapping[int, Ladder]) -> str:
    first, second = (next(iter(ladders.values())).model for ladders in (anchor, test))
    return f"{second} against {first}"


def _told_apart(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs of one encoder are called by their networks."""
    if len({pair.encoder for pair in pairs}) == len(pairs):
        return list(pairs)
    named = [replace(pair, encoder=_versus(pair.anchor, pair.test)) for pair in pairs]
    names = [pair.encoder for pair in named]
    if len(set(names)) < len(names):
        raise ScenarioError("the same two networks twice", value=names)
    return named


def read_ladders(model: str) -> tuple[dict[int, Ladder], list[str]]:
    """A network's ladders by training seed, and which of its folders have no card yet.

    Raises:
        ScenarioError: No such network.
        ArtefactError: No card, or one without the section.
    """
    bundled = models_dir() / model
    folder = (bundled if bundled.is_dir() else Path(model)).resolve()
    if not folder.is_dir():
        choices = sorted(path.name for path in models_dir().glob("*") if path.is_dir())
        raise ScenarioError("no such network or folder", value=model, choices=choices)
    folders = _seeds(folder)
    done = {seed: path for seed, path in folders.items() if (path / "card.json").is_file()}
    if not done:
        raise ArtefactError(f"no card yet; {_makes_it(folder)}", path=str(folder))
    missing = [seed for seed in folders if seed not in done]
    notes = [f"{folder.name}, seed {seed}: no card yet; left out" for seed in missing]
    return {seed: _ladder(folder.name, seed, path) for seed, path in sorted(done.items())}, notes


def _seeds(folder: Path) -> dict[int, Path]:
    """Folders by training seed: the network's own, and those in it that are called seed<n>."""
    recipe = folder / "recipe.yaml"
    own = int(read_mapping(recipe).get("seed", _USUAL_SEED)) if recipe.is_file() else _USUAL_SEED
    found = {own: folder}
    for path in sorted(path for path in folder.glob("seed*") if path.is_dir()):
        number = path.name.removeprefix("seed")
        if not number.isdecimal() or int(number) in found:
            raise ArtefactError(
                "the folder of a further seed is called seed<number>, once each", path=str(path)
            )
        found[int(number)] = path
    return found


def _ladder(model: str, seed: int, folder: Path) -> Ladder:
    file = folder / "card.json"
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
        section = card.get(SECTION)
        encoder = str((card.get("network") or {}).get("encoder", ""))
    except (ValueError, AttributeError) as error:
        raise ArtefactError(f"damaged card: {error}", path=str(file)) from None
    if section is None:
        message = f"the card has no section '{SECTION}'; {_makes_it(folder)}"
        raise ArtefactError(message, path=str(file))
    try:
        rows = tuple(_checked(row) for row in section["rows"])
        numbers = (tuple(section["shape"]), int(section["elements"]), int(section["pictures"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"damaged section '{SECTION}': {error}", path=str(file)) from None
    if [row["codec"] for row in rows].count("png_tiles") != 1:
        raise ArtefactError(f"'{SECTION}' needs one row png_tiles", path=str(file))
    return Ladder(model, seed, encoder, *numbers, rows)


def _checked(row: Mapping[str, Any]) -> Row:
    numbers = {name: float(row[name]) for name in COLUMNS}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"{row['codec']}: a number that is none")
    return {"codec": str(row["codec"]), "quality": row["quality"], **numbers}


def _makes_it(folder: Path) -> str:
    root = project_root()
    shown = folder.relative_to(root) if folder.is_relative_to(root) else folder
    return f"`simsplit train {shown}/recipe.yaml` makes it"
