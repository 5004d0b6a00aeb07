"""Which classes of a user's own a scenario names, and whether a run may import them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from simsplit.errors import ScenarioError
from simsplit.files import json_digest
from simsplit.scenario.codes import code_target
from simsplit.scenario.permission import HINT, is_said
from simsplit.scenario.scenario import Scenario
from simsplit.scenario.spec import Spec
from simsplit.scenario.user_code import is_examined, is_ours
from simsplit.scenario.user_sources import is_there, source_digest
from simsplit.scenario.yaml import yaml_path


def targets(scenario: Spec) -> dict[str, str]:
    """Path in the YAML → ``package.module:Name``, of whatever a scenario (or part of it) names.

    That is every ``target`` of a ``kind: custom`` (of trained codes too), and every network's
    ``source`` that is a class.
    """
    return dict(_targets(scenario.model_dump(mode="json"), ()))


def _targets(node: Any, parts: tuple[str | int, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        key = "target" if node.get("kind") == "custom" else "source"
        value = node.get(key)
        if isinstance(value, str) and ":" in value:
            yield yaml_path((*parts, key)), value
        if isinstance(node.get("code"), str) and "scheme" in node:  # an operating point's
            target = code_target(node["code"])
            yield from () if target is None else ((yaml_path((*parts, "code")), target),)
        for name, child in node.items():
            yield from _targets(child, (*parts, name))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for index, child in enumerate(node):
            yield from _targets(child, (*parts, index))


def require_permission(scenario: Scenario) -> None:
    """Refuse to run what may not be imported; told before anything is computed.

    Raises:
        ScenarioError: Code of a user's own without permission. A module that is not there is told
            when it is opened.
    """
    for path, target in targets(scenario).items():
        if not is_examined(target) and is_there(target.partition(":")[0]):
            raise ScenarioError(f"may not be imported; {HINT}", path=path, value=target)


def not_examined(scenario: Scenario) -> list[str]:
    """Targets that looking at a scenario leaves alone: all that is not simsplit's own, unsaid."""
    own = set(targets(scenario).values())
    return sorted(target for target in own if not (is_ours(target) or is_said(target)))


def targets_digest(spec: Spec) -> str | None:
    """SHA-256 of the files of all classes that a spec names; None: it names none."""
    digests = {target: source_digest(target) for target in targets(spec).values()}
    return json_digest(digests) if digests else None
