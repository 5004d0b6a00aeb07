"""Conversions between logarithmic and linear units, and constants with their source."""

from __future__ import annotations

import math

BOLTZMANN_J_PER_K = 1.380649e-23  # exact, SI 2019
REFERENCE_TEMPERATURE_K = 290.0  # IEEE Std 100, noise figure reference
SPEED_OF_LIGHT_MPS = 299_792_458.0  # exact, SI
BITS_PER_BYTE = 8


def db_to_linear(value_db: float) -> float:
    """Power ratio of a level in dB: 10^(x/10)."""
    return float(10.0 ** (value_db / 10.0))


def linear_to_db(ratio: float) -> float:
    """Level in dB of a power ratio: 10 log10(x). Zero gives -inf; negative raises ValueError."""
    return 10.0 * math.log10(ratio) if ratio != 0.0 else -math.inf


def dbm_to_w(power_dbm: float) -> float:
    """Watts of a power in dBm."""
    return db_to_linear(power_dbm) * 1e-3


def w_to_dbm(power_w: float) -> float:
    """dBm of a power in watts."""
    return linear_to_db(power_w) + 30.0
