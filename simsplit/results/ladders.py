"""Trained networks' cards as ladders of rate and distortion, and the tables of their comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.results.bd import Curve, operational
from simsplit.scenario.bundled import data_root, models_dir
from simsplit.scenario.places import MODEL, find_named, looked_in
from simsplit.scenario.yaml import read_mapping

Row = dict[str, Any]
Range = Literal["test", "validation"]
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


def section_of(split: Range) -> str:
    """Where a card has the ladder of its test pictures, or of those for choosing."""
    return "rate_distortion" if split == "test" else f"rate_distortion_{split}"


def read_pairs(texts: Sequence[str], lowest_quality: int = 1, split: Range = "test") -> list[Pair]:
    """Pairs ``ANCHOR:TEST``, each a name in ``models`` or a folder.

    Args:
        texts: The pairs.
        lowest_quality: Of JPEG; rungs below are left out.
        split: ``test``, or ``validation``, which the recipe's ``validation_images`` ask for.

    Raises:
        ScenarioError: No such network, no training seed in both, other pictures.
        ArtefactError: A card that is missing, damaged or without its rate and distortion.
    """
    return _told_apart([_pair(text, split).down_to(lowest_quality) for text in texts])


def ends_of(text: str) -> tuple[str, str]:
    """The two networks of ``ANCHOR:TEST``.

    Raises:
        ScenarioError: It is not of that form.
    """
    first, colon, second = text.partition(":")
    if not (first and colon and second):
        raise ScenarioError("networks to compare are ANCHOR:TEST", value=text)
    return first, second


def _pair(text: str, split: Range) -> Pair:
    (anchor, some), (test, more) = (read_ladders(name, split) for name in ends_of(text))
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


def read_ladders(model: str, split: Range = "test") -> tuple[dict[int, Ladder], list[str]]:
    """A network's ladders by training seed, and which of its folders have no card yet.

    Raises:
        ScenarioError: No such network.
        ArtefactError: No card, or one without the section.
    """
    folder = model_folder(model)
    folders = seed_folders(folder)
    done = {seed: path for seed, path in folders.items() if (path / "card.json").is_file()}
    if not done:
        raise ArtefactError(f"no card yet; {_makes_it(folder)}", path=str(folder))
    missing = [seed for seed in folders if seed not in done]
    notes = [f"{folder.name}, seed {seed}: no card yet; left out" for seed in missing]
    ladders = {
        seed: _ladder(folder.name, seed, path, section_of(split))
        for seed, path in sorted(done.items())
    }
    return ladders, notes


def model_folder(model: str) -> Path:
    """The folder of a name in ``models``, or of a path.

    Raises:
        ScenarioError: No such network.
    """
    folder = (find_named(MODEL, model) or Path(model)).resolve()
    if not folder.is_dir():
        choices = sorted(path.name for path in models_dir().glob("*") if path.is_dir())
        raise ScenarioError(
            f"no such network or folder ({looked_in()})", value=model, choices=choices
        )
    return folder


def seed_folders(folder: Path) -> dict[int, Path]:
    """Folders by training seed: the network's own, and those in it that are called seed<n>."""
    recipe = folder / "recipe.yaml"
    own = int(read_mapping(recipe).get("seed", _USUAL_SEED)) if recipe.is_file() else _USUAL_SEED
    folders = {own: folder}
    for path in sorted(path for path in folder.glob("seed*") if path.is_dir()):
        number = path.name.removeprefix("seed")
        if not number.isdecimal() or int(number) in folders:
            raise ArtefactError(
                "the folder of a further seed is called seed<number>, once each", path=str(path)
            )
        folders[int(number)] = path
    return folders


def _ladder(model: str, seed: int, folder: Path, name: str) -> Ladder:
    file = folder / "card.json"
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
        section = card.get(name)
        encoder = str((card.get("network") or {}).get("encoder", ""))
    except (ValueError, AttributeError) as error:
        raise ArtefactError(f"damaged card: {error}", path=str(file)) from None
    if section is None:
        message = f"the card has no section '{name}'; {_makes_it(folder)}"
        raise ArtefactError(message, path=str(file))
    try:
        rows = tuple(_checked(row) for row in section["rows"])
        numbers = (tuple(section["shape"]), int(section["elements"]), int(section["pictures"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtefactError(f"damaged section '{name}': {error}", path=str(file)) from None
    if [row["codec"] for row in rows].count("png_tiles") != 1:
        raise ArtefactError(f"'{name}' needs one row png_tiles", path=str(file))
    return Ladder(model, seed, encoder, *numbers, rows)


def _checked(row: Mapping[str, Any]) -> Row:
    numbers = {name: float(row[name]) for name in COLUMNS}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"{row['codec']}: a number that is none")
    return {"codec": str(row["codec"]), "quality": row["quality"], **numbers}


def _makes_it(folder: Path) -> str:
    root = data_root()
    shown = folder.relative_to(root) if folder.is_relative_to(root) else folder
    return f"`simsplit train {shown}/recipe.yaml` makes it"


Cells = list[str]


def delta_table(summary: Mapping[str, Any]) -> tuple[Cells, list[Cells]]:
    """Header and lines of the BD-rates: a line per encoder and metric."""
    header = ["encoder", "metric", "mean %", "95 % interval", "smallest … largest", "every seed"]
    lines = [
        [pair["encoder"], metric.name, *_delta_cells(pair["metrics"][metric.column])]
        for pair in summary["pairs"]
        for metric in METRICS
    ]
    return [*header, "seeds", f"{summary['check']} %"], lines


def _delta_cells(deltas: Mapping[str, Any]) -> Cells:
    rate, check = deltas["bd_rate_percent"], deltas["check_percent"]
    every = ", ".join(_signed(one["bd_rate_percent"]) for one in deltas["by_seed"])
    interval, ends = _ends(rate, "low", "high"), _ends(rate, "smallest", "largest")
    counted = f"{rate['n']} of {rate['of']}"
    return [_mean(rate), interval, ends, every, counted, _mean(check)]


def png_table(summary: Mapping[str, Any]) -> tuple[Cells, list[Cells]]:
    """Header and lines of what PNG, which loses nothing more, costs and gives."""
    header = ["encoder", "over PNG", "baseline", "proposed", "difference", "smallest … largest"]
    return header, [line for pair in summary["pairs"] for line in _png_lines(pair)]


def _png_lines(pair: Mapping[str, Any]) -> list[Cells]:
    png, name = pair["png"], pair["encoder"]
    less = {key: None if value is None else -value for key, value in png["saved_percent"].items()}
    less |= {"smallest": less["largest"], "largest": less["smallest"]}
    bits = [f"{png[f'bits_{role}'] / 1e3:.2f}" for role in ("anchor", "test")]
    bpfe = [f"{png[f'bpfe_{role}']:.3f}" for role in ("anchor", "test")]
    lines = [
        [name, "payload [kbit]", *bits, *_difference_cells(less, "%")],
        [name, "bits per feature element", *bpfe, "", ""],
    ]
    for metric in METRICS:
        at_png = pair["metrics"][metric.column]["at_png"]
        ends = [_figure(metric, at_png[role]) for role in ("anchor", "test")]
        cells = _difference_cells(at_png["difference"], at_png["unit"])
        lines.append([name, metric.label, *ends, *cells])
    return lines


def _difference_cells(difference: Mapping[str, Any], unit: str) -> Cells:
    ends = f"{difference['smallest']:+.2f} … {difference['largest']:+.2f}"
    return [f"{difference['mean']:+.2f} {unit}", ends]


def markdown_table(near: Mapping[str, Any], whole: Mapping[str, Any]) -> tuple[Cells, list[Cells]]:
    """Header and lines of the README's table: a line per encoder and metric.

    Args:
        near: Summary of the study down to the paper's lowest quality.
        whole: Of the whole ladder.
    """
    header = ["encoder", "metric"]
    for name, summary in (("PNG, JPEG 95 … 80", near), ("whole ladder", whole)):
        header += [f"BD-rate, {name} ({summary['method']})", summary["check"]]
    header += ["kbit as PNG, baseline → proposed", "metric as PNG, baseline → proposed"]
    lines = [
        [
            pair["encoder"],
            metric.label,
            *_deltas(pair, metric),
            *_deltas(same, metric),
            *_png_cells(same, metric),
        ]
        for pair, same in zip(near["pairs"], whole["pairs"], strict=True)
        for metric in METRICS
    ]
    return header, lines


def _deltas(pair: Mapping[str, Any], metric: Metric) -> Cells:
    figures = pair["metrics"][metric.column]
    return [_with_ends(figures["bd_rate_percent"]), _with_ends(figures["check_percent"])]


def _png_cells(pair: Mapping[str, Any], metric: Metric) -> Cells:
    png, at_png = pair["png"], pair["metrics"][metric.column]["at_png"]
    ends = [_figure(metric, at_png[role]) for role in ("anchor", "test")]
    change = f"{at_png['difference']['mean']:+.2f} {at_png['unit']}"
    bits = [f"{png[f'bits_{role}'] / 1e3:.1f}" for role in ("anchor", "test")]
    return [
        f"{bits[0]} → {bits[1]} ({-png['saved_percent']['mean']:+.1f} %)",
        f"{ends[0]} → {ends[1]} ({change})",
    ]


def _with_ends(spread: Mapping[str, Any]) -> str:
    if spread["mean"] is None:
        return "no BD"
    some = "" if spread["n"] == spread["of"] else f", {spread['n']} of {spread['of']} seeds"
    ends = _ends(spread, "smallest", "largest")
    return f"{spread['mean']:+.1f} % [{ends}]{some}"


def _figure(metric: Metric, value: float) -> str:
    return f"{value:.{metric.digits}f}"


def _mean(spread: Mapping[str, Any]) -> str:
    return _signed(spread["mean"])


def _signed(value: float | None) -> str:
    return "no BD" if value is None else f"{value:+.1f}"


def _ends(spread: Mapping[str, Any], first: str, last: str) -> str:
    return "-" if spread[first] is None else f"{spread[first]:+.1f} … {spread[last]:+.1f}"


def named_once(lines: Sequence[Cells]) -> list[Cells]:
    """The lines with an encoder's name only on its first."""
    before = [line[0] for line in lines]
    return [
        [line[0] if place == 0 or before[place - 1] != line[0] else "", *line[1:]]
        for place, line in enumerate(lines)
    ]
