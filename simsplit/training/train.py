"""recipe.yaml → weights (or a table) and card, whatever the recipe is of."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simsplit.errors import ScenarioError
from simsplit.files import check_folder, json_digest, write_whole
from simsplit.hardware.fit_codecs import make as make_codec_costs
from simsplit.hardware.fit_latency import make
from simsplit.phy.calibrate import calibrate
from simsplit.scenario.bundled import model_files, own_folder
from simsplit.scenario.permission import takes_permission
from simsplit.scenario.places import MODEL, find_file, find_named, referred
from simsplit.training.fitting import Progress, train_net
from simsplit.training.loop import open_course, train_phases
from simsplit.training.origins import has_its_origins
from simsplit.training.phases import KINDS as PHASED
from simsplit.training.phases import parse_phased_recipe
from simsplit.training.recipe import (
    TRAINED,
    NetRecipe,
    parse_net_recipe,
    read_mapping,
    with_data,
)
from simsplit.training.rescore import rescore_card
from simsplit.training.variants import Variant, varied

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads starve a shared machine

MEASURED = {"latency": make, "codec_costs": make_codec_costs}


@takes_permission
def train(
    recipe: str | Path,
    *,
    max_steps: int | None = None,
    progress: Progress | None = None,
    out: str | Path | None = None,
    threads: int = 1,
    device: str = "cpu",
    allow_code: bool = False,
    seed: int | None = None,
    fold: int | None = None,
    keep_weights: bool = False,
) -> Path:
    """Fit what a recipe describes and write it beside the recipe; resumes from a checkpoint.

    What an installed package's recipe describes goes to ``models/<name>`` in the working folder.

    Args:
        recipe: A recipe's file, or the name of a model (see `simsplit.scenario.places`).
        max_steps: Shortens the whole schedule to this many steps, for a trial. The trial goes to
            ``partial-<steps>`` beside the recipe, so that it cannot replace the real weights.
        progress: Called after every step with step, steps and loss.
        out: Where to write instead; a copy of the recipe goes there too.
        threads: Of a network's training. Sums depend on their number, so weights are the same bit
            for bit only with the same one.
        device: ``cpu``, ``cuda`` or ``mps``, for recipes of kind network and code.
        allow_code: Modules of a user's own may be imported (`simsplit.scenario.permission`).
        seed, fold: Of the training, if others than the recipe's: the card goes to ``seed<n>`` or
            ``fold<k>`` below the folder, see `simsplit.training.variants`.
        keep_weights: Leave the weights of another seed or fold there too; only with one of both.

    Returns:
        The folder that holds ``card.json`` and the weights (or table).

    Raises:
        ScenarioError: The recipe says something wrong, an argument does not belong to its kind,
            or ``out`` is somebody else's folder.
        ArtefactError: The checkpoint of another recipe's unfinished training is in the way.
    """
    _check_kept(seed, fold, keep_weights=keep_weights)
    file, variant, folder = _planned(recipe, out, seed, fold)
    if out is not None:
        check_folder(folder, "a model's", is_ours=bool(model_files(folder)))
    if max_steps is not None and (kind := variant.content["kind"]) not in TRAINED:
        message = "only networks and codes have steps; this recipe is of kind"
        raise ScenarioError(message, path="max_steps", value=kind)
    if out is None and max_steps is not None:
        folder = folder / f"partial-{max_steps}"
    _fit(variant, file, folder, max_steps, progress, threads, device)
    if variant.below and not keep_weights:
        (folder / "weights.safetensors").unlink(missing_ok=True)
    return folder


@takes_permission
def rescore(
    recipe: str | Path,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    fold: int | None = None,
    allow_code: bool = False,
) -> Path:
    """Bytes and scores of a card anew, from the weights that `train` left; nothing is trained.

    For cards of an earlier simsplit, of kind network or code, whose payloads or scores it counted
    otherwise. Arguments are those of `train`.

    Returns:
        The folder of card and weights.

    Raises:
        ScenarioError: A recipe of another kind, or not the card's.
        ArtefactError: Card or weights are missing or damaged.
    """
    file, variant, folder = _planned(recipe, out, seed, fold)
    return rescore_card(variant, file.parent, folder)


def trained_already(
    recipe: str | Path,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    fold: int | None = None,
    keep_weights: bool = False,
) -> Path | None:
    """The folder that `train` would write, if the card there is of this very recipe.

    Where `train` leaves weights they must be there too, and the network and code that it starts
    from must be those of then. Arguments and errors are those of `train`.
    """
    _check_kept(seed, fold, keep_weights=keep_weights)
    file, variant, folder = _planned(recipe, out, seed, fold)
    files = model_files(folder)
    if "card" not in files or ("weights" not in files and (keep_weights or not variant.below)):
        return None
    try:
        card = json.loads(files["card"].read_text())
        is_same = card["recipe_digest"] == json_digest(variant.written)
    except (ValueError, KeyError, TypeError):
        return None  # damaged, or of a table
    return folder if is_same and has_its_origins(card, variant.content, file.parent) else None


def _check_kept(seed: int | None, fold: int | None, *, keep_weights: bool) -> None:
    """Weights of the recipe's own seed and fold are kept anyway."""
    if keep_weights and seed is None and fold is None:
        message = "is for another seed or fold, which is not said"
        message += "; the recipe's own weights are always kept"
        raise ScenarioError(message, path="keep_weights", value=True)


def _planned(
    recipe: str | Path, out: str | Path | None, seed: int | None, fold: int | None
) -> tuple[Path, Variant, Path]:
    """The recipe's file, what is trained of it, and the folder for it."""
    content = read_mapping(file := _recipe_file(recipe))
    top = own_folder(file.parent) if out is None else Path(out)
    variant = varied(content, file.parent, seed=seed, fold=fold, beside=top.parent)
    return file, variant, top / variant.below


def _fit(
    variant: Variant,
    file: Path,
    folder: Path,
    max_steps: int | None,
    progress: Progress | None,
    threads: int,
    device: str,
) -> None:
    content, kind = variant.content, variant.content["kind"]
    if device != "cpu" and kind not in PHASED:
        message = "only recipes of kind network and code train elsewhere than on the cpu"
        raise ScenarioError(message, path="device", value=device)
    if kind in MEASURED:
        _put_recipe(folder, file, variant)
        MEASURED[kind](folder)
        return
    if kind in PHASED:
        course = open_course(parse_phased_recipe(content, file.parent), device, max_steps)
        _put_recipe(folder, file, variant)
        train_phases(course, folder, variant.written, progress, threads)
        return
    if kind == "bler_table":
        _put_recipe(folder, file, variant)
        calibrate(content, folder, _without_loss(progress))
        return
    asked = _net_recipe(content, file, max_steps)
    _put_recipe(folder, file, variant)
    digest, is_shortened = json_digest(variant.written), max_steps is not None
    train_net(asked, folder, digest, progress, threads, is_shortened=is_shortened)


def _net_recipe(content: dict[str, Any], file: Path, max_steps: int | None) -> NetRecipe:
    """The recipe of a network of simsplit's own kinds, what it names found."""
    asked = with_data(parse_net_recipe(content), file.parent)
    if max_steps is not None:
        asked = asked.model_copy(update={"steps": min(max_steps, asked.steps)})
    if asked.start_from is not None:
        start = referred(MODEL, asked.start_from, beside=file.parent.parent, path="start_from")
        asked = asked.model_copy(update={"start_from": start})
    return asked


def _recipe_file(recipe: str | Path) -> Path:
    """The recipe of a model's name, or the file of a path; one that is not there is told later."""
    if Path(recipe).is_file():
        return Path(recipe)
    model = find_named(MODEL, str(recipe))
    return find_file(str(recipe), "recipe") if model is None else model / "recipe.yaml"


def _put_recipe(folder: Path, recipe: Path, variant: Variant) -> None:
    """Makes the folder, with a copy of the recipe, which says what the model there is."""
    folder.mkdir(parents=True, exist_ok=True)
    if variant.below:
        write_whole(folder / "recipe.yaml", variant.text)
        return
    is_trial = folder.parent.resolve() == recipe.parent.resolve()
    if not is_trial and not (folder / "recipe.yaml").exists():
        shutil.copyfile(recipe, folder / "recipe.yaml")


def _without_loss(progress: Progress | None) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(done, total, 0.0)
