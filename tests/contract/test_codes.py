"""One contract for every trained code, ours and a user's own, for every shape of feature."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from coded_digits import write_module
from simsplit.codecs.contract import CodecError
from simsplit.errors import ScenarioError
from simsplit.networks.codes.build import make_code
from simsplit.networks.codes.contract import AnalogCode, DigitalCode, Noise
from simsplit.operators import OF_CODE, total_macs
from simsplit.scenario.code_specs import CodeSpec, scheme_of

SHAPES = {"map": (6, 5, 7), "tokens": (5, 8), "vector": (12,)}
POSITIONS = {"map": 35, "tokens": 5, "vector": 1}
KINDS: dict[str, dict[str, Any]] = {
    "bottleneck": {"kind": "bottleneck", "channels": 3, "bits": 4, "hidden": 8},
    "entropic": {"kind": "entropic", "channels": 3, "hidden": 8},
    "jscc": {"kind": "jscc", "symbols": 0, "hidden": 8},
    "nested": {"kind": "jscc", "symbols": 0, "hidden": 8, "nested": True},
    "own digital": {"kind": "custom", "target": "coded_nets:Floats", "scheme": "separate"},
    "own pair": {"kind": "custom", "target": "coded_nets:Linear", "scheme": "jscc"},
    "own whole": {
        "kind": "custom",
        "target": "coded_nets:Whole",
        "scheme": "jscc",
        "channel": "channel",
        "symbol_power": 2.0,
    },
}
TRAINED = [name for name in KINDS if name != "own digital"]
DIGITAL = [
    name
    for name in KINDS
    if scheme_of(
        TypeAdapter(CodeSpec).validate_python(
            KINDS[name] | ({"symbols": 1} if KINDS[name].get("symbols") == 0 else {})
        )
    )
    == "separate"
]
ANALOG = [name for name in KINDS if name not in DIGITAL]
EVERY_SHAPE = pytest.mark.parametrize("form", SHAPES)


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_module(tmp_path, monkeypatch)


def features(form: str, count: int = 40, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((count, *SHAPES[form]), generator=generator) * 2.0


def spec_of(name: str, form: str) -> CodeSpec:
    content = dict(KINDS[name])
    if content.get("symbols") == 0:
        content["symbols"] = 2 * POSITIONS[form]
    spec: CodeSpec = TypeAdapter(CodeSpec).validate_python(content)
    return spec


def code_of(name: str, form: str) -> DigitalCode | AnalogCode:
    if name == "own pair" and form == "map":
        form = "tokens"  # its pairs need an even number of values
    code = make_code(spec_of(name, form), SHAPES[form], seed=3)
    seen = features(form)
    code.calibrate(seen)
    with torch.no_grad():
        code.settle(seen)
    return code.requires_grad_(False)


def cases(names: list[str]) -> Any:
    pairs = [(n, f) for n in names for f in SHAPES if (n, f) != ("own pair", "map")]
    return pytest.mark.parametrize(("name", "form"), pairs)


@cases(list(KINDS))
def test_what_comes_back_has_the_shape_and_is_finite(name: str, form: str) -> None:
    code, seen = code_of(name, form), features(form, 3, seed=9)
    given = code.encode(seen)
    if isinstance(code, DigitalCode):
        latents = np.stack([code.unpack(code.pack(row)) for row in given.numpy()])
        back = code.decode(torch.from_numpy(latents))
    else:
        back = code.decode(given, torch.full(given.shape, 0.1))
    assert back.shape == seen.shape and bool(torch.isfinite(back).all())


@cases(list(KINDS))
def test_the_same_again(name: str, form: str) -> None:
    """Also by a second code that was given the first one's weights."""
    one, seen = code_of(name, form), features(form, 2, seed=5)
    two = make_code(spec_of(name, form), SHAPES[form], seed=8)
    two.load_state_dict(one.state_dict())
    assert torch.equal(one.encode(seen), two.encode(seen))
    if isinstance(one, DigitalCode) and isinstance(two, DigitalCode):
        rows = one.encode(seen).numpy()
        assert [one.pack(row) for row in rows] == [two.pack(row) for row in rows]


@cases(TRAINED)
def test_training_reaches_every_weight_that_is_not_fixed(name: str, form: str) -> None:
    code, seen = code_of(name, form).requires_grad_(True).train(), features(form, 8)
    passed = code.through(seen, Noise(), torch.Generator().manual_seed(1))
    loss = passed.feature.square().mean()
    if passed.bits is not None:
        assert passed.bits.shape == (8,) and bool((passed.bits > 0).all())
        loss = loss + passed.bits.mean()
    loss.backward()  # type: ignore[no-untyped-call]
    assert passed.feature.shape == seen.shape
    assert [n for n, p in code.named_parameters() if p.grad is None] == []


@cases(list(KINDS))
def test_both_sides_have_a_cost(name: str, form: str) -> None:
    encoder, decoder = code_of(name, form).operators()
    assert (encoder and decoder) or name == "own digital"
    assert all(operator.name.startswith(OF_CODE) for operator in (*encoder, *decoder))
    if not name.startswith("own"):
        assert total_macs(encoder) > 0 and total_macs(decoder) > 0


@cases([name for name in DIGITAL if name != "own digital"])
def test_latents_come_back_within_half_a_step(name: str, form: str) -> None:
    code = code_of(name, form)
    assert isinstance(code, DigitalCode)
    for row in code.encode(features(form, 4, seed=2)).numpy():
        back = code.unpack(code.pack(row))
        step = (row.max() - row.min()) / 15 if name == "bottleneck" else 1.0
        assert np.abs(back - row).max() <= 0.5001 * step
        assert 0 < code.information_bits(row) <= 8 * len(code.pack(row))


@cases([name for name in DIGITAL if name != "own digital"])
def test_what_a_frozen_encoder_gives_in_training_is_what_arrives(name: str, form: str) -> None:
    code = code_of(name, form)
    assert isinstance(code, DigitalCode) and code.rounds
    latents = code.encode(features(form, 4, seed=2))
    arrived = np.stack([code.unpack(code.pack(row)) for row in latents.numpy()])
    np.testing.assert_array_equal(code.rounded(latents).numpy(), arrived)
    assert code.header_bytes is not None and len(code.pack(latents[0].numpy())) > code.header_bytes


@pytest.mark.parametrize("name", ["bottleneck", "entropic", "jscc", "nested"])
@pytest.mark.parametrize("until", [(9, 5, 7), (4, 10, 14), (9,)], ids=["map", "larger", "vector"])
def test_the_decoder_leads_where_it_is_told(name: str, until: tuple[int, ...]) -> None:
    """To another map, to one twice as large; not from a map of 5 x 7 to a vector."""
    spec = spec_of(name, "map")
    if until == (9,):
        with pytest.raises(ScenarioError, match="never gives the 1 x 1"):
            make_code(spec, SHAPES["map"], until=until)
        return
    code, seen = make_code(spec, SHAPES["map"], until=until), features("map")
    code.calibrate(seen, torch.rand((40, *until)))
    with torch.no_grad():
        code.settle(seen)
    passed = code.through(seen, Noise(), torch.Generator().manual_seed(1))
    assert passed.feature.shape == (40, *until) and code.given_shape == until
    halves = [n.startswith(code.decoder_names) for n, _ in code.named_parameters()]
    assert True in halves and False in halves
    encoder, decoder = code.operators()
    assert total_macs(encoder) > 0 and total_macs(decoder) > 0


@cases([name for name in DIGITAL if name != "own digital"])
def test_a_flipped_bit_is_noticed(name: str, form: str) -> None:
    code = code_of(name, form)
    assert isinstance(code, DigitalCode)
    payload = bytearray(code.pack(code.encode(features(form, 1)).numpy()[0]))
    for place in range(len(payload)):
        damaged = bytes([*payload[:place], payload[place] ^ 4, *payload[place + 1 :]])
        with pytest.raises(CodecError):
            code.unpack(damaged)


@cases(ANALOG)
def test_symbols_have_power_one_per_sample(name: str, form: str) -> None:
    code = code_of(name, form)
    assert isinstance(code, AnalogCode)
    loud = features(form, 3) * torch.tensor([0.1, 1.0, 50.0]).view(3, *[1] * len(SHAPES[form]))
    symbols = code.encode(loud)
    assert symbols.dtype == torch.complex64 and symbols.shape == (3, code.symbol_count)
    torch.testing.assert_close(symbols.abs().square().mean(1), torch.ones(3), rtol=1e-4, atol=0)


@EVERY_SHAPE
def test_a_nested_code_decodes_every_prefix(form: str) -> None:
    """Erased symbols say nothing: whatever stands there, the feature is the same."""
    code = code_of("nested", form)
    assert isinstance(code, AnalogCode) and code.is_nested
    symbols = code.encode(features(form, 2))
    variance = torch.full(symbols.shape, 0.1)
    for sent in range(1, code.symbol_count + 1, max(1, code.symbol_count // 4)):
        gone = torch.arange(code.symbol_count) >= sent
        erased = variance.masked_fill(gone, 1e9)
        one = code.decode(symbols.masked_fill(gone, 0.0), erased)
        two = code.decode(symbols.masked_fill(gone, 1.0), erased)
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


# --- a class that breaks the contract ---------------------------------------------------------

BROKEN = {
    1: ("separate", "def encode(self, f): return [1]\n    def decode(self, p): return p"),
    2: (
        "separate",
        "def encode(self, f): return b'x'\n    def decode(self, p): return torch.ones(3)",
    ),
    3: ("jscc", "def encode(self, f): return f[:, :3]\n    def decode(self, r): return r"),
    4: (
        "jscc",
        "def encode(self, f): return torch.full((len(f), 4), 2 + 0j)\n"
        "    def decode(self, r): return torch.ones(len(r), 12)",
    ),
    5: (
        "jscc",
        "def encode(self, f): return torch.ones(len(f), 4) + 0j\n"
        "    def decode(self, r): return torch.ones(len(r), 3)",
    ),
    6: (
        "jscc",
        "def encode(self, f): return torch.exp(1j * torch.rand(len(f), 4))\n"
        "    def decode(self, r): return torch.ones(len(r), 12)",
    ),
}


@pytest.mark.parametrize("clause", BROKEN)
def test_an_error_names_the_clause(clause: int, tmp_path: Path) -> None:
    scheme, body = BROKEN[clause]
    module = f"broken_{clause}"
    (tmp_path / f"{module}.py").write_text(f"import torch\nclass Bad:\n    {body}\n")
    content = {"kind": "custom", "target": f"{module}:Bad", "scheme": scheme}
    spec: CodeSpec = TypeAdapter(CodeSpec).validate_python(content)
    with pytest.raises(ScenarioError, match=f"breaks clause {clause} of codes"):
        make_code(spec, (12,))


@pytest.mark.parametrize("shape", [(2, 6), (7,)])
def test_an_own_code_leads_where_it_is_told(shape: tuple[int, ...], tmp_path: Path) -> None:
    body = (
        "    def __init__(self, until_shape): self.until_shape = until_shape\n"
        "    def encode(self, f): return f.numpy().tobytes()\n"
        f"    def decode(self, p): return torch.ones({shape})\n"
    )
    (tmp_path / f"leading_{len(shape)}.py").write_text(f"import torch\nclass Own:\n{body}")
    target = f"leading_{len(shape)}:Own"
    content = {"kind": "custom", "target": target, "scheme": "separate"}
    spec: CodeSpec = TypeAdapter(CodeSpec).validate_python(content)
    if shape == (7,):
        with pytest.raises(ScenarioError, match="breaks clause 2 of codes"):
            make_code(spec, (12,), until=(2, 6))
        return
    code = make_code(spec, (12,), until=(2, 6))
    assert isinstance(code, DigitalCode)
    assert code.unpack(code.pack(np.ones(12, np.float32))).shape == (2, 6)


def test_the_channel_inside_plays_no_part(tmp_path: Path) -> None:
    """Its own noise is never heard: what the air delivers takes its place."""
    code = code_of("own whole", "vector")
    assert isinstance(code, AnalogCode)
    symbols = code.encode(features("vector", 2))
    one, two = (code.decode(symbols, torch.ones(symbols.shape)) for _ in range(2))
    assert torch.equal(one, two)
