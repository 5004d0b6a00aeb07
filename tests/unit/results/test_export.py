"""Export: a trace that Perfetto can open and whose energy adds up, traffic, tables, mistakes."""

# ruff: noqa: E501  (one mistake per line)

from __future__ import annotations

import gzip
import importlib
import itertools
import json
import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import synthetic
from simsplit.cli.terminal import app
from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.results.export import run_table, traffic, write_table, write_trace
from simsplit.results.perfetto import Window, trace_events
from simsplit.results.stages import stages_of
from simsplit.results.store import Result
from simsplit.scenario.scenario import Scenario
from simsplit.sim.device.receiver import ReceiverPower
from simsplit.sim.request import Request
from simsplit.sim.world import Machines, World
from simsplit.study.worlds import POWER, step_table, toy_plan

# --- a run in which everything happens ----------------------------------------------------------


def busy_scenario() -> Scenario:
    """Losses, retries on the device, rejections, a cloud, an empty battery, requests left open."""
    common = {"hardware": "toy", "operating_point": "far", "distance_max_m": 150.0}
    poisson = {"arrivals": {"kind": "poisson", "rate_hz": 12.0}}
    cloud = {"hardware": "toy", "rate_bps": 1e8, "delay_s": 0.01,
             "offload": {"kind": "when_full", "waiting": 2}, "queue_capacity": 1}  # fmt: skip
    return Scenario.model_validate(
        {
            "name": "busy",
            "seed": 5,
            "duration_s": 3.0,
            "drain_s": 0.02,
            "replications": 2,
            "operating_points": [
                {"name": "far", "scheme": "raw", "codec": {"kind": "png"}},
                {"name": "near", "scheme": "local"},
            ],
            "devices": [
                {"name": "steady", "count": 4, "on_loss": "retry_locally"} | poisson | common,
                {"name": "bursts", "count": 3, "deadline_s": 0.2} | poisson | common,
                {"name": "weak", "count": 2, "battery_j": 2.0} | poisson | common,
                {"name": "own", "count": 1} | poisson | common | {"operating_point": "near"},
            ],
            "cell": {
                "channel": {"kind": "umi_street_canyon"},
                "fading": {"kind": "rayleigh"},
                "mcs": {"kind": "fixed", "index": 11},
                "resource_blocks": 20,
            },
            "edge": {"max_batch": 2, "queue_capacity": 4, "cloud": cloud},
        }
    )


@pytest.fixture(scope="module")
def busy() -> Result:
    made = busy_scenario()
    far = toy_plan(Scheme.RAW, bits=6000, device_s=0.04, edge_s=0.08)
    costs = {"payload_bits": [6000] * 512, "channel_uses": [0] * 512, "answer_bits": [5000] * 512}
    far = type(far)(**{**vars(far), **costs, "cloud_s": [0.15] * 64})
    plans = {"far": far, "near": toy_plan(Scheme.LOCAL, device_s=0.05)}
    power = replace(POWER, receiver=ReceiverPower(0.6, 0.2, 0.01))
    machines = Machines({g.name: power for g in made.devices}, 10.0, 70.0, 20.0, 200.0)
    histories = [
        World(made, plans, machines, step_table(8.0), replication=replication).run()
        for replication in range(2)
    ]
    rows = pd.DataFrame([r.row() for history in histories for r in history.requests])
    rows["score_accuracy"] = (rows["request_id"] % 3 > 0).astype(float)
    summary = {"stations": [history.stations for history in histories]}
    return Result(None, made, rows, summary, {"digest": "abc"})


@pytest.fixture(scope="module")
def events(busy: Result) -> list[dict[str, Any]]:
    return trace_events(busy, Window((0,)))


@pytest.fixture(scope="module")
def rows(busy: Result) -> pd.DataFrame:
    return busy.requests[busy.requests["replication"] == 0]


def of(events: list[dict[str, Any]], phase: str, cat: str = "") -> list[dict[str, Any]]:
    return [e for e in events if e["ph"] == phase and (not cat or e["cat"] == cat)]


def stage_events(events: list[dict[str, Any]]) -> dict[int, list[dict[str, Any]]]:
    """Stages by request: those within the request's slice on its track."""
    tracks = defaultdict(list)
    for event in of(events, "X", "stage"):
        tracks[event["pid"], event["tid"]].append(event)
    return {
        whole["args"]["request_id"]: [
            event
            for event in tracks[whole["pid"], whole["tid"]]
            if whole["ts"] <= event["ts"] + event["dur"] / 2 <= whole["ts"] + whole["dur"]
        ]
        for whole in of(events, "X", "request")
    }


def ns(us: float) -> int:
    return round(us * 1e3)


def test_everything_happened(rows):
    assert set(rows["status"]) == {"done", "lost", "rejected", "no_power", "open"}
    retried = rows["computed_locally"] & (rows["scheme"] == "raw") & rows["edge_arrival_s"].isna()
    assert retried.any() and set(rows["tier"]) == {"", "edge", "cloud"}
    assert rows["batch_size"].max() > 1
    parts = ["compute_energy_j", "tx_energy_j", "rx_energy_j", "edge_energy_j"]
    assert (rows[parts].sum() > 0).all()


# --- the format -----------------------------------------------------------------------------------

REQUIRED = {
    "X": {"name", "cat", "ts", "dur", "pid", "tid"},
    "C": {"name", "ts", "pid", "args"},
    "s": {"name", "cat", "id", "ts", "pid", "tid"},
    "t": {"name", "cat", "id", "ts", "pid", "tid"},
    "f": {"name", "cat", "id", "ts", "pid", "tid", "bp"},
    "i": {"name", "cat", "ts", "pid", "tid", "s", "args"},
    "M": {"name", "pid", "tid", "args"},
}


def test_every_event_has_what_its_phase_requires(events):
    assert {event["ph"] for event in events} == set(REQUIRED)
    for event in events:
        assert REQUIRED[event["ph"]] <= set(event), event
        assert all(isinstance(event[key], int) for key in ("pid", "tid", "id") if key in event)
        assert all(event[key] >= 0 for key in ("ts", "dur") if key in event)
        assert event["ph"] != "C" or all(math.isfinite(v) for v in event["args"].values())


def test_slices_of_one_track_nest(events):
    tracks = defaultdict(list)
    for event in of(events, "X"):
        tracks[event["pid"], event["tid"]].append(event)
    for track in tracks.values():
        ends: list[int] = []
        for event in track:
            start, end = ns(event["ts"]), ns(event["ts"]) + ns(event["dur"])
            while ends and ends[-1] <= start:
                ends.pop()
            assert not ends or end <= ends[-1], event
            ends.append(end)


def test_overlapping_requests_take_tracks_of_their_own(events):
    assert max(event["tid"] for event in of(events, "X", "request")) > 1


def test_time_never_goes_back(events):
    times = [event["ts"] for event in events if event["ph"] != "M"]
    assert times == sorted(times)


def test_every_process_and_thread_has_one_name(events):
    names = [(e["pid"], e["tid"], e["name"]) for e in of(events, "M")]
    assert len(names) == len(set(names))
    processes = {pid for pid, _, name in names if name == "process_name"}
    assert {event["pid"] for event in events} == processes
    threads = {(pid, tid) for pid, tid, name in names if name == "thread_name"}
    assert {(e["pid"], e["tid"]) for e in events if e["ph"] not in "MC"} <= threads
    shown = {e["args"]["name"] for e in of(events, "M") if e["name"] == "process_name"}
    assert {"replication 0: cell", "replication 0: edge", "replication 0: cloud"} <= shown
    assert {"replication 0: bursts: device 4", "replication 0: own: device 9"} <= shown


# --- where time and energy went --------------------------------------------------------------------


def test_stages_fill_arrival_to_closed(busy, events, rows):
    end_s = busy.summary["stations"][0]["end_s"]
    stages = stage_events(events)
    assert set(stages) == set(rows.loc[rows["status"] != "no_power", "request_id"])
    for row in rows[rows["status"] != "no_power"].itertuples():
        mine = stages[row.request_id]
        closed_s = end_s if math.isnan(row.closed_s) else row.closed_s
        assert ns(mine[0]["ts"]) == round(row.arrival_s * 1e9)
        for one, after in itertools.pairwise(mine):
            assert ns(one["ts"]) + ns(one["dur"]) == ns(after["ts"])
        assert ns(mine[-1]["ts"]) + ns(mine[-1]["dur"]) == round(closed_s * 1e9)


def test_energy_of_the_stages_is_the_rows(events, rows):
    stages = stage_events(events)
    for row in rows.itertuples():
        parts = [event.get("args", {}) for event in stages.get(row.request_id, [])]
        total_j = sum(value for part in parts for value in part.values()) / 1e3
        assert total_j == pytest.approx(row.energy_j, rel=1e-9, abs=1e-12)
        sent_j = sum(part.get("transmit_mj", 0.0) for part in parts) / 1e3
        assert sent_j == pytest.approx(row.tx_energy_j, rel=1e-9, abs=1e-12)
    shown = {e["args"]["request_id"]: e["args"]["energy_mj"] for e in of(events, "X", "request")}
    for row in rows[rows["request_id"].isin(shown)].itertuples():
        assert shown[row.request_id] == pytest.approx(1e3 * row.energy_j, rel=1e-9)


def integral(events: list[dict[str, Any]], pid: int, name: str, series: str) -> float:
    """Of a counter over seconds; it holds its value until the next event and ends at 0."""
    steps = [(e["ts"] / 1e6, e["args"][series]) for e in of(events, "C")
             if (e["pid"], e["name"]) == (pid, name) and series in e["args"]]  # fmt: skip
    assert not steps or steps[-1][1] == 0
    return sum(value * (end - start) for (start, value), (end, _) in itertools.pairwise(steps))


def test_energy_without_a_stage_of_its_own_is_the_last_ones():
    request = Request(7, 0, 0, "g", "p", "local", 1, 1.0, device_start_s=1.0, device_end_s=1.5)
    request.compute_energy_j, request.rx_energy_j, request.closed_s = 0.1, 0.2, 1.5
    (only,) = stages_of(request, 9.0, 5.0)
    assert (only.name, only.parts_j) == ("device compute", {"compute": 0.1, "receive": 0.2})


def test_integral_of_the_power_counters_is_the_ledger_of_the_rows(events, rows):
    series = {"compute": "compute_energy_j", "transmit": "tx_energy_j", "receive": "rx_energy_j"}
    for device, part in rows.groupby("device"):
        for name, column in series.items():
            drawn_j = integral(events, 4 + device, "power_w", name)
            assert drawn_j == pytest.approx(part[column].sum(), rel=1e-6, abs=1e-9)
    for pid, tier in ((2, "edge"), (3, "cloud")):
        spent_j = rows.loc[rows["tier"] == tier, "edge_energy_j"].sum()
        assert spent_j > 0
        assert integral(events, pid, "power_w", "server") == pytest.approx(spent_j, rel=1e-6)


def test_a_retry_draws_the_devices_power_while_it_computes(events, rows):
    """POWER says 3 W: the head takes 40 ms = 120 mJ, what is more belongs to the retry."""
    stages = stage_events(events)
    lost = rows["edge_arrival_s"].isna() & rows["radio_end_s"].notna()
    retried = rows[lost & rows["computed_locally"] & (rows["status"] == "done")]
    assert len(retried)
    for request_id in retried["request_id"]:
        parts = {event["name"]: event.get("args", {}) for event in stages[request_id]}
        assert parts["device compute"]["compute_mj"] == pytest.approx(120.0)
        assert parts["local retry"]["compute_mj"] == pytest.approx(120.0)


def test_queues_hold_what_the_rows_say(events, rows):
    """Little's law on one path: integral of a queue's length = sum of the times in it."""
    closed = rows[rows["radio_end_s"].notna()]
    in_air_s = (closed["radio_end_s"] - closed["radio_start_s"]).sum()
    open_ = rows["radio_start_s"].notna() & rows["radio_end_s"].isna()
    assert not open_.any() or integral(events, 1, "uplink", "requests") > in_air_s
    in_air_s += (3.02 - rows.loc[open_, "radio_start_s"]).sum()
    assert integral(events, 1, "uplink", "requests") == pytest.approx(in_air_s, abs=1e-6)
    for device, part in rows.groupby("device"):
        waited_s = (part["device_start_s"].fillna(3.02) - part["arrival_s"]).where(
            part["status"] != "no_power", 0.0
        )
        found_s = integral(events, 4 + device, "waiting", "requests")
        assert found_s == pytest.approx(waited_s.sum(), abs=1e-6)


def test_batches_hold_each_request_once(events, rows):
    served = rows[rows["edge_start_s"].notna()]
    batches = of(events, "X", "batch")
    members = [member for batch in batches for member in batch["args"]["members"]]
    assert sorted(members) == sorted(served["request_id"])
    assert all(len(b["args"]["members"]) == b["args"]["batch_size"] for b in batches)
    spent_mj = sum(batch["args"]["batch_mj"] for batch in batches)
    assert spent_mj == pytest.approx(1e3 * served["edge_energy_j"].sum(), rel=1e-9)


def test_an_arrow_leads_from_the_device_to_the_batch_and_back(events, rows):
    slices = of(events, "X")
    arrows = defaultdict(list)
    for event in events:
        if event["ph"] in ("s", "t", "f"):
            arrows[event["id"]].append(event)
    served = rows[rows["edge_start_s"].notna()]
    assert set(arrows) == set(served["request_id"])
    for request_id, steps in arrows.items():
        assert [step["ph"] for step in steps] == ["s", "t", "f"]
        names = [_holders(slices, step) for step in steps]
        assert "radio" in names[0] and "downlink" in names[2]
        batch = next(
            e for e in slices if e["cat"] == "batch" and request_id in e["args"]["members"]
        )
        assert (batch["ts"], batch["pid"], batch["tid"]) == tuple(
            steps[1][key] for key in ("ts", "pid", "tid")
        )


def _holders(slices: list[dict[str, Any]], step: dict[str, Any]) -> set[str]:
    place, now = (step["pid"], step["tid"]), step["ts"]
    return {e["name"] for e in slices if (e["pid"], e["tid"]) == place
            and e["ts"] <= now <= e["ts"] + e["dur"]}  # fmt: skip


def test_a_request_without_power_is_a_moment(events, rows):
    moments = of(events, "i")
    assert len(moments) == (rows["status"] == "no_power").sum()
    assert {moment["name"] for moment in moments} == {"no_power"}


def test_scores_and_radio_stand_on_the_request(events, rows):
    shown = {e["args"]["request_id"]: e["args"] for e in of(events, "X", "request")}
    row = next(r for r in rows.itertuples() if r.status == "done" and r.scheme == "raw")
    args = shown[row.request_id]
    assert args["snr_db"] == pytest.approx(row.snr_db, rel=1e-5)
    assert (args["mcs"], args["attempts"], args["payload_bits"]) == (11, row.attempts, 6000)
    assert (args["accuracy"], args["sample"]) == (row.score_accuracy, row.sample)
    assert args["operating_point"] == "far"


def test_stages_of_a_known_request():
    """By hand: 1 ms wait, 2 ms head, 3 ms radio, 4 ms queue, 5 ms batch, 6 ms down."""
    request = Request(7, 0, 0, "g", "p", "raw", 1, 1.0)
    marks = (
        "device_start_s",
        "device_end_s",
        "radio_end_s",
        "edge_start_s",
        "edge_end_s",
        "closed_s",
    )
    for position, name in enumerate(marks):
        setattr(request, name, 1.0 + 1e-3 * sum(range(1, position + 2)))
    request.radio_start_s, request.edge_arrival_s = request.device_end_s, request.radio_end_s
    request.compute_energy_j, request.tx_energy_j = 0.1, 0.2
    request.edge_energy_j, request.rx_energy_j = 0.3, 0.4
    found = stages_of(request, 9.0, 5.0)
    names = ["device wait", "device compute", "radio", "edge wait", "edge compute", "downlink"]
    assert [stage.name for stage in found] == names
    assert [stage.end_ns - stage.start_ns for stage in found] == [k * 10**6 for k in range(1, 7)]
    energy = [{}, {"compute": 0.1}, {"transmit": 0.2}, {}, {"server": 0.3}, {"receive": 0.4}]
    assert [stage.parts_j for stage in found] == energy


# --- files ------------------------------------------------------------------------------------------


def test_trace_is_json_and_small(busy, tmp_path, events, rows):
    plain = write_trace(busy, tmp_path / "t.json")
    content = json.loads(plain.read_text())
    assert content["traceEvents"] == json.loads(json.dumps(events))
    assert content["otherData"] == {"scenario": "busy", "digest": "abc"}
    packed = write_trace(busy, tmp_path / "t.json.gz")
    assert gzip.decompress(packed.read_bytes()) == plain.read_bytes()
    assert packed.read_bytes() == write_trace(busy, tmp_path / "t.json.gz").read_bytes()
    assert packed.stat().st_size < 500 * len(rows)
    assert plain.stat().st_size < 2500 * len(rows)


def test_replications_are_trees_of_their_own(busy):
    both = trace_events(busy, Window((0, 1)))
    alone = [trace_events(busy, Window((number,))) for number in (0, 1)]
    pids = [{event["pid"] for event in part} for part in alone]
    assert not pids[0] & pids[1]
    assert {event["pid"] for event in both} == pids[0] | pids[1]
    assert len(both) == len(alone[0]) + len(alone[1])


def test_window_chooses_by_arrival(busy, rows):
    inside = rows[(rows["arrival_s"] >= 1.0) & (rows["arrival_s"] < 1.5)]
    found = trace_events(busy, Window((0,), 1.0, 1.5))
    shown = [e["args"]["request_id"] for e in found if e["ph"] in "Xi" and e["cat"] == "request"]
    assert sorted(shown) == sorted(inside["request_id"])
    assert traffic(busy, Window((0,), 1.0, 1.5))["time_s"].tolist() == inside["arrival_s"].tolist()


def test_traffic_numbers_devices_within_their_group(busy):
    told = traffic(busy)
    assert list(told) == ["replication", "time_s", "group", "device", "sample", "operating_point",
                          "payload_bits", "channel_uses", "deadline_s"]  # fmt: skip
    assert len(told) == len(busy.requests)
    numbers = told.groupby("group")["device"].agg(["min", "max"])
    assert numbers["min"].eq(0).all()
    assert numbers["max"].to_dict() == {"steady": 3, "bursts": 2, "weak": 1, "own": 0}


def test_csv_keeps_every_digit(busy, tmp_path):
    file = write_table(traffic(busy), tmp_path / "t.csv")
    lines = file.read_text().splitlines()[1:]
    times_s = [float(line.split(",")[1]) for line in lines]
    assert times_s == busy.requests["arrival_s"].tolist()


def test_table_of_a_run_is_its_table(tmp_path):
    stored = synthetic.store(tmp_path / "r")
    table = run_table(stored)
    assert (
        json.loads(table.drop(columns="folder").to_json(orient="records", double_precision=15))[
            0
        ].keys()
        == json.loads((tmp_path / "r" / "table.json").read_text())[0].keys()
    )
    assert set(table["folder"]) == {"r"}
    assert list(table["operating_point"]) == list(synthetic.POINTS)


def test_parquet_refuses_mixed_types_and_leaves_nothing(tmp_path):
    frame = pd.DataFrame({"axis": [1, "a"]})
    with pytest.raises(ScenarioError, match="Parquet cannot hold this table, CSV can"):
        write_table(frame, tmp_path / "t.parquet")
    assert list(tmp_path.iterdir()) == []


# --- the command ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A synthetic result with the columns that a real one has."""
    made = tmp_path_factory.mktemp("export") / "r"
    synthetic.store(made)
    rows = pd.read_parquet(made / "requests.parquet")
    tier = rows["edge_start_s"].notna().map({True: "edge", False: ""})
    rows.assign(tier=tier, priority=0, exit_s=0.0).to_parquet(made / "requests.parquet")
    return made


def call(*words: object) -> Any:
    return CliRunner().invoke(app, ["export", *map(str, words)])


def test_command_writes_beside_the_result_without_out(folder):
    for words, name in (
        (("--format", "perfetto", "--end-s", 1), "trace.json.gz"),
        (("--format", "csv"), "traffic.csv"),
        (("--format", "parquet"), "traffic.parquet"),
        (("--format", "csv", "--what", "table"), "table.csv"),
    ):
        done = call(folder, *words)
        assert done.exit_code == 0, done.output
        assert f"Export: {folder / name}" in done.output.replace("\n", "")
        assert (folder / name).is_file()
        (folder / name).unlink()


def test_command_takes_the_table_of_a_sweep(folder, tmp_path, monkeypatch):
    tidy = pd.DataFrame({"cell.channel.snr_db": [1.5], "operating_point": ["p"]})
    monkeypatch.setattr(
        importlib.import_module("simsplit.results.sweep_table"), "load_results", lambda where: tidy
    )
    (tmp_path / "sweep.json").write_text("{}")
    done = call(tmp_path, "--format", "csv", "--what", "table", "--out", tmp_path / "x" / "t.csv")
    assert done.exit_code == 0, done.output
    assert "(1 rows)" in done.output
    assert pd.read_csv(tmp_path / "x" / "t.csv").equals(tidy)
    refused = call(tmp_path, "--format", "csv")
    assert refused.exit_code == 2
    assert "holds a sweep: export one of the result folders" in refused.output


MISTAKES = {
    "no such format": (["--format", "perfeto"], ["perfeto", "perfetto", "csv", "parquet"]),
    "no format": ([], ["--format"]),
    "no such table": (["--format", "csv", "--what", "tabel"], ["tabel", "traffic", "table"]),
    "ending of another format": (["--format", "csv", "--out", "t.json"], ["--out: a file of format csv ends in .csv", "t.json"]),
    "trace that is no JSON": (["--format", "perfetto", "--out", "t.csv"], [".json or .json.gz"]),
    "trace of a table": (["--format", "perfetto", "--what", "table"], ["--what: a trace is of requests"]),
    "window of a table": (["--format", "csv", "--what", "table", "--start-s", "1"], ["the table is of the whole run"]),
    "no such replication": (["--format", "csv", "--replication", "4"], ["--replication: no such replication (found: 4)", "Choices: 0"]),
    "window inside out": (["--format", "csv", "--start-s", "5", "--end-s", "2"], ["--end-s: must be after --start-s", "2"]),
    "window without requests": (["--format", "csv", "--start-s", "500"], ["no request arrived in [500, inf) s"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_line_and_code_2(folder, name):
    words, wanted = MISTAKES[name]
    done = call(folder, *words)
    assert done.exit_code == 2
    assert all(part in " ".join(done.output.split()) for part in wanted), done.output
    assert "Traceback" not in done.output


def test_no_such_folder(tmp_path):
    done = call(tmp_path / "nothing", "--format", "csv")
    assert done.exit_code == 2
    assert "no such result folder" in done.output
