"""Every noun a scenario's YAML may say: frozen, bounded, with units in the names.

Defaults are stated here and appear in the resolved ``scenario.yaml`` of every result. Errors are
turned into `ScenarioError` with their YAML path by `simsplit.load`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _number_from_text(value: object) -> object:
    """Accept ``1e7`` and ``20e6``, which YAML 1.1 (PyYAML) reads as text."""
    if isinstance(value, bool):
        raise ValueError("expected a number, found true/false")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError as error:
            raise ValueError("expected a plain number in the unit that the key names") from error
    return value


Number = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, strict=True)]
Whole = Annotated[int, Field(ge=0, strict=True)]
Level = Annotated[Number, Field(ge=-200, le=200)]
Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][\w.+-]*$")]


class Spec(BaseModel):
    """Base of every noun: unknown keys are errors, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)


# --- task and network -------------------------------------------------------------------------


class Task(Spec):
    """Whose samples the devices see. ``samples``: how many of the test range circulate."""

    dataset: Literal["streets", "digits"] = "streets"
    height_px: Count = 64
    width_px: Count = 128
    samples: Annotated[int, Field(ge=1, le=512, strict=True)] = 128


class PngCodec(Spec):
    """Lossless image file (raw scheme)."""

    kind: Literal["png"]


class JpegCodec(Spec):
    """JPEG image file (raw scheme), Pillow quality."""

    kind: Literal["jpeg"]
    quality: Annotated[int, Field(ge=1, le=95, strict=True)] = 75


class WebpCodec(Spec):
    """Lossy WebP image file (raw scheme), Pillow quality."""

    kind: Literal["webp"]
    quality: Annotated[int, Field(ge=1, le=100, strict=True)] = 75


class EntropyCodec(Spec):
    """Min-max quantised feature, range coded with the model's static tables (separate scheme)."""

    kind: Literal["entropy"]
    bits: Literal[4, 6, 8] = 8


class PngTilesCodec(Spec):
    """Min-max quantised feature, channels tiled into one grey PNG (separate scheme)."""

    kind: Literal["png_tiles"]
    bits: Literal[4, 6, 8] = 8


Codec = Annotated[
    PngCodec | JpegCodec | WebpCodec | EntropyCodec | PngTilesCodec, Field(discriminator="kind")
]

_CODECS_OF_SCHEME = {
    "local": (),
    "raw": ("png", "jpeg", "webp"),
    "separate": ("entropy", "png_tiles"),
    "jscc": (),
}


class OperatingPoint(Spec):
    """Split + codec + scheme: one way to bring the task from the device to the edge.

    ``local``: the whole network on the device; with ``send_result`` the small answer goes up.
    ``raw``: compressed image, whole network at the edge. ``separate``: coded feature over LDPC.
    ``jscc``: the feature as analog channel symbols.
    """

    name: Name
    scheme: Literal["local", "raw", "separate", "jscc"]
    split: Name | None = None
    codec: Codec | None = None
    send_result: bool = False

    @model_validator(mode="after")
    def _codec_fits_scheme(self) -> OperatingPoint:
        allowed = _CODECS_OF_SCHEME[self.scheme]
        kind = None if self.codec is None else self.codec.kind
        if allowed and kind not in allowed:
            raise ValueError(
                f"scheme '{self.scheme}' needs a codec of kind {' | '.join(allowed)}, found {kind}"
            )
        if not allowed and kind is not None:
            raise ValueError(f"scheme '{self.scheme}' takes no codec, found {kind}")
        if self.split is not None and self.scheme in ("local", "raw"):
            raise ValueError(f"scheme '{self.scheme}' has no split; leave the key out")
        if self.send_result and self.scheme != "local":
            raise ValueError("send_result belongs to scheme 'local' only")
        return self


# --- devices ----------------------------------------------------------------------------------


class PoissonArrivals(Spec):
    """Memoryless requests."""

    kind: Literal["poisson"]
    rate_hz: Positive


class PeriodicArrivals(Spec):
    """One request per period; each device has its own random phase unless ``in_phase``."""

    kind: Literal["periodic"]
    period_s: Positive
    in_phase: bool = False


class TraceArrivals(Spec):
    """Arrival times from a CSV beside the YAML with the columns ``time_s`` and ``device``."""

    kind: Literal["trace"]
    file: str


Arrivals = Annotated[
    PoissonArrivals | PeriodicArrivals | TraceArrivals, Field(discriminator="kind")
]


class DeviceGroup(Spec):
    """Devices that are alike. ``distance_m``: drawn uniformly over the ring's area."""

    name: Name
    count: Annotated[int, Field(ge=1, le=10_000, strict=True)]
    hardware: Name
    operating_point: Name
    arrivals: Arrivals
    deadline_s: Positive | None = None
    tx_power_dbm: Level = 23.0
    distance_min_m: Positive = 10.0
    distance_max_m: Positive = 200.0
    on_loss: Literal["drop", "retry_locally"] = "drop"
    battery_j: Positive | None = None

    @model_validator(mode="after")
    def _ring(self) -> DeviceGroup:
        if self.distance_max_m < self.distance_min_m:
            raise ValueError("distance_max_m must be at least distance_min_m")
        return self


# --- radio ------------------------------------------------------------------------------------


class FixedSnr(Spec):
    """AWGN (with optional fading on top) at one mean Es/N0, whatever the distance and grant."""

    kind: Literal["fixed_snr"]
    snr_db: Annotated[Number, Field(ge=-50, le=100)]


class FreeSpace(Spec):
    """Friis free-space loss."""

    kind: Literal["free_space"]
    shadowing_db: NonNegative = 0.0


class UmiStreetCanyon(Spec):
    """3GPP TR 38.901 Table 7.4.1-1 UMi street canyon; LOS drawn by Table 7.4.2-1."""

    kind: Literal["umi_street_canyon"]
    base_station_height_m: Annotated[Number, Field(gt=1, le=150)] = 10.0
    device_height_m: Annotated[Number, Field(ge=1.5, le=22.5)] = 1.5
    shadowing: bool = True


class LogDistance(Spec):
    """PL = PL(d0 = 1 m, free space) + 10 n log10(d) with log-normal shadowing."""

    kind: Literal["log_distance"]
    exponent: Annotated[Number, Field(ge=1, le=8)] = 3.0
    shadowing_db: NonNegative = 0.0


Channel = Annotated[
    FixedSnr | FreeSpace | UmiStreetCanyon | LogDistance, Field(discriminator="kind")
]


class Fading(Spec):
    """Block fading: one gain per device and coherence time, the same over the band."""

    kind: Literal["none", "rayleigh", "rician"] = "none"
    k_factor_db: Level = 6.0
    coherence_time_s: Positive = 0.01


UNSUPPORTED_MCS = (0, 1, 2, 4, 10)  # see SUPPORTED_MCS in phy/link.py for why


class FixedMcs(Spec):
    """Always this index of TS 38.214 Table 5.1.3.1-1."""

    kind: Literal["fixed"]
    index: Annotated[int, Field(ge=3, le=28, strict=True)]

    @model_validator(mode="after")
    def _is_supported(self) -> FixedMcs:
        if self.index in UNSUPPORTED_MCS:
            raise ValueError(f"MCS {self.index} is not supported; 3 to 28 are, without 4 and 10")
        return self


class AdaptiveMcs(Spec):
    """Highest MCS whose predicted block error at the last known SNR meets the target."""

    kind: Literal["adaptive"]
    bler_target: Annotated[Number, Field(gt=0, lt=1)] = 0.1
    csi_delay_slots: Whole = 8
    backoff_db: NonNegative = 0.0


Mcs = Annotated[FixedMcs | AdaptiveMcs, Field(discriminator="kind")]


class Harq(Spec):
    """Stop-and-wait per block with chase combining."""

    max_transmissions: Annotated[int, Field(ge=1, le=16, strict=True)] = 4
    round_trip_slots: Count = 8


class Downlink(Spec):
    """How answers go back: a shared FDD carrier at fixed spectral efficiency plus latency."""

    rate_bps: Positive = 20e6
    latency_s: NonNegative = 0.001


class Cell(Spec):
    """One cell: carrier, slots, resource blocks, channel, link adaptation."""

    carrier_hz: Annotated[Number, Field(ge=1e8, le=1e11)] = 3.5e9
    subcarrier_spacing_hz: Literal[15_000, 30_000, 60_000, 120_000] = 30_000
    resource_blocks: Annotated[int, Field(ge=1, le=275, strict=True)] = 51
    noise_figure_db: NonNegative = 5.0
    interference_margin_db: NonNegative = 0.0
    channel: Channel
    fading: Fading = Fading()
    mcs: Mcs = AdaptiveMcs(kind="adaptive")
    harq: Harq = Harq()
    fidelity: Literal["table", "exact"] = "table"
    downlink: Downlink = Downlink()

    @property
    def slot_s(self) -> float:
        """Slot duration, TS 38.211 clause 4.3.2: 1 ms / 2^mu, 14 symbols."""
        return 1e-3 * 15_000 / self.subcarrier_spacing_hz


# --- edge -------------------------------------------------------------------------------------


class Edge(Spec):
    """The server: ``workers`` in parallel, dynamic batches, room for ``queue_capacity`` waiting."""

    hardware: Name = "edge_gpu"
    workers: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    max_batch: Annotated[int, Field(ge=1, le=1024, strict=True)] = 8
    max_wait_s: NonNegative = 0.0
    queue_capacity: Count | None = None


# --- scenario ---------------------------------------------------------------------------------


class Scenario(Spec):
    """A whole experiment; identical scenario and seed give identical rows."""

    name: Name
    description: str = ""
    seed: Whole = 1
    duration_s: Annotated[Number, Field(gt=0, le=1e6)] = 20.0
    warmup_s: NonNegative = 0.0
    drain_s: NonNegative = 2.0
    replications: Annotated[int, Field(ge=1, le=1000, strict=True)] = 1
    task: Task = Task()
    model: Name = "streets_multitask"
    operating_points: Annotated[tuple[OperatingPoint, ...], Field(min_length=1)]
    devices: Annotated[tuple[DeviceGroup, ...], Field(min_length=1)]
    cell: Cell
    edge: Edge = Edge()

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        if self.warmup_s >= self.duration_s:
            raise ValueError("warmup_s must be shorter than duration_s")
        _unique("operating_points", [p.name for p in self.operating_points])
        _unique("devices", [g.name for g in self.devices])
        for group in self.devices:
            _check_range(group, self.cell)
        return self

    def operating_point(self, name: str) -> OperatingPoint:
        """The operating point of that name (checked to exist by `simsplit.load`)."""
        return next(point for point in self.operating_points if point.name == name)

    @property
    def device_count(self) -> int:
        """Devices in all groups together."""
        return sum(group.count for group in self.devices)


def _unique(what: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{what}: each name once, doubled: {', '.join(doubled)}")


_RANGE_M = {"umi_street_canyon": (10.0, 5000.0), "log_distance": (1.0, float("inf"))}


def _check_range(group: DeviceGroup, cell: Cell) -> None:
    """Distances and carrier within the range the path loss model is made for."""
    low_m, high_m = _RANGE_M.get(cell.channel.kind, (0.0, float("inf")))
    if group.distance_min_m < low_m or group.distance_max_m > high_m:
        raise ValueError(
            f"devices.{group.name}: path loss {cell.channel.kind} holds from {low_m:g} to "
            f"{high_m:g} m, found {group.distance_min_m:g} to {group.distance_max_m:g} m"
        )
    if cell.channel.kind == "umi_street_canyon" and cell.carrier_hz < 0.5e9:
        raise ValueError(f"cell.carrier_hz: UMi holds from 0.5 GHz, found {cell.carrier_hz:g}")
