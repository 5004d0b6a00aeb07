"""A sweep's tidy table, made up: SNR x split x scheme, the same on every machine."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd

import synthetic
from simsplit.results.kpis import flat_rows
from simsplit.results.sweep_table import with_axes

SNR_DB = (0.0, 4.0, 8.0, 12.0, 16.0)
SPLITS = ("stage1", "stage2", "stage3")
POINTS = {"entropy": "separate", "analog": "jscc"}
SNR, SPLIT = "cell.channel.snr_db", "operating_point.split"
QUALITY = "operating_point.codec.bits"


def table() -> pd.DataFrame:
    """SNR x split x operating point, a cliff for digital and a slope for analog."""
    rows = [_row(*place) for place in itertools.product(SNR_DB, SPLITS, POINTS)]
    return with_axes(pd.DataFrame(rows), [SNR, SPLIT])


def _row(snr_db: float, split: str, point: str) -> dict[str, object]:
    deep = SPLITS.index(split)
    digital = point == "entropy"
    arrives = 1 / (1 + np.exp(-1.2 * (snr_db - 7 - deep)))
    score = 0.62 * arrives if digital else 0.18 + 0.4 / (1 + np.exp(-0.25 * (snr_db - 4 + deep)))
    bits = (64_000, 24_000, 9_000)[deep] if digital else 0
    uses = bits / max(0.5, np.log2(1 + 10 ** (snr_db / 10))) if digital else 4096 / (1 + deep)
    latency_s = 0.008 + 0.004 * deep + 2e-6 * uses
    kpis = {
        "score_miou": (score, 0.012 + 0.01 * (not digital)),
        "latency_s": (latency_s, 0.05 * latency_s),
        "energy_j": (0.02 + 0.015 * deep + 4e-7 * uses, 0.001),
        "payload_bits": (bits, 0.01 * bits),
        "channel_uses": (uses, 0.01 * uses),
        "deadline_met": (0.2 + 0.8 * arrives, 0.02),
    }
    row: dict[str, object] = {SNR: snr_db, SPLIT: split}
    row |= {"operating_point": point, "scheme": POINTS[point], "replications": 5, "n": 400}
    return row | _with_intervals(kpis) | {"flags": "", "folder": f"{snr_db:g}_{split}"}


def _with_intervals(kpis: dict[str, tuple[float, float]]) -> dict[str, float]:
    endings = (("", 0), ("_ci_low", -1), ("_ci_high", 1))
    return {
        name + ending: mean + side * half
        for name, (mean, half) in kpis.items()
        for ending, side in endings
    }


def rates() -> pd.DataFrame:
    """PSNR over four rates of two coded operating points and one that sends nothing."""
    rows = []
    for point, gain_db, factor in (("jpeg", 0.0, 1.0), ("entropy", 1.5, 0.8), ("local", 0.0, 0.0)):
        for bits in (2, 4, 6, 8):
            rate = factor * 3000 * bits**1.5
            psnr_db = 31.0 if not rate else 6.0 * np.log10(rate) + gain_db
            kpis = {"payload_bits": (rate, 0.0), "score_psnr_db": (psnr_db, 0.15)}
            rows.append({QUALITY: bits, "operating_point": point} | _with_intervals(kpis))
    return with_axes(pd.DataFrame(rows), [QUALITY])


def stored(folder: Path) -> pd.DataFrame:
    """Two splits' result folders below ``folder``, and their tidy table."""
    rows = []
    for place, split in enumerate(SPLITS[:2]):
        result = synthetic.store(folder / split, seed=place)
        for row in flat_rows(result.scenario, result.summary):
            rows.append({SPLIT: split} | row | {"folder": split})
    return with_axes(pd.DataFrame(rows), [SPLIT])
