"""Unit: transmit power per resource block, noise rise, receiver states."""

from __future__ import annotations

import numpy as np
import pytest

from simsplit.scenario.cell import (
    Drx,
    FractionalPower,
    InterferenceMargin,
    NeighbourCells,
    NoInterference,
)
from simsplit.seeds import generator
from simsplit.sim.device.receiver import Receiver, ReceiverPower
from simsplit.sim.radio.interference import build_rise
from simsplit.sim.radio.power import ControlledPower, LevelPower, SpreadPower

P0_DBM = -80.0


def controlled(loss_db: float, alpha: float = 0.8, numerology: int = 1) -> ControlledPower:
    spec = FractionalPower(kind="fractional", p0_dbm=P0_DBM, alpha=alpha)
    return ControlledPower(spec, 23.0, numerology, lambda slot: loss_db)


def test_whole_power_is_spread_over_the_grant():
    power = SpreadPower(23.0)
    assert power.per_prb_db(1, 0) == pytest.approx(23.0)
    assert power.per_prb_db(10, 0) == pytest.approx(13.0)
    assert power.radiated_w(10, 0) == pytest.approx(0.19953, rel=1e-4)


def test_level_power_ignores_the_grant():
    power = LevelPower(0.0, 0.2)
    assert power.per_prb_db(1, 0) == power.per_prb_db(50, 0) == 0.0


@pytest.mark.parametrize(("loss_db", "n_prb"), [(80.0, 1), (90.0, 4), (100.0, 10)])
def test_fractional_control_is_38_213(loss_db, n_prb):
    """P = P0 + 10 log10(2^mu M) + alpha PL, in linear numbers."""
    milliwatts = 10 ** (P0_DBM / 10) * 2 * n_prb * 10 ** (0.8 * loss_db / 10)
    power = controlled(loss_db)
    assert power.radiated_w(n_prb, 0) == pytest.approx(1e-3 * milliwatts)
    assert 10 ** (power.per_prb_db(n_prb, 0) / 10) == pytest.approx(milliwatts / n_prb)


def test_fractional_control_ends_at_the_terminal_s_power():
    power = controlled(140.0)
    assert power.radiated_w(50, 0) == pytest.approx(1e-3 * 10**2.3)
    assert power.per_prb_db(50, 0) == pytest.approx(23.0 - 10 * np.log10(50))


def test_full_compensation_equalises_received_levels():
    near, far = controlled(80.0, alpha=1), controlled(95.0, alpha=1)
    assert near.per_prb_db(3, 0) - 80.0 == pytest.approx(far.per_prb_db(3, 0) - 95.0)


def rise(spec, seed=1):
    return build_rise(spec, lambda chunk: generator(seed, 11, chunk))


def test_margin_is_constant():
    assert rise(NoInterference()).rise_db(7) == 0.0
    assert rise(InterferenceMargin(kind="margin", margin_db=3.0)).rise_db(7) == 3.0


def test_neighbours_are_on_for_their_share_of_bursts():
    spec = NeighbourCells(kind="neighbours", inr_db=(10.0, 0.0), load=0.3, burst_slots=4)
    noise = rise(spec)
    levels = np.array([noise.rise_db(slot) for slot in range(0, 40_000, 4)])
    total = 10 ** (levels / 10) - 1
    assert set(np.round(total, 6)) == {0.0, 1.0, 10.0, 11.0}
    assert total.mean() == pytest.approx(0.3 * 11.0, rel=0.05)
    assert all(noise.rise_db(slot) == noise.rise_db(slot - slot % 4) for slot in range(400))


def test_neighbours_are_the_same_in_any_order():
    spec = NeighbourCells(kind="neighbours", inr_db=(10.0, 5.0), load=0.5)
    slots = [900, 4, 2000, 0, 1500]
    forward, backward = rise(spec), rise(spec)
    first = {slot: forward.rise_db(slot) for slot in slots}
    assert first == {slot: backward.rise_db(slot) for slot in sorted(slots)}


def test_coupled_load_follows_the_cell_s_own():
    spec = NeighbourCells(kind="neighbours", inr_db=(10.0,), load="coupled", window_slots=200)
    shares = {}
    for load in (0.2, 0.9):
        noise, on = rise(spec), 0
        for slot in range(40_000):
            noise.occupy(slot, load)
            on += slot >= 20_000 and noise.rise_db(slot) > 0
        shares[load] = on / 20_000
    assert shares == pytest.approx({0.2: 0.2, 0.9: 0.9}, abs=0.03)


POWER = ReceiverPower(receive_w=3.0, listen_w=1.0, sleep_w=0.01, transition_j=0.0152)
DRX = Drx(inactivity_s=0.02, cycle_s=0.16, on_s=0.008)


def test_receiver_without_drx_pays_for_its_grants_only():
    receiver = Receiver(POWER, None)
    receiver.receive(1.0, 1.5)
    receiver.close(4.0)
    assert receiver.ledger.seconds == pytest.approx({"receive": 0.5, "listen": 0, "sleep": 3.5})
    assert receiver.ledger.total_j == pytest.approx(1.5)
    assert receiver.ready_in_s(10.0) == 0.0


def test_drx_books_inactivity_timer_and_on_durations():
    receiver = Receiver(POWER, DRX)
    receiver.receive(0.0, 0.5)
    receiver.close(0.5 + 0.02 + 2 * 0.16 + 0.155)
    seconds = receiver.ledger.seconds
    assert seconds["listen"] == pytest.approx(0.02 + 2 * 0.008 + 0.003)
    assert sum(seconds.values()) == pytest.approx(0.995)
    sleep_w = 0.01 + 0.0152 / 0.152
    expected_j = 3.0 * 0.5 + seconds["listen"] + sleep_w * seconds["sleep"]
    assert receiver.ledger.total_j == pytest.approx(expected_j)


def test_drx_answers_wait_for_the_next_on_duration():
    receiver = Receiver(POWER, DRX)
    receiver.receive(0.0, 0.5)
    assert receiver.ready_in_s(0.519) == 0.0
    assert receiver.ready_in_s(0.53) == pytest.approx(0.142)
    assert receiver.ready_in_s(0.52 + 0.155) == 0.0


def test_overlapping_activity_counts_once():
    receiver = Receiver(POWER, DRX)
    receiver.listen(0.0, 0.001)
    receiver.receive(0.0, 0.001)
    receiver.receive(0.001, 0.002)
    receiver.close(0.002)
    assert sum(receiver.ledger.seconds.values()) == pytest.approx(0.002)
