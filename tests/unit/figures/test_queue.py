"""Queue lengths: exact counts, Little's law, the stations' own busy times, readable panels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import synthetic
from simsplit.errors import ScenarioError
from simsplit.figures import queue as module
from simsplit.figures.contract import PlotOptions
from simsplit.figures.queue import (
    capacities,
    count_steps,
    intervals,
    queue_lengths,
    time_average,
    utilisation,
    window_means,
)
from simsplit.figures.style import paper_figure
from simsplit.messages import Scheme
from simsplit.sim.world import History
from simsplit.study.worlds import step_table, toy_plan, toy_world

NAN = float("nan")


def simulated(**changes: Any) -> tuple[pd.DataFrame, History]:
    """A small overloaded world that drains: waiting everywhere, losses answered on the device."""
    plan = toy_plan(Scheme.RAW, bits=20_000, device_s=0.012, edge_s=0.006)
    cell = {"channel": {"kind": "fixed_snr", "snr_db": 10.0}, "harq": {"max_transmissions": 1}}
    group = {"on_loss": "retry_locally"} | changes
    table = step_table(mu_db=5.0, sigma_db=4.0)
    some = {"devices": 4, "rate_hz": 40.0, "duration_s": 2.0}
    world = toy_world(plan, cell=cell, group=group, table=table, **some)
    history = world.run()
    return pd.DataFrame([request.row() for request in history.requests]), history


def test_counts_by_hand() -> None:
    start_s = np.array([0.0, 1.0, 1.0, 4.0, NAN])
    end_s = np.array([2.0, 3.0, 1.5, NAN, 9.0])
    times_s, numbers = count_steps(start_s, end_s)
    assert times_s.tolist() == [0.0, 1.0, 1.5, 2.0, 3.0, 4.0]
    assert numbers.tolist() == [1, 3, 2, 1, 0, 1]
    assert time_average(times_s, numbers, 0.0, 4.0) == (2.0 + 2.0 + 0.5) / 4.0
    assert time_average(times_s, numbers, 1.25, 1.75) == 2.5
    assert time_average(times_s, numbers, -5.0, -1.0) == 0.0
    assert time_average(times_s, numbers, 4.0, 1e6) == 1.0
    means = window_means(times_s, numbers, np.array([0.0, 1.0, 2.0, 4.0]))
    assert means.tolist() == [1.0, 2.5, 0.5]
    with pytest.raises(ScenarioError, match="before to_s"):
        time_average(times_s, numbers, 3.0, 3.0)


def test_nobody_there() -> None:
    times_s, numbers = count_steps(np.array([NAN]), np.array([NAN]))
    assert not times_s.size and time_average(times_s, numbers, 0.0, 1.0) == 0.0


def test_one_leaves_as_another_comes() -> None:
    times_s, numbers = count_steps(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    assert numbers.tolist() == [1, 1, 0] and times_s.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("seed", range(5))
def test_littles_law_is_an_identity_where_the_system_is_empty_at_both_ends(seed: int) -> None:
    rng = np.random.default_rng(seed)
    start_s = np.sort(rng.uniform(0.0, 100.0, 3000))
    stay_s = rng.exponential(2.0, 3000)
    times_s, numbers = count_steps(start_s, start_s + stay_s)
    length_s = times_s[-1] + 1.0
    rate_hz, mean_stay_s = 3000 / length_s, stay_s.mean()
    mean = time_average(times_s, numbers, 0.0, length_s)
    assert mean == pytest.approx(rate_hz * mean_stay_s, rel=1e-9)


def test_littles_law_in_a_simulated_system() -> None:
    """L = lambda W of every station, and of the whole system, of a run that drains."""
    rows, history = simulated()
    end_s = history.stations["end_s"]
    stays = intervals(rows)
    for _, part in stays.groupby(["station", "state"]):
        steps = count_steps(part["start_s"].to_numpy(), part["end_s"].to_numpy())
        mean_s = (part["end_s"] - part["start_s"]).mean()
        expected = len(part) / end_s * mean_s
        assert time_average(*steps, 0.0, end_s) == pytest.approx(expected, rel=1e-9)
    whole = count_steps(stays["start_s"].to_numpy(), stays["end_s"].to_numpy())
    down_s = (rows["closed_s"] - rows["edge_end_s"]).fillna(0.0)
    expected = (rows["latency_s"] - down_s).sum() / end_s
    assert time_average(*whole, 0.0, end_s) == pytest.approx(expected, rel=1e-9)


def test_busy_times_are_those_of_the_stations() -> None:
    """Over the whole run, local answers after a loss included; a batch counts once."""
    rows, history = simulated()
    assert (rows["computed_locally"] & rows["edge_end_s"].isna()).sum() > 10
    assert (rows["batch_size"] > 1).sum() > 10
    edges_s = np.array([0.0, history.stations["end_s"]])
    stays = intervals(rows)
    for station in history.stations["devices"]:
        mine = stays[stays["device"] == station["device"]]
        share = utilisation(mine, "device", 1, edges_s)[0]
        assert share * edges_s[1] == pytest.approx(station["busy_s"], rel=1e-9)
    edge = history.stations["edge"]
    share = utilisation(stays, "edge", edge["workers"], edges_s)[0]
    assert share * edges_s[1] * edge["workers"] == pytest.approx(edge["busy_s"], rel=1e-9)


def test_one_processor_serves_one_at_a_time() -> None:
    stays = intervals(simulated()[0])
    served = stays[(stays["station"] == "device") & (stays["state"] == "in service")]
    for _, mine in served.groupby("device"):
        edges = mine.sort_values("start_s")
        gaps_s = edges["start_s"].to_numpy()[1:] - edges["end_s"].to_numpy()[:-1]
        assert gaps_s.min() > -1e-9


def test_the_air_is_busy_while_anybody_is_on_it() -> None:
    on_air = {"station": "radio", "state": "in service", "worker": -1, "device": 0}
    stays = pd.DataFrame([on_air | {"start_s": 0.0, "end_s": 2.0}, on_air | {"start_s": 1.0}])
    stays.loc[1, "end_s"] = 3.0
    shares = utilisation(stays, "radio", 1, np.array([0.0, 2.0, 4.0]))
    assert shares.tolist() == [1.0, 0.5]


def test_unfinished_and_refused_requests() -> None:
    rows = synthetic.requests(per_point=1).iloc[[1]]
    blank = {name: NAN for name in rows if str(name).endswith("_s")}
    base = rows.assign(**blank | {"arrival_s": 1.0}, status="open")

    def ends(made: pd.DataFrame, station: str, state: str) -> list[float]:
        stays = intervals(made)
        mine = stays[(stays["station"] == station) & (stays["state"] == state)]
        return list(mine["end_s"])

    assert np.isnan(ends(base, "device", "waiting")).tolist() == [True]
    assert ends(base.assign(status="no_power", closed_s=1.0), "device", "waiting") == [1.0]
    at_edge = base.assign(device_start_s=1.0, device_end_s=1.0, edge_arrival_s=2.0)
    assert np.isnan(ends(at_edge, "edge", "waiting")).tolist() == [True]
    assert ends(at_edge.assign(closed_s=2.5, status="rejected"), "edge", "waiting") == [2.5]
    assert ends(at_edge, "edge", "in service") == [] == ends(at_edge, "cloud", "waiting")
    far = at_edge.assign(tier="cloud", edge_start_s=3.0, edge_end_s=4.0, closed_s=5.0)
    assert ends(far, "cloud", "in service") == [4.0] and ends(far, "edge", "waiting") == []


def test_exact_steps_and_means() -> None:
    start_s = np.arange(0.0, 100.0, 0.1)
    stays = pd.DataFrame({"start_s": start_s, "end_s": start_s + 0.05, "state": "waiting"})
    few, many = queue_lengths(stays, 0.0, 2.0), queue_lengths(stays, 0.0, 100.0, averaged=True)
    assert set(few["waiting"]) == {0, 1} and len(few) == 40 and not few["in service"].any()
    assert len(many) == 200 and many["time_s"].iloc[1] == 0.5
    np.testing.assert_allclose(many["waiting"], 0.5)


def test_capacities_of_scaled_edges_and_clouds() -> None:
    scaling = {"kind": "queue", "min_workers": 1, "max_workers": 6}
    cloud = {"hardware": "edge_gpu", "workers": 3, "rate_bps": 1e8, "delay_s": 0.01}
    made = synthetic.scenario(edge={"workers": 2, "scaling": scaling, "cloud": cloud})
    assert capacities(made, 8) == {"device": 8, "radio": 1, "edge": 6, "cloud": 3}
    assert capacities(synthetic.scenario(edge={"workers": 2}), 1)["edge"] == 2


def test_panel_stacks_who_waits_on_who_is_served() -> None:
    lengths = pd.DataFrame({"time_s": [0.0, 1.0], "waiting": [2, 0], "in service": [1, 1]})
    with paper_figure() as (_, ax):
        module.queue_panel(lengths, ax, 2.0)
        served, waiting = (area.get_paths()[0].vertices for area in ax.collections)
        assert served[:, 1].max() == 1.0 and waiting[:, 1].max() == 3.0
        assert waiting[:, 1].min() == 1.0 and waiting[:, 0].max() == 2.0


def test_draw_a_stored_run(tmp_path: Path) -> None:
    folder = synthetic.store(tmp_path / "run").folder
    drawing = module.draw(folder, PlotOptions())
    assert set(drawing.data["quantity"]) == {"waiting", "in service", "busy"}
    assert set(drawing.data["station"]) == {"device", "radio", "edge"}
    assert drawing.data.notna().all(axis=None) and len(drawing.figure.axes) == 4
    names = [text.get_text() for text in drawing.figure.legends[0].get_texts()]
    assert len(names) == len(set(names)) and "somebody on the air" in names
    title = drawing.figure.axes[0].get_title("left")
    assert title.startswith("8 devices, means over")
    sizes = drawing.data.groupby(["station", "quantity"]).size()
    assert set(sizes.drop("busy", level="quantity")) == {200}
    one = module.draw(folder, PlotOptions(device=2, start_s=3.0, end_s=9.0))
    assert one.figure.axes[0].get_title("left") == "device 2"  # few steps: exact
    assert one.data["time_s"].between(3.0, 9.0).all()
    busiest = one.data[(one.data["quantity"] != "busy") & (one.data["station"] == "device")]
    assert busiest["value"].max() <= 2
    group = module.draw(folder, PlotOptions(where=("group == g_local",)))
    assert "2 devices" in group.figure.axes[0].get_title("left")
    assert not group.data.loc[group.data["station"] == "radio", "value"].any()


def test_silent_devices_are_devices_too(tmp_path: Path) -> None:
    stored = synthetic.store(tmp_path / "run")
    path = stored.folder / "requests.parquet"
    rows = stored.requests[stored.requests["group"] != "g_jscc"]
    rows.to_parquet(path)
    busy_s = (rows["device_end_s"] - rows["device_start_s"]).sum()

    def drawn(*texts: str) -> tuple[str, float]:
        window: dict[str, float] = {"start_s": 0.0, "end_s": 110.0}
        made = module.draw(stored.folder, PlotOptions(where=texts, **window))
        data = made.data[(made.data["station"] == "device") & (made.data["quantity"] == "busy")]
        return made.figure.axes[0].get_title("left").split(",")[0], float(data["value"].mean())

    assert drawn() == ("8 devices", pytest.approx(busy_s / (8 * 110.0)))
    assert drawn("status == done")[0] == "8 devices"
    assert drawn("group == g_jpeg, g_local")[0] == "4 devices"
    assert drawn("operating_point == jpeg")[0] == "2 devices"


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    folder = synthetic.store(tmp_path / "run").folder
    with pytest.raises(ScenarioError, match=r"found: 77.*Choices: 0, 1"):
        module.draw(folder, PlotOptions(device=77))
    with pytest.raises(ScenarioError, match="before end_s"):
        module.draw(folder, PlotOptions(start_s=4.0, end_s=3.0))


def test_of_several_replications_the_first() -> None:
    rows, first = module._first_replication(synthetic.requests(replications=3))
    assert first == 0 and set(rows["replication"]) == {0}
    assert module._title(3, 0, None, {"device": 8}) == "replication 0, the first of 3, 8 devices"


def test_where_the_first_is_empty_the_title_says_so(tmp_path: Path) -> None:
    rows = synthetic.requests(replications=3)
    path = synthetic.store(tmp_path / "run", replications=3).folder
    summary = json.loads((path / "summary.json").read_text()) | {"replications": 3}
    (path / "summary.json").write_text(json.dumps(summary))
    rows[rows["replication"] > 0].to_parquet(path / "requests.parquet")
    title = module.draw(path, PlotOptions()).figure.axes[0].get_title("left")
    assert title.startswith("replication 1, the first of 3 with such requests, 8 devices")
