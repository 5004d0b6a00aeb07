"""Neurosurgeon in whole worlds against brute force: every fixed point simulated for itself.

Kang et al., "Neurosurgeon: Collaborative intelligence between the cloud and mobile edge", ASPLOS
2017: the split of least predicted latency moves from all-mobile over the middle to all-cloud as the
rate rises, and back as the server's load rises. A chooser of the least prediction is at most the
sum of two prediction errors worse than the best: T(c) <= T'(c) + e(c) <= T'(b) + e(c) <= T(b) +
e(b) + e(c). Channels are constant here, so the best fixed point is the best there is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from simsplit.messages import Scheme
from simsplit.scenario.scenario import Scenario
from simsplit.sim.request import Plan, Request
from simsplit.sim.world import Machines, World
from simsplit.study.worlds import IDEAL, POWER, step_table

# A chain with a bottleneck, AlexNet's sizes: device seconds up to the cut, bits, server seconds.
CHAIN: dict[str, tuple[float, int, float]] = {
    "cloud": (0.0, 1_204_224, 0.0040),
    "pool1": (0.006, 1_492_992, 0.0036),
    "pool2": (0.014, 1_038_336, 0.0030),
    "pool5": (0.028, 294_912, 0.0015),
    "fc6": (0.050, 131_072, 0.0004),
    "mobile": (0.060, 0, 0.0),
}
BLOCKS = (1, 2, 4, 8, 16, 32, 64, 128, 273)
ORDER = list(CHAIN)


def plans(belief: float = 1.0) -> dict[str, Plan]:
    """The chain's plans; the device believes its own seconds times ``belief``."""
    return {name: plan(name, *costs, belief) for name, costs in CHAIN.items()}


def plan(name: str, device_s: float, bits: int, edge_s: float, belief: float) -> Plan:
    scheme = {"cloud": Scheme.RAW, "mobile": Scheme.LOCAL}.get(name, Scheme.SEPARATE)
    return Plan(
        scheme,
        [bits],
        [0],
        [16],
        {"toy": device_s},
        {"toy": CHAIN["mobile"][0]},
        [edge_s * batch for batch in range(1, 65)],
        believed_device_s={"toy": belief * device_s},
    )


def point(name: str) -> dict[str, Any]:
    if name == "mobile":
        return {"name": name, "scheme": "local"}
    raw = name == "cloud"
    codec = {"kind": "png"} if raw else {"kind": "entropy"}
    return {"name": name, "scheme": "raw" if raw else "separate", "codec": codec}


def world(
    policy: dict[str, Any],
    blocks: int,
    *,
    belief: float = 1.0,
    others_hz: float = 0.0,
    duration_s: float = 10.0,
) -> list[Request]:
    """The requests of the one device that chooses; ``others_hz``: what else the server gets."""
    groups = [group("me", {"policy": policy, "arrivals": {"kind": "periodic", "period_s": 0.5}})]
    offered = plans(belief)
    if others_hz:
        offered["load"] = Plan(Scheme.RAW, [1000], [0], [16], {"toy": 0.0}, {"toy": 0.0}, [0.02])
        arrivals = {"kind": "poisson", "rate_hz": others_hz}
        groups.append(group("others", {"operating_point": "load", "arrivals": arrivals}))
    scenario = Scenario.model_validate(
        {
            "name": "toy",
            "seed": 3,
            "duration_s": duration_s,
            "drain_s": 1000.0,
            "task": {"samples": 1},
            "operating_points": [point(name) for name in CHAIN]
            + [{"name": "load", "scheme": "raw", "codec": {"kind": "png"}}],
            "devices": groups,
            "cell": IDEAL
            | {
                "resource_blocks": blocks,
                "channel": {"kind": "fixed_snr", "snr_db": 30.0},
                "mcs": {"kind": "fixed", "index": 11},
                "downlink": {"kind": "fixed_rate", "rate_bps": 20e6, "latency_s": 0.001},
            },
            "edge": {"max_batch": 1},
        }
    )
    offered.setdefault("load", offered["cloud"])
    machines = Machines({"me": POWER, "others": POWER}, 10.0, 70.0)
    done = World(scenario, offered, machines, step_table()).run().requests
    return [request for request in done if request.group == "me"]


def group(name: str, said: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "count": 1, "hardware": "toy"} | said


def latency_s(requests: list[Request]) -> float:
    assert all(request.status == "done" for request in requests)
    return float(np.mean([request.closed_s - request.arrival_s for request in requests]))


def fixed_s(name: str, blocks: int, **more: Any) -> float:
    return latency_s(world({"kind": "fixed", "point": name}, blocks, **more))


def chosen(kind: str, blocks: int, **more: Any) -> list[Request]:
    return world({"kind": kind, "points": ORDER}, blocks, **more)


def depth(requests: list[Request]) -> float:
    """Mean place of the choices in the chain: 0 all-cloud, 5 all-mobile."""
    return float(np.mean([ORDER.index(request.operating_point) for request in requests]))


@pytest.fixture(scope="module")
def brute() -> dict[int, dict[str, float]]:
    """Blocks → point → simulated mean latency of that fixed point."""
    return {blocks: {name: fixed_s(name, blocks) for name in CHAIN} for blocks in BLOCKS}


def test_the_chain_has_a_middle_optimum(brute: dict[int, dict[str, float]]) -> None:
    best = [min(of, key=of.__getitem__) for of in brute.values()]
    assert best[0] == "mobile" and best[-1] == "cloud" and "pool5" in best


@pytest.mark.parametrize("kind", ["neurosurgeon", "oracle"])
def test_close_to_the_best_fixed_point_at_every_rate(
    brute: dict[int, dict[str, float]], kind: str
) -> None:
    regrets = []
    for blocks, of in brute.items():
        found_s = latency_s(chosen(kind, blocks))
        regrets.append(found_s / min(of.values()) - 1)
        assert found_s <= 1.02 * min(of["cloud"], of["mobile"])
    assert np.mean(regrets) <= 0.01 and max(regrets) <= 0.05


def test_the_cut_moves_towards_the_server_as_the_rate_rises() -> None:
    depths = [depth(chosen("neurosurgeon", blocks)) for blocks in BLOCKS]
    assert depths == sorted(depths, reverse=True)
    assert depths[0] == 5 and depths[-1] == 0 and any(0 < d < 5 for d in depths)


@pytest.mark.parametrize("belief", [0.6, 0.8, 1.25, 1.6])
def test_a_wrong_predictor_costs_no_more_than_its_errors(
    brute: dict[int, dict[str, float]], belief: float
) -> None:
    for blocks, of in brute.items():
        requests = chosen("neurosurgeon", blocks, belief=belief)
        best = min(of, key=of.__getitem__)
        names = {request.operating_point for request in requests}
        errors_s = [abs(belief - 1) * CHAIN[name][0] for name in names]
        allowed_s = max(errors_s) + abs(belief - 1) * CHAIN[best][0] + 0.001  # two slots
        assert latency_s(requests) <= of[best] + allowed_s


def test_server_load_pushes_the_cut_back_to_the_device() -> None:
    depths = [
        depth(chosen("neurosurgeon", 64, others_hz=load_hz, duration_s=60.0))
        for load_hz in (0.0, 25.0, 40.0, 47.0)
    ]
    assert depths == sorted(depths) and depths[-1] > depths[0] + 1


def test_with_load_the_choice_beats_both_ends() -> None:
    more: dict[str, Any] = {"others_hz": 40.0, "duration_s": 120.0}
    found_s = latency_s(chosen("neurosurgeon", 64, **more))
    ends_s = [fixed_s(name, 64, **more) for name in ("cloud", "mobile")]
    assert found_s <= 1.02 * min(ends_s)


def test_least_energy_is_the_least_of_the_fixed_points() -> None:
    for blocks in (2, 16, 128):
        policy = {"kind": "neurosurgeon", "objective": "energy", "points": ORDER}
        mine = world(policy, blocks)
        fixed = [world({"kind": "fixed", "point": name}, blocks) for name in CHAIN]
        assert _energy_j(mine) <= 1.05 * min(_energy_j(requests) for requests in fixed)


def _energy_j(requests: list[Request]) -> float:
    return float(np.mean([r.compute_energy_j + r.tx_energy_j + r.rx_energy_j for r in requests]))
