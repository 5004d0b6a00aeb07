"""Every noun a scenario's YAML may say: frozen, bounded, with units in the names.

Defaults are stated here and appear in the resolved ``scenario.yaml`` of every result. Errors are
turned into `ScenarioError` with their YAML path by `simsplit.load`.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from pydantic import Field, model_validator

from simsplit import channel
from simsplit.body import Battery, Heat
from simsplit.policies import Fixed, Policy, needs_deadline, points_of
from simsplit.radio import Cell
from simsplit.serving import Edge as Edge
from simsplit.spec import Count, Level, Name, NonNegative, Number, Positive, Spec, Whole

# --- task and network -------------------------------------------------------------------------


class Task(Spec):
    """Whose samples the devices see. ``samples``: how many of the test range circulate.

    ``photographs`` (crops of two bundled pictures) have no truth: for networks without a score.
    ``cityscapes`` is read from the folder that the variable CITYSCAPES_DATASET names.
    """

    dataset: Literal["streets", "digits", "photographs", "cityscapes"] = "streets"
    height_px: Count = 64
    width_px: Count = 128
    samples: Annotated[int, Field(ge=1, le=512, strict=True)] = 128


Quality = Annotated[int, Field(ge=1, le=100, strict=True)]
JpegQuality = Annotated[int, Field(ge=1, le=95, strict=True)]
AvifQuality = Annotated[int, Field(ge=0, le=100, strict=True)]
_Webp = TypeVar("_Webp", "WebpCodec", "WebpTilesCodec")


def _lossy_or_lossless(codec: _Webp) -> _Webp:
    if (codec.quality is None) != codec.lossless:
        raise ValueError("say either quality or lossless: true")
    return codec


class PngCodec(Spec):
    """Lossless image file (raw scheme)."""

    kind: Literal["png"]


class JpegCodec(Spec):
    """JPEG image file (raw scheme), Pillow quality."""

    kind: Literal["jpeg"]
    quality: JpegQuality = 75


class WebpCodec(Spec):
    """WebP image file (raw scheme): lossy with a Pillow quality, or ``lossless``."""

    kind: Literal["webp"]
    quality: Quality | None = Field(None, description="75 unless lossless.")
    lossless: bool = False

    @model_validator(mode="before")
    @classmethod
    def _quality_of_lossy(cls, said: object) -> object:
        if not isinstance(said, dict) or said.get("lossless"):
            return said
        return {"quality": 75} | said

    _one_way = model_validator(mode="after")(_lossy_or_lossless)


class AvifCodec(Spec):
    """AVIF image file (raw scheme), Pillow quality and speed 6, where Pillow was built with it."""

    kind: Literal["avif"]
    quality: AvifQuality = 75


class EntropyCodec(Spec):
    """Min-max quantised feature, range coded with the model's static tables (separate scheme)."""

    kind: Literal["entropy"]
    bits: Literal[4, 6, 8] = 8


class AdaptiveEntropyCodec(Spec):
    """Min-max quantised feature, range coded with a Laplace per channel that travels with it.

    Separate scheme; needs no trained tables, and two bytes per channel at 8 bits for its own.
    """

    kind: Literal["adaptive_entropy"]
    bits: Literal[4, 6, 8] = 8


class PngTilesCodec(Spec):
    """Min-max quantised feature, channels tiled into one grey PNG (separate scheme)."""

    kind: Literal["png_tiles"]
    bits: Literal[4, 6, 8] = 8


class JpegTilesCodec(Spec):
    """Feature quantised to 8 bits, channels tiled into one grey JPEG (separate scheme).

    Choi and Bajić, ICIP 2018; Alvar and Bajić, ICIP 2019, with qualities 95, 90, 85 and 80.
    """

    kind: Literal["jpeg_tiles"]
    bits: Literal[8] = 8
    quality: JpegQuality


class WebpTilesCodec(Spec):
    """Feature quantised to 8 bits, channels tiled into one WebP, of a quality or ``lossless``.

    Separate scheme. WebP has no grey mode: the mosaic is coded as three equal colours.
    """

    kind: Literal["webp_tiles"]
    quality: Quality | None = Field(None, description="Only if not lossless.")
    lossless: bool = False

    _one_way = model_validator(mode="after")(_lossy_or_lossless)


class AvifTilesCodec(Spec):
    """Feature quantised to 8 bits, channels tiled into one monochrome AVIF (separate scheme)."""

    kind: Literal["avif_tiles"]
    quality: AvifQuality


class PixelsCodec(Spec):
    """The picture as it is, one byte per colour value (raw scheme)."""

    kind: Literal["pixels"]


class TensorCodec(Spec):
    """Activations as they are, or min-max quantised to bytes with two float32 of header per tensor.

    For the networks of ``networks:``; every tensor that lives at the cut travels.
    """

    kind: Literal["tensor"]
    dtype: Literal["float32", "float16", "uint8"] = "float32"


PictureCodec = PngCodec | JpegCodec | WebpCodec | AvifCodec | PixelsCodec
FeatureCodec = (
    PngTilesCodec | JpegTilesCodec | WebpTilesCodec | AvifTilesCodec | AdaptiveEntropyCodec
)
Codec = Annotated[
    PictureCodec | EntropyCodec | FeatureCodec | TensorCodec, Field(discriminator="kind")
]

_FILES = ("png", "jpeg", "webp", "avif")
_CODECS_OF_SCHEME = {
    "local": (),
    "raw": (*_FILES, "pixels"),
    "separate": ("entropy", "adaptive_entropy", *(f"{file}_tiles" for file in _FILES), "tensor"),
    "jscc": (),
}
EVERY = "every"  # a split that stands for all cuts of a network


class Network(Spec):
    """Any PyTorch network, cut where `simsplit splits` says it can be.

    ``source``: a torchvision model, or a module's class as ``package.module:Name`` built with
    ``options``. ``weights``: ``random``, and then no accuracy is reported, or a local file
    (safetensors, or a state dict that torch loads with weights_only). ``leaves``: submodules that
    are kept whole when the graph is traced. ``answer``: what its output is, if it is to be scored.
    """

    name: Name
    source: Annotated[str, Field(min_length=1, max_length=200)]
    weights: Annotated[str, Field(min_length=1)]
    seed: Whole = 0
    leaves: tuple[str, ...] = ()
    options: dict[str, float | int | str | bool] = Field(default_factory=dict)
    answer: Literal["label", "segmentation"] | None = None

    @model_validator(mode="after")
    def _scored_with_weights(self) -> Network:
        if self.weights == "random" and self.answer is not None:
            raise ValueError("random weights answer nothing; leave the key answer out")
        return self


class OperatingPoint(Spec):
    """Network + split + codec + scheme: one way to bring the task from the device to the edge.

    ``network``: one of ``networks:``; the scenario's ``model`` if left out. With ``split: every``
    it stands for one point per cut of the network, named ``<name>-<cut>``.

    ``local``: the whole network on the device; with ``send_result`` the small answer goes up.
    ``raw``: compressed image, whole network at the edge. ``separate``: coded feature over LDPC.
    ``jscc``: the feature as analog channel symbols; with ``airtime_s`` the device stops after that
    time on the air, and the first k symbols that got through count as an answer from
    ``min_symbols`` on (a nested code; the receiver takes the rest as erased).
    """

    name: Name
    scheme: Literal["local", "raw", "separate", "jscc"]
    split: Name | None = None
    codec: Codec | None = None
    send_result: bool = False
    airtime_s: Positive | None = None
    min_symbols: Count = 1
    network: Name | None = None
    of: Name | None = Field(None, description="The `split: every` point it came from.")
    exit: bool = Field(False, description="Scheme local: the model's early exit answers.")

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
        if self.scheme != "jscc" and (self.airtime_s is not None or self.min_symbols != 1):
            raise ValueError("airtime_s and min_symbols belong to scheme 'jscc' only")
        if self.exit and (self.scheme != "local" or self.network is not None):
            raise ValueError("exit belongs to scheme 'local' of the scenario's model only")
        self._network_fits(kind)
        return self

    @property
    def codes_image(self) -> bool:
        """True if a picture is compressed on the device and expanded at the server.

        Both ends are charged the hardware file's ``codec_s_per_kpixel``, one pace for all formats
        though it is JPEG's: encoding 64x128 px on one core took PNG 18, WebP 8 (lossless 120) and
        AVIF 110 times as long. Features, tiled or entropy coded, are charged nothing, in their
        favour: 16 thousand values at that pace are 0.2 ms on a phone, 8 ms on a microcontroller.
        """
        return self.codec is not None and self.codec.kind in _FILES

    def _network_fits(self, kind: str | None) -> None:
        if self.network is not None and (self.scheme == "jscc" or kind == "entropy"):
            raise ValueError("a network of `networks:` has no trained JSCC or entropy code")
        if self.network is not None and self.scheme == "separate" and self.split is None:
            raise ValueError(f"scheme 'separate' of a network needs a split, or {EVERY}")
        if self.network is None and (kind == "tensor" or self.split == EVERY):
            raise ValueError(f"codec 'tensor' and split '{EVERY}' need a network")


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
    """Arrivals from a CSV or Parquet file beside the YAML: columns ``time_s`` and ``device``.

    Devices are numbered from 0 in each group; times of one device are in order. A column ``group``
    chooses the rows of this group, ``replication`` those of a replication, and ``sample`` says
    which sample is asked about; `simsplit export RUN --format csv` writes them all.
    """

    kind: Literal["trace"]
    file: str


Arrivals = Annotated[
    PoissonArrivals | PeriodicArrivals | TraceArrivals, Field(discriminator="kind")
]


class Static(Spec):
    """Stands still."""

    kind: Literal["static"] = "static"


class RandomWaypoint(Spec):
    """Walks to a uniform point of the ring at a uniform speed, pauses, and goes on (Johnson 1996).

    The slowest speed must be positive, or the mean speed falls for ever (Yoon et al. 2003).
    """

    kind: Literal["random_waypoint"]
    speed_min_mps: Positive = 0.5
    speed_max_mps: Positive = 1.5
    pause_s: NonNegative = 0.0

    @model_validator(mode="after")
    def _order(self) -> RandomWaypoint:
        if self.speed_max_mps < self.speed_min_mps:
            raise ValueError("speed_max_mps must be at least speed_min_mps")
        return self


class StraightLine(Spec):
    """Goes straight on, in a random direction without ``heading_deg``, and turns at the rim."""

    kind: Literal["straight"]
    speed_mps: Positive
    heading_deg: Annotated[Number, Field(ge=-360, le=360)] | None = None


class TraceMobility(Spec):
    """Positions from a CSV with the columns ``time_s``, ``device``, ``x_m`` and ``y_m``."""

    kind: Literal["trace"]
    file: str


Mobility = Annotated[
    Static | RandomWaypoint | StraightLine | TraceMobility, Field(discriminator="kind")
]


class DeviceGroup(Spec):
    """Devices that are alike. ``distance_m``: drawn uniformly over the ring's area.

    ``weight``: share of the airtime under the scheduler ``weighted``. ``place_group``: stand and
    fade exactly as the devices of that group do (same number in the group), so that two groups
    compare schemes at equal places. ``policy`` chooses for every request instead of a fixed
    ``operating_point``. ``priority``: higher first, if the server's queue heeds it. ``dvfs``: one
    of the hardware's frequency levels. ``battery_j`` is short for a full ``battery`` without
    harvest; ``heat`` switches on the thermal figures of the hardware file.
    """

    name: Name
    count: Annotated[int, Field(ge=1, le=10_000, strict=True)]
    hardware: Name
    operating_point: Name | None = None
    policy: Policy | None = None
    arrivals: Arrivals
    deadline_s: Positive | None = None
    tx_power_dbm: Level = 23.0
    distance_min_m: Positive = 10.0
    distance_max_m: Positive = 200.0
    mobility: Mobility = Static()
    place_group: Name | None = None
    weight: Positive = 1.0
    on_loss: Literal["drop", "retry_locally"] = "drop"
    battery_j: Positive | None = None
    battery: Battery | None = None
    heat: Heat | None = None
    priority: Annotated[int, Field(ge=-100, le=100, strict=True)] = 0
    dvfs: Name | None = None

    @model_validator(mode="after")
    def _one_choice(self) -> DeviceGroup:
        if (self.operating_point is None) == (self.policy is None):
            raise ValueError("say either operating_point or policy")
        if self.policy is not None and needs_deadline(self.policy) and self.deadline_s is None:
            raise ValueError(f"policy '{self.policy.kind}' needs a deadline_s")
        if self.battery_j is not None and self.battery is not None:
            raise ValueError("say either battery_j or battery")
        return self

    @property
    def choice(self) -> Policy:
        """The policy; a fixed one if the group has one operating point."""
        if self.policy is not None:
            return self.policy
        assert self.operating_point is not None
        return Fixed(kind="fixed", point=self.operating_point)

    @property
    def machine(self) -> str:
        """Hardware with its frequency level: what a cost depends on."""
        return self.hardware if self.dvfs is None else f"{self.hardware}@{self.dvfs}"

    @model_validator(mode="after")
    def _ring(self) -> DeviceGroup:
        if self.distance_max_m < self.distance_min_m:
            raise ValueError("distance_max_m must be at least distance_min_m")
        walks = self.mobility.kind == "random_waypoint"
        if walks and self.distance_max_m == self.distance_min_m:
            raise ValueError("a random waypoint needs a ring: distance_max_m above distance_min_m")
        return self


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
    model: Name | None = "streets_multitask"
    networks: tuple[Network, ...] = ()
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
        _unique("networks", [n.name for n in self.networks])
        for group in self.devices:
            _check_range(group, self.cell)
            _check_place_group(group, self.devices)
        return self

    def place_of(self, group: DeviceGroup) -> DeviceGroup:
        """The group that says where this group's devices stand: itself or its ``place_group``."""
        name = group.place_group or group.name
        return next(other for other in self.devices if other.name == name)

    def operating_point(self, name: str) -> OperatingPoint:
        """The operating point of that name (checked to exist by `simsplit.load`)."""
        return next(point for point in self.operating_points if point.name == name)

    def points_of(self, group: DeviceGroup) -> tuple[OperatingPoint, ...]:
        """What a group may choose from; a name of a ``split: every`` point stands for its cuts."""
        named = points_of(group.choice)
        return tuple(
            p for p in self.operating_points if not named or p.name in named or p.of in named
        )

    @property
    def device_count(self) -> int:
        """Devices in all groups together."""
        return sum(group.count for group in self.devices)


def _unique(what: str, names: list[str]) -> None:
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise ValueError(f"{what}: each name once, doubled: {', '.join(doubled)}")


def _check_place_group(group: DeviceGroup, groups: tuple[DeviceGroup, ...]) -> None:
    """``place_group`` names another, at least as large group that follows nobody itself."""
    if group.place_group is None:
        return
    other = {g.name: g for g in groups}.get(group.place_group)
    where = f"devices.{group.name}.place_group"
    if other is None or other.place_group is not None or other is group:
        names = ", ".join(g.name for g in groups if g.place_group is None and g is not group)
        raise ValueError(f"{where}: must be one of {names}, found {group.place_group}")
    if other.count < group.count:
        raise ValueError(f"{where}: {other.name} has fewer devices ({other.count})")
    for key in ("distance_min_m", "distance_max_m", "mobility"):
        said, default = getattr(group, key), DeviceGroup.model_fields[key].default
        if said not in (default, getattr(other, key)):
            raise ValueError(f"{where}: the place is that of {other.name}, leave {key} out")


def _check_range(group: DeviceGroup, cell: Cell) -> None:
    """Distances and carrier within the range the path loss model is made for."""
    low_m, high_m = channel.distance_range_m(cell.channel)
    moves_over = cell.sites.kind == "hex"  # then the distance is to whichever cell is the strongest
    if group.distance_min_m < low_m or (group.distance_max_m > high_m and not moves_over):
        raise ValueError(
            f"devices.{group.name}: path loss {cell.channel.kind} holds from {low_m:g} to "
            f"{high_m:g} m, found {group.distance_min_m:g} to {group.distance_max_m:g} m"
        )
    low_hz, high_hz = channel.carrier_range_hz(cell.channel)
    if not low_hz <= cell.carrier_hz <= high_hz:
        raise ValueError(
            f"cell.carrier_hz: {cell.channel.kind} holds from {low_hz / 1e9:g} to "
            f"{high_hz / 1e9:g} GHz, found {cell.carrier_hz:g}"
        )
