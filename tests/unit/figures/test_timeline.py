"""Timeline: intervals tile a request's life, the right requests are shown, every fate is told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import synthetic
from simsplit.errors import ArtefactError, ScenarioError
from simsplit.figures import timeline as module
from simsplit.figures.contract import PlotOptions
from simsplit.figures.requests import stage_times
from simsplit.figures.style import paper_figure
from simsplit.figures.timeline import around_slowest, device_rows, fates, in_window, is_sparse
from simsplit.messages import Scheme
from simsplit.results.stages import STAGES, is_retried, stage_intervals, stages_ms
from simsplit.study.worlds import step_table, toy_plan, toy_world

NAN = float("nan")
DEFAULTS = {
    "device": 0, "replication": 0, "group": "g", "scheme": "raw", "status": "done",
    "computed_locally": False, "deadline_s": 1.0, "deadline_met": True,
}  # fmt: skip
TIMES = ("arrival", "device_start", "device_end", "radio_start", "radio_end", "edge_arrival")
TIMES = (*TIMES, "edge_start", "edge_end", "closed")


def row(request_id: int, *times_s: float, **others: Any) -> dict[str, Any]:
    times = dict.fromkeys((f"{name}_s" for name in TIMES), NAN)
    times |= {f"{name}_s": time_s for name, time_s in zip(TIMES, times_s, strict=False)}
    return DEFAULTS | {"request_id": request_id} | times | others


def frame(*rows: dict[str, Any]) -> pd.DataFrame:
    made = pd.DataFrame(rows)
    return made.assign(latency_s=made["closed_s"] - made["arrival_s"])


def stages_of(made: pd.DataFrame, until_s: float | None = None) -> list[tuple[str, float, float]]:
    found = stage_intervals(made, until_s)
    return list(found[["stage", "start_s", "end_s"]].itertuples(index=False, name=None))


def simulated(scheme: Scheme = Scheme.RAW, **changes: Any) -> tuple[pd.DataFrame, float]:
    """Requests of a small lossy world, with retries, losses and some still open at the end."""
    plan = toy_plan(scheme, bits=30_000, device_s=0.004, edge_s=0.003)
    cell = {"channel": {"kind": "fixed_snr", "snr_db": 10.0}, "harq": {"max_transmissions": 1}}
    cell |= {"downlink": {"kind": "radio"}}
    group = {"on_loss": "retry_locally", "deadline_s": 0.02} | changes
    table = step_table(mu_db=5.0, sigma_db=4.0)
    some = {"devices": 4, "rate_hz": 60.0, "duration_s": 2.0}
    world = toy_world(plan, cell=cell, group=group, table=table, **some)
    world.env.run(until=2.0)
    return pd.DataFrame([request.row() for request in world.requests]), 2.0


@pytest.mark.parametrize("on_loss", ["drop", "retry_locally"])
def test_intervals_tile_the_life_of_every_request(on_loss: str) -> None:
    rows, until_s = simulated(on_loss=on_loss)
    assert rows["closed_s"].isna().any() and is_retried(rows).any() == (on_loss != "drop")
    assert (rows["status"] == "lost").any() == (on_loss == "drop")
    found = stage_intervals(rows, until_s)
    assert (found["end_s"] > found["start_s"]).all() and set(found["stage"]) <= set(STAGES)
    for request in rows.itertuples():
        mine = found[found["request_id"] == request.request_id]
        end_s = until_s if np.isnan(request.closed_s) else request.closed_s
        assert list(mine["start_s"]) == [request.arrival_s, *mine["end_s"].iloc[:-1]]
        assert mine["end_s"].iloc[-1] == end_s
    assert "other" not in set(found["stage"])


def test_stages_are_those_of_the_mean_latencies() -> None:
    rows, _ = simulated()
    rows = rows[rows["latency_s"].notna() & ~is_retried(rows)]
    lengths = stage_intervals(rows).assign(length=lambda f: f["end_s"] - f["start_s"])
    sums = lengths.groupby("stage")["length"].sum()
    expected = stage_times(rows).sum()
    assert set(sums.index) == set(expected.index[expected > 0])
    np.testing.assert_allclose(sums, expected[sums.index])


def test_a_retry_after_a_lost_answer_is_no_downlink() -> None:
    rows, _ = simulated()
    closed = rows[rows["latency_s"].notna()].reset_index(drop=True)
    unanswered = closed["edge_end_s"].notna() & (closed["request_id"] % 5 == 0)
    closed["computed_locally"] |= unanswered  # this world's answers never get lost
    assert unanswered.any()
    found = stage_times(closed)
    np.testing.assert_allclose(found.sum(axis=1), closed["latency_s"])
    assert (found.loc[is_retried(closed), "local retry"] > 0).all()
    assert (found.loc[unanswered, "downlink"] == 0).all()
    pd.testing.assert_frame_equal(1e3 * found, stages_ms(closed), check_names=False)


def test_every_way_through_the_stages() -> None:
    whole = row(1, 0.0, 1.0, 2.0, 2.0, 4.0, 4.0, 5.0, 6.0, 8.0)
    names = ["device wait", "device compute", "radio", "edge wait", "edge compute", "downlink"]
    found = stages_of(frame(whole))
    assert [stage for stage, _, _ in found] == names
    assert [end for _, _, end in found] == [1.0, 2.0, 4.0, 5.0, 6.0, 8.0]
    local = row(2, 0.0, 0.0, 2.0, closed_s=2.0, scheme="local", computed_locally=True)
    assert stages_of(frame(local)) == [("device compute", 0.0, 2.0)]
    retry = row(3, 0.0, 0.0, 1.0, 1.0, 3.0, closed_s=7.0, computed_locally=True)
    assert stages_of(frame(retry))[-1] == ("local retry", 3.0, 7.0)
    no_answer = whole | {"computed_locally": True}
    assert stages_of(frame(no_answer))[-1] == ("local retry", 6.0, 8.0)
    refused = row(4, 0.0, 0.0, 1.0, 1.0, 2.0, 2.0, closed_s=2.5, status="rejected")
    assert stages_of(frame(refused))[-1] == ("edge wait", 2.0, 2.5)
    strange = row(5, 0.0, 0.0, 1.0, 1.0, 2.0, closed_s=3.0)
    assert stages_of(frame(strange))[-1] == ("other", 2.0, 3.0)
    assert stages_of(frame(row(6, 1.0, closed_s=1.0, status="no_power"))) == []


@pytest.mark.parametrize(
    ("times_s", "stage"),
    [
        ((0.0,), "device wait"),
        ((0.0, 1.0), "device compute"),
        ((0.0, 1.0, 2.0, 2.0), "radio"),
        ((0.0, 1.0, 2.0, 2.0, 3.0, 3.0), "edge wait"),
        ((0.0, 1.0, 2.0, 2.0, 3.0, 3.0, 4.0, 5.0), "downlink"),
    ],
)
def test_an_open_request_ends_with_the_clock(times_s: tuple[float, ...], stage: str) -> None:
    made = frame(row(1, *times_s, status="open"))
    assert stages_of(made, 9.0)[-1] == (stage, times_s[-1], 9.0)
    assert len(stages_of(made)) == len(stages_of(made, 9.0)) - 1


def many(count: int = 30, slow: int = 20, device: int = 3) -> pd.DataFrame:
    rows = [row(n, n, n, n + 0.1, closed_s=n + (0.9 if n == slow else 0.2)) for n in range(count)]
    return frame(*rows).assign(device=device)


def test_which_requests_are_shown() -> None:
    rows = pd.concat([many(), many(device=5, slow=-1)], ignore_index=True)
    assert set(device_rows(rows)["device"]) == {3} and len(device_rows(rows, 5)) == 30
    assert list(around_slowest(many())["request_id"]) == list(range(14, 26))
    assert list(around_slowest(many(slow=28))["request_id"]) == list(range(18, 30))
    assert list(around_slowest(many(slow=0))["request_id"]) == list(range(12))
    assert len(around_slowest(many(5, 2))) == 5
    rows.loc[rows.index[40], ["closed_s", "latency_s"]] = NAN  # open: slower than any
    assert set(device_rows(rows)["device"]) == {5}
    twice = pd.concat([many(), many(slow=-1).assign(replication=1)], ignore_index=True)
    assert len(device_rows(twice)) == 30 and set(device_rows(twice, 3)["replication"]) == {0}


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"found: 8.*Choices: 3"):
        device_rows(many(), 8)
    with pytest.raises(ArtefactError, match="no request"):
        device_rows(many().iloc[:0])
    with pytest.raises(ScenarioError, match="from 0 s to 29 s"):
        in_window(many(), 50.0, 60.0)
    with pytest.raises(ScenarioError, match="before end_s"):
        in_window(many(), 5.0, 5.0)
    with pytest.raises(ScenarioError, match="70 requests"):
        in_window(many(70), None, None)


def test_window_holds_what_was_there() -> None:
    assert list(in_window(many(), 3.05, 5.0)["request_id"]) == [3, 4, 5]
    assert list(in_window(many(), 3.25, 4.9)["request_id"]) == [4]
    assert list(in_window(many(), 28.5, None)["request_id"]) == [29]


def test_fates() -> None:
    states = ("done", "done", "lost", "rejected", "no_power", "open")
    met = (True, False, False, False, False, False)
    rows = frame(*(row(n, 0.0) for n in range(6))).assign(status=states, deadline_met=met)
    assert fates(rows) == ["", "late", "lost", "refused", "no power", "open"]


def test_bars_deadlines_and_words() -> None:
    rows = many(4, 2).assign(
        deadline_s=[0.5, NAN, 0.5, 0.5], deadline_met=[True, True, False, True]
    )
    with paper_figure() as (_, ax):
        module.timeline(rows, ax)
        assert [text.get_text() for text in ax.texts] == ["late"]
        assert sum(len(bars) for bars in ax.containers) == len(stage_intervals(rows))
        (ticks,) = ax.collections
        due_s = [segment[0][0] for segment in ticks.get_segments()]
        assert due_s == [0.5, 2.5, 3.5] and "simulated" in ax.get_xlabel()
    with paper_figure() as (_, ax):
        module.aligned_timeline(rows.assign(deadline_s=60.0), ax)
        assert not ax.collections and "[ms]" in ax.get_xlabel()  # deadlines far off
        assert min(bar.get_x() for bar in ax.patches) == 0.0
        assert ax.get_yticklabels()[1].get_text() == "1.000"


def test_sparse_requests_are_aligned() -> None:
    assert is_sparse(many(30)) and not is_sparse(many(3))


@pytest.mark.parametrize("options", [{}, {"device": 3}, {"start_s": 10.0, "end_s": 20.0}])
def test_draw_a_stored_run(tmp_path: Path, options: dict[str, Any]) -> None:
    stored = synthetic.store(tmp_path / "run")
    drawing = module.draw(stored.folder, PlotOptions(**options))
    shown = stored.requests[stored.requests["request_id"].isin(drawing.data["request_id"])]
    assert shown["device"].nunique() == 1 and drawing.figure.legends
    assert list(drawing.data) == ["request_id", "stage", "start_s", "end_s"]
    assert f"device {shown['device'].iloc[0]} (" in drawing.figure.axes[0].get_title("left")
    if "device" in options:
        assert set(shown["device"]) == {3} and len(shown) == 12
    if "start_s" in options:
        assert drawing.figure.axes[0].get_xlim() == (10.0, 20.0) and len(shown) > 12
    wide = module.draw(stored.folder, PlotOptions(style="thesis", **options)).figure
    assert wide.get_figwidth() == 5.8


def test_the_title_says_that_only_a_part_is_shown(tmp_path: Path) -> None:
    stored = synthetic.store(tmp_path / "run")
    every = int((stored.requests["device"] == 3).sum())

    def title(**options: Any) -> str:
        made = module.draw(stored.folder, PlotOptions(device=3, **options))
        return made.figure.axes[0].get_title("left")

    assert title().endswith(f"\n12 of {every} requests, around the slowest")
    assert re.search(rf"\n\d+ of {every} requests$", title(start_s=10.0, end_s=20.0))
    few = stored.requests[stored.requests["device"] == 3].iloc[:4]
    few.to_parquet(stored.folder / "requests.parquet")
    assert "requests" not in title()


def test_intervals_need_no_matplotlib() -> None:
    code = "import sys, simsplit.results.stages; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
