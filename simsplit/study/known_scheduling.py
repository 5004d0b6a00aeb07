"""Known answers of the scheduler's side of the air: HARQ processes, shares of the band, grants."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from simsplit.messages import Scheme
from simsplit.phy.link import BlerTable
from simsplit.phy.mcs import SUPPORTED_MCS, mcs
from simsplit.phy.sizes import is_decodable, resource_elements, transport_block_bits
from simsplit.scenario.scenario import Scenario
from simsplit.sim.world import Machines, World
from simsplit.study.inputs import open_bler_table
from simsplit.study.worlds import (
    POWER,
    Case,
    exact_case,
    step_table,
    toy_plan,
    toy_world,
    within_case,
)

_ALL_AT_ONCE = {"arrivals": {"kind": "periodic", "period_s": 1e5, "in_phase": True}}


def harq_processes() -> list[Case]:
    """Stop-and-wait: block k of P processes starts in slot RTT floor(k / P) + k mod P, P <= RTT."""
    blocks, round_trip = 10, 8
    plan = toy_plan(Scheme.RAW, bits=blocks * transport_block_bits(mcs(11), 51))
    cases = []
    for processes in (1, 2, 4, 8):
        cell = {"harq": {"processes": processes, "round_trip_slots": round_trip}}
        history = toy_world(plan, duration_s=0.1, group=_ALL_AT_ONCE, cell=cell).run()
        request = history.requests[0]
        rounds, turn = divmod(blocks - 1, processes)
        expected = (round_trip * rounds + turn + 1) * 0.5e-3
        name = f"10 blocks over {processes} HARQ process{'es' if processes > 1 else ''} (s)"
        took_s = request.radio_end_s - request.radio_start_s
        cases.append(exact_case(name, "RTT floor(9 / P) + 9 mod P + 1 slots", expected, took_s))
    return cases


def shares_of_the_band() -> list[Case]:
    """Two full buffers, each T alone: who is done when, by what the scheduler gives each of them.

    Weights 1 : 3: the heavy one has 3/4 of the band until 4/3 T, the light one ends at 2 T.
    Deadline and SNR: one after the other, T and 2 T. Equal shares, and proportional fair at one
    rate: 2 T. Blocks are whole and their sizes quantised: 2 % and two slots.
    """
    size = transport_block_bits(mcs(11), 51)
    alone_s = 150 * 0.5e-3
    ends = {
        "weighted": (2.0, 4 / 3),
        "earliest_deadline": (2.0, 1.0),
        "max_snr": (2.0, 1.0),
        "proportional_fair": (2.0, 2.0),
        "round_robin": (2.0, 2.0),
    }
    cases = []
    for kind, factors in ends.items():
        cell = {
            "scheduler": {"kind": kind},
            "channel": {"kind": "log_distance", "exponent": 2.2},
        }
        for measured_s, factor, name in zip(
            _finish_s(150 * size, cell), factors, ("first", "second"), strict=True
        ):
            expected = factor * alone_s
            label = f"{kind}: {name} of two full buffers (s)"
            tolerance = 0.02 * expected + 1e-3
            formula = f"{factor:.3g} T"
            cases.append(within_case(label, formula, expected, measured_s, tolerance))
    return cases


def _finish_s(bits: int, cell: dict[str, Any]) -> list[float]:
    """Seconds on the air of two devices that begin together: weights 1 and 3, deadlines 200 and
    50 ms, 100 and 50 m away.
    """
    plan = toy_plan(Scheme.RAW, bits=bits)
    spec = toy_world(plan, duration_s=1.0, cell=cell, group=_ALL_AT_ONCE).scenario
    raw = spec.model_dump(mode="json")
    group = raw["devices"][0]
    raw["devices"] = [
        group
        | {"name": name, "weight": weight, "deadline_s": deadline_s}
        | {"distance_min_m": distance_m, "distance_max_m": distance_m}
        for name, weight, deadline_s, distance_m in (("a", 1.0, 0.2, 100.0), ("b", 3.0, 0.05, 50.0))
    ]
    machines = Machines({"a": POWER, "b": POWER}, 10.0, 70.0)
    world = World(Scenario.model_validate(raw), {"point": plan}, machines, step_table())
    rows = sorted(world.run().requests, key=lambda request: request.device)
    return [row.radio_end_s - row.radio_start_s for row in rows]


def small_grant() -> list[Case]:
    """A payload that fits into a slot takes the fewest resource elements within the BLER target.

    The expected number is searched over all schemes and widths; n blocks have P_max - 10 log10(n).
    """
    table, bits, cases = open_bler_table(), 5775, []
    cell = {"channel": {"kind": "log_distance", "exponent": 3.8}, "mcs": {"kind": "adaptive"}}
    for distance_m in (60, 100):
        group = _ALL_AT_ONCE | {"distance_min_m": distance_m, "distance_max_m": distance_m}
        plan = toy_plan(Scheme.RAW, bits=bits)
        world = toy_world(plan, duration_s=0.1, group=group, cell=cell, table=table)
        one_block_db = world.radio.links[0][0].gain_db(0) + 23.0
        expected = _fewest_elements(table, one_block_db, bits)
        request = world.run().requests[0]
        measured = request.channel_uses / request.attempts
        name = f"resource elements of {bits:,} bits at {distance_m} m"
        cases.append(exact_case(name, "least RE with BLER <= target", expected, measured))
    return cases


def _fewest_elements(table: BlerTable, one_block_db: float, bits: int) -> float:
    """By trying everything; infinite if no scheme holds the bits within 10 % in one slot."""
    for n_prb in range(1, 52):
        snr_db, n_re = one_block_db - 10.0 * math.log10(n_prb), resource_elements(n_prb)
        for scheme in SUPPORTED_MCS:
            size = transport_block_bits(scheme, n_prb)
            if size < bits or not is_decodable(scheme, n_prb):
                continue
            if table.transport_block_error(scheme, size, snr_db, 1, n_re) <= 0.1:
                return float(n_re)
    return math.inf


CASES: tuple[Callable[[], list[Case]], ...] = (harq_processes, shares_of_the_band, small_grant)
