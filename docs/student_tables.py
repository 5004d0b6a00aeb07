"""The tables of the Entropic Student's page, from what its two studies left.

Listed among the other blocks by `readme_tables.blocks`; each function gives a block's Markdown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from table_parts import cell, markdown, published, published_json, read

STREETS, PHOTOS = "entropic_student", "entropic_photos"
_SCORES = {
    "accuracy": ("accuracy, %", 100.0, 2),
    "score_accuracy": ("accuracy, %", 100.0, 1),
    "dataset_miou": ("mean IoU, %", 100.0, 1),
    "map50": ("mAP at 0.50, %", 100.0, 1),
    "dataset_disparity_rmse_px": ("disparity RMSE, px", 1.0, 3),
}
_OF_LOAD = (
    ("dataset_miou", "mean IoU in time, %", 100.0),
    ("latency_p95_s", "p95 latency, ms", 1e3),
    ("energy_j", "energy of device and server, mJ", 1e3),
)


def student_ceiling() -> str:
    """What the codes cost their networks: paired over the test pictures, per seed and fold."""
    rows = [
        row for study in (STREETS, PHOTOS) for row in published_json(study, "losses.json")["rows"]
    ]
    heading = [
        *("code", "score", "pictures", "byte", "teacher", "student"),
        *("difference", "95 % interval"),
    ]
    lines = [_loss(row) for row in rows if row["score"] in _SCORES]
    return markdown(heading, lines, numeric_from=2)


def _loss(row: Mapping[str, object]) -> list[str]:
    name, factor, digits = _SCORES[str(row["score"])]
    without, coded, gap, half = (
        factor * float(str(row[key])) for key in ("direct", "coded", "difference", "half_width_95")
    )
    return [
        f"`{row['code']}`",
        name,
        f"{row['pictures']:,}",
        f"{row['payload_bytes']:,.0f}",
        f"{without:.{digits}f}",
        f"{coded:.{digits}f}",
        f"{gap:+.{digits}f}",
        f"{gap - half:+.{digits}f} … {gap + half:+.{digits}f}",
    ]


def student_rates() -> str:
    """Bytes and scores of every operating point on the streets."""
    return _rates(STREETS, {"rates_miou": "dataset_miou", "rates_map": "map50"})


def photo_rates() -> str:
    """Bytes and accuracy of every operating point on the photos."""
    return _rates(PHOTOS, {"rates": "score_accuracy"})


def _rates(study: str, metrics: Mapping[str, str]) -> str:
    tables = [published(study, f"{folder}/rates.csv") for folder in metrics]
    names = [_SCORES[metric][0] for metric in metrics.values()]
    heading = ["curve", "operating point", "byte", *names, "device, edge [MMAC]"]
    lines = []
    for rows in zip(*tables, strict=True):
        row = rows[0]
        work = [float(row[side] or "nan") / 1e6 for side in ("device_macs", "edge_macs")]
        point = f"`{row['operating_point']}`" + (f", seed {row['seed']}" if row["seed"] else "")
        scores = [_score(r, metric) for r, metric in zip(rows, metrics.values(), strict=True)]
        macs = "—" if any(map(math.isnan, work)) else ", ".join(f"{w:.1f}" for w in work)
        lines.append([row["curve"], point, f"{float(row['payload_bits']) / 8:,.0f}", *scores, macs])
    return markdown(heading, lines, numeric_from=2)


def _score(row: Mapping[str, str], metric: str) -> str:
    """With its interval over the pictures, where there is one."""
    _, factor, digits = _SCORES[metric]
    ends = (row.get(f"{metric}{end}") or "nan" for end in ("", "_low", "_high"))
    value, low, high = (factor * float(text) for text in ends)
    interval = "" if math.isnan(low) else f" ({low:.{digits}f} … {high:.{digits}f})"
    return f"{value:.{digits}f}{interval}"


def student_deltas() -> str:
    """Bjøntegaard's rates of the student against every other curve, on both data sets."""
    found = [
        *_deltas(STREETS, "rates_miou", "streets"),
        *_deltas(STREETS, "rates_map", "streets"),
        *_deltas(PHOTOS, "rates", "photos"),
    ]
    heading = [
        *("pictures", "score", "student against", "rate at equal score, %"),
        *("score at equal rate", "both reach", "of the other's range, of the student's"),
    ]
    return markdown(heading, found, numeric_from=3)


def _deltas(study: str, folder: str, pictures: str) -> list[list[str]]:
    rows = published(study, f"{folder}/deltas.csv")
    return [
        [
            pictures,
            _SCORES[row["metric"]][0],
            row["anchor"],
            _with_ends(row, "bd_rate_percent", 1.0, 0) or f"none: {row['reason']}",
            _with_ends(row, "bd_metric", _SCORES[row["metric"]][1], 1),
            _range(row),
            f"{100 * float(row['overlap_of_anchor']):.0f} %, "
            f"{100 * float(row['overlap_of_test']):.0f} %",
        ]
        for row in rows
        if row["test"] == "student"
    ]


def _with_ends(row: Mapping[str, str], name: str, factor: float, digits: int) -> str:
    texts = [row[f"{name}{end}"] for end in ("", "_low", "_high")]
    if not texts[0]:
        return ""
    value, *ends = (f"{factor * float(text):+.{digits}f}" if text else "—" for text in texts)
    return f"{value} ({ends[0]} … {ends[1]})"


def _range(row: Mapping[str, str]) -> str:
    factor = _SCORES[row["metric"]][1]
    low, high = (factor * float(row[f"overlap_{end}"]) for end in ("low", "high"))
    return f"{low:.1f} … {high:.1f}" if low <= high else "—"


def student_cell() -> str:
    """Score in time, latency and energy over the number of cameras, operating point by point."""
    rows = published(STREETS, "load_points.csv")
    points = list(dict.fromkeys(row["operating_point"] for row in rows))
    counts = list(dict.fromkeys(row["devices.cameras.count"] for row in rows))
    blocks = []
    for column, name, factor in _OF_LOAD:
        values = {
            (row["operating_point"], row["devices.cameras.count"]): read(column, factor)(row)
            for row in rows
        }
        lines = [[point, *(cell(values[point, n], math.nan) for n in counts)] for point in points]
        heading = [f"{name}; cameras:", *counts]
        blocks.append(markdown(heading, _quoted(lines), numeric_from=1))
    return "\n\n".join(blocks)


def _quoted(lines: Sequence[Sequence[str]]) -> list[list[str]]:
    return [[f"`{line[0]}`", *line[1:]] for line in lines]


BLOCKS = {
    made.__name__: made
    for made in (student_ceiling, student_rates, photo_rates, student_deltas, student_cell)
}
