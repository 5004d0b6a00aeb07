"""GDN against its formula, and the transforms of the Entropic Student by shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from simsplit.errors import ScenarioError
from simsplit.networks.codes.build import make_code
from simsplit.networks.codes.contract import DigitalCode, Noise
from simsplit.networks.codes.gdn import Gdn1
from simsplit.scenario.code_specs import CodeSpec

GDN = {"kind": "entropic", "channels": 6, "transforms": "gdn"}
EIGHTH = {"stride": 8, "encoder_channels": [4, 5, 6]}


def code_of(shape: tuple[int, ...], until: tuple[int, ...], **said: object) -> DigitalCode:
    spec: CodeSpec = TypeAdapter(CodeSpec).validate_python(GDN | said)
    code = make_code(spec, shape, seed=2, until=until)
    assert isinstance(code, DigitalCode)
    return code


@pytest.mark.parametrize("inverse", [False, True])
def test_the_formula(inverse: bool) -> None:
    """x / (beta + gamma |x|) position by position, worked out in NumPy."""
    layer, generator = Gdn1(3, inverse=inverse), torch.Generator().manual_seed(1)
    with torch.no_grad():
        layer.root_gamma.copy_(torch.rand((3, 3, 1, 1), generator=generator))
        layer.root_beta.copy_(torch.tensor([0.5, 1.0, 2.0]))
        x = torch.randn((2, 3, 4, 5), generator=generator)
        seen = layer(x).numpy()
        beta, gamma = layer.beta.numpy(), layer.gamma.numpy()
    norm = beta[None, :, None, None] + np.einsum("ij,bjhw->bihw", gamma, np.abs(x.numpy()))
    wanted = x.numpy() * norm if inverse else x.numpy() / norm
    np.testing.assert_allclose(seen, wanted, rtol=1e-5, atol=1e-6)


def test_gdn_and_its_inverse_begin_as_published() -> None:
    """beta 1 and gamma 0.1 of a channel upon itself; the inverse is a product, no true inverse."""
    with torch.no_grad():
        for inverse, wanted in ((False, 2.0 / 1.2), (True, 2.0 * 1.2)):
            one = Gdn1(4, inverse=inverse)(torch.full((1, 4, 1, 1), 2.0))
            torch.testing.assert_close(one, torch.full((1, 4, 1, 1), wanted))


@pytest.mark.parametrize(
    ("said", "until", "latent"),
    [
        ({"stride": 4}, (10, 8, 8), (6, 7, 7)),  # published: 96, 48 and 512, 256
        (EIGHTH, (10, 4, 4), (6, 3, 3)),
        ({"stride": 4, "encoder_channels": [4, 5], "decoder_channels": [8]}, (9, 8, 8), (6, 7, 7)),
        (EIGHTH | {"decoder_channels": [8, 7]}, (5, 16, 16), (6, 3, 3)),
        (EIGHTH | {"decoder_channels": [8, 7, 6, 5]}, (5, 8, 8), (6, 3, 3)),
        (EIGHTH | {"decoder_channels": [8] * 3}, (5, 7, 7), (6, 3, 3)),
    ],
    ids=["published", "eighth", "one convolution", "doubled twice", "longer", "rounded up"],
)  # fmt: skip
def test_shapes(said: dict[str, object], until: tuple[int, ...], latent: tuple[int, ...]) -> None:
    code = code_of((3, 32, 32), until, **said)
    pictures = torch.rand((2, 3, 32, 32), generator=torch.Generator().manual_seed(4))
    code.calibrate(pictures, torch.rand((2, *until)))
    with torch.no_grad():
        made = code.encode(pictures)
        assert made.shape == (2, *latent)
        assert code.decode(made).shape == (2, *until)


def test_the_published_sizes_are_the_ones_left_out() -> None:
    """conv 5x5 -> 96, conv 5x5 -> 48, conv 2x2 -> L; conv 2x2 -> 512, -> 256, -> C."""
    code = code_of((3, 16, 16), (11, 4, 4), stride=4)
    shapes = [
        tuple(p.shape)
        for name, p in code.named_parameters()
        if name.endswith(".weight") and name.startswith(("down.", "up."))
    ]
    assert shapes == [
        (96, 3, 5, 5), (48, 96, 5, 5), (6, 48, 2, 2),
        (512, 6, 2, 2), (256, 512, 2, 2), (11, 256, 2, 2),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "until", "said", "path"),
    [
        ((3, 32, 32), (5, 4, 4), {"stride": 8}, "code.encoder_channels"),
        ((3, 32, 32), (5, 5, 5), {"stride": 4}, "code.stride"),
        ((3, 32, 32), (5, 2, 2), {"stride": 4}, "code.stride"),
        ((3, 4, 4), (5, 1, 1), {"stride": 4}, "code.stride"),
        ((12,), (5,), {}, "code.transforms"),
        ((3, 32, 32), (5, 32, 32), {"stride": 4, "decoder_channels": [8]}, None),
        (
            (3, 32, 32),
            (5, 32, 32),
            EIGHTH | {"decoder_channels": [8] * 2},
            "code.decoder_channels",
        ),
    ],
)
def test_sizes_that_do_not_fit(
    shape: tuple[int, ...], until: tuple[int, ...], said: dict[str, object], path: str | None
) -> None:
    with pytest.raises(ScenarioError) as caught:
        code_of(shape, until, **said)
    assert path is None or caught.value.path == path


def test_the_gradient_reaches_every_number() -> None:
    """Of gamma too, which is nearly 0 between channels when training begins."""
    code = code_of((3, 16, 16), (7, 4, 4), stride=4, encoder_channels=[4, 5], decoder_channels=[6])
    pictures = torch.rand((4, 3, 16, 16), generator=torch.Generator().manual_seed(4))
    code.calibrate(pictures, torch.rand((4, 7, 4, 4)))
    code.requires_grad_(True)
    passed = code.through(pictures, Noise(), torch.Generator().manual_seed(5))
    assert passed.bits is not None
    (passed.feature.square().sum() + passed.bits.sum()).backward()  # type: ignore[no-untyped-call]
    for name, parameter in code.named_parameters():
        assert parameter.grad is not None and bool((parameter.grad != 0).any()), name


@pytest.mark.parametrize("bits", [3, 8])
def test_codes_sent_as_they_are(bits: int) -> None:
    """Eight bytes of range, then n bits each; the training's rounding is what arrives."""
    code = code_of((3, 16, 16), (7, 4, 4), kind="bottleneck", bits=bits, stride=4, tables=False)
    pictures = torch.rand((5, 3, 16, 16), generator=torch.Generator().manual_seed(4))
    code.calibrate(pictures, torch.rand((5, 7, 4, 4)))
    with torch.no_grad():
        code.settle(pictures)
        latents = code.encode(pictures)
    payloads = [code.pack(row) for row in latents.numpy()]
    values = 6 * 3 * 3
    assert {len(payload) for payload in payloads} == {8 + -(-values * bits // 8)}
    assert code.header_bytes == 8 and code.range_coded == (0, 0, 0)
    assert code.information_bits(latents[0].numpy()) == values * bits
    arrived = np.stack([code.unpack(payload) for payload in payloads])
    np.testing.assert_array_equal(arrived, code.rounded(latents).numpy())
