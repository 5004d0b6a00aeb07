"""Every metric, once: name, unit, formula, which way is better.

The results' schema (`columns`), labels of figures and tables (`labels`), the report's glossary, the
KPIs that a summary holds (`summary`), bounds that a condition may have (`kpis`) and the tables of
docs/metrics.md are all made from `METRICS`. Stages of a request: `simsplit.results.stage_table`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from functools import cache, partial

from simsplit.results.metric_kinds import BOUNDLESS, SCORE, Better, Kind, Metric
from simsplit.results.score_metrics import POOLED_METRICS, SCORE_METRICS

__all__ = ["BOUNDLESS", "SCORE", "Better", "Kind", "Metric"]

_energy = partial(Metric, unit="J")
_share = partial(Metric, better=Better.HIGHER, most=1.0, in_percent=True)
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
    *SCORE_METRICS,
    _quantile(50, "median latency", "median latency"),
    _quantile(95, "95th percentile of latency", "p95 latency"),
    _quantile(99, "99th percentile of latency", "p99 latency"),
    *POOLED_METRICS,
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
"""In the order of a summary: means, scores, quantiles, pooled; then what is no KPI of its own."""

BY_NAME = {metric.name: metric for metric in METRICS}
MEANS = tuple(metric.name for metric in METRICS if metric.kind is Kind.MEAN)
SCORES = tuple(metric.name for metric in METRICS if metric.kind is Kind.SCORE)
QUANTILES = {metric.name: metric.quantile for metric in METRICS if metric.quantile is not None}
COMPLEMENTS = {m.name: m.source for m in METRICS if m.kind is Kind.COMPLEMENT}
POOLED = tuple(metric.name for metric in METRICS if metric.kind is Kind.POOLED)
IN_TIME = tuple(n.removesuffix("_in_time") for n in SCORES if n.endswith("_in_time"))
HEADLINES = ("score_miou", "score_accuracy", "map50_95", "score_rmse")
"""A task's headline score, called ``accuracy`` by users: the first that a table has."""


def headline(names: Collection[str]) -> str | None:
    """The headline score of a table's columns: of several heads the first one's; None: no score."""
    plain = next((name for name in HEADLINES if name in names), None)
    if plain is not None:
        return plain
    heads = (n for h in HEADLINES for n in names if n.startswith(f"{h}_") and _is_head(n))
    return next(heads, next((name for name in names if name.startswith(SCORE)), None))


def _is_head(name: str) -> bool:
    return name not in BY_NAME and metric(name) is not None


def metric(name: str) -> Metric | None:
    """The metric of a KPI as users name it: a column, ``accuracy``, ``latency_s.p95``.

    A score of a named answer (``score_accuracy_shape``) is that of its kind. None of a KPI that the
    table does not know, e.g. a score of a user's own task.
    """
    if name == "accuracy":
        return BY_NAME["score_accuracy"]
    plain = name.partition(".")[0]
    about = BY_NAME.get("utilisation" if plain.startswith("utilisation_") else plain)
    return about or _of_named_answer(plain)


@cache
def _of_named_answer(name: str) -> Metric | None:
    """The longest score or pooled score that the name begins with, and the answer's name."""
    families = [n for n in (*SCORES, *POOLED) if name.startswith(f"{n}_")]
    if not families:
        return None
    family = BY_NAME[max(families, key=len)]
    answer = name.removeprefix(f"{family.name}_").replace("_", " ")
    return replace(
        family,
        name=name,
        label=f"{family.label} of {answer}",
        heading=f"{family.short} of {answer}",
        meaning=f"Answer {answer}: {family.meaning}",
    )


def is_pooled(name: str) -> bool:
    """Whether a KPI is made of all requests together, so that no request has a value of it."""
    about = metric(name)
    return about is not None and about.kind is Kind.POOLED


def higher_is_better(name: str) -> bool:
    """Whether more of a KPI is better; of a score of a user's own, unless it is an error (RMSE)."""
    about = metric(name)
    if about is not None:
        return about.better is Better.HIGHER
    return name.startswith(SCORE) and "rmse" not in name
