"""Channel traces from Sionna's fading models, in the form that `simsplit.phy.traces.read` reads.

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
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from simsplit.errors import ScenarioError
from simsplit.files import whole_file, write_whole
from simsplit.phy.multipath import subbands_needed
from simsplit.seeds import generator
from simsplit.units import SPEED_OF_LIGHT_MPS

if TYPE_CHECKING:
    import pandas as pd


Profile = Literal["A", "B", "C", "D", "E"]
Kind = Literal["tdl", "cdl"]
Floats = NDArray[np.float64]
Model = Callable[[int, int, float], tuple[Any, Any]]  # (batch, steps, steps per s) → (a, tau)

PROFILES: tuple[Profile, ...] = ("A", "B", "C", "D", "E")
ENDINGS = (".csv", ".parquet")
MOST_STEPS = 100_000  # per device; Sionna's double-precision models take about 25 kB per step
_ROUND_DB = 4
_ROUND_S = 9
_MOST_BANDS = 275


@dataclass(frozen=True, slots=True, kw_only=True)
class FadingSettings:
    """What a trace of a fading model is made of, checked.

    Attributes:
        profile: A to E of TR 38.901 clause 7.7.
        delay_spread_s: RMS delay spread that the profile is scaled to.
        speed_mps, snr_db: One number, or one per device; ``snr_db`` is the mean over the fading.
        bandwidth_hz, subbands: The band, and at how many frequencies it is looked at; by default at
            as many as the delay spread asks for on this band.

    Raises:
        ScenarioError: A parameter is impossible, or a device would have over 100,000 rows.
    """

    profile: Profile = "A"
    delay_spread_s: float = 100e-9
    carrier_hz: float = 3.5e9
    speed_mps: float | Sequence[float] = 1.0
    snr_db: float | Sequence[float] = 15.0
    devices: int = 1
    duration_s: float = 10.0
    step_s: float = 0.5e-3
    bandwidth_hz: float = 18.36e6
    subbands: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ScenarioError("no such profile", value=self.profile, choices=PROFILES)
        check_positive(
            delay_spread_s=self.delay_spread_s,
            carrier_hz=self.carrier_hz,
            bandwidth_hz=self.bandwidth_hz,
            subbands=self.subbands,
            devices=self.devices,
        )
        check_clock(self.duration_s, self.step_s)
        if self.steps > MOST_STEPS:
            message = f"over {MOST_STEPS} rows per device; take a longer step_s"
            raise ScenarioError(message, path="duration_s", value=self.duration_s)

    @property
    def steps(self) -> int:
        """Rows per device."""
        return round(float(self.duration_s) / float(self.step_s))


def make_tdl_trace(out: str | Path, **settings: Any) -> Path:
    """Write a trace of the tapped delay lines of TR 38.901 clause 7.7.2, by Sionna's ``TDL``.

    Args:
        out: The file.
        settings: As `FadingSettings` has them.

    Raises:
        ScenarioError: A parameter is impossible, or a device would have over 100,000 rows.
    """
    return _make("tdl", check_out(out), _settings(**settings))


def make_cdl_trace(out: str | Path, **settings: Any) -> Path:
    """Write a trace of the clustered delay lines of TR 38.901 clause 7.7.1, by Sionna's ``CDL``.

    Both ends have one vertically polarised isotropic antenna, the device a random heading.

    Args:
        out: The file.
        settings: As `FadingSettings` has them.

    Raises:
        ScenarioError: A parameter is impossible, or a device would have over 100,000 rows.
    """
    return _make("cdl", check_out(out), _settings(**settings))


def _settings(*, subbands: int | None = None, **said: Any) -> FadingSettings:
    """The settings; of subbands that are not said as many as the delay spread asks for."""
    settings = FadingSettings(**said, subbands=1 if subbands is None else subbands)
    if subbands is not None:
        return settings
    needed = subbands_needed(settings.delay_spread_s, settings.bandwidth_hz, _MOST_BANDS)
    return replace(settings, subbands=needed)


def _make(kind: Kind, out: Path, settings: FadingSettings) -> Path:
    snrs_db = _per_device(settings.snr_db, settings.devices, "snr_db")
    speeds_mps = _per_device(settings.speed_mps, settings.devices, "speed_mps")
    levels_db = [
        snr_db + _gains_db(kind, settings, speed_mps, snr_db, device)
        for device, (snr_db, speed_mps) in enumerate(zip(snrs_db, speeds_mps, strict=True))
    ]
    times_s: Floats = np.arange(levels_db[0].size, dtype=np.float64) * settings.step_s
    dopplers_hz = [speed * settings.carrier_hz / SPEED_OF_LIGHT_MPS for speed in speeds_mps]
    derived = {"doppler_hz": dopplers_hz, "reduction": "2^mean(log2(1 + SNR)) - 1 over subbands"}
    card = {"kind": kind, "value": "snr", "parameters": asdict(settings), **derived}
    return write(out, table(times_s, levels_db, "snr_db"), card)


def effective_snr_db(gains: Floats, snr_db: float) -> Floats:
    """SNR ``(T,)`` in dB of the flat channel with the mean capacity of linear ``gains (T, F)``.

    ``snr_db``: the mean SNR, at gain 1.
    """
    nats = np.log1p(10.0 ** (snr_db / 10.0) * gains).mean(axis=1)
    return np.asarray(10.0 * np.log10(np.expm1(nats)))


def _gains_db(
    kind: Kind, settings: FadingSettings, speed_mps: float, snr_db: float, device: int
) -> Floats:
    """Effective gain over the mean SNR of one device, ``(T,)`` in dB."""
    steps = settings.steps
    seed = int(generator(settings.seed, device).integers(2**31))
    with _sionna(seed):
        build = _tdl if kind == "tdl" else _cdl
        model = build(settings.profile, settings.delay_spread_s, settings.carrier_hz, speed_mps)
        taps, delays_s = model(1, steps, 1.0 / settings.step_s)
    offsets_hz = frequencies_hz(settings.bandwidth_hz, settings.subbands)
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


def check_clock(duration_s: float, step_s: float) -> None:
    """The duration holds at least one step, both above zero; ScenarioError otherwise."""
    check_positive(duration_s=duration_s, step_s=step_s)
    if step_s > duration_s:
        raise ScenarioError("longer than duration_s", path="step_s", value=step_s)


def check_positive(**settings: float) -> None:
    """Numbers above zero; ScenarioError names the first setting that is not."""
    for name, value in settings.items():
        if not value > 0:
            raise ScenarioError("must be above zero", path=name, value=value)


def check_out(out: str | Path) -> Path:
    """The file, whose ending says CSV or Parquet; ScenarioError otherwise."""
    file = Path(out)
    if file.suffix not in ENDINGS:
        raise ScenarioError("a trace ends in", path="out", value=file.name, choices=ENDINGS)
    return file


def _per_device(value: float | Sequence[float], devices: int, key: str) -> list[float]:
    values = [float(x) for x in value] if isinstance(value, Sequence) else [float(value)] * devices
    if len(values) != devices:
        raise ScenarioError(f"one number, or one for each of {devices}", path=key, value=values)
    if key == "speed_mps" and min(values) < 0.0:
        raise ScenarioError("must not be negative", path=key, value=min(values))
    return values


def table(times_s: Floats, levels_db: Sequence[Floats], name: str, **more: Floats) -> pd.DataFrame:
    """Rows (time_s, device, level), device after device.

    Args:
        times_s: ``(T,)``, the same for all devices.
        levels_db: One ``(T,)`` per device.
        name: Of the level's column.
        more: Further columns, of all rows.
    """
    import pandas as pd

    count = len(levels_db)
    columns = {
        "time_s": np.tile(np.round(times_s, _ROUND_S), count),
        "device": np.repeat(np.arange(count), times_s.size),
        name: np.round(np.concatenate(levels_db), _ROUND_DB),
    }
    return pd.DataFrame({**columns, **{key: np.round(x, 3) for key, x in more.items()}})


def write(out: Path, rows: pd.DataFrame, card: Mapping[str, Any]) -> Path:
    """Write the table, and beside it a JSON with ``card``, the rows and the versions.

    Returns:
        The table's path.

    Raises:
        ScenarioError: Another file stands where the JSON goes.
    """
    beside = out.with_suffix(".json")
    if beside.exists() and not _is_ours(beside):
        message = "another file stands where the JSON that goes with the table is written"
        raise ScenarioError(message, path=str(beside))
    with whole_file(out) as aside:
        if out.suffix == ".csv":
            rows.to_csv(aside, index=False)
        else:
            rows.to_parquet(aside, index=False)
    whole = {**card, "rows": len(rows), "versions": _versions()}
    write_whole(beside, json.dumps(whole, indent=2) + "\n")
    return out


def _is_ours(file: Path) -> bool:
    """Whether a file is the JSON of a trace that was made before."""
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"rows", "versions"} <= set(content)


def _versions() -> dict[str, str]:
    names = ("simsplit", "sionna-no-rt", "sionna", "sionna-rt", "torch", "numpy")
    versions = {name: _version(name) for name in names}
    installed = {name: number for name, number in versions.items() if number}
    return {"python": platform.python_version(), **installed}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
