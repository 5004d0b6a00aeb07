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


def test_known_channel_is_bit_for_bit_the_estimate_without_error() -> None:
    z, h = make_symbols(), np.full(64, 0.3 - 0.4j)
    for gain in (None, h):
        ideal = analog.transmit(z, 10.0, np.random.default_rng(7), gain=gain)
        for equaliser in ("zf", "mmse"):
            estimated = analog.transmit(
                z,
                10.0,
                np.random.default_rng(7),
                gain=gain,
                csi_error_variance=0.0,
                equaliser=equaliser,
            )
            np.testing.assert_array_equal(estimated[0], ideal[0])
            np.testing.assert_array_equal(estimated[1], ideal[1])


def test_known_channel_keeps_its_numbers() -> None:
    """Frozen when estimation came in: y = z + n with n from 2k normals, real parts first."""
    z, rng = make_symbols(), np.random.default_rng(7)
    received, _ = analog.transmit(z, 10.0, np.random.default_rng(7))
    draw = rng.standard_normal((2, 64))
    expected = z + np.sqrt(0.5 / 10.0) * (draw[0] + 1j * draw[1])
    np.testing.assert_array_equal(received, expected.astype(np.complex64))


def test_symbols_of_a_piece_share_one_estimate() -> None:
    z, piece_of = make_symbols(), np.repeat([0, 1, 2, 1], 16)
    received, variance = analog.transmit(
        z, 150.0, np.random.default_rng(7), csi_error_variance=0.1, piece_of=piece_of
    )
    ratio = received / z  # 1 / (1 + e)
    for piece in range(3):
        assert np.ptp(ratio[piece_of == piece].real) < 1e-4
        assert np.ptp(variance[piece_of == piece]) == 0.0
    assert len(np.unique(np.round(ratio.real, 3))) == 3


def test_equalisers_give_the_same_symbols_and_believe_otherwise() -> None:
    z = make_symbols()
    zf, mmse = (
        analog.transmit(
            z, 10.0, np.random.default_rng(7), csi_error_variance=0.05, equaliser=equaliser
        )
        for equaliser in ("zf", "mmse")
    )
    np.testing.assert_array_equal(zf[0], mmse[0])
    np.testing.assert_allclose(mmse[1] / zf[1], 1.5, rtol=1e-6)  # (0.1 + 0.05) / 0.1


def test_error_variance_is_of_a_channel_of_unit_power_if_the_gain_is_given() -> None:
    z, rngs = make_symbols(), [np.random.default_rng(7) for _ in range(2)]
    faded = analog.transmit(z, 10.0, rngs[0], gain=np.full(64, 0.5), csi_error_variance=0.01)
    loss_db = 20 * np.log10(0.5)
    plain = analog.transmit(z, 10.0 + loss_db, rngs[1], csi_error_variance=0.04)
    np.testing.assert_allclose(faded[0], plain[0], rtol=1e-5)


@pytest.mark.parametrize(
    "bad",
    [
        {"csi_error_variance": -0.1},
        {"csi_error_variance": np.nan},
        {"csi_error_variance": np.zeros(3)},
        {"csi_error_variance": 0.1, "piece_of": np.zeros(3, dtype=int)},
        {"csi_error_variance": 0.1, "piece_of": np.full(64, -1)},
        {"csi_error_variance": 0.1, "equaliser": "lmmse"},
    ],
)
def test_bad_estimation_is_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ScenarioError):
        analog.transmit(make_symbols(), 10.0, np.random.default_rng(1), **bad)  # type: ignore[arg-type]


def test_estimation_error_by_hand() -> None:
    assert analog.estimation_error_variance(10.0, 5) == pytest.approx(0.02)
    assert analog.effective_snr_db(10.0, 0.0) == pytest.approx(10.0)
    one_pilot = analog.estimation_error_variance(30.0, 1)
    assert analog.effective_snr_db(30.0, one_pilot) == pytest.approx(30 - 3.01, abs=0.01)
    assert analog.effective_snr_db(-np.inf, np.inf) == -np.inf
    with pytest.raises(ScenarioError):
        analog.estimation_error_variance(10.0, 0)
    for variance in (-0.1, np.nan):
        with pytest.raises(ScenarioError):
            analog.effective_snr_db(10.0, variance)


@pytest.mark.parametrize("subcarriers", [1, 12, 64])
def test_papr_of_a_tone_and_of_equal_symbols(subcarriers: int) -> None:
    tone = np.zeros(subcarriers, dtype=np.complex64)
    tone[subcarriers // 3] = 0.7j
    assert analog.papr_db(tone, subcarriers) == pytest.approx(0.0, abs=1e-5)
    equal = np.full(subcarriers, 1 + 1j)
    assert analog.papr_db(equal, subcarriers) == pytest.approx(10 * np.log10(subcarriers))


def test_papr_sees_every_ofdm_symbol() -> None:
    """Three quiet symbols (tones) and the beginning of a fourth that peaks."""
    tones = np.tile(np.eye(16, dtype=complex)[0], 3)
    papr_db = analog.papr_db(np.append(tones, np.ones(8)), 16)
    assert papr_db == pytest.approx(10 * np.log10(64 / ((3 + 8) / 4)))
    for bad in ((np.zeros(4), 2), (np.ones(4), 0)):
        with pytest.raises(ScenarioError):
            analog.papr_db(*bad)


def test_erased_symbols_are_filled_up() -> None:
    z = make_symbols(5)
    received, variance = analog.pad_erased(z, np.full(5, 0.1, dtype=np.float32), 8)
    assert received.dtype == np.complex64 and variance.dtype == np.float32
    np.testing.assert_array_equal(received[:5], z)
    np.testing.assert_array_equal(received[5:], 0.0)
    np.testing.assert_array_equal(variance[5:], np.float32(analog.ERASED_NOISE_VARIANCE))
    np.testing.assert_array_equal(analog.pad_erased(z, variance[:5], 5)[0], z)
    for count, k in ((5, 4), (4, 8)):
        with pytest.raises(ScenarioError):
            analog.pad_erased(z, variance[:count], k)


def test_a_decoder_takes_an_erasure_as_nothing_heard() -> None:
    """The JSCC decoder answers as if the erased symbols had infinite noise, finitely."""
    import torch

    from simsplit.networks.deepjscc import JsccBottleneck

    torch.manual_seed(0)
    net = JsccBottleneck(8, 2, 4, 4)
    for parameter in net.parameters():  # the gates start as identities, which would hide them
        torch.nn.init.normal_(parameter, std=0.3)
    z = make_symbols(20)
    received, variance = analog.pad_erased(z, np.full(20, 0.1, dtype=np.float32), 32)
    garbage = np.append(z, np.full(12, 3 - 4j)).astype(np.complex64)
    unheard = np.where(variance > 1, np.float32(np.inf), variance)
    decoded, expected = (
        net.decode(torch.from_numpy(y)[None], torch.from_numpy(v)[None])
        for y, v in ((received, variance), (garbage, unheard))
    )
    assert torch.isfinite(decoded).all()
    torch.testing.assert_close(decoded, expected)
