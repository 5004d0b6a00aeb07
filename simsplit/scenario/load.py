"""YAML → Scenario: bundled names, overrides, digest, and errors that name path, value and choices.

A model's card (``models/<name>/card.json``) may say ``dataset`` and ``splits``; what it leaves out
is taken from ``recipe.yaml`` (dataset) and from `_SPLITS` (splits).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from simsplit.errors import ArtefactError, ScenarioError, SimsplitError
from simsplit.files import file_digest, text_digest
from simsplit.scenario.answers import answers_of
from simsplit.scenario.bundled import hardware_file, model_card, model_dir
from simsplit.scenario.codes import check_codes, code_digest, points_with_code, refer_codes
from simsplit.scenario.data import DataSpec, data_name, find_data, is_same_data, truth_of
from simsplit.scenario.data_layouts import own_by_name
from simsplit.scenario.devices import DeviceGroup
from simsplit.scenario.edge import Edge
from simsplit.scenario.mistakes import Collected, located, mistake
from simsplit.scenario.network_files import named_files, take_preprocess, with_digests
from simsplit.scenario.operating_points import EVERY, Network
from simsplit.scenario.places import (
    HARDWARE,
    MODEL,
    SCENARIO,
    Kind,
    find_file,
    find_named,
    reference,
    shown,
    unknown,
)
from simsplit.scenario.policies import EarlyExit, points_of
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.yaml import copied, lines_of, override, read_mapping, yaml_path

_SPLITS: Mapping[str, tuple[str, ...]] = {
    "streets_multitask": ("stage3",),
    "streets_nested": ("stage3",),
    "digits_cnn": ("stage2",),
}
_WEIGHTS = "weights.safetensors"


# --- the verb ---------------------------------------------------------------------------------


def load(source: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = ()) -> Scenario:
    """The checked scenario of a path, a name or a mapping, with ``path=value`` overrides.

    Hardware, models, traces and weights are looked for as `simsplit.scenario.places` says.

    Raises:
        ScenarioError: It says something impossible; the error names the path in the YAML.
        ArtefactError: Its model is not trained.
    """
    raw, file = _raw(source)
    written = copied(raw)
    for text in overrides:
        override(raw, text)
    try:
        return _checked(raw, None if file is None else file.parent)
    except SimsplitError as error:
        if file is not None:
            located(error, _lines_that_count(file, written, raw), file.name)
        raise


def _checked(raw: dict[str, Any], folder: Path | None) -> Scenario:
    """The scenario; every mistake of it is told at once."""
    collected = Collected()
    content = _with_references(raw, folder, collected)
    try:
        scenario = Scenario.model_validate(content)
    except ValidationError as error:
        collected.errors.append(mistake(error, raw, Scenario))
    collected.tell()
    _cross_check(scenario, folder, collected)
    collected.tell()
    return scenario


def _lines_that_count(file: Path, written: dict[str, Any], raw: dict[str, Any]) -> dict[str, int]:
    """Lines of a file's YAML paths, but for what overrides have changed."""
    then, now = dict(_nodes(written)), dict(_nodes(raw))
    return {path: n for path, n in lines_of(file).items() if now.get(path) == then.get(path)}


def _nodes(node: Any, parts: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Everything in a mapping by its YAML path."""
    yield yaml_path(parts), node
    if isinstance(node, dict | list):
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            yield from _nodes(value, (*parts, key))


def resolved_yaml(scenario: Scenario) -> str:
    """The scenario with every default written out; loading it again gives the same scenario."""
    content = scenario.model_dump(mode="json")
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def digest(scenario: Scenario) -> str:
    """SHA-256 of the scenario's canonical JSON; files it names count by content, not by place."""
    content = scenario.model_dump(mode="json")
    for _, spec in _specs_with_files(content):
        if spec["kind"] == "trace":
            spec["file"] = file_digest(Path(spec["file"]))
    for _, network in _networks(content):
        network.update(with_digests(network))
    for data in _data_on_disk(content):
        data["path"] = Path(data["path"]).name  # its files are an artefact of the run
    for _, point in points_with_code(content):
        point["code"] = code_digest(point["code"])
    for named in _named(content):
        if Path(named.value).is_absolute():
            named.spec[named.key] = _content_digest(named)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text_digest(text)


def _content_digest(named: _Named) -> str:
    """Of a user's own hardware file or network's weights."""
    path = Path(named.value)
    return file_digest(path / _WEIGHTS if named.kind is MODEL else path)


def _raw(source: str | Path | Mapping[str, Any]) -> tuple[dict[str, Any], Path | None]:
    """The mapping, and the file that it stands in."""
    if isinstance(source, Mapping):
        return copied(source), None
    path = find(source)
    return read_mapping(path), path


def find(source: str | Path) -> Path:
    """The file of a path or a name (see `simsplit.scenario.places`).

    Raises:
        ScenarioError: There is none; the error lists where it was looked for.
    """
    text = str(source)
    if "\0" in text or len(text) > 4000:
        raise ScenarioError("not a path", value=text)
    try:
        if Path(text).is_file():
            return Path(text)
        found = find_named(SCENARIO, text)
        if found is None and Path(text).is_dir():
            raise ScenarioError("this is a directory, not a scenario", value=text)
    except OSError as error:
        raise ScenarioError(f"cannot be read: {error.strerror}", value=text) from None
    if found is None:
        raise unknown(SCENARIO, text)
    return found


# --- what the scenario says against what is there ---------------------------------------------


@dataclass(frozen=True)
class _Named:
    """A key of the scenario that names hardware or a model; ``value``: what it says, or means."""

    kind: Kind
    spec: dict[str, Any]
    path: str
    value: str

    @property
    def key(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


def _named(content: dict[str, Any]) -> Iterator[_Named]:
    """Every hardware and model that a scenario's mapping names, or means by saying none."""
    groups = content.get("devices")
    for index, group in enumerate(groups if isinstance(groups, list) else ()):
        if isinstance(group, dict):
            yield from _names(HARDWARE, group, f"devices[{index}].hardware", None)
    edge = content.get("edge", {})
    if isinstance(edge, dict):
        default = Edge.model_fields["hardware"].default
        yield from _names(HARDWARE, edge, "edge.hardware", default)
        if isinstance(edge.get("cloud"), dict):
            yield from _names(HARDWARE, edge["cloud"], "edge.cloud.hardware", None)
    yield from _names(MODEL, content, "model", Scenario.model_fields["model"].default)


def _names(kind: Kind, spec: dict[str, Any], path: str, default: str | None) -> Iterator[_Named]:
    value = spec.get(path.rpartition(".")[2], default)
    if isinstance(value, str):
        yield _Named(kind, spec, path, value)


def _with_references(
    raw: dict[str, Any], folder: Path | None, collected: Collected
) -> dict[str, Any]:
    """The scenario with whatever it names as a reference (see `simsplit.scenario.places`)."""
    content: dict[str, Any] = copied(raw)
    for path, spec in _specs_with_files(content):
        file = spec.get("file")
        if spec.get("kind") == "trace" and isinstance(file, str):
            with collected.kept():
                spec["file"] = str(find_file(file, "trace", beside=folder, path=f"{path}.file"))
    for path, network in _networks(content):
        for key, what in named_files(network).items():
            with collected.kept():
                found = find_file(network[key], what, beside=folder, path=f"{path}.{key}")
                network[key] = str(found)
        take_preprocess(network)
    task = content.get("task")
    if isinstance(task, dict) and (own := own_by_name(task.get("dataset"))) is not None:
        task["dataset"] = own
    for spec in _data_on_disk(content):
        with collected.kept():
            spec["path"] = str(find_data(spec["path"], beside=folder, path="task.dataset.path"))
    refer_codes(content, folder, collected)
    for named in _named(content):
        target = find_named(named.kind, named.value, folder)
        if target is None and named.kind is HARDWARE:
            error = unknown(HARDWARE, named.value, beside=folder, path=named.path)
            collected.errors.append(error)
        elif target is not None and reference(named.kind, target) != named.value:
            named.spec[named.key] = reference(named.kind, target)
    return content


def _data_on_disk(content: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The task's data set, if it is named by a path."""
    task = content.get("task")
    data = task.get("dataset") if isinstance(task, dict) else None
    if isinstance(data, dict) and isinstance(data.get("path"), str):
        yield data


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


def _cross_check(scenario: Scenario, folder: Path | None, collected: Collected) -> None:
    points = [point.name for point in scenario.operating_points]
    networks = [network.name for network in scenario.networks]
    for index, point in enumerate(scenario.operating_points):
        if point.network is not None:
            with collected.kept():
                _among(point.network, networks, f"operating_points[{index}].network", "network")
    for index, group in enumerate(scenario.devices):
        where = f"devices[{index}]"
        with collected.kept():
            _check_choice(scenario, group, points, where)
        with collected.kept():
            _check_hardware(group.hardware, f"{where}.hardware", needs_radio=True)
            _check_level(group, f"{where}.dvfs")
    with collected.kept():
        _check_hardware(scenario.edge.hardware, "edge.hardware", needs_radio=False)
    if scenario.edge.cloud is not None:
        with collected.kept():
            cloud = scenario.edge.cloud.hardware
            _check_hardware(cloud, "edge.cloud.hardware", needs_radio=False)
    if any(point.network is None for point in scenario.operating_points):
        with collected.kept():
            _check_model(scenario, folder, collected)
    check_codes(scenario, collected)
    for index, network in enumerate(scenario.networks):
        with collected.kept():
            _check_answer(scenario.task.dataset, network, f"networks[{index}].answer")


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


def _check_answer(data: str | DataSpec, network: Network, path: str) -> None:
    """The data set has what the answers are held against, as far as it is known beforehand."""
    truth = truth_of(data)
    for spec in answers_of(network.answer) if truth is not None else ():
        key = spec.truth_key
        if truth is None or key in (*truth, "", "image"):
            continue
        what = f"an answer of kind '{spec.kind}' is held against '{key}'"
        message = f"{what}; the truth of this data set: {', '.join(truth) or 'none'}"
        raise ScenarioError(message, path=path, value=key)


def _among(value: str, choices: Sequence[str], path: str, what: str) -> None:
    if value not in choices:
        raise ScenarioError(f"no such {what}", path=path, value=value, choices=choices)


def _check_hardware(name: str, path: str, *, needs_radio: bool) -> None:
    """``name`` is a reference by now, and there is such a file."""
    if needs_radio and "radio" not in read_mapping(hardware_file(name)):
        raise ScenarioError("this hardware is a server, it has no radio", path=path, value=name)


def _check_level(group: DeviceGroup, path: str) -> None:
    if group.dvfs is None:
        return
    content = read_mapping(hardware_file(group.hardware))
    levels = [str(level["name"]) for level in content.get("dvfs", ())]
    _among(group.dvfs, levels, path, f"frequency level of '{shown(group.hardware)}'")


def _check_model(scenario: Scenario, folder: Path | None, collected: Collected) -> None:
    """The model is there and trained, and can do what the operating points want of it."""
    if scenario.model is None:
        raise ScenarioError("operating points without a network need a model", path="model")
    there = find_named(MODEL, scenario.model, folder) is not None
    card = model_card(scenario.model) if there else {}
    if "dataset" not in card:
        raise unknown(MODEL, scenario.model, beside=folder, path="model")
    if not (model_dir(scenario.model) / _WEIGHTS).is_file():
        own = Path(scenario.model).is_absolute()
        recipe = f"{scenario.model if own else f'models/{scenario.model}'}/recipe.yaml"
        raise ArtefactError(
            f"the model has no weights; run `simsplit train {recipe}`",
            path="model",
            value=scenario.model,
        )
    has_exit = "exit_head" in (card.get("macs_by_part") or {})
    splits = [str(s) for s in card.get("splits") or _SPLITS.get(scenario.model, ())]
    for index, point in enumerate(scenario.operating_points):
        where = f"operating_points[{index}]"
        with collected.kept():
            if point.exit and not has_exit:
                message = f"model '{scenario.model}' has no early exit"
                raise ScenarioError(message, path=f"{where}.exit")
        with collected.kept():
            if point.split is not None and point.network is None:
                _among(point.split, splits, f"{where}.split", "split in this model")
    if not is_same_data(card["dataset"], scenario.task.dataset):
        choices, name = [str(card["dataset"])], data_name(scenario.task.dataset)
        _among(name, choices, "task.dataset", "dataset for this model")
