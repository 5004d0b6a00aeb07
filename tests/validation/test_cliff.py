"""Validation: separate coding is flat and falls within 2 dB, JSCC degrades smoothly over the SNR.

Where the cliff must be is computed from the table for the very block sizes; that separate coding
has one, and JSCC none, is the claim of Bourtsoulatze, Kurka & Gündüz (IEEE TCCN 2019), figure 6.
"""

from __future__ import annotations

import numpy as np
import pytest

import simsplit
from simsplit.phy.link import mcs, transport_block_bits
from simsplit.run import open_bler_table

pytestmark = pytest.mark.slow


def scores(snr_db: float, out) -> dict[str, float]:
    texts = [f"cell.channel.snr_db={snr_db}", "task.samples=64"]
    rows = simsplit.run("awgn_cliff", duration_s=4, overrides=texts, out=out).requests
    return rows.groupby("operating_point")["score_miou"].mean().to_dict()


def cliff_db() -> float:
    """SNR of 50 % block error of MCS 11 for a block of the whole band."""
    scheme = mcs(11)
    return open_bler_table().required_snr_db(scheme, transport_block_bits(scheme, 51), 0.5)


def test_separate_is_flat_and_collapses_within_2_db(tmp_path):
    middle = cliff_db()
    above = scores(middle + 1, tmp_path / "above")["feature_8bit"]
    far_above = scores(25.0, tmp_path / "far")["feature_8bit"]
    below = scores(middle - 1, tmp_path / "below")["feature_8bit"]
    assert above == pytest.approx(far_above, rel=0.05)
    assert below < 0.05 * above


def test_jscc_degrades_smoothly(tmp_path):
    steps = np.arange(-5.0, 25.1, 2.5)
    analog = np.array([scores(snr, tmp_path / f"{snr}")["analog"] for snr in steps])
    fall = np.diff(analog)
    assert np.all(fall > -0.02)  # never falls when the SNR rises, beyond sampling noise
    assert fall.max() < 0.35 * (analog.max() - analog.min()) + 0.02
    assert analog[0] > 0.5 * analog[-1]  # at -5 dB still more than half of what 25 dB gives
