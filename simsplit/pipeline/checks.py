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


Points = Mapping[str, OperatingPoint]  # by their path in the YAML


def check_task(card: Mapping[str, Any], model: str, task: Task) -> None:
    """Refuse pictures of another data set or size than the model was trained for.

    Raises:
        ScenarioError: They are.
    """
    if not is_same_data(card["dataset"], task.dataset):
        message = f"model '{model}' was trained on another dataset"
        name, choices = data_name(task.dataset), [str(card["dataset"])]
        raise ScenarioError(message, path="task.dataset", value=name, choices=choices)
    for key, value in (("height", task.height_px), ("width", task.width_px)):
        if card[key] != value:
            message = f"model '{model}' was trained at {card['height']} x {card['width']} px"
            raise ScenarioError(message, path=f"task.{key}_px", value=value)


def check_schemes(artefact: Artefact, points: Points) -> None:
    """Refuse JSCC of a model without it.

    Raises:
        ScenarioError: A point asks for it.
    """
    for path, point in points.items():
        if point.scheme is Scheme.JSCC and not artefact.model.has_jscc:
            raise ScenarioError(
                f"model '{artefact.name}' has no JSCC path",
                path=f"{path}.scheme",
                value=point.scheme.value,
                choices=("local", "raw", "separate"),
            )


def check_splits(splits: Sequence[str], points: Points) -> None:
    """Refuse cuts that a model does not offer.

    Raises:
        ScenarioError: A point asks for one.
    """
    for path, point in points.items():
        if point.split is not None and point.split not in splits:
            raise ScenarioError(
                "no such split", path=f"{path}.split", value=point.split, choices=splits
            )


def check_exits(artefact: Artefact, models_dir: Path, points: Points) -> None:
    """Refuse early exits of a model without one.

    Raises:
        ScenarioError: Points ask for it.
    """
    asking = [path for path, point in points.items() if point.exit]
    if asking and not artefact.model.has_exit:
        others = ", ".join(_models_with_exit(models_dir)) or "none"
        raise ScenarioError(
            f"model '{artefact.name}' has no early exit; models that have one: {others}",
            path=f"{asking[0]}.exit",
            value=", ".join(points[path].name for path in asking),
        )


def _models_with_exit(models_dir: Path) -> list[str]:
    files = sorted(models_dir.glob("*/card.json"))
    cards = {file.parent.name: json.loads(file.read_text()) for file in files}
    return [name for name, card in cards.items() if "exit_head" in card.get("macs_by_part", {})]
