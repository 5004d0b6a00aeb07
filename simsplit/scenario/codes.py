"""Codes that are trained for a cut of a network: where they are, their cards, who may use one.

A code's artefact is a folder with a ``card.json`` of ``kind: code`` (see
`simsplit.networks.codes.artefact`). An operating point names it: ``code: NAME``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ValidationError

from simsplit.errors import ArtefactError, ScenarioError, SimsplitError
from simsplit.files import file_digest, json_digest
from simsplit.scenario import bundled
from simsplit.scenario.code_specs import CodeSpec
from simsplit.scenario.code_specs import scheme_of as scheme_of
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.network_files import with_digests
from simsplit.scenario.operating_points import RANDOM, Network, OperatingPoint
from simsplit.scenario.places import Kind, find_named, names, reference, unknown
from simsplit.scenario.spec import Count
from simsplit.scenario.user_code import source_digest
from simsplit.scenario.yaml import read_mapping

if TYPE_CHECKING:
    from simsplit.scenario.mistakes import Collected
    from simsplit.scenario.scenario import Scenario

CARD = "card.json"
RECIPE = "recipe.yaml"
WEIGHTS = "weights.safetensors"

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


class _Card(BaseModel):
    """What is read of a code's card; it holds more."""

    kind: Literal["code"]
    network: dict[str, Any]
    network_digest: str
    cut: str
    until: str | None = None
    shape: list[int] | None = None
    scheme: Literal["separate", "jscc"]
    code: CodeSpec
    nested: bool
    weights_digest: str
    height: Count
    width: Count


def code_card(name: str, path: str = "") -> dict[str, Any]:
    """The card of a code.

    Args:
        name: As `code_folder` takes it.
        path: Where the code is named in the YAML, for errors.

    Raises:
        ArtefactError: It is not trained, or its card is damaged or of something else; the error
            names the file.
    """
    folder = code_folder(name)
    for file in (CARD, WEIGHTS):
        if not (folder / file).is_file():
            message = f"the code has no {file}; run `simsplit train {folder / RECIPE}`"
            raise ArtefactError(message, path=path, value=str(folder))
    try:
        card = _mapping_in(folder / CARD)
        fault = _fault_of(card)
    except ValueError as error:
        fault = str(error)
    if fault is not None:
        raise ArtefactError(f"{folder / CARD}: {fault}", path=path, value=folder.name)
    return card


def _mapping_in(file: Path) -> dict[str, Any]:
    """What a card says, whatever it is of; ValueError: it is damaged."""
    try:
        card = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"damaged card: {error}") from None
    if not isinstance(card, dict):
        raise ValueError("damaged card: it is no mapping")
    return card


def _fault_of(card: Mapping[str, Any]) -> str | None:
    """Why a card is that of no code; None: it is."""
    if card.get("kind") != "code":
        return f"the card is of kind {card.get('kind', 'unknown')}, not code"
    needed = (key for key, field in _Card.model_fields.items() if field.is_required())
    missing = sorted(set(needed) - set(card))
    if missing:
        return f"the card lacks {', '.join(missing)}"
    try:
        _Card.model_validate(card)
    except ValidationError as error:
        return f"damaged card: {mistake(error, card, _Card)}"
    return None


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
            point["code"] = referred_code(point["code"], folder, f"{path}.code")
            card = code_card(point["code"], f"{path}.code")
            for key, value in (("split", card["cut"]), ("scheme", card["scheme"])):
                _decide(point, said.get(key, value), key, card, path)


def referred_code(name: str, folder: Path | None, path: str) -> str:
    """The reference of a code's name.

    Args:
        name: As the user wrote it.
        folder: Of the file that names it.
        path: Where it is named, for the error.

    Raises:
        SimsplitError: There is none; its folder holds something else, or a damaged card.
    """
    found = find_named(CODE, name, folder)
    if found is None:
        raise _no_code(name, folder, path)
    return reference(CODE, found)


def _no_code(name: str, folder: Path | None, path: str) -> SimsplitError:
    """Why a name is no code's: its folder holds something else, or there is none."""
    found = find_named(_ARTEFACT, name, folder)
    if found is None:
        return unknown(CODE, name, beside=folder, path=path)
    file = found / (CARD if (found / CARD).is_file() else RECIPE)
    try:
        said = _mapping_in(file) if file.name == CARD else read_mapping(file)
    except (ScenarioError, ValueError) as error:
        what = error.message if isinstance(error, ScenarioError) else str(error)
        return ArtefactError(f"{file}: {what}", path=path, value=name)
    message = f"no such code: {file} is of kind {said.get('kind', 'unknown')}"
    return ScenarioError(message, path=path, value=name, choices=names(CODE, folder))


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
    card, name = code_card(str(point.code), path), Path(str(point.code)).name
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
    card, task = code_card(str(point.code), path), scenario.task
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
