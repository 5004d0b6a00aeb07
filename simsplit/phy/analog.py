"""The JSCC air interface: channel symbols over slots that each have their own SNR. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError

ComplexArray = NDArray[np.complex64]
FloatArray = NDArray[np.float32]


def normalise_power(symbols: NDArray[np.complexfloating]) -> ComplexArray:
    """Scale each row ``(..., k)`` to mean power 1: sqrt(k) z / ||z||_2 (Bourtsoulatze 2019, eq. 2).

    Raises ScenarioError for a row of zeros, which no scaling can give power.
    """
    norm = np.linalg.norm(symbols, axis=-1, keepdims=True)
    if not np.all(norm > 0.0):
        raise ScenarioError("a row of channel symbols is all zero and has no power to normalise")
    scaled = np.sqrt(symbols.shape[-1]) * symbols / norm
    return np.asarray(scaled, dtype=np.complex64)


def transmit(
    symbols: ComplexArray,
    snr_db: NDArray[np.floating] | float,
    rng: np.random.Generator,
    *,
    gain: NDArray[np.complexfloating] | None = None,
) -> tuple[ComplexArray, FloatArray]:
    """Send ``(k,)`` symbols of mean power 1 and undo the known channel.

    ``r = h z + n`` with ``n ~ CN(0, sigma^2)``, equalised as ``y = r / h``: zero forcing, hence
    unbiased, ``y = z + CN(0, sigma^2 / |h|^2)``. For one flat channel the MMSE receiver is the same
    number times SNR / (1 + SNR), so nothing is lost: who wants it scales by ``lmmse_scale``.

    Args:
        symbols: ``(k,)`` complex64.
        snr_db: ``(k,)`` or scalar Es/N0 per symbol. Without ``gain`` it is the received SNR, fading
            |h|^2 included, whose phase the equaliser removes.
        rng: The request's own generator; draws 2k normals.
        gain: ``(k,)`` complex h; then ``snr_db`` is 1/sigma^2, the SNR before fading.

    Returns:
        ``(k,)`` complex64 equalised symbols and ``(k,)`` float32 noise variances E|y - z|^2.

    Raises:
        ScenarioError: Shapes differ, or an SNR is not finite.
    """
    snr_linear = _snr_linear(symbols.shape, snr_db, gain)
    draw = rng.standard_normal((2, *symbols.shape))
    deviation = np.sqrt(0.5 / snr_linear)
    noise = deviation * (draw[0] + 1j * draw[1])
    received = np.asarray(symbols + noise, dtype=np.complex64)
    return received, np.asarray(1.0 / snr_linear, dtype=np.float32)


def lmmse_scale(noise_variance: FloatArray) -> FloatArray:
    """Factor 1 / (1 + sigma^2) that turns unbiased symbols of power 1 into LMMSE estimates."""
    return np.asarray(1.0 / (1.0 + noise_variance), dtype=np.float32)


def _snr_linear(
    shape: tuple[int, ...],
    snr_db: NDArray[np.floating] | float,
    gain: NDArray[np.complexfloating] | None,
) -> NDArray[np.float64]:
    """Received SNR per symbol, linear, fading included, of the symbols' shape."""
    level_db = np.asarray(snr_db, dtype=np.float64)
    if level_db.shape not in ((), shape) or (gain is not None and gain.shape != shape):
        raise ScenarioError("need one SNR (and gain) per symbol", value=(shape, level_db.shape))
    if not np.all(np.isfinite(level_db)):
        raise ScenarioError("SNR must be finite")
    linear = np.broadcast_to(10.0 ** (level_db / 10.0), shape)
    return np.asarray(linear if gain is None else linear * np.abs(gain) ** 2, dtype=np.float64)
