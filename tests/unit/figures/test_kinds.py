"""What every figure of a sweep draws, apart from its pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors as mcolors

import designs
from simsplit.errors import ScenarioError
from simsplit.figures import curves, heatmap, pareto, rate_distortion, stages
from simsplit.figures.contract import Drawing, PlotOptions
from simsplit.results import frames
from simsplit.results.kpis import non_dominated
from simsplit.results.stages import STAGES
from simsplit.results.sweep_table import with_axes

SNR, SPLIT = "cell.channel.snr_db", "operating_point.split"
Sweep = Callable[[pd.DataFrame], Path]


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """A folder whose tidy table is the one given."""

    def of(table: pd.DataFrame) -> Path:
        monkeypatch.setattr(frames, "load_results", lambda _: table)
        return tmp_path

    return of


# --- a KPI over an axis -----------------------------------------------------------------------


def drawn_lines(made: Drawing) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    lines = made.figure.axes[0].lines
    return {
        str(li.get_label()): (np.asarray(li.get_xdata()), np.asarray(li.get_ydata()))
        for li in lines
    }


def test_metric_draws_its_table(sweep: Sweep) -> None:
    table = designs.table()
    made = curves.draw(sweep(table), PlotOptions())
    ax = made.figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$E_s/N_0$ [dB]", "mean IoU")
    lines = drawn_lines(made)
    expected = [f"{point}, {split}" for point in designs.POINTS for split in designs.SPLITS]
    assert list(lines) == expected
    assert [t.get_text() for t in made.figure.legends[0].get_texts()] == expected
    for name, (x, y) in lines.items():
        point, split = name.split(", ")
        rows = table[(table["operating_point"] == point) & (table[SPLIT] == split)]
        written = made.data[made.data["curve"] == name]
        assert np.array_equal(x, rows[SNR]) and np.array_equal(y, rows["score_miou"])
        assert np.array_equal(written[SNR], x) and np.array_equal(written["score_miou"], y)


def test_bands_are_the_intervals(sweep: Sweep) -> None:
    table = designs.table()
    made = curves.draw(sweep(table), PlotOptions(metric="latency_s", where=("split == stage2",)))
    assert made.figure.axes[0].get_ylabel() == "mean latency [ms]"
    bands = made.figure.axes[0].collections
    assert len(bands) == 2
    for band, point in zip(bands, designs.POINTS, strict=True):
        rows = table[(table["operating_point"] == point) & (table[SPLIT] == "stage2")]
        corners = band.get_paths()[0].vertices
        for x, low, high in zip(
            rows[SNR], rows["latency_s_ci_low"], rows["latency_s_ci_high"], strict=True
        ):
            at = corners[corners[:, 0] == x][:, 1]
            assert (at.min(), at.max()) == pytest.approx((1e3 * low, 1e3 * high))


def test_looks_tell_the_curves_apart(sweep: Sweep) -> None:
    made = curves.draw(sweep(designs.table()), PlotOptions())
    lines = made.figure.axes[0].lines
    assert len({(li.get_marker(), li.get_linestyle()) for li in lines}) == 6  # without colour
    assert len({li.get_color() for li in lines}) == 2  # a colour per operating point


def test_metric_by_another_axis(sweep: Sweep) -> None:
    made = curves.draw(
        sweep(designs.table()), PlotOptions(by="split", where=("operating_point == analog",))
    )
    assert list(drawn_lines(made)) == list(designs.SPLITS)


def test_axes_in_step_make_no_curves(sweep: Sweep) -> None:
    table = designs.table().query("`operating_point.split` == 'stage1'").reset_index(drop=True)
    table.insert(1, "cell.power_dbm", table[SNR] + 10)
    made = curves.draw(sweep(table), PlotOptions(axis="snr_db"))
    assert list(drawn_lines(made)) == ["entropy", "analog"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (PlotOptions(metric="miou"), "Did you mean 'score_miou'"),
        (PlotOptions(axis="split"), "no numeric axis of the sweep.*snr_db"),
        (PlotOptions(axis="sndr_db"), "Did you mean 'snr_db'"),
        (PlotOptions(by="split_point"), "Choices: snr_db, split, operating_point, scheme"),
        (PlotOptions(where=("split = stage1",)), "a condition reads"),
        (PlotOptions(where=("split == stage9",)), "no row.*stage1, stage2"),
    ],
)
def test_mistakes_name_the_choices(sweep: Sweep, options: PlotOptions, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        curves.draw(sweep(designs.table()), options)


def test_a_kpi_without_a_value(sweep: Sweep) -> None:
    with pytest.raises(ScenarioError, match="no value in any row"):
        curves.draw(sweep(designs.table().assign(score_miou=np.nan)), PlotOptions())


def test_filters_compare_numbers_and_texts() -> None:
    table = frames.where(designs.table(), ["snr_db == 4, 8", "operating_point == entropy"])
    assert set(table[SNR]) == {4.0, 8.0} and set(table["operating_point"]) == {"entropy"}


def test_complements_turn_the_interval_round() -> None:
    table, column = frames.kpi(designs.table(), "deadline_misses")
    assert np.allclose(table[f"{column}_ci_low"], 1 - table["deadline_met_ci_high"])
    assert (table[f"{column}_ci_low"] < table[column]).all()


def conditional() -> pd.DataFrame:
    """SNR x split, where the split picks the operating point and one split has a second coding."""
    table = designs.table().rename(columns={SPLIT: "split"})
    digital = table["operating_point"] == "entropy"
    deep = table["split"] == "stage3"
    table = table[digital | deep].reset_index(drop=True)
    coding = np.where(table["operating_point"] == "analog", "analog", "tiles")
    table.insert(2, "coding", np.where(table["split"] == "stage3", coding, None))
    name = np.where(table["operating_point"] == "analog", "analog", table["split"])
    return table.assign(operating_point=name)


def test_nothing_is_said_twice(sweep: Sweep) -> None:
    names = ["stage1", "stage2", "stage3", "analog"]
    made = curves.draw(sweep(conditional()), PlotOptions())
    assert list(drawn_lines(made)) == names
    assert frames.apart(conditional(), [SNR], "split") == ["split", "operating_point"]
    by_split = curves.draw(sweep(conditional()), PlotOptions(by="split"))
    assert list(drawn_lines(by_split)) == ["stage1", "stage2", "stage3", "stage3, analog"]
    assert frames.design_text([SNR, "cell.gain_db"], [4.0, 4.0]).count("4 dB") == 2
    bars = frames.where(conditional(), ["snr_db == 8"])
    assert stages._axis(bars, PlotOptions()) == "operating_point"
    one = heatmap.draw(sweep(conditional()), PlotOptions())
    assert [t.get_text() for t in one.figure.axes[0].get_yticklabels()] == names


def dependent() -> pd.DataFrame:
    """SNR x who decides, where one of the two has a rate."""
    table = designs.table().query("operating_point == 'entropy'").drop(columns=SPLIT)
    who = ["fixed", "thr", "thr"] * len(designs.SNR_DB)
    table.insert(1, "who", who)
    table.insert(2, "device.arrivals.rate_hz", [np.nan, 5.0, 20.0] * len(designs.SNR_DB))
    axes = [SNR, "who", "device.arrivals.rate_hz"]
    return with_axes(table.assign(operating_point="png").reset_index(drop=True), axes)


def test_the_axis_that_another_depends_on_is_said(sweep: Sweep) -> None:
    names = ["fixed", "thr, 5 Hz", "thr, 20 Hz"]
    assert list(drawn_lines(curves.draw(sweep(dependent()), PlotOptions()))) == names
    two = pd.concat([dependent(), dependent().assign(operating_point="jpeg")], ignore_index=True)
    two = with_axes(two, [SNR, "who", "device.arrivals.rate_hz"])
    both = [f"{point}, {name}" for point in ("png", "jpeg") for name in names]
    made = curves.draw(sweep(two), PlotOptions())
    assert list(drawn_lines(made)) == both
    dashes = [line.get_linestyle() for line in made.figure.axes[0].lines]
    assert dashes[:3] == dashes[3:]  # the same for the same setting of either operating point
    assert frames.apart(two, []) == ["operating_point", SNR, "who", "device.arrivals.rate_hz"]
    made = heatmap.draw(sweep(two), PlotOptions(against="who"))
    assert (made.data["curve"] != "").all()


def test_axes_that_apply_in_turn_are_told_apart(sweep: Sweep) -> None:
    """Either has a rate or a deadline: 5 Hz and 80 ms read apart, yet have no value in common."""
    table = dependent()
    absent = table["device.arrivals.rate_hz"].isna()
    table.insert(3, "task.deadline_s", np.where(absent, 0.08, np.nan))
    axes = [SNR, "who", "device.arrivals.rate_hz", "task.deadline_s"]
    made = curves.draw(sweep(with_axes(table, axes)), PlotOptions())
    assert [name.split(",")[0] for name in drawn_lines(made)] == ["fixed", "thr", "thr"]


# --- heat map ---------------------------------------------------------------------------------


def framed(made: Drawing, lines: int) -> set[tuple[str, int, int]]:
    """Panel and place of the cells with a frame of so many lines."""
    found = Counter(
        (ax.get_title(), round(p.get_x() + 0.44), round(p.get_y() + 0.42))
        for ax in made.figure.axes
        for p in ax.patches
        if ax.get_title()
    )
    return {place for place, count in found.items() if count == lines}


@pytest.mark.parametrize(("metric", "best"), [("score_miou", "idxmax"), ("latency_s", "idxmin")])
def test_the_outlined_cell_is_the_best_of_its_column(sweep: Sweep, metric: str, best: str) -> None:
    table = designs.table()
    made = heatmap.draw(sweep(table), PlotOptions(metric=metric))
    panels = [ax for ax in made.figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == list(designs.POINTS)
    outlined = framed(made, 2)
    rows = table.loc[getattr(table.groupby(SNR)[metric], best)()]
    expected = {
        (row["operating_point"], designs.SNR_DB.index(row[SNR]), designs.SPLITS.index(row[SPLIT]))
        for _, row in rows.iterrows()
    }
    assert outlined == expected
    assert set(made.data[made.data["best"]][metric]) == set(rows[metric])


def test_cells_say_their_value(sweep: Sweep) -> None:
    made = heatmap.draw(sweep(designs.table()), PlotOptions(where=("operating_point == analog",)))
    texts = {text.get_position(): text.get_text() for text in made.figure.axes[0].texts}
    assert len(texts) == 15
    for _, row in made.data.iterrows():
        place = (designs.SNR_DB.index(row[SNR]), designs.SPLITS.index(row[SPLIT]))
        assert float(texts[place]) == pytest.approx(row["score_miou"], abs=0.0051)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(0.0, 0.65, ".64"), (0.61, 0.65, ".645"), (3.0, 24.0, "0.6"), (5.0, 140.0, "1")],
)
def test_cells_have_the_digits_that_tell_them_apart(low: float, high: float, text: str) -> None:
    shown = heatmap.cell_text(0.6449, heatmap.decimals_of(low, high))
    assert shown in (text, text.removeprefix("0"))


def test_a_hole_in_the_heat_map_is_no_best_cell() -> None:
    cells = np.array([[[np.nan, 2.0], [1.0, np.nan]]])
    assert heatmap.best_of_columns(cells, "score_x").tolist() == [[[False, True], [True, False]]]
    assert not heatmap.best_of_columns(np.full((1, 2, 2), np.nan), "score_x").any()


def test_a_heat_map_needs_two_columns(sweep: Sweep) -> None:
    table = frames.where(designs.table(), ["split == stage1", "operating_point == analog"])
    with pytest.raises(ScenarioError, match="two columns"):
        heatmap.draw(sweep(table), PlotOptions())


@pytest.mark.parametrize("metric", ["score_miou", "latency_s"])
def test_cells_that_the_intervals_do_not_tell_from_the_best(sweep: Sweep, metric: str) -> None:
    table = designs.table()
    made = heatmap.draw(sweep(table), PlotOptions(metric=metric))
    low, high = made.data[f"{metric}_ci_low"], made.data[f"{metric}_ci_high"]
    for snr_db in designs.SNR_DB:
        column = made.data[SNR] == snr_db
        (best,) = made.data.index[column & made.data["best"]]
        overlap = (high >= low[best]) & (low <= high[best]) & ~made.data["best"]
        assert (made.data["alike"] == overlap)[column].all()
    assert 0 < made.data["alike"].sum() < len(table) - 5
    assert len(framed(made, 1)) == made.data["alike"].sum()
    assert len(framed(made, 2)) == made.data["best"].sum() == 5
    assert not framed(made, 1) & framed(made, 2)
    for ax in made.figure.axes[:2]:
        inks = {text.get_position(): mcolors.to_rgb(text.get_color()) for text in ax.texts}
        for frame in ax.patches:
            place = (round(frame.get_x() + 0.44), round(frame.get_y() + 0.42))
            if frame.get_linewidth() < 1:  # as readable as the number in the cell
                assert mcolors.to_rgb(frame.get_edgecolor()) == inks[place]


def test_without_an_interval_no_cell_is_alike() -> None:
    cells = np.array([[[1.0], [0.9], [np.nan]]])
    best = heatmap.best_of_columns(cells, "score_x")
    ends = np.array([[[0.8], [np.nan], [np.nan]]]), np.array([[[1.2], [np.nan], [np.nan]]])
    assert not heatmap.alike_to_best(*ends, best).any()
    ends[0][0, 1], ends[1][0, 1] = 0.7, 0.8  # touches
    assert heatmap.alike_to_best(*ends, best).tolist() == [[[False], [True], [False]]]


# --- Pareto front -----------------------------------------------------------------------------


def test_dominated_designs_are_those_of_the_definition(sweep: Sweep) -> None:
    table = designs.table()
    made = pareto.draw(sweep(table), PlotOptions())
    columns = ["score_miou", "latency_s", "energy_j", "channel_uses"]
    kept = non_dominated(table[columns].to_numpy(float) * [-1, 1, 1, 1])
    expected = {tuple(row) for row in table[kept][columns].to_numpy()}
    found = made.data[made.data["non_dominated"]]
    assert {tuple(row) for row in found[columns].to_numpy()} == expected
    assert 0 < len(expected) < len(table) == len(made.data)
    faded = [
        line.get_alpha() == 0.3 for line in made.figure.axes[0].lines if line.get_marker() != "None"
    ]
    assert faded.count(True) == len(table) - len(expected) and faded.count(False) == len(expected)


def test_the_stair_is_the_front_of_the_two(sweep: Sweep) -> None:
    table = designs.table()
    made = pareto.draw(sweep(table), PlotOptions(axis="bandwidth", against="accuracy"))
    ax = made.figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("channel uses per request", "mean IoU")
    (stair,) = (line for line in ax.lines if line.get_drawstyle() == "steps-post")
    x, y = np.asarray(stair.get_xdata()), np.asarray(stair.get_ydata())
    assert (np.diff(x) > 0).all() and (np.diff(y) > 0).all()
    below = table["score_miou"].to_numpy()[:, None] <= y + 1e-12
    right = table["channel_uses"].to_numpy()[:, None] >= x - 1e-9
    assert (below & right).any(axis=1).all()  # every design lies below and right of a step


def test_labels_do_not_touch(sweep: Sweep) -> None:
    made = pareto.draw(sweep(designs.table()), PlotOptions(style="ieee_page"))
    made.figure.draw_without_rendering()
    for ax in made.figure.axes:
        boxes = [text.get_window_extent() for text in ax.texts]
        assert boxes and all(
            ax.bbox.fully_containsx(b.x0) and ax.bbox.fully_containsx(b.x1) for b in boxes
        )
        assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


# --- rate and distortion ----------------------------------------------------------------------


def test_rate_distortion_and_its_deltas(sweep: Sweep) -> None:
    made = rate_distortion.draw(sweep(designs.rates()), PlotOptions())
    ax = made.figure.axes[0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("payload [kbit]", "PSNR [dB]")
    assert ax.get_xscale() == "log"
    assert list(drawn_lines(made)) == ["jpeg", "entropy", "local (no bits)"]
    (delta,) = made.tables["bd"].to_dict("records")
    # 6 dB per decade and 1.5 dB above: the same quality for 10^(-1.5/6) of the rate
    assert delta["bd_metric"] == pytest.approx(1.5)
    assert delta["bd_rate_percent"] == pytest.approx(100 * (10 ** (-1.5 / 6) - 1))
    texts = [text.get_text() for text in made.figure.axes[1].texts]
    assert "\N{MINUS SIGN}43.8" in texts and "+1.5" in texts


def test_curves_that_do_not_overlap_say_so(sweep: Sweep) -> None:
    table = designs.rates()
    far = table["operating_point"] == "entropy"
    for column in ("score_psnr_db", "score_psnr_db_ci_low", "score_psnr_db_ci_high"):
        table.loc[far, column] += 40
    made = rate_distortion.draw(sweep(table), PlotOptions())
    (delta,) = made.tables["bd"].to_dict("records")
    assert np.isnan(delta["bd_rate_percent"]) and "do not overlap" in delta["reason"]
    texts = [text.get_text() for text in made.figure.axes[1].texts]
    assert "– (1)" in texts and any("do not overlap" in text for text in texts)


def test_a_single_rate_is_no_curve_to_compare(sweep: Sweep) -> None:
    table = designs.rates()
    one = (table["operating_point"] == "jpeg") & (table[designs.QUALITY] > 2)
    made = rate_distortion.draw(sweep(table[~one].reset_index(drop=True)), PlotOptions())
    assert list(drawn_lines(made)) == ["jpeg", "entropy", "local (no bits)"]
    assert not made.tables and len(made.figure.axes) == 1


def test_the_axis_that_varies_the_rate_is_found() -> None:
    table = designs.table()
    assert rate_distortion.rate_axis(table, "payload_bits") == SPLIT
    with pytest.raises(ScenarioError, match="several n above 0"):
        rate_distortion.rate_axis(table, "n")


# --- stages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [None, np.nan])
def test_an_axis_that_does_not_apply_everywhere(missing: float | None) -> None:
    """It is not taken of itself; where it is asked for, bars without a value stand last."""
    split, coding = ["image", "stage3", "stage3"], [missing, "tiles", "analog"]
    frame = pd.DataFrame({"split": split, "coding": coding, "operating_point": ["a", "b", "c"]})
    frame = with_axes(frame, ["split", "coding"])
    assert stages._axis(frame, PlotOptions()) == "operating_point"
    alike = frame.assign(split="stage3", operating_point="a")
    found = [row["coding"] for _, row in stages._bars(alike, "coding", PlotOptions())]
    assert found[:2] == ["tiles", "analog"] and pd.isna(found[2])


def test_stages_stack_up_to_the_totals(sweep: Sweep, tmp_path: Path) -> None:
    made = stages.draw(sweep(designs.stored(tmp_path)), PlotOptions())
    assert made.data["curve"].tolist() == [p for p in designs.synthetic.POINTS for _ in range(2)]
    for ax, (total, ending) in zip(made.figure.axes[:2], stages.PANELS, strict=True):
        parts = [c for c in made.data if c.endswith(ending) and c.removesuffix(ending) in STAGES]
        assert np.allclose(made.data[parts].sum(axis=1), made.data[total])
        heights = [[bar.get_height() for bar in c] for c in ax.containers if hasattr(c, "patches")]
        assert np.allclose(np.sum(heights, axis=0), 1e3 * made.data[total])
    labels = [ax.get_ylabel() for ax in made.figure.axes[:2]]
    assert labels == ["mean latency [ms]", "energy per request [mJ]"]


def test_local_retries_are_a_part_of_the_bars(sweep: Sweep, tmp_path: Path) -> None:
    table = designs.stored(tmp_path)
    path = tmp_path / "stage1" / "requests.parquet"
    rows = pd.read_parquet(path)
    rows.loc[rows["operating_point"] == "entropy", "computed_locally"] = True
    rows.to_parquet(path)
    made = stages.draw(sweep(table), PlotOptions(where=("operating_point == entropy, jscc",)))
    retried = made.data["curve"].eq("entropy") & made.data[SPLIT].eq("stage1")
    assert np.allclose(made.data.loc[retried, ["local retry_s", "downlink_s"]], [0.001, 0.0])
    assert not made.data.loc[~retried, "local retry_s"].fillna(0.0).any()
    (ax, _) = made.figure.axes[:2]
    heights = [[bar.get_height() for bar in c] for c in ax.containers if hasattr(c, "patches")]
    assert np.allclose(np.sum(heights, axis=0), 1e3 * made.data["latency_s"])
    assert "local retry" in [text.get_text() for text in made.figure.legends[0].get_texts()]


def test_too_many_bars(sweep: Sweep) -> None:
    with pytest.raises(ScenarioError, match=r"30 bars, room for 18.*--where"):
        stages.draw(sweep(designs.table()), PlotOptions())


def test_pareto_axes_end_where_values_can(sweep: Sweep) -> None:
    table = designs.table()
    ends = {"score_miou_ci_low": 0.9, "score_miou_ci_high": 1.0, "energy_j_ci_low": 0.0}
    top = table.assign(score_miou=1.0, **ends)
    for ax in pareto.draw(sweep(with_axes(top, [SNR, SPLIT])), PlotOptions()).figure.axes:
        assert ax.get_ylim()[1] <= 1.0 and ax.get_xlim()[0] >= 0.0
