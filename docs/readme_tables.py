"""Writes the tables of README and docs from what the studies left: `simsplit reproduce readme`.

    python docs/readme_tables.py [--only BLOCK,BLOCK] README.md docs/*.md

A block stands between ``<!-- name -->`` and ``<!-- /name -->``; everything else is left alone.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import statistics
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import student_tables
import system_tables
from simsplit.errors import ArtefactError, SimsplitError
from simsplit.results.arms import arms_text
from simsplit.results.metrics import BY_NAME, METRICS
from simsplit.results.stage_table import STAGES
from simsplit.scenario.bundled import models_dir
from table_parts import (
    carried,
    markdown,
    project_root,
    published,
    published_file,
    published_json,
)


def fill(text: str, blocks: Mapping[str, str]) -> str:
    """The text with each block's content in place.

    Raises:
        ArtefactError: A block has no place in the text.
    """
    for name, content in blocks.items():
        pattern = re.compile(f"<!-- {name} -->.*?<!-- /{name} -->", re.S)
        if not pattern.search(text):
            raise ArtefactError(f"no place for the block '{name}'")
        block = f"<!-- {name} -->\n{content.strip(chr(10))}\n<!-- /{name} -->"
        text = pattern.sub(lambda _, block=block: block, text)  # type: ignore[misc]
    return text


def blocks(only: Collection[str] = ()) -> dict[str, str]:
    """The content of every block by name, or of those in ``only``.

    Raises:
        ArtefactError: No such block, or what it shows has not been made.
    """
    known = makers()
    for name in only:
        if name not in known:
            raise ArtefactError("no such block", path="--only", value=name, choices=[*known])
    return {name: made() for name, made in known.items() if name in only or not only}


def makers() -> dict[str, Callable[[], str]]:
    """What makes a block, by the block's name."""
    return {
        "metrics": metrics,
        "stages": stages,
        "urban_5g": urban_5g,
        "latency": latency,
        "neurosurgeon": neurosurgeon,
        "policies": policies,
        "capacity": capacity,
        "coverage": coverage,
        "codec_costs": codec_costs,
        "compressible_features": compressible_features,
        "compressible_cell": compressible_cell,
        **system_tables.BLOCKS,
        **student_tables.BLOCKS,
    }


def metrics() -> str:
    """Every metric with unit, direction, formula and meaning."""
    rows = [
        [f"`{one.name}`", one.label, one.unit, one.better.value, one.formula, one.meaning]
        for one in METRICS
    ]
    heading = ["metric", "in figures", "unit", "better", "formula", "meaning"]
    return markdown(heading, [[cell.replace("|", "\\|") for cell in row] for row in rows])


def stages() -> str:
    """The stages of a request, and the columns of its row that they lie between."""
    rows = [[one.name, f"`{one.start}`", f"`{one.end}`", one.meaning] for one in STAGES]
    return markdown(["stage", "from", "to", "meaning"], rows)


def urban_5g() -> str:
    """The table that `simsplit run urban_5g` prints."""
    from rich.console import Console

    from simsplit.results.summary_text import print_summary
    from simsplit.study.run import run

    console = Console(file=io.StringIO(), record=True, width=120, markup=False)
    print_summary(run("urban_5g").summary, console)
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    return "\n".join(["```text", *lines, "```"])


def codec_costs() -> str:
    """Measured seconds of codecs at two sizes, and how far off their laws are."""
    from simsplit.hardware.codec_costs import SIDES, default_costs_file
    from simsplit.hardware.fit_codecs import point_of

    content = json.loads(default_costs_file().read_text(encoding="utf-8"))
    points = [point_of(row) for row in content["points"]]
    sizes = {"picture": 24576, "map": 8192}  # of a scene of 64 x 128 px; 65,536 of features
    rows = []
    for key, laws in content["laws"].items():
        own = [p for p in points if p.coding.key == key]
        elements = sizes.get(own[0].what, 65536)
        here = [p for p in own if p.coding.elements == elements]
        times = [f"{1e3 * statistics.median(p.seconds(side) for p in here):.3g}" for side in SIDES]
        errors = [f"{100 * laws[side]['held_out_error']:.0f} %" for side in SIDES]
        rows.append([f"`{key}`", f"{elements:,}", *times, " / ".join(errors)])
    machine = content["machine"]
    closing = (
        f"One core of {machine['cpu']}, {machine['seven_zip_mips']:,.0f} MIPS by 7-zip. "
        "Error: median over scenes of 96x192 and 192x384 px, not fitted to, "
        "encoding / decoding."
    )
    heading = ["codec", "values", "encode ms", "decode ms", "error of the law"]
    return f"{markdown(heading, rows)}\n\n{closing}"


def latency() -> str:
    """Predicted against measured latency of networks that the predictor never saw."""
    card = json.loads((models_dir() / "latency_cpu" / "card.json").read_text(encoding="utf-8"))
    alone, both = card["test"]["fit_alone"], card["test"]["fit_and_grid"]
    before = {row["network"]: row for row in alone["rows"]}
    rows = [
        [
            row["network"].split("@")[0],
            f"{1e3 * row['measured_s']:.1f} ({1e3 * row['low_s']:.1f} … {1e3 * row['high_s']:.1f})",
            f"{1e3 * row['predicted_s']:.1f}",
            f"{100 * row['error']:+.0f} %",
            f"{100 * before[row['network']]['error']:+.0f} %",
        ]
        for row in both["rows"]
    ]
    heading = [
        "network",
        "measured ms (95 %)",
        "predicted ms",
        "error",
        "fitted to ResNet-18 alone",
    ]
    closing = (
        f"Median absolute error over {both['networks']} networks, none of them fitted to: "
        f"{_median(both)}; fitted to ResNet-18 alone, {_median(alone)}."
    )
    roofline = _roofline([row["network"] for row in both["rows"]])
    return f"{markdown(heading, rows)}\n\n{closing}\n{roofline}"


def _roofline(networks: Sequence[str]) -> str:
    """What the measured machine's roofline is worth on the same networks."""
    from simsplit.hardware.fit_latency import part_of
    from simsplit.hardware.judge import roofline_error
    from simsplit.hardware.profile_file import read_profile
    from simsplit.hardware.roofline import load_hardware

    profile = read_profile(models_dir() / "latency_cpu" / "profile.json")
    errors = roofline_error(load_hardware("cpu_core"), part_of(profile, networks))
    worst = max(errors.totals, key=lambda row: abs(row.error))
    total = errors.total
    return (
        f"The roofline of `cpu_core` on the same networks: {100 * total.value:.1f} % "
        f"({100 * total.low:.1f} to {100 * total.high:.1f} %), at worst "
        f"{100 * worst.error:+.0f} % ({worst.network.split('@')[0]})."
    )


def _median(part: Mapping[str, Any]) -> str:
    interval = part["median_absolute_error"]
    value, low, high = (100 * interval[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % (95 % interval {low:.1f} to {high:.1f} %)"


def neurosurgeon() -> str:
    """Regret, and latency and energy against the better of the two ends, network by network."""
    rows = []
    for study, what in (("rate", "13 rates"), ("load", "7 loads")):
        for row in published(f"neurosurgeon_{study}", "policy_gains.csv"):
            if row["policy"] == "neurosurgeon":
                rows.append([row["network"], what, *_gains(row)])
    heading = [
        "network",
        "over",
        "regret, mean (worst)",
        "latency ratio to the better end, mean (best … worst)",
        "to all-cloud",
    ]
    energy = [
        [
            row["network"],
            f"{_times(row['mean_gain_energy'])} ({_times(row['largest_gain_energy'])})",
        ]
        for row in published("neurosurgeon_rate", "policy_gains.csv")
        if row["policy"] == "neurosurgeon (energy)"
    ]
    tail = markdown(
        ["network", "energy ratio to the better end when minimised, mean (best)"], energy
    )
    return f"{markdown(heading, rows)}\n\n{tail}"


def _gains(row: Mapping[str, str]) -> list[str]:
    mean, worst = 100 * float(row["mean_regret"]), 100 * float(row["worst_regret"])
    best, least = _times(row["largest_gain_latency"]), _times(row["smallest_gain_latency"])
    return [
        f"{mean:.1f} % ({worst:.0f} %)",
        f"{_times(row['mean_gain_latency'])} ({best} … {least})",
        _times(row["mean_over_cloud_latency"]),
    ]


def _times(text: str) -> str:
    return f"{float(text):.2f}×"


def policies() -> str:
    """Early exit and SNR threshold beside every fixed point of their scenarios."""
    rows = []
    for scenario in ("early_exit", "snr_threshold"):
        table = published(scenario, "policies.csv")
        fixed = [key[4:] for key in table[0] if key.startswith("gap_") and key.count("_low") == 0]
        fixed = [name for name in fixed if not name.endswith("_high")]
        for row in table:
            gaps = [_gap(row, name) for name in fixed if row["policy"] not in fixed]
            rows.append(
                [
                    scenario,
                    row["policy"],
                    _around(row, "score"),
                    f"{100 * float(row['in_time']):.1f}",
                    f"{1e3 * float(row['latency_p95_s']):.0f}",
                    f"{1e3 * float(row['device_j']):.1f}",
                    ", ".join(gaps),
                ]
            )
    heading = ["scenario", "policy", "mean IoU in time", "in time %", "p95 ms", "device mJ", "gain"]
    return markdown(heading, rows)


def capacity() -> str:
    """How many devices the cell of ``split_choice`` carries with each way to cut and code."""
    folder = project_root() / "results" / "published" / "capacity"
    counts = [(file.stem, *carried(file)) for file in sorted(folder.glob("*.json"))]
    rows = sorted(counts, key=lambda row: row[1])
    heading = ["operating point", "phones that fit", "surely fit … surely not", "misses %", "runs"]
    return markdown(heading, [[f"`{name}`", *cells] for name, _, cells in rows])


def coverage() -> str:
    """How often the intervals hold the truth, case by case."""
    rows = published("coverage", "coverage.csv")
    heading = [
        "case",
        "statistic",
        "interval",
        "replications × requests",
        "truth",
        "held %",
        "without %",
    ]
    cells = [
        [
            *(row["case"], row["statistic"].replace("_", "\\_"), row["interval"]),
            f"{row['replications']} × {row['requests']}",
            f"{float(row['truth']):.4g}",
            f"{100 * float(row['covered']):.1f}",
            f"{100 * float(row['without']):.1f}",
        ]
        for row in rows
    ]
    return markdown(heading, cells)


def compressible_features() -> str:
    """BD-rates over training seeds, and bits and metrics as PNG, encoder by encoder.

    Raises:
        ArtefactError: The study has not been made; names its command.
    """
    from simsplit.results.ladders import markdown_table

    names = "published_ladder/bd.json", "bd.json"
    near, whole = (published_json("compressible_features", name) for name in names)
    return markdown(*markdown_table(near, whole))


def compressible_cell() -> str:
    """What the features' bits do to a cell: cameras that fit, and differences at equal cameras."""
    file_of = partial(published_file, "compressible_features")
    heading = ["features", "cameras that fit", "surely fit … surely not", "misses %", "runs"]
    names = [f"e{encoder}_{kind}" for encoder in (1, 2) for kind in ("baseline", "proposed")]
    counts = [
        [f"`features_{name}`", *carried(file_of(f"capacity_{name}.json"))[1]] for name in names
    ]
    pairs = [
        [f"Encoder{encoder}", *row]
        for encoder in (1, 2)
        for row in _paired(file_of(f"paired_e{encoder}.json"))
    ]
    kpis = ["encoder", "of 16 cameras", "baseline", "proposed", "proposed - baseline (95 %)"]
    return markdown(heading, counts) + "\n\n" + markdown(kpis, pairs)


_FORMS = {
    "payload_bits": ".1f",
    "latency_p95_s": ".1f",
    "energy_j": ".2f",
    "deadline_misses": ".2f",
    "score_miou": ".4f",
    "score_disparity_rmse_px": ".4f",
    "score_psnr_db": ".2f",
}


def _paired(file: Path) -> list[list[str]]:
    """A row per KPI of a ``compare --json``: both values and the difference's interval."""
    differences = json.loads(file.read_text(encoding="utf-8"))["differences"]
    rows = []
    for one in differences:
        metric, form = BY_NAME[one["kpi"]], _FORMS[one["kpi"]]
        unit, factor = metric.shown_in
        name = f"{metric.short} {unit}".strip()
        a, b, low, high = (factor * one[key] for key in ("a", "b", "low", "high"))
        gap = f"{b - a:+{form}} ({low:+{form}} … {high:+{form}})"
        rows.append([name, f"{a:{form}}", f"{b:{form}}", gap])
    return rows


def _gap(row: Mapping[str, str], name: str) -> str:
    return f"{_around(row, f'gap_{name}', '+.4f')} over `{name}`"


def _around(row: Mapping[str, str], key: str, form: str = ".3f") -> str:
    mean, low, high = (float(row[name]) for name in (key, f"{key}_low", f"{key}_high"))
    interval = arms_text(mean - low, high - mean, lambda arm: format(arm, form.lstrip("+")))
    return f"{format(mean, form)} {interval}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrite blocks of the files named; every block has one place.

    Raises:
        ArtefactError: A block has no place in them, or see `blocks`.
    """
    parser = argparse.ArgumentParser(description="Write the generated tables of Markdown pages.")
    parser.add_argument("--only", default="", help="names of blocks, parted by commas")
    parser.add_argument("pages", nargs="+", type=Path)
    asked = parser.parse_args(arguments)
    texts = {page: page.read_text(encoding="utf-8") for page in asked.pages}
    for name, content in blocks([name for name in asked.only.split(",") if name]).items():
        path = next((p for p, text in texts.items() if f"<!-- {name} -->" in text), None)
        if path is None:
            raise ArtefactError(f"no place for the block '{name}'")
        texts[path] = fill(texts[path], {name: content})
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except SimsplitError as error:
        sys.exit(f"Error: {error}")
