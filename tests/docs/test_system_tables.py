"""MTL-Split's tables: any number of comparisons, sizes as counted, the least in bold, ties told."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import system_tables as tables
import table_parts
from simsplit.errors import ArtefactError
from simsplit.networks.published.mtl_split import mtl_split
from simsplit.scenario.bundled import scenarios_dir
from simsplit.scenario.studies import PlotStep, read_study, study_path
from simsplit.scenario.yaml import read_mapping

ROOMS = {"scale": 8, "shape": 4}
STREETS = {"weather": 4, "nearest": 3, "road": 3}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty checkout."""
    monkeypatch.setattr(table_parts, "project_root", lambda: tmp_path)
    return tmp_path


def card(root: Path, name: str, backbone: str, heads: dict[str, int], data: Any) -> None:
    """A shared network's card."""
    folder = root / "models" / name
    folder.mkdir(parents=True)
    network = {"options": {"backbone": backbone, "heads": heads}}
    width = 128 if heads is STREETS else 64
    content = {"network": network, "data": data, "height": 64, "width": width}
    (folder / "card.json").write_text(json.dumps(content))


def compared(networks: str, score: str, gap: tuple[float, ...] | None, n: int = 5) -> Any:
    """A row of ``cards.json``: mean, ends and extremes of a difference."""
    mean, low, high = gap or (0.01, None, None)
    ends = {"mean": mean, "low": low, "high": high, "smallest": -0.02, "largest": 0.04, "n": n}
    return {"networks": networks, "score": score, "a": 0.5, "b": 0.5 + mean, "difference": ends}


def cards(root: Path, rows: list[Any]) -> None:
    """``cards.json`` of these rows."""
    folder = root / "results" / "published" / "mtl_split"
    folder.mkdir(parents=True, exist_ok=True)
    names = dict.fromkeys(row["networks"] for row in rows if row["networks"] != "all")
    content = {"rows": rows, "sizes": [{"networks": name} for name in names]}
    (folder / "cards.json").write_text(json.dumps(content))


def lines_of(table: str) -> list[list[str]]:
    """Cells of a table's lines, heading and rule left out."""
    lines = table.splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


# --- shared or apart ----------------------------------------------------------------------------


def test_a_single_comparison_in_words(root: Path) -> None:
    card(root, "mine", "resnet", ROOMS, {"kind": "shapes", "noise": 0.3})
    gap = (0.0123, 0.001, 0.024)
    cards(root, [compared("a+b:mine", "accuracy_scale", gap)])
    assert lines_of(tables.mtl_shared()) == [
        [
            *("ResNet-like, rooms", "size", "50.00", "51.23", "**+1.23**"),
            *("+0.10 … +2.40", "-2.00 … +4.00", "5"),
        ]
    ]


def test_any_number_of_comparisons(root: Path) -> None:
    backbones = ("vgg", "resnet", "mobilenet")
    for name in backbones:
        card(root, f"{name}_both", name, ROOMS, {"kind": "shapes"})
    card(root, "three", "resnet", STREETS, "streets")
    rows = [
        compared(f"a+b:{name}_both", score, (0.01, -0.001, 0.02))
        for name in backbones
        for score in ("accuracy_scale", "accuracy_shape", "mean")
    ]
    rows += [compared("a+b+c:three", f"accuracy_{task}", None, 1) for task in STREETS]
    whole = compared("all", "mean", (0.02, 0.01, 0.03)) | {"a": None, "b": None}
    cards(root, [*rows, whole])
    lines = lines_of(tables.mtl_shared())
    assert [line[0] for line in lines[::3]] == [
        *("VGG-like, rooms", "ResNet-like, rooms", "MobileNet-like, rooms"),
        *("ResNet-like, streets", "all of them"),
    ]
    assert [line[1] for line in lines[:3]] == ["size", "form", "mean of tasks"]
    assert lines[0][4] == "+1.00"  # the interval holds 0
    assert [line[1] for line in lines[9:12]] == ["weather", "nearest vehicle", "width of the road"]
    assert lines[9][4:] == ["+1.00", "—", "-2.00 … +4.00", "1"]  # one seed has no interval
    assert lines[12][2:5] == ["—", "—", "**+2.00**"]


def test_what_is_missing_is_named_with_its_command(root: Path) -> None:
    with pytest.raises(ArtefactError, match=r"cards\.json: .*run `simsplit reproduce mtl_split`"):
        tables.mtl_shared()
    with pytest.raises(ArtefactError, match=r"rates\.csv: .*run `simsplit reproduce mtl_split`"):
        tables.mtl_points()
    cards(root, [compared("a+b:gone", "accuracy_scale", None)])
    with pytest.raises(ArtefactError, match=r"card\.json: no card yet; run `simsplit train gone`"):
        tables.mtl_shared()


# --- what leaves the device ---------------------------------------------------------------------


def test_sizes_are_those_of_the_networks(root: Path) -> None:
    card(root, "mtl_resnet_both", "resnet", ROOMS, {"kind": "shapes"})
    card(root, "three", "mobilenet", STREETS, "streets")
    rows = [compared(f"a:{name}", "accuracy_x", None) for name in ("mtl_resnet_both", "three")]
    cards(root, rows)
    bits = {"split_png": 4000, "apart_split_png": 8800}
    write(
        root,
        "rates/rates.csv",
        [{"operating_point": n, "payload_bits": b} for n, b in bits.items()],
    )
    of = {line[0]: line[1:] for line in lines_of(tables.mtl_device())}
    module = mtl_split(64, 64, backbone="resnet", heads=ROOMS)
    device, edge = (
        sum(one.numel() for one in part.parameters()) for part in (module.backbone, module.heads)
    )
    assert of["parameters on the device"][0] == f"{2 * device:,} → {device:,} (0.50)"
    assert of["parameters at the edge"][0] == f"{edge:,} → {edge:,} (1.00)"
    assert of["multiply-accumulates at the edge"][0].endswith("(1.00)")
    assert of["Z_b as float32, byte"] == [
        "8,192 → 4,096 (0.50)",
        f"{3 * 4 * 2304:,} → {4 * 2304:,} (0.33)",  # 72 channels of 4 x 8
    ]
    assert of["Z_b at 8 bit, byte"][0] == "2,056 → 1,032 (0.50)"  # two float32 of the range
    assert of["Z_b at 8 bit as PNG tiles, byte"] == ["1,100 → 500 (0.45)", "—"]
    assert of["multiply-accumulates on the device"][1].endswith("(0.33)")


def test_the_scenario_runs_a_network_that_is_compared() -> None:
    assert tables._scenario_network() == "mtl_resnet_both"


# --- operating points, latency, energy, load ----------------------------------------------------


def write(root: Path, name: str, rows: list[dict[str, Any]]) -> None:
    """A published CSV file."""
    file = root / "results" / "published" / "mtl_split" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.DictWriter(lines, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def swept(place: int, point: str, **ms: tuple[float, float] | None) -> dict[str, Any]:
    """A row of a sweep: mean and half-width of KPIs, in thousandths; None: no value."""
    row: dict[str, Any] = {tables._BLOCKS: place, tables._CAMERAS: place, "operating_point": point}
    usual: dict[str, Any] = {"compute": (1, 0), "tx": (1, 0), "rx": (0, 0), "edge": (0, 0)}
    given = usual | {"p50": (1, 0), "p95": (1, 0)} | ms
    given["energy"] = ms.get("energy", (sum(given[k][0] for k in usual), 0))
    for short, said in given.items():
        known = {"energy": "energy_j", "p50": "latency_p50_s", "p95": "latency_p95_s"}
        for end, side in (("", 0), ("_ci_low", -1), ("_ci_high", 1)):
            text = "" if said is None else (said[0] + side * said[1]) / 1e3
            row[known.get(short, f"{short}_energy_j") + end] = text
    return row


def test_operating_points_by_hand(root: Path) -> None:
    row = {"operating_point": "split_8bit", "payload_bits": 8256.0, "score_accuracy_scale": 0.9}
    row |= {"score_accuracy_scale_low": 0.85, "score_accuracy_scale_high": 0.93}
    write(root, "rates/rates.csv", [row | {"device_macs": 4.15334e6, "edge_macs": 527360}])
    assert "accuracy of size, %" in tables.mtl_points().splitlines()[0]
    assert "against LoC" not in tables.mtl_points()
    assert lines_of(tables.mtl_points()) == [
        [
            "`split_8bit`",
            "SC, 8 bit over the tensor's range",
            "1,032",
            "90.0 −5.0 +3.0",
            "4.15, 0.53",
        ]
    ]


def test_differences_over_the_same_pictures(root: Path) -> None:
    row = {"operating_point": "remote_jpeg", "payload_bits": 8.0, "device_macs": 0, "edge_macs": 0}
    row |= {f"score_accuracy_scale{end}": 0.5 for end in ("", "_low", "_high")}
    gap = {"difference": -0.1, "difference_low": -0.16, "difference_high": -0.04}
    write(root, "rates/rates.csv", [row | gap, row | gap | {"operating_point": "local"}])
    assert "| against LoC, points |" in tables.mtl_points().splitlines()[0]
    assert lines_of(tables.mtl_points())[0][3:] == ["50.0 ± 0.0", "-10.0 ± 6.0", "0.00, 0.00"]
    assert lines_of(tables.mtl_points())[1][4] == "—"  # itself


def test_the_least_is_bold_and_small_intervals_are_left_out(root: Path) -> None:
    rows = [
        swept(5, "remote_pixels", p50=(1234.4, 20)),
        swept(1, "remote_pixels", p50=(70, 0.06)),
        swept(5, "local", p50=(7.74, 0.04)),
        swept(1, "local", p50=None),
        swept(5, "split_coded", p50=(1, 0)),
        swept(5, "apart_split_8bit", p50=(20, 0.5)),
    ]
    write(root, "rate_points.csv", rows)
    heading = tables.mtl_latency().splitlines()[0]
    assert heading == "| resource blocks | RoC, pixels | LoC | SC, 8 bit, apart |"
    assert lines_of(tables.mtl_latency()) == [
        ["1", "**70.0** ± 0.1", "—", "—"],
        ["5", "1,234 ± 20.0", "**7.7**", "20.0 ± 0.5"],
    ]


def test_an_interval_is_lopsided_only_where_it_is_seen() -> None:
    assert table_parts.with_arms("x", 0.21, 0.24) == "x ± 0.2"
    assert table_parts.with_arms("x", 0.21, 0.36) == "x −0.2 +0.4"
    assert table_parts.with_arms("x", 169.6, 207.4) == "x −170 +207"


def test_energy_of_the_device_and_of_both(root: Path) -> None:
    half = (2.0, 0.1)
    rows = [
        swept(1, "local", compute=(14, 0), tx=(0.7, 0)),
        swept(1, "split_8bit", compute=half, tx=half, rx=half, edge=(9, 0.01), energy=(15, 0.2)),
    ]
    write(root, "rate_points.csv", rows)
    _, device, _, both, server = tables.mtl_energy().split("\n\n")
    assert lines_of(device) == [["1", "14.7", "**6.0** ± 0.3"]]  # three parts of ± 0.1
    assert lines_of(both) == [["1", "**14.7**", "15.0 ± 0.2"]]
    assert "9.0 to 9.0 mJ, none with LoC" in server


def test_load_without_an_interval(root: Path) -> None:
    alone = swept(1, "local", p95=(10.05, 0)) | {"latency_p95_s_ci_low": ""}
    write(root, "load_points.csv", [alone, swept(30, "local", p95=(10, 0.2))])
    assert lines_of(tables.mtl_load()) == [["1", "**10.1**"], ["30", "**10.0** ± 0.2"]]


def test_a_point_without_words_is_named(root: Path) -> None:
    write(root, "rate_points.csv", [swept(1, "locall")])
    for made in (tables.mtl_latency, tables.mtl_energy, tables.mtl_crossovers):
        with pytest.raises(ArtefactError, match=r"without words.*mean 'local'"):
            made()


# --- crossovers ---------------------------------------------------------------------------------


def test_crossovers_by_hand(root: Path) -> None:
    rows = [
        swept(1, "local", p50=(7, 0.2), compute=(14, 0)),
        swept(1, "remote_pixels", p50=(70, 1), tx=(70, 1)),
        swept(1, "remote_jpeg", p50=(27, 1), tx=(5, 0.1), edge=(20, 0)),
        swept(1, "split_8bit", p50=(14, 1), compute=(9, 0.1)),
        swept(1, "split_png", p50=(12, 1), compute=(11, 0.1)),
        swept(1, "apart_local", p50=(1, 0), compute=(0, 0)),  # no part of the question
        swept(80, "local", p50=(7.7, 0.2), compute=(14, 0)),
        swept(80, "remote_pixels", p50=(7.5, 0.2), compute=(3, 0), tx=(0, 0)),
        swept(80, "remote_jpeg", p50=(7.0, 0.2), compute=(2, 0), tx=(0, 0)),
        swept(80, "split_8bit", p50=(8.7, 0.2), compute=(8, 0)),
    ]
    write(root, "rate_points.csv", rows)
    assert lines_of(tables.mtl_crossovers()) == [
        ["1", "LoC", "RoC (JPEG)", "SC (8 bit)", "LoC", "SC (8 bit)", "SC (8 bit)"],
        [
            *("80", "RoC (JPEG)", "RoC (JPEG)", "RoC (JPEG)"),
            *("no difference: RoC (pixels), LoC", "RoC (pixels)", "RoC (pixels)"),
        ],
    ]


def test_all_three_may_be_alike() -> None:
    rows = [swept(1, name, p50=(5 + i, 3)) for i, name in enumerate(("split_png", "local"))]
    rows.append(swept(1, "remote_jpeg", p50=None))
    assert tables.best(rows, tables.MEDIAN) == "no difference: SC (PNG), LoC"
    rows[-1] = swept(1, "remote_jpeg", p50=(9, 3))
    assert tables.best(rows, tables.MEDIAN) == "no difference: SC (PNG), LoC, RoC (JPEG)"


# --- one name everywhere ------------------------------------------------------------------------


def test_tables_figures_and_scenario_have_the_same_points() -> None:
    content = read_mapping(scenarios_dir() / "mtl_split.yaml")
    assert {point["name"] for point in content["operating_points"]} == set(tables.POINTS)
    steps = [one for one in read_study(study_path("mtl_split")).steps if isinstance(one, PlotStep)]
    assert len(steps) == 3
    for step in steps:
        assert step.label == {name: tables.POINTS[name].label for name in step.label}


# --- how many cameras ---------------------------------------------------------------------------


def test_cameras_that_fit_by_hand(root: Path) -> None:
    with pytest.raises(ArtefactError, match="run `simsplit reproduce mtl_split`"):
        tables.mtl_capacity()
    folder = root / "results" / "published" / "mtl_split" / "capacity"
    folder.mkdir(parents=True)
    misses = {"mean": 0.018, "ci_low": 0.013, "ci_high": 0.026}
    fits = {"kpis": {"deadline_misses <= 0.02": misses}, "replications": 20}
    for count, name in enumerate(tables.CARRIED, 10):
        found = {"capacity": count, "surely_fits": count - 1, "surely_not": count + 2}
        text = json.dumps(found | {"largest_feasible": fits})
        (folder / f"{name}.json").write_text(text)
    lines = lines_of(tables.mtl_capacity())
    assert [line[:2] for line in lines[:2]] == [["RoC, pixels", "10"], ["RoC, JPEG", "11"]]
    assert lines[-1] == ["SC, PNG", "14", "13 … 16", "1.8 −0.5 +0.8", "20"]
