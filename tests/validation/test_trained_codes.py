"""Trained codes against theory: what bytes cost, what the air adds, what a linear code can do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from simsplit.messages import Delivery
from simsplit.networks.codes.build import make_code
from simsplit.networks.codes.contract import DigitalCode
from simsplit.networks.codes.entropic import LogisticMixture
from simsplit.pipeline.air import over_the_air
from simsplit.scenario.code_specs import BottleneckCodeSpec, EntropicCodeSpec

SHAPE = (16, 14, 14)
PHOTO = (3, 96, 96)
GDN: dict[str, Any] = {
    "transforms": "gdn",
    "stride": 8,
    "channels": 12,
    "encoder_channels": (8, 12, 16),
    "decoder_channels": (24,),
}


def features(count: int, seed: int) -> torch.Tensor:
    """Smooth, skewed maps, about as a trunk gives them."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((count, *SHAPE), generator=generator)
    smooth = torch.nn.functional.avg_pool2d(noise, 3, 1, 1) * 3.0
    return torch.relu(smooth)


@pytest.mark.parametrize(
    ("spec", "overhead"),
    [
        (EntropicCodeSpec(kind="entropic", channels=12, hidden=16), 0.02),
        (BottleneckCodeSpec(kind="bottleneck", channels=12, bits=6, hidden=16), 0.02),
    ],
    ids=["entropic", "bottleneck"],
)
def test_real_bytes_are_within_two_per_cent_of_the_information(
    spec: EntropicCodeSpec | BottleneckCodeSpec, overhead: float
) -> None:
    """All of the payload, checksum (and the bottleneck's range) included."""
    code = make_code(spec, SHAPE, seed=1)
    assert isinstance(code, DigitalCode)
    seen = features(64, seed=1)
    code.calibrate(seen)
    with torch.no_grad():
        code.settle(seen)
        latents = code.encode(features(24, seed=2)).numpy()
    real = sum(8 * len(code.pack(row)) for row in latents)
    information = sum(code.information_bits(row) for row in latents)
    assert 1.0 <= real / information <= 1.0 + overhead


def photos(count: int, seed: int) -> torch.Tensor:
    """Blurred noise in three channels, each picture of its own contrast."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn((count, *PHOTO), generator=generator)
    contrast = 1.0 + 4.0 * torch.rand((count, 1, 1, 1), generator=generator)
    return contrast * torch.nn.functional.avg_pool2d(noise, 9, 1, 4)


@pytest.mark.parametrize(
    ("spec", "most"),
    [
        (EntropicCodeSpec(kind="entropic", **GDN), 0.02),
        (BottleneckCodeSpec(kind="bottleneck", bits=6, **GDN), 0.02),
        (BottleneckCodeSpec(kind="bottleneck", bits=6, tables=False, **GDN), 0.0),
    ],
    ids=["entropic", "bottleneck", "raw"],
)
def test_a_students_bytes_are_the_information_and_a_stated_header(
    spec: EntropicCodeSpec | BottleneckCodeSpec, most: float
) -> None:
    """12 x 11 x 11 latents of pictures, for a decoder that gives 20 x 12 x 12."""
    code = make_code(spec, PHOTO, seed=1, until=(20, 12, 12))
    assert isinstance(code, DigitalCode) and code.header_bytes is not None
    seen = photos(64, seed=1)
    code.calibrate(seen, torch.rand((64, 20, 12, 12)))
    with torch.no_grad():
        code.settle(seen)
        latents = code.encode(photos(24, seed=2)).numpy()
    real = sum(8 * (len(code.pack(row)) - code.header_bytes) for row in latents)
    information = sum(code.information_bits(row) for row in latents)
    assert 1.0 <= real / information <= 1.0 + most


def test_the_prior_is_a_distribution_exact_in_its_tails() -> None:
    """Against SciPy's logistic in double precision."""
    prior = LogisticMixture(1).double()
    values = torch.arange(-400.0, 401.0, dtype=torch.float64).view(1, -1)
    with torch.no_grad():
        assert float(prior.log_probability(values).exp().sum()) == pytest.approx(1.0, abs=1e-12)
        prior.weight.copy_(torch.tensor([[0.0, -80.0, -80.0]]))
        place = 10.0 * float(prior.place[0, 0])
        for value in (0.0, 30.0, -60.0):
            seen = float(prior.log_probability(torch.tensor([[value]], dtype=torch.float64)))
            low, high = (value - 0.5 - place, value + 0.5 - place)
            tail = stats.logistic.sf if low > 0 else stats.logistic.cdf
            mass = abs(tail(high) - tail(low))
            assert seen == pytest.approx(np.log(mass), rel=1e-6)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 20.0])
def test_noise_has_the_power_that_es_over_n0_says(snr_db: float) -> None:
    """Per complex symbol, as delivered by the simulator, within 0.05 dB (4,000 x 256 symbols)."""
    rng = np.random.default_rng(3)
    symbols = np.exp(2j * np.pi * rng.random(256)).astype(np.complex64)
    noise = np.concatenate(
        [
            over_the_air(symbols, Delivery(i, True, False, (200, 56), (snr_db, snr_db)), 7)[0]
            - symbols
            for i in range(4000)
        ]
    )
    power = np.mean(np.abs(noise) ** 2)
    assert -10 * np.log10(power) == pytest.approx(snr_db, abs=0.05)
    assert np.mean(noise.real**2) == pytest.approx(power / 2, rel=0.01)


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_a_linear_code_of_a_gaussian_source_reaches_the_bound(snr_db: float) -> None:
    """One value per real dimension: D = 1 / (1 + SNR) (Goblick, 1965), the Shannon bound itself.

    Scaling each sample to power 1 costs of the order of 1/k, below the tolerance.
    """
    rng = np.random.default_rng(5)
    errors = []
    for request in range(400):
        source = (rng.standard_normal(512) + 1j * rng.standard_normal(512)) / np.sqrt(2)
        scale = np.sqrt(np.mean(np.abs(source) ** 2))
        sent = (source / scale).astype(np.complex64)
        delivery = Delivery(request, True, False, (512,), (snr_db,))
        received, variance = over_the_air(sent, delivery, 11)
        errors.append(np.mean(np.abs(scale * received / (1 + variance) - source) ** 2))
    snr = 10 ** (snr_db / 10)
    mean, half = np.mean(errors), 3 * np.std(errors) / np.sqrt(len(errors))
    assert abs(mean - 1 / (1 + snr)) <= half + 0.002 / (1 + snr)
