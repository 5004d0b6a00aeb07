"""The Entropic Student's tables: losses, rates and cells of hand-made results, put in words."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import student_tables as tables
import table_parts


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The published folder of an empty checkout."""
    monkeypatch.setattr(table_parts, "project_root", lambda: tmp_path)
    return tmp_path / "results" / "published"


def write(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as lines:
        writer = csv.DictWriter(lines, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def lines_of(table: str) -> list[list[str]]:
    """Cells of a table's lines, heading and rule left out."""
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def loss(code: str, score: str, gap: float, half: float) -> dict[str, Any]:
    values = {"direct": 0.9, "coded": 0.9 + gap, "difference": gap, "half_width_95": half}
    return {"code": code, "score": score, "pictures": 3781, "payload_bytes": 1234.4} | values


def test_losses_in_points_and_in_pixels(folder: Path) -> None:
    for study, rows in (
        ("entropic_student", [loss("a", "dataset_disparity_rmse_px", 0.0123, 0.01)]),
        ("entropic_photos", [loss("b, all folds", "accuracy", -0.01, 0.002), loss("b", "x", 0, 0)]),
    ):
        (folder / study).mkdir(parents=True)
        (folder / study / "losses.json").write_text(json.dumps({"rows": rows}))
    disparity, accuracy = lines_of(tables.student_ceiling())  # no line of a score without a name
    assert disparity[1:] == [
        *("disparity RMSE, px", "3,781", "1,234", "0.900", "0.912", "+0.012"),
        "+0.002 … +0.022",
    ]
    assert accuracy[0] == "`b, all folds`" and accuracy[-2:] == ["-1.00", "-1.20 … -0.80"]


def rate(point: str, score: float, payload_bytes: float) -> dict[str, Any]:
    """A row of ``rates.csv``, of one curve."""
    row: dict[str, Any] = {"curve": "c", "operating_point": point, "seed": ""}
    row |= {
        "payload_bits": 8 * payload_bytes,
        "payload_header_bits": 16,
        "device_macs": 1e6,
        "edge_macs": 2.5e6,
    }
    for metric in ("dataset_miou", "map50"):
        row |= {metric: score, f"{metric}_low": score - 0.01, f"{metric}_high": score + 0.02}
    return row


def test_rates_with_their_intervals_and_seeds(folder: Path) -> None:
    seed = rate("p", 0.7, 100) | {"seed": "2", "device_macs": "", "map50_low": "", "map50_high": ""}
    for name in ("rates_miou", "rates_map"):
        write(folder / "entropic_student" / name / "rates.csv", [rate("p", 0.75, 1000), seed])
    first, second = lines_of(tables.student_rates())
    assert first == [
        "c",
        "`p`",
        "1,000",
        "2",
        "75.0 (74.0 … 77.0)",
        "75.0 (74.0 … 77.0)",
        "1.0, 2.5",
    ]
    assert second == ["c", "`p`, seed 2", "100", "2", "70.0 (69.0 … 72.0)", "70.0", "—"]


def swept(point: str, axis: str, level: str, mean: float, half: float = 0.001) -> dict[str, Any]:
    """A row of ``points.csv``: one KPI is as good as the other here."""
    row: dict[str, Any] = {"operating_point": point, axis: level}
    for column in ("latency_p50_s", "latency_p95_s", "energy_j", "score_miou_in_time"):
        row |= {column: mean, f"{column}_ci_low": mean - half, f"{column}_ci_high": mean + half}
    return row


def test_a_codec_meets_the_cheapest_student_that_is_as_good(folder: Path) -> None:
    study = folder / "entropic_student"
    points = {"student1": (0.76, 4000), "student2": (0.75, 2000), "student3": (0.73, 900)}
    points |= {"jpeg95": (0.75, 8000), "light": (0.9, 0)}
    seed = rate("student2", 0.75, 1999) | {"seed": "2"}  # another training is no other point
    rates = [*(rate(name, *of) for name, of in points.items()), seed]
    write(study / "rates_miou" / "rates.csv", rates)
    for file, axis, levels in (
        ("load_points.csv", "devices.cameras.count", ("2", "8", "24", "48")),
        ("rate_points.csv", "cell.resource_blocks", ("6", "12", "24", "80", "273")),
    ):
        means = {"jpeg95": 0.2, "student1": 0.01, "student2": 0.15, "student3": 0.02, "light": 0.0}
        rows = [swept(name, axis, n, mean) for name, mean in means.items() for n in levels]
        ends = {"8": 0.25, "24": ""}  # too wide, and none
        rows = [
            row | {"latency_p95_s_ci_high": ends.get(row[axis], row["latency_p95_s_ci_high"])}
            for row in rows
        ]
        write(study / file, rows)
    (line,) = lines_of(tables.student_equal())
    assert line[:6] == ["`jpeg95`", "75.0", "8,000", "`student2`", "75.0", "2,000"]
    assert line[6:9] == ["200 → **150**", "200 → 150", "200 → 150"]
    assert line[-1] == "200 → **150**"


def test_cells_have_a_table_per_kpi(folder: Path) -> None:
    rows = [swept("p", "devices.cameras.count", n, m) for n, m in (("2", 0.5), ("8", 0.25))]
    write(folder / "entropic_student" / "load_points.csv", rows)
    blocks = tables.student_cell().split("\n\n")
    assert len(blocks) == 3 and blocks[0].startswith("| mean IoU of a picture in time, %; cameras:")
    assert lines_of(blocks[0]) == [["`p`", "50.0 ± 0.1", "25.0 ± 0.1"]]
    assert lines_of(blocks[1]) == [["`p`", "500 ± 1.0", "250 ± 1.0"]]


def delta(test: str, rate_percent: str, reason: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {"test": test, "anchor": "JPEG", "reason": reason}
    for name, value in (("bd_rate_percent", rate_percent), ("bd_metric", "0.03")):
        row |= {name: value, f"{name}_low": value, f"{name}_high": ""}
    return row | {
        "overlap_low": "0.7",
        "overlap_high": "0.75",
        "overlap_of_anchor": "0.6",
        "overlap_of_test": "1",
    }


def test_deltas_of_the_student_alone_and_why_there_is_none(folder: Path) -> None:
    for study, name, metric in (
        ("entropic_student", "rates_miou", "dataset_miou"),
        ("entropic_student", "rates_bare", "dataset_miou"),
        ("entropic_student", "rates_map", "map50"),
        ("entropic_photos", "rates", "score_accuracy"),
        ("entropic_photos", "rates_bare", "score_accuracy"),
    ):
        rows = [
            delta("student", "-72.4"),
            delta("WebP", "-3"),
            delta("student", "", "no BD: too short"),
        ]
        rows = [row | {"metric": metric} for row in rows]
        write(folder / study / name / "deltas.csv", rows)
    lines = lines_of(tables.student_deltas())
    assert len(lines) == 10
    assert lines[0] == [
        *("streets", "mean IoU, %", "JPEG", "-72 (-72 … —)", "+3.0 (+3.0 … —)"),
        *("70.0 … 75.0", "60 %, 100 %"),
    ]
    assert lines[1][3] == "none: too short" and lines[6][0] == "photos"
