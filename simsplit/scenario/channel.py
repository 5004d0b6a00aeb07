"""Every noun that a scenario's YAML may say about the channel: path loss, traces, fading."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from simsplit.scenario.custom import CustomSpec
from simsplit.scenario.spec import Fraction, Level, NonNegative, Number, Positive, Spec

# --- large-scale channel ----------------------------------------------------------------------


class FixedSnr(Spec):
    """AWGN (with optional fading on top) at one mean Es/N0, whatever the distance and grant."""

    kind: Literal["fixed_snr"]
    snr_db: Annotated[Number, Field(ge=-50, le=100)]


class FreeSpace(Spec):
    """Friis free-space loss."""

    kind: Literal["free_space"]
    shadowing_db: NonNegative = 0.0
    shadowing_correlation_m: Positive = 50.0


class LogDistance(Spec):
    """PL = PL(d0 = 1 m, free space) + 10 n log10(d) with log-normal shadowing."""

    kind: Literal["log_distance"]
    exponent: Annotated[Number, Field(ge=1, le=8)] = 3.0
    shadowing_db: NonNegative = 0.0
    shadowing_correlation_m: Positive = 50.0


class _Tr38901(Spec):
    """What the 3GPP TR 38.901 environments share: LOS drawn by Table 7.4.2-1, shadowing by 7.4.1-1.

    ``indoor_share`` of the devices stand indoors and pay the penetration loss of clause 7.4.3.
    """

    shadowing: bool = True


class _Outdoor(_Tr38901):
    indoor_share: Fraction = 0.0
    o2i: Literal["low", "high"] = "low"


class UmiStreetCanyon(_Outdoor):
    """Urban micro, street canyon: base stations below the roofs."""

    kind: Literal["umi_street_canyon"]
    base_station_height_m: Annotated[Number, Field(gt=1, le=150)] = 10.0
    device_height_m: Annotated[Number, Field(ge=1.5, le=22.5)] = 1.5


class Uma(_Outdoor):
    """Urban macro: base stations above the roofs."""

    kind: Literal["uma"]
    base_station_height_m: Annotated[Number, Field(gt=1, le=150)] = 25.0
    device_height_m: Annotated[Number, Field(ge=1.5, le=22.5)] = 1.5


class Rma(_Outdoor):
    """Rural macro."""

    kind: Literal["rma"]
    base_station_height_m: Annotated[Number, Field(ge=10, le=150)] = 35.0
    device_height_m: Annotated[Number, Field(ge=1, le=10)] = 1.5
    o2i: Literal["low"] = "low"  # clause 7.4.3.1 has no other for RMa
    building_height_m: Annotated[Number, Field(ge=5, le=50)] = 5.0
    street_width_m: Annotated[Number, Field(ge=5, le=50)] = 20.0


class InhOffice(_Tr38901):
    """Indoor hotspot, office: mixed (corridors and rooms) or open plan."""

    kind: Literal["inh_office"]
    base_station_height_m: Annotated[Number, Field(gt=1, le=20)] = 3.0
    device_height_m: Annotated[Number, Field(gt=0, le=20)] = 1.0
    office: Literal["mixed", "open"] = "mixed"


_SPARSE = {"clutter_size_m": 10.0, "clutter_density": 0.2, "clutter_height_m": 2.0}
_DENSE = {"clutter_size_m": 2.0, "clutter_density": 0.6, "clutter_height_m": 6.0}
_LOW, _HIGH = ({"base_station_height_m": h, "device_height_m": 1.5} for h in (1.5, 8.0))
_HALLS: dict[str, dict[str, float]] = {  # TR 38.901 Table 7.8-7; hh is not there: both above
    "sl": _SPARSE | _LOW,
    "dl": _DENSE | _LOW,
    "sh": _SPARSE | _HIGH,
    "dh": _DENSE | _HIGH,
    "hh": _SPARSE | {"base_station_height_m": 8.0, "device_height_m": 8.0},
}


class InfHall(_Tr38901):
    """Indoor factory: sparse or dense clutter (s, d), low or high base station (l, h).

    Keys that are left out take the values of TR 38.901 Table 7.8-7 for the hall.
    """

    kind: Literal["inf"]
    hall: Literal["sl", "dl", "sh", "dh", "hh"] = "sh"
    base_station_height_m: Annotated[Number, Field(gt=0, le=25)]
    device_height_m: Annotated[Number, Field(gt=0, le=25)]
    clutter_size_m: Annotated[Number, Field(gt=0, le=50)]
    clutter_density: Annotated[Number, Field(gt=0, lt=1)]
    clutter_height_m: Annotated[Number, Field(gt=0, le=10)]

    @model_validator(mode="before")
    @classmethod
    def _of_the_hall(cls, content: Any) -> Any:
        """What is left out is as TR 38.901 Table 7.8-7 has it for this hall."""
        if not isinstance(content, dict):
            return content
        return _HALLS.get(str(content.get("hall", "sh")), {}) | content


class TraceChannel(Spec):
    """A measured channel: a CSV or Parquet of (time, device, SNR or RSRP) in place of a model.

    Columns are found by their names; the ``*_column`` keys and ``value`` overrule the guess. Device
    n of the scenario follows device n of the file, modulo its number of devices; ``offset_s`` x n
    shifts those that share one. The file's level is the SNR of the grant, as with ``fixed_snr``;
    RSRP becomes path loss = ``reference_dbm_per_re`` - RSRP (TS 38.215 clause 5.1.1).
    """

    kind: Literal["trace"]
    file: str
    value: Literal["auto", "snr", "rsrp"] = "auto"
    time_column: str | None = None
    value_column: str | None = None
    device_column: str | None = None
    reference_dbm_per_re: Level = 15.0
    at_end: Literal["repeat", "hold", "error"] = "repeat"
    interpolation: Literal["linear", "previous"] = "linear"
    offset_s: NonNegative = 0.0


class CustomChannel(CustomSpec):
    """A user's own process of Es/N0 over time, one object per device.

    See `simsplit.contracts.SnrProcess`. Its level is the SNR of the grant, as with ``fixed_snr``;
    ``fading`` comes on top.
    """


Channel = Annotated[
    FixedSnr
    | FreeSpace
    | LogDistance
    | UmiStreetCanyon
    | Uma
    | Rma
    | InhOffice
    | InfHall
    | TraceChannel
    | CustomChannel,
    Field(discriminator="kind"),
]
Tr38901 = UmiStreetCanyon | Uma | Rma | InhOffice | InfHall

_ENDLESS = (0.0, float("inf"))
_DISTANCE_RANGE_M = {  # TR 38.901 Table 7.4.1-1
    "umi_street_canyon": (10.0, 5000.0),
    "uma": (10.0, 5000.0),
    "rma": (10.0, 5000.0),
    "log_distance": (1.0, float("inf")),
}
_LONGEST_3D_M = {"inh_office": 150.0, "inf": 600.0}  # there the table bounds the 3-D distance
_CARRIER_RANGE_HZ = {"rma": (0.5e9, 30e9)}


def distance_range_m(channel: Channel) -> tuple[float, float]:
    """Shortest and longest distance in m that the path loss of this channel is made for."""
    if isinstance(channel, InhOffice | InfHall):
        drop_m = channel.base_station_height_m - channel.device_height_m
        return 1.0, (_LONGEST_3D_M[channel.kind] ** 2 - drop_m**2) ** 0.5
    return _DISTANCE_RANGE_M.get(channel.kind, _ENDLESS)


def carrier_range_hz(channel: Channel) -> tuple[float, float]:
    """Lowest and highest carrier in Hz of this channel (TR 38.901: 0.5 to 100 GHz, RMa 30)."""
    if isinstance(channel, Tr38901):
        return _CARRIER_RANGE_HZ.get(channel.kind, (0.5e9, 100e9))
    return _ENDLESS


# --- small-scale fading -----------------------------------------------------------------------


class NoFading(Spec):
    """A constant channel."""

    kind: Literal["none"] = "none"


class RayleighBlocks(Spec):
    """One exponential power gain per device and coherence time, the same over the band."""

    kind: Literal["rayleigh"]
    coherence_time_s: Positive = 0.01


class RicianBlocks(Spec):
    """One Rician power gain per device and coherence time, the same over the band."""

    kind: Literal["rician"]
    k_factor_db: Level = 6.0
    coherence_time_s: Positive = 0.01


class _Moving(Spec):
    """``speed_mps``: Doppler of a device that stands still (things move around it)."""

    speed_mps: NonNegative = 3 / 3.6


class Jakes(_Moving):
    """Flat Rayleigh (with ``k_factor_db``: Rician) fading, autocorrelation J0(2 pi f_D t)."""

    kind: Literal["jakes"]
    k_factor_db: Level | None = None


class Multipath(_Moving):
    """Frequency-selective TDL-A…E or CDL-A…E of TR 38.901 clause 7.7, reduced to effective SINR.

    ``subbands``: points over the carrier at which the channel is evaluated; left out, as many as
    the delay spread asks for, one per resource block at most. A run with fewer is flagged.
    """

    kind: Literal["tdl", "cdl"]
    profile: Literal["A", "B", "C", "D", "E"] = "A"
    delay_spread_s: Annotated[Number, Field(gt=0, le=1e-5)] = 100e-9
    subbands: Annotated[int, Field(ge=1, le=275, strict=True)] | None = None
    effective_sinr: Literal["miesm", "eesm"] = "miesm"


Fading = Annotated[
    NoFading | RayleighBlocks | RicianBlocks | Jakes | Multipath, Field(discriminator="kind")
]
