"""Path loss, shadowing, flat fading and noise: what makes a device's SNR. NumPy only.

Every generator is keyed by (seed, device, cause, chunk), so the order of access is of no matter.
``BlockFading`` is independent from block to block; ``JakesFading`` follows the way travelled.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.seeds import generator
from simsplit.units import BOLTZMANN_J_PER_K, REFERENCE_TEMPERATURE_K, SPEED_OF_LIGHT_MPS, w_to_dbm

FadingKind = Literal["none", "rayleigh", "rician"]

_CHUNK_BLOCKS = 1024


class BlockFading:
    """Power gain of a flat channel that is constant within a block and independent between blocks.

    Args:
        kind: ``none`` (gain 1), ``rayleigh`` (exponential power), ``rician``.
        k_factor_db: Power of the direct path over the scattered power, for ``rician``.
        key: Non-negative integers (seed, device, cause ...) that name this stream.
    """

    def __init__(
        self, kind: FadingKind, key: tuple[int, ...], k_factor_db: float | None = None
    ) -> None:
        if kind not in ("none", "rayleigh", "rician"):
            choices = ("none", "rayleigh", "rician")
            raise ScenarioError("no such fading", value=kind, choices=choices)
        if (kind == "rician") != (k_factor_db is not None):
            raise ScenarioError("k_factor_db belongs to rician fading, and to no other", value=kind)
        self._kind = kind
        self._key = key
        self._k_linear = 0.0 if k_factor_db is None else 10.0 ** (k_factor_db / 10.0)
        self._chunks: dict[int, list[float]] = {}

    def gain_db(self, block_index: int) -> float:
        """Power gain |h|^2 of a block in dB; its mean over blocks is 1 (0 dB), linear."""
        if self._kind == "none":
            return 0.0
        chunk, index = divmod(block_index, _CHUNK_BLOCKS)
        gains = self._chunks.get(chunk)
        if gains is None:
            gains = self._chunks[chunk] = self._draw_db(chunk)
        return gains[index]

    def _draw_db(self, chunk: int) -> list[float]:
        """Gains of one chunk: |sqrt(K/(K+1)) + CN(0, 1/(K+1))|^2 (Goldsmith 2005, eq. 3.35)."""
        draw = generator(*self._key, chunk).standard_normal((2, _CHUNK_BLOCKS))
        k = self._k_linear
        scattered = draw * math.sqrt(0.5 / (k + 1.0))
        power = (scattered[0] + math.sqrt(k / (k + 1.0))) ** 2 + scattered[1] ** 2
        gains: list[float] = (10.0 * np.log10(power)).tolist()
        return gains


class JakesFading:
    """Flat fading that changes with the way travelled: Clarke's spectrum, Rayleigh or Rician.

    h(d) = sqrt(1/(N (K+1))) sum_n exp(j (2 pi d cos(alpha_n) / lambda + phi_n)), to which Rician
    fading adds sqrt(K/(K+1)) exp(j (2 pi d cos(theta_0) / lambda + phi_0)) (Xiao, Zheng & Beaulieu,
    IEEE Trans. Wireless Commun. 5(12), 2006, eqs. 6, 7 and 11). With alpha_n = (2 pi n + theta_n) /
    N, theta_n uniform in (-pi, pi), the autocorrelation over devices is exactly J0(2 pi d / lambda)
    whatever N. Of Rician fading too, since theta_0, the angle between heading and direct path, is
    uniform here. At constant speed v, d = v t gives J0(2 pi f_D tau) with f_D = v / lambda. N is
    finite: E|h|^4 is 2 - 1/N in place of the exponential's 2, and with the default 16 the rms
    level is crossed 4 % more often than Rice's formula has it (measured; 1 % with 64).

    Args:
        carrier_hz: Carrier frequency.
        key: Non-negative integers (seed, device, cause ...) that name this device's channel.
        k_factor_db: Power of the direct path over the scattered power; none is Rayleigh.
        sinusoids: N.

    Raises:
        ScenarioError: Carrier or number of sinusoids not positive.
    """

    def __init__(
        self,
        carrier_hz: float,
        key: tuple[int, ...],
        k_factor_db: float | None = None,
        sinusoids: int = 16,
    ) -> None:
        if carrier_hz <= 0.0:
            raise ScenarioError("carrier must be positive", value=carrier_hz)
        rng, k = generator(*key), 0.0 if k_factor_db is None else 10.0 ** (k_factor_db / 10.0)
        scattered = clarke_cosines(rng, sinusoids)
        direct = np.cos(rng.uniform(-math.pi, math.pi, 1))
        phase = rng.uniform(-math.pi, math.pi, sinusoids + 1)
        amplitude = [math.sqrt(1.0 / (sinusoids * (k + 1.0)))] * sinusoids
        amplitude.append(math.sqrt(k / (k + 1.0)))
        self._cycles_per_m = np.append(scattered, direct) * carrier_hz / SPEED_OF_LIGHT_MPS
        self._weights = (np.array(amplitude) * np.exp(1j * phase)).astype(np.complex64)

    def coefficient(self, travelled_m: NDArray[np.floating]) -> NDArray[np.complex64]:
        """Complex gains h ``(T,)`` after ``(T,)`` metres of way; E|h|^2 = 1 over devices."""
        return np.asarray(phasors(travelled_m, self._cycles_per_m) @ self._weights)

    def gain_db(self, travelled_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Power gains |h|^2 ``(T,)`` in dB after ``(T,)`` metres of way."""
        return power_db(self.coefficient(travelled_m))


def clarke_cosines(rng: np.random.Generator, sinusoids: int, taps: int = 1) -> NDArray[np.float64]:
    """Cosines of arrival angles of a ring of scatterers, ``(taps * sinusoids,)``, one per sector.

    Each of N sectors of 2 pi / N holds one angle, uniform in it (Xiao, Zheng & Beaulieu 2006, 7).
    Raises ScenarioError for less than one sinusoid.
    """
    if sinusoids < 1:
        raise ScenarioError("fading needs at least one sinusoid", value=sinusoids)
    index = np.arange(sinusoids) + rng.uniform(-0.5, 0.5, (taps, sinusoids))
    return np.cos(2.0 * math.pi / sinusoids * index).ravel()


def phasors(
    travelled_m: NDArray[np.floating], cycles_per_m: NDArray[np.float64]
) -> NDArray[np.complex64]:
    """exp(j 2 pi d nu) ``(T, R)`` for ways d ``(T,)`` in metres and Doppler nu ``(R,)`` in 1/m.

    Whole cycles are taken off in double precision, so that single precision suffices for the sine
    (error below 1e-6) however long the way; it is several times faster.
    """
    cycles = np.multiply.outer(np.asarray(travelled_m, dtype=np.float64), cycles_per_m)
    cycles -= np.rint(cycles)
    angle = (2.0 * math.pi * cycles).astype(np.float32)
    waves = np.empty(angle.shape, dtype=np.complex64)
    np.cos(angle, out=waves.real)
    np.sin(angle, out=waves.imag)
    return waves


def power_db(coefficient: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    """|h|^2 in dB of complex coefficients of any shape, in that shape."""
    power = coefficient.real.astype(np.float64) ** 2 + coefficient.imag.astype(np.float64) ** 2
    return np.asarray(10.0 * np.log10(power))


def free_space_db(distance_m: float, carrier_hz: float) -> float:
    """Free-space path loss 20 log10(4 pi d f / c) in dB (Friis 1946)."""
    _positive(distance_m)
    return 20.0 * math.log10(4.0 * math.pi * distance_m * carrier_hz / SPEED_OF_LIGHT_MPS)


def log_distance_db(
    distance_m: float, carrier_hz: float, exponent: float, reference_m: float = 1.0
) -> float:
    """Free space to the reference distance, 10 n log10(d / d0) beyond (Rappaport 2002, 4.68)."""
    if distance_m < reference_m:
        raise ScenarioError("distance lies within the reference distance", value=distance_m)
    fall_db = 10.0 * exponent * math.log10(distance_m / reference_m)
    return free_space_db(reference_m, carrier_hz) + fall_db


def thermal_noise_dbm(bandwidth_hz: float, noise_figure_db: float) -> float:
    """Noise power k T B F in dBm at 290 K."""
    power_w = BOLTZMANN_J_PER_K * REFERENCE_TEMPERATURE_K * bandwidth_hz
    return w_to_dbm(power_w) + noise_figure_db


def gains_db(fading: BlockFading, n_blocks: int) -> NDArray[np.float64]:
    """The first ``n_blocks`` gains as an array ``(n_blocks,)`` in dB, for plots and tests."""
    return np.array([fading.gain_db(i) for i in range(n_blocks)])


def _positive(distance_m: float) -> None:
    if distance_m <= 0.0:
        raise ScenarioError("distance must be positive", value=distance_m)
