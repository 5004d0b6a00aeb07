"""compare, bd and warmup on the command line: what a user sees."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import synthetic
from simsplit.cli.terminal import app


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


def _said(*arguments: object) -> str:
    found = _run(*arguments)
    assert found.exit_code == 0, found.output
    return found.stdout


def _refused(*arguments: object) -> str:
    found = _run(*arguments)
    assert found.exit_code == 2
    assert "Traceback" not in found.output
    return str(found.output)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two results whose arrivals differ."""
    folder = tmp_path_factory.mktemp("stored")
    synthetic.store(folder / "a")
    synthetic.store(folder / "b", seed=1)
    return folder / "a", folder / "b"


# --- compare ----------------------------------------------------------------------------------


def test_compare_prints_a_row_per_kpi_and_how_it_was_paired(folders: tuple[Path, Path]) -> None:
    a, _ = folders
    text = _said("compare", a, a)
    assert text.startswith("A: a, B: a ")
    assert "- paired by 1600 requests" in text
    row = next(line for line in text.splitlines() if "latency_p95_s" in line)
    assert row.count("no difference") == 1
    assert "0 … 0" in row
    assert "score_miou" in text


def test_compare_parts_and_kpis(folders: tuple[Path, Path]) -> None:
    a, _ = folders
    text = _said("compare", a, "--of", "jpeg", "--with", "entropy", "--kpi", "payload_bits")
    assert "unpaired: of 400 and 400 requests 0 have the same device and arrival" in text
    assert "-15,000" in text and "lower" in text
    assert "score_miou" not in text


def test_compare_as_json(folders: tuple[Path, Path]) -> None:
    a, b = folders
    found = json.loads(_said("compare", a, b, "--kpi", "accuracy", "--family", "--json"))
    (row,) = found["differences"]
    assert row["kpi"] == "score_miou"
    assert row["low"] < row["b"] - row["a"] < row["high"]
    assert row["verdict"] in ("higher", "lower", "no difference")
    assert found["paired"] is False


def test_compare_refuses_in_one_line(folders: tuple[Path, Path]) -> None:
    a, b = folders
    assert "--of NAME --with NAME" in _refused("compare", a)
    assert "no such result folder" in _refused("compare", a, a / "none")
    assert "Did you mean 'jpeg'" in _refused("compare", a, b, "--of", "jpg")
    assert "Did you mean 'accuracy'" in _refused("compare", a, b, "--kpi", "acuracy")


# --- bd ---------------------------------------------------------------------------------------

ANCHOR = "rate,psnr_db\n1000,30\n2000,33\n4000,35\n8000,36.5\n"


@pytest.fixture
def curves(tmp_path: Path) -> tuple[Path, Path]:
    """An anchor, and a curve of half the rate."""
    files = tmp_path / "a.csv", tmp_path / "b.csv"
    files[0].write_text(ANCHOR)
    files[1].write_text("rate,psnr_db\n500,30\n1000,33\n2000,35\n4000,36.5\n")
    return files


def test_bd_prints_every_method_and_the_overlap(curves: tuple[Path, Path]) -> None:
    text = _said("bd", *curves)
    for method in ("cubic", "pchip", "akima"):
        row = next(line for line in text.splitlines() if method in line)
        assert "-50.00" in row
    assert "BD rate %" in text and "BD psnr_db" in text
    assert "common psnr_db: 30 … 36.5, 100 % of the anchor's range" in text
    assert "common rate: 1000 … 4000, 66.7 % of the anchor's range" in text


def test_bd_says_why_a_delta_is_missing(curves: tuple[Path, Path]) -> None:
    text = _said("bd", *curves, "--min-overlap", "0.9")
    assert "no BD" in text and "-50.00" in text
    assert "share 66.7 % of the anchor's logarithmic rate range, 90 % are needed" in text
    curves[1].write_text("10000,40\n20000,43\n40000,45\n80000,46\n")
    assert "do not overlap in metric" in _refused("bd", *curves)


def test_bd_of_a_sweep_by_operating_point(tmp_path: Path, curves: tuple[Path, Path]) -> None:
    lines = ["snr,operating_point,payload_bits,payload_bits_ci_low,score_miou,score_miou_ci_low"]
    for snr in (5, 10):
        for point, factor in (("jpeg", 1.0), ("entropy", 0.8)):
            for rate, miou in ((1000, 0.4), (2000, 0.5), (4000, 0.55), (8000, 0.57)):
                lines.append(f"{snr},{point},{factor * rate},,{miou + snr / 100},")
    (tmp_path / "points.csv").write_text("\n".join(lines))
    text = _said("bd", tmp_path, tmp_path, "--point", "jpeg:entropy", "--at", "snr=10")
    assert "entropy against jpeg" in text
    assert text.count("-20.00") == 3
    found = json.loads(_said("bd", tmp_path, tmp_path, "--at", "snr=5", "--json"))
    assert [pair["anchor"]["name"] for pair in found["pairs"]] == ["jpeg", "entropy"]
    assert found["pairs"][0]["deltas"][0] == {
        "method": "cubic", "rate_percent": 0.0, "metric": 0.0, "reasons": [],
    }  # fmt: skip
    assert "(1000, 0.45) to (1000, 0.5)" in _refused("bd", tmp_path, tmp_path)
    assert "Did you mean 'jpeg'" in _refused("bd", tmp_path, curves[0], "--point", "jpg")
    assert "no such KPI" in _refused("bd", tmp_path, tmp_path, "--metric", "psnr")


def test_bd_refuses_in_one_line(curves: tuple[Path, Path]) -> None:
    assert "no readable CSV: No such file" in _refused("bd", curves[0], curves[0].with_name("x"))


# --- warmup -----------------------------------------------------------------------------------


def test_warmup_prints_a_row_per_group_and_station(folders: tuple[Path, Path]) -> None:
    text = _said("warmup", folders[0])
    assert sum("g_jpeg" in line for line in text.splitlines()) == 4
    assert sum("g_local" in line for line in text.splitlines()) == 2  # no radio, no edge
    found = json.loads(_said("warmup", folders[0], "--json"))
    assert len(found["suggestions"]) == 14
    assert found["present_s"] == 0
    if found["overrides"]:
        assert f"--set {found['overrides'][0]}" in text


def test_warmup_refuses_in_one_line(tmp_path: Path) -> None:
    assert "no such result folder" in _refused("warmup", tmp_path / "none")
