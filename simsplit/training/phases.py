"""Recipes of ``kind: network`` and ``kind: code``: parts, phases, objectives, noise."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from simsplit.errors import Mistakes, ScenarioError, SimsplitError
from simsplit.files import json_digest
from simsplit.messages import Scheme
from simsplit.networks.codes.contract import Noise
from simsplit.scenario.answers import SegmentationAnswer, answer_keys, answers_of
from simsplit.scenario.code_specs import CodeSpec, EntropicCodeSpec, scheme_of
from simsplit.scenario.codes import referred_code
from simsplit.scenario.data import DataChoice, found_data
from simsplit.scenario.mistakes import mistake
from simsplit.scenario.network_files import PROGRAM, take_preprocess
from simsplit.scenario.operating_points import INCLUDED, RANDOM, WITHOUT_FILE, Network
from simsplit.scenario.places import find_file
from simsplit.scenario.spec import (
    Count,
    Fraction,
    Level,
    NonNegative,
    Positive,
    Seed,
    Spec,
    Whole,
)
from simsplit.scenario.yaml import copied
from simsplit.training.aims import Objectives

KINDS = ("network", "code")
Node = Annotated[str, Field(min_length=1, max_length=200)]
UNTRAINED = "untrained"  # weights of a network that its own recipe trains from the seed
_OF_NETWORK = frozenset(Network.model_fields) - {"name", "seed"}
_NO_ANSWER = "objective task needs network.answer"
_UNSAID = {"until": None, "start": None, "weights_dtype": "float32", "crop": 1.0}
DEFAULT_RATE = 0.1  # weight of a bit per feature element where an entropic code's phase says none


class NoisePhase(Spec):
    """The air in training: AWGN of random SNR, block fading, lost blocks of symbols."""

    snr_db: tuple[Level, Level] = (-5.0, 20.0)
    fading_share: Fraction = 0.5
    erasures: Annotated[Fraction, Field(lt=1)] = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db runs from low to high, found {list(self.snr_db)}")
        return self

    def noise(self) -> Noise:
        """As codes take it."""
        return Noise(self.snr_db, self.fading_share, self.erasures)


class Phase(Spec):
    """Steps with the same trained parts, objectives and noise; a new optimiser (AdamW) each.

    ``only``: of the trained parts only parameters whose names begin so. ``schedule``: the learning
    rate's, after a linear warm-up over ``warmup_steps``.
    """

    train: Annotated[
        tuple[Literal["code", "encoder", "decoder", "head", "tail", "network"], ...],
        Field(min_length=1),
    ] = ("code",)
    steps: Count | None = None
    epochs: Count | None = None
    learning_rate: Positive = 1e-3
    weight_decay: NonNegative = 1e-4
    warmup_steps: Whole = 20
    schedule: Literal["cosine", "polynomial", "constant"] = "cosine"
    objectives: Objectives | None = None
    noise: NoisePhase = NoisePhase()
    only: tuple[str, ...] = ()

    @field_validator("train", mode="before")
    @classmethod
    def _one_part(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("objectives", mode="before")
    @classmethod
    def _weighed(cls, value: Any) -> Any:
        if isinstance(value, Mapping | Objectives | None):
            return value
        raise ValueError("objectives are a mapping of weights, e.g. {task: 1, distill: 0.5}")

    @model_validator(mode="after")
    def _as_long_as_said(self) -> Self:
        if self.steps is not None and self.epochs is not None:
            raise ValueError("say either steps or epochs")
        return self

    @property
    def trains_code(self) -> bool:
        """Whether any of it learns."""
        return bool({"code", "encoder", "decoder"} & set(self.train))

    @property
    def trains_encoder(self) -> bool:
        """Whether the code's first half, prior included, learns."""
        return bool({"code", "encoder"} & set(self.train))

    @property
    def trains_head(self) -> bool:
        """Whether the network ahead of the code learns."""
        return bool({"head", "network"} & set(self.train))

    def step_count(self, pictures: int, batch: int) -> int:
        """Optimiser steps; ten epochs if nothing is said."""
        return self.steps or (self.epochs or 10) * max(1, pictures // batch)


class _Recipe(Spec):
    """What both kinds say: whose pictures, how many, and how the loop runs.

    ``validation_images``: of the validation split, for choosing; the card scores them too.
    ``crop``: in training every picture is cut to a random part whose sides are between this share
    and all of its own, and sized as before.
    """

    network: Network
    data: DataChoice
    height: Count
    width: Count
    train_images: Count = 1024
    validation_images: Whole = 0
    test_images: Count = 256
    batch: Count = 32
    seed: Seed = 1
    flip: bool = False
    crop: Annotated[Fraction, Field(gt=0)] = 1.0
    precision: Literal["float32", "bfloat16"] = "float32"
    checkpoint_steps: Count = 200

    @model_serializer(mode="wrap")
    def _in_use(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is left out, so that digests of recipes that say none of it stay."""
        content: dict[str, Any] = handler(self)
        return {k: v for k, v in content.items() if k not in _UNSAID or v != _UNSAID[k]}

    @model_validator(mode="after")
    def _crops_labels_alone(self) -> Self:
        kinds = {answer.kind for answer in answers_of(self.network.answer)} - {"classification"}
        if self.crop < 1 and kinds:
            raise ValueError(f"crop: labels of whole pictures stay, those of {min(kinds)} do not")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical recipe."""
        return json_digest(self.model_dump(mode="json"))


def _check_task(asked: Objectives, network: Network, where: str) -> None:
    """The network has the answers whose losses a phase asks for."""
    if asked.has_task and network.answer is None:
        raise ValueError(f"{where}: {_NO_ANSWER}")
    maps = any(isinstance(answer, SegmentationAnswer) for answer in answers_of(network.answer))
    if asked.jaccard and not (asked.has_task and maps):
        raise ValueError(f"{where}: jaccard is part of the task of maps of classes (segmentation)")
    if not isinstance(asked.task, dict):
        return
    keys = answer_keys(answers_of(network.answer))
    unknown = [key for key in asked.task if key not in keys]
    for key in unknown or [key for key in keys if key not in asked.task]:
        what = "gives no weight to" if key in keys else "the network has no answer"
        message = f"{where}.objectives.task: {what} '{key}'; the answers: {', '.join(keys)}"
        raise ValueError(message)


class NetworkRecipe(_Recipe):
    """Trains any network on any data set, from scratch or from its weights.

    ``normalisation``: ``frozen`` leaves the batch statistics of the start as they are.
    ``weights_dtype``: of the file; the card scores the weights as they are stored.
    ``channels_last``: how activations lie in memory, which is faster for convolutions in bfloat16.
    """

    kind: Literal["network"]
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)]
    normalisation: Literal["trained", "frozen"] = "trained"
    weights_dtype: Literal["float32", "float16"] = "float32"
    channels_last: bool = False

    @model_validator(mode="after")
    def _of_a_network(self) -> Self:
        for index, phase in enumerate(self.phases):
            if phase.train != ("network",):
                raise ValueError(f"phases[{index}]: kind network trains [network] only")
            asked, where = self.objectives(phase), f"phases[{index}]"
            _check_task(asked, self.network, where)
            if asked.feature or asked.rate:
                raise ValueError(f"{where}: feature and rate are objectives of a code")
            if asked.distill and asked.distill.nodes:
                raise ValueError(f"{where}: kind network distils at its output only")
            if asked.compressibility and asked.compressibility.at is None:
                raise ValueError(
                    f"{where}.objectives.compressibility: of a network it says {{at: NODE}}"
                )
        return self

    def objectives(self, phase: Phase) -> Objectives:
        """Of a phase, or the task alone."""
        return phase.objectives or Objectives(task=1.0)


class CodeRecipe(_Recipe):
    """Puts a code at a cut of a network and trains it, maybe with the network's parts.

    ``until``: the node whose tensor the decoder gives, in place of the network between; that of the
    cut if left out. ``start``: the code whose weights this one starts from. ``weights_dtype``: of
    the file; tables, sizes and scores are those of the weights as they are stored.
    """

    kind: Literal["code"]
    cut: Node
    until: Node | None = None
    code: CodeSpec
    start: Annotated[str, Field(min_length=1)] | None = None
    phases: tuple[Phase, ...] = (Phase(),)
    weights_dtype: Literal["float32", "float16"] = "float32"

    @property
    def behind(self) -> str:
        """The node behind which the tail begins."""
        return self.until or self.cut

    @model_validator(mode="after")
    def _of_a_code(self) -> Self:
        digital = scheme_of(self.code) is Scheme.SEPARATE
        for index, phase in enumerate(self.phases):
            where = f"phases[{index}]"
            if "network" in phase.train and {"head", "tail"} & set(phase.train):
                raise ValueError(f"{where}: network is head and tail already")
            self._check_halves(phase, where)
            if digital and phase.noise != NoisePhase():
                raise ValueError(f"{where}: noise is for codes of scheme jscc; leave it out")
            asked = self.objectives(phase)
            _check_task(asked, self.network, where)
            if asked.rate and not self._estimates_bits:
                raise ValueError(f"{where}: objective rate needs a code of kind entropic")
            if asked.compressibility is None:
                continue
            if asked.compressibility.at is not None:
                raise ValueError(f"{where}: compressibility is of the feature at the cut; no at")
            if not {"head", "network"} & set(phase.train):
                raise ValueError(f"{where}: compressibility shapes the head, which must train")
        return self

    def _check_halves(self, phase: Phase, where: str) -> None:
        halves = {"encoder", "decoder"} & set(phase.train)
        if halves and "code" in phase.train:
            raise ValueError(f"{where}: code is encoder and decoder already")
        if halves and self.code.kind == "custom":
            raise ValueError(f"{where}: a code of your own is trained as a whole, code")
        asked = phase.objectives
        if asked is not None and asked.rate and not phase.trains_encoder:
            raise ValueError(f"{where}: objective rate needs the encoder to be trained")

    @property
    def _estimates_bits(self) -> bool:
        return self.code.kind in ("entropic", "custom")

    def objectives(self, phase: Phase) -> Objectives:
        """Of a phase; else task (if there is an answer), feature and, of entropic codes, rate."""
        if phase.objectives is not None:
            return phase.objectives
        is_rated = isinstance(self.code, EntropicCodeSpec) and phase.trains_encoder
        rate = DEFAULT_RATE if is_rated else 0.0
        return Objectives(task=float(self.network.answer is not None), feature=1.0, rate=rate)


def parse_phased_recipe(content: Mapping[str, Any], folder: Path) -> NetworkRecipe | CodeRecipe:
    """A checked recipe of ``kind: network`` or ``kind: code``; its files are absolute paths.

    Args:
        content: As the YAML says it.
        folder: Of the recipe, where weights are looked for first.

    Raises:
        ScenarioError: Unknown key or bad value, with its path; no such weights or code.
        ArtefactError: The code to start from has a damaged card.
    """
    resolved = copied(content)  # the card's digest is of what the recipe says
    if isinstance(resolved.get("network"), dict):
        resolved["network"] = network_content(resolved["network"], folder, "network")
    for index, phase in enumerate(_mappings(resolved.get("phases"))):
        objectives = phase.get("objectives")
        distill = objectives.get("distill") if isinstance(objectives, dict) else None
        if isinstance(distill, dict) and isinstance(distill.get("teacher"), dict):
            where = f"phases[{index}].objectives.distill.teacher"
            distill["teacher"] = network_content(distill["teacher"], folder, where)
            teacher_of(distill["teacher"], where)
    if isinstance(resolved.get("start"), str) and content.get("kind") == "code":
        resolved["start"] = referred_code(resolved["start"], folder, "start")
    model: type[NetworkRecipe] | type[CodeRecipe]
    model = NetworkRecipe if content.get("kind") == "network" else CodeRecipe
    if isinstance(resolved.get("network"), dict):
        if model is NetworkRecipe:
            weights = resolved["network"]["weights"]
            resolved["network"]["weights"] = UNTRAINED if weights == RANDOM else weights
        _check_answering(resolved["network"], "network")
    try:
        recipe = model.model_validate(resolved)
    except ValidationError as error:
        raise mistake(error, dict(content), model) from None
    data = found_data(recipe.data, beside=folder, path="data")
    return recipe if isinstance(recipe.data, str) else recipe.model_copy(update={"data": data})


def teacher_of(content: Mapping[str, Any], path: str) -> Network:
    """The network that a phase learns from, as `network_content` has completed it.

    Raises:
        ScenarioError: An unknown key or bad value, below the path.
    """
    _check_answering(content, path)
    try:
        return Network.model_validate(dict(content))
    except ValidationError as error:
        with said_at(path):
            raise mistake(error, dict(content), Network) from None


def _check_answering(network: Mapping[str, Any], path: str) -> None:
    """What has an answer has weights: of random ones it would be no answer."""
    if network["weights"] == RANDOM and network.get("answer") is not None:
        message = "weights are missing: random weights answer nothing; name a file of weights, or "
        raise ScenarioError(f"{message}leave the key answer out", path=f"{path}.weights")


@contextmanager
def said_at(path: str, name: str | None = None) -> Iterator[None]:
    """Errors about keys of a network, with the path at which a recipe says them.

    Args:
        path: Where the recipe has the network, e.g. ``network``.
        name: Of a network; its errors as one of ``networks:`` are renamed too.
    """
    try:
        yield
    except SimsplitError as error:
        for one in (error, *(error.mistakes if isinstance(error, Mistakes) else ())):
            one.path = _renamed(one.path, path, name)
        raise


def _renamed(path: str, at: str, name: str | None) -> str:
    """``networks.NAME.answer`` and ``weights`` → ``network.answer`` and ``network.weights``."""
    of_scenarios = f"networks.{name}."
    if name is not None and path.startswith(of_scenarios):
        return f"{at}.{path.removeprefix(of_scenarios)}"
    first = re.split(r"[.\[]", path, maxsplit=1)[0]
    is_own = name is None or first in _OF_NETWORK
    return f"{at}.{path}" if path and is_own else path or at


def _mappings(items: Any) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def network_content(network: Mapping[str, Any], folder: Path, path: str) -> dict[str, Any]:
    """A network as a recipe says it: without a name, random unless it names weights.

    Raises:
        ScenarioError: There is no such file of weights.
    """
    unsaid = INCLUDED if str(network.get("source")).endswith(PROGRAM) else RANDOM
    content: dict[str, Any] = {"name": "network", "weights": unsaid, **network}
    weights = content["weights"]
    if isinstance(weights, str) and weights not in WITHOUT_FILE:
        file = find_file(weights, "weights", beside=folder, path=f"{path}.weights")
        content["weights"] = str(file)
        take_preprocess(content)
    return content
