"""Fit a hardware file's efficiencies and overheads to published latencies; judge them on others.

    simsplit hardware raspberry_pi_5 --fit

minimises, over all published latencies t of a file and its free figures p (logarithms of)::

    sum rho((log t_predicted(p) - log t) / NOISE) + sum ((p - p_0) / sigma)^2

with rho(e) = 2 (sqrt(1 + e^2) - 1), and centres p_0 and widths sigma that are the same for all
files of a processor (`PRIORS`), so that figures that the latencies say nothing of stay plausible.
Errors are of held-out networks: each is predicted by a fit to the others alone. Peaks, bandwidths
and powers are not fitted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from simsplit.errors import ScenarioError
from simsplit.files import write_whole
from simsplit.hardware.parts import Evidence
from simsplit.hardware.published import Latency, described, operators_of, read_latencies
from simsplit.hardware.roofline import Hardware, load_hardware
from simsplit.hardware.sheet import ELEMENT_BYTES, Processor
from simsplit.scenario.bundled import hardware_choices, hardware_file

Floats = NDArray[np.float64]
NOISE = 0.2  # standard deviation of log(published / roofline) where the roofline is right
FEWEST_NETWORKS = 3
PRODUCTS = ("conv", "conv3x3", "depthwise", "linear", "attention")
FIGURES = (*PRODUCTS, "memory", "half_depth", "operator_overhead_s", "launch_overhead_s")
FOLLOWS = {"conv3x3": "conv", "half_depth": "memory"}  # in files that lack them
# centre of each figure's logarithm by processor, and the factor that is one standard deviation
PRIORS: Mapping[Processor, tuple[float, ...]] = {
    "cpu": (0.4, 0.8, 0.05, 0.4, 0.2, 0.5, 1.0, 2e-5, 5e-4),
    "gpu": (0.4, 0.8, 0.03, 0.4, 0.2, 0.6, 1.0, 2e-5, 5e-4),
    "npu": (0.3, 0.3, 0.05, 0.3, 0.1, 0.2, 1.0, 5e-6, 3e-4),
}
FACTORS = (3.0, 3.0, 4.0, 3.0, 3.0, 3.0, 8.0, 5.0, 4.0)
LOWEST = (1e-3, 1e-3, 1e-4, 1e-3, 1e-4, 0.01, 1e-2, 1e-8, 1e-6)
HIGHEST = (1.0, 324 / 64, 1.0, 1.0, 1.0, 1.0, 500.0, 1e-3, 1e-2)


@dataclass(frozen=True)
class Fit:
    """Figures of a hardware file, and how networks that were held out came out.

    Attributes:
        figures: Name (of `FIGURES`) → value; those that were fitted.
        ratios: Held-out predicted over published, one per latency.
    """

    hardware: Hardware
    latencies: tuple[Latency, ...]
    figures: dict[str, float]
    ratios: tuple[float, ...]

    @property
    def evidence(self) -> Evidence:
        """What the file says of itself."""
        networks = len({row.network for row in self.latencies})
        return evidence_of(self.ratios, networks, networks)


def evidence_of(ratios: Sequence[float], networks: int, judged: int) -> Evidence:
    """Evidence from ratios predicted / published of held-out networks, rounded as it is written."""
    values = np.array(ratios)
    median = float(np.median(np.abs(values - 1)))
    mean = float(np.exp(np.log(values).mean()))
    ends = (float(values.min()), float(values.max()))
    return Evidence(networks, judged, *(round(one, 3) for one in (median, mean, *ends)))


def fit(name: str) -> Fit:
    """Fit a bundled hardware file to its published latencies, each network held out in turn.

    Raises:
        ScenarioError: Fewer than three networks of it are published.
    """
    hardware, rows = load_hardware(name), read_latencies(name)
    networks = list(dict.fromkeys(row.network for row in rows))
    if len(networks) < FEWEST_NETWORKS:
        message = f"a fit needs published latencies of {FEWEST_NETWORKS} networks"
        raise ScenarioError(message, path=f"hardware/{name}", value=len(networks))
    law = _Law(hardware, rows)
    whole = law.fitted(np.ones(len(rows), dtype=np.bool_))
    ratios = np.empty(len(rows))
    for network in networks:
        held_out = np.array([row.network == network for row in rows])
        figures = law.fitted(~held_out)
        ratios[held_out] = (law.seconds(figures) / law.measured_s)[held_out]
    values = {one: float(f"{value:.3g}") for one, value in law.named(whole).items()}
    return Fit(hardware, tuple(rows), values, tuple(ratios.tolist()))


def with_figures(hardware: Hardware, figures: Mapping[str, float]) -> Hardware:
    """The hardware with fitted figures in place of its own."""
    shares = {one: value for one, value in figures.items() if not one.endswith("_s")}
    overheads = {one: value for one, value in figures.items() if one.endswith("_s")}
    efficiency = replace(hardware.efficiency, **shares)
    return replace(hardware, efficiency=efficiency, **overheads)  # type: ignore[arg-type]


# --- the roofline of many launches at once ----------------------------------------------------


class _Law:
    """Seconds of published launches as a function of the free figures' logarithms.

    The same formula as `Hardware.seconds` (a test compares them), over all operators in one array.
    """

    def __init__(self, hardware: Hardware, rows: Sequence[Latency]) -> None:
        self.measured_s = np.array([row.seconds for row in rows])
        work = [
            (index, row.batch, one)
            for index, row in enumerate(rows)
            for one in operators_of(row.network, row.size_px)
            if one.kind not in ("reshape", *hardware.folded)
        ]
        self._row = np.array([index for index, *_ in work])
        batch = np.array([float(size) for _, size, _ in work])
        element_bytes = ELEMENT_BYTES[hardware.dtype]
        self._peak_s = batch * [one.macs for *_, one in work] / hardware.peak_macs_per_s
        moved = np.array([one.moved_elements(size) for _, size, one in work])
        self._stream_peak_s = moved * element_bytes / hardware.memory_bandwidth_bytes_per_s
        self._kind = np.array([_column(one.kind, one.window, hardware) for *_, one in work])
        products = np.array([one.elements_out * one.window for *_, one in work])
        is_conv = self._kind < 2
        macs = np.array([one.macs for *_, one in work])
        self._inverse_depth = np.where(is_conv & (macs > 0), products / np.maximum(macs, 1.0), 0.0)
        self._operators = np.bincount(self._row, minlength=len(rows))
        self._weights_s = self._store_s(hardware, rows)
        self._set_free(hardware, present={str(one.kind) for *_, one in work})

    def _store_s(self, hardware: Hardware, rows: Sequence[Latency]) -> Floats:
        """Seconds that weights take which do not fit on the chip."""
        weights = [sum(o.weights for o in operators_of(r.network, r.size_px)) for r in rows]
        excess = np.array(weights) * ELEMENT_BYTES[hardware.dtype] - hardware.kept_bytes
        stream_s: Floats = np.maximum(excess, 0.0) / hardware.stream_bytes_per_s
        return stream_s

    def _set_free(self, hardware: Hardware, present: set[str]) -> None:
        """What is fitted: nothing that no operator has, and of NPUs neither 3 x 3 nor depth."""
        fixed = {kind for kind in ("depthwise", "linear", "attention") if kind not in present}
        if hardware.processor == "npu":
            fixed |= {"conv3x3", "half_depth"}
        self._free = np.array([one not in fixed for one in FIGURES])
        start = np.log(np.array(PRIORS[hardware.processor]))
        own = hardware.efficiency
        for index, one in enumerate(FIGURES[:5]):
            if not self._free[index] and one != "conv3x3":
                start[index] = np.log(getattr(own, one))
        if hardware.processor == "npu":
            start[FIGURES.index("half_depth")] = -np.inf
        self._start = start

    def seconds(self, logarithms: Floats) -> Floats:
        """Of every launch, for all figures' logarithms."""
        figures = np.exp(logarithms)
        filled = 1 + figures[6] * self._inverse_depth
        arithmetic_s = self._peak_s / figures[self._kind] * filled
        operators_s = np.maximum(arithmetic_s, self._stream_peak_s / figures[5])
        sums_s = np.bincount(self._row, operators_s, minlength=len(self.measured_s))
        seconds: Floats = figures[8] + self._operators * figures[7] + sums_s + self._weights_s
        return seconds

    def fitted(self, used: NDArray[np.bool_]) -> Floats:
        """Logarithms of all figures, the free ones fitted to the rows that are used."""
        free, start = self._free, self._start
        width = np.log(np.array(FACTORS))[free]

        def residuals(values: Floats) -> Floats:
            logarithms = start.copy()
            logarithms[free] = values
            errors = np.log(self.seconds(logarithms)[used] / self.measured_s[used]) / NOISE
            return np.concatenate([_robust(errors), (values - start[free]) / width])

        ends = (np.log(np.array(LOWEST))[free], np.log(np.array(HIGHEST))[free])
        # where memory binds, a product's share has no gradient: begin below as well
        slow = np.where(np.array([one in PRODUCTS for one in FIGURES])[free], np.log(5.0), 0.0)
        begins = (start[free], np.maximum(start[free] - slow, ends[0]))
        tried = [least_squares(residuals, begin, bounds=ends) for begin in begins]
        found = start.copy()
        found[free] = min(tried, key=lambda one: float(one.cost)).x
        return np.asarray(found, dtype=np.float64)

    def named(self, logarithms: Floats) -> dict[str, float]:
        """The free figures by name."""
        values = np.exp(logarithms[self._free])
        names = [one for one, free in zip(FIGURES, self._free, strict=True) if free]
        return dict(zip(names, map(float, values), strict=True))


def _robust(errors: Floats) -> Floats:
    """Residuals whose squares are 2 (sqrt(1 + e^2) - 1): a network that the law misses drags less.

    P. Charbonnier et al., "Deterministic edge-preserving regularization in computed imaging", IEEE
    Trans. Image Process. 6(2), 1997.
    """
    squares: Floats = 2 * (np.sqrt(1 + errors**2) - 1)
    signed: Floats = np.sign(errors) * np.sqrt(squares)
    return signed


def _column(kind: str, window: float, hardware: Hardware) -> int:
    """Index in `PRODUCTS`, whose order that of `FIGURES` begins with."""
    if kind == "conv":
        return 1 if window == 9 and hardware.processor != "npu" else 0
    return PRODUCTS.index(kind) if kind in PRODUCTS else PRODUCTS.index("linear")


# --- into the file ----------------------------------------------------------------------------


def fit_file(name: str | None) -> Path:
    """Fit a bundled hardware file and write it.

    Raises:
        ScenarioError: No such bundled file, or fewer than three networks of it are published.
    """
    if name is None or name not in hardware_choices():
        message = "only a bundled hardware file has published latencies"
        raise ScenarioError(message, path="NAME", value=name, choices=hardware_choices())
    return write_fit(fit(name))


def write_fit(found: Fit) -> Path:
    """Put the fitted figures and the held-out errors into the bundled file; its path."""
    file = hardware_file(found.hardware.name)
    text, networks = file.read_text(encoding="utf-8"), found.evidence.networks
    source = f"fitted to {networks} published networks, see evidence"
    for name, value in found.figures.items():
        text = _with_figure(text, name, f'{{value: {value:g}, source: "{source}"}}')
    write_whole(file, _with_evidence(text, found))
    return file


def _with_figure(text: str, name: str, figure: str) -> str:
    line = re.compile(rf"^( *){name}: \{{.*\}}$", re.MULTILINE)
    if line.search(text):
        return line.sub(lambda match: f"{match[1]}{name}: {figure}", text, count=1)
    after = re.compile(rf"^(  {FOLLOWS[name]}: .*)$", re.MULTILINE)
    return after.sub(lambda match: f"{match[1]}\n  {name}: {figure}", text, count=1)


def _with_evidence(text: str, found: Fit) -> str:
    one = found.evidence
    lines = [
        "evidence:",
        f"  networks: {one.networks}",
        f"  judged: {one.judged}",
        f"  median_error: {one.median_error:g}",
        f"  mean_ratio: {one.mean_ratio:g}",
        f"  lowest_ratio: {one.lowest_ratio:g}",
        f"  highest_ratio: {one.highest_ratio:g}",
        f'  source: "{described(list(found.latencies))}; each network held out in turn"',
    ]
    text = re.sub(r"^evidence:\n(?:  .*\n)+", "", text, flags=re.MULTILINE)
    return text.replace("\nefficiency:\n", "\n" + "\n".join(lines) + "\nefficiency:\n", 1)
