"""Codes that are trained for a cut of a network: what a recipe may ask for, and who may use one.

A code's artefact is a folder with a ``card.json`` of ``kind: code`` (see
`simsplit.networks.codes.artefact`). An operating point names it: ``code: NAME``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)

from simsplit.errors import ArtefactError, ScenarioError, SimsplitError
from simsplit.files import file_digest, json_digest
from simsplit.messages import Scheme
from simsplit.scenario import bundled
from simsplit.scenario.network_files import with_digests
from simsplit.scenario.operating_points import RANDOM, Network, OperatingPoint
from simsplit.scenario.places import Kind, find_named, reference, unknown
from simsplit.scenario.spec import Count, Fraction, Positive, Spec
from simsplit.scenario.user_code import source_digest
from simsplit.scenario.yaml import read_mapping

if TYPE_CHECKING:
    from simsplit.scenario.mistakes import Collected
    from simsplit.scenario.scenario import Scenario

CARD = "card.json"
RECIPE = "recipe.yaml"
WEIGHTS = "weights.safetensors"
_NEEDED = {"network", "network_digest", "cut", "scheme", "code", "nested", "weights_digest"}
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


# --- where codes are --------------------------------------------------------------------------


def _is_code(folder: Path) -> bool:
    """Whether a folder's card or recipe says ``kind: code``."""
    card, recipe = folder / CARD, folder / RECIPE
    try:
        if card.is_file():
            return bool(json.loads(card.read_text(encoding="utf-8")).get("kind") == "code")
        return recipe.is_file() and read_mapping(recipe).get("kind") == "code"
    except (ValueError, AttributeError, ScenarioError):
        return False


def _bundled_codes() -> list[str]:
    return sorted(path.name for path in bundled.models_dir().glob("*") if _is_code(path))


CODE = Kind("code", ("models", ""), "", _is_code, lambda: bundled.models_dir(), _bundled_codes)

_ARTEFACT = Kind(
    "artefact",
    CODE.folders,
    "",
    lambda folder: (folder / CARD).is_file() or (folder / RECIPE).is_file(),
    lambda: bundled.models_dir(),
    _bundled_codes,
)


def code_folder(name: str) -> Path:
    """The folder of a bundled code, or of a user's own, which is known by its absolute path."""
    return bundled.models_dir() / name


def code_card(name: str) -> dict[str, Any]:
    """The card of a code.

    Raises:
        ArtefactError: It is not trained, or its card is damaged.
    """
    folder = code_folder(name)
    for file in (CARD, WEIGHTS):
        if not (folder / file).is_file():
            message = f"the code has no {file}; run `simsplit train {folder / RECIPE}`"
            raise ArtefactError(message, value=str(folder))
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ArtefactError(f"damaged card: {error}", value=str(folder / CARD)) from None
    missing = _NEEDED - set(card)
    if card.get("kind") != "code" or missing:
        wanted = f"lacks {', '.join(sorted(missing))}" if missing else "is not of kind: code"
        raise ArtefactError(f"the card {wanted}", value=str(folder / CARD))
    if not isinstance(card["code"], dict):
        raise ArtefactError("damaged card: code is no mapping", value=str(folder / CARD))
    return dict(card)


def until_of(card: Mapping[str, Any]) -> str:
    """The node whose tensor a code's decoder gives; as a rule that of the cut."""
    return str(card.get("until") or card["cut"])


def code_files(name: str) -> dict[str, Path]:
    """Every file of a code that decides what it does."""
    return {what: code_folder(name) / what for what in (CARD, WEIGHTS)}


def code_digest(name: str) -> str:
    """SHA-256 of a code's card and weights."""
    return json_digest({what: file_digest(path) for what, path in code_files(name).items()})


def start_digest(network: Network) -> str:
    """SHA-256 of the network that a code is trained for: its spec, weights and own source.

    Its name and what its answer is called do not count.
    """
    content = with_digests(network.model_dump(mode="json", exclude={"name", "answer"}))
    weights = content.pop("weights")
    if weights == RANDOM:
        weights = None
    else:
        content.pop("seed", None)
    return json_digest([content, weights, source_digest(network.source)])


# --- a scenario's codes -----------------------------------------------------------------------


def points_with_code(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every operating point of a scenario's mapping that names a code, with its YAML path."""
    points = content.get("operating_points")
    for index, point in enumerate(points if isinstance(points, list | tuple) else ()):
        if isinstance(point, dict) and isinstance(point.get("code"), str):
            yield f"operating_points[{index}]", point


def refer_codes(content: dict[str, Any], folder: Path | None, collected: Collected) -> None:
    """Writes references for names of codes, and what a code decides: its split and its scheme."""
    for path, point in points_with_code(content):
        said = {key: value for key, value in point.items() if value is not None}
        point.update({"scheme": "separate", "split": "unknown"} | said)  # until the code tells
        with collected.kept():
            found = find_named(CODE, point["code"], folder)
            if found is None:
                raise _no_code(point["code"], folder, f"{path}.code")
            point["code"] = reference(CODE, found)
            card = _card_at(point["code"], f"{path}.code")
            for key, value in (("split", card["cut"]), ("scheme", card["scheme"])):
                _decide(point, said.get(key, value), key, card, path)


def _no_code(name: str, folder: Path | None, path: str) -> SimsplitError:
    """Why a name is no code's: its folder holds something else, or there is none."""
    found = find_named(_ARTEFACT, name, folder)
    if found is None:
        return unknown(CODE, name, beside=folder, path=path)
    card = found / CARD
    try:
        said = json.loads(card.read_text(encoding="utf-8")) if card.is_file() else {}
        kind = said.get("kind") or read_mapping(found / RECIPE).get("kind", "model")
    except (ValueError, AttributeError, ScenarioError, OSError) as error:
        what = str(error) or type(error).__name__
        return ArtefactError(f"damaged card or recipe in {found}: {what}", path=path, value=name)
    message = f"no such code: this folder holds a {kind}"
    return ScenarioError(message, path=path, value=name, choices=_bundled_codes())


def _decide(
    point: dict[str, Any], said: object, key: str, card: Mapping[str, Any], path: str
) -> None:
    """A key that the code decides: left out, or said the same."""
    value = card[{"split": "cut"}.get(key, key)]
    if said != value:
        message = f"code '{Path(point['code']).name}' decides this"
        if key == "split" and until_of(card) != value:
            message += f": its encoder takes {value}, its decoder gives {until_of(card)}"
        raise ScenarioError(message, path=f"{path}.{key}", value=said, choices=[value])
    point[key] = value


def _card_at(code: str, path: str) -> dict[str, Any]:
    try:
        return code_card(code)
    except ArtefactError as error:
        raise ArtefactError(error.message, path=path, value=error.value) from None


def check_codes(scenario: Scenario, collected: Collected) -> None:
    """Every code belongs to the network that its operating point names, at the task's size."""
    networks = {network.name: network for network in scenario.networks}
    for index, point in enumerate(scenario.operating_points):
        network = networks.get(str(point.network))
        if point.code is not None and network is not None:
            with collected.kept():
                _check_network(point, network, f"operating_points[{index}].code")
            with collected.kept():
                _check_size(scenario, point, f"operating_points[{index}].code")


def _check_network(point: OperatingPoint, network: Network, path: str) -> None:
    card, name = _card_at(str(point.code), path), Path(str(point.code)).name
    source = card["network"].get("source")
    if source != network.source:
        message = f"this code was trained for the network {source}, not {network.source}"
        raise ScenarioError(message, path=path, value=name)
    if card["network_digest"] != start_digest(network):
        message = (
            f"this code was trained for another {source}: its weights, options or source differ "
            f"from those of network '{network.name}'"
        )
        raise ScenarioError(message, path=path, value=name)


def _check_size(scenario: Scenario, point: OperatingPoint, path: str) -> None:
    card, task = _card_at(str(point.code), path), scenario.task
    size = (card["height"], card["width"])
    if size != (task.height_px, task.width_px):
        message = f"this code was trained at {size[0]} x {size[1]} px"
        found = f"{task.height_px} x {task.width_px}"
        raise ScenarioError(message, path=path, value=found)


def named_codes(scenario: Scenario) -> list[str]:
    """References of the codes that a scenario's operating points name, each once."""
    return sorted({point.code for point in scenario.operating_points if point.code is not None})


def code_target(name: str) -> str | None:
    """The class of a user's own that a code is made of; None: it is one of ours."""
    spec = code_card(name)["code"]
    return spec["target"] if spec.get("kind") == "custom" else None
