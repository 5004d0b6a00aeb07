"""What digital codes of ours share: transforms from a feature to a latent, and on to the goal."""

from __future__ import annotations

from torch import nn

from simsplit.networks.codes.contract import DigitalCode, Shape
from simsplit.networks.codes.gdn import GdnSynthesis, gdn_analysis
from simsplit.networks.codes.transforms import (
    BetweenForms,
    Form,
    Synthesis,
    analysis,
    doublings,
    strided,
)
from simsplit.scenario.code_specs import BottleneckCodeSpec, EntropicCodeSpec


class TransformedCode(BetweenForms, DigitalCode):
    """Feature → grid of mean 0 and deviation 1 → latent; latent → grid → what the decoder gives.

    Args:
        spec: Which transforms, and their sizes.
        shape: Of the feature.
        until: Of what the decoder gives; None: of the feature itself.
    """

    decoder_names = ("up.", "target.")
    rounds = True

    def __init__(
        self, spec: BottleneckCodeSpec | EntropicCodeSpec, shape: Shape, until: Shape | None
    ) -> None:
        super().__init__(shape, until)
        self.form = Form(shape)
        if until is not None:
            self.target = Form(until, path="until")
        self.down: nn.Module
        self.up: nn.Module
        if spec.transforms == "gdn":
            encoder, decoder = spec.gdn_channels
            self.down, self.latent_shape = gdn_analysis(
                self.form, spec.channels, encoder, spec.stride
            )
            self.up = GdnSynthesis(self.goal, self.latent_shape, decoder)
        else:
            grid = strided(self.form, spec.stride)
            self.latent_shape = (spec.channels, *grid)
            self.down = analysis(self.form, spec.channels, spec.hidden, spec.stride)
            steps = doublings(grid, self.goal.size)
            self.up = Synthesis(self.goal, spec.channels, spec.hidden, steps)
