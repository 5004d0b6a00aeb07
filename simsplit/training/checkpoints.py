"""What a stopped training goes on from: one file in its folder, until its card is written."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import torch

from simsplit.errors import ArtefactError
from simsplit.files import whole_file

CHECKPOINT = "checkpoint.pt"
_DAMAGED = (RuntimeError, EOFError, BadZipFile, pickle.UnpicklingError, AttributeError)


def write_checkpoint(file: Path, state: Mapping[str, Any]) -> None:
    """Write it whole, or not at all.

    Args:
        file: Of the checkpoint.
        state: ``recipe`` (digest of what is trained), ``card`` (digest of the recipe as the card
            will hold it), ``step``, and what the training needs.
    """
    with whole_file(file) as aside:
        torch.save({**state, "threads": torch.get_num_threads()}, aside)


def read_checkpoint(
    file: Path, recipe: str, lengths: Sequence[int] = (), device: str = "cpu"
) -> dict[str, Any] | None:
    """What is to be gone on with; None: nothing. Nothing in it is executed.

    What the finished training of another recipe has left is removed.

    Args:
        file: Of the checkpoint.
        recipe: Digest of what is trained.
        lengths: Steps of every phase, of a training that has phases.
        device: Where its tensors shall be.

    Raises:
        ArtefactError: It is damaged, of the unfinished training of another recipe, or was made on
            another number of threads.
    """
    if not file.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(file, map_location=device, weights_only=True)
        is_same = (state.get("recipe"), [*state.get("lengths", ())]) == (recipe, [*lengths])
    except _DAMAGED as error:
        message = f"damaged checkpoint ({type(error).__name__}); delete it to start anew"
        raise ArtefactError(message, path=str(file)) from None
    if not is_same:
        if not _is_finished(state, file.parent / "card.json"):
            message = "checkpoint of another recipe, whose training is not finished"
            raise ArtefactError(f"{message}; delete it to start anew", path=str(file))
        file.unlink()
        return None
    threads = state.get("threads")
    if threads != torch.get_num_threads():
        message = f"checkpoint of a training on {threads} threads: go on with --threads {threads}"
        raise ArtefactError(message, path=str(file))
    return state


def _is_finished(state: Mapping[str, Any], card_file: Path) -> bool:
    """Whether the card beside a checkpoint is that of its training, which has come to its end."""
    try:
        card = json.loads(card_file.read_text(encoding="utf-8"))
        steps = card["trained"]["steps"]
        at_end = state["step"] == steps and sum(state.get("lengths", [steps])) == steps
        return bool(at_end and state.get("card", card["recipe_digest"]) == card["recipe_digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return False
