"""The rate-distortion study: cards, pairs of seeds, deltas and their spread, files, mistakes."""

from __future__ import annotations

import csv
import json
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from fake_ladders import PNG_BITS, store
from simsplit.cli.terminal import app
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.figures import rd_study
from simsplit.figures.rd_study import frames
from simsplit.results.ladders import (
    METRICS,
    delta_table,
    markdown_table,
    named_once,
    png_table,
    read_ladders,
)
from simsplit.results.rate_distortion import study


@pytest.fixture
def networks(tmp_path: Path) -> tuple[Path, Path]:
    """A baseline and a network that needs 10, 20 and 30 % fewer bits with its three seeds."""
    base = store(tmp_path / "net_baseline", {1: 0.0, 2: 0.0, 3: 0.0})
    return base, store(tmp_path / "net_proposed", {1: 0.1, 2: 0.2, 3: 0.3})


def edited(folder: Path, seed: int, **changes: Any) -> None:
    """Change columns of every rung of one card, or the section itself (``section=None``)."""
    file = (folder if seed == 1 else folder / f"seed{seed}") / "card.json"
    found = json.loads(file.read_text())
    if "section" in changes:
        found["rate_distortion"] = changes.pop("section")
    for row in (found["rate_distortion"] or {}).get("rows", []):
        row.update({name: change(row) for name, change in changes.items()})
    file.write_text(json.dumps(found))


def rows(found: list[dict[str, Any]], **wanted: object) -> list[dict[str, Any]]:
    return [row for row in found if all(row[name] == value for name, value in wanted.items())]


# --- deltas -----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["cubic", "pchip", "akima"])
def test_equal_metrics_for_fewer_bits_are_that_bd_rate(
    networks: tuple[Path, Path], method: str
) -> None:
    """r_test = (1 - s) r_anchor at every metric: BD-rate -100 s, whatever the method."""
    found = study([f"{networks[0]}:{networks[1]}"], method)
    for metric in METRICS:
        every = rows(found.deltas, metric=metric.column)
        assert [row["seed"] for row in every] == [1, 2, 3]
        assert [row["bd_rate_percent"] for row in every] == pytest.approx([-10, -20, -30])
        assert [row["check_percent"] for row in every] == pytest.approx([-10, -20, -30])
        assert [row["png_saved_percent"] for row in every] == pytest.approx([10, 20, 30])
        assert [row["png_difference"] for row in every] == pytest.approx([0, 0, 0], abs=1e-12)
    assert found.summary["notes"] == []


def test_the_summary_has_mean_ends_and_students_interval(networks: tuple[Path, Path]) -> None:
    (pair,) = study([f"{networks[0]}:{networks[1]}"]).summary["pairs"]
    rate = pair["metrics"]["miou"]["bd_rate_percent"]
    half = 4.302653 * 10 / math.sqrt(3)  # t_{0.975, 2}; -10, -20, -30 scatter by 10
    assert rate == pytest.approx(
        {"mean": -20, "smallest": -30, "largest": -10, "low": -20 - half, "high": -20 + half}
        | {"n": 3, "of": 3},
        rel=1e-6,
    )
    assert pair["png"]["saved_percent"]["mean"] == pytest.approx(20)
    bits = PNG_BITS * 1.04  # mean of 1.02, 1.04, 1.06
    assert pair["png"]["bits_anchor"] == pytest.approx(bits)
    assert pair["png"]["bpfe_anchor"] == pytest.approx(bits / 16384)
    assert (pair["encoder"], pair["shape_anchor"], pair["seeds"]) == (
        "encoder2",
        [32, 16, 32],
        [1, 2, 3],
    )


def test_one_seed_has_no_interval(tmp_path: Path) -> None:
    base, other = store(tmp_path / "a", {1: 0.0}), store(tmp_path / "b", {1: 0.1})
    rate = study([f"{base}:{other}"]).summary["pairs"][0]["metrics"]["psnr_db"]["bd_rate_percent"]
    assert (rate["mean"], rate["low"], rate["high"]) == (pytest.approx(-10), None, None)


def test_differences_are_in_points_per_cent_and_db(tmp_path: Path) -> None:
    base, other = store(tmp_path / "a", {1: 0.0}), store(tmp_path / "b", {1: 0.0})
    edited(
        other,
        1,
        miou=lambda row: row["miou"] - 0.005,
        disparity_rmse_px=lambda row: 1.02 * row["disparity_rmse_px"],
        psnr_db=lambda row: row["psnr_db"] + 0.3,
    )
    deltas = study([f"{base}:{other}"]).deltas
    told = {row["metric"]: (row["png_difference"], row["png_difference_unit"]) for row in deltas}
    assert told["miou"] == (pytest.approx(-0.5), "points")
    assert told["disparity_rmse_px"] == (pytest.approx(2), "%")
    assert told["psnr_db"] == (pytest.approx(0.3), "dB")
    rates = {row["metric"]: row["check_percent"] for row in deltas}
    assert rates["miou"] > 0 and rates["disparity_rmse_px"] > 0 > rates["psnr_db"]


def test_curves_apart_have_no_delta_but_a_reason(networks: tuple[Path, Path]) -> None:
    base, other = networks
    edited(other, 2, miou=lambda row: row["miou"] - 0.2)
    found = study([f"{base}:{other}"])
    (row,) = rows(found.deltas, metric="miou", seed=2)
    assert row["bd_rate_percent"] is None and row["check_percent"] is None
    assert row["reason"].startswith("no BD: the curves")
    rate = found.summary["pairs"][0]["metrics"]["miou"]["bd_rate_percent"]
    assert (rate["n"], rate["of"], rate["mean"]) == (2, 3, pytest.approx(-20))
    assert rate["smallest"] == pytest.approx(-30)
    (note,) = found.summary["notes"]
    assert note.startswith("encoder2, miou, seed 2: no BD: the curves")


def test_a_single_point_codec_is_on_no_curve(networks: tuple[Path, Path]) -> None:
    base, other = networks
    for seed in (1, 2, 3):
        edited(
            other,
            seed,
            payload_bits=lambda row: row["payload_bits"] / (9 if row["codec"] == "entropy" else 1),
        )
    found = study([f"{base}:{other}"])
    assert rows(found.deltas, metric="miou", seed=1)[0]["bd_rate_percent"] == pytest.approx(-10)
    assert not any(row["on_miou"] for row in rows(found.points, codec="entropy"))


def test_a_wobble_is_left_out_of_that_metrics_curve_alone(networks: tuple[Path, Path]) -> None:
    base, other = networks
    edited(base, 1, miou=lambda row: row["miou"] - (0.01 if row["quality"] == 90 else 0.0))
    found = study([f"{base}:{other}"])
    (row,) = rows(found.points, role="baseline", seed=1, quality=90)
    assert (row["on_miou"], row["on_psnr_db"], row["on_disparity_rmse_px"]) == (False, True, True)
    assert len(rows(found.points, role="baseline", seed=1, on_miou=True)) == 11
    assert not rows(found.deltas, metric="miou", seed=1)[0]["reason"]


def test_methods_that_disagree_are_told(networks: tuple[Path, Path]) -> None:
    """Curves that saturate; tests/validation/test_rate_distortion.py has their true BD-rate."""
    for folder, limit, power in zip(networks, (0.6075, 0.6065), (1.75, 2.2), strict=True):
        for seed in (1, 2, 3):
            edited(
                folder,
                seed,
                miou=lambda row, m=limit, p=power: (
                    m - 0.0006 * (row["payload_bits"] / PNG_BITS) ** -p
                ),
            )
    found = study([f"{networks[0]}:{networks[1]}"])
    (row,) = rows(found.deltas, metric="miou", seed=1)
    assert abs(row["check_percent"] - row["bd_rate_percent"]) > 3 and row["misfit_percent"] > 15
    (note,) = found.summary["notes"]
    assert note.startswith("encoder2, miou: cubic says") and "passes by the measured points" in note


def test_only_seeds_of_both_count(networks: tuple[Path, Path]) -> None:
    base, other = networks
    (other / "seed3" / "card.json").unlink()
    store(other, {5: 0.0})
    found = study([f"{base}:{other}"])
    assert found.summary["pairs"][0]["seeds"] == [1, 2]
    assert found.summary["notes"] == [
        "net_proposed, seed 3: no card yet; left out",
        "net_baseline, seed 3: the other network has no such seed; left out",
        "net_proposed, seed 5: the other network has no such seed; left out",
    ]


def test_pairs_of_one_encoder_are_called_by_their_networks(networks: tuple[Path, Path]) -> None:
    base, other = networks
    found = study([f"{base}:{other}", f"{other}:{base}"])
    names = [pair["encoder"] for pair in found.summary["pairs"]]
    assert names == ["net_proposed against net_baseline", "net_baseline against net_proposed"]
    means = [pair["metrics"]["miou"]["bd_rate_percent"]["n"] for pair in found.summary["pairs"]]
    assert means == [3, 3]
    with pytest.raises(ScenarioError, match="the same two networks twice"):
        study([f"{base}:{other}"] * 2)


# --- mistakes ---------------------------------------------------------------------------------


def test_the_first_seed_is_the_recipes(networks: tuple[Path, Path]) -> None:
    (networks[0] / "recipe.yaml").write_text("seed: 7\n")
    assert list(read_ladders(str(networks[0]))[0]) == [2, 3, 7]
    (networks[0] / "recipe.yaml").write_text("seed: 2\n")
    with pytest.raises(ArtefactError, match=r"seed2: the folder of a further seed"):
        read_ladders(str(networks[0]))


def test_networks_that_are_none(networks: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'streets_multitask'"):
        study(["streets_multitsk:streets_exit"])
    with pytest.raises(ScenarioError, match="ANCHOR:TEST"):
        study([str(networks[0])])
    (tmp_path / "empty").mkdir()
    with pytest.raises(ArtefactError, match=r"no card yet; `simsplit train .*empty/recipe.yaml`"):
        study([f"{networks[0]}:{tmp_path / 'empty'}"])
    with pytest.raises(ArtefactError, match=r"`simsplit train models/streets_exit/recipe.yaml`"):
        study([f"{networks[0]}:streets_exit"])


def test_cards_that_do_not_fit(networks: tuple[Path, Path], tmp_path: Path) -> None:
    base, other = networks
    with pytest.raises(ScenarioError, match=r"no training seed of both: \[1, 2, 3\] and \[4\]"):
        study([f"{base}:{store(tmp_path / 'four', {4: 0.0})}"])
    file = other / "card.json"
    text = file.read_text()
    file.write_text(text.replace('"pictures": 512', '"pictures": 128'))
    with pytest.raises(ScenarioError, match="seed 1: measured over 512 and 128 pictures"):
        study([f"{base}:{other}"])


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{", "[", "damaged card"),
        ('"network": {', '"network": "x", "n": {', "damaged card"),
        ('"rate_distortion"', '"rd"', "no section 'rate_distortion'; `simsplit train"),
        ('"rows"', '"row"', "damaged section 'rate_distortion': 'rows'"),
        ('"psnr_db"', '"psnr"', "damaged section 'rate_distortion': 'psnr_db'"),
        ("22.1", "NaN", "png_tiles: a number that is none"),
        ("png_tiles", "png", "needs one row png_tiles"),
    ],
)
def test_damaged_cards(networks: tuple[Path, Path], old: str, new: str, said: str) -> None:
    file = networks[1] / "card.json"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(ArtefactError) as caught:
        study([f"{networks[0]}:{networks[1]}"])
    assert said in str(caught.value) and str(file) in str(caught.value)


def test_an_unknown_method_is_refused(networks: tuple[Path, Path]) -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'cubic'"):
        study([f"{networks[0]}:{networks[1]}"], "cubc")


# --- figure, files, command line --------------------------------------------------------------


@pytest.fixture
def two_encoders(tmp_path: Path) -> list[str]:
    pairs = []
    for encoder in ("encoder2", "encoder1"):
        base = store(tmp_path / f"{encoder}_a", {1: 0.0, 2: 0.0}, encoder)
        pairs.append(f"{base}:{store(tmp_path / f'{encoder}_b', {1: 0.1, 2: 0.3}, encoder)}")
    return pairs


@pytest.mark.parametrize(("style", "columns"), [("ieee_page", 3), ("ieee_column", 2)])
def test_the_figure_has_a_panel_per_encoder_and_metric(
    two_encoders: list[str], style: str, columns: int
) -> None:
    points, deltas = frames(study(two_encoders))
    figure = rd_study.draw(points, deltas, style).figure
    assert len(figure.axes) == 6
    place = figure.axes[0].get_subplotspec()
    assert place is not None and place.get_gridspec().ncols == columns
    assert [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")] == [
        "encoder2",
        "encoder1",
    ]
    for ax in figure.axes:
        (text,) = (text.get_text() for text in ax.texts)
        assert text == "BD-rate\ncubic \N{MINUS SIGN}20.0 %\nakima \N{MINUS SIGN}20.0 %"
        assert ax.get_xscale() == "log"


def test_the_figure_draws_the_means_over_the_seeds(two_encoders: list[str]) -> None:
    points, deltas = frames(study(two_encoders))
    ax = rd_study.draw(points, deltas).figure.axes[0]
    means = [line for line in ax.lines if line.get_alpha() is None and line.get_linestyle() == "--"]
    (mean,) = (np.column_stack(line.get_data()) for line in means)
    assert mean.shape == (12, 2)
    # the last one is PNG: mean of (1 - 0.1) 1.02 and (1 - 0.3) 1.04
    assert mean[-1] == pytest.approx([PNG_BITS / 1e3 * (0.918 + 0.728) / 2, 0.606])
    assert len([line for line in ax.lines if line.get_alpha() is not None]) == 4


def test_a_missing_delta_is_counted_in_its_panel(networks: tuple[Path, Path]) -> None:
    edited(networks[1], 2, miou=lambda row: row["miou"] - 0.2)
    ax = rd_study.draw(*frames(study([f"{networks[0]}:{networks[1]}"]))).figure.axes[0]
    assert ax.texts[0].get_text().endswith("2 of 3 seeds")
    for seed in (1, 3):
        edited(networks[1], seed, miou=lambda row: row["miou"] - 0.2)
    ax = rd_study.draw(*frames(study([f"{networks[0]}:{networks[1]}"]))).figure.axes[0]
    assert ax.texts[0].get_text() == "BD-rate\ncubic none\nakima none"


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["rd", *map(str, arguments)])


def test_the_verb_prints_and_writes(two_encoders: list[str], tmp_path: Path) -> None:
    done = _run(two_encoders[0], "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    line = next(text for text in done.stdout.splitlines() if "mean IoU" in text)
    assert "-20.0" in line and "-30.0 … -10.0" in line and "2 of 2" in line
    assert "payload [kbit]" in done.stdout
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"rd.png", "rd.pdf", "rd.pgf", "rd.csv", "bd.csv", "bd.json"}
    with (tmp_path / "out" / "bd.csv").open(newline="") as lines:
        deltas = list(csv.DictReader(lines))
    assert len(deltas) == 4 * 2  # metrics, seeds
    assert float(deltas[1]["bd_rate_percent"]) == pytest.approx(-30)
    with (tmp_path / "out" / "rd.csv").open(newline="") as lines:
        assert len(list(csv.DictReader(lines))) == 2 * 2 * 14  # networks, seeds, rungs
    stored = json.loads((tmp_path / "out" / "bd.json").read_text())
    assert [pair["encoder"] for pair in stored["pairs"]] == ["encoder2"]
    assert str(tmp_path) not in json.dumps(stored)


def test_the_verb_as_json(two_encoders: list[str]) -> None:
    found = json.loads(_run(*two_encoders, "--json", "--method", "akima").stdout)
    assert (found["method"], found["check"]) == ("akima", "cubic")


def test_the_verb_refuses_in_one_line(two_encoders: list[str], tmp_path: Path) -> None:
    mistakes: list[tuple[list[object], str]] = [
        (["nope:streets_exit"], "no such network or folder"),
        ([*two_encoders, "--out", tmp_path / "x", "--style", "ieee"], "no such style"),
    ]
    for arguments, said in mistakes:
        done = _run(*arguments)
        assert done.exit_code == 2 and said in done.output and "Traceback" not in done.output
    assert not (tmp_path / "x").exists()


def test_lines_for_people(two_encoders: list[str]) -> None:
    summary = study(two_encoders).summary
    header, lines = markdown_table(summary, study(two_encoders, lowest_quality=80).summary)
    assert len(header) == len(lines[0]) and len(lines) == 8
    assert lines[0][2] == "-20.0 % [-30.0 … -10.0]"
    assert lines[0][6] == "82.4 → 65.8 (-20.0 %)"
    assert lines[0][7] == "0.6060 → 0.6060 (+0.00 points)"
    header, lines = png_table(summary)
    assert len(header) == len(lines[0]) and lines[0][4:] == ["-20.00 %", "-30.00 … -10.00"]
    assert [line[0] for line in named_once(lines)] == [
        *("encoder2", "", "", "", "", ""),
        *("encoder1", "", "", "", "", ""),
    ]
    header, lines = delta_table(summary)
    assert len(header) == len(lines[0]) and lines[0][5:] == ["-10.0, -30.0", "2 of 2", "-20.0"]


def test_pictures_for_choosing_are_a_section_of_their_own(networks: tuple[Path, Path]) -> None:
    """Their bits are twice the test's here, of the proposed network alone: BD-rate +80 % of -10."""
    pair = f"{networks[0]}:{networks[1]}"
    with pytest.raises(ArtefactError, match="no section 'rate_distortion_validation'"):
        study([pair], split="validation")
    for folder, factor in zip(networks, (1, 2), strict=True):
        file = folder / "card.json"
        card = json.loads(file.read_text())
        section = json.loads(json.dumps(card["rate_distortion"]))
        for row in section["rows"]:
            row["payload_bits"] *= factor
        file.write_text(json.dumps(card | {"rate_distortion_validation": section}))
        for seed in ("seed2", "seed3"):
            shutil.rmtree(folder / seed)
    found = study([pair], split="validation")
    assert [row["bd_rate_percent"] for row in found.deltas] == pytest.approx([80] * len(METRICS))
    assert found.summary["range"] == "validation"
    told = CliRunner().invoke(app, ["rd", pair, "--validation", "--json"])
    assert json.loads(told.stdout) == found.summary
    assert "range" not in study([pair]).summary


def test_rungs_below_a_quality_are_left_out(two_encoders: list[str]) -> None:
    whole, near = (study(two_encoders, lowest_quality=quality) for quality in (1, 80))
    kept = [row for row in whole.points if row["quality"] is None or row["quality"] >= 80]
    assert [row["quality"] for row in near.points] == [row["quality"] for row in kept]
    assert len(near.points) < len(whole.points) and near.summary["lowest_quality"] == 80
