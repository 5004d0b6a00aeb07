"""Codes of a user's own: what their classes promise, and how they stand at a cut.

``target: package.module:Name`` is built with ``options`` (and ``shape``, if it takes that), where
``shape`` is that of one sample's feature; with ``until`` what is decoded has ``until_shape``, which
the class may take too. If it is an ``nn.Module``, its weights are the code's and
a recipe can train it. Clauses, named in errors:

1. ``encode`` of ``scheme: separate``: feature ``(*shape)`` float32 tensor → ``bytes``.
2. ``decode`` of ``scheme: separate``: those bytes → feature of the same shape.
3. ``encode`` of ``scheme: jscc``: features ``(B, *shape)`` → symbols, complex ``(B, k)``; or real
   ``(B, 2k)`` in any layout, the first half of a sample's values real, the second imaginary parts.
4. Mean |z|² per complex symbol is 1 for each sample (or ``symbol_power``, which is taken off ahead
   of the air and put back behind it).
5. ``decode`` of ``scheme: jscc``: symbols as received (in ``encode``'s own layout) and, if it takes
   a second argument, the noise variance ``(B, k)`` per complex symbol → features ``(B, *shape)``.
6. Everything finite, and the same for the same input.

With ``channel: PATH`` the class is one ``nn.Module`` whose ``forward(features)`` holds the channel
inside, as its submodule PATH: what enters that submodule are the symbols (clause 3), and what the
air delivers takes the place of what it would return. Nothing else may pass from before to behind.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simsplit.errors import ScenarioError
from simsplit.networks.codes.contract import (
    DECODE,
    ENCODE,
    AnalogCode,
    DigitalCode,
    Noise,
    Passed,
    Shape,
)
from simsplit.networks.costs import Recorder, every_product_visible, record
from simsplit.networks.deepjscc import awgn, training_noise_variance
from simsplit.operators import Operators
from simsplit.scenario.code_specs import CustomCodeSpec
from simsplit.scenario.user_code import import_target, users_code

_POWER_TOLERANCE = 1e-3
CLAUSES = {
    1: "encode makes bytes of one feature",
    2: "decode makes a feature of the same shape of the bytes",
    3: "encode makes symbols (B, k), complex, or real (B, 2k)",
    4: "mean |z|^2 per complex symbol is 1 for each sample (or symbol_power)",
    5: "decode makes features of the same shape of what was received",
    6: "everything is finite, and the same for the same input",
}


class Coder(Protocol):
    """What the class of a code must have."""

    def encode(self, feature: Tensor) -> bytes | Tensor:
        """Clauses 1 and 3."""

    def decode(self, received: Any) -> Tensor:
        """Clauses 2 and 5."""


class ChannelInside(Protocol):
    """What the class of a code with ``channel: PATH`` must have."""

    def forward(self, features: Tensor) -> Tensor:
        """Features ``(B, *shape)`` → features, through the channel that it holds."""


def broken(number: int, target: str, value: object) -> ScenarioError:
    """The error that says which clause of the contract a class breaks."""
    message = f"{target} breaks clause {number} of codes: {CLAUSES[number]}"
    return ScenarioError(message, path="code", value=value)


def custom_code(
    spec: CustomCodeSpec, shape: Shape, until: Shape | None = None
) -> DigitalCode | AnalogCode:
    """A user's class at a cut, checked on one feature.

    Raises:
        ScenarioError: It cannot be imported or built, or breaks a clause of the contract.
    """
    own = _built(spec, shape, until)
    if spec.scheme == "separate":
        return OwnDigitalCode(spec, shape, own, until)
    return OwnAnalogCode(spec, shape, own, until)


def _built(spec: CustomCodeSpec, shape: Shape, until: Shape | None) -> Any:
    base = ChannelInside if spec.channel else Coder
    make = import_target(spec.target, path="code.target", base=base)
    shapes = {"shape": shape, "until_shape": until or shape}
    wanted = set(shapes) & set(inspect.signature(make).parameters)
    options = {**spec.options, **{name: shapes[name] for name in wanted}}
    with users_code("cannot be built with these options", "code.options", spec.options):
        own = make(**options)
    names = ("forward",) if spec.channel else ("encode", "decode")
    missing = [name for name in names if not callable(getattr(own, name, None))]
    if missing:
        message = f"{spec.target} has no {' and no '.join(missing)}; see the contract of codes"
        raise ScenarioError(message, path="code.target", value=spec.target)
    return own.eval() if isinstance(own, nn.Module) else own


class OwnDigitalCode(DigitalCode):
    """A user's class that makes bytes; its latent is the feature itself."""

    def __init__(
        self, spec: CustomCodeSpec, shape: Shape, own: Any, until: Shape | None = None
    ) -> None:
        super().__init__(shape, until)
        self.spec, self.own = spec, own
        self._check()

    def encode(self, feature: Tensor) -> Tensor:
        """The feature as it is: the class encodes sample by sample, in `pack`."""
        return feature

    def decode(self, latent: Tensor) -> Tensor:
        """What the class decoded, as it is."""
        return latent

    def pack(self, latent: NDArray[Any]) -> bytes:
        """Feature → the class's bytes."""
        payload = self.own.encode(torch.from_numpy(np.array(latent, np.float32)))
        if not isinstance(payload, bytes):
            raise broken(1, self.spec.target, type(payload).__name__)
        return payload

    def unpack(self, payload: bytes) -> NDArray[np.float32]:
        """The class's bytes → feature."""
        feature = self.own.decode(payload)
        if not isinstance(feature, Tensor) or tuple(feature.shape) != self.given_shape:
            raise broken(2, self.spec.target, _seen(feature))
        if not bool(torch.isfinite(feature).all()):
            raise broken(6, self.spec.target, "a value that is not finite")
        return feature.detach().float().numpy()

    def through(self, feature: Tensor, noise: Noise, generator: torch.Generator) -> Passed:
        """The class's own ``through(features, generator)`` → features, or (features, bits).

        Raises:
            ScenarioError: It has none, so nothing can be trained through its bytes.
        """
        if not callable(getattr(self.own, "through", None)):
            message = f"{self.spec.target} has no `through`, so no phase can train it"
            raise ScenarioError(message, path="phases", value=self.spec.target)
        passed = self.own.through(feature, generator)
        return Passed(*passed) if isinstance(passed, tuple) else Passed(passed)

    def operators(self) -> tuple[Operators, Operators]:
        """Of what the class does in torch; its other work is not counted."""
        feature = torch.zeros(self.shape)
        with torch.no_grad():
            encoder = record(lambda _: self.own.encode(feature), self._example(), name=ENCODE)
            payload = self.own.encode(feature)
            decoder = record(lambda _: self.own.decode(payload), self._example(), name=DECODE)
        return encoder, decoder

    def _check(self) -> None:
        with torch.inference_mode():
            feature = _probe(self.shape)[0].numpy()
            payload = self.pack(feature)
            self.unpack(payload)
            if self.pack(feature) != payload:
                raise broken(6, self.spec.target, "other bytes the second time")


class OwnAnalogCode(AnalogCode):
    """A user's class that makes channel symbols."""

    def __init__(
        self, spec: CustomCodeSpec, shape: Shape, own: Any, until: Shape | None = None
    ) -> None:
        super().__init__(shape, until)
        self.spec, self.own = spec, own
        self._pair: _Pair | _Whole = _Whole(own, spec, shape) if spec.channel else _Pair(own)
        self._layout: tuple[tuple[int, ...], bool] = ((), True)
        with torch.inference_mode():
            self._check()

    def encode(self, feature: Tensor) -> Tensor:
        """Features → complex symbols ``(B, k)`` of mean power 1."""
        given = self._pair.encode(feature)
        if not isinstance(given, Tensor) or not given.dim() or len(given) != len(feature):
            raise broken(3, self.spec.target, _seen(given))
        self._layout = (tuple(given.shape[1:]), given.is_complex())
        flat = given.flatten(1)
        if not given.is_complex():
            if flat.shape[1] % 2:
                raise broken(3, self.spec.target, _seen(given))
            flat = torch.complex(*flat.float().chunk(2, dim=1))
        return flat.to(torch.complex64) / math.sqrt(self.spec.symbol_power)

    def decode(self, received: Tensor, noise_variance: Tensor) -> Tensor:
        """Symbols and variances ``(B, k)`` → features, by the class in its own layout."""
        scaled = received * math.sqrt(self.spec.symbol_power)
        shape, is_complex = self._layout
        own = scaled if is_complex else torch.cat([scaled.real, scaled.imag], dim=1)
        feature = self._pair.decode(own.reshape(len(own), *shape), noise_variance)
        if not isinstance(feature, Tensor) or feature.shape[1:] != self.given_shape:
            raise broken(5, self.spec.target, _seen(feature))
        back: Tensor = feature
        return back

    def through(self, feature: Tensor, noise: Noise, generator: torch.Generator) -> Passed:
        """AWGN and block fading of random SNR between the class's two halves."""
        symbols = self.encode(feature)
        samples, count = symbols.shape
        variance = training_noise_variance(
            samples, count, generator, snr_db=noise.snr_db, fading_share=noise.fading_share
        ).to(symbols.device)
        return Passed(self.decode(awgn(symbols, variance, generator), variance))

    def operators(self) -> tuple[Operators, Operators]:
        """Of the class's two halves."""
        with torch.no_grad():
            return self._pair.operators(self._example(), self)

    def _check(self) -> None:
        probe = _probe(self.shape)
        symbols = self.encode(probe)
        self.symbol_count = symbols.shape[1]
        power = symbols.abs().square().mean(dim=1)
        if not bool(torch.isfinite(power).all()):
            raise broken(6, self.spec.target, "symbols that are not finite")
        if not bool(((power - 1.0).abs() < _POWER_TOLERANCE).all()):
            found = [round(float(p) * self.spec.symbol_power, 4) for p in power]
            raise broken(4, self.spec.target, found)
        if not torch.equal(self.encode(probe), symbols):
            raise broken(6, self.spec.target, "other symbols the second time")
        feature = self.decode(symbols, torch.full(symbols.shape, 0.1))
        if not bool(torch.isfinite(feature).all()):
            raise broken(6, self.spec.target, "a value that is not finite")


class _Pair:
    """A class with ``encode`` and ``decode``."""

    def __init__(self, own: Any) -> None:
        self.own = own
        self._takes_noise = len(inspect.signature(own.decode).parameters) > 1

    def encode(self, feature: Tensor) -> Any:
        return self.own.encode(feature)

    def decode(self, received: Tensor, noise_variance: Tensor) -> Any:
        if self._takes_noise:
            return self.own.decode(received, noise_variance)
        return self.own.decode(received)

    def operators(self, example: Tensor, code: OwnAnalogCode) -> tuple[Operators, Operators]:
        symbols = code.encode(example)
        encoder = record(code.encode, example, name=ENCODE)
        return encoder, record(code.decode, symbols, torch.ones(symbols.shape), name=DECODE)


class _Reached(Exception):
    """The symbols have reached the channel."""

    def __init__(self, symbols: Any) -> None:
        super().__init__()
        self.symbols = symbols


class _Whole:
    """A module with the channel inside: encoder = until it, decoder = from it on."""

    def __init__(self, own: Any, spec: CustomCodeSpec, shape: Shape) -> None:
        if not isinstance(own, nn.Module):
            message = "with channel: PATH the class is an nn.Module"
            raise ScenarioError(message, path="code.target", value=spec.target)
        names = [name for name, _ in own.named_modules() if name]
        if spec.channel not in names:
            message = f"{spec.target} has no such submodule"
            raise ScenarioError(message, path="code.channel", value=spec.channel, choices=names)
        self.own, self.shape, self.target = own, shape, spec.target
        self.channel = own.get_submodule(str(spec.channel))

    def encode(self, feature: Tensor) -> Any:
        def stop(symbols: Any, *_: object) -> Any:
            raise _Reached(symbols)

        try:
            with self._played_by(stop):
                self.own(feature)
        except _Reached as reached:
            return reached.symbols
        message = f"the channel of {self.target} is never called in forward"
        raise ScenarioError(message, path="code.channel")

    def decode(self, received: Tensor, noise_variance: Tensor) -> Any:
        with self._played_by(lambda *_: received):
            return self.own(received.new_zeros((len(received), *self.shape), dtype=torch.float32))

    def operators(self, example: Tensor, code: OwnAnalogCode) -> tuple[Operators, Operators]:
        received = self.encode(example)
        recorder = Recorder((*self.own.parameters(), *self.own.buffers()), batch=1)
        recorder.name = DECODE

        def channel(*_: object) -> Any:
            recorder.operators.clear()  # what ran until here is the encoder's
            return received

        with torch.no_grad(), every_product_visible(), recorder, self._played_by(channel):
            self.own(example)
        return record(code.encode, example, name=ENCODE), tuple(recorder.operators)

    @contextmanager
    def _played_by(self, channel: Callable[..., Any]) -> Iterator[None]:
        self.channel.forward = channel
        try:
            yield
        finally:
            del self.channel.forward


def _probe(shape: Shape) -> Tensor:
    """Two features of ordinary size, the same every time."""
    return torch.rand((2, *shape), generator=torch.Generator().manual_seed(7))


def _seen(value: object) -> object:
    return tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
