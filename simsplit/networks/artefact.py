"""Trained networks on disk: ``models/<name>/weights.safetensors`` with its ``card.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from simsplit.errors import ArtefactError
from simsplit.files import file_digest, json_digest, whole_file, write_whole
from simsplit.networks.compressible import CompressibleNet
from simsplit.networks.digits import DigitsNet
from simsplit.networks.multitask import MultitaskExitNet, MultitaskNet
from simsplit.networks.split_model import SplitModel

WEIGHTS = "weights.safetensors"
CARD = "card.json"
RECIPE = "recipe.yaml"
_IDENTITY = {"kind", "height", "width", "weights_digest", "recipe_digest"}
_COSTS = {"macs_by_part", "operators_by_part"}
NETWORKS: dict[str, Callable[..., SplitModel]] = {
    "compressible": CompressibleNet,
    "multitask": MultitaskNet,
    "multitask_exit": MultitaskExitNet,
    "digits": DigitsNet,
}
_OPERATOR_ROW = re.compile(r'\[\s+"[^"]*",\s+"[^"]*",\s+[-.\d](?:[^"\[\]]|"[^"]*")*\]')
_TABLES = "entropy_tables."  # prefix of the integer tables among the tensors

Tables = dict[int, NDArray[np.int64]]  # bit depth → (channels, 2^bits) frequencies


@dataclass(frozen=True)
class Artefact:
    """A trained network, the entropy tables of its digital bottleneck, and its card."""

    name: str
    model: SplitModel
    tables: Tables
    card: dict[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of all that makes its answers: the card, which names the weights' digest."""
        return json_digest(self.card)


def build_model(
    kind: str, height: int, width: int, network: Mapping[str, Any] | None = None
) -> SplitModel:
    """A fresh network of a kind, one of ``NETWORKS``, for images of a size in px.

    Args:
        kind, height, width: As recipes and cards say them.
        network: Further arguments of the kind, also as recipes and cards say them.

    Raises:
        KeyError: There is no such kind.
        ValueError: The size does not fit the network.
    """
    return NETWORKS[kind](height, width, **(network or {}))


def load_artefact(models_dir: Path, name: str, *, with_costs: bool = True) -> Artefact:
    """A trained network in evaluation mode.

    Args:
        models_dir: Folder of all trained things.
        name: The network's folder in it, or an absolute path.
        with_costs: False accepts a card that does not hold the work of every operator.

    Raises:
        ArtefactError: Folder, weights or card are missing, damaged, or do not belong together.
    """
    folder = models_dir / name
    card = read_card(folder, with_costs=with_costs)
    weights = folder / WEIGHTS
    if file_digest(weights) != card["weights_digest"]:
        raise _untrained("the weights are not those of card.json", folder, weights)
    recipe = folder / RECIPE
    if recipe.exists() and recipe_digest(recipe) != card["recipe_digest"]:
        raise _untrained("recipe.yaml has changed since the weights were trained", folder, recipe)
    try:
        tensors = load_file(weights)
        model = build_model(card["kind"], card["height"], card["width"], card.get("network"))
        tables = {_depth(key): tensors.pop(key).numpy() for key in list(tensors) if _is_table(key)}
        model.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise _untrained(f"the weights do not fit the network ({error})", folder, weights) from None
    return Artefact(folder.name, model.eval().requires_grad_(False), tables, card)


def read_card(folder: Path, *, with_costs: bool = True) -> dict[str, Any]:
    """``card.json`` of a model's folder; ``with_costs`` asks for the work of every operator too.

    Raises:
        ArtefactError: The folder, its card or its weights are missing or damaged.
    """
    for file in (folder / WEIGHTS, folder / CARD):
        if not file.is_file():
            raise _untrained("not trained yet, there is no such file", folder, file)
    try:
        card = json.loads((folder / CARD).read_text())
    except json.JSONDecodeError as error:
        raise _untrained(f"damaged card ({error})", folder, folder / CARD) from None
    missing = _IDENTITY - set(card)
    if missing:
        raise _untrained(f"the card lacks {', '.join(sorted(missing))}", folder, folder / CARD)
    uncounted = _COSTS - set(card) if with_costs else set()
    if uncounted:
        message = f"the card lacks {', '.join(sorted(uncounted))}, what the network's parts cost"
        command = f"simsplit.training.card.refresh_costs(Path('{folder}'))"
        raise ArtefactError(f"{message}; count it with `{command}`", path=str(folder / CARD))
    return dict(card)


def write_weights(folder: Path, model: SplitModel, tables: Mapping[int, NDArray[np.int64]]) -> str:
    """Write ``weights.safetensors`` whole and return its SHA-256."""
    tensors = {key: value.detach().contiguous() for key, value in model.state_dict().items()}
    tensors |= {f"{_TABLES}{bits}": torch.from_numpy(table) for bits, table in tables.items()}
    with whole_file(folder / WEIGHTS) as aside:
        save_file(tensors, aside)
    return file_digest(folder / WEIGHTS)


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write ``card.json`` whole, one operator a line."""
    text = _OPERATOR_ROW.sub(_on_one_line, json.dumps(card, indent=1))
    write_whole(folder / CARD, text + "\n")


def recipe_digest(path: Path) -> str:
    """SHA-256 of what a recipe says; comments and order do not count."""
    return json_digest(yaml.safe_load(path.read_text()))


def _on_one_line(row: re.Match[str]) -> str:
    return json.dumps(json.loads(row.group()))


def _is_table(key: str) -> bool:
    return key.startswith(_TABLES)


def _depth(key: str) -> int:
    return int(key.removeprefix(_TABLES))


def _untrained(message: str, folder: Path, file: Path) -> ArtefactError:
    command = f"simsplit train {folder / RECIPE}"
    return ArtefactError(f"{message}; run `{command}`", path=str(file))
