"""The task, the networks, the codecs, and operating points: where to cut and how to send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from simsplit.messages import Scheme
from simsplit.scenario.answers import Answers
from simsplit.scenario.custom import CustomSpec, named
from simsplit.scenario.data import DataChoice
from simsplit.scenario.preprocess import PreprocessChoice
from simsplit.scenario.spec import Count, Name, NonNegative, Positive, Reference, Seed, Spec

# --- task and network -------------------------------------------------------------------------


class Task(Spec):
    """Whose samples the devices see. ``samples``: how many of the test range circulate.

    ``dataset``: a bundled set by its name, or a mapping with a kind, see `simsplit.scenario.data`.
    """

    dataset: DataChoice = "streets"
    height_px: Count = 64
    width_px: Count = 128
    samples: Annotated[int, Field(ge=1, le=512, strict=True)] = 128


Quality = Annotated[int, Field(ge=1, le=100, strict=True)]
JpegQuality = Annotated[int, Field(ge=1, le=95, strict=True)]
AvifQuality = Annotated[int, Field(ge=0, le=100, strict=True)]
_Webp = TypeVar("_Webp", "WebpCodecSpec", "WebpTilesCodecSpec")


def _lossy_or_lossless(codec: _Webp) -> _Webp:
    if (codec.quality is None) != codec.lossless:
        raise ValueError("say either quality or lossless: true")
    return codec


class PngCodecSpec(Spec):
    """Lossless image file (raw scheme)."""

    kind: Literal["png"]


class JpegCodecSpec(Spec):
    """JPEG image file (raw scheme), Pillow quality."""

    kind: Literal["jpeg"]
    quality: JpegQuality = 75


class WebpCodecSpec(Spec):
    """WebP image file (raw scheme): lossy with a Pillow quality, or ``lossless``."""

    kind: Literal["webp"]
    quality: Quality | None = Field(None, description="75 unless lossless.")
    lossless: bool = False

    @model_validator(mode="before")
    @classmethod
    def _quality_of_lossy(cls, content: object) -> object:
        if not isinstance(content, dict) or content.get("lossless"):
            return content
        return {"quality": 75} | content

    _one_way = model_validator(mode="after")(_lossy_or_lossless)


class AvifCodecSpec(Spec):
    """AVIF image file (raw scheme), Pillow quality and speed 6, where Pillow was built with it."""

    kind: Literal["avif"]
    quality: AvifQuality = 75


class EntropyCodecSpec(Spec):
    """Min-max quantised feature, range coded with the model's static tables (separate scheme)."""

    kind: Literal["entropy"]
    bits: Literal[4, 6, 8] = 8


class AdaptiveEntropyCodecSpec(Spec):
    """Min-max quantised feature, range coded with a Laplace per channel that travels with it.

    Separate scheme; needs no trained tables, and two bytes per channel at 8 bits for its own.
    """

    kind: Literal["adaptive_entropy"]
    bits: Literal[4, 6, 8] = 8


class PngTilesCodecSpec(Spec):
    """Min-max quantised feature, channels tiled into one grey PNG (separate scheme)."""

    kind: Literal["png_tiles"]
    bits: Literal[4, 6, 8] = 8


class JpegTilesCodecSpec(Spec):
    """Feature quantised to 8 bits, channels tiled into one grey JPEG (separate scheme).

    Choi and Bajić, ICIP 2018; Alvar and Bajić, ICIP 2019, with qualities 95, 90, 85 and 80.
    """

    kind: Literal["jpeg_tiles"]
    bits: Literal[8] = 8
    quality: JpegQuality


class WebpTilesCodecSpec(Spec):
    """Feature quantised to 8 bits, channels tiled into one WebP, of a quality or ``lossless``.

    Separate scheme. WebP has no grey mode: the mosaic is coded as three equal colours.
    """

    kind: Literal["webp_tiles"]
    quality: Quality | None = Field(None, description="Only if not lossless.")
    lossless: bool = False

    _one_way = model_validator(mode="after")(_lossy_or_lossless)


class AvifTilesCodecSpec(Spec):
    """Feature quantised to 8 bits, channels tiled into one monochrome AVIF (separate scheme)."""

    kind: Literal["avif_tiles"]
    quality: AvifQuality


class PixelsCodecSpec(Spec):
    """The picture as it is, one byte per colour value (raw scheme)."""

    kind: Literal["pixels"]


class TensorCodecSpec(Spec):
    """Activations as they are, or min-max quantised to bytes with two float32 of header per tensor.

    For the networks of ``networks:``; every tensor that lives at the cut travels.
    """

    kind: Literal["tensor"]
    dtype: Literal["float32", "float16", "uint8"] = "float32"


class CustomCodecSpec(CustomSpec):
    """A user's own codec of pictures (raw scheme) or features: see `simsplit.contracts.Codec`.

    ``costs_like``: the codec whose measured time it takes, for the same array and payload.
    """

    costs_like: Literal[
        "png",
        "jpeg",
        "webp",
        "avif",
        "pixels",
        "png_tiles",
        "jpeg_tiles",
        "webp_tiles",
        "avif_tiles",
        "tensor_float32",
        "tensor_float16",
        "tensor_uint8",
    ]


PictureCodecSpec = PngCodecSpec | JpegCodecSpec | WebpCodecSpec | AvifCodecSpec | PixelsCodecSpec
FeatureCodecSpec = (
    PngTilesCodecSpec
    | JpegTilesCodecSpec
    | WebpTilesCodecSpec
    | AvifTilesCodecSpec
    | AdaptiveEntropyCodecSpec
)
CodecSpec = Annotated[
    PictureCodecSpec | EntropyCodecSpec | FeatureCodecSpec | TensorCodecSpec | CustomCodecSpec,
    Field(discriminator="kind"),
]

_FILES = ("png", "jpeg", "webp", "avif")
_TILES = tuple(f"{file}_tiles" for file in _FILES)
_CODECS_OF_SCHEME: Mapping[Scheme, tuple[str, ...]] = {
    Scheme.LOCAL: (),
    Scheme.RAW: (*_FILES, "pixels", "custom"),
    Scheme.SEPARATE: ("entropy", "adaptive_entropy", *_TILES, "tensor", "custom"),
    Scheme.JSCC: (),
}
RANDOM, PACKAGE, INCLUDED = "random", "package", "included"
WITHOUT_FILE = (RANDOM, PACKAGE, INCLUDED)  # words for weights that are no file of the user's
PACKAGED = ("efficientnet_lite0",)  # networks whose weights come with a Python package
EVERY = "every"  # a split that stands for all cuts of a network


_LATER = (
    "preprocess",
    "weights_key",
    "weights_prefix",
    "weights_fresh",
    "unknown_macs",
)  # keys of a network that older scenarios do not know


Prefix = Annotated[str, Field(min_length=1)]
Option = float | int | str | bool


class Network(Spec):
    """Any PyTorch network, cut where `simsplit splits` says it can be.

    ``source``: a torchvision model; ``timm/NAME``; ``efficientnet_lite0``; ``mtl_split`` and others
    of published systems (`simsplit.networks.published`); a module's class as
    ``package.module:Name`` built with ``options``; or a torch.export program, a ``.pt2`` file that
    holds its weights (``weights: included``). ``weights``: ``random``, and then no accuracy is
    reported; ``package``, those that a Python package brings (``efficientnet_lite0``); or a local
    file (safetensors, or a state dict that torch loads with weights_only). ``weights_key``,
    ``weights_prefix``: where the state dict lies in the file, and what its names begin with; left
    out: whatever alone fits the network. ``weights_fresh``: parameters whose names begin so keep
    their random start, such as a last layer for other classes. ``leaves``: submodules that are kept
    whole when the graph is traced. ``unknown_macs``: multiply-accumulates per sample of each call
    of an operation that has weights and no counter; without it such a network is refused.
    ``answer``: what its output is, if it is to be scored (see `simsplit.scenario.answers`).
    ``preprocess``: what becomes of a picture before the network sees it, or torchvision's name of
    weights whose preprocessing it is.
    """

    name: Name
    source: Annotated[Reference, BeforeValidator(named)]
    weights: Annotated[str, Field(min_length=1)]
    weights_key: Annotated[str, Field(min_length=1)] | None = None
    weights_prefix: Annotated[str, Field(min_length=1)] | None = None
    weights_fresh: Annotated[tuple[Prefix, ...], Field(min_length=1)] | None = None
    unknown_macs: NonNegative | None = None
    seed: Seed = 0
    leaves: tuple[str, ...] = ()
    options: dict[str, Option | dict[str, Option] | list[Option]] = Field(default_factory=dict)
    answer: Answers | None = None
    preprocess: PreprocessChoice | None = None

    @model_serializer(mode="wrap")
    def _without_unused(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As always; later keys only where they are said, so that older digests hold."""
        content: dict[str, Any] = dump(self)
        return {k: v for k, v in content.items() if k not in _LATER or v is not None}

    @model_validator(mode="before")
    @classmethod
    def _program_holds_its_weights(cls, content: object) -> object:
        is_program = isinstance(content, dict) and str(content.get("source")).endswith(".pt2")
        return {"weights": INCLUDED, **content} if is_program else content  # type: ignore[dict-item]

    @model_validator(mode="after")
    def _weights_are_somewhere(self) -> Network:
        if self.source.endswith(".pt2") is not (self.weights == INCLUDED):
            raise ValueError("weights: included belongs to a .pt2 source, and to no other")
        if self.weights == PACKAGE and self.source not in PACKAGED:
            packaged = ", ".join(PACKAGED)
            raise ValueError(f"weights: package is for {packaged}; no package brings these")
        named = self.weights_key is not None or self.weights_prefix is not None
        if named and self.weights in WITHOUT_FILE:
            raise ValueError("weights_key and weights_prefix belong to a weights file")
        if self.weights_fresh and self.weights in (RANDOM, INCLUDED):
            raise ValueError("weights_fresh leaves out a part of other weights; there are none")
        if self.source.endswith(".pt2") and self.options:
            raise ValueError("a .pt2 program takes no options")
        return self

    @model_validator(mode="after")
    def _scored_with_weights(self) -> Network:
        if self.weights == "random" and self.answer is not None:
            raise ValueError("random weights answer nothing; leave the key answer out")
        return self


class OperatingPoint(Spec):
    """Network + split + codec + scheme: one way to bring the task from the device to the edge.

    ``network``: one of ``networks:``; the scenario's ``model`` if left out. With ``split: every``
    it stands for one point per cut of the network, named ``<name>-<cut>``.

    ``local``: the whole network on the device; with ``send_result`` the small answer goes up.
    ``raw``: compressed image, whole network at the edge. ``separate``: coded feature over LDPC.
    ``jscc``: the feature as analog channel symbols; with ``airtime_s`` the device stops after that
    time on the air, and the first k symbols that got through count as an answer from
    ``min_symbols`` on (a nested code; the receiver takes the rest as erased).

    ``code``: a trained code of a network of ``networks:`` (its folder's name). It decides the split
    and the scheme, and takes the place of a codec.
    """

    name: Name
    scheme: Scheme
    split: Name | None = None
    codec: CodecSpec | None = None
    send_result: bool = False
    airtime_s: Positive | None = None
    min_symbols: Count = 1
    network: Name | None = None
    code: Reference | None = None
    of: Name | None = Field(None, description="The `split: every` point it came from.")
    exit: bool = Field(False, description="Scheme local: the model's early exit answers.")

    @model_serializer(mode="wrap")
    def _without_unused_code(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """As always; ``code`` only if there is one, so that older digests hold."""
        content: dict[str, Any] = dump(self)
        if self.code is None:
            content.pop("code", None)
        return content

    @model_validator(mode="after")
    def _codec_fits_scheme(self) -> OperatingPoint:
        kind = None if self.codec is None else self.codec.kind
        allowed = () if self.code is not None else _CODECS_OF_SCHEME[self.scheme]
        if self.code is not None:
            self._code_fits(kind)
        if allowed and kind not in allowed:
            raise ValueError(
                f"scheme '{self.scheme}' needs a codec of kind {' | '.join(allowed)}, found {kind}"
            )
        if not allowed and kind is not None:
            raise ValueError(f"scheme '{self.scheme}' takes no codec, found {kind}")
        if self.split is not None and self.scheme in (Scheme.LOCAL, Scheme.RAW):
            raise ValueError(f"scheme '{self.scheme}' has no split; leave the key out")
        if self.send_result and self.scheme is not Scheme.LOCAL:
            raise ValueError("send_result belongs to scheme 'local' only")
        if self.scheme is not Scheme.JSCC and (self.airtime_s is not None or self.min_symbols != 1):
            raise ValueError("airtime_s and min_symbols belong to scheme 'jscc' only")
        if self.exit and (self.scheme is not Scheme.LOCAL or self.network is not None):
            raise ValueError("exit belongs to scheme 'local' of the scenario's model only")
        self._network_fits(kind)
        return self

    def _code_fits(self, kind: str | None) -> None:
        if kind is not None:
            raise ValueError(f"a code takes the place of a codec; leave codec out (found {kind})")
        if self.network is None:
            raise ValueError("a code belongs to a network of `networks:`; say network: NAME")
        if self.scheme not in (Scheme.SEPARATE, Scheme.JSCC) or self.split in (None, EVERY):
            raise ValueError("a code has scheme 'separate' or 'jscc' and one split")

    def _network_fits(self, kind: str | None) -> None:
        if self.code is not None:
            return
        if self.network is not None and (self.scheme is Scheme.JSCC or kind == "entropy"):
            raise ValueError(
                "a network of `networks:` has no trained JSCC or entropy code; train one (a recipe "
                "of kind: code) and name it: code: NAME"
            )
        if self.network is not None and self.scheme is Scheme.SEPARATE and self.split is None:
            raise ValueError(f"scheme 'separate' of a network needs a split, or {EVERY}")
        if self.network is None and (kind == "tensor" or self.split == EVERY):
            raise ValueError(f"codec 'tensor' and split '{EVERY}' need a network")
