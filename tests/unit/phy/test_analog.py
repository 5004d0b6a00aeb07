"""The JSCC air interface: contract, not statistics (those are in tests/validation)."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.phy import analog


def make_symbols(k: int = 64) -> analog.ComplexArray:
    rng = np.random.default_rng(3)
    return analog.normalise_power(rng.standard_normal(k) + 1j * rng.standard_normal(k))


def test_normalised_rows_have_mean_power_one() -> None:
    rng = np.random.default_rng(1)
    rows = analog.normalise_power(rng.standard_normal((5, 40)) * (2 + 3j))
    assert rows.dtype == np.complex64
    np.testing.assert_allclose((np.abs(rows) ** 2).mean(-1), 1.0, rtol=1e-5)


def test_a_row_of_zeros_cannot_be_normalised() -> None:
    with pytest.raises(ScenarioError):
        analog.normalise_power(np.zeros((2, 8), dtype=np.complex64))


def test_same_generator_same_noise_and_shapes() -> None:
    z = make_symbols()
    first, second = (analog.transmit(z, 10.0, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[0].dtype == np.complex64
    assert first[1].dtype == np.float32
    assert first[0].shape == first[1].shape == z.shape


def test_noise_variance_follows_each_symbols_snr() -> None:
    z, snr_db = make_symbols(2), np.array([0.0, 20.0])
    _, variance = analog.transmit(z, snr_db, np.random.default_rng(1))
    np.testing.assert_allclose(variance, [1.0, 0.01], rtol=1e-6)


def test_gain_is_the_same_as_a_lower_snr() -> None:
    z, h = make_symbols(4), np.full(4, 0.5j)
    faded, variance = analog.transmit(z, 10.0, np.random.default_rng(1), gain=h)
    plain, _ = analog.transmit(z, 10.0 + 20 * np.log10(0.5), np.random.default_rng(1))
    np.testing.assert_allclose(faded, plain, rtol=1e-5)
    np.testing.assert_allclose(variance, 0.4, rtol=1e-5)


def test_high_snr_returns_the_symbols() -> None:
    z = make_symbols()
    received, _ = analog.transmit(z, 120.0, np.random.default_rng(1))
    np.testing.assert_allclose(received, z, atol=1e-5)


@pytest.mark.parametrize("snr_db", [np.zeros(3), np.float64("nan"), np.full(64, np.inf)])
def test_bad_snr_is_refused(snr_db: np.ndarray) -> None:
    with pytest.raises(ScenarioError):
        analog.transmit(make_symbols(), snr_db, np.random.default_rng(1))
