"""The JSCC air interface: channel symbols over slots that each have their own SNR. NumPy only.

Channel estimation, in the whole file: a least-squares estimate h_hat = h + e from pilots, with
e ~ CN(0, sigma_e^2) independent of h. The MMSE estimate of a Rayleigh channel is the same number
over 1 + sigma_e^2, which an equaliser takes off again.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.units import db_to_linear, linear_to_db

ComplexArray = NDArray[np.complex64]
FloatArray = NDArray[np.float32]
Equaliser = Literal["zf", "mmse"]

ERASED_NOISE_VARIANCE = 1e9
"""Of a symbol that was not sent: finite, yet its LMMSE scale 1 / (1 + 1e9) makes a decoder's noise
level 2 / (1 + sigma^2) - 1 exactly -1 ("useless") in single precision."""


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
    csi_error_variance: NDArray[np.floating] | float | None = None,
    piece_of: NDArray[np.integer] | None = None,
    equaliser: Equaliser = "zf",
) -> tuple[ComplexArray, FloatArray]:
    """Send ``(k,)`` symbols of mean power 1 and undo the channel, known or estimated.

    ``r = h z + n`` with ``n ~ CN(0, sigma^2)``, equalised as ``y = r / h``: zero forcing, hence
    unbiased, ``y = z + CN(0, sigma^2 / |h|^2)``. For one flat channel the MMSE receiver is the same
    number times SNR / (1 + SNR), so nothing is lost: who wants it scales by ``lmmse_scale``.

    With ``csi_error_variance`` the receiver has ``h_hat = h + e`` in place of h, one draw of e per
    piece. ``zf`` trusts it: ``y = r / h_hat``, believed noise sigma^2 / |h_hat|^2. ``mmse``, which
    is conj(h_hat) r / (|h_hat|^2 + sigma^2 + sigma_e^2) rescaled to be unbiased, has the same y but
    counts the estimate's error as noise, (sigma^2 + sigma_e^2) / |h_hat|^2 (Hassibi & Hochwald,
    IEEE Trans. Inf. Theory 49(4), 2003, section II). ``lmmse_scale`` of that is the MMSE receiver.

    Args:
        symbols: ``(k,)`` complex64.
        snr_db: ``(k,)`` or scalar Es/N0 per symbol. Without ``gain`` it is the received SNR, fading
            |h|^2 included, whose phase the equaliser removes.
        rng: The request's own generator; draws 2k normals, then 2 per piece if h is estimated.
        gain: ``(k,)`` complex h; then ``snr_db`` is 1/sigma^2, the SNR before fading.
        csi_error_variance: sigma_e^2, scalar or ``(k,)``; for a channel of unit power if ``gain``
            is given, else over the received |h|^2. None: the channel is known.
        piece_of: ``(k,)`` from 0: symbols of one piece share h and its estimate. None: all do.
        equaliser: ``zf`` or ``mmse``, see above.

    Returns:
        ``(k,)`` complex64 equalised symbols and ``(k,)`` float32 noise variances, as the receiver
        believes them to be: E|y - z|^2 if the channel is known.

    Raises:
        ScenarioError: Shapes differ, an SNR is not finite, or a variance or piece is negative.
    """
    snr_linear = _snr_linear(symbols.shape, snr_db, gain)
    draw = rng.standard_normal((2, *symbols.shape))
    deviation = np.sqrt(0.5 / snr_linear)
    noise = deviation * (draw[0] + 1j * draw[1])
    received, variance = symbols + noise, 1.0 / snr_linear
    if csi_error_variance is not None:
        error_variance = _error_variance(symbols.shape, csi_error_variance, gain)
        estimate = 1.0 + np.sqrt(error_variance) * _error_draws(symbols.shape, piece_of, rng)
        believed = variance + error_variance if _is_mmse(equaliser) else variance
        received, variance = received / estimate, believed / np.abs(estimate) ** 2
    return np.asarray(received, dtype=np.complex64), np.asarray(variance, dtype=np.float32)


def lmmse_scale(noise_variance: FloatArray) -> FloatArray:
    """Factor 1 / (1 + sigma^2) that turns unbiased symbols of power 1 into LMMSE estimates."""
    return np.asarray(1.0 / (1.0 + noise_variance), dtype=np.float32)


def pad_erased(
    received: ComplexArray, noise_variance: FloatArray, k: int
) -> tuple[ComplexArray, FloatArray]:
    """The first symbols of a nested code, filled up to ``(k,)`` with erasures.

    An erasure is a zero with ``ERASED_NOISE_VARIANCE``, which the JSCC decoders weigh as nothing.
    Raises ScenarioError if there are more than k symbols already, or not one variance for each.
    """
    missing = k - len(received)
    if missing < 0 or received.shape != noise_variance.shape:
        message = f"received symbols and variances must pair up, {k} at most"
        raise ScenarioError(message, value=(received.shape, noise_variance.shape))
    symbols = np.pad(received, (0, missing))
    variance = np.pad(noise_variance, (0, missing), constant_values=ERASED_NOISE_VARIANCE)
    return symbols.astype(np.complex64), variance.astype(np.float32)


def estimation_error_variance(snr_db: float, pilots: int) -> float:
    """sigma_e^2 / |h|^2 = 1 / (P SNR) of the least-squares channel estimate from P pilots.

    Pilots have the data's power; the MMSE estimate's error is 1 / (1 + P SNR) (Hassibi & Hochwald
    2003, section III). Raises ScenarioError without pilots.
    """
    if pilots < 1:
        raise ScenarioError("a channel estimate needs at least one pilot", value=pilots)
    return db_to_linear(-snr_db) / pilots


def effective_snr_db(snr_db: float, error_variance: float) -> float:
    """SNR in dB that a coherent receiver is left with: SNR / (1 + sigma_e^2 (1 + SNR)).

    Hassibi & Hochwald 2003, section II: SNR (1 - eps) / (1 + SNR eps) with eps = sigma_e^2 / (1 +
    sigma_e^2), the error of the MMSE estimate. With the errors of ``estimation_error_variance``
    P / (P + 1) of a high SNR are left. Raises ScenarioError for a negative variance.
    """
    if not error_variance >= 0.0:
        raise ScenarioError("an error variance is not negative", value=error_variance)
    snr = db_to_linear(snr_db)
    return linear_to_db(snr / (1.0 + error_variance * (1.0 + snr)))


def papr_db(symbols: NDArray[np.complexfloating], subcarriers: int, oversampling: int = 4) -> float:
    """Peak to average power in dB of the OFDM waveform of ``(k,)`` symbols, cyclic prefix apart.

    Symbols fill the subcarriers of one OFDM symbol, then the next; the last is filled up with
    zeros. Four-fold oversampling finds the continuous peak to a tenth of a dB or so (Jiang & Wu,
    IEEE Trans. Broadcast. 54(2), 2008). Raises ScenarioError for symbols without power.
    """
    if subcarriers < 1 or oversampling < 1 or not np.any(symbols):
        raise ScenarioError("PAPR needs symbols with power, and subcarriers", value=subcarriers)
    grid = np.pad(symbols, (0, -len(symbols) % subcarriers)).reshape(-1, subcarriers)
    power = np.abs(np.fft.ifft(grid, oversampling * subcarriers, axis=1)) ** 2
    return float(10.0 * np.log10(power.max() / power.mean()))


def _is_mmse(equaliser: str) -> bool:
    if equaliser not in ("zf", "mmse"):
        raise ScenarioError("no such equaliser", value=equaliser, choices=("zf", "mmse"))
    return equaliser == "mmse"


def _error_variance(
    shape: tuple[int, ...],
    csi_error_variance: NDArray[np.floating] | float,
    gain: NDArray[np.complexfloating] | None,
) -> NDArray[np.float64]:
    """Variance of e / h per symbol."""
    variance = np.asarray(csi_error_variance, dtype=np.float64)
    if variance.shape not in ((), shape) or not np.all((variance >= 0.0) & np.isfinite(variance)):
        message = "need one error variance, finite and not negative, or one per symbol"
        raise ScenarioError(message, value=variance.shape)
    relative = variance if gain is None else variance / np.abs(gain) ** 2
    return np.broadcast_to(relative, shape)


def _error_draws(
    shape: tuple[int, ...], piece_of: NDArray[np.integer] | None, rng: np.random.Generator
) -> NDArray[np.complex128]:
    """CN(0, 1) per piece, repeated for its symbols: e over h, whose phase is of no matter."""
    pieces = np.zeros(shape, dtype=np.intp) if piece_of is None else np.asarray(piece_of)
    if pieces.shape != shape or pieces.min() < 0:
        raise ScenarioError("need the piece of each symbol, from 0", value=pieces.shape)
    draw = rng.standard_normal((2, int(pieces.max()) + 1)) * np.sqrt(0.5)
    return np.asarray((draw[0] + 1j * draw[1])[pieces])


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
