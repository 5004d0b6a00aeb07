"""Regressions of latency: known coefficients come back; groups, fall-backs, files, rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.hardware import fit_latency as latency
from simsplit.hardware.fit_latency import fit_latency, held_out_s, samples_of
from simsplit.hardware.judge import (
    kind_rows,
    median_error,
    median_estimate,
    roofline_error,
    total_rows,
)
from simsplit.hardware.predictor import ANY, predict_rows, read_model, write_model
from simsplit.hardware.profile import Host, NetworkProfile, Profile, Timing
from simsplit.operators import Operator
from simsplit.seeds import generator

RATES = {"conv": 5e-11, "linear": 2e-10}  # seconds per MAC
PER_ELEMENT_S, PER_LAUNCH_S = 1e-10, 5e-6


def truth_s(operator: Operator, batch: int) -> float:
    """Seconds on an imaginary machine: launch + MACs + elements moved."""
    moved = batch * (operator.elements_in + operator.elements_out)
    arithmetic_s = batch * operator.macs * RATES.get(operator.kind, 0.0)
    return PER_LAUNCH_S + arithmetic_s + moved * PER_ELEMENT_S


def operators(rng: np.random.Generator, count: int = 12) -> tuple[Operator, ...]:
    """Convolutions, matrix products and activations of random size."""
    found = []
    for place in range(count):
        kind, form = [("conv", "convolution"), ("linear", "addmm"), ("activation", "relu")][
            place % 3
        ]
        size_in, size_out, deep = 10 ** rng.uniform((3, 3, 1), (6, 6, 3))
        macs = 0.0 if kind == "activation" else size_out * deep
        found.append(Operator(f"{kind}{place}", kind, macs, size_in, size_out, deep, form))
    return tuple(found)


def network(rng: np.random.Generator, noise: float = 0.0, slow: float = 1.0) -> NetworkProfile:
    """A random network measured on the imaginary machine; the whole is ``slow`` times the sum."""
    work, batches = operators(rng), (1, 4)
    nodes = {b: [truth_s(one, b) * np.exp(noise * rng.normal()) for one in work] for b in batches}
    return NetworkProfile(
        height=32,
        width=32,
        date="2030-01-01",
        operators=work,
        totals={batch: exact(slow * sum(times)) for batch, times in nodes.items()},
        nodes={batch: tuple(map(exact, times)) for batch, times in nodes.items()},
        empty_call_s=1e-7,
        p90_over_median=dict.fromkeys(batches, 1.0),
        rounds=dict.fromkeys(batches, 6),
        instrumented_s={batch: sum(times) for batch, times in nodes.items()},
    )


def exact(seconds: float) -> Timing:
    return Timing(seconds, seconds, seconds)


def profile(networks: int = 10, noise: float = 0.0, seed: int = 1, slow: float = 1.0) -> Profile:
    found = {f"net{i}@32x32": network(generator(seed, i), noise, slow) for i in range(networks)}
    return Profile(Host("imaginary", 1, "2.0"), found)


@pytest.fixture(scope="module")
def model():
    return fit_latency(profile())


def test_known_coefficients_come_back(model):
    found = model.regressions["conv:convolution"].coefficients
    expected = [PER_LAUNCH_S, RATES["conv"], PER_ELEMENT_S, PER_ELEMENT_S]
    assert found[:4] == pytest.approx(expected, rel=1e-3)
    assert model.regressions["linear:addmm"].coefficients[1] == pytest.approx(2e-10, rel=1e-3)


def test_exact_times_are_predicted_for_a_network_never_seen(model):
    strange = network(generator(99, 0))
    for batch in (1, 2, 4):
        expected = sum(truth_s(one, batch) for one in strange.operators)
        assert model.seconds(strange.operators, batch) == pytest.approx(expected, rel=0.01)


def test_samples_are_scaled_to_the_measured_whole():
    plain, slow = samples_of(profile(2)), samples_of(profile(2, slow=1.5))
    assert [b.seconds for b in slow] == pytest.approx([1.5 * a.seconds for a in plain])
    assert sum(one.share for one in slow) == pytest.approx(4)  # two networks, two batch sizes


def test_nodes_of_several_operators_teach_nothing():
    one = profile(1).networks["net0@32x32"]
    first = one.operators[0].name
    joined = tuple(replace(op, name=first) if i < 2 else op for i, op in enumerate(one.operators))
    fewer = {batch: nodes[1:] for batch, nodes in one.nodes.items()}
    changed = replace(one, operators=joined, nodes=fewer)
    found = samples_of(Profile(Host("x", 1, "2"), {"a@1x1": changed}))
    assert len(found) == 2 * (len(one.operators) - 2)


def test_what_is_held_out_is_never_fitted_to():
    samples = samples_of(profile(6))
    seen = []

    def spy(kept, seed):
        seen.append({one.unit for one in kept})
        return latency.fit_affine(kept, seed)

    assert held_out_s(samples, spy, 0) is not None
    assert len(seen) == 5
    missing = [{f"net{i}" for i in range(6)} - units for units in seen]
    assert sorted(unit for units in missing for unit in units) == [f"net{i}" for i in range(6)]


def test_one_network_alone_holds_out_its_sizes():
    sizes = {f"net@{i}x{i}": network(generator(3, i)) for i in range(3)}
    assert {one.unit for one in samples_of(Profile(Host("x", 1, "2"), sizes))} == set(sizes)


def test_an_unknown_form_takes_its_kind_and_an_unknown_kind_takes_all(model):
    known, bare = Operator("a", "conv", 1e8, 1e5, 1e5, 1e3, "convolution"), None
    bare = replace(known, form="")
    assert model.group(known) == "conv:convolution"
    assert model.group(bare) == "conv"
    assert model.group(replace(known, form="deconvolution")) == "conv"
    assert model.group(replace(known, kind="depthwise")) == ANY
    assert model.operator_s(bare, 1) == pytest.approx(truth_s(known, 1), rel=0.05)


def test_guesses_are_counted(model):
    inside = Operator("a", "conv", 1e7, 1e5, 1e5, 1e2, "convolution")
    outside = replace(inside, macs=1e15)
    strange = replace(inside, kind="depthwise")
    assert model.guessed_share([inside]) == 0.0
    assert model.guessed_share([outside]) == 1.0
    assert model.guessed_share([strange]) == 1.0
    assert 0 < model.guessed_share([inside, strange]) < 1


def test_views_take_no_time_and_a_batch_below_one_is_refused(model):
    assert model.seconds([Operator("v", "reshape", 0.0, 1e9, 1e9)]) == 0.0
    assert model.seconds([]) == 0.0
    with pytest.raises(ValueError, match="batch"):
        model.seconds([], 0)


def test_a_model_survives_its_files(model, tmp_path):
    curved = fit_latency(profile(noise=0.1))
    for one in (model, curved):
        write_model(tmp_path, one, {"test": 1})
        read = read_model(tmp_path)
        work = operators(generator(7))
        assert read.operators_s(work, 3) == pytest.approx(one.operators_s(work, 3), rel=1e-4)
        assert read.trained_on == one.trained_on
        assert read.guessed_share(work, 2) == pytest.approx(one.guessed_share(work, 2), rel=1e-4)


def test_a_kernel_survives_its_file(tmp_path):
    samples = [one for one in samples_of(profile(noise=0.1)) if one.work.operator.macs]
    model = fit_latency(profile())
    kernel = latency.fit_kernel(samples)
    write_model(tmp_path, replace(model, regressions={ANY: kernel}))
    work = operators(generator(7))
    read = read_model(tmp_path).regressions[ANY]
    assert read.shape == "kernel"
    works = [one.work for one in samples]
    assert read.seconds(works) == pytest.approx(kernel.seconds(works), rel=1e-4)
    assert len(work) == 12


def test_damaged_and_missing_models_say_so(model, tmp_path):
    with pytest.raises(ArtefactError, match="no latency model"):
        read_model(tmp_path)
    write_model(tmp_path, model)
    (tmp_path / "card.json").write_text('{"format": "simsplit-latency-1"}')
    with pytest.raises(ArtefactError, match="damaged"):
        read_model(tmp_path)


def test_rows_of_a_prediction_add_up(model):
    work = operators(generator(5))
    rows = predict_rows(model, work, 2)
    assert rows[-1].kind == "total"
    assert sum(row.seconds for row in rows[:-1]) == pytest.approx(rows[-1].seconds)
    assert rows[-1].seconds == pytest.approx(model.seconds(work, 2))
    assert rows[0].share >= rows[1].share >= rows[2].share


class Twice:
    """Predicts twice the truth."""

    def operator_s(self, operator: Operator, batch: int = 1) -> float:
        return 2 * truth_s(operator, batch)

    def seconds(self, work, batch: int = 1) -> float:
        return sum(self.operator_s(one, batch) for one in work)


def test_errors_of_a_prediction_by_hand():
    rows = total_rows(Twice(), profile(3))
    assert len(rows) == 6
    assert [row.error for row in rows] == pytest.approx([1.0] * 6)
    assert median_error(rows).value == pytest.approx(1.0)
    kinds = kind_rows(Twice(), profile(3))
    assert [row.kind for row in kinds] == ["activation", "conv", "linear"]
    assert all(row.ratio == pytest.approx(2.0) for row in kinds)
    assert all(row.error.value == pytest.approx(1.0) for row in kinds)
    assert roofline_error(Twice(), profile(3)).total.low == pytest.approx(1.0)


def test_the_interval_of_a_median_widens_when_units_agree_within():
    values = np.repeat(generator(1).uniform(size=8), 20)
    alike = [str(i // 20) for i in range(160)]
    apart = [str(i) for i in range(160)]
    wide, narrow = median_estimate(values, alike), median_estimate(values, apart)
    assert wide.value == narrow.value
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_a_recipe_of_another_kind_is_refused(tmp_path):
    (tmp_path / "recipe.yaml").write_text("kind: digits\n")
    with pytest.raises(ScenarioError, match="not a recipe"):
        latency.make(tmp_path)


def test_an_empty_profile_teaches_nothing():
    with pytest.raises(ValueError, match="no node"):
        fit_latency(Profile(Host("x", 1, "2"), {}))
