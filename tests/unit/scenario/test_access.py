"""Unit: what a scenario may say of access, decoding and headers, and their arithmetic."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from simsplit.scenario.access import (
    GivenDecoding,
    NoDecoding,
    NoHeaders,
    PacketHeaders,
    StandardDecoding,
    control_bits,
    decoding_s,
    header_bits,
    least_k2_slots,
    wired_header_bits,
)
from simsplit.scenario.cell import Cell

FIXED = {"channel": {"kind": "fixed_snr", "snr_db": 10.0}}


def test_defaults_cost_something():
    cell = Cell.model_validate(FIXED)
    assert (cell.access.kind, cell.decoding.kind, cell.headers.kind) == (
        "dynamic",
        "capability_1",
        "packets",
    )


@pytest.mark.parametrize(
    ("spacing_hz", "pdcch", "slots"),
    [(15_000, 2, 1), (30_000, 1, 1), (30_000, 2, 2), (60_000, 2, 2), (120_000, 2, 3)],
)
def test_k2_leaves_the_device_its_preparation_time(spacing_hz, pdcch, slots):
    """N2 = 10, 12, 23, 36 symbols and one more from the end of the PDCCH (TS 38.214, 6.4)."""
    assert least_k2_slots(spacing_hz, pdcch) == slots


def test_a_k2_too_short_is_refused():
    with pytest.raises(ValidationError, match=r"k2_slots must be at least 2: N2"):
        Cell.model_validate(FIXED | {"access": {"kind": "dynamic", "k2_slots": 1}})
    Cell.model_validate(FIXED | {"access": {"kind": "dynamic", "k2_slots": 2}})


@pytest.mark.parametrize(
    "access",
    [
        {"kind": "dynamic", "sr_period_slots": 7},
        {"kind": "configured", "period_slots": 0},
        {"kind": "immediate", "sr_period_slots": 1},
        {"kind": "polling"},
    ],
)
def test_what_the_standard_does_not_have_is_refused(access):
    with pytest.raises(ValidationError):
        Cell.model_validate(FIXED | {"access": access})


@pytest.mark.parametrize(
    ("spacing_hz", "dmrs", "symbols"), [(15_000, 1, 8), (30_000, 1, 10), (30_000, 2, 13)]
)
def test_decoding_takes_half_of_n1(spacing_hz, dmrs, symbols):
    """N1 of TS 38.214 Table 5.3-1; a symbol is 1/14 of a slot."""
    up_s, down_s = decoding_s(StandardDecoding(), spacing_hz, dmrs)
    assert up_s == down_s == pytest.approx(symbols / 2 / 14 * 1e-3 * 15_000 / spacing_hz)


def test_decoding_may_be_given_or_none():
    given = GivenDecoding(kind="given", uplink_s=0.002, downlink_s=0.001)
    assert decoding_s(given, 30_000, 1) == (0.002, 0.001)
    assert decoding_s(NoDecoding(kind="none"), 30_000, 1) == (0.0, 0.0)


@pytest.mark.parametrize(("payload_bytes", "packets"), [(0, 0), (1, 1), (1472, 1), (1473, 2)])
def test_a_packet_holds_1472_bytes_and_has_38_of_headers(payload_bytes, packets):
    """1,500 less IPv4 and UDP; 20 + 8 + 1 + 3 + 3 + 3 on the air, 28 on a wire."""
    assert header_bits(PacketHeaders(), 8 * payload_bytes) == 8 * 38 * packets
    assert wired_header_bits(PacketHeaders(), 8 * payload_bytes) == 8 * 28 * packets


def test_compression_replaces_ip_and_udp():
    headers = PacketHeaders(compressed_bytes=3)
    assert header_bits(headers, 8) == 8 * 13
    assert wired_header_bits(headers, 8) == 8 * 28
    assert control_bits(headers) == 8 * (13 + 6)


def test_no_headers_are_no_bits():
    none = NoHeaders(kind="none")
    assert header_bits(none, 800) == wired_header_bits(none, 800) == control_bits(none) == 0
