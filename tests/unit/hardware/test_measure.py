"""Measuring: every working node once per round, settings put back, random networks traceable."""

from __future__ import annotations

import gc
import platform

import pytest
import torch
from torch import nn

from simsplit.hardware.grid import grid
from simsplit.hardware.measure import empty_call_s, profile, profile_networks, subject, this_machine
from simsplit.hardware.profile_file import read_profile, write_profile
from simsplit.operators import total_macs


def small() -> nn.Module:
    layers = (nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    return nn.Sequential(*layers).eval()


@pytest.fixture(scope="module")
def measured():
    return profile(small(), name="small", height=8, width=8, batches=(1, 3), repeats=7)


def test_every_working_node_is_timed_at_every_batch(measured):
    network = measured.network("small")
    assert set(measured.networks) == {"small@8x8"}
    assert [one.kind for one in network.operators] == ["conv", "activation", "linear"]
    assert network.batches == (1, 3)
    assert network.rounds == {1: 7, 3: 7}
    assert {batch: len(nodes) for batch, nodes in network.nodes.items()} == {1: 3, 3: 3}
    assert total_macs(network.operators) == 36 * 4 * 27 + 4 * 36 * 5


def test_times_are_positive_and_lie_in_their_intervals(measured):
    network = measured.network("small")
    timings = [*network.totals.values(), *(one for row in network.nodes.values() for one in row)]
    assert all(0 < one.low_s <= one.median_s <= one.high_s for one in timings)
    assert all(ratio >= 1 for ratio in network.p90_over_median.values())
    assert empty_call_s() > 0


def test_a_measured_profile_survives_its_file(measured, tmp_path):
    write_profile(tmp_path / "p.json", measured)
    read = read_profile(tmp_path / "p.json").network("small")
    names = [one.name for one in read.operators]
    assert read.seconds(names, 1) == pytest.approx(read.totals[1].median_s)


def test_threads_and_garbage_collection_are_put_back():
    before = torch.get_num_threads()
    profile(small(), name="s", height=8, width=8, batches=(1,), threads=before + 1, repeats=6)
    assert torch.get_num_threads() == before
    assert gc.isenabled()
    assert not torch.is_inference_mode_enabled()


def test_they_are_put_back_after_an_error_too():
    before = torch.get_num_threads()
    one = subject("s", small(), 8, 8, (0,))  # a batch of nothing
    one.graph.module.register_forward_pre_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        profile_networks([one], threads=before + 1, repeats=6)
    assert torch.get_num_threads() == before
    assert gc.isenabled()


def test_a_spent_budget_still_leaves_six_rounds():
    found = profile(small(), name="s", height=8, width=8, batches=(1,), repeats=50, max_seconds=0.0)
    assert found.network("s").rounds == {1: 6}


def test_fewer_than_six_rounds_are_refused():
    with pytest.raises(ValueError, match="at least 6"):
        profile(small(), name="s", height=8, width=8, repeats=5)


def test_the_cpu_clock_is_for_one_thread_and_says_so():
    found = profile(small(), name="s", height=8, width=8, batches=(1,), repeats=6, clock="cpu")
    assert found.machine.clock == "cpu"
    assert found.network("s").totals[1].low_s > 0
    with pytest.raises(ValueError, match="one thread"):
        profile(small(), name="s", height=8, width=8, threads=2, clock="cpu")


def test_networks_of_one_call_share_a_profile():
    subjects = [subject("a", small(), 8, 8, (1,)), subject("b", small(), 8, 8, (2,))]
    found = profile_networks(subjects, repeats=6)
    assert found.network("a").batches == (1,)
    assert found.network("b").batches == (2,)


def test_the_machine_is_described_without_its_name():
    machine = this_machine(2)
    assert (machine.threads, machine.dtype) == (2, "float32")
    assert machine.cpu
    assert platform.node() not in repr(machine)


def test_the_grid_is_the_same_for_the_same_seed_only():
    texts = [[str(one.network) for one in grid(3, seed)] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.slow
def test_the_grid_covers_every_kind_that_takes_time():
    kinds = {
        operator.kind
        for one in grid(16, 2027)
        for operator in subject(one.name, one.network, one.side, one.side).graph.operators
    }
    wanted = {"conv", "depthwise", "linear", "attention", "norm", "activation", "pool"}
    assert wanted | {"elementwise"} <= kinds
