"""What a recipe.yaml may say: how a fitted thing is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    field_validator,
    model_validator,
)

from simsplit.errors import ScenarioError
from simsplit.files import json_digest
from simsplit.scenario.data import BARE, DataChoice, found_data, portable
from simsplit.scenario.data import KINDS as DATA_KINDS
from simsplit.scenario.data_layouts import own_by_name
from simsplit.scenario.yaml import read_mapping as read_yaml

NETWORKS = ("multitask", "multitask_exit", "digits", "compressible")
TRAINED = (*NETWORKS, "network", "code")  # with a seed
KINDS = (*TRAINED, "bler_table", "latency", "codec_costs")


class Shares(BaseModel):
    """How many images of each batch take each way from trunk to heads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    direct: Annotated[int, Field(ge=0)] = 5
    digital: Annotated[int, Field(ge=0)] = 5
    jscc: Annotated[int, Field(ge=0)] = 6

    @property
    def batch(self) -> int:
        """Images per step."""
        return self.direct + self.digital + self.jscc


class CompressibleNetwork(BaseModel):
    """Size of a `simsplit.networks.compressible.CompressibleNet`, whose arguments these are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: Literal["encoder1", "encoder2"]
    widths: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (64, 128, 256, 512)
    blocks: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (3, 4, 6, 3)
    stem_stride: Literal[1, 2, 4] = 4
    head_widths: tuple[PositiveInt, ...] | None = None
    classes: PositiveInt = 8
    expansion: PositiveInt | None = None


class NetRecipe(BaseModel):
    """A split network and how it is trained.

    ``train_images``, ``test_images``: at most; a set that has fewer is taken as a whole. Of kind
    compressible the card has the rate and distortion over so many ``validation_images`` too, for
    choosing.

    ``budget_s`` shortens the schedule if the machine is slower than thought: the learning rate
    follows whichever is further, steps or seconds.

    ``start_from`` names the model whose weights training starts from; ``train_only: jscc`` leaves
    all but the JSCC bottleneck as it is there, and every batch is ``shares.jscc`` images;
    ``train_only: exit`` adds an early exit to it, and every batch is ``shares.direct`` images.
    ``nested`` makes the JSCC code nested: its transmissions are cut at random, uniformly from
    ``shortest_prefix`` k to k symbols, except for a share ``full_share`` of them.

    ``objective: uncertainty`` weighs cross-entropy, disparity's mean square error and the picture's
    mean absolute error by learned variances (see `objectives.UncertaintyWeights`);
    ``compressibility`` adds `objectives.compressibility_loss` with that weight, or with a learned
    variance of its own (``learned``), from ``compressibility_from_step`` on. ``precision:
    bfloat16`` runs the network's products so.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["multitask", "multitask_exit", "digits", "compressible"]
    dataset: DataChoice
    height: PositiveInt
    width: PositiveInt
    train_images: PositiveInt
    test_images: PositiveInt
    validation_images: Annotated[int, Field(ge=0)] = 0
    steps: PositiveInt
    budget_s: PositiveFloat | None = None
    shares: Shares = Shares()
    learning_rate: PositiveFloat = 1.5e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 300
    checkpoint_steps: PositiveInt = 500
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1
    flip: bool = True
    bits: Annotated[tuple[PositiveInt, ...], Field(min_length=1)] = (4, 6, 8)
    snr_db: tuple[float, float] = (-5.0, 20.0)
    fading_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    class_exponent: Annotated[float, Field(ge=0, le=1)] = 0.35
    jaccard_weight: Annotated[float, Field(ge=0)] = 0.5
    disparity_weight: Annotated[float, Field(ge=0)] = 0.4
    reconstruction_weight: Annotated[float, Field(ge=0)] = 0.1
    network: CompressibleNetwork | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    schedule: Literal["cosine", "polynomial"] = "cosine"
    objective: Literal["weighted", "uncertainty"] = "weighted"
    compressibility: PositiveFloat | Literal["learned"] | None = None
    compressibility_by: Literal["range", "energy"] = "range"
    compressibility_from_step: Annotated[int, Field(ge=0)] = 0
    start_from: str | None = None
    train_only: Literal["jscc", "exit"] | None = None
    nested: bool = False
    shortest_prefix: Annotated[float, Field(gt=0, le=1)] = 0.125
    full_share: Annotated[float, Field(ge=0, le=1)] = 0.25

    @field_validator("compressibility", mode="before")
    @classmethod
    def _weight_or_learned(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value in (None, "learned") or (number and 0 < value < float("inf")):
            return value
        raise ValueError("neither a weight above 0 nor 'learned'")

    @model_validator(mode="after")
    def _frozen_parts_come_from_somewhere(self) -> Self:
        if self.train_only is not None and self.start_from is None:
            raise ValueError("train_only needs start_from, the model with the other parts")
        if (self.train_only == "exit") != (self.kind == "multitask_exit"):
            raise ValueError("train_only: exit and kind: multitask_exit need each other")
        return self

    @model_validator(mode="after")
    def _compressible_has_its_own_ways(self) -> Self:
        compressible = self.kind == "compressible"
        if compressible != (self.network is not None):
            raise ValueError("network and kind: compressible need each other")
        if compressible and (self.shares.jscc or self.objective != "uncertainty"):
            raise ValueError("kind compressible needs objective: uncertainty and shares.jscc: 0")
        if self.validation_images and not compressible:
            raise ValueError("validation_images belong to kind compressible")
        if compressible and (self.nested or self.train_only):
            raise ValueError("kind compressible has no JSCC path: no nested and no train_only")
        details = (self.compressibility_by, self.compressibility_from_step)
        if self.compressibility is None and details != ("range", 0):
            raise ValueError(
                "compressibility_by and compressibility_from_step need compressibility"
            )
        if not compressible and (self.objective, self.compressibility) != ("weighted", None):
            raise ValueError("objective and compressibility belong to kind compressible")
        if not compressible and 0 in (self.shares.direct, self.shares.digital, self.shares.jscc):
            raise ValueError("every one of shares must be above 0")
        return self

    @model_validator(mode="after")
    def _some_picture_a_step(self) -> Self:
        if not self.batch:
            raise ValueError("a batch needs pictures: shares are all 0")
        return self

    @property
    def batch(self) -> int:
        """Images per step."""
        if self.train_only is None:
            return self.shares.batch
        return self.shares.jscc if self.train_only == "jscc" else self.shares.direct

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical recipe."""
        content = self.model_dump(mode="json", exclude_defaults=True)
        return json_digest(content | {"dataset": portable(self.dataset)})


def read_mapping(path: Path) -> dict[str, Any]:
    """The YAML mapping in a recipe file, its ``kind`` checked.

    Raises:
        ScenarioError: No such file, no mapping (see `simsplit.scenario.yaml.read_mapping`), or an
            unknown kind.
    """
    if not path.is_file():
        raise ScenarioError("no such recipe", value=str(path))
    content = read_yaml(path)
    if content.get("kind") not in KINDS:
        raise ScenarioError("unknown kind", path="kind", value=content.get("kind"), choices=KINDS)
    for key in ("dataset", "data"):
        own = own_by_name(content.get(key))
        if own is not None:  # by its name, not its place: a recipe's digest is of what it says
            content[key] = own | {"path": content[key]}
    return content


def parse_net_recipe(content: dict[str, Any]) -> NetRecipe:
    """A checked network recipe.

    Raises:
        ScenarioError: Unknown key or bad value, with its path.
    """
    try:
        return NetRecipe.model_validate(content)
    except ValidationError as error:
        raise _first_mistake(error) from None


def with_data(recipe: NetRecipe, beside: Path) -> NetRecipe:
    """The recipe with its data set's path found; ``beside``: folder of the recipe's file.

    Raises:
        ScenarioError: There is no such data set; the error lists where it was looked for.
    """
    if isinstance(recipe.dataset, str):
        return recipe
    data = found_data(recipe.dataset, beside=beside, path="dataset")
    return recipe.model_copy(update={"dataset": data})


def _first_mistake(error: ValidationError) -> ScenarioError:
    first = error.errors(include_url=False)[0]
    tags = (BARE, *DATA_KINDS) if first["loc"][:1] == ("dataset",) else ()
    path = ".".join(str(part) for part in first["loc"] if part not in tags)
    if first["type"] == "extra_forbidden":
        parts: dict[str, type[BaseModel]] = {"shares": Shares, "network": CompressibleNetwork}
        fields = parts.get(str(first["loc"][0]), NetRecipe).model_fields
        return ScenarioError("unknown key", path=path, value=path, choices=tuple(fields))
    message = first["msg"].removeprefix("Value error, ")
    return ScenarioError(message, path=path, value=first.get("input") if path else None)
