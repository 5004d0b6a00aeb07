"""The tables of the Entropic Student's page, from what its two studies left.

Listed among the other blocks by `readme_tables.blocks`; each function gives a block's Markdown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from table_parts import (
    Value,
    cell,
    markdown,
    project_root,
    published,
    published_json,
    read,
)

STREETS, PHOTOS = "entropic_student", "entropic_photos"
_SCORES = {
    "accuracy": ("accuracy, %", 100.0, 2),
    "accuracy_weather": ("accuracy of weather, %", 100.0, 2),
    "accuracy_nearest": ("accuracy of the nearest vehicle, %", 100.0, 2),
    "accuracy_road": ("accuracy of the road's width, %", 100.0, 2),
    "score_accuracy": ("accuracy, %", 100.0, 1),
    "dataset_miou": ("mean IoU, %", 100.0, 1),
    "map50": ("mAP at 0.50, %", 100.0, 1),
    "dataset_disparity_rmse_px": ("disparity RMSE, px", 1.0, 3),
}
_OF_LOAD = (
    ("score_miou_in_time", "mean IoU of a picture in time, %", 100.0),
    ("latency_p95_s", "p95 latency, ms", 1e3),
    ("energy_j", "energy of device and server, mJ", 1e3),
)
_OF_WIDTH = (
    ("latency_p50_s", "median latency, ms", 1e3),
    ("energy_j", "energy of device and server, mJ", 1e3),
)
_CODECS = ("jpeg", "webp", "avif")
_EQUAL_COUNTS = ("2", "8", "24", "48")
_EQUAL_WIDTHS = ("6", "12", "24", "80", "273")


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


def student_bytes() -> str:
    """Real bytes beside what the learned prior says of the same latents."""
    names = [
        path.parent.name
        for pattern in ("streets_student_b*", "clothing_student_b*")
        for path in sorted((project_root() / "models").glob(f"{pattern}/card.json"))
    ]
    heading = ["code", "byte", "of it header", "-Σ log2 p, byte", "byte less header over it"]
    return markdown(heading, [_coded(name) for name in names], numeric_from=1)


def _coded(name: str) -> list[str]:
    text = (project_root() / "models" / name / "card.json").read_text(encoding="utf-8")
    card = json.loads(text)
    payload, header = card["payload_bytes"]["mean"], card["header_bytes"]
    information = card["information_bits"]["mean"] / 8
    ratio = (payload - header) / information
    return [f"`{name}`", f"{payload:,.1f}", str(header), f"{information:,.1f}", f"{ratio:.4f}"]


def student_rates() -> str:
    """Bytes and scores of every operating point on the streets."""
    return _rates(STREETS, {"rates_miou": "dataset_miou", "rates_map": "map50"})


def photo_rates() -> str:
    """Bytes and accuracy of every operating point on the photos."""
    return _rates(PHOTOS, {"rates": "score_accuracy"})


def _rates(study: str, metrics: Mapping[str, str]) -> str:
    tables = [published(study, f"{folder}/rates.csv") for folder in metrics]
    names = [_SCORES[metric][0] for metric in metrics.values()]
    heading = ["curve", "operating point", "byte", "of it header", *names, "device, edge [MMAC]"]
    lines = []
    for rows in zip(*tables, strict=True):
        row = rows[0]
        work = [float(row[side] or "nan") / 1e6 for side in ("device_macs", "edge_macs")]
        point = f"`{row['operating_point']}`" + (f", seed {row['seed']}" if row["seed"] else "")
        scores = [_score(r, metric) for r, metric in zip(rows, metrics.values(), strict=True)]
        macs = "—" if any(map(math.isnan, work)) else ", ".join(f"{w:.1f}" for w in work)
        sizes = [f"{float(row[key]) / 8:,.0f}" for key in ("payload_bits", "payload_header_bits")]
        lines.append([row["curve"], point, *sizes, *scores, macs])
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
        *_deltas(STREETS, "rates_bare", "streets, without headers"),
        *_deltas(STREETS, "rates_map", "streets"),
        *_deltas(PHOTOS, "rates", "photos"),
        *_deltas(PHOTOS, "rates_bare", "photos, without headers"),
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
            _with_ends(row, "bd_rate_percent", 1.0, 0)
            or f"none: {row['reason'].removeprefix('no BD: ')}",
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
    return _swept("load_points.csv", "devices.cameras.count", "cameras", _OF_LOAD)


def student_width() -> str:
    """Latency and energy over the uplink's width."""
    return _swept("rate_points.csv", "cell.resource_blocks", "resource blocks", _OF_WIDTH)


def _swept(file: str, axis: str, unit: str, kpis: Sequence[tuple[str, str, float]]) -> str:
    rows = published(STREETS, file)
    points = list(dict.fromkeys(row["operating_point"] for row in rows))
    levels = list(dict.fromkeys(row[axis] for row in rows))
    blocks = []
    for column, name, factor in kpis:
        reader = read(column, factor)
        values = {(row["operating_point"], row[axis]): reader(row) for row in rows}
        lines = [[f"`{p}`", *(cell(values[p, n], math.nan) for n in levels)] for p in points]
        heading = [f"{name}; {unit}:", *levels]
        blocks.append(markdown(heading, lines, numeric_from=1))
    return "\n\n".join(blocks)


def student_equal() -> str:
    """Each codec against the student of the fewest bytes that scores at least as much."""
    rows = published(STREETS, "rates_miou/rates.csv")
    rates = {row["operating_point"]: row for row in rows if not row["seed"]}
    heading = [
        *("codec", "mean IoU, %", "byte", "student", "mean IoU, %", "byte"),
        *(f"p95 at {count} cameras, ms" for count in _EQUAL_COUNTS),
        *(f"p50 at {blocks} resource blocks, ms" for blocks in _EQUAL_WIDTHS),
    ]
    load = _by_point("load_points.csv", "devices.cameras.count", "latency_p95_s")
    width = _by_point("rate_points.csv", "cell.resource_blocks", "latency_p50_s")
    lines = []
    for codec in dict.fromkeys(name for name, _ in width if name.startswith(_CODECS)):
        student = _as_good(rates, codec)
        both = [(load[codec, n], load[student, n]) for n in _EQUAL_COUNTS]
        both += [(width[codec, n], width[student, n]) for n in _EQUAL_WIDTHS]
        told = [_told(rates[name]) for name in (codec, student)]
        lines.append([*told[0], *told[1], *(_against(a, b) for a, b in both)])
    return markdown(heading, lines, numeric_from=6)


def _by_point(file: str, axis: str, column: str) -> dict[tuple[str, str], Value]:
    reader = read(column)
    return {(row["operating_point"], row[axis]): reader(row) for row in published(STREETS, file)}


def _as_good(rates: Mapping[str, Mapping[str, str]], codec: str) -> str:
    """The student of the fewest bytes whose score is not below the codec's."""
    least = float(rates[codec]["dataset_miou"])
    good = [
        (float(row["payload_bits"]), name)
        for name, row in rates.items()
        if name.startswith("student") and float(row["dataset_miou"]) >= least
    ]
    return min(good)[1]


def _told(row: Mapping[str, str]) -> list[str]:
    score = 100 * float(row["dataset_miou"])
    return [f"`{row['operating_point']}`", f"{score:.1f}", f"{float(row['payload_bits']) / 8:,.0f}"]


def _against(codec: Value, student: Value) -> str:
    """Codec → student; bold the lower one where the intervals lie apart."""
    texts = [
        f"{one.mean:,.0f}" if one.mean >= 100 else f"{one.mean:.1f}" for one in (codec, student)
    ]
    ends = (codec.low, codec.high, student.low, student.high)
    if not any(map(math.isnan, ends)) and not codec.overlaps(student):
        lower = int(student.mean < codec.mean)
        texts[lower] = f"**{texts[lower]}**"
    return " → ".join(texts)


BLOCKS = {
    made.__name__: made
    for made in (
        student_ceiling,
        student_bytes,
        student_rates,
        photo_rates,
        student_deltas,
        student_cell,
        student_width,
        student_equal,
    )
}
