"""What comes with the package: scenarios, hardware, trained networks, and where they are."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from simsplit.errors import ArtefactError
from simsplit.scenario.yaml import read_mapping

# --- where things are -------------------------------------------------------------------------


def _packed() -> Path:
    """Where a built package has the data; a checkout (editable install) has no such folder."""
    return Path(str(files("simsplit"))) / "_data"


def is_checkout() -> bool:
    """Whether the package lies in a checkout, whose ``models`` may be written to."""
    return not _packed().is_dir()


def data_root() -> Path:
    """The folder that holds the bundled ``scenarios`` and ``models``.

    In the package, or beside it in a checkout.
    """
    return _packed().parents[1] if is_checkout() else _packed()


def scenarios_dir() -> Path:
    """Bundled scenarios."""
    return data_root() / "scenarios"


def hardware_dir() -> Path:
    """Devices and servers."""
    return scenarios_dir() / "hardware"


def sweeps_dir() -> Path:
    """Bundled sweeps."""
    return scenarios_dir() / "sweeps"


def studies_dir() -> Path:
    """Bundled studies."""
    return scenarios_dir() / "studies"


def models_dir() -> Path:
    """Fitted networks and tables."""
    return data_root() / "models"


def hardware_file(name: str) -> Path:
    """The file of a bundled hardware, or of a user's own, which is known by its absolute path."""
    path = Path(name)
    return path if path.is_absolute() else hardware_dir() / f"{name}.yaml"


def model_dir(name: str) -> Path:
    """The folder of a bundled model, or of a user's own, which is known by its absolute path."""
    return models_dir() / name


def own_folder(folder: Path) -> Path:
    """Where to write what belongs into a folder: there, unless it is an installed package's.

    An installed package stays as it is: instead, ``models/NAME`` in the working folder.
    """
    root = data_root().resolve()
    if is_checkout() or not folder.resolve().is_relative_to(root):
        return folder
    return folder.resolve().relative_to(root)


def model_files(folder: Path) -> dict[str, Path]:
    """Every file of a model's folder that opening the model reads, by what it is."""
    names = {"weights": "weights.safetensors", "card": "card.json", "recipe": "recipe.yaml"}
    files = {what: folder / name for what, name in names.items()}
    return {what: path for what, path in files.items() if path.is_file()}


def bundled_names() -> list[str]:
    """Names of the bundled scenarios."""
    return sorted(path.stem for path in scenarios_dir().glob("*.yaml"))


def bundled_sweeps() -> list[str]:
    """Names of the bundled sweeps."""
    return sorted(path.stem for path in sweeps_dir().glob("*.yaml"))


def bundled_studies() -> list[str]:
    """Names of the bundled studies."""
    return sorted(path.stem for path in studies_dir().glob("*.yaml"))


def hardware_choices() -> list[str]:
    """Names of the hardware files."""
    return sorted(path.stem for path in hardware_dir().glob("*.yaml"))


def model_choices() -> list[str]:
    """Names of the networks in ``models`` (folders whose recipe or card names a dataset)."""
    folders = [path for path in models_dir().glob("*") if path.is_dir()]
    return sorted(path.name for path in folders if "dataset" in model_card(path.name))


def trained_choices(kind: str) -> list[str]:
    """Names of the folders in ``models`` whose card is of a ``network`` or a ``code``."""
    folders = [path for path in models_dir().glob("*") if path.is_dir()]
    return sorted(path.name for path in folders if model_card(path.name).get("kind") == kind)


def predictor_choices() -> list[str]:
    """Names of the latency predictors in ``models``."""
    folders = [path for path in models_dir().glob("*") if path.is_dir()]
    return sorted(p.name for p in folders if model_card(p.name).get("kind") == "latency")


def is_trained(name: str) -> bool:
    """Whether the weights of a network in ``models`` are there."""
    return (model_dir(name) / "weights.safetensors").is_file()


def model_card(name: str) -> dict[str, Any]:
    """What is known about a model: its recipe, overlaid by its card; empty if there is neither."""
    folder = model_dir(name)
    recipe, card = folder / "recipe.yaml", folder / "card.json"
    known: dict[str, Any] = read_mapping(recipe) if recipe.is_file() else {}
    if card.is_file():
        try:
            known |= json.loads(card.read_text(encoding="utf-8"))
        except (ValueError, TypeError) as error:
            raise ArtefactError(f"damaged card: {error}", value=str(card)) from None
    return known
