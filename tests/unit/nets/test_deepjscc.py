"""The analog bottleneck: power, SNR convention, what the decoder is told, how it is trained."""

from __future__ import annotations

import inspect

import pytest
import torch

from simsplit.nets.deepjscc import JsccBottleneck, awgn, training_noise_variance, unit_power


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def net() -> JsccBottleneck:
    torch.manual_seed(0)
    return JsccBottleneck(32, 12, 4, 8).eval().requires_grad_(False)


def test_power_is_one_per_sample_whatever_the_feature(net: JsccBottleneck) -> None:
    loudness = torch.tensor([0.01, 1.0, 100.0]).view(3, 1, 1, 1)
    symbols = net.encode(torch.rand(3, 32, 4, 8, generator=seeded()) * loudness)
    assert symbols.dtype == torch.complex64 and symbols.shape == (3, net.symbol_count) == (3, 384)
    power = symbols.abs().square().mean(dim=1)
    torch.testing.assert_close(power, torch.ones(3), rtol=1e-5, atol=0)


def test_power_counts_complex_symbols_not_real_values() -> None:
    """Both parts together make 1; a unit power per real value would be 3.01 dB too strong."""
    normalised = unit_power(torch.full((1, 7), 3.0 + 3.0j))
    assert normalised[0, 0].real.item() == pytest.approx(0.5**0.5)


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 20.0])
def test_measured_snr_is_es_over_n0(snr_db: float) -> None:
    symbols = unit_power(torch.view_as_complex(torch.randn(40, 5000, 2, generator=seeded())))
    variance = torch.full(symbols.shape, 10.0 ** (-snr_db / 10.0))
    noise = awgn(symbols, variance, seeded(1)) - symbols
    ratio = symbols.abs().square().mean() / noise.abs().square().mean()
    assert 10.0 * torch.log10(ratio).item() == pytest.approx(snr_db, abs=0.05)
    assert noise.real.var().item() == pytest.approx(noise.imag.var().item(), rel=0.03)


def test_noise_follows_each_symbols_variance() -> None:
    variance = torch.tensor([0.0, 1.0, 4.0]).repeat_interleave(4000).view(1, -1)
    noise = awgn(torch.zeros(1, 12_000, dtype=torch.complex64), variance, seeded())
    measured = noise.abs().square().view(3, 4000).mean(dim=1)
    assert measured[0] == 0
    torch.testing.assert_close(measured[1:], torch.tensor([1.0, 4.0]), rtol=0.06, atol=0)


def test_device_needs_no_snr_but_the_edge_uses_it(net: JsccBottleneck) -> None:
    assert list(inspect.signature(net.encode).parameters) == ["feature"]
    symbols = net.encode(torch.rand(1, 32, 4, 8, generator=seeded()))
    quiet, loud = (net.decode(symbols, torch.full((1, 384), v)) for v in (0.01, 3.0))
    assert quiet.shape == (1, 32, 4, 8)
    assert not torch.allclose(quiet, loud)


def test_symbols_are_channel_major(net: JsccBottleneck) -> None:
    """A grant lost to noise hits whole channels, all over the picture, not one corner."""
    symbols = net.encode(torch.rand(1, 32, 4, 8, generator=seeded()))
    variance = torch.full((1, 384), 0.01)
    changed = symbols.clone()
    changed[0, 37] += 1.0  # channel 1, row 0, column 5
    moved = (net.decode(changed, variance) - net.decode(symbols, variance)).abs().sum(dim=(0, 1))
    assert moved[:, 5].sum() > 0 and moved[:, :3].sum() == 0  # two 3x3 reach two columns


class TestTrainingChannels:
    def test_awgn_share_has_one_variance_per_sample(self) -> None:
        variance = training_noise_variance(400, 96, seeded(), fading_share=0.0)
        assert variance.shape == (400, 96)
        assert bool((variance == variance[:, :1]).all())
        snr_db = -10.0 * torch.log10(variance[:, 0])
        assert -5.0 <= snr_db.min() < -4.0 and 19.0 < snr_db.max() <= 20.0

    def test_fading_changes_between_grants_only(self) -> None:
        variance = training_noise_variance(400, 96, seeded(), fading_share=1.0, blocks=8)
        changes = (variance.diff(dim=1) != 0).sum(dim=1)
        assert changes.max() <= 7 and changes.float().mean() > 5

    def test_fading_is_rayleigh(self) -> None:
        """|h|² ~ Exp(1): mean 1, and 1 - 1/e of the gains below the mean."""
        fixed = {"snr_db": (0.0, 0.0), "fading_share": 1.0, "blocks": 1}
        variance = training_noise_variance(20_000, 1, seeded(), **fixed)  # type: ignore[arg-type]
        gain = 1.0 / variance
        assert gain.mean().item() == pytest.approx(1.0, abs=0.03)
        assert (gain < 1.0).float().mean().item() == pytest.approx(1 - 0.3679, abs=0.015)
