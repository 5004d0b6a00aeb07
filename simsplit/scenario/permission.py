"""Whether code of a user's own may be imported: nothing that a scenario names runs unasked.

It may if somebody said so (``--allow-code``, ``allow_code=True``), if its module lies in a folder
of ``SIMSPLIT_PATH``, or if the object itself was handed over in Python; never because it lies
beside the YAML or in the working folder. What is said holds in worker processes too (`Carried`).
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Any, ParamSpec, TypeVar

from simsplit.errors import article
from simsplit.scenario.places import VARIABLE, search_path

HINT = (
    "code of your own runs only if you say so: --allow-code on the command line, allow_code=True "
    f"in Python, or the folder of its module in {VARIABLE}"
)
P = ParamSpec("P")
R = TypeVar("R")

_is_allowed: ContextVar[bool] = ContextVar("simsplit_allow_code", default=False)
_given: dict[str, Any] = {}  # package.module:Name → a class or function handed over in Python


# --- said -------------------------------------------------------------------------------------


@contextmanager
def code_allowed(is_allowed: bool = True) -> Iterator[None]:
    """Inside it a user's own code may be imported; False leaves what was said before."""
    token = _is_allowed.set(is_allowed or _is_allowed.get())
    try:
        yield
    finally:
        _is_allowed.reset(token)


def takes_permission(function: Callable[P, R]) -> Callable[P, R]:
    """The keyword ``allow_code`` of a function holds as long as the function runs."""

    @functools.wraps(function)
    def permitted(*args: P.args, **kwargs: P.kwargs) -> R:
        with code_allowed(kwargs.get("allow_code") is True):
            return function(*args, **kwargs)

    return permitted


def is_permitted(target: str, file: Path | None) -> bool:
    """Whether ``package.module:Name`` may be imported.

    Args:
        target: As the scenario says it.
        file: Of its module; None: it has none.
    """
    return is_said(target) or (file is not None and _is_on_path(file))


def is_said(target: str) -> bool:
    """Whether somebody allowed code in this very call, or handed the object over."""
    return _is_allowed.get() or target in _given


def _is_on_path(file: Path) -> bool:
    """Whether a file lies below a folder of ``SIMSPLIT_PATH``, as named or as it really is."""
    own = Path(os.path.abspath(file))
    folders = search_path()
    return any(own.is_relative_to(f) or own.is_relative_to(f.resolve()) for f in folders)


# --- handed over ------------------------------------------------------------------------------


def give(thing: Any) -> str:
    """Remember a class or function that was handed over in Python; ``package.module:Name`` of it.

    Raises:
        ValueError: It has no place of its own in a file, so that its changes could not be seen.
    """
    if not isinstance(thing, type | FunctionType):
        kind = article(type(thing).__name__)
        raise ValueError(f"is {kind}: hand over its class, or its name as text")
    module, name = str(thing.__module__), thing.__qualname__
    if not name.isidentifier():
        raise ValueError(f"{name} does not stand at the top of a module")
    if file_of_given(thing) is None:
        raise ValueError(f"{name} lies in no file (prompt, notebook): put it in a module")
    _given[f"{module}:{name}"] = thing
    return f"{module}:{name}"


def given(target: str) -> Any | None:
    """What was handed over under this name; None if nothing was."""
    return _given.get(target)


def file_of_given(thing: Any) -> Path | None:
    """The source file of a class or function that was handed over."""
    try:
        name = inspect.getsourcefile(thing)
    except TypeError:  # built in
        name = getattr(sys.modules.get(thing.__module__), "__file__", None)
    file = None if name is None else Path(name)
    return file if file is not None and file.is_file() else None


# --- other processes --------------------------------------------------------------------------


@dataclass(frozen=True)
class Carried:
    """A worker's task that takes along what was said and handed over where it was made."""

    task: Callable[..., Any]
    is_allowed: bool = field(default_factory=_is_allowed.get)
    handed: Mapping[str, Any] = field(default_factory=lambda: dict(_given))

    def __call__(self, *args: Any) -> Any:
        """The task with these arguments, in the worker."""
        _given.update(self.handed)
        with code_allowed(self.is_allowed):
            return self.task(*args)
