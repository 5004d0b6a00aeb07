"""Known answers of access, decoding and headers: part of `simsplit validate`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from simsplit.messages import Scheme
from simsplit.phy.mcs import mcs
from simsplit.phy.sizes import resource_elements, transport_block_bits
from simsplit.sim.request import Plan, Request
from simsplit.study.worlds import Case, exact_case, interval_case, toy_plan, toy_world

SLOT_S = 0.5e-3  # 30 kHz
PACKET_BYTES = 20 + 8 + 1 + 3 + 3 + 3  # IPv4, UDP, SDAP, PDCP, RLC, MAC
MTU_BYTES = 1500 - 20 - 8
_IN_PHASE = {"arrivals": {"kind": "periodic", "period_s": 1.0, "in_phase": True}}


def mean_access() -> list[Case]:
    """Mean seconds from a payload to its first slot, at a random moment (TS 38.321, 5.4.4, 5.8.2).

    FDD: half a period until the request, its slot, processing, k2. TDD DDDSU, period 5: offsets 0
    to 3 ask in S (slot 3), are granted in 6 and send in 9; offset 4 asks in 4, grant 7, sends in 9:
    2.5 + (4 x 6 + 5) / 5 slots.
    """
    dynamic: dict[str, Any] = {
        "kind": "dynamic",
        "sr_period_slots": 10,
        "processing_slots": 2,
        "k2_slots": 2,
    }
    tdd = {
        "duplex": {"kind": "tdd", "pattern": "DDDSU"},
        "access": dynamic | {"sr_period_slots": 5},
    }
    configured = {"kind": "configured", "period_slots": 20}
    asked: list[tuple[str, str, float, dict[str, Any]]] = [
        ("dynamic grant, FDD", "P/2 + 1 + processing + k2", 5 + 1 + 2 + 2, {"access": dynamic}),
        ("dynamic grant, TDD DDDSU", "P/2 + (4 x 6 + 5) / 5", 2.5 + 29 / 5, tdd),
        ("configured grant", "P/2", 10.0, {"access": configured}),
    ]
    return [
        interval_case(f"mean access, {name} (s)", formula, slots * SLOT_S, _mean_access_s(cell))
        for name, formula, slots, cell in asked
    ]


def _mean_access_s(cell: dict[str, Any]) -> list[float]:
    """Means over 20 replications of 60 devices that hardly ever send twice at a time."""
    means = []
    for replication in range(8):
        world = toy_world(
            toy_plan(Scheme.RAW, bits=1000),
            devices=40,
            rate_hz=1.0,
            duration_s=10.0,
            replication=replication,
            cell=cell,
        )
        means.append(float(np.mean([r.access_delay_s for r in world.run().requests])))
    return means


def lone_asking_request() -> list[Case]:
    """An unloaded request that asks, is granted, sent and decoded: every moment is known.

    The device is done in slot 21, asks in 22, is granted in 25, sends from 27 on. Decoding takes
    half of N1 = 10 symbols (TS 38.214 Table 5.3-1).
    """
    plan = toy_plan(Scheme.RAW, bits=20_000, device_s=0.0107, edge_s=0.004)
    cell = {
        "access": {"kind": "dynamic", "sr_period_slots": 1},
        "decoding": {"kind": "capability_1"},
    }
    request = _lone(plan, cell)
    blocks = math.ceil(20_000 / transport_block_bits(mcs(11), 51))
    expected = (27 + blocks + 5 / 14) * SLOT_S + 0.004 + 0.001
    measured = request.closed_s - request.arrival_s
    formula = "grant + slots + N1 / 2 + edge + downlink"
    return [exact_case("unloaded latency with access (s)", formula, expected, measured)]


def headers_on_the_air() -> list[Case]:
    """Headers per packet of 1,500 bytes: an answer of 8 bits is a packet; 20,000 bits are two."""
    cases = []
    for bits in (8, 20_000):
        headers = 8 * PACKET_BYTES * math.ceil(bits / (8 * MTU_BYTES))
        request = _lone(toy_plan(Scheme.RAW, bits=bits), {"headers": {"kind": "packets"}})
        name, size = f"of {bits:,} bits", bits + headers
        cases += [
            exact_case(f"headers {name} (bit)", "8 x 38 x packets", headers, request.header_bits),
            exact_case(f"payload {name} (bit)", "8 x bytes", bits, request.payload_bits),
            exact_case(
                f"resource elements {name}",
                "of the sum's blocks",
                _uses(size),
                request.channel_uses,
            ),
        ]
    return cases


def _uses(bits: int) -> int:
    """Resource elements of MCS 11 for so many bits alone on 51 resource blocks."""
    uses = 0
    while bits > 0:
        n_prb = next((n for n in range(1, 52) if transport_block_bits(mcs(11), n) >= bits), 51)
        bits -= transport_block_bits(mcs(11), n_prb)
        uses += resource_elements(n_prb)
    return uses


def _lone(plan: Plan, cell: dict[str, Any]) -> Request:
    return toy_world(plan, duration_s=0.5, group=_IN_PHASE, cell=cell).run().requests[0]


CASES: tuple[Callable[[], list[Case]], ...] = (
    mean_access,
    lone_asking_request,
    headers_on_the_air,
)
