"""What every KPI means, in the words and units of a reader; the README's definitions, short."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Definition:
    """A KPI as a report writes it.

    Attributes:
        kpi: Its column.
        label: What a heading says.
        unit: Unit in which it is shown; empty: a plain number.
        scale: Shown number = ``scale`` x stored number (SI units).
        formula: How it is made from the requests that arrived in [warmup_s, duration_s).
    """

    kpi: str
    label: str
    unit: str
    scale: float
    formula: str

    @property
    def title(self) -> str:
        """Label and unit, as an axis says it."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


_LATENCY = "closed − arrival, over answered requests"
_QUANTILE = f"empirical quantile of {_LATENCY}"
_DEFINITIONS = (
    Definition("latency_s", "mean latency", "ms", 1e3, f"mean of {_LATENCY}"),
    Definition("latency_p50_s", "median latency", "ms", 1e3, f"50 %: {_QUANTILE}"),
    Definition("latency_p95_s", "p95 latency", "ms", 1e3, f"95 %: {_QUANTILE}"),
    Definition("latency_p99_s", "p99 latency", "ms", 1e3, f"99 %: {_QUANTILE}"),
    Definition(
        "delivered",
        "delivered",
        "%",
        100,
        "share whose payload arrived whole: every transport block passed its CRC (JSCC: every "
        "symbol, or from min_symbols on, was sent)",
    ),
    Definition(
        "deadline_met",
        "in time",
        "%",
        100,
        "share answered within deadline_s; lost, refused and open requests count as missed",
    ),
    Definition(
        "payload_bits", "payload", "kbit", 1e-3, "8 × len(coded bytes), header included; mean"
    ),
    Definition(
        "channel_uses",
        "channel uses",
        "",
        1,
        "complex resource elements that carried the request, retransmissions included; mean",
    ),
    Definition(
        "pilot_uses", "pilot uses", "", 1, "DMRS resource elements in the request's grants; mean"
    ),
    Definition(
        "attempts", "transmissions", "", 1, "transport block transmissions (JSCC: grants); mean"
    ),
    Definition(
        "snr_db",
        "SNR",
        "dB",
        1,
        "mean over attempts of (effective) Es/(N0 + I0) per complex symbol, fading included",
    ),
    Definition(
        "papr_db",
        "PAPR",
        "dB",
        1,
        "peak to average power of a JSCC payload's OFDM waveform over the whole carrier; mean",
    ),
    Definition(
        "compute_energy_j",
        "device compute energy",
        "mJ",
        1e3,
        "P_compute × seconds on the device's processor; mean per request",
    ),
    Definition(
        "tx_energy_j",
        "transmit energy",
        "mJ",
        1e3,
        "Σ over granted slots of (P_tx / η_PA + P_circuit) × slot duration; mean per request",
    ),
    Definition(
        "rx_energy_j",
        "receive energy",
        "mJ",
        1e3,
        "P_receive × slots in which the answer came × slot duration; mean per request",
    ),
    Definition(
        "edge_energy_j",
        "edge energy",
        "mJ",
        1e3,
        "P_compute × batch seconds / batch size; mean per request",
    ),
    Definition(
        "energy_j", "energy", "mJ", 1e3, "compute + transmit + receive + edge; mean per request"
    ),
    Definition(
        "score_miou",
        "mean IoU",
        "",
        1,
        "per image: mean over classes present in truth or answer of TP / (TP + FP + FN); "
        "0 without an answer",
    ),
    Definition(
        "score_pixel_accuracy",
        "pixel accuracy",
        "",
        1,
        "correct pixels / pixels; 0 without an answer",
    ),
    Definition(
        "score_disparity_rmse_px",
        "disparity RMSE",
        "px",
        1,
        "sqrt(mean((d̂ − d)²)) per image; the best constant guess without an answer",
    ),
    Definition(
        "score_psnr_db",
        "PSNR",
        "dB",
        1,
        "10 log10(255² / MSE) per image of the network's reconstruction, then averaged",
    ),
    Definition(
        "score_accuracy", "accuracy", "", 1, "1 if the class is right, else 0; 0 without an answer"
    ),
    Definition(
        "score_miou_in_time",
        "mean IoU in time",
        "",
        1,
        "mean IoU if the answer met its deadline, else 0",
    ),
    Definition(
        "score_accuracy_in_time",
        "accuracy in time",
        "",
        1,
        "accuracy if the answer met its deadline, else 0",
    ),
    Definition(
        "utilisation",
        "utilisation",
        "%",
        100,
        "busy seconds / (units × duration_s), of servers over the workers that were on; radio: "
        "granted / available resource blocks × slots",
    ),
)
GLOSSARY = {item.kpi: item for item in _DEFINITIONS}


def definition(kpi: str) -> Definition:
    """What is known of a KPI; one that nobody defined stands under its own name."""
    if kpi.startswith("utilisation_"):
        known = GLOSSARY["utilisation"]
        name = kpi.removeprefix("utilisation_").replace("_", " ")
        return Definition(kpi, f"utilisation of {name}", known.unit, known.scale, known.formula)
    own = Definition(kpi, kpi.replace("_", " "), "", 1.0, "mean over the requests that have one")
    return GLOSSARY.get(kpi, own)
