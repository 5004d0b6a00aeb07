"""Benchmarks: `python -m pytest tests/bench -m slow --benchmark-only`. No assertion on time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from simsplit.messages import Scheme
from simsplit.phy.mcs import mcs
from simsplit.study.inputs import open_bler_table
from simsplit.study.worlds import toy_plan, toy_world

pytestmark = pytest.mark.slow
ENDLESS_BITS = 10**10
SLOTS = 1000
ALL_AT_ONCE = {"arrivals": {"kind": "periodic", "period_s": 1e5, "in_phase": True}}


def backlogged(devices: int, cell: dict) -> object:
    """A world in which every device always has something to send, past its first slots."""
    plan = toy_plan(Scheme.RAW, bits=ENDLESS_BITS)
    table = open_bler_table()
    world = toy_world(plan, devices=devices, group=ALL_AT_ONCE, cell=cell, table=table)
    world.env.run(until=0.1)
    return world


@pytest.mark.parametrize("devices", [1, 20, 200, 1000])
@pytest.mark.parametrize("kind", ["round_robin", "proportional_fair", "max_snr"])
def test_slots_with_backlogged_devices(benchmark, devices, kind):
    """1,000 slots of 51 resource blocks, adaptive MCS, block fading, HARQ; 8 grants per slot."""
    cell = {
        "channel": {"kind": "fixed_snr", "snr_db": 15.0},
        "fading": {"kind": "rayleigh", "coherence_time_s": 0.01},
        "mcs": {"kind": "adaptive"},
        "scheduler": {"kind": kind},
        "rlc": {"max_retransmissions": 32},
    }
    run_slots(benchmark, lambda: backlogged(devices, cell))


@pytest.mark.parametrize("fading", ["jakes", "tdl"])
def test_slots_with_moving_channels(benchmark, fading):
    """The same with 20 devices and channels that are computed slot by slot."""
    cell = {
        "channel": {"kind": "fixed_snr", "snr_db": 15.0},
        "fading": {"kind": fading},
        "mcs": {"kind": "adaptive"},
        "rlc": {"max_retransmissions": 32},
    }
    run_slots(benchmark, lambda: backlogged(20, cell))


def run_slots(benchmark, make):
    """Time of SLOTS slots, the building of the world left out."""

    def setup():
        return (make(),), {}

    def simulate(world):
        world.env.run(until=world.env.now + SLOTS * world.scenario.cell.slot_s)
        return world

    world = benchmark.pedantic(simulate, setup=setup, rounds=5)
    assert world.uplink.prb_slots_used >= SLOTS * 51


def test_table_lookup(benchmark):
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
