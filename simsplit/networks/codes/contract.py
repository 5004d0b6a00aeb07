"""What every code at a cut promises: a feature becomes bytes or channel symbols, and comes back.

A code stands at one cut and takes the one float tensor that crosses there. It is an ``nn.Module``:

* digital: ``encode`` (feature → latent), ``pack`` (one latent → bytes), ``unpack``, ``decode``;
* analog (JSCC): ``encode`` (feature → complex symbols of mean power 1 per sample), ``decode``
  (symbols as equalised, with the noise variance of each → feature).

The decoder gives the tensor at the cut; or with ``until`` the one at a node further on, so that it
stands in for the network between (Matsubara et al., WACV 2022).

``through`` is what training does in place of the air; ``calibrate`` runs before the first step and
``settle`` after the last, both on features of training pictures. Latents become bytes by integer
tables that lie in the artefact, so that both ends agree on any machine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from simsplit.messages import Scheme
from simsplit.networks.costs import record
from simsplit.operators import OF_CODE, Operators

Shape = tuple[int, ...]
ENCODE, DECODE = f"{OF_CODE}encode", f"{OF_CODE}decode"  # names of operators


@dataclass(frozen=True)
class Noise:
    """What the air does in training.

    Attributes:
        snr_db: Range of each sample's mean Es/N0 in dB, uniform.
        fading_share: Share of the samples with Rayleigh block fading.
        erasures: Probability that a block of symbols is lost.
    """

    snr_db: tuple[float, float] = (-5.0, 20.0)
    fading_share: float = 0.5
    erasures: float = 0.0


@dataclass(frozen=True)
class Passed:
    """A batch after a code in training.

    Attributes:
        feature: ``(B, ...)``, as the cut had it.
        bits: ``(B,)`` estimated information in bits; None if the code has no model of it.
    """

    feature: Tensor
    bits: Tensor | None = None


class Code(nn.Module, ABC):
    """A code for features of one shape.

    Args:
        shape: Of one sample's feature, without the batch.
        until: Of what the decoder gives; None: of the feature.
    """

    scheme: ClassVar[Scheme]
    estimates_bits: ClassVar[bool] = False  # whether `through` gives bits: the objective ``rate``
    decoder_names: ClassVar[tuple[str, ...]] = ()  # how its parameters' names begin; empty: mixed

    def __init__(self, shape: Shape, until: Shape | None = None) -> None:
        super().__init__()
        self.shape, self.until_shape = shape, until or ()

    @property
    def given_shape(self) -> Shape:
        """Of what the decoder gives, per sample."""
        return self.until_shape or self.shape

    @abstractmethod
    def encode(self, feature: Tensor) -> Tensor:
        """Feature ``(B, *shape)`` → latent or complex symbols."""

    @abstractmethod
    def through(self, feature: Tensor, noise: Noise, generator: torch.Generator) -> Passed:
        """What training does in place of coding and the air; all draws are the generator's."""

    def calibrate(self, feature: Tensor, target: Tensor | None = None) -> None:
        """Sees features of training pictures ``(N, *shape)`` before the first step.

        Args:
            feature: What the encoder takes.
            target: What the decoder shall give, where that is another tensor.
        """

    def calibrate_decoder(self, target: Tensor | None) -> None:
        """`calibrate` of the decoder alone: the encoder is another code's."""

    def settle(self, feature: Tensor) -> None:
        """Sees features of training pictures after the last step, in evaluation mode."""

    @abstractmethod
    def operators(self) -> tuple[Operators, Operators]:
        """Work per sample of encoder and decoder, recorded by running them."""

    def _example(self) -> Tensor:
        return torch.zeros(1, *self.shape)


class DigitalCode(Code):
    """A code that makes bytes (scheme ``separate``)."""

    scheme = Scheme.SEPARATE
    rounds: ClassVar[bool] = False  # whether `rounded` tells what payloads hold without tables

    @abstractmethod
    def decode(self, latent: Tensor) -> Tensor:
        """Latent as unpacked ``(B, ...)`` → what is given ``(B, *given_shape)``."""

    @abstractmethod
    def pack(self, latent: NDArray[Any]) -> bytes:
        """One sample's latent → payload, everything in it that depends on the sample."""

    @abstractmethod
    def unpack(self, payload: bytes) -> NDArray[Any]:
        """Payload → latent as the decoder takes it; CodecError if it is visibly damaged."""

    def rounded(self, latent: Tensor) -> Tensor:
        """A batch of latents as `unpack` gives them, if the code ``rounds``."""
        return latent

    @property
    def header_bytes(self) -> int | None:
        """Bytes of a payload that stand before the symbols; None: the code does not tell."""
        return None

    def information_bits(self, latent: NDArray[Any]) -> float:
        """-log2 of the probability that the tables give to one sample's symbols; NaN: no tables."""
        return float("nan")

    @property
    def range_coded(self) -> tuple[int, int, int]:
        """Symbols, channels and table entries of the range coder; empty work: zeros."""
        return (0, 0, 0)

    def operators(self) -> tuple[Operators, Operators]:
        """Of the transforms; range coding is charged by ``range_coded``."""
        with torch.no_grad():
            latent = self.encode(self._example())
            encoder = record(self.encode, self._example(), name=ENCODE)
            return encoder, record(self.decode, latent, name=DECODE)


class AnalogCode(Code):
    """A code that makes channel symbols (scheme ``jscc``)."""

    scheme = Scheme.JSCC
    symbol_count: int  # k complex symbols of one transmission
    is_nested: bool = False  # whether a first part of the symbols decodes by itself

    @abstractmethod
    def decode(self, received: Tensor, noise_variance: Tensor) -> Tensor:
        """``(B, k)`` complex64 equalised and ``(B, k)`` float32 variances → feature."""

    def operators(self) -> tuple[Operators, Operators]:
        """Of encoder (normalisation included) and decoder."""
        with torch.no_grad():
            symbols = self.encode(self._example())
            variance = torch.ones(symbols.shape)
            encoder = record(self.encode, self._example(), name=ENCODE)
            return encoder, record(self.decode, symbols, variance, name=DECODE)


def sized_by_data(code: nn.Module, *names: str) -> None:
    """Buffers whose size training decides take the size of what is stored when it is loaded."""
    for name in names:
        code.register_buffer(name, torch.zeros(0, dtype=torch.int64))

    def grow(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
        for name in names:
            stored = state.get(f"{prefix}{name}")
            if stored is not None:
                setattr(module, name, torch.empty_like(stored))

    code.register_load_state_dict_pre_hook(grow)  # type: ignore[no-untyped-call]


def as_rows(latent: NDArray[Any]) -> NDArray[Any]:
    """One latent ``(L, h, w)`` as ``(L, h w)``."""
    return np.ascontiguousarray(latent.reshape(len(latent), -1))
