"""Weights from a local file: what the file is, which of its parts fit the network, and why not.

Nothing in a file is executed: safetensors, or what ``torch.load(weights_only=True)`` takes. A
checkpoint may wrap its state dict (``state_dict``, ``model``, ``ema`` …) and its names may begin
with what a wrapper put there (``module.``, ``_orig_mod.`` …): each such reading is tried, and taken
if it is the only one that fits all of the network's names.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from simsplit.errors import ArtefactError, article
from simsplit.networks.file_kinds import Kind, kind_of

TRAINING_ONLY = ("aux1.", "aux2.", "AuxLogits.", "aux_classifier.")  # heads left out at inference
_BESIDE = ("entropy_tables.",)  # in files of simsplit's own models, no parameters of the network
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
WRAPPED_DEEP = 3  # mappings within mappings that are looked into
_UNREAD = ("n_averaged",)  # counts of an averaged model
_OPTIONAL = "num_batches_tracked"  # older files lack it; nothing reads it at inference
_NAMED_KEYS = 3  # of a mismatch

State = Mapping[str, Tensor]


@dataclass(frozen=True)
class Reading:
    """One way to read a checkpoint.

    Attributes:
        key: Where the state dict lies in it, with dots; empty: it is the whole file.
        prefix: What is taken off the names.
        state: Names without prefix → tensors.
    """

    key: str
    prefix: str
    state: State

    def __str__(self) -> str:
        said = (("weights_key", self.key), ("weights_prefix", self.prefix))
        return ", ".join(f"{name}: {value}" for name, value in said if value) or "as it is"


def load_weights(
    module: nn.Module,
    path: Path,
    *,
    key: str | None = None,
    prefix: str | None = None,
    rename: Callable[[str], str] = str,
    fresh: tuple[str, ...] = (),
) -> Reading:
    """Fills a network from a safetensors file or a state dict (``torch.load(weights_only=True)``).

    Heads that torchvision has for training alone are left out where the network has none.

    Args:
        module: The network.
        path: Of the file.
        key: Where the state dict lies in the checkpoint; None: wherever it fits.
        prefix: Only names that begin with it are read, without it; None: whatever fits.
        rename: What the file calls a tensor → its name in the network.
        fresh: Tensors of the network whose names begin so stay as they are, whatever the file says.

    Returns:
        How the file was read.

    Raises:
        ArtefactError: no such file; not weights (it says what instead); no reading fits, or several
            do; other shapes; NaN in any tensor, or infinity in a parameter.
    """
    wanted = {name for name in module.state_dict() if not name.startswith(fresh)}
    if fresh and len(wanted) == len(module.state_dict()):
        choices = sorted({name.split(".")[0] for name in wanted})
        message = "no parameter of the network begins so"
        raise ArtefactError(message, path="weights_fresh", value=", ".join(fresh), choices=choices)
    readings = [_renamed(r, rename, fresh) for r in _readings(read(path), path, key, prefix)]
    reading = _the_one_that_fits(wanted, path, readings)
    _fill(module, path, reading)
    return reading


def read(path: Path) -> Any:
    """What a weights file holds: a state dict, or mappings with state dicts in them.

    Raises:
        ArtefactError: No such file, or another kind of file; the message says which.
    """
    if path.is_dir():
        raise ArtefactError("is a folder, not a file of weights", path="weights", value=str(path))
    if not path.is_file():
        raise ArtefactError("no such weights file", path="weights", value=str(path))
    kind = kind_of(path)
    if kind not in (Kind.SAFETENSORS, Kind.TORCH_SAVE):
        message = f"{path} is {kind.value}: neither safetensors nor a state dict of tensors"
        raise ArtefactError(f"{message}{kind.remedy}", path="weights")
    try:
        return _load_safetensors(path) if kind is Kind.SAFETENSORS else _load_torch(path)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        message = f"{path} is damaged, neither safetensors nor a state dict of tensors: {reason}"
        raise ArtefactError(message, path="weights") from error


def _load_safetensors(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from error


def _load_torch(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        if named is None:
            raise ValueError("its pickle cannot be read as tensors") from None
        raise ArtefactError(
            f"{path} holds Python objects ({named[1]}), which would have to be executed; it is no "
            "plain state dict of tensors: save the network's state_dict() alone",
            path="weights",
        ) from None


# --- readings ----------------------------------------------------------------------------------


def _readings(content: Any, path: Path, key: str | None, prefix: str | None) -> Iterator[Reading]:
    states = dict(_states(content))
    if not states:
        raise ArtefactError(f"{path} holds no state dict{_contents(content)}", path="weights")
    if key is not None and key not in states:
        message = f"{path} holds no state dict there"
        choices = [at for at in states if at]
        raise ArtefactError(message, path="weights_key", value=key, choices=choices)
    for at, state in states.items():
        if key is None or at == key:
            yield from _stripped(at, state, prefix)


def _states(content: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, State]]:
    """Every mapping of names to tensors in it, by place."""
    if not isinstance(content, Mapping) or depth > WRAPPED_DEEP:
        return
    named = {k: v for k, v in content.items() if isinstance(k, str)}
    if named and all(isinstance(value, Tensor) for value in named.values()):
        yield key, named
    for name, value in named.items():
        yield from _states(value, f"{key}.{name}" if key else name, depth + 1)


def _stripped(key: str, state: State, prefix: str | None) -> Iterator[Reading]:
    """The state dict without the prefix asked for; else without each that all names have."""
    if prefix is not None:
        yield _without(key, state, prefix)
        return
    taken = ""
    while True:
        yield _without(key, state, taken)
        names = [name for name in state if name not in _UNREAD]
        more = next((p for p in PREFIXES if all(n.startswith(taken + p) for n in names)), None)
        if more is None:
            return
        taken += more


def _without(key: str, state: State, prefix: str) -> Reading:
    own = {n: t for n, t in state.items() if n.startswith(prefix) and n not in _UNREAD}
    return Reading(key, prefix, {n.removeprefix(prefix): t for n, t in own.items()})


def _renamed(reading: Reading, rename: Callable[[str], str], fresh: tuple[str, ...]) -> Reading:
    named = {rename(name): tensor for name, tensor in reading.state.items()}
    state = {name: tensor for name, tensor in named.items() if not name.startswith(fresh)}
    return Reading(reading.key, reading.prefix, state)


def _contents(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f": it is {article(type(content).__name__)}"
    return f"; it holds {', '.join(map(str, list(content)[:5])) or 'nothing'}"


def _the_one_that_fits(wanted: set[str], path: Path, readings: list[Reading]) -> Reading:
    fitting = [reading for reading in readings if not any(_differences(reading, wanted))]
    if len(fitting) == 1 or (fitting and (fitting[0].key, fitting[0].prefix) == ("", "")):
        return fitting[0]
    if fitting:
        ways = "; or ".join(map(str, fitting))
        message = f"{path} holds several state dicts that fit: say which, {ways}"
        raise ArtefactError(message, path="weights")
    nearest = max(readings, key=lambda reading: len(wanted & set(reading.state)))
    raise _misfit(path, readings, nearest, wanted)


def _differences(reading: Reading, wanted: set[str]) -> tuple[list[str], list[str]]:
    """Names that the network wants in vain, and names that it does not know."""
    missing = [n for n in wanted - set(reading.state) if not n.endswith(_OPTIONAL)]
    unneeded = (*TRAINING_ONLY, *_BESIDE)
    unexpected = [n for n in reading.state if n not in wanted and not n.startswith(unneeded)]
    return sorted(missing), unexpected


def _misfit(
    path: Path, readings: list[Reading], nearest: Reading, wanted: set[str]
) -> ArtefactError:
    missing, unexpected = _differences(nearest, wanted)
    read = "" if str(nearest) == "as it is" else f" (read with {nearest})"
    partial = next(filter(None, (_partial(r, wanted) for r in readings)), None)
    hint = "" if partial is None else f". It wraps this network: say {partial}"
    return ArtefactError(
        f"{path} belongs to another network{read}: missing {_some(missing)}, "
        f"unexpected {_some(unexpected)}{hint}",
        path="weights",
    )


def _partial(reading: Reading, wanted: set[str]) -> Reading | None:
    """The reading whose names below a prefix, others left unread, are all the network's."""
    last = min(wanted, default="")
    before = {name.removesuffix(last) for name in reading.state if name.endswith(f".{last}")}
    for prefix in sorted(before):
        found = _without(reading.key, reading.state, prefix)
        if found.state and not any(_differences(found, wanted)):
            return Reading(reading.key, reading.prefix + prefix, found.state)
    return None


def _some(keys: list[str]) -> str:
    more = f" and {len(keys) - _NAMED_KEYS} more" if len(keys) > _NAMED_KEYS else ""
    return (", ".join(keys[:_NAMED_KEYS]) or "none") + more


# --- filling -----------------------------------------------------------------------------------


def _fill(module: nn.Module, path: Path, reading: Reading) -> None:
    own = module.state_dict()
    state = {n: t for n, t in reading.state.items() if n in own}
    _check_finite(module, path, state)
    try:
        module.load_state_dict(state, strict=False)
    except RuntimeError as error:
        shapes = "; ".join(str(error).splitlines()[1 : 1 + _NAMED_KEYS]).strip()
        raise ArtefactError(f"{path} holds other shapes: {shapes}", path="weights") from error


def _check_finite(module: nn.Module, path: Path, state: State) -> None:
    """Masks of attention are buffers that may hold minus infinity; nothing may hold NaN."""
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    for name, tensor in state.items():
        if not (tensor.is_floating_point() or tensor.is_complex()):
            continue
        bad = ~tensor.isfinite() if name in parameters else tensor.isnan()
        if count := int(bad.sum()):
            what = "NaN" if bool(tensor.isnan().any()) else "infinity"
            message = f"{path} holds {what} in {name} ({count} of {tensor.numel()} values)"
            raise ArtefactError(message, path="weights")
