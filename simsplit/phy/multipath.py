"""Frequency-selective fading: the delay profiles of 3GPP TR 38.901, moving. NumPy only.

Both ends have one vertically polarised isotropic antenna, hence of a CDL only the arrival angles
at the moving device matter: F_theta = 1, F_phi = 0 in equation 7.5-22 leave one phase per ray, and
neither the departure angles nor the cross-polarisation ratio enter. The other end stands still.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.phy.delay_profiles import (
    LOS_DOPPLER_SHARE,
    RAY_OFFSETS_DEG,
    ClusteredDelayLine,
    TappedDelayLine,
    profile,
)
from simsplit.phy.fading import clarke_cosines, phasors, power_db
from simsplit.seeds import generator
from simsplit.units import SPEED_OF_LIGHT_MPS

_RAYS = len(RAY_OFFSETS_DEG)
_PER_COHERENCE = 5.0  # 1 / (5 rms delay spread): where the correlation over frequency is a half


def subbands_needed(delay_spread_s: float, width_hz: float, most: int) -> int:
    """Equal parts of a band within which the channel may be taken as flat, 1 to ``most``.

    Each is a coherence bandwidth 1 / (5 tau_rms) wide at most (T. S. Rappaport, Wireless
    Communications, 2002, equation 5.39). With it the 5 % quantile of the effective SNR of grants of
    6 to 273 resource blocks is within 0.4 dB of that of a channel taken block by block; parts of
    2.5 tau_rms^-1 (12 of 100 MHz at 300 ns) are up to 5 dB too low.
    """
    return min(most, max(1, math.ceil(_PER_COHERENCE * delay_spread_s * width_hz - 1e-9)))


class SelectiveFading:
    """Channel of one device over frequency and the way it has travelled, mean power 1.

    H(d, f) = sum_p sqrt(P_p) g_p(d) exp(-j 2 pi f tau_p), tau_p = delay spread x normalised delay
    (TR 38.901 equation 7.7-1). TDL: each g_p is its own Rayleigh process with Clarke's spectrum,
    the line of sight of D and E a constant with Doppler 0.7 f_D (clause 7.7.2). CDL: each g_p is
    the sum of 20 rays of equal power and random phase; angles by equation 7.7-0a and Table 7.5-3,
    azimuth and zenith coupled at random (step 8 of clause 7.5), Doppler by equation 7.5-22 with a
    horizontal heading that is uniform over devices.

    Args:
        name: ``TDL-A`` to ``TDL-E``, ``CDL-A`` to ``CDL-E``.
        delay_spread_s: rms delay spread (Table 7.7.3-1 gives 10 ns to 1 us).
        carrier_hz: Carrier frequency; Doppler is that of the carrier over the whole band.
        frequencies_hz: ``(F,)``, as offsets from the carrier.
        key: Non-negative integers (seed, device, cause ...) that name this device's channel.
        sinusoids: Per tap of a TDL. A CDL has its 20 rays.

    Raises:
        ScenarioError: Unknown profile, or a number out of range.
    """

    def __init__(
        self,
        name: str,
        delay_spread_s: float,
        carrier_hz: float,
        frequencies_hz: NDArray[np.floating],
        key: tuple[int, ...],
        sinusoids: int = 8,
    ) -> None:
        if delay_spread_s < 0.0 or carrier_hz <= 0.0:
            value = (delay_spread_s, carrier_hz)
            raise ScenarioError("delay spread and carrier must be positive", value=value)
        table, rng = profile(name), generator(*key)
        if isinstance(table, ClusteredDelayLine):
            cosines, per_row = _cluster_cosines(table, rng), _RAYS
        else:
            cosines, per_row = _tap_cosines(table, rng, sinusoids), sinusoids
        rows = _rows_of_rays(table, per_row)
        phase = rng.uniform(-math.pi, math.pi, len(rows))
        amplitude = np.sqrt(table.powers[rows] / np.bincount(rows)[rows]) * np.exp(1j * phase)
        delays_s = table.delays[rows] * delay_spread_s
        shift = np.exp(-2j * math.pi * np.multiply.outer(delays_s, frequencies_hz))
        self._cycles_per_m = cosines * carrier_hz / SPEED_OF_LIGHT_MPS  # (R,)
        self._weights = (amplitude[:, None] * shift).astype(np.complex64)  # (R, F)

    def coefficient(self, travelled_m: NDArray[np.floating]) -> NDArray[np.complex64]:
        """Complex gains ``(T, F)`` after ``(T,)`` metres of way; E|H|^2 = 1 over devices."""
        return np.asarray(phasors(travelled_m, self._cycles_per_m) @ self._weights)

    def gain_db(self, travelled_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Power gains |H|^2 ``(T, F)`` in dB after ``(T,)`` metres of way."""
        return power_db(self.coefficient(travelled_m))


def _rows_of_rays(table: TappedDelayLine, per_row: int) -> NDArray[np.intp]:
    """Which row of the table each ray belongs to; the line of sight is a single ray."""
    counts = np.full(len(table.rows), per_row)
    if table.los:
        counts[0] = 1
    return np.repeat(np.arange(len(counts)), counts)


def _tap_cosines(
    table: TappedDelayLine, rng: np.random.Generator, sinusoids: int
) -> NDArray[np.float64]:
    """Doppler over f_D of every sinusoid, the line of sight first."""
    direct = [LOS_DOPPLER_SHARE] if table.los else []
    return np.append(direct, clarke_cosines(rng, sinusoids, len(table.rows) - len(direct)))


def _cluster_cosines(table: ClusteredDelayLine, rng: np.random.Generator) -> NDArray[np.float64]:
    """Doppler over f_D of every ray: r_rx . v / |v| (equation 7.5-22), the line of sight first."""
    offsets, los = np.array(RAY_OFFSETS_DEG), int(table.los)
    heading = rng.uniform(-math.pi, math.pi)
    azimuth = _spread_deg(table.angles_deg("aoa"), table.c_asa_deg * offsets, los)
    shuffled = rng.permuted(np.tile(offsets, (len(table.rows) - los, 1)), axis=1)
    zenith = _spread_deg(table.angles_deg("zoa"), table.c_zsa_deg * shuffled, los)
    return np.sin(np.radians(zenith)) * np.cos(np.radians(azimuth) - heading)


def _spread_deg(
    centres_deg: NDArray[np.float64], offsets_deg: NDArray[np.float64], los: int
) -> NDArray[np.float64]:
    """Angles of the rays (equation 7.7-0a), flat; the first ``los`` rows have no spread."""
    rays = centres_deg[los:, None] + offsets_deg
    return np.append(centres_deg[:los], rays.ravel())
