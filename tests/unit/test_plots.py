"""Figures are made, say their units, and carry a legend; the report stands alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import synthetic

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.plots import curves, drawing, requests, style
from simsplit.report import report


def cliff_frame() -> pd.DataFrame:
    snr_db = np.arange(-5, 26, 2.5)
    shapes = {
        "jpeg": 0.05 + 0.6 / (1 + np.exp(-3 * (snr_db - 11))),
        "entropy": 0.05 + 0.55 / (1 + np.exp(-3 * (snr_db - 6))),
        "jscc": 0.2 + 0.36 / (1 + np.exp(-0.3 * (snr_db - 2))),
        "local": np.full(snr_db.size, 0.62),
    }
    parts = [
        {"cell.channel.snr_db": snr_db, "operating_point": name, "score_miou": y}
        | {"score_miou_ci_low": y - 0.02, "score_miou_ci_high": y + 0.02}
        for name, y in shapes.items()
    ]
    return pd.concat([pd.DataFrame(part) for part in parts], ignore_index=True)


def test_metric_against_snr() -> None:
    with style.paper_figure() as (figure, ax):
        curves.metric_against_snr(cliff_frame(), "score_miou", ax)
        assert ax.get_xlabel() == "$E_s/N_0$ [dB]" and ax.get_ylabel() == "mean IoU"
        assert [t.get_text() for t in figure.legends[0].get_texts()] == [
            "jpeg", "entropy", "jscc", "local",
        ]  # fmt: skip
        assert len({line.get_marker() for line in ax.lines}) == len(ax.collections) == 4
        with pytest.raises(ScenarioError, match="score_miou"):
            curves.metric_against_snr(cliff_frame(), "miou", ax)


@pytest.mark.parametrize(
    ("draw", "label"),
    [
        (requests.latency_cdf, "latency [ms]"),
        (requests.latency_by_stage, "mean latency [ms]"),
        (requests.energy_by_part, "energy per request [mJ]"),
    ],
)
def test_run_figures_have_units_and_legend(draw: object, label: str) -> None:
    figure = draw(synthetic.requests())  # type: ignore[operator]
    assert figure.axes[0].get_xlabel() == label
    assert figure.legends and figure.get_figwidth() == 3.5


def test_cdf_counts_lost_requests() -> None:
    rows = synthetic.requests()
    ends = {
        line.get_label(): line.get_ydata()[-1] for line in requests.latency_cdf(rows).axes[0].lines
    }
    jpeg = rows[rows["operating_point"] == "jpeg"]
    assert ends["jpeg"] == pytest.approx(jpeg["delivered"].mean()) and ends["jscc"] == 1


def test_stages_fill_the_latency() -> None:
    rows = synthetic.requests()
    closed = rows[rows["latency_s"].notna()].copy()
    stages = requests.stage_times(closed)
    assert "other" not in stages
    assert np.allclose(stages.sum(axis=1), closed["latency_s"])
    closed["latency_s"] += 0.5
    assert np.allclose(requests.stage_times(closed)["other"], 0.5)


def test_files_of_a_run(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    paths = drawing.plot(tmp_path / "run", "all", tmp_path / "figures")
    assert len(paths) == 6 and all(path.stat().st_size > 2000 for path in paths)
    pdf = (tmp_path / "figures" / "latency_cdf.pdf").read_bytes()
    assert b"/FontFile2" in pdf and b"/Type3" not in pdf  # TrueType, embedded
    one = drawing.plot(tmp_path / "run", "energy_by_part", tmp_path / "one")
    assert [path.name for path in one] == ["energy_by_part.png", "energy_by_part.pdf"]


def test_figures_of_a_result_are_drawn_once(tmp_path: Path) -> None:
    result = synthetic.store(tmp_path / "run")
    assert len(drawing.plot_once(result)) == 6
    assert drawing.plot_once(result) == []


def test_cliff_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "load_results", lambda _: cliff_frame())
    assert drawing.plot(tmp_path, "cliff", tmp_path)[0] == tmp_path / "cliff.png"


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="latency_cdf"):
        drawing.plot(tmp_path, "latency_cfd", tmp_path)
    with pytest.raises(ArtefactError):
        drawing.plot(tmp_path / "none", "all", tmp_path / "out")


def test_report_stands_alone_and_is_escaped(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run", description="<script>alert(1)</script>")
    text = report(tmp_path / "run").read_text(encoding="utf-8")
    assert "<script" not in text and "&lt;script&gt;" in text
    assert text.count("data:image/png;base64,") == 3 and "http" not in text
    assert "simsplit run" in text and "scenario.yaml" in text
