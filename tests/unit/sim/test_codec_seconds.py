"""Unit: codecs on the device's processor and in the server's batches; what is foretold of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import simpy

from simsplit.messages import Scheme
from simsplit.results.stages import stages_of
from simsplit.scenario.edge import Edge
from simsplit.sim.edge.server import Server
from simsplit.sim.request import Request
from simsplit.study.worlds import POWER, toy_plan, toy_world

ONCE = {"arrivals": {"kind": "periodic", "period_s": 1e5, "in_phase": True}}
PLAN = replace(
    toy_plan(Scheme.RAW, bits=1000, device_s=0.01, edge_s=0.004),
    encode_s={"toy": [0.003]},
    edge_codec_s=[0.002],
    read_answer_s={"toy": [0.0005]},
)


def test_a_request_s_row_says_where_the_codec_s_seconds_were() -> None:
    world = toy_world(PLAN, duration_s=0.5, group=ONCE)
    row = world.run().requests[0].row()
    found = (row["device_codec_s"], row["edge_codec_s"], row["answer_codec_s"])
    assert found == (0.003, 0.002, 0.0005)
    assert row["device_end_s"] - row["device_start_s"] == pytest.approx(0.013)
    assert row["edge_end_s"] - row["edge_start_s"] == pytest.approx(0.006)
    answered_s = row["closed_s"] - row["edge_end_s"]
    assert answered_s == pytest.approx(0.001 + 0.0005)  # the way down, then its decoder


def test_the_answer_waits_for_a_processor_that_is_busy() -> None:
    """A second request's head is under way when the first one's answer comes."""
    group = {"arrivals": {"kind": "periodic", "period_s": 0.02, "in_phase": True}}
    plan = replace(PLAN, device_s={"toy": 0.016}, encode_s={"toy": [0.0]})
    first = toy_world(plan, duration_s=0.03, group=group).run().requests[0]
    # second head: 20 to 36 ms; the first answer came before and is read when the head is done
    assert first.closed_s - first.arrival_s == pytest.approx(0.036 + 0.0005)


def test_energy_by_stage_adds_up_with_an_answer_that_is_decoded() -> None:
    request = toy_world(PLAN, duration_s=0.5, group=ONCE).run().requests[0]
    slices = {one.name: one.parts_j for one in stages_of(request, 1.0, POWER.compute_w)}
    assert slices["device compute"]["compute"] == pytest.approx(POWER.compute_w * 0.013)
    assert slices["downlink"]["compute"] == pytest.approx(POWER.compute_w * 0.0005)
    assert slices["edge compute"]["server"] == pytest.approx(70.0 * 0.006)


# --- the server ---------------------------------------------------------------------------------


def drive(
    at_s: list[float], codecs_s: list[float], share: tuple[float, ...] = (), **spec: object
) -> tuple[list, list]:
    """Jobs with codecs of their own at one worker: foretold and true ends."""
    env = simpy.Environment()
    tail = [0.010, 0.012, 0.014, 0.016]
    plan = replace(toy_plan(Scheme.RAW), edge_s=tail, edge_share=share, tail="same")
    plans = {f"p{i}": replace(plan, edge_codec_s=[s]) for i, s in enumerate(codecs_s)}
    server = Server(env, Edge(hardware="edge_gpu", **spec), plans, idle_w=1.0, compute_w=10.0)
    requests = [Request(i, 0, 0, "g", f"p{i}", "raw", 0, t) for i, t in enumerate(at_s)]
    foretold: list[float] = []

    def come(request: Request):
        yield env.timeout(request.arrival_s)
        foretold.append(server.predicted_end_s(request))
        yield from server.serve(request)

    for request in requests:
        env.process(come(request))
    env.run()
    return requests, foretold


def test_a_batch_is_the_network_once_and_every_codec() -> None:
    requests, _ = drive([0.0, 0.0, 0.0], [0.001, 0.002, 0.004], max_batch=3, max_wait_s=1.0)
    assert [one.edge_end_s for one in requests] == pytest.approx([0.014 + 0.007] * 3)
    energies = [one.edge_energy_j for one in requests]
    assert energies == pytest.approx([10 * (0.014 / 3 + s) for s in (0.001, 0.002, 0.004)])


def test_a_server_s_codecs_draw_idle_power_where_its_roofline_is_known() -> None:
    """docs/hardware.md, Power of a server: a core of the host works on them."""
    requests, _ = drive([0.0], [0.004], share=(0.25,), max_batch=1, max_wait_s=0.0)
    (request,) = requests
    assert request.edge_end_s == pytest.approx(0.014)
    assert request.edge_energy_j == pytest.approx(0.010 * (1 + 0.25 * 9) + 0.004 * 1)


def test_one_worker_first_come_first_served_is_foretold_exactly() -> None:
    at_s, codecs_s = [0.0, 0.001, 0.002, 0.003], [0.001, 0.003, 0.005, 0.007]
    requests, foretold = drive(at_s, codecs_s, max_batch=1, max_wait_s=0.0)
    assert foretold == pytest.approx([one.edge_end_s for one in requests])


def test_who_fills_a_batch_knows_its_codecs() -> None:
    requests, foretold = drive([0.0, 0.001], [0.001, 0.003], max_batch=2, max_wait_s=0.5)
    assert foretold[1] == pytest.approx(requests[1].edge_end_s) == pytest.approx(0.001 + 0.016)
