"""What a hardware file's figures are about: transceiver, efficiencies, frequency levels, heat."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """Share of the peak that each kind of operator reaches, and of the memory's bandwidth.

    Attributes:
        conv3x3: Of convolutions of 3 x 3; above 1 where Winograd's algorithm needs fewer products
            than are counted. None: as ``conv``.
        half_depth: Input channels per group at which a convolution reaches half of its share; units
            of many lanes are filled by deep convolutions only. 0: depth does not matter.
    """

    conv: float
    depthwise: float
    linear: float
    attention: float
    memory: float
    conv3x3: float | None = None
    half_depth: float = 0.0

    def of(self, operator: Operator) -> float:
        """Share of the peak for that operator; kinds without a figure count as ``linear``.

        A convolution of d input channels per group reaches share x d / (d + half_depth).
        """
        match operator.kind:
            case "conv":
                three = operator.window == 9 and self.conv3x3 is not None
                share = self.conv3x3 if three and self.conv3x3 is not None else self.conv
                return share * self._filled(operator)
            case "depthwise":
                return self.depthwise
            case "attention":
                return self.attention
            case _:
                return self.linear

    @property
    def ceiling(self) -> float:
        """The best share of the peak that any operator reaches."""
        best = max(self.conv, self.depthwise, self.linear, self.attention)
        return best if self.conv3x3 is None else max(best, self.conv3x3)

    def _filled(self, conv: Operator) -> float:
        products = conv.elements_out * conv.window
        if not self.half_depth or not products or not conv.macs:
            return 1.0
        depth = conv.macs / products
        return depth / (depth + self.half_depth)


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

    def at_level(self, scale: float, compute_w: float) -> Thermal:
        """At a frequency level of that speed and power; the figures are shares of the highest."""
        return replace(
            self,
            throttled_scale=min(1.0, self.throttled_scale / scale),
            throttled_compute_w=min(compute_w, self.throttled_compute_w),
        )


@dataclass(frozen=True, slots=True)
class Evidence:
    """The published latencies that a file's efficiencies and overheads rest on.

    Attributes:
        networks: How many networks they were fitted to.
        judged: How many networks were predicted by a fit that had not seen them.
        median_error: Of those, median of abs(predicted / published - 1); None if none was judged.
        mean_ratio: Geometric mean of predicted / published.
        lowest_ratio, highest_ratio: Of predicted / published.
    """

    networks: int
    judged: int = 0
    median_error: float | None = None
    mean_ratio: float | None = None
    lowest_ratio: float | None = None
    highest_ratio: float | None = None

    @property
    def warning(self) -> str | None:
        """What a user has to know where the figures rest on fewer than three networks."""
        if self.networks >= 3:
            return None
        if not self.networks:
            return "its latencies rest on data sheets and assumptions, on no published network"
        if self.networks == 1:
            return "its latencies rest on one published network"
        return f"its latencies rest on {self.networks} published networks"

    def text(self) -> str:
        """For a table: networks, and the held-out error if there is one."""
        if self.median_error is None:
            return f"{self.networks} networks, none held out"
        spread = f"{self.lowest_ratio:.2f} to {self.highest_ratio:.2f}"
        return (
            f"{self.networks} networks; held out ({self.judged}): median error "
            f"{100 * self.median_error:.0f} %, ratios {spread}"
        )


@dataclass(frozen=True, slots=True)
class CodecBlock:
    """A fixed-function block for pictures of one format."""

    kind: str
    encode_s_per_kpixel: float
    decode_s_per_kpixel: float
