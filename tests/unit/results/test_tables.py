"""Tables: which columns and rows, how numbers are rounded, what the files say."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import designs
import synthetic
from simsplit.cli.terminal import app
from simsplit.errors import ScenarioError
from simsplit.results import frames, tables

NAN = float("nan")


@pytest.mark.parametrize(
    ("mean", "half", "text"),
    [
        (0.61234, 0.0137, "0.612 ± 0.014"),
        (0.61234, 0.0996, "0.61 ± 0.10"),
        (14474.0, 819.3, "14470 ± 820"),
        (99.96, 1.04, "100.0 ± 1.0"),
        (-0.0312, 0.012, "\N{MINUS SIGN}0.031 ± 0.012"),
        (-0.0001, 0.02, "0.000 ± 0.020"),
        (5.0, 123.0, "0 ± 120"),
        (0.85261, NAN, "0.8526 ± ?"),
        (75.0123, 0.0, "75.01 ± 0"),
        (0.0, 0.0, "0 ± 0"),
        (NAN, NAN, "–"),
    ],
)
def test_rounding(mean: float, half: float, text: str) -> None:
    assert tables.rounded(mean, mean - half, mean + half) == text


@pytest.mark.parametrize(
    ("mean", "low", "high", "text", "latex"),
    [
        (1.0, 0.9638, 1.0, "1.000 −0.036 +0.000", "$1.000_{-0.036}^{+0.000}$"),
        (-0.5, -0.6, -0.3, "−0.50 −0.10 +0.20", "$-0.50_{-0.10}^{+0.20}$"),
        (0.5, 0.4, 0.605, "0.50 ± 0.10", r"$0.50 \pm 0.10$"),
    ],
)
def test_lopsided_intervals(mean: float, low: float, high: float, text: str, latex: str) -> None:
    """No loss in 100 is 1 −0.036 +0, not 1 ± 0.018, which would reach beyond 1."""
    minus = "\N{MINUS SIGN}"
    assert tables.rounded(mean, low, high) == text.replace("−", minus)
    frame = pd.DataFrame({"x": [text.replace("−", minus)]})
    assert latex in tables.as_latex(tables.Table(frame, frame, frozenset(["x"])))


def made(columns: str = "axis,operating_point,score_miou,latency_s,n") -> tables.Table:
    return tables.table(designs.table(), columns.split(","))


def test_columns_and_headers() -> None:
    found = made()
    assert list(found.text.columns) == [
        "$E_s/N_0$ [dB]", "split", "operating point", "mean IoU", "mean latency [ms]", "requests",
    ]  # fmt: skip
    assert found.numeric == {"$E_s/N_0$ [dB]", "mean IoU", "mean latency [ms]", "requests"}
    assert tables.headings(found)[0] == "Es/N0 [dB]"
    row = designs.table().iloc[7]
    numbers = (1e3 * row[f"latency_s{end}"] for end in ("", "_ci_low", "_ci_high"))
    assert found.text.iloc[7]["mean latency [ms]"] == tables.rounded(*numbers)


def test_the_usual_columns() -> None:
    names = set(tables.table(designs.table()).text.columns)
    assert {"$E_s/N_0$ [dB]", "split", "operating point", "mean IoU", "payload [kbit]"} <= names


def test_kpis_as_users_name_them() -> None:
    found = tables.table(designs.table(), ["snr_db", "accuracy", "deadline_misses"])
    columns = list(found.numbers.columns)
    told_apart = ["operating_point.split", "operating_point"]
    assert columns[:4] == ["cell.channel.snr_db", *told_apart, "score_miou"]
    assert columns[5::3] == ["score_miou_ci_high", "deadline_misses_ci_high"]
    assert np.allclose(found.numbers["deadline_misses"], 1 - designs.table()["deadline_met"])


def test_rows_that_look_alike_are_told_apart() -> None:
    one = designs.table().query("operating_point == 'entropy'")
    assert "operating_point" not in tables.table(one, ["snr_db", "split", "accuracy"]).numbers
    made = tables.table(designs.table(), ["snr_db", "accuracy"]).numbers
    assert list(made)[:3] == [designs.SNR, designs.SPLIT, "operating_point"]
    assert list(tables.table(one, ["accuracy"]).numbers)[:2] == [designs.SNR, designs.SPLIT]


def test_what_is_not_there_is_a_dash_and_what_has_no_interval_a_star() -> None:
    frame = designs.table().head(2).assign(coding=[None, "tiles"])
    frame.loc[frame.index[1], ["score_miou_ci_low", "score_miou_ci_high"]] = float("nan")
    made = tables.table(frame, ["coding", "accuracy"])
    assert list(made.text["coding"]) == ["–", "tiles"]
    text = tables.as_latex(made)
    assert text.startswith("% * no interval") and text.count("$*") == 1 and "?" not in text[60:]


def test_latex_is_booktabs_and_escaped() -> None:
    frame = designs.table().assign(operating_point="8_bit & more").iloc[::6]
    text = tables.as_latex(tables.table(frame, ["snr_db", "operating_point", "score_miou"]))
    lines = text.splitlines()
    assert lines[0] == r"\begin{tabular}{rlr}" and lines[-1] == r"\end{tabular}"
    assert [lines[i] for i in (1, 3, -2)] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert lines[2] == r"$E_s/N_0$ [dB] & operating point & mean IoU \\"
    assert lines[4].startswith(r"$0$ & 8\_bit \& more & $0.000 \pm 0.012$")


def test_markdown_has_a_row_per_row() -> None:
    lines = tables.as_markdown(made()).splitlines()
    assert lines[1] == "| ---: | --- | --- | ---: | ---: | ---: |" and len(lines) == 32
    assert lines[0].startswith("| Es/N0 [dB] | split |") and " ± " in lines[2]


def test_csv_holds_the_numbers_unrounded() -> None:
    stored = pd.read_csv(io.StringIO(tables.as_csv(made())))
    for column in ("score_miou", "score_miou_ci_low", "latency_s_ci_high"):
        assert np.allclose(stored[column], designs.table()[column], rtol=1e-12)


def test_mistakes_name_the_choices(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="Did you mean 'score_miou'"):
        made("score_miuo")
    with pytest.raises(ScenarioError, match=r"\.tex, \.md, \.csv"):
        tables.write_table(made(), tmp_path / "table.xlsx")


def test_table_verb_of_a_run(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    out = tmp_path / "sub" / "table.tex"
    command = [
        "table",
        str(tmp_path / "run"),
        "--columns",
        "operating_point, accuracy,latency_s.p95",
    ]
    where = ["--where", "operating_point == jpeg, jscc"]
    done = CliRunner().invoke(app, [*command, *where, "--out", str(out)])
    assert done.exit_code == 0, done.output
    rows = [line for line in out.read_text().splitlines() if line.endswith(r"\\")]
    assert [row.split(" ")[0] for row in rows] == ["operating", "jpeg", "jscc"]
    shown = CliRunner().invoke(app, [*command, *where])
    assert shown.exit_code == 0 and "jscc" in shown.output and "local" not in shown.output


def test_plot_verb_tells_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = designs.table().query(
        "operating_point == 'analog' and `operating_point.split` == 'stage1'"
    )
    monkeypatch.setattr(frames, "load_results", lambda _: frame.drop(columns=["energy_j"]))
    (tmp_path / "sweep.json").write_text("{}")
    done = CliRunner().invoke(app, ["plot", str(tmp_path), "--where", "snr_db == 0, 8"])
    assert done.exit_code == 0, done.output
    for reason in ("stages: ", "pareto: no such KPI", "heatmap: a heat map needs two columns"):
        assert f"Left out: {reason}" in done.output
    assert (tmp_path / "metric.pgf").is_file() and not (tmp_path / "heatmap.png").exists()


def test_plot_verb(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    command = ["plot", str(tmp_path / "run"), "--kind", "latency_cdf", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "latency_cdf.pgf").is_file() and "latency_cdf.csv" in done.output
    wrong = CliRunner().invoke(app, ["plot", str(tmp_path / "run"), "--kind", "latency_cfd"])
    assert wrong.exit_code == 2 and "latency_cdf" in wrong.output
