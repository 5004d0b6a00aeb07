"""Links: the mean gain by path loss or as given, and fading upon it."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.phy.traces.read import TraceLink
from simsplit.sim.radio.links import GivenLevel, PathGain, RecordedLevel, build_link
from simsplit.study.worlds import toy_plan, toy_world

SLOT_S = 0.5e-3


class RisingLoss:
    """100 dB and 1 dB more per second."""

    is_constant = False

    def loss_db(self, time_s: float) -> float:
        return 100.0 + time_s


class TwoBands:
    """0 dB on the lower half of the band, 10 dB on the upper, less 0.01 dB per slot."""

    def gains_db(self, slots: np.ndarray) -> np.ndarray:
        return np.array([0.0, 10.0]) - 0.01 * slots[:, None]


def test_a_given_level_is_the_gain_whatever_the_slot() -> None:
    link = build_link(GivenLevel(17.0), None, SLOT_S)
    for slot in (0, 1, 63, 64, 10**6):
        assert link.gain_db(slot) == link.mean_gain_db(slot) == 17.0
        assert link.bands_db(slot).tolist() == [17.0]


def test_path_gain_is_minus_loss_minus_noise() -> None:
    link = build_link(PathGain(RisingLoss(), -120.0), None, SLOT_S)
    slots = [0, 2000, 63, 64, 4000, 65, 2000]  # back and forth between chunks
    for slot in slots:
        assert link.gain_db(slot) == pytest.approx(20.0 - slot * SLOT_S, abs=1e-12)
        assert link.mean_gain_db(slot) == pytest.approx(20.0 - slot * SLOT_S, abs=1e-12)


def test_a_recorded_level_is_the_traces() -> None:
    link = build_link(RecordedLevel(TraceLink([0.0, 1.0], [5.0, 15.0])), None, SLOT_S)
    assert link.gain_db(1000) == pytest.approx(10.0)
    assert link.gain_db(200) == pytest.approx(6.0)


def test_bands_fade_apart_and_the_gain_is_their_mean_power() -> None:
    link = build_link(GivenLevel(3.0), TwoBands(), SLOT_S)
    for slot in (0, 100, 7):
        bands = link.bands_db(slot)
        assert bands.tolist() == pytest.approx([3.0 - 0.01 * slot, 13.0 - 0.01 * slot])
        assert link.gain_db(slot) == pytest.approx(10 * np.log10(np.mean(10 ** (0.1 * bands))))
        assert link.mean_gain_db(slot) == 3.0


def test_a_world_that_lacks_its_trace_says_so() -> None:
    cell = {"channel": {"kind": "trace", "file": "drive.csv"}}
    with pytest.raises(ScenarioError, match="given no trace"):
        toy_world(toy_plan(Scheme.RAW, bits=1000), cell=cell)
