"""JSCC at any cut: k complex symbols of mean power 1, decoded knowing the noise of each.

At the cut ``input`` this is DeepJSCC for pictures (Bourtsoulatze et al., IEEE Trans. Cogn. Commun.
Netw. 2019); behind it a code for features. Conventions: `simsplit.networks.deepjscc`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from simsplit.errors import ScenarioError
from simsplit.networks.codes.contract import AnalogCode, Noise, Passed, Shape
from simsplit.networks.codes.transforms import (
    BetweenForms,
    Form,
    Synthesis,
    analysis,
    doublings,
    strided,
)
from simsplit.networks.deepjscc import (
    JsccBottleneck,
    awgn,
    erase_tail,
    prefix_lengths,
    training_noise_variance,
)
from simsplit.phy.analog import ERASED_NOISE_VARIANCE
from simsplit.scenario.code_specs import JsccCodeSpec

_BLOCKS = 8  # consecutive blocks of symbols, each of which may be lost in training


class JsccCode(BetweenForms, AnalogCode):
    """Feature ↔ k complex channel symbols."""

    decoder_names = ("up.", "target.", "air.from_symbols.", "air.gate_", "air.leave.")

    def __init__(self, spec: JsccCodeSpec, shape: Shape, until: Shape | None = None) -> None:
        super().__init__(shape, until)
        self.form, self.shortest = Form(shape), spec.shortest
        self.deep = spec.stride > 1 or until is not None  # whether transforms surround the symbols
        if until is not None:
            self.target = Form(until, path="until")
        height, width = strided(self.form, spec.stride)
        per_position = _symbols_per_position(spec.symbols, height * width)
        inner = spec.hidden if self.deep else self.form.channels
        self.air = JsccBottleneck(
            inner,
            per_position,
            height,
            width,
            spec.hidden,
            kernel=self.form.kernel,
            rectified=self.deep,
        )
        if self.deep:
            self.down = analysis(self.form, spec.hidden, spec.hidden, spec.stride)
            steps = doublings((height, width), self.goal.size)
            self.up = Synthesis(self.goal, spec.hidden, spec.hidden, steps)
        if spec.nested:
            self.air.nest()
        self.symbol_count, self.is_nested = self.air.symbol_count, spec.nested

    def encode(self, feature: Tensor) -> Tensor:
        """Feature → symbols ``(B, k)`` complex64, mean |z|² = 1 per sample."""
        grid = self.form.enter(feature)
        return self.air.encode(self.down(grid) if self.deep else grid)

    def decode(self, received: Tensor, noise_variance: Tensor) -> Tensor:
        """Equalised symbols and their noise variance, ``(B, k)`` each → feature."""
        grid = self.air.decode(received, noise_variance)
        return self.goal.leave(self.up(grid) if self.deep else grid)

    def through(self, feature: Tensor, noise: Noise, generator: torch.Generator) -> Passed:
        """AWGN and block fading of random SNR, lost blocks, and of a nested code random ends."""
        symbols = self.encode(feature)
        size = (len(symbols), self.symbol_count)
        variance = _variance(size, noise, generator).to(symbols.device)
        received, variance = erase_blocks(
            awgn(symbols, variance, generator), variance, noise.erasures, generator
        )
        if self.is_nested:
            lengths = prefix_lengths(*size, generator, shortest=self.shortest)
            received, variance = erase_tail(received, variance, lengths)
        return Passed(self.decode(received, variance))


def _variance(size: tuple[int, int], noise: Noise, generator: torch.Generator) -> Tensor:
    snr_db, share = noise.snr_db, noise.fading_share
    return training_noise_variance(*size, generator, snr_db=snr_db, fading_share=share)


def _symbols_per_position(symbols: int, positions: int) -> int:
    if symbols % positions:
        nearest = max(1, symbols // positions)
        choices = [str(positions * n) for n in (nearest, nearest + 1)]
        message = (
            f"k must be a multiple of the {positions} positions of the code's grid (a larger "
            "stride has fewer)"
        )
        raise ScenarioError(message, path="code.symbols", value=symbols, choices=choices)
    return symbols // positions


def erase_blocks(
    received: Tensor, noise_variance: Tensor, share: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Loses each of `_BLOCKS` consecutive parts of the symbols with probability ``share``."""
    if not share:
        return received, noise_variance
    samples, count = received.shape
    lost = torch.rand((samples, _BLOCKS), generator=generator) < share
    block = torch.arange(count) * _BLOCKS // count
    gone = lost[:, block].to(received.device)
    return received.masked_fill(gone, 0.0), noise_variance.masked_fill(gone, ERASED_NOISE_VARIANCE)
