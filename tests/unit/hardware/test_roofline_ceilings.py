"""Depth and 3 x 3 of convolutions, the share of the roofline that is reached, evidence, refits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.hardware import evidence
from simsplit.hardware.fit_roofline import FIGURES, _Law, evidence_of, fit, fit_file, with_figures
from simsplit.hardware.parts import Efficiency, Evidence
from simsplit.hardware.published import Latency, operators_of, read_latencies, read_sources
from simsplit.hardware.roofline import load_hardware
from simsplit.operators import Operator
from simsplit.scenario.bundled import hardware_choices
from simsplit.study.check import check

PLAIN = Efficiency(conv=0.5, depthwise=0.1, linear=0.4, attention=0.2, memory=0.5)
# 64 channels to 64 on 10 x 10: 1 x 1, 3 x 3, and 3 x 3 in groups of four channels
ONE = Operator("a", "conv", 409_600, 6400, 6400, 4096, "convolution", 1)
THREE = Operator("b", "conv", 9 * 409_600, 6400, 6400, 9 * 4096, "convolution", 9)
GROUPED = Operator("c", "conv", 9 * 25_600, 6400, 6400, 9 * 256, "convolution", 9)


def test_three_by_three_has_its_own_share() -> None:
    fast = replace(PLAIN, conv3x3=2.0)
    assert (fast.of(ONE), fast.of(THREE), PLAIN.of(THREE)) == (0.5, 2.0, 0.5)
    assert (PLAIN.ceiling, fast.ceiling) == (0.5, 2.0)


def test_shallow_convolutions_fill_fewer_lanes() -> None:
    deep = replace(PLAIN, half_depth=64.0)
    assert deep.of(ONE) == deep.of(THREE) == pytest.approx(0.25)
    assert deep.of(GROUPED) == pytest.approx(0.5 * 4 / 68)
    unknown = replace(THREE, window=0.0)  # an older card
    assert deep.of(unknown) == 0.5


def test_all_of_the_roofline_is_one() -> None:
    """No overheads, and one kind of product at its best: nothing is left to reach."""
    hardware = replace(
        load_hardware("edge_gpu_t4"), efficiency=PLAIN, launch_overhead_s=0, operator_overhead_s=0
    )
    assert hardware.reached_share((ONE, THREE), 4) == pytest.approx(1.0)
    assert hardware.reached_share(()) == 0.0


@pytest.mark.parametrize("name", hardware_choices())
def test_the_share_reached_lies_between_nothing_and_all(name: str) -> None:
    hardware, work = load_hardware(name), operators_of("mobilenet_v2", 224)
    shares = [hardware.reached_share(work, batch) for batch in (1, 8, 64)]
    assert all(0.0 < share <= 1.0 for share in shares)
    assert shares[0] < 1.05 * shares[-1]  # overheads weigh less in larger batches


def test_a_lone_picture_does_not_take_a_server_to_its_maximum() -> None:
    work = operators_of("resnet18", 224)
    alone, full = (load_hardware("edge_gpu").reached_share(work, batch) for batch in (1, 64))
    assert alone < 0.75 < full


def test_the_law_that_is_fitted_is_the_roofline() -> None:
    rows = [*read_latencies("jetson_nano")[:3], *read_latencies("coral_edge_tpu")[:3]]
    for name in ("raspberry_pi_5", "jetson_nano", "coral_edge_tpu"):
        hardware = load_hardware(name)
        law = _Law(hardware, rows)
        logarithms = law.fitted(np.ones(len(rows), dtype=bool))
        machine = with_figures(hardware, law.named(logarithms))
        expected = [machine.seconds(operators_of(r.network, r.size_px), r.batch) for r in rows]
        assert law.seconds(logarithms) == pytest.approx(expected)


def test_a_fit_needs_three_networks() -> None:
    with pytest.raises(ScenarioError, match="latencies of 3 networks"):
        fit("edge_gpu")
    with pytest.raises(ScenarioError, match=r"only a bundled hardware file.*raspberry_pi_5"):
        fit_file("raspberry_pi_55")


def test_writing_a_fit_twice_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "raspberry_pi_4.yaml"
    from simsplit.scenario.bundled import hardware_file

    file.write_text(hardware_file("raspberry_pi_4").read_text())
    monkeypatch.setattr("simsplit.hardware.fit_roofline.hardware_file", lambda name: file)
    fit_file("raspberry_pi_4")
    once = file.read_text()
    fit_file("raspberry_pi_4")
    assert file.read_text() == once
    assert all(once.count(f"  {figure}: ") == 1 for figure in FIGURES[:7])


def test_evidence_in_a_sentence() -> None:
    assert Evidence(1).warning == "its latencies rest on one published network"
    assert Evidence(0).warning is not None and Evidence(3).warning is None
    one = evidence_of([0.5, 1.0, 1.5], 3, 3)
    assert one.text() == "3 networks; held out (3): median error 50 %, ratios 0.50 to 1.50"
    thin = evidence.thin_evidence(["edge_gpu", "edge_gpu", "raspberry_pi_5"])
    assert len(thin) == 1 and thin[0].startswith("hardware edge_gpu: its latencies rest on data")


def test_every_file_says_what_it_rests_on_and_check_repeats_it() -> None:
    assert all(load_hardware(name).evidence is not None for name in hardware_choices())
    assert "not said" not in {row[2] for row in evidence.list_rows()}
    notes = check("digits_smoke", overrides=["edge.hardware=edge_cpu"]).notes
    assert any(note.startswith("hardware edge_cpu: its latencies rest on data") for note in notes)


def test_every_latency_has_a_source_and_a_file() -> None:
    sources, names = read_sources(), set(hardware_choices())
    for row in read_latencies():
        assert isinstance(row, Latency) and row.source in sources
        assert row.hardware.partition("@")[0] in names
        assert row.seconds > 0 and row.size_px >= 32 and row.batch >= 1
