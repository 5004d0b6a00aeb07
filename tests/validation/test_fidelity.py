"""Validation: table and exact fidelity agree near 10 % block error.

Delivered share and accuracy of each lie within the other's 95 % normal interval; the blocks are the
digits network's real payloads through the 5G LDPC chain. Seeds fixed by the scenario.
"""

from __future__ import annotations

import math

import pytest

from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import transport_block_bits
from simsplit.sim.radio.adaptation import BlockSizes
from simsplit.study.inputs import open_bler_table
from simsplit.study.run import run
from simsplit.study.worlds import IDEAL

MCS_INDEX = 6


def scenario(snr_db: float) -> dict:
    point = {"name": "digital", "scheme": "separate", "codec": {"kind": "entropy", "bits": 8}}
    return {
        "name": "fidelity",
        "seed": 7,
        "duration_s": 10,
        "model": "digits_cnn",
        "task": {"dataset": "digits", "height_px": 8, "width_px": 8, "samples": 64},
        "operating_points": [point],
        "devices": [
            {
                "name": "d",
                "count": 8,
                "hardware": "phone_soc",
                "operating_point": "digital",
                "arrivals": {"kind": "poisson", "rate_hz": 6},
            }
        ],
        "cell": IDEAL
        | {
            "channel": {"kind": "fixed_snr", "snr_db": snr_db},
            "mcs": {"kind": "fixed", "index": MCS_INDEX},
            "harq": {"max_transmissions": 1},
        },
    }


def ten_percent_snr_db(tmp_path) -> float:
    """Where the table gives 10 % for the median payload's block."""
    rows = run(scenario(30.0), duration_s=2, out=tmp_path / "probe").requests
    scheme, bits = mcs(MCS_INDEX), int(rows["payload_bits"].median())
    tb_bits = transport_block_bits(scheme, BlockSizes((14, 12)).needed(scheme, bits, 51))
    return open_bler_table().required_snr_db(scheme, tb_bits, 0.1)


def interval(values) -> tuple[float, float, float]:
    mean = float(values.mean())
    half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean - half, mean, mean + half


@pytest.mark.parametrize("column", ["delivered", "score_accuracy"])
def test_exact_and_table_agree(column, tmp_path):
    snr_db = ten_percent_snr_db(tmp_path)
    made = {
        kind: run(scenario(snr_db), fidelity=kind, out=tmp_path / kind).requests
        for kind in ("table", "exact")
    }
    assert min(frame["blocks"].sum() for frame in made.values()) >= 300
    (low_t, mean_t, high_t), (low_e, mean_e, high_e) = (
        interval(made[kind][column].astype(float)) for kind in ("table", "exact")
    )
    assert low_t <= mean_e <= high_t and low_e <= mean_t <= high_e
    lost = 1 - made["exact"]["delivered"].mean()
    assert 0.03 < lost < 0.25  # near 10 %, where an error in the table would show
