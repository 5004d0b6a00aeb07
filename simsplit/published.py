"""Writes the README's tables from what the published commands left: `make readme`.

    python -m simsplit.published README.md

A block stands between ``<!-- name -->`` and ``<!-- /name -->``; everything else is left alone.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError
from simsplit.load import models_dir, project_root

Rows = list[dict[str, str]]


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


def blocks() -> dict[str, str]:
    """Every block of the README by name."""
    return {
        "urban_5g": urban_5g(),
        "latency": latency(),
        "neurosurgeon": neurosurgeon(),
        "policies": policies(),
        "capacity": capacity(),
        "compressible_features": compressible_features(),
        "compressible_cell": compressible_cell(),
    }


def urban_5g() -> str:
    """The table that `simsplit run urban_5g` prints."""
    from rich.console import Console

    from simsplit.headline import print_summary
    from simsplit.run import run

    console = Console(file=io.StringIO(), record=True, width=120, markup=False)
    print_summary(run("urban_5g").summary, console)
    lines = [line.rstrip() for line in console.export_text().splitlines()]
    return "\n".join(["```text", *lines, "```"])


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
    return f"{_table(heading, rows)}\n\n{closing}\n{roofline}"


def _roofline(networks: Sequence[str]) -> str:
    """What the measured machine's roofline is worth on the same networks."""
    from simsplit.fit.latency import part_of, roofline_error
    from simsplit.hardware import load_hardware
    from simsplit.profiles import read_profile

    profile = read_profile(models_dir() / "latency_cpu" / "profile.json")
    found = roofline_error(load_hardware("cpu_core"), part_of(profile, networks))
    worst = max(found["totals"], key=lambda row: abs(row["error"]))
    total = found["total"]
    return (
        f"The roofline of `cpu_core` on the same networks: {100 * total.value:.1f} % "
        f"({100 * total.low:.1f} to {100 * total.high:.1f} %), at worst "
        f"{100 * worst['error']:+.0f} % ({worst['network'].split('@')[0]})."
    )


def _median(part: Mapping[str, Any]) -> str:
    found = part["median_absolute_error"]
    value, low, high = (100 * found[key] for key in ("value", "low", "high"))
    return f"{value:.1f} % (95 % interval {low:.1f} to {high:.1f} %)"


def neurosurgeon() -> str:
    """Regret, and latency and energy against the better of the two ends, network by network."""
    rows = []
    for study, what in (("rate", "13 rates"), ("load", "7 loads")):
        for row in _published(f"neurosurgeon_{study}", "policy_gains.csv"):
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
        for row in _published("neurosurgeon_rate", "policy_gains.csv")
        if row["policy"] == "neurosurgeon (energy)"
    ]
    tail = _table(["network", "energy ratio to the better end when minimised, mean (best)"], energy)
    return f"{_table(heading, rows)}\n\n{tail}"


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
        found = _published(scenario, "policies.csv")
        fixed = [key[4:] for key in found[0] if key.startswith("gap_") and key.count("_low") == 0]
        fixed = [name for name in fixed if not name.endswith("_high")]
        for row in found:
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
    return _table(heading, rows)


def capacity() -> str:
    """How many devices the cell of ``split_choice`` carries with each way to cut and code."""
    folder = project_root() / "results" / "published" / "capacity"
    found = [(file.stem, *_carried(file)) for file in sorted(folder.glob("*.json"))]
    rows = sorted(found, key=lambda row: row[1])
    heading = ["operating point", "phones that fit", "surely fit … surely not", "misses %", "runs"]
    return _table(heading, [[f"`{name}`", *cells] for name, _, cells in rows])


def _carried(file: Path) -> tuple[int, list[str]]:
    """What a ``capacity.json`` found: the count, and the row that says it."""
    found = json.loads(file.read_text(encoding="utf-8"))
    misses = found["largest_feasible"]["kpis"]["deadline_misses <= 0.02"]
    half = (misses["ci_high"] - misses["ci_low"]) / 2
    return found["capacity"], [
        str(found["capacity"]),
        f"{found['surely_fits']} … {found['surely_not']}",
        f"{100 * misses['mean']:.1f} ± {100 * half:.1f}",
        str(found["largest_feasible"]["replications"]),
    ]


def compressible_features() -> str:
    """BD-rates over training seeds, and bits and metrics as PNG, encoder by encoder.

    Raises:
        ArtefactError: The study has not been made; names its command.
    """
    from simsplit.rate_distortion.texts import markdown_table

    folder = project_root() / "results" / "published" / "compressible_features"
    files = folder / "published_ladder" / "bd.json", folder / "bd.json"
    for file in files:
        if not file.is_file():
            raise ArtefactError("not there yet; run `make features`", path=str(file))
    near, whole = (json.loads(file.read_text(encoding="utf-8")) for file in files)
    return _table(*markdown_table(near, whole))


def compressible_cell() -> str:
    """What the features' bits do to a cell: cameras that fit, and differences at equal cameras."""
    folder = project_root() / "results" / "published" / "compressible_features"
    if not (folder / "paired_e2.json").is_file():
        raise ArtefactError("not there yet; run `make features`", path=str(folder))
    heading = ["features", "cameras that fit", "surely fit … surely not", "misses %", "runs"]
    names = [f"e{encoder}_{kind}" for encoder in (1, 2) for kind in ("baseline", "proposed")]
    carried = [
        [f"`features_{name}`", *_carried(folder / f"capacity_{name}.json")[1]] for name in names
    ]
    pairs = [
        [f"Encoder{encoder}", *row]
        for encoder in (1, 2)
        for row in _paired(folder / f"paired_e{encoder}.json")
    ]
    kpis = ["encoder", "of 16 cameras", "baseline", "proposed", "proposed - baseline (95 %)"]
    return _table(heading, carried) + "\n\n" + _table(kpis, pairs)


_SHOWN = {
    "payload_bits": ("payload kbit", 1e-3, ".1f"),
    "latency_p95_s": ("p95 latency ms", 1e3, ".1f"),
    "energy_j": ("energy per request mJ", 1e3, ".2f"),
    "deadline_misses": ("deadline misses %", 1e2, ".2f"),
    "score_miou": ("mean IoU (per picture)", 1.0, ".4f"),
    "score_disparity_rmse_px": ("disparity RMSE px", 1.0, ".4f"),
    "score_psnr_db": ("PSNR dB", 1.0, ".2f"),
}


def _paired(file: Path) -> list[list[str]]:
    """A row per KPI of a ``compare --json``: both values and the difference's interval."""
    found = json.loads(file.read_text(encoding="utf-8"))["differences"]
    rows = []
    for one in found:
        name, factor, form = _SHOWN[one["kpi"]]
        a, b, low, high = (factor * one[key] for key in ("a", "b", "low", "high"))
        gap = f"{b - a:+{form}} ({low:+{form}} … {high:+{form}})"
        rows.append([name, f"{a:{form}}", f"{b:{form}}", gap])
    return rows


def _gap(row: Mapping[str, str], name: str) -> str:
    return f"{_around(row, f'gap_{name}', '+.4f')} over `{name}`"


def _around(row: Mapping[str, str], key: str, form: str = ".3f") -> str:
    mean, low, high = (float(row[name]) for name in (key, f"{key}_low", f"{key}_high"))
    return f"{format(mean, form)} ± {format((high - low) / 2, form.lstrip('+'))}"


def _published(folder: str, name: str) -> Rows:
    file = project_root() / "results" / "published" / folder / name
    if not file.is_file():
        raise ArtefactError("not there yet; run `make study`", path=str(file))
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main() -> None:
    """Rewrite the blocks of the file named on the command line."""
    path = Path(sys.argv[1])
    path.write_text(fill(path.read_text(encoding="utf-8"), blocks()), encoding="utf-8")


if __name__ == "__main__":
    main()
