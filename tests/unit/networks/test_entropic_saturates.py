"""Latents beyond the 16 bits of an escaped integer are sent as the largest there is."""

from __future__ import annotations

import numpy as np
import torch

from simsplit.networks.codes.build import make_code
from simsplit.networks.codes.entropic import EntropicCode
from simsplit.scenario.code_specs import EntropicCodeSpec


def test_a_latent_beyond_16_bits_saturates() -> None:
    code = make_code(EntropicCodeSpec(kind="entropic", channels=2, hidden=8), (4, 6, 6), seed=1)
    assert isinstance(code, EntropicCode)
    seen = torch.rand(16, 4, 6, 6)
    code.calibrate(seen)
    with torch.no_grad():
        code.settle(seen)
        latent = code.encode(seen[:1])
        latent[0, 0, 0, 0], latent[0, 1, 2, 2] = 1e6, -4e4
        rounded = code.rounded(latent)[0].numpy()
    payload = code.pack(latent[0].numpy())
    assert rounded.max() == 32_767
    assert rounded.min() == -32_768
    np.testing.assert_array_equal(code.unpack(payload), rounded)
    assert abs(8 * len(payload) - code.information_bits(latent[0].numpy())) < 128
