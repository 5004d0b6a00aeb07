"""Every metric, once: name, unit, formula, which way is better.

The results' schema (`columns`), labels of figures and tables (`labels`), the report's glossary, the
KPIs that a summary holds (`summary`), bounds that a condition may have (`kpis`) and the tables of
docs/metrics.md are all made from `METRICS`. Stages of a request: `simsplit.results.stage_table`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

SCORE = "score_"
BOUNDLESS = -math.inf
_SHOWN_IN = {"s": ("ms", 1e3), "J": ("mJ", 1e3), "bit": ("kbit", 1e-3), "1": ("", 1.0)}


class Kind(StrEnum):
    """What a metric is a figure of, and whether a summary holds it as a KPI."""

    MEAN = "mean over the requests"
    SCORE = "mean over the scored requests"
    QUANTILE = "quantile over the requests"
    COMPLEMENT = "1 less another KPI"
    ROW = "a request alone"
    STATION = "a station over the whole run"
    BODY = "a group's devices, the worst of them"
    TABLE = "a row of a table"


class Better(StrEnum):
    """Which way a metric should go."""

    HIGHER = "higher"
    LOWER = "lower"
    NEITHER = "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    Attributes:
        name: Its column; of a station, how the columns' names begin.
        label: What axes and headers of figures and tables say.
        heading: The same where there is little room; empty: the label.
        unit: SI, dB or px; ``1`` for counts and shares.
        kind: What it is a figure of.
        better: Which way it should go.
        formula: How it is made.
        meaning: Of one request (of a ROW, MEAN or SCORE), else of the KPI; one sentence.
        least, most: The range of possible values.
        in_percent: Whether reports show it in per cent.
        source: Column that a QUANTILE is of; KPI that a COMPLEMENT is 1 less.
        quantile: Of a QUANTILE, in (0, 1).
    """

    name: str
    label: str
    formula: str
    meaning: str
    unit: str = "1"
    kind: Kind = Kind.MEAN
    better: Better = Better.LOWER
    heading: str = ""
    least: float = 0.0
    most: float = math.inf
    in_percent: bool = False
    source: str = ""
    quantile: float | None = None

    @property
    def short(self) -> str:
        """The heading, or the label if there is none."""
        return self.heading or self.label

    @property
    def shown_in(self) -> tuple[str, float]:
        """Unit in which reports show it (ms, mJ, kbit, %), and the factor from the stored value."""
        return ("%", 100.0) if self.in_percent else _SHOWN_IN.get(self.unit, (self.unit, 1.0))


_energy = partial(Metric, unit="J")
_share = partial(Metric, better=Better.HIGHER, most=1.0, in_percent=True)
_score = partial(Metric, kind=Kind.SCORE, better=Better.HIGHER, most=1.0)
_complement = partial(Metric, kind=Kind.COMPLEMENT, most=1.0, in_percent=True)


def _quantile(percent: int, label: str, heading: str) -> Metric:
    return Metric(
        name=f"latency_p{percent}_s",
        label=label,
        heading=heading,
        unit="s",
        kind=Kind.QUANTILE,
        source="latency_s",
        quantile=percent / 100,
        formula=f"empirical {percent} % quantile of `latency_s` over answered requests",
        meaning=f"{percent} % quantile of the latency of answered requests.",
    )


def _in_time(score: str, label: str, heading: str) -> Metric:
    return _score(
        name=f"{score}_in_time",
        label=label,
        heading=heading,
        formula=f"`{score}` if the answer met its deadline, else 0",
        meaning=f"{score}, or 0 if the deadline was missed.",
    )


METRICS: tuple[Metric, ...] = (
    Metric(
        name="latency_s",
        label="mean latency",
        unit="s",
        formula="closed − arrival of answered requests; lost, refused and open ones have none",
        meaning="closed_s - arrival_s of an answered request; null: lost, refused or still open.",
    ),
    Metric(
        name="payload_bits",
        label="payload",
        unit="bit",
        formula="8 × len(coded bytes), the codec's header included; 0: JSCC, or nothing had to "
        "travel",
        meaning="Coded payload with the codec's header; 0: JSCC or none.",
    ),
    Metric(
        name="header_bits",
        label="headers",
        unit="bit",
        formula="packets × bytes of their headers × 8; JSCC: control bits, one packet's headers "
        "and side information",
        meaning="Headers sent with the payload, uplink; JSCC: its control bits.",
    ),
    Metric(
        name="access_delay_s",
        label="access delay",
        unit="s",
        formula="first slot that access allows − `radio_start_s`: scheduling request, grant and "
        "preparation, or the wait for an own slot; waiting for others is not in it",
        meaning="From queueing for the uplink to the first slot allowed; null: nothing sent.",
    ),
    Metric(
        name="channel_uses",
        label="channel uses per request",
        heading="channel uses",
        formula="complex resource elements that carried the request: payload, headers or JSCC's "
        "control, padding, retransmissions",
        meaning="Complex symbols (resource elements) sent with data, uplink.",
    ),
    Metric(
        name="pilot_uses",
        label="pilot symbols per request",
        heading="pilot uses",
        formula="DMRS resource elements in the request's grants, beside its channel uses",
        meaning="Resource elements spent on reference signals, uplink.",
    ),
    Metric(
        name="papr_db",
        label="peak-to-average power ratio",
        heading="PAPR",
        unit="dB",
        least=BOUNDLESS,
        formula="peak to average power of a JSCC payload's OFDM waveform on the resource blocks of "
        "its first grant",
        meaning="JSCC: peak to average power of its waveform; null: no JSCC.",
    ),
    _energy(
        name="energy_j",
        label="energy per request",
        formula="compute + transmit + receive + edge; idle, listening and sleeping are in the "
        "ledger of `summary.json`",
        meaning="Sum of the energies of computing, sending, receiving and the server.",
        heading="energy",
    ),
    _energy(
        name="compute_energy_j",
        label="device's compute energy",
        formula="P_compute × seconds on the device's processor",
        meaning="Device: processor while computing for it.",
        heading="device compute energy",
    ),
    _energy(
        name="tx_energy_j",
        label="transmit energy",
        formula="Σ over granted slots of (P_tx / η_PA + P_circuit) × slot duration, and as much "
        "for the two symbols of a scheduling request",
        meaning="Device: transmitter during its uplink grants and scheduling requests.",
    ),
    _energy(
        name="rx_energy_j",
        label="receive energy",
        formula="P_receive × slots in which the answer came × slot duration",
        meaning="Device: receiver during its downlink grants.",
    ),
    _energy(
        name="edge_energy_j",
        label="edge's energy per request",
        formula="(P_idle + share of the roofline that the batch reaches × (P_max − P_idle)) × the "
        "network's seconds / batch size + P_idle × seconds of its own codecs",
        meaning="Server: its share of its batch's network, and its own codecs.",
        heading="edge energy",
    ),
    _share(
        name="delivered",
        label="delivered fraction",
        heading="delivered",
        formula="share whose payload arrived whole: every transport block passed its CRC (JSCC: "
        "every symbol, or from `min_symbols` on, was sent), or nothing had to travel",
        meaning="Whether the payload got through, or nothing had to travel.",
    ),
    _share(
        name="deadline_met",
        label="fraction in time",
        heading="in time",
        formula="share answered within `deadline_s`; lost, refused and open requests count as "
        "missed",
        meaning="Done, and in time if there is a deadline.",
    ),
    Metric(
        name="attempts",
        label="transmissions per request",
        heading="transmissions",
        formula="transport block transmissions (JSCC: grants)",
        meaning="Uplink grants used, first transmissions and repetitions.",
    ),
    _score(
        name="score_accuracy",
        label="accuracy",
        formula="1 if the class is right, else 0 (digits); 0 without an answer",
        meaning="Classification: 1 if the label is right, else 0.",
    ),
    _in_time("score_accuracy", "accuracy, late answers worth 0", "accuracy in time"),
    _score(
        name="score_miou",
        label="mean IoU",
        formula="per image: mean over classes present in truth or answer of TP / (TP + FP + FN); "
        "0 without an answer",
        meaning="Segmentation: mean intersection over union of the picture.",
    ),
    _in_time("score_miou", "mean IoU, late answers worth 0", "mean IoU in time"),
    _score(
        name="score_pixel_accuracy",
        label="pixel accuracy",
        formula="correct pixels / pixels; 0 without an answer",
        meaning="Segmentation: share of pixels that are right.",
    ),
    Metric(
        name="score_disparity_rmse_px",
        label="disparity RMSE",
        unit="px",
        kind=Kind.SCORE,
        formula="sqrt(mean((d̂ − d)²)) per image; of the best constant guess without an answer",
        meaning="Disparity: root mean square error; lower is better.",
    ),
    Metric(
        name="score_psnr_db",
        label="PSNR",
        unit="dB",
        kind=Kind.SCORE,
        better=Better.HIGHER,
        least=BOUNDLESS,
        formula="10 log10(255² / MSE) per image of the network's reconstruction against the clean "
        "render, for every scheme; of the best constant guess without an answer",
        meaning="Reconstruction: peak signal-to-noise ratio of the picture.",
    ),
    _quantile(50, "median latency", "median latency"),
    _quantile(95, "95th percentile of latency", "p95 latency"),
    _quantile(99, "99th percentile of latency", "p99 latency"),
    _complement(
        name="deadline_misses",
        label="fraction not in time",
        heading="deadline misses",
        source="deadline_met",
        formula="1 − `deadline_met`",
        meaning="Share of requests that were not answered in time.",
    ),
    _complement(
        name="losses",
        label="lost fraction",
        heading="losses",
        source="delivered",
        formula="1 − `delivered`",
        meaning="Share of payloads that did not get through.",
    ),
    Metric(
        name="snr_db",
        label="$E_s/N_0$",
        heading="SNR",
        unit="dB",
        kind=Kind.ROW,
        better=Better.NEITHER,
        least=BOUNDLESS,
        formula="mean over attempts of (effective) Es/(N0 + I0) per complex symbol, fading "
        "included; E|z|² = 1, noise CN(0, 1/SNR)",
        meaning="Mean post-processing SNR of its uplink grants; null: none.",
    ),
    Metric(
        name="utilisation",
        label="utilisation",
        kind=Kind.STATION,
        better=Better.NEITHER,
        in_percent=True,
        formula="busy seconds / seconds that the station could work, both within [0, "
        "`duration_s`); of servers over the workers that were on; radio: granted / available "
        "resource blocks × slots; work under way at the end counts up to it",
        meaning="Share of the arrival window in which the station was busy.",
    ),
    _share(
        name="battery_share",
        label="battery share",
        kind=Kind.BODY,
        formula="charge at the run's end / capacity, the lowest of the group's devices",
        meaning="Lowest charge of the group's devices at the run's end.",
    ),
    Metric(
        name="max_temperature_c",
        label="highest temperature",
        unit="°C",
        kind=Kind.BODY,
        least=BOUNDLESS,
        formula="highest temperature of the group's devices during the run",
        meaning="Highest temperature of the group's devices.",
    ),
    Metric(
        name="throttled_s",
        label="time throttled",
        unit="s",
        kind=Kind.BODY,
        formula="seconds of computing slowed down by heat, the longest of the group's devices",
        meaning="Longest time that a device of the group was throttled.",
    ),
    Metric(
        name="bpp",
        label="rate",
        unit="bit/pixel",
        kind=Kind.TABLE,
        formula="`payload_bits` / pixels of the task's picture; in figures of rate and distortion",
        meaning="Payload over the pixels of the picture.",
    ),
    Metric(
        name="n",
        label="requests",
        kind=Kind.TABLE,
        better=Better.NEITHER,
        formula="requests that arrived in the measured window",
        meaning="Requests behind the row.",
    ),
)
"""In the order of a summary: means, scores, quantiles; then what is no KPI of its own."""

BY_NAME = {metric.name: metric for metric in METRICS}
MEANS = tuple(metric.name for metric in METRICS if metric.kind is Kind.MEAN)
SCORES = tuple(metric.name for metric in METRICS if metric.kind is Kind.SCORE)
QUANTILES = {metric.name: metric.quantile for metric in METRICS if metric.quantile is not None}
COMPLEMENTS = {m.name: m.source for m in METRICS if m.kind is Kind.COMPLEMENT}
HEADLINES = ("score_miou", "score_accuracy")
"""A task's headline score, called ``accuracy`` by users: the first that a table has."""


def metric(name: str) -> Metric | None:
    """The metric of a KPI as users name it: a column, ``accuracy``, ``latency_s.p95``.

    None of a KPI that the table does not know, e.g. a score of a user's own task.
    """
    if name == "accuracy":
        return BY_NAME["score_accuracy"]
    plain = name.partition(".")[0]
    return BY_NAME.get("utilisation" if plain.startswith("utilisation_") else plain)


def higher_is_better(name: str) -> bool:
    """Whether more of a KPI is better; of a score of a user's own, unless it is an error (RMSE)."""
    about = metric(name)
    if about is not None:
        return about.better is Better.HIGHER
    return name.startswith(SCORE) and "rmse" not in name
