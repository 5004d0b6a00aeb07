"""Logarithmic axes have three numbers or more that do not touch; a vertical one can be cut."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from typer.testing import CliRunner

import designs
from simsplit.cli import app
from simsplit.errors import ScenarioError
from simsplit.figures import curves, heatmap, log_axes, policies, style
from simsplit.figures import kinds as drawing
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.results import frames

Draw = Callable[..., Drawing]


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Draws a made-up sweep."""

    def draw(table: pd.DataFrame, **options: Any) -> Drawing:
        monkeypatch.setattr(frames, "load_results", lambda _: table.copy())
        return curves.draw(Path(), PlotOptions(**options))

    return draw


# --- logarithmic axes -------------------------------------------------------------------------


def numbers(ax: Axes, name: Literal["x", "y"]) -> tuple[list[str], bool]:
    """Numbers along an axis as they are drawn, and whether two touch."""
    ax.figure.canvas.draw()
    low, high = sorted(getattr(ax, f"get_{name}lim")())
    ticks = getattr(ax, f"{name}axis").get_major_ticks()
    inside = [t for t in ticks if low * (1 - 1e-9) <= t.get_loc() <= high * (1 + 1e-9)]
    kept = [t.label1 if t.label1.get_visible() else t.label2 for t in inside]
    boxes = [text.get_window_extent() for text in kept]
    return [t.get_text() for t in kept], any(a.overlaps(b) for a, b in itertools.pairwise(boxes))


def axis_of(low: float, high: float, name: Literal["x", "y"] = "y", look: str = "") -> Axes:
    with style.paper_figure(style=look or "ieee_column") as (_, ax):
        log_axes.log_scale(ax, name)
        getattr(ax, f"set_{name}lim")(low, high)
    return ax


@pytest.mark.parametrize(
    ("low", "high", "by_hand"),
    [
        (0.01, 8.0, "0.01 0.02 0.05 0.1 0.2 0.5 1 2 5"),
        (12.0, 97.0, "15 20 30 50 70"),
        (74.0, 182.0, "80 100 120 140 160 180"),
        (1.01, 1.04, "1.01 1.015 1.02 1.025 1.03 1.035 1.04"),
        (0.9, 2e6, "1 10 100 1000 10000 100000 1e+06"),
    ],
)
def test_numbers_of_an_axis_by_hand(low: float, high: float, by_hand: str) -> None:
    assert numbers(axis_of(low, high), "y") == (by_hand.split(), False)


@pytest.mark.parametrize("name", ["x", "y"])
@pytest.mark.parametrize("look", style.STYLES)
def test_three_numbers_or_more_that_do_not_touch(look: str, name: Literal["x", "y"]) -> None:
    draws = np.random.default_rng(3)
    for decades in (0.02, 0.1, 0.3, 0.5, 0.8, 1.0, 1.4, 1.9, 2.5, 4.0, 7.0):
        low = 10 ** draws.uniform(-3, 3)
        texts, do_touch = numbers(axis_of(low, low * 10**decades, name, look), name)
        assert len(texts) >= 3 and not do_touch, (low, decades, texts)
        assert np.all(np.diff(np.array(texts, float)) > 0)


def test_numbers_follow_limits_that_come_later() -> None:
    ax = axis_of(0.01, 8.0)
    ax.set_ylim(70, 180)
    assert len(numbers(ax, "y")[0]) >= 4


def test_small_ticks_have_no_numbers() -> None:
    ax = axis_of(1.0, 1000.0)
    ax.figure.canvas.draw()
    small = ax.yaxis.get_minor_ticks()
    assert len(small) > 10 and not any(tick.label1.get_text() for tick in small)


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_short_axis_has_powers_of_ten(name: Literal["x", "y"]) -> None:
    with style.page_figure(1, 4) as (_, panels):
        ax = panels[0][0]
        log_axes.log_scale(ax, name)
        getattr(ax, f"set_{name}lim")(1, 2e4)
    texts, do_touch = numbers(ax, name)
    assert len(texts) >= 3 and not do_touch


def test_no_figure_sets_a_logarithmic_scale_by_itself() -> None:
    folder = Path(log_axes.__file__).parent
    own = re.compile(r"set_[xy]scale|semilog|loglog|LogLocator")
    users = {path.name for path in folder.glob("*.py") if own.search(path.read_text("utf-8"))}
    assert users == {"log_axes.py"}


def test_policies_have_numbers_on_both_axes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = itertools.product(("one", "two"), ("fixed", "greedy"), (3e6, 5e6, 8e6))
    rows = pd.DataFrame(places, columns=["network", "policy", "rate_bps"])
    values = np.linspace(0.021, 0.049, len(rows))
    rows = rows.assign(latency_s=values, energy_j=values / 3, device_share=0.5)
    shown: list[Any] = []
    described = type("Described", (), {"axes": [0, 1]})()
    monkeypatch.setattr(policies, "read_description", lambda _: described)
    monkeypatch.setattr(policies, "study", lambda _: rows)
    monkeypatch.setattr(policies, "gains", lambda frame: frame)
    monkeypatch.setattr(policies, "_abscissa", lambda _: ("rate_bps", "uplink rate [Mbit/s]"))
    monkeypatch.setattr(policies, "save", lambda figure, _: shown.append(figure) or [])
    policies.plot_study(tmp_path, tmp_path)
    (figure,) = shown
    first = figure.axes[0]
    for ax, name in ((first, "y"), (figure.axes[-2], "x")):
        texts, do_touch = numbers(ax, name)
        assert len(texts) >= 3 and not do_touch and not any("$" in text for text in texts)


def test_the_colours_of_a_heat_map_have_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    table = designs.table().query("operating_point == 'entropy'").reset_index(drop=True)
    table.attrs = designs.table().attrs
    monkeypatch.setattr(frames, "load_results", lambda _: table)
    figure = heatmap.draw(Path(), PlotOptions(metric="payload_bits")).figure
    texts, do_touch = numbers(figure.axes[-1], "y")
    assert figure.axes[-1].get_yscale() == "log" and len(texts) >= 3 and not do_touch


# --- limits -----------------------------------------------------------------------------------


def test_limits_are_in_the_unit_of_the_axis(swept: Draw) -> None:
    usual = swept(designs.table(), metric="latency_s")
    made = swept(designs.table(), metric="latency_s", limits=(12.5, 60))
    (ax,) = made.figure.axes
    assert ax.get_ylabel() == "mean latency [ms]" and ax.get_ylim() == (12.5, 60)
    pd.testing.assert_frame_equal(made.data, usual.data)
    assert all(line.get_clip_on() for line in ax.lines)
    assert not any(line.get_clip_on() for line in usual.figure.axes[0].lines)


def test_nothing_is_drawn_outside_of_cut_axes(swept: Draw) -> None:
    import matplotlib as mpl

    point = ("operating_point == entropy", "split == stage1")
    made = swept(designs.table(), metric="score_miou", where=point, limits=(0.4, 0.6))
    figure, (ax,) = made.figure, made.figure.axes
    with mpl.rc_context(style.STYLES["ieee_column"].rc()):
        figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(int)  # type: ignore[attr-defined]
    below = int(len(pixels) - ax.bbox.y0) + 3
    blue = (pixels[below:, :, 2] - pixels[below:, :, 0]) > 60  # the curve's colour, and no letter's
    assert not blue.any()


def test_a_curve_wholly_outside_says_so(swept: Draw) -> None:
    table = designs.table()
    shift = {"stage1": 0.0, "stage2": -1000.0, "stage3": 1000.0}
    ends = ["payload_bits", "payload_bits_ci_low", "payload_bits_ci_high"]
    moved = np.array([2000.0 + shift[split] for split in table[designs.SPLIT]])
    table = table.assign(**dict.fromkeys(ends, moved))
    table.attrs = designs.table().attrs
    where = ("operating_point == entropy",)
    made = swept(table, metric="payload_bits", where=where, limits=(1500, 2500))
    texts = [text.get_text() for text in made.figure.legends[0].get_texts()]
    assert texts == ["stage1", "stage2 (below the axis)", "stage3 (above the axis)"]
    assert not made.figure.axes[0].texts


def test_axes_with_nothing_in_them_say_so(swept: Draw) -> None:
    made = swept(designs.table(), metric="score_miou", limits=(60, 75))
    assert [t.get_text() for t in made.figure.axes[0].texts] == ["no value within the limits"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"limits": (2.0, 1.0)}, r"limits: the limits are LOW HIGH, LOW below HIGH .*'2 1'"),
        ({"limits": (1.0, 1.0)}, r"LOW below HIGH .*'1 1'"),
        ({"limits": (float("nan"), 1.0)}, "LOW below HIGH .*'nan 1'"),
        ({"limits": (0.0, float("inf"))}, "LOW below HIGH .*'0 inf'"),
        ({"limits": (0.0, 1.0), "scale": "log"}, r"limits: a logarithmic axis lies above 0"),
    ],
)
def test_mistaken_limits_are_named(swept: Draw, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        swept(designs.table(), metric="latency_s", **options)


def test_kinds_without_limits_name_those_that_have(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").touch()
    for kind in ("pareto", "policies"):
        words = ["plot", str(tmp_path), "--kind", kind, "--limits", "-1", "2"]
        done = CliRunner().invoke(app, words)
        said = re.sub(r"\s+", " ", done.output)
        assert done.exit_code == 2 and "--limits is for metric, cliff" in said
    with pytest.raises(ScenarioError, match=r"no figure of a run takes --limits.* metric, cliff"):
        (tmp_path / "sweep.json").rename(tmp_path / "requests.parquet")
        drawing.plot_all(tmp_path, tmp_path, PlotOptions(limits=(0.0, 1.0)))


def test_the_command_line_cuts_the_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[PlotOptions] = []
    monkeypatch.setattr(drawing, "plot", lambda *given: seen.append(given[3]) or [])
    words = ["plot", str(tmp_path), "--kind", "metric", "--limits", "-0.5", "0.75"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert [options.limits for options in seen] == [(-0.5, 0.75)]
