"""The analog bottleneck: power, SNR convention, what the decoder is told, how it is trained."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from simsplit.networks.deepjscc import (
    JsccBottleneck,
    awgn,
    erase_tail,
    nested_order,
    prefix_lengths,
    training_noise_variance,
    unit_power,
)
from simsplit.phy.analog import pad_erased


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


@pytest.fixture(scope="module")
def nested() -> JsccBottleneck:
    torch.manual_seed(0)
    bottleneck = JsccBottleneck(32, 12, 4, 8).eval().requires_grad_(False)
    bottleneck.nest()
    return bottleneck


class TestNestedCode:
    feature = torch.rand(3, 32, 4, 8, generator=seeded())

    def test_every_prefix_of_whole_channels_has_power_one(self, nested: JsccBottleneck) -> None:
        loudness = torch.tensor([0.01, 1.0, 100.0]).view(3, 1, 1, 1)
        symbols = nested.encode(self.feature * loudness)
        assert symbols.dtype == torch.complex64 and symbols.shape == (3, 384)
        power = symbols.abs().square().view(3, 12, 32).mean(dim=2)
        torch.testing.assert_close(power, torch.ones(3, 12), rtol=1e-5, atol=0)

    @pytest.mark.parametrize("grid", [(12, 4, 8), (4, 2, 2), (3, 1, 1), (2, 5, 7)])
    def test_order_keeps_every_symbol_once_channel_by_channel(
        self, grid: tuple[int, int, int]
    ) -> None:
        channels, height, width = grid
        order = nested_order(*grid).view(channels, height * width)
        for channel, places in enumerate(order):
            first = channel * height * width
            assert sorted(places.tolist()) == list(range(first, first + height * width))

    def test_part_of_a_channel_is_all_over_the_picture(self) -> None:
        """Half of it: two to six of eight columns in every row, one to three of four rows."""
        half = torch.zeros(32)
        half[nested_order(1, 4, 8)[:16]] = 1.0
        rows, columns = half.view(4, 8).sum(dim=1), half.view(4, 8).sum(dim=0)
        assert 2 <= rows.min() <= rows.max() <= 6
        assert 1 <= columns.min() <= columns.max() <= 3

    def test_decoder_puts_symbols_back(self, nested: JsccBottleneck) -> None:
        """The third symbol of a channel is raster position 2 · 19 mod 32 = 6: row 0, column 6."""
        assert nested_order(12, 4, 8)[34].item() == 32 + 6
        symbols, variance = nested.encode(self.feature[:1]), torch.full((1, 384), 0.01)
        changed = symbols.clone()
        changed[0, 34] += 1.0
        moved = nested.decode(changed, variance) - nested.decode(symbols, variance)
        places = moved.abs().sum(dim=(0, 1))
        assert places[:3, 4:].min() > 0  # two 3x3 reach two rows and two columns
        assert places[3].sum() == 0 and places[:, :4].sum() == 0

    def test_erased_tail_is_that_of_the_air(self, nested: JsccBottleneck) -> None:
        received = nested.encode(self.feature)
        variance = torch.rand(3, 384, generator=seeded())
        lengths = torch.tensor([48, 200, 384])
        symbols, noise = erase_tail(received, variance, lengths)
        for row, sent in enumerate(lengths.tolist()):
            cut = (received[row, :sent].numpy(), variance[row, :sent].numpy())
            for ours, air in zip((symbols, noise), pad_erased(*cut, 384), strict=True):
                np.testing.assert_array_equal(ours[row].numpy(), air)

    def test_what_was_erased_does_not_matter(self, nested: JsccBottleneck) -> None:
        symbols, variance = nested.encode(self.feature), torch.full((3, 384), 0.1)
        other = symbols.clone()
        other[:, 96:] *= -7.0
        lengths = torch.full((3,), 96)
        first, second = (nested.decode(*erase_tail(z, variance, lengths)) for z in (symbols, other))
        torch.testing.assert_close(first, second, rtol=0, atol=0)

    def test_training_lengths(self) -> None:
        lengths = prefix_lengths(20_000, 384, seeded())
        assert lengths.min() == 48 and lengths.max() == 384
        assert (lengths == 384).float().mean().item() == pytest.approx(0.25, abs=0.015)
        cut = lengths[lengths < 384].float()
        assert cut.mean().item() == pytest.approx((48 + 383) / 2, abs=3.0)

    def test_weights_tell_whether_they_are_nested(self, nested: JsccBottleneck) -> None:
        plain = JsccBottleneck(32, 12, 4, 8)
        before = plain.state_dict()
        assert "symbol_order" not in before
        plain.load_state_dict(nested.state_dict())
        assert torch.equal(plain.encode(self.feature), nested.encode(self.feature))
        plain.load_state_dict(before)
        assert plain.symbol_order is None
