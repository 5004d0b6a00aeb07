"""Cards of networks that were never trained, whose rate and distortion is known."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

QUALITIES = (95, 90, 85, 80, 70, 60, 50, 40, 30, 20, 10)
PNG_BITS = 80_000.0


def card(saving: float = 0.0, seed: int = 1, encoder: str = "encoder2") -> dict[str, Any]:
    """A card with the shape of a trained network's: every metric saturates with the rate.

    ``saving``: share of the bits that it needs less than ``saving=0`` at the same metrics.
    """
    shape = {"encoder2": [32, 16, 32], "encoder1": [128, 8, 16]}[encoder]
    rungs: list[tuple[str, int | None, float]] = [
        ("png_tiles", None, 1.0),
        ("webp_tiles", None, 0.95),
        ("entropy", None, 1.07),
    ]
    rungs += [("jpeg_tiles", q, 0.9 / (1 + (100 - q) / 12)) for q in QUALITIES]
    rows = [_rung(*rung, saving, seed) for rung in rungs]
    section = {"shape": shape, "elements": 16384, "pictures": 512, "rows": rows}
    return {"kind": "compressible", "network": {"encoder": encoder}, "rate_distortion": section}


def _rung(codec: str, quality: int | None, x: float, saving: float, seed: int) -> dict[str, Any]:
    """At the share ``x`` of PNG's bits; lossless codecs all give PNG's metrics."""
    lost = math.exp(-6 * math.sqrt(x)) if codec == "jpeg_tiles" else 0.0
    bits = PNG_BITS * x * (1 - saving) * (1 + 0.02 * seed)
    rmse = (0.69 + 0.8 * lost) * (1 + 0.01 * seed)
    return {
        "codec": codec,
        "quality": quality,
        "payload_bits": bits,
        "payload_bits_half_width_95": 0.004 * bits,
        "bits_per_element": bits / 16384,
        "miou": 0.6 - 0.25 * lost + 0.004 * seed,
        "disparity_rmse_px": rmse,
        "disparity_irmse": 1 / rmse,
        "psnr_db": 22 - 5 * lost + 0.1 * seed,
    }


def store(folder: Path, savings: dict[int, float], encoder: str = "encoder2") -> Path:
    """A network's folder with cards of the seeds, each with its saving."""
    for seed, saving in savings.items():
        place = folder if seed == 1 else folder / f"seed{seed}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "card.json").write_text(json.dumps(card(saving, seed, encoder)))
    return folder
