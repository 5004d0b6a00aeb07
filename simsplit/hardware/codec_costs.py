"""Seconds of every codec on one core, by laws fitted to what was measured (`profile codecs`).

Two laws, both per direction (encode, decode) and per `simsplit.codecs.workload.Coding`:

``affine``, everything but the encoders below::

    t = c0 + c1 elements + c2 coded_bytes + c3 channels + c4 table_entries,   all c >= 0

``lz77``, the encoders of PNG and lossless WebP, whose search for repeated strings gets longer with
what is already in the window (32 KiB of zlib: RFC 1951, section 2) and with how much repeats::

    t = c0 + c1 elements (elements / (elements + 32768))^c2 (coded_bytes / elements)^c3

Another core takes longer by the ratio of 7-zip's single-thread ratings (MIPS).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from simsplit.codecs.workload import Coding
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import file_digest
from simsplit.scenario.bundled import models_dir

FORMAT = "simsplit-codecs-1"
WINDOW = 32768  # bytes of zlib's window
TERMS: dict[str, Callable[[Coding], float]] = {
    "constant": lambda coding: 1.0,
    "elements": lambda coding: float(coding.elements),
    "coded_bytes": lambda coding: float(coding.coded_bytes),
    "channels": lambda coding: float(coding.channels),
    "table_entries": lambda coding: float(coding.table_entries),
}
Side = Literal["encode", "decode"]
SIDES: tuple[Side, ...] = ("encode", "decode")


@dataclass(frozen=True, slots=True)
class Law:
    """Seconds of one codec in one direction on the core that was measured.

    Attributes:
        form: ``affine`` or ``lz77``.
        coefficients: As the module's formulae number them; affine: one per entry of `TERMS`.
        held_out_error: Median of |fitted / measured - 1| over sizes that were not fitted to.
        worst_error: Its largest value.
    """

    form: Literal["affine", "lz77"]
    coefficients: tuple[float, ...]
    held_out_error: float = 0.0
    worst_error: float = 0.0

    def seconds(self, coding: Coding) -> float:
        """Seconds on that core; 0 of nothing."""
        if not coding.elements:
            return 0.0
        if self.form == "affine":
            terms = (term(coding) for term in TERMS.values())
            return sum(c * value for c, value in zip(self.coefficients, terms, strict=True))
        constant_s, scale_s, filling, density = self.coefficients
        window = coding.elements / (coding.elements + WINDOW)
        share = coding.coded_bytes / coding.elements
        growth = math.pow(window, filling) * math.pow(share, density)
        return constant_s + scale_s * coding.elements * growth


@dataclass(frozen=True)
class CodecCosts:
    """What codecs cost on one core.

    Attributes:
        seven_zip_mips: Single-thread rating of that core (``7z b -mmt=1``, Tot).
        laws: Codec's key → its two laws.
        source: Where they come from, for messages.
    """

    seven_zip_mips: float
    laws: Mapping[str, Mapping[Side, Law]]
    source: str = ""

    def seconds(self, side: Side, coding: Coding, seven_zip_mips: float) -> float:
        """Seconds of a coding on a core of that rating.

        Raises:
            ScenarioError: A codec that was not measured.
        """
        if coding.key not in self.laws:
            message = f"no cost of this codec in {self.source}; measure it: simsplit profile codecs"
            raise ScenarioError(message, value=coding.key, choices=tuple(self.laws))
        law = self.laws[coding.key][side]
        return law.seconds(coding) * self.seven_zip_mips / seven_zip_mips


def default_costs_file() -> Path:
    """The profile of the codecs that comes with the package."""
    return models_dir() / "codec_cpu" / "profile.json"


def read_costs(path: Path) -> CodecCosts:
    """The laws of a profile of codecs; read once while the file stays as it is.

    Raises:
        ArtefactError: No such file, or it is damaged.
    """
    if not path.is_file():
        raise ArtefactError(f"{path}: no such profile of codecs")
    return _read(path, file_digest(path))


@lru_cache(maxsize=8)
def _read(path: Path, digest: str) -> CodecCosts:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"format is {content['format']!r}, not {FORMAT!r}")
        return CodecCosts(
            float(content["machine"]["seven_zip_mips"]), _laws(content["laws"]), path.name
        )
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ArtefactError(f"{path}: damaged profile of codecs: {error}") from None


def _laws(content: Mapping[str, Any]) -> dict[str, dict[Side, Law]]:
    return {key: {side: _law(one[side]) for side in SIDES} for key, one in content.items()}


def _law(content: Mapping[str, Any]) -> Law:
    law = Law(
        content["form"],
        tuple(float(value) for value in content["coefficients"]),
        float(content["held_out_error"]),
        float(content["worst_error"]),
    )
    expected = {"affine": len(TERMS), "lz77": 4}[law.form]
    if len(law.coefficients) != expected:
        raise ValueError(f"{law.form} takes {expected} coefficients")
    return law
