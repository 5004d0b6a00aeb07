"""Validation: the shipped nested JSCC code is worth more the more of its symbols arrive.

Truth: a degraded description cannot beat the whole one that it is part of (data processing
inequality; Cover & Thomas, Elements of Information Theory, theorem 2.8.1), a code trained to be cut
off must beat one that was not, and neither may cost much uncut. The channel is made here, from
y = z + n, n ~ CN(0, 10^(-SNR/10)). Differences are paired per picture; 95 % normal intervals.
"""

from __future__ import annotations

import itertools
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from simsplit.networks.artefact import load_artefact
from simsplit.networks.inference import Inference
from simsplit.tasks.datasets import Arrays, cached_arrays, open_dataset
from simsplit.tasks.metrics import confusion, mean_iou

MODELS = Path(__file__).parents[2] / "models"
NESTED, PLAIN = "streets_nested", "streets_multitask"
PICTURES, K = 512, 384
PREFIXES = (48, 96, 192, 288, 384)

Floats = NDArray[np.float64]


@cache
def pictures() -> Arrays:
    return cached_arrays(open_dataset("streets", "test"), PICTURES)


@cache
def opened(model: str) -> tuple[Inference, NDArray[np.complex64]]:
    inference = Inference(load_artefact(MODELS, model).model)
    return inference, inference.symbols(inference.features(pictures()["image"]))


@cache
def miou(model: str, sent: int, snr_db: float) -> Floats:
    """mIoU of every picture when only the first symbols are sent."""
    inference, symbols = opened(model)
    noise_power = 10.0 ** (-snr_db / 10.0)
    received = np.zeros((PICTURES, K), np.complex64)
    variance = np.full((PICTURES, K), 1e9, np.float32)  # an erasure says nothing
    normals = np.random.default_rng(20).standard_normal((2, PICTURES, K))[:, :, :sent]
    noise = math.sqrt(noise_power / 2.0) * (normals[0] + 1j * normals[1])
    received[:, :sent], variance[:, :sent] = symbols[:, :sent] + noise, noise_power
    answers = inference.answers(inference.from_symbols(received, variance))["segmentation"]
    pairs = zip(answers, pictures()["segmentation"], strict=True)
    return np.array([mean_iou(confusion(answer, truth, 8)) for answer, truth in pairs])


def interval(differences: Floats) -> tuple[float, float]:
    half = 1.96 * differences.std(ddof=1) / math.sqrt(len(differences))
    return float(differences.mean() - half), float(differences.mean() + half)


STEPS = [(step, snr_db) for step in itertools.pairwise(PREFIXES) for snr_db in (0.0, 10.0)]
STEPS += [(step, 20.0) for step in ((48, 96), (96, 192), (192, 384))]  # saturated above k/2


@pytest.mark.slow
@pytest.mark.parametrize(("step", "snr_db"), STEPS)
def test_more_symbols_are_worth_more(step: tuple[int, int], snr_db: float) -> None:
    fewer, more = (miou(NESTED, sent, snr_db) for sent in step)
    low, _ = interval(more - fewer)
    assert low > 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("fewer", "more"), [(192, 288), (288, 384)])
def test_more_symbols_never_cost_anything(fewer: int, more: int) -> None:
    """Where nearly all is said (20 dB, above k/2) two tenths of a point are the resolution."""
    low, _ = interval(miou(NESTED, more, 20.0) - miou(NESTED, fewer, 20.0))
    assert low > -0.002


@pytest.mark.slow
@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_the_whole_code_loses_less_than_two_points(snr_db: float) -> None:
    low, _ = interval(miou(NESTED, K, snr_db) - miou(PLAIN, K, snr_db))
    assert low > -0.02


@pytest.mark.slow
@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
@pytest.mark.parametrize("sent", [K // 8, K // 4])
def test_a_prefix_beats_a_cut_off_plain_code(sent: int, snr_db: float) -> None:
    low, _ = interval(miou(NESTED, sent, snr_db) - miou(PLAIN, sent, snr_db))
    assert low > 0.0


@pytest.mark.parametrize("sent", [32, 48, 96, 200, 333, 384])
def test_any_prefix_has_the_power_that_the_air_assumes(sent: int) -> None:
    """E|z|² = 1 over what is sent: exactly after whole channels of 32, nearly in between."""
    _, symbols = opened(NESTED)
    power = (np.abs(symbols[:, :sent]) ** 2).mean(axis=1)
    np.testing.assert_allclose(power, 1.0, atol=1e-4 if sent % 32 == 0 else 0.25)
    assert power.mean() == pytest.approx(1.0, abs=0.05)


def test_only_the_code_differs() -> None:
    """Trunk, heads and digital bottleneck are the plain network's, number for number."""
    nested, plain = (load_artefact(MODELS, name).model.state_dict() for name in (NESTED, PLAIN))
    kept = [name for name in plain if not name.startswith("jscc.")]
    assert len(kept) > 50
    for name in kept:
        np.testing.assert_array_equal(nested[name].numpy(), plain[name].numpy())
