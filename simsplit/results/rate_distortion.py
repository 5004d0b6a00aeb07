"""Rate and distortion of trained networks against their baselines, over training seeds.

S. R. Alvar and I. V. Bajić, "Multi-task learning with compressible features for collaborative
intelligence", ICIP 2019 (arXiv 1902.05179), section 3: the 8-bit feature coded as PNG and as JPEG
gives a curve of every task's metric over the payload, and G. Bjøntegaard's delta (ITU-T VCEG-M33,
cubic polynomial) says how many bits the proposed network saves against the same network trained
without the loss.

* A network's numbers are the section ``rate_distortion`` of ``models/<name>/card.json``, and of
  ``models/<name>/seed<n>/card.json`` for further training seeds. The first one's seed is its
  recipe's. Anchor and test are paired seed by seed.
* A curve is PNG and JPEG of one network, by metric, without the points that another one beats
  (`simsplit.results.bd.operational`): near saturation the metric of a small test set wobbles.
  Other codecs are single points.
* Bjøntegaard's cubic goes through four points. Through a ladder of a dozen it is one by least
  squares, and where the metric saturates it passes by the points: it may be tens of per cent off,
  or of the wrong sign, where an interpolation (Akima) is within one or two. Both are told, and a
  note where they differ (tests/validation/test_rate_distortion.py has the true values).
* Both curves must share half of the anchor's range of the metric, else there is no delta.
* RMSE falls with the rate and IRMSE, one over it, rises; both have their delta.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from simsplit.errors import ScenarioError
from simsplit.results.bd import MIN_OVERLAP, Curve, bd_rate, misfit_percent, overlap
from simsplit.results.ladders import LADDER, METRICS, Metric, Pair, Range, Row, read_pairs
from simsplit.results.statistics import half_width

DISAGREE = 3.0  # per cent of the rate between two methods, from which a note says so


@dataclass(frozen=True, slots=True)
class Study:
    """All there is to say: ``points`` (every rung), ``deltas`` (encoder x metric x seed), summary.

    ``summary`` is what ``bd.json`` holds.
    """

    points: list[Row]
    deltas: list[Row]
    summary: dict[str, Any]


def study(
    pairs: Sequence[str],
    method: str = "cubic",
    min_overlap: float = MIN_OVERLAP,
    lowest_quality: int = 1,
    split: Range = "test",
) -> Study:
    """Compare networks ``ANCHOR:TEST``, each a name in ``models`` or a folder.

    Args:
        pairs: What to compare.
        method: Of the BD-rate; see `simsplit.results.bd`.
        min_overlap: Share of the anchor's metric range that both curves must cover.
        lowest_quality: JPEG rungs below are left out; the paper's ladder ends at 80.
        split: ``test``, or ``validation`` to choose by.

    Raises:
        ScenarioError: No such network or method, no training seed in both, other pictures.
        ArtefactError: A card that is missing, damaged or without its rate and distortion.
    """
    ladders = read_pairs(pairs, lowest_quality, split)
    deltas = [
        _delta(pair, metric, seed, method, min_overlap)
        for pair in ladders
        for metric, seed in product(METRICS, pair.seeds)
    ]
    rows = [_summary(pair, [d for d in deltas if d["encoder"] == pair.encoder]) for pair in ladders]
    summary = {
        "method": method,
        "check": checked_by(method),
        "min_overlap": min_overlap,
        "lowest_quality": lowest_quality,
        **({} if split == "test" else {"range": split}),
        "pairs": rows,
        "notes": [note for pair in ladders for note in pair.notes] + _notes(deltas, rows, method),
    }
    return Study([row for pair in ladders for row in _points(pair)], deltas, summary)


def checked_by(method: str) -> str:
    """The other method: an interpolation beside the cubic's least squares."""
    return "cubic" if method == "akima" else "akima"


# --- numbers ----------------------------------------------------------------------------------


def _points(pair: Pair) -> list[Row]:
    """Every rung of every network; ``on_<metric>``: it is part of the operational curve."""
    rows = []
    for role, ladders in (("baseline", pair.anchor), ("proposed", pair.test)):
        for seed in pair.seeds:
            ladder = ladders[seed]
            used = {metric: _places(ladder.curve(metric)) for metric in METRICS}
            head = {"encoder": pair.encoder, "role": role, "model": ladder.model, "seed": seed}
            for row in ladder.rows:
                on = {
                    f"on_{metric.column}": row["codec"] in LADDER
                    and (row["payload_bits"], row[metric.column]) in places
                    for metric, places in used.items()
                }
                rows.append(head | row | on)
    return rows


def _places(curve: Curve) -> set[tuple[float, float]]:
    return set(zip(curve.rate, curve.metric, strict=True))


def _delta(pair: Pair, metric: Metric, seed: int, method: str, min_overlap: float) -> Row:
    """Deltas of one metric and seed, by the method and its check; None with the reason."""
    anchor, test = (ladders[seed] for ladders in (pair.anchor, pair.test))
    curves = anchor.curve(metric), test.curve(metric)
    rate, check, misfit, reason = None, None, None, ""
    try:
        rate, check = (
            _bd_rate(*curves, name, min_overlap) for name in (method, checked_by(method))
        )
        misfit = max(misfit_percent(curve, method) for curve in curves)
    except ScenarioError as error:
        if error.choices:  # no such method
            raise
        reason = str(error)
    ranges = (np.asarray(curve.metric, float) for curve in curves)
    bits = [ladder.png("payload_bits") for ladder in (anchor, test)]
    ends = [ladder.png(metric.column) for ladder in (anchor, test)]
    return {
        "encoder": pair.encoder,
        "anchor": anchor.model,
        "test": test.model,
        "metric": metric.column,
        "seed": seed,
        "method": method,
        "bd_rate_percent": rate,
        "check": checked_by(method),
        "check_percent": check,
        "misfit_percent": misfit,
        "overlap_share": overlap(*ranges).share,
        "reason": reason,
        "png_bits_anchor": bits[0],
        "png_bits_test": bits[1],
        "png_saved_percent": 100 * (1 - bits[1] / bits[0]),
        "png_metric_anchor": ends[0],
        "png_metric_test": ends[1],
        "png_difference": difference(metric, *ends),
        "png_difference_unit": metric.counted_in,
    }


def _bd_rate(anchor: Curve, test: Curve, method: str, min_overlap: float) -> float:
    return bd_rate(anchor.rate, anchor.metric, test.rate, test.metric, method, min_overlap)


def difference(metric: Metric, anchor: float, test: float) -> float:
    """Test - anchor as the metric counts it: in points, per cent of the anchor's, or dB."""
    if metric.counted_in == "%":
        return 100 * (test / anchor - 1)
    return (100 if metric.counted_in == "points" else 1) * (test - anchor)


def spread(values: Sequence[float | None]) -> Row:
    """Mean, ends and Student's 95 % interval of the mean of the values that are there.

    The interval of n seeds is mean ± t_{0.975, n-1} s / sqrt(n): ± 2.48 s for three.
    """
    numbers = np.array([value for value in values if value is not None], float)
    summary: Row = dict.fromkeys(("mean", "smallest", "largest", "low", "high"))
    if numbers.size:
        ends = {"smallest": float(numbers.min()), "largest": float(numbers.max())}
        summary |= {"mean": float(numbers.mean()), **ends}
    if numbers.size > 1:
        half = half_width(numbers)
        summary |= {"low": summary["mean"] - half, "high": summary["mean"] + half}
    return summary | {"n": int(numbers.size), "of": len(values)}


def _summary(pair: Pair, deltas: Sequence[Row]) -> dict[str, Any]:
    anchor, test = (ladders[pair.seeds[0]] for ladders in (pair.anchor, pair.test))
    sides = [[side[seed] for seed in pair.seeds] for side in (pair.anchor, pair.test)]
    means = {
        f"{name}_{role}": float(np.mean([ladder.png(column) for ladder in ladders]))
        for name, column in (("bits", "payload_bits"), ("bpfe", "bits_per_element"))
        for role, ladders in zip(("anchor", "test"), sides, strict=True)
    }
    saved = [d["png_saved_percent"] for d in deltas if d["metric"] == METRICS[0].column]
    return {
        "encoder": pair.encoder,
        "anchor": anchor.model,
        "test": test.model,
        "shape_anchor": list(anchor.shape),
        "shape_test": list(test.shape),
        "elements": anchor.elements,
        "pictures": anchor.pictures,
        "seeds": pair.seeds,
        "png": {**means, "saved_percent": spread(saved)},
        "metrics": {
            metric.column: _of_metric([d for d in deltas if d["metric"] == metric.column])
            for metric in METRICS
        },
    }


def _of_metric(deltas: Sequence[Row]) -> dict[str, Any]:
    ends = {
        role: float(np.mean([delta[f"png_metric_{role}"] for delta in deltas]))
        for role in ("anchor", "test")
    }
    kept = ("seed", "bd_rate_percent", "check_percent", "misfit_percent", "overlap_share", "reason")
    return {
        "bd_rate_percent": spread([delta["bd_rate_percent"] for delta in deltas]),
        "check_percent": spread([delta["check_percent"] for delta in deltas]),
        "at_png": {
            **ends,
            "difference": spread([delta["png_difference"] for delta in deltas]),
            "unit": deltas[0]["png_difference_unit"],
        },
        "by_seed": [{name: delta[name] for name in kept} for delta in deltas],
    }


def _notes(deltas: Sequence[Row], pairs: Sequence[Mapping[str, Any]], method: str) -> list[str]:
    """Deltas that are missing, and where the two methods do not agree."""
    missing = [
        f"{d['encoder']}, {d['metric']}, seed {d['seed']}: {d['reason']}"
        for d in deltas
        if d["reason"]
    ]
    apart = []
    for pair, metric in product(pairs, METRICS):
        figures = pair["metrics"][metric.column]
        mean, check = (figures[f"{name}_percent"]["mean"] for name in ("bd_rate", "check"))
        if mean is not None and abs(mean - check) > DISAGREE:
            missed = max(one["misfit_percent"] or 0.0 for one in figures["by_seed"])
            apart.append(
                f"{pair['encoder']}, {metric.column}: {method} says {mean:+.1f} %, "
                f"{checked_by(method)} {check:+.1f} %; {method} passes by the measured points by "
                f"up to {missed:.0f} % of the rate"
            )
    return missing + apart
