"""What every ``kind: custom`` says: whose class, and what it is built with."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from simsplit.scenario.permission import give
from simsplit.scenario.spec import Spec

Plain = float | int | str | bool | None
Options = dict[str, Plain | list[Plain]]


def named(value: Any) -> Any:
    """A class or function that was handed over in Python goes by its name from here on."""
    return give(value) if callable(value) else value


Target = Annotated[str, BeforeValidator(named), Field(pattern=r"^[\w.]+:\w+$")]


class CustomSpec(Spec):
    """A user's own class, or function that makes an object: ``package.module:Name``.

    It is imported only with permission (`simsplit.scenario.permission`) and held to the contract of
    its kind (`simsplit.contracts`). ``options`` are its keyword arguments.
    """

    kind: Literal["custom"]
    target: Target
    options: Options = Field(default_factory=dict)
