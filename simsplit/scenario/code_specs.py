"""What a recipe may ask of a code at a cut: its kind, its sizes."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from simsplit.messages import Scheme
from simsplit.scenario.spec import Count, Fraction, Positive, Spec

Stride = Literal[1, 2, 4, 8, 16, 32]
Hidden = Annotated[int, Field(ge=1, le=4096, strict=True)]
Channels = Annotated[tuple[Hidden, ...], Field(min_length=1, max_length=8)]


class _CodeSpec(Spec):
    """``stride``: how much smaller the code's grid is; ``hidden``: channels within."""

    stride: Stride = 1
    hidden: Hidden = 64


class _TransformedSpec(_CodeSpec):
    """``transforms``: convolutions with PReLU, or of the Entropic Student (``gdn``).

    ``encoder_channels``: of its 5x5 convolutions, of which as many halve the grid as ``stride``
    asks; ``decoder_channels``: of its 2x2 convolutions but the last. Both are the published ones
    (Matsubara et al., WACV 2022) if left out.
    """

    transforms: Literal["prelu", "gdn"] = "prelu"
    encoder_channels: Channels | None = None
    decoder_channels: Channels | None = None

    @property
    def gdn_channels(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of encoder and decoder."""
        return self.encoder_channels or (96, 48), self.decoder_channels or (512, 256)

    @field_validator("encoder_channels", "decoder_channels")
    @classmethod
    def _of_gdn(cls, value: Any, info: ValidationInfo) -> Any:
        if value is not None and info.data.get("transforms") == "prelu":
            raise ValueError("belongs to transforms: gdn; those of prelu have `hidden` channels")
        return value

    @model_validator(mode="after")
    def _without_hidden(self) -> Self:
        if self.transforms == "gdn" and "hidden" in self.model_fields_set:
            raise ValueError("hidden belongs to transforms: prelu; say encoder_channels")
        return self

    @model_serializer(mode="wrap")
    def _in_use(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        gdn = ("transforms", "encoder_channels", "decoder_channels")
        unused = {*(("hidden",) if self.transforms == "gdn" else gdn)}
        unused |= {"tables"} if content.get("tables") is True else set()
        return {key: value for key, value in content.items() if key not in unused}


class BottleneckCodeSpec(_TransformedSpec):
    """Few latent channels, min-max quantised, range coded with tables counted in training.

    ``tables``: false sends the n-bit codes as they are.
    """

    kind: Literal["bottleneck"]
    channels: Count
    bits: Annotated[int, Field(ge=1, le=8, strict=True)] = 8
    tables: bool = True


class EntropicCodeSpec(_TransformedSpec):
    """Latents rounded to integers, range coded with a learned factorised prior (Ballé 2018)."""

    kind: Literal["entropic"]
    channels: Count


class JsccCodeSpec(_CodeSpec):
    """``symbols`` complex channel symbols of mean power 1, decoded knowing their noise.

    ``nested``: any first part of them decodes, the shortest in training ``shortest`` k.
    """

    kind: Literal["jscc"]
    symbols: Count
    nested: bool = False
    shortest: Annotated[Fraction, Field(gt=0)] = 0.125


class CustomCodeSpec(Spec):
    """A class of a user's own, as `simsplit.networks.codes.custom` asks for it.

    ``channel``: path of the submodule that plays the channel in a module which holds it inside.
    ``symbol_power``: mean |z|² of its symbols per complex symbol, if that is not 1.
    """

    kind: Literal["custom"]
    target: Annotated[str, Field(pattern=r"^[\w.]+:\w+$", max_length=200)]
    scheme: Literal["separate", "jscc"]
    options: dict[str, Any] = Field(default_factory=dict)
    channel: str | None = None
    symbol_power: Positive = 1.0

    @model_validator(mode="after")
    def _channel_of_symbols(self) -> CustomCodeSpec:
        if self.scheme != "jscc" and (self.channel is not None or self.symbol_power != 1.0):
            raise ValueError("channel and symbol_power belong to scheme: jscc")
        return self


CodeSpec = Annotated[
    BottleneckCodeSpec | EntropicCodeSpec | JsccCodeSpec | CustomCodeSpec,
    Field(discriminator="kind"),
]


def scheme_of(spec: CodeSpec) -> Scheme:
    """How what a code makes is sent."""
    if isinstance(spec, CustomCodeSpec):
        return Scheme(spec.scheme)
    return Scheme.JSCC if isinstance(spec, JsccCodeSpec) else Scheme.SEPARATE
