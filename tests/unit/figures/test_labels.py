"""Figures that call operating points as a paper does, and logarithmic vertical axes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import designs
import synthetic
from simsplit.cli import app
from simsplit.errors import ScenarioError
from simsplit.figures import curves, heatmap, pareto, rate_distortion, stages
from simsplit.figures import kinds as drawing
from simsplit.figures.contract import Drawing, PlotOptions, label_options
from simsplit.results import frames

BITS = {"entropy": "bits, coded", "analog": "symbols"}
Draw = Callable[[Path, PlotOptions], Drawing]


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Drawing]:
    """Draws a made-up sweep, whose scenario has one operating point that was not swept."""

    def draw(made: Draw, table: pd.DataFrame, folder: Path = Path(), **options: Any) -> Drawing:
        monkeypatch.setattr(frames, "load_results", lambda _: table.copy())
        return made(folder, PlotOptions(**options))

    monkeypatch.setattr(frames, "_points", lambda *_: ["local"])
    return draw


def test_a_label_is_name_and_text() -> None:
    texts = ["a=LoC", "b = SC, 8 bit", 'c="RoC: pixels"', "d=x=1", "e='", "f=8"]
    assert label_options(texts) == {
        "a": "LoC", "b": "SC, 8 bit", "c": "RoC: pixels", "d": "x=1", "e": "'", "f": "8",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a"], "--label: a label is NAME=TEXT"),
        (["=b"], "a label is NAME=TEXT"),
        (["a= "], "a label is NAME=TEXT"),
        (["a=b", "a=c"], "--label: 'a' has two labels"),
    ],
)
def test_mistaken_labels_are_named(texts: list[str], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        label_options(texts)


@pytest.mark.parametrize("made", [curves.draw, pareto.draw, heatmap.draw])
def test_legends_and_numbers_have_the_labels(swept: Callable[..., Drawing], made: Draw) -> None:
    asked_for = {"where": ("operating_point == entropy, analog", "split == stage1, stage2")}
    plain = swept(made, designs.table(), **asked_for).data
    named = swept(made, designs.table(), **asked_for, label=BITS).data
    asked = plain["curve"].replace(BITS, regex=True)
    assert not asked.equals(plain["curve"])
    assert list(named["curve"]) == list(asked)
    pd.testing.assert_frame_equal(named.drop(columns="curve"), plain.drop(columns="curve"))


def test_the_legend_of_a_metric(swept: Callable[..., Drawing]) -> None:
    label = {"entropy": "bits", "stage1": "early", "local": "LoC"}  # not swept: no mistake
    table = designs.table()
    made = swept(curves.draw, table, where=("split == stage1, stage2",), label=label)
    texts = [text.get_text() for text in made.figure.legends[0].get_texts()]
    assert sorted(texts) == ["analog, early", "analog, stage2", "bits, early", "bits, stage2"]


def test_rates_and_their_deltas_have_the_labels(swept: Callable[..., Drawing]) -> None:
    plain = swept(rate_distortion.draw, designs.rates())
    label = {"jpeg": "JPEG", "entropy": "coded"}
    named = swept(rate_distortion.draw, designs.rates(), label=label)
    assert set(named.data["curve"]) == {"JPEG", "coded", "local"}
    assert (
        named.tables["bd"]["bd_rate_percent"].tolist()
        == plain.tables["bd"]["bd_rate_percent"].tolist()
    )


def test_stages_have_the_labels_and_the_same_bars(
    swept: Callable[..., Drawing], tmp_path: Path
) -> None:
    table = designs.stored(tmp_path)
    plain = swept(stages.draw, table, tmp_path).data
    label = {name: f"the {name}" for name in table["operating_point"].unique()}
    named = swept(stages.draw, table, tmp_path, label=label).data
    changed = [column for column in plain if not plain[column].equals(named[column])]
    assert changed and set(changed) <= {"curve", "operating_point"}
    assert all("the " in text for column in changed for text in named[column])


@pytest.mark.parametrize("kind", ["latency_cdf", "latency_by_stage", "energy_by_part"])
def test_figures_of_a_run_have_the_labels(tmp_path: Path, kind: str) -> None:
    synthetic.store(tmp_path / "run")
    plain = drawing.draw(tmp_path / "run", kind).data
    named = drawing.draw(tmp_path / "run", kind, PlotOptions(label={"jpeg": "a picture"})).data
    asked = plain["operating_point"].replace({"jpeg": "a picture"})
    assert "a picture" in set(asked) and list(named["operating_point"]) == list(asked)
    with pytest.raises(ScenarioError, match=r"label: a label for nothing.*mean 'jpeg'"):
        drawing.draw(tmp_path / "run", kind, PlotOptions(label={"jpg": "a picture"}))


def test_labels_for_nothing_and_for_two_are_refused(swept: Callable[..., Drawing]) -> None:
    with pytest.raises(ScenarioError, match=r"label: a label for nothing.*mean 'entropy'"):
        swept(curves.draw, designs.table(), label={"entropi": "bits"})
    for label in ({"entropy": "x", "analog": "x"}, {"entropy": "analog"}):
        with pytest.raises(ScenarioError, match="two of operating_point would be called the same"):
            swept(curves.draw, designs.table(), label=label)


def test_a_logarithmic_axis_has_plain_numbers(swept: Callable[..., Drawing]) -> None:
    made = swept(curves.draw, designs.table(), metric="latency_s", scale="log")
    (ax,) = made.figure.axes
    made.figure.canvas.draw()
    low, high = ax.get_ylim()
    texts = [t.get_text() for t in ax.get_yticklabels() if low <= t.get_position()[1] <= high]
    assert ax.get_yscale() == "log" and ax.get_xscale() == "linear"
    assert len(texts) >= 3 and set(texts) <= {"10", "15", "20", "30", "50", "70", "100", "150"}
    usual = swept(curves.draw, designs.table(), metric="latency_s")
    assert usual.figure.axes[0].get_yscale() == "linear"
    pd.testing.assert_frame_equal(made.data, usual.data)


def test_what_is_not_above_nought_has_no_logarithmic_axis(swept: Callable[..., Drawing]) -> None:
    table = designs.table()
    with pytest.raises(ScenarioError, match=r"scale: payload_bits is not above 0.*found: '?0"):
        swept(curves.draw, table, metric="payload_bits", scale="log")
    with pytest.raises(ScenarioError, match=r"scale: no such scale.*mean 'log'"):
        swept(curves.draw, table, scale="logg")


def test_the_command_line_takes_both(tmp_path: Path) -> None:
    synthetic.store(tmp_path / "run")
    words = ["plot", str(tmp_path / "run"), "--kind", "energy_by_part", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, [*words, "--label", "jpeg=a picture"])
    assert done.exit_code == 0, done.output
    assert "a picture" in (tmp_path / "energy_by_part.csv").read_text()
    for flag, text in (("--label", "jpeg"), ("--scale", "log")):
        done = CliRunner().invoke(app, [*words, flag, text])
        assert done.exit_code == 2 and flag in done.output and "Traceback" not in done.output
