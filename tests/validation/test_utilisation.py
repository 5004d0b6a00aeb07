"""Validation: the share of time a server works is the traffic it is offered.

In a stable queue that loses nobody the long-run share of busy time of a single server is
rho = lambda E[S], whatever the order of service and the distributions (Little's law of the server
alone; Kleinrock, Queueing Systems, volume 1, 1975, section 2.1; M/D/1 here).
"""

from __future__ import annotations

import pytest

from simsplit.messages import Scheme
from simsplit.results.utilisation import offered_load, utilisation
from simsplit.study.worlds import interval_case, toy_plan, toy_world

EDGE_S, REPLICATIONS = 0.02, 12


@pytest.mark.parametrize("rho", [0.3, 0.8])
def test_an_edge_of_fixed_service_is_busy_rho_of_the_time(rho: float) -> None:
    """Poisson arrivals, one worker, batches of one: the 99 % interval of replications holds rho."""
    plan = toy_plan(Scheme.RAW, bits=8, edge_s=EDGE_S)
    stations = [
        {"replication": number}
        | toy_world(
            plan,
            devices=20,
            rate_hz=rho / EDGE_S / 20,
            duration_s=40.0,
            replication=number,
            edge={"max_batch": 1},
        )
        .run()
        .stations
        for number in range(REPLICATIONS)
    ]
    used = [utilisation([one])["edge"]["mean"] for one in stations]
    case = interval_case("M/D/1", "rho = lambda S", rho, used)
    assert case.passed, case
    assert utilisation(stations)["edge"]["mean"] == pytest.approx(rho, rel=0.05)
    offered, most = offered_load(stations)["edge"]["mean"], max(used)
    assert utilisation(stations)["edge"]["mean"] <= offered and most <= 1.0
