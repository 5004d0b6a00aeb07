"""Trained codes on disk: a folder with ``card.json``, ``weights.safetensors``, ``recipe.yaml``.

The weights are those of every part that the recipe changed: ``code.*`` always, ``head.*`` and
``tail.*`` (the network before and behind the cut) where phases trained them. The card names the
network that the code starts from: its spec and `simsplit.scenario.codes.start_digest`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from simsplit.errors import ArtefactError, ScenarioError
from simsplit.files import file_digest, whole_file
from simsplit.networks.codes.build import cut_shapes, make_code
from simsplit.networks.codes.contract import AnalogCode, DigitalCode, Shape
from simsplit.networks.cuts import cut
from simsplit.networks.graph import Graph
from simsplit.scenario.code_specs import CodeSpec
from simsplit.scenario.codes import RECIPE, WEIGHTS, code_card, code_folder, until_of

PARTS = ("code", "head", "tail")
CODE_SPEC: TypeAdapter[CodeSpec] = TypeAdapter(CodeSpec)


@dataclass(frozen=True)
class TrainedCode:
    """A code and what is left of its network before and behind it, as its recipe left them.

    Attributes:
        name: Of its folder.
        card: See the module.
        code, head, tail: In evaluation mode, without gradients.
    """

    name: str
    card: Mapping[str, Any]
    code: DigitalCode | AnalogCode
    head: nn.Module
    tail: nn.Module

    @property
    def until(self) -> str:
        """The node whose tensor the decoder gives; the tail begins behind it."""
        return until_of(self.card)


def write_code(folder: Path, parts: Mapping[str, nn.Module], dtype: str = "float32") -> str:
    """Writes ``weights.safetensors`` of the changed parts whole; gives its SHA-256.

    Args:
        folder: Of the artefact.
        parts: Modules by name.
        dtype: ``float16`` stores so every tensor that this leaves as it is (see `round_to_half`).
    """
    tensors = {
        f"{part}.{key}": value.detach().cpu().contiguous().clone()
        for part, module in parts.items()
        for key, value in module.state_dict().items()
    }
    if dtype == "float16":
        tensors = {key: _half_if_same(value) for key, value in tensors.items()}
    with whole_file(folder / WEIGHTS) as aside:
        save_file(tensors, aside)
    return file_digest(folder / WEIGHTS)


@dataclass(frozen=True)
class Start:
    """The code whose weights another one starts from.

    Attributes:
        name: Of its folder.
        weights_digest: Of its weights.
        decoder: Whether its decoder fitted too.
    """

    name: str
    weights_digest: str
    decoder: bool


def start_code(
    code: DigitalCode | AnalogCode, name: str, cut_name: str, spec: CodeSpec, digest: str
) -> Start:
    """Puts another code's weights into a code: the encoder's, and the decoder's if they fit.

    What the decoder gives is standardised as there if it is of the same network, else anew.

    Args:
        code: At its cut, which is changed.
        name: Bundled name or absolute path of the other code.
        cut_name: Where the code stands.
        spec: Of the code.
        digest: Of its network (`simsplit.scenario.codes.start_digest`).

    Raises:
        ArtefactError: The other code is not trained, or damaged.
        ScenarioError: It stands at another cut, or has another encoder.
    """
    folder, card = code_folder(name), code_card(name, "start")
    _check_same_encoder(card, folder.name, cut_name, code.shape, spec)
    state = _states(folder, card, "start")["code"]
    own = {key: tuple(value.shape) for key, value in code.state_dict().items()}
    theirs = {k for k in {*state, *own} if k.startswith(code.decoder_names)}
    fits = all(k in state and tuple(state[k].shape) == own.get(k) for k in theirs)
    fits = fits and card["network_digest"] == digest
    taken = {key: value for key, value in state.items() if fits or key not in theirs}
    try:
        code.load_state_dict(taken, strict=False)
    except RuntimeError as error:
        first = str(error).splitlines()[0]
        raise _untrained(f"the weights do not fit the code ({first})", folder, "start") from None
    return Start(folder.name, card["weights_digest"], fits)


def _check_same_encoder(
    card: Mapping[str, Any], name: str, cut_name: str, shape: Shape, spec: CodeSpec
) -> None:
    """The other code stands at the same cut and has the same encoder, sizes and all."""
    if card["cut"] != cut_name or card.get("shape") != list(shape):
        there = f"{card['cut']} {tuple(card.get('shape') or ())}"
        message = f"that code's encoder takes {there}, this one's {cut_name} {shape}"
        raise ScenarioError(message, path="start", value=name)
    other = CODE_SPEC.validate_python(card["code"])
    theirs, own = (CODE_SPEC.dump_python(one, mode="json") for one in (other, spec))
    for key in sorted({*theirs, *own} - {"decoder_channels"}):
        if theirs.get(key) != own.get(key):
            message = f"that code has {theirs.get(key)} there; its encoder would not fit"
            path = "start" if key == "kind" else f"code.{key}"
            raise ScenarioError(message, path=path, value=own.get(key))


def open_code(name: str, graph: Graph, path: str = "") -> TrainedCode:
    """A code at its cut of the network that it was trained for.

    Args:
        name: Bundled name or absolute path.
        graph: Of that network, at the size that the code was trained at.
        path: Where the code is named in the YAML, for errors.

    Raises:
        ArtefactError: Card or weights are missing, damaged, or do not belong together.
        ScenarioError: The network has no such cut, or another shape there.
    """
    folder, card = code_folder(name), code_card(name, path)
    states = _states(folder, card, path)
    shape, until = cut_shapes(graph, card["cut"], until_of(card))
    try:
        code = make_code(CODE_SPEC.validate_python(card["code"]), shape, until=until)
        code.load_state_dict(states["code"])
        head, tail = open_halves(graph, card["cut"], until_of(card), states)
    except (RuntimeError, KeyError, TypeError, ValidationError) as error:
        first = str(error).splitlines()[0]
        raise _untrained(f"the weights do not fit the code ({first})", folder, path) from None
    return TrainedCode(folder.name, card, _still(code), _still(head), _still(tail))


def open_halves(
    graph: Graph, name: str, until: str, states: Mapping[str, Mapping[str, Tensor]]
) -> tuple[nn.Module, nn.Module]:
    """The network before a cut and behind ``until``; with weights of their own they are copies."""
    halves: dict[str, nn.Module] = {"head": cut(graph, name)[0], "tail": cut(graph, until)[1]}
    for part in ("head", "tail"):
        if states.get(part):
            halves[part] = copy.deepcopy(halves[part])
            halves[part].load_state_dict(dict(states[part]))
    return halves["head"], halves["tail"]


def round_to_half(module: nn.Module, chosen: Callable[[str], bool] | None = None) -> None:
    """Rounds numbers to those that float16 has; a tensor that would overflow stays as it is.

    Args:
        module: Which is changed.
        chosen: Of its tensors, by name; all if None.
    """
    with torch.no_grad():
        for key, value in module.state_dict().items():
            if value.is_floating_point() and (chosen is None or chosen(key)):
                half = value.half()
                if torch.equal(torch.isfinite(half), torch.isfinite(value)):
                    value.copy_(half)


def _half_if_same(value: Tensor) -> Tensor:
    if not value.is_floating_point():
        return value
    half = value.half()
    return half if torch.equal(half.to(value.dtype), value) else value


def _states(folder: Path, card: Mapping[str, Any], path: str) -> dict[str, dict[str, Tensor]]:
    weights = folder / WEIGHTS
    if file_digest(weights) != card["weights_digest"]:
        raise _untrained("the weights are not those of card.json", folder, path)
    try:
        tensors = load_file(weights)
    except SafetensorError as error:
        raise _untrained(f"the weights cannot be read ({error})", folder, path) from None
    states: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for key, value in tensors.items():
        part, _, rest = key.partition(".")
        states.setdefault(part, {})[rest] = value
    return states


def _still(module: Any) -> Any:
    return module.eval().requires_grad_(False)


def _untrained(message: str, folder: Path, path: str) -> ArtefactError:
    command = f"simsplit train {folder / RECIPE}"
    return ArtefactError(f"{folder / WEIGHTS}: {message}; run `{command}`", path=path)
