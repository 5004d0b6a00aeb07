"""Validation: separate coding stands or falls with its blocks, JSCC degrades smoothly over the SNR.

Where the cliff may be is bounded by the capacity of bit-interleaved coded 16-QAM, computed here by
quadrature; how steep it is follows from the block error rate, request by request; that separate
coding has one, and JSCC none, is the claim of Bourtsoulatze, Kurka & Gündüz (IEEE TCCN 2019),
figure 6.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from scipy.stats import binom

import simsplit
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import transport_block_bits
from simsplit.study.inputs import open_bler_table

RE_PER_PRB = 156  # data elements of a slot: 14 symbols x 12, less 12 of pilots
MCS_INDEX, RATE = 11, 4 * 378 / 1024  # TS 38.214, Table 5.1.3.1-1: 16-QAM, 378/1024
FAR_DB = 25.0

Rows = Callable[[float, str], pd.DataFrame]


def bicm_capacity(snr_db: float, nodes: int = 60) -> float:
    """Bits per symbol of Gray-labelled 16-QAM with bit-wise decoding over AWGN.

    Two independent 4-PAM, each sum over its bits of 1 - E[log2(sum_x p(y|x) / sum_{x: b} p(y|x))]
    (Caire, Taricco & Biglieri, IEEE Trans. Inf. Theory 44 (1998), eq. 15), by Gauss and Hermite.
    """
    levels = np.array([-3.0, -1.0, 1.0, 3.0]) / np.sqrt(10)  # unit energy in both dimensions
    labels = np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    sigma = np.sqrt(0.5 * 10 ** (-snr_db / 10))  # noise per dimension
    noise, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    received = levels[:, None] + sigma * noise
    likelihood = np.exp(-((received[..., None] - levels) ** 2) / (2 * sigma**2))
    bits = 0.0
    for position in range(2):
        same = labels[:, position][:, None, None] == labels[:, position]
        ratio = likelihood.sum(axis=-1) / (likelihood * same).sum(axis=-1)
        bits += 1.0 - float((np.log2(ratio) @ weights).mean())
    return 2 * bits


def test_the_capacity_is_right_where_it_is_known() -> None:
    assert bicm_capacity(40.0) == pytest.approx(4.0, abs=1e-6)
    shannon = np.log2(1 + 10 ** (0.3))
    assert 0.85 * shannon < bicm_capacity(3.0) < shannon


def cliff_db(prbs: int) -> float:
    """SNR of 50 % block error of MCS 11 for a block of so many resource blocks."""
    scheme = mcs(MCS_INDEX)
    bits = transport_block_bits(scheme, prbs)
    return open_bler_table().required_snr_db(scheme, bits, 0.5, prbs * RE_PER_PRB)


@pytest.mark.parametrize("prbs", [15, 26, 51])
def test_the_cliff_is_behind_capacity_and_near_it(prbs: int) -> None:
    """Half the blocks fail where capacity is the rate (normal approximation: Polyanskiy, Poor &
    Verdú, IEEE Trans. Inf. Theory 56 (2010), eq. 1); a 5G LDPC code loses below 1 dB to that. The
    rate is that of the block with its quantised size (TS 38.214, 5.1.3.2), near the scheme's."""
    rate = transport_block_bits(mcs(MCS_INDEX), prbs) / (prbs * RE_PER_PRB)
    assert rate == pytest.approx(RATE, rel=0.02)
    limit_db = brentq(lambda snr_db: bicm_capacity(snr_db) - rate, -5.0, 15.0)
    assert limit_db < cliff_db(prbs) < limit_db + 1.0


@pytest.fixture(scope="module")
def rows_at(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Requests of an operating point at an SNR; every SNR is run once."""
    folder = tmp_path_factory.mktemp("cliff")

    @cache
    def run(snr_db: float) -> pd.DataFrame:
        texts = [f"cell.channel.snr_db={snr_db}", "task.samples=64"]
        out = folder / f"{snr_db:.4f}"
        return simsplit.run("awgn_cliff", duration_s=10, overrides=texts, out=out).requests

    def rows(snr_db: float, point: str) -> pd.DataFrame:
        requests = run(snr_db)
        return requests[requests["operating_point"] == point].set_index("request_id")

    return rows


@pytest.mark.slow
@pytest.mark.parametrize("offset_db", [-1.0, -0.1, 0.0, 0.1, 1.0])
def test_separate_stands_or_falls_with_its_blocks(rows_at: Rows, offset_db: float) -> None:
    """A block that arrives is worth what it is at 25 dB, one that fails nothing; so many arrive as
    1 - BLER says, which within 2 dB falls from all to none. BLER is that of the code rate of each
    block's own elements, which the quantised size sets apart from the scheme's."""
    scheme, table, far = mcs(MCS_INDEX), open_bler_table(), rows_at(FAR_DB, "feature_8bit")
    prbs = int(far["channel_uses"].median()) // RE_PER_PRB
    snr_db = cliff_db(prbs) + offset_db
    here = rows_at(snr_db, "feature_8bit")
    arrived = here["delivered"].to_numpy(bool)
    worth = far.loc[here.index, "score_miou"].to_numpy() * arrived
    assert here["score_miou"].to_numpy() == pytest.approx(worth, abs=1e-12)
    blocks = here["channel_uses"].to_numpy(int) // RE_PER_PRB
    sizes = {int(n): transport_block_bits(scheme, int(n)) for n in np.unique(blocks)}
    errors = [
        table.transport_block_error(scheme, sizes[n], snr_db, 1, n * RE_PER_PRB) for n in blocks
    ]
    expected = 1 - float(np.mean(errors))
    low, high = binom.interval(0.999, len(here), expected)
    assert low <= arrived.sum() <= high
    assert abs(offset_db) < 1 or expected == pytest.approx(float(offset_db > 0), abs=0.01)


@pytest.mark.slow
def test_jscc_has_no_cliff(rows_at: Rows) -> None:
    """Over the 2 dB in which separate coding loses all, JSCC keeps nine tenths; it never loses by
    more power, and at -5 dB still has more than half of what 25 dB gives."""
    middle = cliff_db(26)
    steps = [*np.arange(-5.0, FAR_DB + 0.1, 5.0), middle - 1, middle + 1]
    means = {
        snr: float(rows_at(float(snr), "analog")["score_miou"].mean()) for snr in sorted(steps)
    }
    assert np.all(np.diff(list(means.values())) > -0.01)  # noise of the draws, the same pictures
    assert means[middle - 1] > 0.9 * means[middle + 1]
    assert means[-5.0] > 0.5 * means[FAR_DB]
