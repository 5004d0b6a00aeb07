"""What every noun of a scenario is made of: bounded numbers, names, and the strict base model."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


def _number_from_text(value: object) -> object:
    """Accept ``1e7`` and ``20e6``, which YAML 1.1 (PyYAML) reads as text."""
    if isinstance(value, bool):
        raise ValueError("expected a number, found true/false")
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError as error:
            raise ValueError("expected a plain number in the unit that the key names") from error
    return value


Number = Annotated[float, BeforeValidator(_number_from_text), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Fraction = Annotated[Number, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1, strict=True)]
Whole = Annotated[int, Field(ge=0, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]  # of PyTorch, times 1,000,003
Level = Annotated[Number, Field(ge=-200, le=200)]
Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][\w.+-]*$")]
Reference = Annotated[str, Field(min_length=1, max_length=4096)]  # a name, or an absolute path


class Spec(BaseModel):
    """Base of every noun: unknown keys are errors, values cannot change.

    A section that comes in several kinds and says none is of the kind that leaving it out means.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False)

    @model_validator(mode="before")
    @classmethod
    def _of_default_kinds(cls, content: object) -> object:
        if not isinstance(content, dict):
            return content
        return {key: cls._of_default_kind(key, value) for key, value in content.items()}

    @classmethod
    def _of_default_kind(cls, key: object, value: object) -> object:
        field = cls.model_fields.get(key) if isinstance(key, str) else None
        if field is None or not isinstance(value, dict) or "kind" in value:
            return value
        kind = getattr(field.default, "kind", None) if field.discriminator == "kind" else None
        return value if kind is None else {"kind": kind, **value}
