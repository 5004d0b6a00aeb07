"""Known answers of what codecs cost: seconds of a lone request, shares of a batch, joules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from simsplit.messages import Scheme
from simsplit.study.worlds import POWER, Case, exact_case, toy_plan, toy_world

HEAD_S, TAIL_S = 0.01, 0.004
ENCODE_S, SERVER_S, ANSWER_S = 0.003, 0.002, 0.0005
_ONCE = {"arrivals": {"kind": "periodic", "period_s": 1e5, "in_phase": True}}
_FEATURE = replace(
    toy_plan(Scheme.SEPARATE, bits=20_000, device_s=HEAD_S, edge_s=TAIL_S),
    encode_s={"toy": [ENCODE_S]},
    edge_codec_s=[SERVER_S],
    read_answer_s={"toy": [ANSWER_S]},
)


def lone_codec() -> list[Case]:
    """One device, one request: the device is busy for head + encoder + the answer's decoder."""
    history = toy_world(_FEATURE, duration_s=0.5, group=_ONCE).run()
    request, device = history.requests[0], history.stations["devices"][0]
    on_device_s = HEAD_S + ENCODE_S + ANSWER_S
    joules = POWER.compute_w * on_device_s
    to_send_s = request.device_end_s - request.device_start_s
    in_batch_s = request.edge_end_s - request.edge_start_s
    server_j = 70.0 * (TAIL_S + SERVER_S)
    return [
        exact_case("device until it sends (s)", "head + encoding", HEAD_S + ENCODE_S, to_send_s),
        exact_case("edge, one request (s)", "decoding + tail", TAIL_S + SERVER_S, in_batch_s),
        exact_case("device busy (s)", "head + encoding + answer", on_device_s, device["busy_s"]),
        exact_case("compute energy with codec (J)", "P t", joules, request.compute_energy_j),
        exact_case("the same in the ledger (J)", "P t", joules, device["compute_j"]),
        exact_case("edge energy with codec (J)", "P t", server_j, request.edge_energy_j),
    ]


def batch_codec() -> list[Case]:
    """A batch of n: the network once for all, the codecs one after the other."""
    count = 4
    edge_s = [TAIL_S + 0.001 * n for n in range(64)]
    plan = replace(_FEATURE, edge_s=edge_s, encode_s={"toy": [0.0]}, payload_bits=[100])
    world = toy_world(
        plan, devices=count, duration_s=0.5, group=_ONCE, edge={"max_batch": count, "max_wait_s": 1}
    )
    history = world.run()
    request = history.requests[0]
    expected = edge_s[count - 1] + count * SERVER_S
    measured = request.edge_end_s - request.edge_start_s
    total_j = sum(one.edge_energy_j for one in history.requests)
    return [
        exact_case(f"batch of {count} with codecs (s)", "tail(n) + n codec", expected, measured),
        exact_case("its energy, sum of rows (J)", "P t", 70.0 * expected, total_j),
    ]


CASES: tuple[Callable[[], list[Case]], ...] = (lone_codec, batch_codec)
