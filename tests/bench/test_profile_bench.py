"""How fast profiles and predictors answer. No assertion on time."""

from __future__ import annotations

import pytest

from simsplit.hardware.fit_latency import fit_latency
from simsplit.hardware.measure import profile_networks, subject
from simsplit.networks.catalogue import open_network

pytestmark = pytest.mark.slow
SIDE = 64


@pytest.fixture(scope="module")
def measured():
    names = ("resnet18", "squeezenet1_1")
    networks = {name: open_network(name, height=SIDE, width=SIDE) for name in names}
    subjects = [subject(name, one, SIDE, SIDE, (1, 2)) for name, one in networks.items()]
    return profile_networks(subjects, repeats=6)


def test_seconds_from_a_profile(benchmark, measured):
    names = [one.name for one in measured.network("resnet18").operators]
    assert benchmark(measured.seconds, "resnet18", names, 2) > 0


def test_fitting(benchmark, measured):
    assert benchmark.pedantic(fit_latency, (measured,), rounds=1).regressions


def test_predicting_resnet18(benchmark, measured):
    model = fit_latency(measured)
    operators = measured.network("resnet18").operators
    assert benchmark(model.seconds, operators, 1) > 0
