"""Seconds and joules of a workload on a device or server.

Each operator is a roofline (S. Williams, A. Waterman, D. Patterson, "Roofline: an insightful
visual performance model for multicore architectures", CACM 52(4), 2009), and a launch their sum::

    t_operator = operator_overhead + max(batch * macs / (peak * efficiency(operator)),
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
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simsplit.errors import ScenarioError
from simsplit.files import file_digest
from simsplit.hardware.parts import CodecBlock, Efficiency, Evidence, Level, Radio, Thermal
from simsplit.hardware.sheet import (
    ELEMENT_BYTES,
    CodecBlockSheet,
    DataSheet,
    DType,
    EfficiencySheet,
    LevelSheet,
    Processor,
    RadioSheet,
    ThermalSheet,
)
from simsplit.operators import Operator
from simsplit.scenario.bundled import hardware_file
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.places import (
    HARDWARE,
    PREDICTOR,
    find_file,
    referred,
    search_folders,
    unknown,
)
from simsplit.scenario.yaml import read_mapping


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
        predictor: Reference of the model that says what devices believe of its seconds.
        seven_zip_mips: Rating of one core, by which the seconds of codecs are scaled.
        codec_profile: Absolute path of the profile of codecs; None: the package's.
        evidence: What published latencies its figures rest on; None: the file does not say.
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
    seven_zip_mips: float | None = None
    codec_blocks: tuple[CodecBlock, ...] = ()
    codec_profile: str | None = None
    radio: Radio | None = None
    folded: tuple[str, ...] = ()
    kept_bytes: float = math.inf
    stream_bytes_per_s: float = math.inf
    levels: tuple[Level, ...] = ()
    level: str = ""
    thermal: Thermal | None = None
    profile: str | None = None
    predictor: str | None = None
    evidence: Evidence | None = field(default=None, compare=False)
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
        share = self.efficiency.of(operator)
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

    def reached_share(self, operators: Iterable[Operator], batch: int = 1) -> float:
        """Share of the roofline that a launch reaches, in [0, 1]; 0 if there are no operators.

        The roofline's ceilings are the rates that its best kind of product and its memory sustain
        (Williams et al. 2009, "ceilings"): the time of that work at the ceiling that binds it, over
        the time of the launch.
        """
        operators = tuple(operators)
        launch_s = self.seconds(operators, batch)
        if launch_s <= 0.0:
            return 0.0
        rate = self.peak_macs_per_s * self.efficiency.ceiling
        work = (one for one in operators if one.kind not in ("reshape", *self.folded))
        bound_s = (max(batch * one.macs / rate, self._memory_s(one, batch)) for one in work)
        return (sum(bound_s) + self._stream_s(operators)) / launch_s

    def compute_s(self, macs: float, batch: int = 1) -> float:
        """Estimate from MACs per sample alone: overhead + batch * macs / (peak * conv efficiency).

        For what knows no operators; leaves out memory and the overhead per operator.
        """
        _check_work(macs, batch)
        return self.launch_overhead_s + batch * macs / (self.peak_macs_per_s * self.efficiency.conv)

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

        The peak scales with the frequency (and a CPU's dispatch and codecs), the memory does not.

        Raises:
            ScenarioError: The file has no such level.
        """
        level = self._level(name)
        scale = level.frequency_hz / self._level(self.level or self.levels[-1].name).frequency_hz
        host = scale if self.processor == "cpu" else 1.0
        mips = self.seven_zip_mips
        return replace(
            self,
            level=name,
            compute_w=level.compute_w,
            peak_macs_per_s=self.peak_macs_per_s * scale,
            launch_overhead_s=self.launch_overhead_s / host,
            operator_overhead_s=self.operator_overhead_s / host,
            seven_zip_mips=None if mips is None else mips * host,
            thermal=None if self.thermal is None else self.thermal.at_level(scale, level.compute_w),
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


def load_hardware(name: str) -> Hardware:
    """The hardware of a reference: a bundled name, or the absolute path of a user's own file.

    What the file names itself (profile, predictor) is looked for beside it first.

    Raises:
        ScenarioError: No such file, or it says something impossible.
    """
    file = hardware_file(name)
    if not file.is_file():
        raise unknown(HARDWARE, name)
    return _load_hardware(file, file_digest(file), tuple(search_folders()))


@lru_cache(maxsize=64)
def _load_hardware(file: Path, digest: str, folders: tuple[Path, ...]) -> Hardware:
    """Read once while neither the file nor the folders of the search are others."""
    return _hardware(file, read_sheet(file), f"hardware/{file.name}")


def read_sheet(file: Path) -> DataSheet:
    """What a hardware file says, checked.

    Raises:
        ScenarioError: It is no mapping, or says something impossible.
    """
    content = read_mapping(file)
    try:
        return DataSheet.model_validate(content)
    except ValidationError as error:
        raise mistake(error, content, DataSheet, prefix=f"hardware/{file.name}") from None


def _hardware(file: Path, sheet: DataSheet, where: str) -> Hardware:
    return Hardware(
        name=file.stem,
        description=sheet.description,
        processor=sheet.processor,
        dtype=sheet.dtype,
        peak_macs_per_s=sheet.peak_macs_per_s.value,
        memory_bandwidth_bytes_per_s=sheet.memory_bandwidth_bytes_per_s.value,
        efficiency=Efficiency(**_values(sheet.efficiency)),
        evidence=_evidence(sheet),
        launch_overhead_s=sheet.launch_overhead_s.value,
        operator_overhead_s=sheet.operator_overhead_s.value,
        sleep_w=sheet.sleep_w.value,
        idle_w=sheet.idle_w.value,
        compute_w=sheet.compute_w.value,
        seven_zip_mips=sheet.seven_zip_mips.value if sheet.seven_zip_mips else None,
        codec_blocks=tuple(_block(block) for block in sheet.codec_blocks),
        codec_profile=_profile_path(file, sheet.codec_profile, f"{where}: codec_profile"),
        radio=Radio(**_values(sheet.radio)) if sheet.radio else None,
        folded=tuple(sheet.folded.kinds) if sheet.folded else (),
        kept_bytes=sheet.weight_store.kept_bytes.value if sheet.weight_store else math.inf,
        stream_bytes_per_s=_stream_rate(sheet),
        levels=tuple(_level(level) for level in sheet.dvfs),
        thermal=_thermal(sheet, sheet.thermal) if sheet.thermal else None,
        profile=_profile_path(file, sheet.profile, f"{where}: profile"),
        predictor=_predictor(file, sheet.predictor, where),
        sources=_sources(sheet.model_dump(exclude_none=True)),
    )


def _stream_rate(sheet: DataSheet) -> float:
    return sheet.weight_store.stream_bytes_per_s.value if sheet.weight_store else math.inf


def _values(sheet: EfficiencySheet | RadioSheet) -> dict[str, float]:
    return {name: figure.value for name, figure in sheet if figure is not None}


def _evidence(sheet: DataSheet) -> Evidence | None:
    if sheet.evidence is None:
        return None
    return Evidence(**sheet.evidence.model_dump(exclude={"source"}))


def _block(sheet: CodecBlockSheet) -> CodecBlock:
    return CodecBlock(sheet.kind, sheet.encode_s_per_kpixel.value, sheet.decode_s_per_kpixel.value)


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


def _profile_path(file: Path, name: str | None, where: str) -> str | None:
    if name is None:
        return None
    return str(find_file(name, "profile", beside=file.parent, path=where))


def _predictor(file: Path, name: str | None, where: str) -> str | None:
    if name is None:
        return None
    return referred(PREDICTOR, name, beside=file.parent, path=f"{where}: predictor")


def _listed_sources(key: str, rows: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Of DVFS levels, which have one source each, and of codec blocks, whose figures have."""
    sources: dict[str, str] = {}
    for row in rows:
        name = f"{key}.{row.get('name', row.get('kind'))}"
        own = {name: str(row["source"])} if "source" in row else {}
        sources |= own or {f"{name}.{sub}": text for sub, text in _sources(row).items()}
    return sources


def _sources(content: dict[str, object]) -> dict[str, str]:
    sources: dict[str, str] = {}
    for key, figure in content.items():
        if isinstance(figure, dict) and "source" in figure:
            sources[key] = str(figure["source"])
        elif isinstance(figure, dict):
            sources |= {f"{key}.{sub}": text for sub, text in _sources(figure).items()}
        elif isinstance(figure, tuple | list):
            sources |= _listed_sources(key, figure)
    return sources
