"""What a scenario asks of its trained network, against what that network can do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from simsplit.errors import ScenarioError
from simsplit.messages import Scheme
from simsplit.scenario.data import data_name, is_same_data
from simsplit.scenario.operating_points import OperatingPoint, Task

if TYPE_CHECKING:
    from simsplit.networks.artefact import Artefact


# --- checks -----------------------------------------------------------------------------------


def _check_task(card: Mapping[str, Any], model: str, task: Task) -> None:
    if not is_same_data(card["dataset"], task.dataset):
        message = f"model '{model}' was trained on another dataset"
        name, choices = data_name(task.dataset), [str(card["dataset"])]
        raise ScenarioError(message, path="task.dataset", value=name, choices=choices)
    for key, value in (("height", task.height_px), ("width", task.width_px)):
        if card[key] != value:
            message = f"model '{model}' was trained at {card['height']} x {card['width']} px"
            raise ScenarioError(message, path=f"task.{key}_px", value=value)


def _check_schemes(artefact: Artefact, points: Sequence[OperatingPoint]) -> None:
    for index, point in enumerate(points):
        if point.scheme is Scheme.JSCC and not artefact.model.has_jscc:
            raise ScenarioError(
                f"model '{artefact.name}' has no JSCC path",
                path=f"operating_points[{index}].scheme",
                value=point.scheme.value,
                choices=("local", "raw", "separate"),
            )


def _check_splits(splits: Sequence[str], points: Sequence[OperatingPoint]) -> None:
    for index, point in enumerate(points):
        if point.split is not None and point.split not in splits:
            path = f"operating_points[{index}].split"
            raise ScenarioError("no such split", path=path, value=point.split, choices=splits)


def _check_exits(artefact: Artefact, models_dir: Path, points: Sequence[OperatingPoint]) -> None:
    asking = [index for index, point in enumerate(points) if point.exit]
    if asking and not artefact.model.has_exit:
        others = ", ".join(_models_with_exit(models_dir)) or "none"
        raise ScenarioError(
            f"model '{artefact.name}' has no early exit; models that have one: {others}",
            path=f"operating_points[{asking[0]}].exit",
            value=", ".join(points[index].name for index in asking),
        )


def _models_with_exit(models_dir: Path) -> list[str]:
    files = sorted(models_dir.glob("*/card.json"))
    cards = {file.parent.name: json.loads(file.read_text()) for file in files}
    return [name for name, card in cards.items() if "exit_head" in card.get("macs_by_part", {})]
