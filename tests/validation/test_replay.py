"""Replay: a run's exported traffic, asked again, gives the very same rows.

Arrivals and samples are the only draws that a trace takes the place of; fading, shadowing, block
errors, noise and policies have generators of their own (`simsplit.seeds`), so nothing else may
change. The clock adds gaps: of times t_k = fl(t_{k-1} + g_k) that a run produced, t_k - t_{k-1} is
rounded to a gap that leads to t_k again, because a tie of the sum was rounded to even before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simsplit
from simsplit.messages import Scheme
from simsplit.results.export import traffic, write_table
from simsplit.results.perfetto import Window
from simsplit.results.store import Result
from simsplit.scenario.scenario import Scenario
from simsplit.sim.device.arrivals import arrival_gaps_s
from simsplit.sim.world import Machines, World
from simsplit.study.inputs import read_traces
from simsplit.study.worlds import POWER, step_table, toy_plan

SAMPLES = 7


def scenario(arrivals: dict[str, dict[str, Any]]) -> Scenario:
    """Three groups over a fading channel with losses, retries, queues and batches."""
    common = {"hardware": "toy", "operating_point": "point", "distance_max_m": 900.0}
    groups = [
        {"name": "steady", "count": 5, "arrivals": arrivals["steady"], "on_loss": "retry_locally"},
        {"name": "bursts", "count": 4, "arrivals": arrivals["bursts"], "deadline_s": 0.2},
        {"name": "weak", "count": 3, "arrivals": arrivals["weak"], "battery_j": 2.0},
    ]
    return Scenario.model_validate(
        {
            "name": "replay",
            "seed": 5,
            "duration_s": 3.0,
            "replications": 2,
            "task": {"samples": SAMPLES},
            "operating_points": [{"name": "point", "scheme": "raw", "codec": {"kind": "png"}}],
            "devices": [group | common for group in groups],
            "cell": {
                "channel": {"kind": "umi_street_canyon"},
                "fading": {"kind": "rayleigh"},
                "mcs": {"kind": "fixed", "index": 11},
                "resource_blocks": 20,
            },
            "edge": {"max_batch": 4},
        }
    )


DRAWN = {
    "steady": {"kind": "periodic", "period_s": 0.1, "in_phase": True},
    "bursts": {"kind": "poisson", "rate_hz": 12.0},
    "weak": {"kind": "periodic", "period_s": 0.07},
}


def rows(made: Scenario) -> pd.DataFrame:
    plan = toy_plan(Scheme.RAW, bits=6000, device_s=0.02, edge_s=0.03)
    bits = [2000 * (1 + sample) for sample in range(SAMPLES)]
    plan = type(plan)(**{**vars(plan), "payload_bits": bits, "channel_uses": [0] * SAMPLES,
                         "answer_bits": [500] * SAMPLES})  # fmt: skip
    machines = Machines({group.name: POWER for group in made.devices}, 10.0, 70.0)
    found = []
    for replication in range(made.replications):
        world = World(made, {"point": plan}, machines, step_table(8.0), replication=replication,
                      traffic=read_traces(made, replication))  # fmt: skip
        found += [request.row() for request in world.run().requests]
    return pd.DataFrame(found)


def replayed(file: Path, names: tuple[str, ...]) -> Scenario:
    trace = {"kind": "trace", "file": str(file)}
    return scenario({name: trace if name in names else spec for name, spec in DRAWN.items()})


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("names", [("steady", "bursts", "weak"), ("bursts",)])
def test_replayed_rows_are_the_rows(tmp_path, names, ending):
    drawn = scenario(DRAWN)
    original = rows(drawn)
    assert set(original["status"]) >= {"done", "lost", "no_power"}  # nothing easy
    assert original["computed_locally"].any() and original["batch_size"].max() > 1
    file = write_table(
        traffic(Result(None, drawn, original, {}, {})), tmp_path / f"traffic.{ending}"
    )
    pd.testing.assert_frame_equal(rows(replayed(file, names)), original, check_exact=True)


def test_another_sample_or_time_is_another_run(tmp_path):
    """The comparison above would notice: one sample moved, or one arrival by a microsecond."""
    drawn = scenario(DRAWN)
    original = rows(drawn)
    told = traffic(Result(None, drawn, original, {}, {}))
    for column, value in (
        ("sample", (told["sample"] + 1) % SAMPLES),
        ("time_s", told["time_s"] + 1e-6),
    ):
        changed = told.assign(**{column: value})
        other = rows(replayed(write_table(changed, tmp_path / "traffic.csv"), tuple(DRAWN)))
        assert not other.equals(original)


@pytest.mark.slow
def test_a_stored_run_is_replayed_from_its_export(tmp_path):
    """The whole way with real networks, JSCC noise included: run, export, run, compare scores."""
    first = simsplit.run("digits_smoke", out=tmp_path / "a", duration_s=1.0, replications=2)
    file = write_table(traffic(first, Window()), tmp_path / "traffic.csv")
    replay = f"{{kind: trace, file: {file}}}"
    overrides = [f"devices.{g.name}.arrivals={replay}" for g in first.scenario.devices]
    second = simsplit.run(
        "digits_smoke", out=tmp_path / "b", duration_s=1.0, replications=2, overrides=overrides
    )
    assert len(first.requests) > 50
    pd.testing.assert_frame_equal(second.requests, first.requests, check_exact=True)


@pytest.mark.parametrize("spread", [0.5, 4.0])
def test_gaps_lead_to_every_time_exactly(spread):
    """Of 20 000 times made by adding gaps of very different lengths none is missed by one bit."""
    made = scenario(DRAWN | {"weak": {"kind": "trace", "file": "x.csv"}})
    rng = np.random.default_rng(3)
    times_s = [0.0, *np.cumsum(rng.lognormal(-4, spread, 20_000)).tolist()]
    gaps_s = arrival_gaps_s(made.devices[2], times_s, rng)
    now_s, reached_s = 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        reached_s.append(now_s)
    assert reached_s == times_s
