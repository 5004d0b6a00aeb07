"""What a file in ``scenarios/hardware`` may say: every figure with its public source.

A source that starts with "assumption:" says why that figure was taken; every other one names the
document that the figure stands in, and the arithmetic if there is any.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from simsplit.scenario.spec import Fraction, Level, Name, NonNegative, Positive, Spec

Source = Annotated[str, Field(min_length=10)]
Count = Annotated[int, Field(ge=0)]
DType = Literal["float32", "float16", "int8"]
Processor = Literal["cpu", "gpu", "npu"]
ELEMENT_BYTES: dict[DType, int] = {"float32": 4, "float16": 2, "int8": 1}


class PositiveFigure(Spec):
    """A number above zero in the unit that its key names."""

    value: Positive
    source: Source


class Figure(Spec):
    """A number from zero on in the unit that its key names."""

    value: NonNegative
    source: Source


class ShareFigure(Spec):
    """A share of a whole, above 0 and up to 1."""

    value: Annotated[Fraction, Field(gt=0)]
    source: Source


class LevelFigure(Spec):
    """A temperature in degrees Celsius."""

    value: Level
    source: Source


class WinogradFigure(Spec):
    """A share of the peak that may be above 1, since fewer products are needed than are counted.

    At most 324 / 64: F(6x6, 3x3) takes 64 products for 36 outputs (A. Lavin, S. Gray, "Fast
    algorithms for convolutional neural networks", CVPR 2016, section 4).
    """

    value: Annotated[float, Field(gt=0, le=324 / 64, allow_inf_nan=False)]
    source: Source


class EfficiencySheet(Spec):
    """Share of the peak that each kind of operator reaches, and of the memory's bandwidth.

    ``conv3x3``: of convolutions of 3 x 3, if they differ. ``half_depth``: input channels per group
    at which a convolution reaches half of its share.
    """

    conv: ShareFigure
    conv3x3: WinogradFigure | None = None
    depthwise: ShareFigure
    linear: ShareFigure
    attention: ShareFigure
    memory: ShareFigure
    half_depth: Figure | None = None


class EvidenceSheet(Spec):
    """The published latencies that efficiencies and overheads rest on (see `parts.Evidence`)."""

    networks: Count
    judged: Count = 0
    median_error: NonNegative | None = None
    mean_ratio: Positive | None = None
    lowest_ratio: Positive | None = None
    highest_ratio: Positive | None = None
    source: Source


class FoldedSheet(Spec):
    """Kinds that the runtime computes inside the product before them, at no cost of their own."""

    kinds: Annotated[tuple[Literal["norm", "activation"], ...], Field(min_length=1)]
    source: Source


class WeightStoreSheet(Spec):
    """On-chip room for weights; what does not fit is fetched in every launch."""

    kept_bytes: Figure
    stream_bytes_per_s: PositiveFigure


class RadioSheet(Spec):
    """Power of the transceiver by state."""

    pa_efficiency: ShareFigure
    tx_circuit_w: Figure
    rx_w: Figure
    listen_w: Figure
    sleep_w: Figure
    sleep_transition_j: Figure


class CodecBlockSheet(Spec):
    """A fixed-function block that codes pictures of one format, at a pace of its own."""

    kind: Literal["jpeg", "png", "webp", "avif"]
    encode_s_per_kpixel: PositiveFigure
    decode_s_per_kpixel: PositiveFigure


class LevelSheet(Spec):
    """One voltage and frequency of the processor that runs the network."""

    name: Name
    frequency_hz: Positive
    compute_w: Positive
    source: Source


class ThermalSheet(Spec):
    """One lump of heat: K/W to the ambient air, J/K, and the governor's two temperatures.

    Throttled, the device runs at the DVFS level ``throttled_level``, or at the share
    ``throttled_scale`` of its speed with ``throttled_compute_w``.
    """

    resistance_k_per_w: PositiveFigure
    capacity_j_per_k: PositiveFigure
    throttle_at_c: LevelFigure
    resume_at_c: LevelFigure
    throttled_level: Name | None = None
    throttled_scale: ShareFigure | None = None
    throttled_compute_w: PositiveFigure | None = None

    @model_validator(mode="after")
    def _consistent(self) -> ThermalSheet:
        if self.resume_at_c.value >= self.throttle_at_c.value:
            raise ValueError("resume_at_c must be below throttle_at_c")
        by_share = (self.throttled_scale is not None, self.throttled_compute_w is not None)
        if by_share != 2 * (self.throttled_level is None,):
            raise ValueError(
                "give either throttled_level or both throttled_scale and throttled_compute_w"
            )
        return self


class DataSheet(Spec):
    """A hardware file.

    ``seven_zip_mips``: rating of one core by 7-zip (``7z b -mmt=1``, Tot), by which what codecs
    cost is scaled; ``codec_profile``: the profile of codecs that it scales, the package's if left
    out; ``codec_blocks``: formats that a fixed-function block codes instead.
    """

    description: str
    processor: Processor
    dtype: DType
    peak_macs_per_s: PositiveFigure
    memory_bandwidth_bytes_per_s: PositiveFigure
    evidence: EvidenceSheet | None = None
    efficiency: EfficiencySheet
    folded: FoldedSheet | None = None
    weight_store: WeightStoreSheet | None = None
    launch_overhead_s: Figure
    operator_overhead_s: Figure
    seven_zip_mips: PositiveFigure | None = None
    codec_blocks: tuple[CodecBlockSheet, ...] = ()
    sleep_w: Figure
    idle_w: Figure
    compute_w: PositiveFigure
    dvfs: tuple[LevelSheet, ...] = ()
    thermal: ThermalSheet | None = None
    radio: RadioSheet | None = None
    profile: Annotated[str, Field(pattern=r"^[\w.-][\w./-]*\.json$")] | None = None
    predictor: Annotated[str, Field(pattern=r"^[\w./-]+$")] | None = None
    codec_profile: Annotated[str, Field(pattern=r"^[\w.-][\w./-]*\.json$")] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_pace_no_more(cls, content: object) -> object:
        if isinstance(content, dict) and "codec_s_per_kpixel" in content:
            raise ValueError(
                "codec_s_per_kpixel is no more: every codec has its own measured cost, scaled by "
                "seven_zip_mips (one core's rating, `7z b -mmt=1`); a fixed-function block goes "
                "under codec_blocks"
            )
        return content

    @model_validator(mode="after")
    def _levels(self) -> DataSheet:
        levels = [(level.frequency_hz, level.compute_w) for level in self.dvfs]
        if not all(low < high for low, high in pairwise(levels)):
            raise ValueError("dvfs levels must rise in frequency_hz, each once")
        if self.dvfs and self.dvfs[-1].compute_w != self.compute_w.value:
            raise ValueError("the highest dvfs level's compute_w must be the file's compute_w")
        return self

    @model_validator(mode="after")
    def _throttled_level(self) -> DataSheet:
        wanted = self.thermal.throttled_level if self.thermal else None
        names = [level.name for level in self.dvfs]
        if wanted is not None and wanted not in names:
            raise ValueError(f"throttled_level {wanted!r} is none of the dvfs levels {names}")
        return self
