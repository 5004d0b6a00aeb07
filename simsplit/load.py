"""YAML → Scenario: bundled names, overrides, digest, and errors that name path, value and choices.

A model's card (``models/<name>/card.json``) may say ``dataset`` and ``splits``; what it leaves out
is taken from ``recipe.yaml`` (dataset) and from `_SPLITS` (splits).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.overrides import override
from simsplit.policies import EarlyExit, points_of
from simsplit.safe_yaml import copied
from simsplit.safe_yaml import parse_yaml as parse_yaml
from simsplit.safe_yaml import read_mapping as read_mapping
from simsplit.scenario import EVERY, DeviceGroup, Scenario

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SPLITS: Mapping[str, tuple[str, ...]] = {
    "streets_multitask": ("stage3",),
    "streets_nested": ("stage3",),
    "digits_cnn": ("stage2",),
}
_WEIGHTS = "weights.safetensors"

# --- where things are -------------------------------------------------------------------------


def project_root() -> Path:
    """The folder that holds the package, ``scenarios`` and ``models`` (editable install)."""
    return Path(__file__).resolve().parents[1]


def scenarios_dir() -> Path:
    """Bundled scenarios."""
    return project_root() / "scenarios"


def hardware_dir() -> Path:
    """Devices and servers."""
    return scenarios_dir() / "hardware"


def models_dir() -> Path:
    """Fitted networks and tables."""
    return project_root() / "models"


def bundled_names() -> list[str]:
    """Names of the bundled scenarios."""
    return sorted(path.stem for path in scenarios_dir().glob("*.yaml"))


def hardware_choices() -> list[str]:
    """Names of the hardware files."""
    return sorted(path.stem for path in hardware_dir().glob("*.yaml"))


def model_choices() -> list[str]:
    """Names of the networks in ``models`` (folders whose recipe or card names a dataset)."""
    folders = [path for path in models_dir().glob("*") if path.is_dir()]
    return sorted(path.name for path in folders if "dataset" in model_card(path.name))


def is_trained(name: str) -> bool:
    """Whether the weights of a network in ``models`` are there."""
    return (models_dir() / name / "weights.safetensors").is_file()


def model_card(name: str) -> dict[str, Any]:
    """What is known about a model: its recipe, overlaid by its card; empty if there is neither."""
    folder = models_dir() / name
    recipe, card = folder / "recipe.yaml", folder / "card.json"
    known: dict[str, Any] = read_mapping(recipe) if recipe.is_file() else {}
    if card.is_file():
        try:
            known |= json.loads(card.read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise ArtefactError(f"damaged card: {error}", value=str(card)) from None
    return known


# --- the verb ---------------------------------------------------------------------------------


def load(source: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = ()) -> Scenario:
    """The checked scenario of a path, a bundled name or a mapping, with ``path=value`` overrides.

    Raises:
        ScenarioError: It says something impossible; the error names the path in the YAML.
        ArtefactError: Its model is not trained.
    """
    raw, folder = _raw(source)
    for text in overrides:
        override(raw, text)
    try:
        scenario = Scenario.model_validate(_with_trace_paths(raw, folder))
    except ValidationError as error:
        raise mistake(error, raw, Scenario) from None
    _cross_check(scenario)
    return scenario


def resolved_yaml(scenario: Scenario) -> str:
    """The scenario with every default written out; loading it again gives the same scenario."""
    content = scenario.model_dump(mode="json")
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def digest(scenario: Scenario) -> str:
    """SHA-256 of the scenario's canonical JSON; files it names count by content, not by place."""
    content = scenario.model_dump(mode="json")
    for _, spec in _specs_with_files(content):
        if spec["kind"] == "trace":
            spec["file"] = hashlib.sha256(Path(spec["file"]).read_bytes()).hexdigest()
    for _, network in _networks(content):
        if network["weights"] != "random":
            network["weights"] = hashlib.sha256(Path(network["weights"]).read_bytes()).hexdigest()
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _raw(source: str | Path | Mapping[str, Any]) -> tuple[dict[str, Any], Path]:
    if isinstance(source, Mapping):
        return copied(source), Path.cwd()
    path = find(source)
    return read_mapping(path), path.parent


def find(source: str | Path) -> Path:
    """The file of a path or a bundled name; ScenarioError if there is none."""
    text = str(source)
    if "\0" in text or len(text) > 4000:
        raise ScenarioError("not a path", value=text)
    try:
        if Path(text).is_file():
            return Path(text)
        if text in bundled_names() and not Path(text).suffix:
            return scenarios_dir() / f"{text}.yaml"
        if Path(text).is_dir():
            raise ScenarioError("this is a directory, not a scenario", value=text)
    except OSError as error:
        raise ScenarioError(f"cannot be read: {error.strerror}", value=text) from None
    raise ScenarioError("no such scenario file", value=text, choices=bundled_names())


# --- pydantic's errors in our words -----------------------------------------------------------


def mistake(
    error: ValidationError, raw: Any, model: type[BaseModel], *, prefix: str = ""
) -> ScenarioError:
    """The first mistake (unknown keys first) with its YAML path, value, bounds and choices."""
    details = _mistakes(error.errors(include_url=False))
    first, others = details[0], len(details) - 1
    more = f" ({others} more mistake{'s' if others > 1 else ''})" if others else ""
    message, value, choices, tail = _in_words(first, model)
    path = _yaml_path([*_without_tags(first["loc"], raw), *tail])
    path = ": ".join(part for part in (prefix, path) if part)
    return ScenarioError(message + more, path=path, value=value, choices=choices)


def _mistakes(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Unknown keys first; a list that is too short only because its entries failed is none."""

    def follows(one: ErrorDetails) -> bool:
        loc = one["loc"]
        below = (other["loc"][: len(loc)] == loc for other in details if other is not one)
        return one["type"] == "too_short" and any(below)

    kept = [one for one in details if not follows(one)]
    return sorted(kept, key=lambda one: one["type"] != "extra_forbidden")


def _in_words(
    error: ErrorDetails, model: type[BaseModel]
) -> tuple[str, object, Sequence[str], list[str]]:
    """Message, value found, choices, and what to add to the path."""
    found, context = error.get("input"), error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            keys = _keys_at(error["loc"][:-1], model)
            return f"unknown key{_elsewhere(error['loc'], model)}", str(error["loc"][-1]), keys, []
        case "missing":
            return "this key is required", None, (), []
        case "union_tag_not_found":
            return "this key is required", None, _quoted(_tags_at(error["loc"], model)), ["kind"]
        case "union_tag_invalid":
            return "unknown kind", context.get("tag"), _quoted(context["expected_tags"]), ["kind"]
        case "literal_error":
            return "not among the choices", found, _quoted(context["expected"]), []
        case "value_error":
            value = None if isinstance(found, dict | BaseModel) else found
            return error["msg"].removeprefix("Value error, "), value, (), []
    return re.sub(r"^\w+ should ", "must ", error["msg"]), found, (), []


def _quoted(expected: str) -> list[str]:
    """Pydantic's list ``'a', 'b' or 3`` as choices."""
    return [a or b for a, b in re.findall(r"'([^']*)'|(\d+)", expected)]


def _without_tags(loc: Sequence[str | int], raw: Any) -> Iterator[str | int]:
    """The location without the tags (values of ``kind``) that pydantic puts in."""
    node, tag_open = raw, True
    for part in loc:
        if tag_open and isinstance(node, dict) and node.get("kind") == part:
            tag_open = False
            continue
        tag_open = True
        yield part
        node = _child(node, part)


def _child(node: Any, part: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    inside = isinstance(node, list) and isinstance(part, int) and part < len(node)
    return node[part] if inside else None


def _yaml_path(parts: Sequence[str | int]) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Models that an annotation names, through unions, tuples and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _models_at(loc: Sequence[str | int], model: type[BaseModel]) -> list[type[BaseModel]]:
    models = [model]
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [m for m in models if len(models) > 1 and _kind(m) == part]
        if tagged:
            models = tagged
            continue
        fields = [m.model_fields[part] for m in models if part in m.model_fields]
        models = [m for field in fields for m in _models_in(field.annotation)]
    return models


def _kind(model: type[BaseModel]) -> str:
    field = model.model_fields.get("kind")
    literal = field is not None and get_origin(field.annotation) is Literal
    return str(get_args(field.annotation)[0]) if field is not None and literal else ""


def _keys_at(loc: Sequence[str | int], model: type[BaseModel]) -> list[str]:
    return [key for found in _models_at(loc, model)[:1] for key in found.model_fields]


def _elsewhere(loc: Sequence[str | int], model: type[BaseModel]) -> str:
    """Which other kinds of the same family have the key, in words; empty if none has."""
    family = _models_at(loc[:-2], model) if len(loc) > 1 else []
    kinds = [_kind(other) for other in family if loc[-1] in other.model_fields and _kind(other)]
    names = ", ".join(f"'{kind}'" for kind in kinds)
    return f" of kind '{loc[-2]}' (it belongs to kind {names})" if names else ""


def _tags_at(loc: Sequence[str | int], model: type[BaseModel]) -> str:
    return " ".join(f"'{_kind(found)}'" for found in _models_at(loc, model) if _kind(found))


# --- what the scenario says against what is there ---------------------------------------------


def _with_trace_paths(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Traces and weights are named beside the YAML; from here on their path is absolute."""
    content: dict[str, Any] = copied(raw)
    for path, spec in _specs_with_files(content):
        file = spec.get("file")
        if spec.get("kind") == "trace" and isinstance(file, str):
            spec["file"] = str(_beside(folder, file, f"{path}.file", "trace"))
    for path, network in _networks(content):
        file = network.get("weights")
        if isinstance(file, str) and file != "random":
            network["weights"] = str(_beside(folder, file, f"{path}.weights", "weights"))
    return content


def _networks(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every entry of ``networks:`` with its path in the YAML."""
    networks = content.get("networks")
    for index, network in enumerate(networks if isinstance(networks, list | tuple) else ()):
        if isinstance(network, dict):
            yield f"networks[{index}]", network


def _specs_with_files(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place that may name a trace file, with its path in the YAML."""
    groups = content.get("devices")
    for index, group in enumerate(groups if isinstance(groups, list) else ()):
        for key in ("arrivals", "mobility"):
            if isinstance(group, dict) and isinstance(group.get(key), dict):
                yield f"devices[{index}].{key}", group[key]
    cell = content.get("cell")
    if isinstance(cell, dict) and isinstance(cell.get("channel"), dict):
        yield "cell.channel", cell["channel"]


def _beside(folder: Path, file: str, path: str, what: str) -> Path:
    """A file beside the scenario or, as a command line would have it, in this folder."""
    for place in (folder, Path.cwd()):
        found = (place / file.replace("\0", "")).resolve()
        if found.is_file():
            return found
    raise ScenarioError(f"no such {what} file beside the scenario or here", path=path, value=file)


def _cross_check(scenario: Scenario) -> None:
    points = [point.name for point in scenario.operating_points]
    networks = [network.name for network in scenario.networks]
    for index, point in enumerate(scenario.operating_points):
        if point.network is not None:
            _among(point.network, networks, f"operating_points[{index}].network", "network")
    for index, group in enumerate(scenario.devices):
        where = f"devices[{index}]"
        _check_choice(scenario, group, points, where)
        _check_hardware(group.hardware, f"{where}.hardware", needs_radio=True)
        _check_level(group, f"{where}.dvfs")
    _check_hardware(scenario.edge.hardware, "edge.hardware", needs_radio=False)
    if scenario.edge.cloud is not None:
        _check_hardware(scenario.edge.cloud.hardware, "edge.cloud.hardware", needs_radio=False)
    if any(point.network is None for point in scenario.operating_points):
        _check_model(scenario)
    for index, network in enumerate(scenario.networks):
        _check_answer(scenario.task.dataset, network.answer, f"networks[{index}].answer")


def _check_choice(
    scenario: Scenario, group: DeviceGroup, points: Sequence[str], where: str
) -> None:
    """A group's operating point, or all those that its policy names, exist."""
    path = f"{where}.operating_point" if group.policy is None else f"{where}.policy"
    known = [*points, *(p.of for p in scenario.operating_points if p.of)]
    families = {p.name for p in scenario.operating_points if p.split == EVERY}
    for name in points_of(group.choice):
        cut = any(name.startswith(f"{family}-") for family in families)  # checked when written out
        if not cut:
            _among(name, known, path, "operating point")
        if name in families and not hasattr(group.choice, "points"):
            message = f"stands for many cuts; name one of them, {name}-<cut>"
            raise ScenarioError(message, path=path, value=name)
    if isinstance(group.choice, EarlyExit):
        exits = [point.name for point in scenario.operating_points if point.exit]
        _among(group.choice.exit, exits, f"{path}.exit", "operating point with exit: true")


def _check_answer(dataset: str, answer: str | None, path: str) -> None:
    scored = {"label": "digits", "segmentation": "streets"}
    if answer is not None and scored[answer] != dataset:
        message = f"this answer is scored on dataset '{scored[answer]}'"
        raise ScenarioError(message, path=path, value=answer)


def _among(value: str, choices: Sequence[str], path: str, what: str) -> None:
    if value not in choices:
        raise ScenarioError(f"no such {what}", path=path, value=value, choices=choices)


def _check_hardware(name: str, path: str, *, needs_radio: bool) -> None:
    _among(name, hardware_choices(), path, "hardware")
    if needs_radio and "radio" not in read_mapping(hardware_dir() / f"{name}.yaml"):
        raise ScenarioError("this hardware is a server, it has no radio", path=path, value=name)


def _check_level(group: DeviceGroup, path: str) -> None:
    if group.dvfs is None:
        return
    content = read_mapping(hardware_dir() / f"{group.hardware}.yaml")
    levels = [str(level["name"]) for level in content.get("dvfs", ())]
    _among(group.dvfs, levels, path, f"frequency level of '{group.hardware}'")


def _check_model(scenario: Scenario) -> None:
    if scenario.model is None:
        raise ScenarioError("operating points without a network need a model", path="model")
    _among(scenario.model, model_choices(), "model", "model")
    card = model_card(scenario.model)
    if not (models_dir() / scenario.model / _WEIGHTS).is_file():
        recipe = f"models/{scenario.model}/recipe.yaml"
        raise ArtefactError(
            f"the model has no weights; run `simsplit train {recipe}`",
            path="model",
            value=scenario.model,
        )
    exits = "exit_head" in (card.get("macs_by_part") or {})
    for index, point in enumerate(scenario.operating_points):
        if point.exit and not exits:
            path = f"operating_points[{index}].exit"
            raise ScenarioError(f"model '{scenario.model}' has no early exit", path=path)
    splits = [str(s) for s in card.get("splits") or _SPLITS.get(scenario.model, ())]
    for index, point in enumerate(scenario.operating_points):
        if point.split is not None and point.network is None:
            _among(point.split, splits, f"operating_points[{index}].split", "split in this model")
    _among(scenario.task.dataset, [card["dataset"]], "task.dataset", "dataset for this model")
