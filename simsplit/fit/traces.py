"""Channel traces from Sionna's fading models, in the form that ``phy.trace`` reads.

A trace is a table (CSV or Parquet, by the file's ending) with columns ``time_s``, ``device`` and
``snr_db``; beside it ``<stem>.json`` holds the parameters, the seed and the versions. Each row is
one slot: the channel at ``subbands`` frequencies over the band, reduced to the SNR of the flat
channel with the same mean capacity, 2^mean(log2(1 + SNR_f)) - 1, which favours no modulation.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.seeds import generator
from simsplit.units import SPEED_OF_LIGHT_MPS

if TYPE_CHECKING:
    import pandas as pd

Profile = Literal["A", "B", "C", "D", "E"]
Floats = NDArray[np.float64]
Model = Callable[[int, int, float], tuple[Any, Any]]  # (batch, steps, steps per s) → (a, tau)

PROFILES: tuple[Profile, ...] = ("A", "B", "C", "D", "E")
ENDINGS = (".csv", ".parquet")
MOST_STEPS = 100_000  # per device; Sionna's double-precision models take about 25 kB per step
_ROUND_DB = 4
_ROUND_S = 9


def make_tdl_trace(
    out: str | Path,
    *,
    profile: Profile = "A",
    delay_spread_s: float = 100e-9,
    carrier_hz: float = 3.5e9,
    speed_mps: float | Sequence[float] = 1.0,
    snr_db: float | Sequence[float] = 15.0,
    devices: int = 1,
    duration_s: float = 10.0,
    step_s: float = 0.5e-3,
    bandwidth_hz: float = 18.36e6,
    subbands: int = 12,
    seed: int = 0,
) -> Path:
    """Write a trace of the tapped delay lines of TR 38.901 clause 7.7.2, by Sionna's ``TDL``.

    ``snr_db`` is the mean over the fading; it and ``speed_mps`` are one number or one per device.

    Raises:
        ScenarioError: A parameter is impossible, or a device would have over 100,000 rows.
    """
    said = {key: value for key, value in locals().items() if key != "out"}
    return _make("tdl", Path(out), said)


def make_cdl_trace(
    out: str | Path,
    *,
    profile: Profile = "A",
    delay_spread_s: float = 100e-9,
    carrier_hz: float = 3.5e9,
    speed_mps: float | Sequence[float] = 1.0,
    snr_db: float | Sequence[float] = 15.0,
    devices: int = 1,
    duration_s: float = 10.0,
    step_s: float = 0.5e-3,
    bandwidth_hz: float = 18.36e6,
    subbands: int = 12,
    seed: int = 0,
) -> Path:
    """Write a trace of the clustered delay lines of TR 38.901 clause 7.7.1, by Sionna's ``CDL``.

    Both ends have one vertically polarised isotropic antenna, the device a random heading.
    ``snr_db`` is the mean over the fading; it and ``speed_mps`` are one number or one per device.

    Raises:
        ScenarioError: A parameter is impossible, or a device would have over 100,000 rows.
    """
    said = {key: value for key, value in locals().items() if key != "out"}
    return _make("cdl", Path(out), said)


def _make(kind: Literal["tdl", "cdl"], out: Path, said: dict[str, Any]) -> Path:
    check_out(out)
    _check(said)
    devices = said["devices"]
    snrs_db = _per_device(said["snr_db"], devices, "snr_db")
    speeds_mps = _per_device(said["speed_mps"], devices, "speed_mps")
    levels_db = [
        snr_db + _gains_db(kind, said, speed_mps, snr_db, device)
        for device, (snr_db, speed_mps) in enumerate(zip(snrs_db, speeds_mps, strict=True))
    ]
    times_s = np.arange(levels_db[0].size) * said["step_s"]
    dopplers_hz = [speed * said["carrier_hz"] / SPEED_OF_LIGHT_MPS for speed in speeds_mps]
    derived = {"doppler_hz": dopplers_hz, "reduction": "2^mean(log2(1 + SNR)) - 1 over subbands"}
    card = {"kind": kind, "value": "snr", "parameters": said, **derived}
    return write(out, table(times_s, levels_db, "snr_db"), card)


def effective_snr_db(gains: Floats, snr_db: float) -> Floats:
    """SNR ``(T,)`` in dB of the flat channel whose capacity is the mean over ``gains (T, F)``."""
    nats = np.log1p(10.0 ** (snr_db / 10.0) * gains).mean(axis=1)
    return np.asarray(10.0 * np.log10(np.expm1(nats)))


def _gains_db(
    kind: Literal["tdl", "cdl"],
    said: Mapping[str, Any],
    speed_mps: float,
    snr_db: float,
    device: int,
) -> Floats:
    """Effective gain over the mean SNR of one device, ``(T,)`` in dB."""
    steps = _steps(said)
    seed = int(generator(said["seed"], device).integers(2**31))
    with _sionna(seed):
        build = _tdl if kind == "tdl" else _cdl
        model = build(said["profile"], said["delay_spread_s"], said["carrier_hz"], speed_mps)
        taps, delays_s = model(1, steps, 1.0 / said["step_s"])
    offsets_hz = frequencies_hz(said["bandwidth_hz"], said["subbands"])
    response = _response(taps.numpy().reshape(-1, steps), delays_s.numpy().ravel(), offsets_hz)
    return effective_snr_db(np.abs(response) ** 2, snr_db) - snr_db


def _response(
    taps: NDArray[np.complex128], delays_s: Floats, offsets_hz: Floats
) -> NDArray[np.complex128]:
    """H(t, f) = sum_p a_p(t) exp(-j 2 pi f tau_p), ``(T, F)`` from taps ``(P, T)``."""
    return np.asarray(taps.T @ np.exp(-2j * np.pi * np.outer(delays_s, offsets_hz)))


def frequencies_hz(bandwidth_hz: float, subbands: int) -> Floats:
    """Centres of equal subbands over the band, ``(F,)`` as offsets from the carrier."""
    return np.asarray(bandwidth_hz * ((np.arange(subbands) + 0.5) / subbands - 0.5))


@contextmanager
def _sionna(seed: int) -> Iterator[None]:
    """Sionna's stream seeded for one device; torch's global one, changed by that, is put back."""
    import torch

    before = torch.get_rng_state()
    try:
        from sionna.phy import config

        config.seed = seed
        yield
    finally:
        torch.set_rng_state(before)


def _tdl(profile: str, delay_spread_s: float, carrier_hz: float, speed_mps: float) -> Model:
    from sionna.phy.channel.tr38901 import TDL

    model: Model = TDL(
        profile,
        delay_spread_s,
        carrier_hz,
        min_speed=speed_mps,
        max_speed=speed_mps,
        precision="double",
    )
    return model


def _cdl(profile: str, delay_spread_s: float, carrier_hz: float, speed_mps: float) -> Model:
    from sionna.phy.channel.tr38901 import CDL, PanelArray

    antenna = PanelArray(
        num_rows_per_panel=1,
        num_cols_per_panel=1,
        polarization="single",
        polarization_type="V",
        antenna_pattern="omni",
        carrier_frequency=carrier_hz,
        precision="double",
    )
    model: Model = CDL(
        profile,
        delay_spread_s,
        carrier_hz,
        antenna,
        antenna,
        "uplink",
        min_speed=speed_mps,
        max_speed=speed_mps,
        precision="double",
    )
    return model


def _check(said: Mapping[str, Any]) -> None:
    if said["profile"] not in PROFILES:
        raise ScenarioError("no such profile", value=said["profile"], choices=PROFILES)
    check_positive(said, ("delay_spread_s", "carrier_hz", "bandwidth_hz", "subbands", "devices"))
    check_clock(said)
    if _steps(said) > MOST_STEPS:
        message = f"over {MOST_STEPS} rows per device; take a longer step_s"
        raise ScenarioError(message, path="duration_s", value=said["duration_s"])


def check_clock(said: Mapping[str, Any]) -> None:
    """The duration holds at least one step, both above zero; ScenarioError otherwise."""
    check_positive(said, ("duration_s", "step_s"))
    if said["step_s"] > said["duration_s"]:
        raise ScenarioError("longer than duration_s", path="step_s", value=said["step_s"])


def check_positive(said: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Numbers above zero; ScenarioError names the key that is not."""
    for key in keys:
        if not said[key] > 0:
            raise ScenarioError("must be above zero", path=key, value=said[key])


def check_out(out: Path) -> None:
    """The file's ending says CSV or Parquet; ScenarioError otherwise."""
    if out.suffix not in ENDINGS:
        raise ScenarioError("a trace ends in", path="out", value=out.name, choices=ENDINGS)


def _steps(said: Mapping[str, Any]) -> int:
    duration_s, step_s = float(said["duration_s"]), float(said["step_s"])
    return round(duration_s / step_s)


def _per_device(value: float | Sequence[float], devices: int, key: str) -> list[float]:
    values = [float(x) for x in value] if isinstance(value, Sequence) else [float(value)] * devices
    if len(values) != devices:
        raise ScenarioError(f"one number, or one for each of {devices}", path=key, value=values)
    if key == "speed_mps" and min(values) < 0.0:
        raise ScenarioError("must not be negative", path=key, value=min(values))
    return values


def table(times_s: Floats, levels_db: Sequence[Floats], name: str, **more: Floats) -> pd.DataFrame:
    """Rows (time_s, device, level), device after device; ``more``: further columns."""
    import pandas as pd

    count = len(levels_db)
    columns = {
        "time_s": np.tile(np.round(times_s, _ROUND_S), count),
        "device": np.repeat(np.arange(count), times_s.size),
        name: np.round(np.concatenate(levels_db), _ROUND_DB),
    }
    return pd.DataFrame({**columns, **{key: np.round(x, 3) for key, x in more.items()}})


def write(out: Path, rows: pd.DataFrame, card: Mapping[str, Any]) -> Path:
    """The table, and beside it the JSON with how it was made; returns the table's path."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".csv":
        rows.to_csv(out, index=False)
    else:
        rows.to_parquet(out, index=False)
    whole = {**card, "rows": len(rows), "versions": _versions()}
    out.with_suffix(".json").write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return out


def _versions() -> dict[str, str]:
    names = ("simsplit", "sionna-no-rt", "sionna", "sionna-rt", "torch", "numpy")
    found = {name: _version(name) for name in names}
    known = {name: number for name, number in found.items() if number}
    return {"python": platform.python_version(), **known}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
