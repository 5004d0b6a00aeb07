"""Laws of what codecs cost, fitted to what was measured; errors from sizes that were left out.

    simsplit train models/codec_cpu/recipe.yaml
    simsplit profile codecs --out FILE

Both measure what the recipe names and write the points, the laws and the machine.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from PIL import features
from pydantic import Field, ValidationError
from scipy.optimize import least_squares, nnls

from simsplit.codecs.workload import MAP, Coding
from simsplit.errors import ScenarioError
from simsplit.files import write_whole
from simsplit.hardware.codec_costs import FORMAT, SIDES, TERMS, WINDOW, Law, Side
from simsplit.hardware.measure import this_machine
from simsplit.hardware.measure_codecs import Progress, low_s, measure, stands_of
from simsplit.hardware.profile import rounded
from simsplit.scenario.bundled import models_dir
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.operating_points import CodecSpec
from simsplit.scenario.spec import Count, Name, Positive, Spec
from simsplit.scenario.yaml import read_mapping

LZ77 = ("png", MAP, "png_tiles", "webp_lossless", "webp_lossless_tiles")
Size = tuple[Count, Count]


class CodecRecipe(Spec):
    """What is measured: codecs, sizes of street scenes in px, and the core's 7-zip rating."""

    kind: str
    seven_zip_mips: Positive
    rounds: Count
    network: Name
    most_elements: Count
    scenes: Count
    sizes: Annotated[tuple[Size, ...], Field(min_length=2)]
    held_out: tuple[Size, ...] = ()
    pictures: tuple[CodecSpec, ...]
    features: tuple[CodecSpec, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured of one codec and one array.

    Attributes:
        what: ``picture``, ``map``, or the layer that gave the feature.
        size: Of the scene, px.
        encode_spread, decode_spread: Median time over the one that counts.
        held_out: Whether the fit did not see it.
    """

    coding: Coding
    what: str
    size: str
    setting: str
    encode_s: float
    decode_s: float
    encode_spread: float
    decode_spread: float
    held_out: bool

    def seconds(self, side: Side) -> float:
        """Measured seconds of a direction."""
        return self.encode_s if side == "encode" else self.decode_s


def make(folder: Path) -> Path:
    """Measure and fit what ``recipe.yaml`` in a folder names; write ``profile.json`` and the card.

    Raises:
        ScenarioError: The recipe says something wrong.
    """
    recipe = read_recipe(folder / "recipe.yaml")
    content = profile_codecs(recipe)
    write_profile(folder / "profile.json", content)
    card = {"kind": "codec_costs", **{k: v for k, v in content.items() if k != "points"}}
    write_whole(folder / "card.json", json.dumps(card, indent=1) + "\n")
    return folder


def read_recipe(path: Path) -> CodecRecipe:
    """A checked recipe of kind ``codec_costs``.

    Raises:
        ScenarioError: Unknown key or bad value, with its path.
    """
    content = read_mapping(path)
    try:
        return CodecRecipe.model_validate(content)
    except ValidationError as error:
        raise mistake(error, content, CodecRecipe, prefix=path.name) from None


def profile_codecs(recipe: CodecRecipe, progress: Progress | None = None) -> dict[str, Any]:
    """Measure and fit; the content of a profile of codecs.

    ``progress`` is called with rounds done and rounds.
    """
    points = measured_points(recipe, progress)
    return {
        "format": FORMAT,
        "machine": machine_of(recipe.seven_zip_mips),
        "implementations": implementations(),
        "clock": "process time of one core; the lowest fifth of all rounds' times counts",
        "rounds": recipe.rounds,
        "laws": {key: _rows(laws) for key, laws in fit_laws(points).items()},
        "points": [point_row(point) for point in points],
    }


def measured_points(recipe: CodecRecipe, progress: Progress | None = None) -> list[Point]:
    """Everything the recipe names, measured."""
    sizes = (*recipe.sizes, *recipe.held_out)
    stands = stands_of(
        recipe.pictures, recipe.features, sizes, recipe.network, recipe.most_elements, recipe.scenes
    )
    measure(stands, recipe.rounds, progress)
    away = {f"{height}x{width}" for height, width in recipe.held_out}
    points = []
    for stand in stands:
        (encode_s, encoded), (decode_s, decoded) = (low_s(stand.times_s[side]) for side in SIDES)
        points.append(
            Point(
                stand.coding, stand.what, stand.unit, stand.setting,
                encode_s, decode_s, encoded, decoded, stand.unit in away,
            )
        )  # fmt: skip
    return points


# --- fitting ----------------------------------------------------------------------------------


def fit_laws(points: Sequence[Point]) -> dict[str, dict[Side, Law]]:
    """Both laws of every codec, fitted to the points that are not held out and judged by those."""
    keys = dict.fromkeys(point.coding.key for point in points)
    return {key: _laws_of(key, [p for p in points if p.coding.key == key]) for key in keys}


def _laws_of(key: str, points: Sequence[Point]) -> dict[Side, Law]:
    fitted = [point for point in points if not point.held_out]
    laws: dict[Side, Law] = {}
    for side in SIDES:
        is_lz77 = side == "encode" and key in LZ77
        law = fit_lz77(fitted, side) if is_lz77 else fit_affine(fitted, side)
        laws[side] = _judged(law, side, [point for point in points if point.held_out])
    return laws


def _judged(law: Law, side: Side, points: Sequence[Point]) -> Law:
    errors = [abs(law.seconds(p.coding) / p.seconds(side) - 1) for p in points] or [0.0]
    return replace(
        law, held_out_error=round(float(np.median(errors)), 4), worst_error=round(max(errors), 4)
    )


def fit_affine(points: Sequence[Point], side: Side) -> Law:
    """Non-negative least squares of relative errors: min sum (c . f / t - 1)^2, c >= 0."""
    rows = np.array([[term(p.coding) for term in TERMS.values()] for p in points])
    seconds = np.array([p.seconds(side) for p in points])
    scale = np.where(rows.max(axis=0) > 0, rows.max(axis=0), 1.0)
    coefficients, _ = nnls(rows / scale / seconds[:, None], np.ones(len(points)))
    return Law("affine", tuple(rounded(float(c)) for c in coefficients / scale))


def fit_lz77(points: Sequence[Point], side: Side) -> Law:
    """Robust least squares of the logarithms; see `simsplit.hardware.codec_costs`.

    Exponents are kept within 2, so that a content unlike those measured is no outlier by far.
    """
    elements = np.array([float(p.coding.elements) for p in points])
    share = np.array([p.coding.coded_bytes for p in points]) / elements
    seconds = np.array([p.seconds(side) for p in points])
    window = elements / (elements + WINDOW)

    def misfit(x: Any) -> Any:
        guess = np.exp(x[0]) + np.exp(x[1]) * elements * window ** x[2] * share ** x[3]
        return np.log(guess / seconds)

    start = [np.log(0.5 * seconds.min()), np.log(np.median(seconds / elements)), 0.5, 0.0]
    bounds = ([-30.0, -30.0, 0.0, -2.0], [0.0, 0.0, 2.0, 2.0])
    x = least_squares(misfit, start, loss="soft_l1", bounds=bounds).x
    figures = (float(np.exp(x[0])), float(np.exp(x[1])), float(x[2]), float(x[3]))
    return Law("lz77", tuple(rounded(figure) for figure in figures))


# --- the file ---------------------------------------------------------------------------------


def machine_of(seven_zip_mips: float) -> dict[str, Any]:
    """The core: processor, and its single-thread rating by 7-zip."""
    return {"cpu": this_machine(1).cpu, "seven_zip_mips": seven_zip_mips}


def implementations() -> dict[str, str | None]:
    """What was measured: libraries and their versions, called from Python."""
    built = {
        "libjpeg-turbo": features.version_feature("libjpeg_turbo"),
        "zlib": features.version_codec("zlib"),
        "libwebp": features.version_module("webp"),
        "libavif": features.version_module("avif"),
    }
    packages = {name: version(name) for name in ("pillow", "constriction", "numpy")}
    return {"python": platform.python_version(), **packages, **built}


def _rows(laws: Mapping[Side, Law]) -> dict[str, Any]:
    return {side: asdict(law) for side, law in laws.items()}


def point_row(point: Point) -> dict[str, Any]:
    """A point as the file has it."""
    figures = {k: rounded(v) if isinstance(v, float) else v for k, v in asdict(point).items()}
    return figures | {"coding": asdict(point.coding)}


def point_of(row: Mapping[str, Any]) -> Point:
    """A point of the file."""
    return Point(**{**row, "coding": Coding(**row["coding"])})


def law_rows(content: Mapping[str, Any]) -> list[list[str]]:
    """Rows for a table: every codec at the largest size that was measured, and its law's error."""
    points = [point_of(row) for row in content["points"]]
    rows = []
    for key, laws in content["laws"].items():
        largest = max((p for p in points if p.coding.key == key), key=lambda p: p.coding.elements)
        times = [f"{1e3 * largest.seconds(side):.3g}" for side in SIDES]
        held = " / ".join(f"{100 * laws[side]['held_out_error']:.0f}" for side in SIDES)
        worst = " / ".join(f"{100 * laws[side]['worst_error']:.0f}" for side in SIDES)
        rows.append([key, str(largest.coding.elements), *times, held, worst])
    return rows


def write_profile(path: Path, content: Mapping[str, Any]) -> None:
    """Write a profile of codecs, a law or a point per line."""
    head = {k: v for k, v in content.items() if k not in ("laws", "points")}
    laws = [f"{json.dumps(key)}: {json.dumps(one)}" for key, one in content["laws"].items()]
    points = [json.dumps(point) for point in content["points"]]
    text = json.dumps(head)[:-1] + ',\n"laws": {\n' + ",\n".join(laws) + "},\n"
    text += '"points": [\n' + ",\n".join(points) + "]}\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)


def profile_here(
    out: Path | None,
    rounds: int | None,
    seven_zip_mips: float | None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure what the package's recipe names on this machine, and write the file.

    Raises:
        ScenarioError: No file to write, or no rating of this core.
    """
    if out is None or seven_zip_mips is None:
        missing = "--out FILE" if out is None else "--seven-zip-mips N (`7z b -mmt=1`, Tot)"
        raise ScenarioError(f"profile codecs needs {missing}")
    content = profile_codecs(bundled_recipe(rounds, seven_zip_mips), progress)
    write_profile(out, content)
    return content


def bundled_recipe(rounds: int | None, seven_zip_mips: float) -> CodecRecipe:
    """The package's recipe for another machine, with its own rating."""
    if seven_zip_mips <= 0:
        raise ScenarioError("a 7-zip rating is above 0", value=seven_zip_mips)
    recipe = read_recipe(models_dir() / "codec_cpu" / "recipe.yaml")
    update: dict[str, Any] = {"seven_zip_mips": seven_zip_mips}
    return recipe.model_copy(update=update | ({} if rounds is None else {"rounds": rounds}))
