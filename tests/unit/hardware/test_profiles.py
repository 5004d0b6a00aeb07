"""Profile files: round trip, merging, interpolation, intervals of medians, clear errors."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from simsplit.errors import ArtefactError, OutOfTable
from simsplit.hardware.profile import (
    Host,
    NetworkProfile,
    Profile,
    Timing,
    main_kind,
    median_timing,
    profile_rows,
    rounded,
)
from simsplit.hardware.profile_file import read_profile, write_profile
from simsplit.operators import Operator, network_key

OPERATORS = (
    Operator("conv1", "conv", 1e6, 3e3, 4e3, 500.0, "convolution", 9.0),
    Operator("relu", "activation", 0.0, 4e3, 4e3, 0.0, "relu"),
    Operator("head", "norm", 0.0, 4e3, 4e3, 64.0, "native_layer_norm"),
    Operator("head", "linear", 2e6, 4e3, 10.0, 4e4, "addmm"),
)
MACHINE = Host("a processor", 1, "2.0")


def timing(median_s: float) -> Timing:
    return Timing(median_s, 0.5 * median_s, 2 * median_s)


def network(height: int = 32) -> NetworkProfile:
    """Nodes take 1, 2 and 5 ms at batch 1, 3, 2 and 10 at batch 4; the wholes 16 and 30 ms."""
    return NetworkProfile(
        height=height,
        width=32,
        date="2030-01-02",
        operators=OPERATORS,
        totals={1: timing(0.016), 4: timing(0.030)},
        nodes={
            1: (timing(0.001), timing(0.002), timing(0.005)),
            4: (timing(0.003), timing(0.002), timing(0.010)),
        },
        empty_call_s=1e-6,
        p90_over_median={1: 1.1, 4: 1.2},
        rounds={1: 9, 4: 9},
        instrumented_s={1: 0.017, 4: 0.029},
    )


def profile(**networks: NetworkProfile) -> Profile:
    return Profile(MACHINE, networks or {network_key("net", 32, 32): network()})


def test_a_file_gives_back_what_was_written(tmp_path):
    write_profile(tmp_path / "p.json", profile())
    read = read_profile(tmp_path / "p.json")
    assert read == profile()
    assert read.networks["net@32x32"].operators[0].form == "convolution"
    assert read.networks["net@32x32"].operators[0].window == 9.0


def test_numbers_are_kept_to_four_digits(tmp_path):
    one = replace(network(), totals={1: timing(0.0123456789), 4: timing(1.0)})
    write_profile(tmp_path / "p.json", profile(net=one))
    assert read_profile(tmp_path / "p.json").networks["net"].totals[1].median_s == 0.01235
    assert rounded(123456.0) == 123500.0


def test_another_network_is_added_to_the_file_and_the_same_one_replaced(tmp_path):
    path = tmp_path / "p.json"
    write_profile(path, profile())
    write_profile(path, profile(other=network(64)))
    newer = replace(network(), date="2030-02-03")
    write_profile(path, profile(other=newer))
    found = read_profile(path).networks
    assert set(found) == {"net@32x32", "other"}
    assert found["other"].date == "2030-02-03"


@pytest.mark.parametrize(
    "change", [{"threads": 2}, {"cpu": "another"}, {"torch": "3.0"}, {"clock": "cpu"}]
)
def test_profiles_of_different_machines_do_not_mix(tmp_path, change):
    path = tmp_path / "p.json"
    write_profile(path, profile())
    before = path.read_text()
    with pytest.raises(ArtefactError, match=r"p\.json: profiles of different machines"):
        write_profile(path, replace(profile(), machine=replace(MACHINE, **change)))
    assert path.read_text() == before


def test_no_host_name_in_the_file(tmp_path):
    write_profile(tmp_path / "p.json", profile())
    content = json.loads((tmp_path / "p.json").read_text())
    assert set(content["machine"]) == {"cpu", "threads", "torch", "dtype", "clock"}


def damaged(tmp_path, mend):
    path = tmp_path / "p.json"
    write_profile(path, profile())
    content = json.loads(path.read_text())
    mend(content, content["networks"]["net@32x32"])
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("mend", "says"),
    [
        (lambda all_, one: all_.update(format="other"), "format is 'other'"),
        (lambda all_, one: all_.pop("machine"), "has no 'machine'"),
        (lambda all_, one: one.pop("total"), "has no 'total'"),
        (lambda all_, one: one["seconds"].pop("4"), "batch sizes of 'total' and 'seconds' differ"),
        (lambda all_, one: one["seconds"]["4"].pop(), "2 timings at batch 4 for 3 nodes"),
        (lambda all_, one: one["total"].update({"1": [1, 2, 3]}), "no median inside"),
        (lambda all_, one: one["total"].update({"1": [1, -2, 3]}), "no median inside"),
        (lambda all_, one: one["total"].update({"1": ["a", 1, 2]}), "damaged"),
        (lambda all_, one: one["operators"].append([1]), "damaged"),
        (lambda all_, one: all_.update(networks=3), "damaged"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path, mend, says):
    with pytest.raises(ArtefactError, match=says) as caught:
        read_profile(damaged(tmp_path, mend))
    assert "p.json" in str(caught.value)


def test_a_missing_file_and_one_that_is_no_json(tmp_path):
    with pytest.raises(ArtefactError, match="no such profile"):
        read_profile(tmp_path / "p.json")
    (tmp_path / "p.json").write_text("{")
    with pytest.raises(ArtefactError, match="not a profile"):
        read_profile(tmp_path / "p.json")


def test_seconds_are_shares_of_the_measured_whole():
    # by hand: nodes sum to 8 ms, the whole is 16 ms, so every node counts twice
    assert profile().seconds("net", ["conv1", "relu"], 1) == pytest.approx(0.006)
    assert profile().seconds("net", ["conv1", "relu", "head"], 1) == pytest.approx(0.016)
    assert profile().seconds("net", [], 1) == 0.0


def test_seconds_are_linear_between_measured_batches():
    # conv1: 2 ms at batch 1, 3 / 15 of 30 ms = 6 ms at batch 4
    assert profile().seconds("net", ["conv1"], 4) == pytest.approx(0.006)
    assert profile().seconds("net", ["conv1"], 2) == pytest.approx(0.002 + 0.004 / 3)


@pytest.mark.parametrize("batch", [0, 5, 100])
def test_nothing_is_extrapolated(batch):
    with pytest.raises(OutOfTable, match="batch sizes"):
        profile().seconds("net", ["conv1"], batch)


def test_an_unknown_network_has_no_seconds_and_an_unknown_node_is_an_error():
    assert profile().seconds("another", ["conv1"], 1) is None
    with pytest.raises(ArtefactError, match=r"no such operator.*conv1"):
        profile().seconds("net", ["conv2"], 1)


def test_a_bare_name_needs_a_single_size():
    two = profile(**{"net@32x32": network(), "net@64x32": network(64)})
    assert two.seconds("net@64x32", ["conv1"], 1) == pytest.approx(0.002)
    with pytest.raises(ArtefactError, match="several sizes"):
        two.seconds("net", ["conv1"], 1)


@pytest.mark.parametrize(("count", "rank"), [(6, 1), (8, 1), (9, 2), (15, 4), (25, 8), (100, 40)])
def test_interval_of_a_median_has_the_ranks_of_the_tables(count, rank):
    # ranks of the sign test's 95 % interval, e.g. Conover, Practical Nonparametric Statistics, A3
    samples = [float(i) for i in range(count, 0, -1)]
    found = median_timing(samples)
    assert (found.low_s, found.high_s) == (rank, count + 1 - rank)
    assert found.median_s == (count + 1) / 2


def test_five_samples_have_no_interval():
    with pytest.raises(ValueError, match="at least 6"):
        median_timing([1.0] * 5)


def test_rows_by_kind_add_up_to_the_whole():
    rows = profile_rows(network(), 1)
    assert [row.kind for row in rows] == ["linear", "activation", "conv", "total"]
    assert [row.seconds for row in rows] == pytest.approx([0.010, 0.004, 0.002, 0.016])
    assert sum(row.share for row in rows[:-1]) == pytest.approx(1.0)
    assert sum(row.macs for row in rows[:-1]) == rows[-1].macs == 3e6
    assert all(row.low_s < row.seconds < row.high_s for row in rows)
    with pytest.raises(OutOfTable):
        profile_rows(network(), 3)


def test_the_overhead_of_measuring_is_stated():
    assert network().overhead_s(1) == pytest.approx(0.001)
    assert network().overhead_s(4) == pytest.approx(-0.001)


def test_a_node_counts_for_the_kind_of_its_largest_operator():
    assert main_kind(OPERATORS[2:]) == "linear"
    assert main_kind(OPERATORS[1:2]) == "activation"
