"""Conversions between logarithmic and linear units, and constants with their source."""

from __future__ import annotations

import math
import re

BOLTZMANN_J_PER_K = 1.380649e-23  # exact, SI 2019
REFERENCE_TEMPERATURE_K = 290.0  # IEEE Std 100, noise figure reference
SPEED_OF_LIGHT_MPS = 299_792_458.0  # exact, SI
BITS_PER_BYTE = 8


UNIT_OF_ENDING = {
    "_s": "s",
    "_j": "J",
    "_w": "W",
    "_hz": "Hz",
    "_khz": "kHz",
    "_mhz": "MHz",
    "_ghz": "GHz",
    "_m": "m",
    "_bits": "bit",
    "_bytes": "byte",
    "_bps": "bit/s",
    "_db": "dB",
    "_dbm": "dBm",
    "_mps": "m/s",
    "_kmh": "km/h",
    "_px": "px",
    "_c": "°C",
}
_PREFIXES = {"": 1.0, "n": 1e-9, "µ": 1e-6, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}
_PREFIXED = ("bit/s", "m/s", "byte", "bit", "Hz", "s", "J", "W", "m")
_STATISTIC = re.compile(r"p\d+|mean")  # of a KPI: latency_s.p95


def ending_of(name: str) -> str:
    """The ending of a setting's or column's name that says its unit; empty if none does.

    Of a path the last part counts: ``_hz`` of ``devices.a.arrivals.rate_hz``.
    """
    last = name.rpartition(".")[2]
    return max((end for end in UNIT_OF_ENDING if last.endswith(end)), key=len, default="")


def in_unit_of(name: str, value: float, unit: str) -> float | None:
    """A value with a unit (``100``, ``ms``) in the unit of a name (``latency_s.p95``: 0.1).

    None if the name's ending says no unit, or one of another kind.
    """
    plain, _, last = name.rpartition(".")
    wanted = UNIT_OF_ENDING.get(ending_of(plain if _STATISTIC.fullmatch(last) else name), "")
    there, here = _scaled(unit), _scaled(wanted)
    if not wanted or there[1] != here[1]:
        return None
    return value if unit == wanted else float(f"{value * there[0] / here[0]:.15g}")


def _scaled(unit: str) -> tuple[float, str]:
    """Factor of a unit's prefix, and the unit without it."""
    for base in _PREFIXED:
        prefix = unit.removesuffix(base)
        if unit.endswith(base) and prefix in _PREFIXES:
            return _PREFIXES[prefix], base
    return 1.0, unit


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
