"""Validation: the shipped laws of codecs against what was measured and not fitted to.

The points are in models/codec_cpu/profile.json; measuring anew is no test. A law is an average over
contents: what one picture or feature takes may be off by more than the median.
"""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from simsplit.hardware.codec_costs import SIDES, default_costs_file, read_costs
from simsplit.hardware.fit_codecs import fit_laws, point_of

CONTENT = json.loads(default_costs_file().read_text())
POINTS = [point_of(row) for row in CONTENT["points"]]
LAWS = read_costs(default_costs_file()).laws


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("key", LAWS)
def test_the_law_predicts_the_sizes_that_were_left_out(key: str, side: str) -> None:
    held = [p for p in POINTS if p.held_out and p.coding.key == key]
    errors = [abs(LAWS[key][side].seconds(p.coding) / p.seconds(side) - 1) for p in held]
    assert len(held) >= 2
    assert float(np.median(errors)) == pytest.approx(LAWS[key][side].held_out_error, abs=1e-3)
    assert float(np.median(errors)) < 0.35 and max(errors) < 1.0


def test_half_of_all_left_out_are_within_fifteen_per_cent() -> None:
    errors = [
        abs(LAWS[p.coding.key][side].seconds(p.coding) / p.seconds(side) - 1)
        for p in POINTS
        if p.held_out
        for side in SIDES
    ]
    assert float(np.median(errors)) < 0.15


def test_the_file_s_laws_are_those_of_its_points() -> None:
    """By what they say of every point: exponents that are nearly 0 differ between processors."""
    fitted = fit_laws(POINTS)
    assert fitted.keys() == LAWS.keys()
    for key, side in itertools.product(LAWS, SIDES):
        again, there = fitted[key][side], LAWS[key][side]
        assert again.form == there.form
        assert again.held_out_error == pytest.approx(there.held_out_error, abs=1e-3)
        own = [p.coding for p in POINTS if p.coding.key == key]
        seconds = [there.seconds(coding) for coding in own]
        assert [again.seconds(coding) for coding in own] == pytest.approx(seconds, rel=1e-3)


def test_a_feature_costs_more_than_the_picture_s_jpeg() -> None:
    """What the comparison of schemes hung on: tiles of 65,536 values against a JPEG."""
    tiles = [p for p in POINTS if p.coding.key == "png_tiles" and p.coding.elements == 65536]
    jpeg = [p for p in POINTS if p.coding.key == "jpeg" and p.size == "64x128"]
    assert min(p.encode_s for p in tiles) > 10 * max(p.encode_s for p in jpeg)
