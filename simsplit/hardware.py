"""Seconds and joules of a workload on a device or server.

Each operator is a roofline (S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful
visual performance model for multicore architectures", CACM 52(4), 2009), and a launch their sum::

    t_operator = operator_overhead + max(batch * macs / (peak * efficiency[kind]),
                                         bytes(batch) / (bandwidth * efficiency[memory]))
    t_launch   = launch_overhead + sum of t_operator + weights that are streamed / stream rate

The device's states are sleep, idle, compute and transmit (``tx_power / pa_efficiency +
tx_circuit``, on top of idle or compute); energy is power times the time in the state. Figures come
from files that name each one's source; a measured profile, if the file names one, comes first.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pydantic import ValidationError

from simsplit.datasheet import (
    ELEMENT_BYTES,
    DataSheet,
    DType,
    EfficiencySheet,
    LevelSheet,
    Processor,
    RadioSheet,
    ThermalSheet,
)
from simsplit.errors import ScenarioError
from simsplit.load import hardware_choices, hardware_dir, mistake, read_mapping
from simsplit.operators import Operator


@dataclass(frozen=True, slots=True)
class Radio:
    """Power of a transceiver: watts fed per watt radiated, and what its circuits draw.

    Attributes:
        rx_w, listen_w, sleep_w: Receiving, monitoring the control channel, deep sleep.
        sleep_transition_j: Into deep sleep and out again.
    """

    pa_efficiency: float
    tx_circuit_w: float
    rx_w: float
    listen_w: float
    sleep_w: float
    sleep_transition_j: float


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Share of the peak that each kind of operator reaches, and of the memory's bandwidth."""

    conv: float
    depthwise: float
    linear: float
    attention: float
    memory: float

    def of(self, kind: str) -> float:
        """Share of the peak for that kind; kinds without a figure count as ``linear``."""
        match kind:
            case "conv" | "depthwise" | "attention":
                return float(getattr(self, kind))
            case _:
                return self.linear


@dataclass(frozen=True, slots=True)
class Level:
    """One DVFS level: frequency of the processor that runs the network, and its power."""

    name: str
    frequency_hz: float
    compute_w: float


@dataclass(frozen=True, slots=True)
class Thermal:
    """One lump of heat with a thermostat.

    Attributes:
        resistance_k_per_w, capacity_j_per_k: To the ambient air; of the device.
        throttle_at_c, resume_at_c: Slow from the one on, full speed again below the other.
        throttled_scale: Factor on the speed while throttled, in (0, 1].
        throttled_compute_w: Watts while throttled and computing.
    """

    resistance_k_per_w: float
    capacity_j_per_k: float
    throttle_at_c: float
    resume_at_c: float
    throttled_scale: float
    throttled_compute_w: float


@dataclass(frozen=True, slots=True)
class Hardware:
    """One device or server; ``radio`` is None for a server, whose base station is not counted.

    Attributes:
        processor: What runs the network; at a DVFS level a ``cpu`` dispatches and codes slower
            too, while the host of a ``gpu`` or ``npu`` keeps its clock.
        folded: Kinds that the runtime computes inside the product before them, at no own cost.
        kept_bytes, stream_bytes_per_s: On-chip room for weights; what a launch's weights exceed it
            by is fetched at that rate.
        levels: DVFS, lowest first; empty if the clock is fixed.
        level: The level in force; empty: the highest.
        profile: Absolute path of a measured profile, which comes before the roofline.
        predictor: Model of `models/` that says what devices believe of its seconds.
    """

    name: str
    description: str
    processor: Processor
    dtype: DType
    peak_macs_per_s: float
    memory_bandwidth_bytes_per_s: float
    efficiency: Efficiency
    launch_overhead_s: float
    operator_overhead_s: float
    sleep_w: float
    idle_w: float
    compute_w: float
    codec_s_per_kpixel: float | None = None
    radio: Radio | None = None
    folded: tuple[str, ...] = ()
    kept_bytes: float = math.inf
    stream_bytes_per_s: float = math.inf
    levels: tuple[Level, ...] = ()
    level: str = ""
    thermal: Thermal | None = None
    profile: str | None = None
    predictor: str | None = None
    sources: dict[str, str] = field(default_factory=dict, compare=False)

    def operator_s(self, operator: Operator, batch: int = 1) -> float:
        """Seconds of one operator for a batch: overhead + max(arithmetic, memory).

        0 for views and for kinds that the runtime folds into others.

        Raises:
            ValueError: batch below 1.
        """
        _check_work(operator.macs, batch)
        if operator.kind in ("reshape", *self.folded):
            return 0.0
        share = self.efficiency.of(operator.kind)
        arithmetic_s = batch * operator.macs / (self.peak_macs_per_s * share)
        return self.operator_overhead_s + max(arithmetic_s, self._memory_s(operator, batch))

    def seconds(self, operators: Iterable[Operator], batch: int = 1) -> float:
        """Seconds of one launch of those operators for a batch; 0 if there are none.

        Raises:
            ValueError: batch below 1.
        """
        operators = tuple(operators)
        if not operators:
            return 0.0
        times = (self.operator_s(operator, batch) for operator in operators)
        return self.launch_overhead_s + sum(times) + self._stream_s(operators)

    def compute_s(self, macs: float, batch: int = 1) -> float:
        """Estimate from MACs per sample alone: overhead + batch * macs / (peak * conv efficiency).

        For what knows no operators; leaves out memory and the overhead per operator.
        """
        _check_work(macs, batch)
        return self.launch_overhead_s + batch * macs / (self.peak_macs_per_s * self.efficiency.conv)

    def codec_s(self, pixels: int) -> float:
        """Seconds to code an image of that many pixels; ScenarioError if the file has no figure."""
        if self.codec_s_per_kpixel is None:
            raise ScenarioError("hardware has no codec_s_per_kpixel", value=self.name)
        return self.codec_s_per_kpixel * pixels / 1000

    def transmit_w(self, tx_power_w: float) -> float:
        """Watts drawn while radiating ``tx_power_w``: tx_power / pa_efficiency + circuits."""
        radio = self._radio()
        return tx_power_w / radio.pa_efficiency + radio.tx_circuit_w

    @property
    def rx_w(self) -> float:
        """Watts drawn while receiving."""
        return self._radio().rx_w

    def at_level(self, name: str) -> Hardware:
        """The same hardware at that DVFS level.

        The peak scales with the frequency (and a CPU's dispatch and coding), the memory does not.

        Raises:
            ScenarioError: The file has no such level.
        """
        level = self._level(name)
        scale = level.frequency_hz / self._level(self.level or self.levels[-1].name).frequency_hz
        host = scale if self.processor == "cpu" else 1.0
        codec, thermal = self.codec_s_per_kpixel, self.thermal
        if thermal is not None:  # its figures are shares of the highest level
            thermal = replace(
                thermal,
                throttled_scale=min(1.0, thermal.throttled_scale / scale),
                throttled_compute_w=min(level.compute_w, thermal.throttled_compute_w),
            )
        return replace(
            self,
            level=name,
            compute_w=level.compute_w,
            peak_macs_per_s=self.peak_macs_per_s * scale,
            launch_overhead_s=self.launch_overhead_s / host,
            operator_overhead_s=self.operator_overhead_s / host,
            codec_s_per_kpixel=None if codec is None else codec / host,
            thermal=thermal,
        )

    def _memory_s(self, operator: Operator, batch: int) -> float:
        moved_bytes = operator.moved_elements(batch) * ELEMENT_BYTES[self.dtype]
        return moved_bytes / (self.memory_bandwidth_bytes_per_s * self.efficiency.memory)

    def _stream_s(self, operators: tuple[Operator, ...]) -> float:
        weight_bytes = ELEMENT_BYTES[self.dtype] * sum(operator.weights for operator in operators)
        return max(0.0, weight_bytes - self.kept_bytes) / self.stream_bytes_per_s

    def _level(self, name: str) -> Level:
        choices = [level.name for level in self.levels]
        if name not in choices:
            message = "no such DVFS level" if choices else "this hardware has no DVFS levels"
            raise ScenarioError(message, path=f"hardware/{self.name}", value=name, choices=choices)
        return self.levels[choices.index(name)]

    def _radio(self) -> Radio:
        if self.radio is None:
            raise ScenarioError("hardware is a server, it has no radio", value=self.name)
        return self.radio


def _check_work(macs: float, batch: int) -> None:
    if macs < 0 or batch < 1:
        raise ValueError(f"macs >= 0 and batch >= 1, found {macs} and {batch}")


@lru_cache(maxsize=64)
def load_hardware(name: str) -> Hardware:
    """The hardware in ``scenarios/hardware/<name>.yaml``.

    Raises:
        ScenarioError: No such file, or it says something impossible.
    """
    if name not in hardware_choices():
        raise ScenarioError("no such hardware", value=name, choices=hardware_choices())
    content = read_mapping(hardware_dir() / f"{name}.yaml")
    try:
        sheet = DataSheet.model_validate(content)
    except ValidationError as error:
        raise mistake(error, content, DataSheet, prefix=f"hardware/{name}.yaml") from None
    return _hardware(name, sheet)


def _hardware(name: str, sheet: DataSheet) -> Hardware:
    return Hardware(
        name=name,
        description=sheet.description,
        processor=sheet.processor,
        dtype=sheet.dtype,
        peak_macs_per_s=sheet.peak_macs_per_s.value,
        memory_bandwidth_bytes_per_s=sheet.memory_bandwidth_bytes_per_s.value,
        efficiency=Efficiency(**_values(sheet.efficiency)),
        launch_overhead_s=sheet.launch_overhead_s.value,
        operator_overhead_s=sheet.operator_overhead_s.value,
        sleep_w=sheet.sleep_w.value,
        idle_w=sheet.idle_w.value,
        compute_w=sheet.compute_w.value,
        codec_s_per_kpixel=sheet.codec_s_per_kpixel.value if sheet.codec_s_per_kpixel else None,
        radio=Radio(**_values(sheet.radio)) if sheet.radio else None,
        folded=tuple(sheet.folded.kinds) if sheet.folded else (),
        kept_bytes=sheet.weight_store.kept_bytes.value if sheet.weight_store else math.inf,
        stream_bytes_per_s=_stream_rate(sheet),
        levels=tuple(_level(level) for level in sheet.dvfs),
        thermal=_thermal(sheet, sheet.thermal) if sheet.thermal else None,
        profile=_profile(name, sheet.profile) if sheet.profile else None,
        predictor=sheet.predictor,
        sources=_sources(sheet.model_dump(exclude_none=True)),
    )


def _stream_rate(sheet: DataSheet) -> float:
    return sheet.weight_store.stream_bytes_per_s.value if sheet.weight_store else math.inf


def _values(sheet: EfficiencySheet | RadioSheet) -> dict[str, float]:
    return {name: figure.value for name, figure in sheet}


def _level(sheet: LevelSheet) -> Level:
    return Level(sheet.name, sheet.frequency_hz, sheet.compute_w)


def _thermal(sheet: DataSheet, thermal: ThermalSheet) -> Thermal:
    scale, compute_w = _throttled(sheet, thermal)
    return Thermal(
        thermal.resistance_k_per_w.value,
        thermal.capacity_j_per_k.value,
        thermal.throttle_at_c.value,
        thermal.resume_at_c.value,
        scale,
        compute_w,
    )


def _throttled(sheet: DataSheet, thermal: ThermalSheet) -> tuple[float, float]:
    """Factor on the speed, and watts; `DataSheet` has made sure that one of the two is there."""
    if thermal.throttled_scale and thermal.throttled_compute_w:
        return thermal.throttled_scale.value, thermal.throttled_compute_w.value
    level = next(level for level in sheet.dvfs if level.name == thermal.throttled_level)
    return level.frequency_hz / sheet.dvfs[-1].frequency_hz, level.compute_w


def _profile(name: str, file: str) -> str:
    path = (hardware_dir() / file).resolve()
    if not path.is_file():
        where = f"hardware/{name}.yaml: profile"
        raise ScenarioError("no such file in scenarios/hardware", path=where, value=file)
    return str(path)


def _sources(content: dict[str, object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, figure in content.items():
        if isinstance(figure, dict) and "source" in figure:
            found[key] = str(figure["source"])
        elif isinstance(figure, dict):
            found |= {f"{key}.{sub}": text for sub, text in _sources(figure).items()}
        elif isinstance(figure, tuple | list):
            found |= {f"{key}.{level['name']}": str(level["source"]) for level in figure}
    return found
