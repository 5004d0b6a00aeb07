"""Seconds and joules of a workload on a device or server.

Latency of one launch of ``batch`` inferences is a roofline without its memory side::

    t = launch_overhead + batch * macs / (peak * efficiency)

A device is in one of the states idle (``idle_w``), compute (``compute_w``) and transmit
(``tx_power / pa_efficiency + tx_circuit``, on top of idle or compute); energy is power times the
time in the state. ``peak`` is a published figure; ``efficiency`` is an assumption and says so in
the file. A table of measured latencies will come first where there is one; none is read yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from simsplit.errors import ScenarioError
from simsplit.load import hardware_choices, hardware_dir, mistake, read_mapping
from simsplit.spec import Fraction, NonNegative, Positive

Source = Annotated[str, Field(min_length=10)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _PositiveFigure(_Strict):
    value: Positive
    source: Source


class _Figure(_Strict):
    value: NonNegative
    source: Source


class _ShareFigure(_Strict):
    value: Annotated[Fraction, Field(gt=0)]
    source: Source


class _RadioFile(_Strict):
    pa_efficiency: _ShareFigure
    tx_circuit_w: _Figure
    rx_w: _Figure
    listen_w: _Figure
    sleep_w: _Figure
    sleep_transition_j: _Figure


class _HardwareFile(_Strict):
    """What a file in ``scenarios/hardware`` may say: every figure with its public source."""

    description: str
    peak_macs_per_s: _PositiveFigure
    efficiency: _ShareFigure
    launch_overhead_s: _Figure
    codec_s_per_kpixel: _Figure | None = None
    idle_w: _Figure
    compute_w: _PositiveFigure
    radio: _RadioFile | None = None


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
class Hardware:
    """One device or server; ``radio`` is None for a server, whose base station is not counted."""

    name: str
    description: str
    peak_macs_per_s: float
    efficiency: float
    launch_overhead_s: float
    idle_w: float
    compute_w: float
    codec_s_per_kpixel: float | None = None
    radio: Radio | None = None
    sources: dict[str, str] = field(default_factory=dict, compare=False)

    def compute_s(self, macs: float, batch: int = 1) -> float:
        """Seconds of one launch, overhead + batch * macs / (peak * efficiency); macs per sample."""
        if macs < 0 or batch < 1:
            raise ValueError(f"macs >= 0 and batch >= 1, found {macs} and {batch}")
        return self.launch_overhead_s + batch * macs / (self.peak_macs_per_s * self.efficiency)

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

    def _radio(self) -> Radio:
        if self.radio is None:
            raise ScenarioError("hardware is a server, it has no radio", value=self.name)
        return self.radio


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
        return _hardware(name, _HardwareFile.model_validate(content))
    except ValidationError as error:
        raise mistake(error, content, _HardwareFile, prefix=f"hardware/{name}.yaml") from None


def _hardware(name: str, file: _HardwareFile) -> Hardware:
    radio = file.radio
    return Hardware(
        name=name,
        description=file.description,
        peak_macs_per_s=file.peak_macs_per_s.value,
        efficiency=file.efficiency.value,
        launch_overhead_s=file.launch_overhead_s.value,
        idle_w=file.idle_w.value,
        compute_w=file.compute_w.value,
        codec_s_per_kpixel=file.codec_s_per_kpixel.value if file.codec_s_per_kpixel else None,
        radio=Radio(**{name: figure.value for name, figure in radio}) if radio else None,
        sources=_sources(file.model_dump(exclude_none=True)),
    )


def _sources(content: dict[str, object]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, figure in content.items():
        if isinstance(figure, dict) and "source" in figure:
            found[key] = str(figure["source"])
        elif isinstance(figure, dict):
            found |= {f"{key}.{sub}": text for sub, text in _sources(figure).items()}
    return found
