"""What a column of a table is called in print, and in which unit its numbers read well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

# name in print, unit
_KNOWN: dict[str, tuple[str, str]] = {
    "score_miou": ("mean IoU", ""),
    "score_accuracy": ("accuracy", ""),
    "score_miou_in_time": ("mean IoU, late answers worth 0", ""),
    "score_accuracy_in_time": ("accuracy, late answers worth 0", ""),
    "score_pixel_accuracy": ("pixel accuracy", ""),
    "score_disparity_rmse_px": ("disparity RMSE", "px"),
    "score_psnr_db": ("PSNR", "dB"),
    "latency_s": ("mean latency", "s"),
    "latency_p50_s": ("median latency", "s"),
    "latency_p95_s": ("95th percentile of latency", "s"),
    "latency_p99_s": ("99th percentile of latency", "s"),
    "energy_j": ("energy per request", "J"),
    "compute_energy_j": ("device's compute energy", "J"),
    "tx_energy_j": ("transmit energy", "J"),
    "rx_energy_j": ("receive energy", "J"),
    "edge_energy_j": ("edge's energy per request", "J"),
    "payload_bits": ("payload", "bit"),
    "bpp": ("rate", "bit/pixel"),
    "channel_uses": ("channel uses per request", ""),
    "pilot_uses": ("pilot symbols per request", ""),
    "papr_db": ("peak-to-average power ratio", "dB"),
    "delivered": ("delivered fraction", ""),
    "losses": ("lost fraction", ""),
    "deadline_met": ("fraction in time", ""),
    "deadline_misses": ("fraction not in time", ""),
    "attempts": ("transmissions per request", ""),
    "n": ("requests", ""),
    "snr_db": ("$E_s/N_0$", "dB"),
    "operating_point": ("operating point", ""),
    "resource_blocks": ("resource blocks", ""),
}
_UNITS = {
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
_VAGUE = {"count", "rate_hz", "split", "policy", "kind", "index", "bits", "period_s", "source"}
_SMALL = ("s", "J", "W")
_LARGE = ("bit", "bit/s", "Hz")


@dataclass(frozen=True, slots=True)
class Quantity:
    """How a column is printed: its number times ``factor`` under ``label``."""

    label: str
    factor: float = 1.0


def name_and_unit(column: str) -> tuple[str, str]:
    """Name in print and unit of a KPI or an axis (``cell.channel.snr_db``).

    An unknown name is read from its ending: ``rate_hz`` is in Hz.
    """
    last = column.rpartition(".")[2]
    if column in _KNOWN or last in _KNOWN:
        return _KNOWN.get(column) or _KNOWN[last]
    ending = max((e for e in _UNITS if last.endswith(e)), key=len, default="")
    words = last.removesuffix(ending).replace("_", " ")
    return _owner(column, last) + words, _UNITS.get(ending, "")


def _owner(column: str, last: str) -> str:
    """The device group or part that a vague name needs: ``phones: count``."""
    parts = column.split(".")
    if last not in _VAGUE or len(parts) < 2 or parts[-2] == "operating_point":
        return ""
    named = parts[1] if parts[0] in ("devices", "networks") else parts[-2]
    return named.replace("_", " ") + " "


def label(column: str, prefix: str = "") -> str:
    """``name [unit]``, with a prefix of the unit (m, µ, k, M)."""
    name, unit = name_and_unit(column)
    return f"{name} [{prefix}{unit}]" if unit else name


def quantity(column: str, values: Iterable[float]) -> Quantity:
    """The label whose unit's prefix makes the largest of the values read between 1 and 1000.

    Seconds, joules and watts below 1 get milli or micro, bits and hertz from 10 000 kilo or mega.
    """
    _, unit = name_and_unit(column)
    numbers = np.abs(np.fromiter(values, float))
    largest = float(numbers[np.isfinite(numbers)].max(initial=0.0))
    factor, prefix = 1.0, ""
    if unit in _SMALL and 0 < largest < 1:
        factor, prefix = (1e3, "m") if largest >= 1e-3 else (1e6, "µ")
    elif unit in _LARGE and largest >= 1e4:
        factor, prefix = (1e-3, "k") if largest < 1e6 else (1e-6, "M")
    return Quantity(label(column, prefix), factor)


def value_text(value: object) -> str:
    """A value of an axis: numbers short, a policy's or variant's YAML without its braces."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | float | np.number):
        return f"{float(value):g}".replace("-", "\N{MINUS SIGN}")
    text = str(value).strip("{} ")
    return text.removeprefix("kind: ").replace("point: ", "")


def setting_text(column: str, value: object) -> str:
    """What tells a curve apart: ``entropy``, ``s8``, ``8 dB``, ``phones count 4``."""
    if not isinstance(value, int | float | np.number) or isinstance(value, bool):
        return value_text(value)
    name, unit = name_and_unit(column)
    return f"{value_text(value)} {unit}" if unit else f"{name} {value_text(value)}"


LABELS = {column: label(column) for column in _KNOWN}
