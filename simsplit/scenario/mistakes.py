"""Mistakes in YAML in the user's words: the line, the path, the value, the choices, the nearest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from simsplit.errors import Mistakes, ScenarioError, SimsplitError
from simsplit.scenario.data import BARE
from simsplit.scenario.yaml import yaml_path

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


# --- pydantic's errors in our words -----------------------------------------------------------


def mistake(
    error: ValidationError, raw: Any, model: type[BaseModel], *, prefix: str = ""
) -> ScenarioError:
    """Every mistake (unknown keys first) with its YAML path, value, bounds and choices."""
    details = _mistakes(error.errors(include_url=False))
    each = [_mistake(one, raw, model, prefix) for one in details]
    return each[0] if len(each) == 1 else Mistakes(each)


def together(errors: Sequence[SimsplitError]) -> SimsplitError:
    """One error of at least one: itself, or `Mistakes`, each of which is said once."""
    flat: dict[str, SimsplitError] = {}
    for error in errors:
        parts = error.mistakes if isinstance(error, Mistakes) else (error,)
        flat |= {str(part): part for part in parts}
    return Mistakes(list(flat.values())) if len(flat) > 1 else next(iter(flat.values()))


@dataclass
class Collected:
    """Mistakes that do not hide each other: checks go on after the first."""

    errors: list[SimsplitError] = field(default_factory=list)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What is wrong inside is kept; the rest of the block is left out."""
        try:
            yield
        except SimsplitError as error:
            self.errors.append(error)

    def tell(self) -> None:
        """Raise what was kept, if anything was."""
        if self.errors:
            raise together(self.errors) from None


def located(error: SimsplitError, lines: Mapping[str, int], file: str) -> SimsplitError:
    """The error with file and line of each mistake: of its path, else of what holds it.

    Args:
        lines: Line of each YAML path of the file, see `simsplit.scenario.yaml.lines_of`.
    """
    for one in error.mistakes if isinstance(error, Mistakes) else (error,):
        path = one.path
        while path and path not in lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        if path:
            one.where = f"{file}:{lines[path]}"
    return error


def _mistake(error: ErrorDetails, raw: Any, model: type[BaseModel], prefix: str) -> ScenarioError:
    notes = ("(", "[key]")  # pydantic's: forms of a key, and the key itself
    loc = tuple(part for part in error["loc"] if not str(part).startswith(notes))
    error = {**error, "loc": loc}
    message, value, choices, tail = _in_words(error, model)
    path = yaml_path([*_without_tags(error["loc"], raw, model), *tail])
    path = ": ".join(part for part in (prefix, path) if part)
    return ScenarioError(message, path=path, value=value, choices=choices)


def _mistakes(details: list[ErrorDetails]) -> list[ErrorDetails]:
    """Unknown keys first; a list that is too short only because its entries failed is none."""

    def follows(one: ErrorDetails) -> bool:
        loc = one["loc"]
        below = (other["loc"][: len(loc)] == loc for other in details if other is not one)
        return one["type"] == "too_short" and any(below)

    kept = [one for one in details if not follows(one)]
    return sorted(kept, key=lambda one: one["type"] != "extra_forbidden")


def _in_words(
    error: ErrorDetails, model: type[BaseModel]
) -> tuple[str, object, Sequence[str], list[str]]:
    """Message, value found, choices, and what to add to the path."""
    value, context = error.get("input"), error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            keys = _keys_at(error["loc"][:-1], model)
            return f"unknown key{_elsewhere(error['loc'], model)}", str(error["loc"][-1]), keys, []
        case "missing":
            return "this key is required", None, (), []
        case "union_tag_not_found":
            return "this key is required", None, _quoted(_tags_at(error["loc"], model)), ["kind"]
        case "union_tag_invalid":
            tags = [tag for tag in _quoted(context["expected_tags"]) if tag != BARE]
            return "unknown kind", context.get("tag"), tags, ["kind"]
        case "literal_error" | "enum":
            return "not among the choices", value, _quoted(context["expected"]), []
        case "value_error":
            value = None if isinstance(value, dict | BaseModel) else value
            return error["msg"].removeprefix("Value error, "), value, (), []
    return re.sub(r"^\w+ should ", "must ", error["msg"]), value, (), []


def _quoted(expected: str) -> list[str]:
    """Pydantic's list ``'a', 'b' or 3`` as choices."""
    return [a or b for a, b in re.findall(r"'([^']*)'|(\d+)", expected)]


def _without_tags(
    loc: Sequence[str | int], raw: Any, model: type[BaseModel]
) -> Iterator[str | int]:
    """The location without the tags (values of ``kind``) that pydantic puts in."""
    node, tag_open = raw, False  # the whole is one model: its own kind is no part of a location
    for depth, part in enumerate(loc):
        if tag_open and _is_tag(part, node, loc[:depth], model):
            tag_open = False
            continue
        tag_open = True
        yield part
        node = _child(node, part)


def _is_tag(part: str | int, node: Any, loc: Sequence[str | int], model: type[BaseModel]) -> bool:
    """Whether a part of a location is the node's kind: what it says, or else its default.

    Where a mapping with a kind may be a bare name too, what is no mapping has the tag ``BARE``.
    """
    if not isinstance(node, dict):
        return part == BARE
    if "kind" in node:
        return bool(node["kind"] == part)
    family = _models_at(loc, model)
    return len(family) > 1 and part in [_kind(spec) for spec in family]


def _child(node: Any, part: str | int) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    inside = isinstance(node, list) and isinstance(part, int) and part < len(node)
    return node[part] if inside else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Models that an annotation names, through unions, tuples and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _models_at(loc: Sequence[str | int], model: type[BaseModel]) -> list[type[BaseModel]]:
    models = [model]
    for part in loc:
        if isinstance(part, int):
            continue
        tagged = [m for m in models if len(models) > 1 and _kind(m) == part]
        if tagged:
            models = tagged
            continue
        fields = [m.model_fields[part] for m in models if part in m.model_fields]
        models = [m for field in fields for m in _models_in(field.annotation)]
    return models


def _kind(model: type[BaseModel]) -> str:
    field = model.model_fields.get("kind")
    literal = field is not None and get_origin(field.annotation) is Literal
    return str(get_args(field.annotation)[0]) if field is not None and literal else ""


def _keys_at(loc: Sequence[str | int], model: type[BaseModel]) -> list[str]:
    return [key for spec in _models_at(loc, model)[:1] for key in spec.model_fields]


def _elsewhere(loc: Sequence[str | int], model: type[BaseModel]) -> str:
    """Which other kinds of the same family have the key, in words; empty if none has."""
    family = _models_at(loc[:-2], model) if len(loc) > 1 else []
    kinds = [_kind(other) for other in family if loc[-1] in other.model_fields and _kind(other)]
    names = ", ".join(f"'{kind}'" for kind in kinds)
    return f" of kind '{loc[-2]}' (it belongs to kind {names})" if names else ""


def _tags_at(loc: Sequence[str | int], model: type[BaseModel]) -> str:
    return " ".join(f"'{_kind(spec)}'" for spec in _models_at(loc, model) if _kind(spec))
