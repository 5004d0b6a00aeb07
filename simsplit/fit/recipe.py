"""What a recipe.yaml may say: how a fitted thing is made."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from simsplit.errors import ScenarioError

KINDS = ("multitask", "digits", "bler_table")


class Shares(BaseModel):
    """How many images of each batch take each way from trunk to heads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    direct: PositiveInt = 5
    digital: PositiveInt = 5
    jscc: PositiveInt = 6

    @property
    def batch(self) -> int:
        """Images per step."""
        return self.direct + self.digital + self.jscc


class NetRecipe(BaseModel):
    """A split network trained from scratch.

    ``budget_s`` shortens the schedule if the machine is slower than thought: the learning rate
    follows whichever is further, steps or seconds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["multitask", "digits"]
    dataset: str
    height: PositiveInt
    width: PositiveInt
    train_images: PositiveInt
    test_images: PositiveInt
    steps: PositiveInt
    budget_s: PositiveFloat | None = None
    shares: Shares = Shares()
    learning_rate: PositiveFloat = 1.5e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    warmup_steps: Annotated[int, Field(ge=0)] = 300
    checkpoint_steps: PositiveInt = 500
    seed: Annotated[int, Field(ge=0)] = 1
    flip: bool = True
    bits: tuple[PositiveInt, ...] = (4, 6, 8)
    snr_db: tuple[float, float] = (-5.0, 20.0)
    fading_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    class_exponent: Annotated[float, Field(ge=0, le=1)] = 0.35
    jaccard_weight: Annotated[float, Field(ge=0)] = 0.5
    disparity_weight: Annotated[float, Field(ge=0)] = 0.4
    reconstruction_weight: Annotated[float, Field(ge=0)] = 0.1

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical recipe."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def read_mapping(path: Path) -> dict[str, Any]:
    """The YAML mapping in a recipe file, its ``kind`` checked.

    Raises:
        ScenarioError: No such file, no mapping, or an unknown kind.
    """
    if not path.is_file():
        raise ScenarioError("no such recipe", value=str(path))
    try:
        content = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ScenarioError(f"not valid YAML: {error}", path=str(path)) from None
    if not isinstance(content, dict):
        raise ScenarioError("a recipe is a mapping", path=str(path), value=content)
    if content.get("kind") not in KINDS:
        raise ScenarioError("unknown kind", path="kind", value=content.get("kind"), choices=KINDS)
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


def _first_mistake(error: ValidationError) -> ScenarioError:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        fields = Shares.model_fields if len(first["loc"]) > 1 else NetRecipe.model_fields
        return ScenarioError("unknown key", path=path, value=path, choices=tuple(fields))
    return ScenarioError(first["msg"], path=path, value=first.get("input"))
