"""Mutual information and effective SINR against theory, Monte Carlo and the exact coded link.

Statistical: fixed seeds, 99 % intervals unless said.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import integrate, optimize, stats

from simsplit.phy import coded
from simsplit.phy.effective import MODULATIONS, accumulate_db, curve, eesm_db, miesm_db
from simsplit.phy.mcs import Mcs, mcs
from simsplit.phy.modem import add_noise
from simsplit.phy.modem import modem as modem_of
from simsplit.phy.multipath import SelectiveFading
from simsplit.phy.sizes import transport_block_bits
from simsplit.seeds import generator

QAM = (2, 4, 6, 8)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("bits_per_symbol", QAM)
@pytest.mark.parametrize("snr_db", [-8.0, 0.0, 7.0, 14.0, 21.0])
def test_information_of_the_demapper(bits_per_symbol: int, snr_db: float) -> None:
    """Qm - E sum log2(1 + exp(-+LLR)) over the coded link's own symbols and two-dimensional APP.

    Constellation of TS 38.211 clause 5.1 (from Sionna), LLR = log p(1) / p(0).
    """
    rng, modem = generator(51, bits_per_symbol), modem_of(bits_per_symbol)
    bits = torch.from_numpy(rng.integers(0, 2, (1, 60_000 * bits_per_symbol), dtype=np.uint8))
    level = torch.tensor([snr_db])
    llr = modem.llrs(add_noise(modem.symbols(bits), level, [rng]), 10 ** (-level / 10))
    wrong_way = torch.where(bits.bool(), -llr, llr).double()
    lost = torch.nn.functional.softplus(wrong_way).reshape(-1, bits_per_symbol).sum(1).numpy()
    found = bits_per_symbol - lost.mean() / math.log(2)
    half = 2.576 * lost.std() / math.log(2) / math.sqrt(len(lost))
    assert curve(bits_per_symbol).bits(snr_db) == pytest.approx(found, abs=half + 1e-4)


@pytest.mark.parametrize("snr_db", [-20.04, -3.33, 2.77, 6.0, 9.55])
def test_information_of_bpsk(snr_db: float) -> None:
    """1 - E log2(1 + exp(-4 SNR (1 + n))), n ~ N(0, 1 / (2 SNR)); QPSK is two such at half SNR."""
    snr = 10 ** (snr_db / 10)
    deviation = math.sqrt(0.5 / snr)

    def lost(n: float) -> float:
        density = math.exp(-0.5 * (n / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
        return density * float(np.logaddexp(0.0, -4 * snr * (1 + n))) / math.log(2)

    exact = 1 - integrate.quad(lost, -10 * deviation, 10 * deviation, epsabs=1e-12, limit=400)[0]
    assert curve(1).bits(snr_db) == pytest.approx(exact, abs=1e-4)
    assert curve(2).bits(snr_db + 10 * math.log10(2)) == pytest.approx(2 * exact, abs=2e-4)


@pytest.mark.parametrize(("bits_per_symbol", "points_per_axis"), [(2, 2), (4, 4), (6, 8), (8, 16)])
def test_slope_at_low_snr(bits_per_symbol: int, points_per_axis: int) -> None:
    """3 M^2 / (4 (M^2 - 1)) nats per unit of SNR for Gray QAM of M x M points.

    Martinez, Guillen i Fabregas, Caire & Willems, IEEE Trans. Inf. Theory 54(12), 2008.
    """
    squared = points_per_axis**2
    slope = 3 * squared / (4 * (squared - 1))
    for snr_db in (-45.0, -30.0):
        nats = curve(bits_per_symbol).bits(snr_db) * math.log(2)
        assert nats / 10 ** (snr_db / 10) == pytest.approx(slope, rel=2e-3)


@pytest.mark.parametrize("bits_per_symbol", MODULATIONS)
def test_information_saturates_and_obeys_shannon(bits_per_symbol: int) -> None:
    levels_db = np.arange(-40.0, 50.0, 0.07)
    bits = curve(bits_per_symbol).bits_of(levels_db)
    capacity = np.log2(1 + 10 ** (levels_db / 10))
    assert np.all(bits <= capacity * (1 + 1e-4))  # QPSK comes that near; lines between 0.1 dB
    assert bits[-1] == pytest.approx(bits_per_symbol, abs=1e-12)


@pytest.mark.parametrize(
    ("bits_per_symbol", "least_distance"), [(1, 2.0), (2, 2**0.5), (6, 0.3086)]
)
def test_the_missing_bits_fall_with_the_least_distance(
    bits_per_symbol: int, least_distance: float
) -> None:
    """d ln(Qm - I) / d SNR -> -d^2 / 4 beyond the grid, and nearly so below its end."""
    information = curve(bits_per_symbol)
    top = 10 ** (information._top_db / 10)
    levels_db = 10 * np.log10(top * np.array([0.8, 0.9, 1.1, 1.2]))
    ln_gap = [information._ln_gap(float(level_db)) for level_db in levels_db]
    beyond = (ln_gap[3] - ln_gap[2]) / (0.1 * top)
    below = (ln_gap[1] - ln_gap[0]) / (0.1 * top)
    assert beyond == pytest.approx(-(least_distance**2) / 4, rel=1e-3)
    assert below == pytest.approx(beyond, rel=0.06)


def test_incremental_redundancy_of_gaussian_like_symbols() -> None:
    """At low SNR information is proportional to SNR, so the mean is the mean SNR."""
    mean = 10 * math.log10((10**-3.1 + 10**-2.8) / 2)
    assert accumulate_db([-31.0, -28.0], 2) == pytest.approx(mean, abs=0.01)


def test_eesm_equals_sionnas() -> None:
    """Sionna's EESM over 12 resources and one stream, MCS tables 1 and 2."""
    from simsplit.phy.coded import sionna_module

    sionna_module("config")
    from sionna.sys import EESM

    from simsplit.phy.effective import BETA

    theirs, rng = EESM(), generator(61)
    assert {
        (table, index): beta
        for table, betas in theirs.beta_table["index"].items()
        for index, beta in enumerate(betas)
    } == dict(BETA)
    for table, index in ((1, 0), (1, 12), (1, 28), (2, 15), (2, 27)):
        snr_db = rng.uniform(-3.0, 22.0, 12)
        sinr = torch.from_numpy(10 ** (snr_db / 10)).float().reshape(1, 12, 1, 1)
        expected = 10 * math.log10(float(theirs(sinr, torch.tensor([index]), table)))
        assert eesm_db(snr_db, BETA[table, index]) == pytest.approx(expected, abs=1e-3)


def test_mean_information_by_hand() -> None:
    """QPSK, half of the symbols clean, half lost: the known limit of rate 1/2, 0.187 dB."""
    half = miesm_db(np.array([60.0, -200.0]), 2)
    assert half == pytest.approx(0.187, abs=0.01)


# --- the exact coded link -----------------------------------------------------------------------

N_PRB = 12
SUBCARRIER_HZ = 30e3
DATA_SYMBOLS = 13  # 14 less one of pilots


class ExactLink:
    """Block errors of one MCS, real bits through LDPC, with a gain for every resource element."""

    def __init__(self, mcs: Mcs, *key: int) -> None:
        self.mcs, self.rng, self._link = mcs, generator(*key), coded.CodedLink(1)
        self._tb_bits = transport_block_bits(mcs, N_PRB, 14, 12)

    def errors(
        self, level_db: NDArray[np.float64], *gains_db: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Failures of blocks at levels ``(B,)``, sent once for each gain ``(n_re,)``, rv 0, 2."""
        size = len(level_db)
        bits = self.rng.integers(0, 2, (size, self._tb_bits), dtype=np.uint8)
        soft = None
        for gain_db, rv in zip(gains_db, (0, 2), strict=False):
            each_db = level_db[:, None] + gain_db
            found = self._link.transmit_batch(bits, self.mcs, N_PRB, each_db, self.rng, soft, rv)
            soft = np.stack([block.soft for block in found])
        return np.array([not block.crc_ok for block in found])

    def tenth_db(self, centre_db: float, blocks: int, *gains_db: NDArray[np.float64]) -> float:
        """Level in dB at a block error rate of 10 %, by a probit fit around the waterfall."""
        middle_db, _ = self._fit(centre_db, 1.5, 100, *gains_db)
        middle_db, sigma_db = self._fit(middle_db, 0.7, blocks, *gains_db)
        return middle_db + 1.2816 * sigma_db

    def _fit(
        self, centre_db: float, half_db: float, blocks: int, *gains_db: NDArray[np.float64]
    ) -> tuple[float, float]:
        levels = [
            self.rng.uniform(centre_db - half_db, centre_db + half_db, 50)
            for _ in range(blocks // 50)
        ]
        wrong = np.concatenate([self.errors(level_db, *gains_db) for level_db in levels])
        level_db = np.concatenate(levels)

        def unlikeliness(parameters: NDArray[np.float64]) -> float:
            z = (level_db - parameters[0]) / math.exp(parameters[1])
            return -float(np.where(wrong, stats.norm.logsf(z), stats.norm.logcdf(z)).sum())

        start = [float(level_db.mean()), math.log(0.3)]
        middle_db, ln_sigma = optimize.minimize(unlikeliness, start, method="Nelder-Mead").x
        return float(middle_db), math.exp(float(ln_sigma))


def flat_db() -> NDArray[np.float64]:
    return np.zeros(DATA_SYMBOLS * 12 * N_PRB)


def base_db(gain_db: NDArray[np.float64], wanted_db: float, bits_per_symbol: int) -> float:
    """Mean SNR at which MIESM predicts the wanted effective SNR."""
    grid_db = np.arange(wanted_db - 10.0, wanted_db + 30.0, 0.05)
    effective_db = [miesm_db(level_db + gain_db, bits_per_symbol) for level_db in grid_db]
    return float(np.interp(wanted_db, effective_db, grid_db))


@pytest.mark.slow
@pytest.mark.parametrize(("table", "index"), [(1, 3), (1, 13), (1, 19), (2, 22)])
def test_miesm_predicts_the_exact_link(table: int, index: int) -> None:
    """SNR at 10 % block errors on TDL-A channels, effective, against AWGN's: within 0.3 dB.

    12 resource blocks at 30 kHz, 300 ns: gains spread by 1 to 7 dB (standard deviation). QPSK to
    256-QAM. Fits of 200 blocks err by about 0.04 dB.
    """
    scheme = mcs(index, table)
    information = curve(scheme.bits_per_symbol)
    link = ExactLink(scheme, 81, table, index)
    near_db = information.snr_db(scheme.spectral_efficiency) + 1.2
    awgn_db = link.tenth_db(near_db, 200, flat_db())
    frequencies_hz = np.arange(12 * N_PRB) * SUBCARRIER_HZ
    for device in range(3):
        fading = SelectiveFading("TDL-A", 300e-9, 3.5e9, frequencies_hz, (82, device))
        gain_db = fading.gain_db(np.zeros(1))[0]
        start_db = base_db(gain_db, awgn_db, scheme.bits_per_symbol)
        found_db = link.tenth_db(start_db, 200, np.tile(gain_db, DATA_SYMBOLS))
        effective_db = miesm_db(found_db + gain_db, scheme.bits_per_symbol)
        assert effective_db == pytest.approx(awgn_db, abs=0.3), f"device {device}"


@pytest.mark.slow
@pytest.mark.parametrize("step_db", [3.0, 8.0])
@pytest.mark.parametrize(("table", "index"), [(1, 13), (1, 22)])
def test_accumulated_information_predicts_redundancy(
    table: int, index: int, step_db: float
) -> None:
    """Two transmissions (rv 0, 2) at unlike SNRs fail like two at ``accumulate_db``: 0.3 dB."""
    scheme = mcs(index, table)
    link = ExactLink(scheme, 83, table, index)
    half = scheme.spectral_efficiency / 2
    near_db = curve(scheme.bits_per_symbol).snr_db(half) + 1.0
    equal_db = link.tenth_db(near_db, 200, flat_db(), flat_db())
    unlike = (flat_db() + step_db / 2, flat_db() - step_db / 2)
    found_db = link.tenth_db(equal_db - 0.3, 200, *unlike)
    levels_db = [found_db + step_db / 2, found_db - step_db / 2]
    accumulated_db = accumulate_db(levels_db, scheme.bits_per_symbol)
    assert accumulated_db == pytest.approx(equal_db, abs=0.3)
