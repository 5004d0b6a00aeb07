"""Slots, resource blocks and overheads of the frame, against tables read from the standard."""

from __future__ import annotations

from typing import Any

import pytest

from simsplit.errors import ScenarioError
from simsplit.phy import frame
from simsplit.phy.frame import DataElements, Frame, SpecialSlot
from simsplit.phy.sizes import resource_elements

FR1_HZ, FR2_HZ = 3.5e9, 28e9


@pytest.mark.parametrize(
    ("spacing_hz", "mu", "slots_per_ms"),
    [(15_000, 0, 1), (30_000, 1, 2), (60_000, 2, 4), (120_000, 3, 8)],
)
def test_numerologies(spacing_hz: int, mu: int, slots_per_ms: int) -> None:
    assert frame.numerology(spacing_hz) == mu
    assert frame.slot_s(spacing_hz) * slots_per_ms == pytest.approx(1e-3, rel=1e-15)
    assert Frame(spacing_hz, 51).slot_s == frame.slot_s(spacing_hz)


@pytest.mark.parametrize(
    ("bandwidth_mhz", "spacing_khz", "carrier_hz", "n_prb"),
    [
        (5, 15, FR1_HZ, 25),
        (10, 15, FR1_HZ, 52),
        (20, 15, FR1_HZ, 106),
        (35, 15, FR1_HZ, 188),
        (50, 15, FR1_HZ, 270),
        (5, 30, FR1_HZ, 11),
        (20, 30, FR1_HZ, 51),
        (40, 30, FR1_HZ, 106),
        (45, 30, FR1_HZ, 119),
        (70, 30, FR1_HZ, 189),
        (100, 30, FR1_HZ, 273),
        (10, 60, FR1_HZ, 11),
        (25, 60, FR1_HZ, 31),
        (100, 60, FR1_HZ, 135),
        (50, 60, FR2_HZ, 66),
        (200, 60, FR2_HZ, 264),
        (50, 120, FR2_HZ, 32),
        (400, 120, FR2_HZ, 264),
    ],
)
def test_resource_blocks(
    bandwidth_mhz: int, spacing_khz: int, carrier_hz: float, n_prb: int
) -> None:
    assert frame.max_resource_blocks(bandwidth_mhz * 1e6, spacing_khz * 1000, carrier_hz) == n_prb


@pytest.mark.parametrize("spacing_khz", [15, 30, 60, 120])
def test_blocks_leave_guard_bands(spacing_khz: int) -> None:
    """Between 1 % and 21 % of every width stays free, and wider channels hold more blocks."""
    for carrier_hz in (FR1_HZ, FR2_HZ):
        widths = frame._BLOCKS[frame.frequency_range(carrier_hz)].get(spacing_khz * 1000, {})
        filled = [n * 12 * spacing_khz / (mhz * 1000) for mhz, n in widths.items()]
        assert all(0.79 <= share < 0.99 for share in filled)
        assert sorted(widths.values()) == list(widths.values())


@pytest.mark.parametrize(
    ("bandwidth_hz", "spacing_hz", "carrier_hz", "words"),
    [
        (60e6, 15_000, FR1_HZ, "no such bandwidth_hz at 15 kHz in FR1.*Choices: 5e6.*50e6"),
        (5e6, 60_000, FR1_HZ, "Choices: 10e6"),
        (20.5e6, 30_000, FR1_HZ, "bandwidth_hz"),
        (400e6, 60_000, FR2_HZ, "Choices: 50e6, 100e6, 200e6"),
        (50e6, 120_000, FR1_HZ, "no such subcarrier_spacing_hz in FR1"),
        (50e6, 30_000, FR2_HZ, "Choices: 60000, 120000"),
        (20e6, 30_000, 10e9, "FR1.*FR2-1.*resource_blocks"),
        (20e6, 30_000, 60e9, "carrier_hz"),
    ],
)
def test_widths_that_are_none(
    bandwidth_hz: float, spacing_hz: int, carrier_hz: float, words: str
) -> None:
    with pytest.raises(ScenarioError, match=words):
        frame.max_resource_blocks(bandwidth_hz, spacing_hz, carrier_hz)


def test_frequency_ranges() -> None:
    result = [frame.frequency_range(f) for f in (410e6, 7.125e9, 24.25e9, 52.6e9)]
    assert result == ["FR1", "FR1", "FR2-1", "FR2-1"]


def test_fdd_is_both_ways() -> None:
    fdd = Frame(15_000, 106)
    assert [fdd.uplink_symbols(s) for s in range(3)] == [14, 14, 14]
    assert fdd.next_uplink_slot(7) == fdd.next_downlink_slot(7) == 7
    assert fdd.uplink_share == fdd.downlink_share == 1.0


def test_tdd_slots() -> None:
    tdd = Frame(30_000, 51, "tdd", "DDDSU", SpecialSlot(10, 2, 2))
    assert [tdd.uplink_symbols(s) for s in range(10)] == [0, 0, 0, 2, 14] * 2
    assert [tdd.downlink_symbols(s) for s in range(10)] == [14, 14, 14, 10, 0] * 2
    assert [s for s in range(15) if tdd.is_uplink(s)] == [4, 9, 14]
    assert [tdd.next_uplink_slot(s) for s in range(6)] == [4, 4, 4, 4, 4, 9]
    assert [tdd.next_downlink_slot(s) for s in range(6)] == [0, 1, 2, 5, 5, 5]
    assert tdd.uplink_share == 16 / 70
    assert tdd.downlink_share == 52 / 70


def test_special_slots_on_request() -> None:
    tdd = Frame(30_000, 51, "tdd", "DDDSU", SpecialSlot(10, 2, 2))
    assert tdd.next_downlink_slot(3, 10) == 3
    assert tdd.is_downlink(3, 10) and not tdd.is_downlink(3, 11)
    assert tdd.next_uplink_slot(0, 2) == 3
    assert tdd.is_uplink(3, 2) and not tdd.is_uplink(3)


def test_next_slot_is_the_first() -> None:
    tdd = Frame(30_000, 51, "tdd", "DSUUDDSUUU")
    for slot in range(40):
        result = tdd.next_uplink_slot(slot)
        assert result >= slot and tdd.is_uplink(result)
        assert not any(tdd.is_uplink(s) for s in range(slot, result))


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"subcarrier_spacing_hz": 45_000}, "15000, 30000"),
        ({"n_prb": 0}, "1 to 275"),
        ({"n_prb": 276}, "1 to 275"),
        ({"duplex": "xdd"}, "fdd, tdd"),
        ({"duplex": "fdd", "pattern": "DU"}, "no pattern"),
        ({"pattern": "DDD"}, "at least one"),
        ({"pattern": "UUS"}, "at least one"),
        ({"pattern": "DXU"}, "D, S and U"),
        ({"special": SpecialSlot(10, 2, 3)}, "14"),
        ({"special": SpecialSlot(16, -4, 2)}, "14"),
        ({"special": SpecialSlot(7, 0, 7)}, "gap"),
    ],
)
def test_impossible_frames(more: dict[str, Any], word: str) -> None:
    usual: dict[str, Any] = {
        "subcarrier_spacing_hz": 30_000,
        "n_prb": 51,
        "duplex": "tdd",
        "pattern": "DDDSU",
    }
    with pytest.raises(ScenarioError, match=word):
        Frame(**{**usual, **more})


def test_no_slot_is_long_enough() -> None:
    with pytest.raises(ScenarioError, match="so many symbols"):
        Frame(30_000, 51).next_uplink_slot(0, 15)


DMRS = {  # TS 38.211 Table 6.4.1.1.3-3, mapping type A, l_0 = 2: l_d -> by additional position
    4: ((2,), (2,), (2,), (2,)),
    7: ((2,), (2,), (2,), (2,)),
    8: ((2,), (2, 7), (2, 7), (2, 7)),
    9: ((2,), (2, 7), (2, 7), (2, 7)),
    10: ((2,), (2, 9), (2, 6, 9), (2, 6, 9)),
    11: ((2,), (2, 9), (2, 6, 9), (2, 6, 9)),
    12: ((2,), (2, 9), (2, 6, 9), (2, 5, 8, 11)),
    13: ((2,), (2, 11), (2, 7, 11), (2, 5, 8, 11)),
    14: ((2,), (2, 11), (2, 7, 11), (2, 5, 8, 11)),
}


@pytest.mark.parametrize("duration", DMRS)
def test_dmrs_positions(duration: int) -> None:
    result = tuple(frame.dmrs_positions(duration, n) for n in (1, 2, 3, 4))
    assert result == DMRS[duration]
    assert all(max(positions) < duration for positions in result)
    assert frame.dmrs_positions(duration, 2, 3) == (3, *DMRS[duration][1][1:])


@pytest.mark.parametrize("wrong", [(3, 1, 2), (15, 1, 2), (14, 0, 2), (14, 5, 2), (14, 1, 4)])
def test_impossible_dmrs(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ScenarioError):
        frame.dmrs_positions(*wrong)


def test_uplink_elements() -> None:
    assert frame.uplink_elements() == DataElements(14, 12)
    assert resource_elements(51, *frame.uplink_elements()) == 51 * 156
    assert frame.uplink_elements(dmrs_symbols=4) == (14, 48)
    assert frame.uplink_elements(pucch_symbols=2, srs_symbols=2, dmrs_symbols=4) == (10, 36)
    assert frame.uplink_elements(cdm_groups_without_data=1) == (14, 6)


def test_downlink_elements() -> None:
    assert frame.downlink_elements() == DataElements(12, 12)
    assert resource_elements(51, *frame.downlink_elements()) == 51 * 132
    assert frame.downlink_elements(pdcch_symbols=3, dmrs_symbols=3) == (11, 36)
    assert frame.downlink_elements(10, dmrs_symbols=4) == (8, 36)  # ends at symbol 10
    assert frame.downlink_elements(7, dmrs_symbols=4, pdcch_symbols=1) == (6, 12)


def test_impossible_overheads() -> None:
    with pytest.raises(ScenarioError, match="starts at symbol 0"):
        frame.uplink_elements(2)
    with pytest.raises(ScenarioError, match="4 to 14"):
        frame.uplink_elements(pucch_symbols=11)
    with pytest.raises(ScenarioError, match="0 to 6"):
        frame.uplink_elements(srs_symbols=7)
    with pytest.raises(ScenarioError, match="0 to 3"):
        frame.downlink_elements(pdcch_symbols=4)
    with pytest.raises(ScenarioError, match="4 to 14"):
        frame.downlink_elements(3)
    with pytest.raises(ScenarioError, match="groups"):
        frame.uplink_elements(cdm_groups_without_data=3)
