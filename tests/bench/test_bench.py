"""Benchmarks: `python -m pytest tests/bench -m slow --benchmark-only`. No assertion on time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from simsplit.cases import toy_plan, toy_world
from simsplit.messages import Scheme
from simsplit.run import open_bler_table

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("devices", [1, 20, 200])
def test_slots_with_backlogged_devices(benchmark, devices):
    """0.1 simulated seconds (200 slots) in which every device always has something to send."""
    plan = toy_plan(Scheme.JSCC, bits=10_000_000)
    group = {"arrivals": {"kind": "periodic", "period_s": 1.0, "in_phase": True}}

    def simulate():
        world = toy_world(plan, devices=devices, duration_s=0.1, group=group)
        world.env.run(until=0.1)
        return world

    world = benchmark(simulate)
    assert world.uplink.use.prb_slots_used == 200 * 51


def test_table_lookup(benchmark):
    from simsplit.phy.link import mcs

    table, scheme = open_bler_table(), mcs(11)
    assert 0 <= benchmark(table.transport_block_error, scheme, 4096, 4.0) <= 1


@pytest.mark.parametrize("arguments", [["--help"], ["check", "urban_5g"]], ids=["help", "check"])
def test_command_line_start(benchmark, arguments):
    """Goals: 0.5 s for --help, 1.5 s for check, in a process of its own."""
    program = (
        f"import sys; sys.argv = ['simsplit', *{arguments}]; import simsplit.cli as c; c.main()"
    )
    command = [sys.executable, "-c", program]

    def start():
        return subprocess.run(command, capture_output=True, timeout=60, check=False)

    assert benchmark.pedantic(start, rounds=3, warmup_rounds=1).returncode == 0
