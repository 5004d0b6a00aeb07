"""A user's own classes: where their modules are, what they are made of, and how they are imported.

Modules are looked for where Python looks, then in the folders of ``SIMSPLIT_PATH``; never in the
working folder, whose files would otherwise run because they have the name of some library's part.
`import_target` is the one door: it asks `simsplit.scenario.permission` before anything runs.
"""

from __future__ import annotations

import importlib
import re
import signal
import sys
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, FunctionType, ModuleType
from typing import Any

from simsplit.errors import ContractError, ScenarioError, SimsplitError, article
from simsplit.files import Stamp, stamp
from simsplit.scenario.permission import HINT, given, is_permitted
from simsplit.scenario.places import VARIABLE, search_path
from simsplit.scenario.user_sources import is_installed, is_there
from simsplit.scenario.user_sources import module_file as module_file
from simsplit.scenario.user_sources import source_digest as source_digest
from simsplit.scenario.user_sources import source_files as source_files
from simsplit.sources import PACKAGE

Base = type | tuple[type, ...] | None
TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


# --- targets ----------------------------------------------------------------------------------


def import_target(target: str, *, path: str, base: Base) -> Any:
    """The class, or the function that makes an object, which ``package.module:Name`` names.

    Nothing of a user's is imported without permission (`simsplit.scenario.permission`), and nothing
    is called here.

    Args:
        target: ``package.module:Name``.
        path: Where it stands in the YAML, for errors.
        base: What a class must be derived from; of a Protocol: whose methods it must have. Several:
            one of them. None: the caller looks himself.

    Raises:
        ScenarioError: No such form, module or name; no permission; the module itself fails; neither
            a class nor a function of a user's; a class that is not of ``base``.
    """
    if TARGET.fullmatch(target) is None:
        raise ScenarioError("is not of the form package.module:Name", path=path, value=target)
    thing = given(target)
    if thing is None:
        thing = _imported(target, path)
    else:
        _check_unchanged(thing, target, path)
    _check_kind(thing, target, path, base)
    return thing


def build_target(
    target: str,
    *args: Any,
    path: str,
    base: Base,
    options: Mapping[str, Any] | None = None,
    takes: str = "these options",
) -> Any:
    """The object that `import_target`'s class or function makes of arguments and options.

    Args:
        takes: What it is built with, for errors.

    Raises:
        ScenarioError: See `import_target`; it cannot be built so; what a function made is not of
            ``base``.
    """
    made = import_target(target, path=path, base=base)
    where = f"{path.rpartition('.')[0]}.options".removeprefix(".") if options else path
    with users_code(f"{target} cannot be built with {takes}", where, dict(options or {}) or target):
        thing = made(*args, **dict(options or {}))
    if base is not None and not any(_is_of(type(thing), one) for one in _several(base)):
        message = f"made {article(type(thing).__name__)}, which {_lack(type(thing), base)}"
        raise ScenarioError(f"{target} {message}", path=path, value=target)
    return thing


def made_of(
    thing: Any,
    *args: Any,
    contract: type,
    kind: str,
    options: Mapping[str, Any] | None = None,
) -> tuple[Any, str]:
    """What a check of a contract looks at: the object itself, or one made of a class; its name.

    Raises:
        ContractError: It lacks a method of the contract.
        ScenarioError: It cannot be built.
    """
    made, who = thing, type(thing).__name__
    if isinstance(thing, type | FunctionType):
        who = thing.__name__
        with users_code(f"{who} cannot be built", "", dict(options or {}) or None):
            made = thing(*args, **dict(options or {}))
    lacking = _lacking(type(made), contract)
    if lacking:
        clause = f"it has {' and '.join(f'{name}()' for name in lacking)}"
        raise ContractError.broken(who, kind, clause, f"{type(made).__name__} without")
    return made, who


@contextmanager
def users_code(message: str, path: str, value: object = None) -> Iterator[None]:
    """Whatever a user's own code raises here, ``SystemExit`` too, becomes an error that says so.

    Raises:
        ScenarioError: ``message``, then what was raised. Mistakes of a scenario pass, and Ctrl-C.
    """
    with _interrupts() as pressed:
        try:
            yield
        except SimsplitError:
            raise
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and pressed:
                raise
            raise ScenarioError(f"{message}: {_first_line(error)}", path=path, value=value) from (
                error
            )


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """A list that holds something as soon as Ctrl-C was really pressed."""
    pressed: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    try:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, handler)
    except ValueError:  # not the main thread, which alone gets signals
        before = None
    try:
        yield pressed
    finally:
        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, before)


def _first_line(error: BaseException) -> str:
    name, lines = type(error).__name__, str(error).splitlines()
    return f"{name}: {lines[0]}" if lines else name


def is_ours(target: str) -> bool:
    """Whether a target is of simsplit itself, which needs no permission."""
    name = target.partition(":")[0]
    if name.split(".")[0] != PACKAGE:
        return False
    file = module_file(name)
    return file is not None and file.resolve().is_relative_to(Path(__file__).resolve().parents[1])


def is_examined(target: str) -> bool:
    """Whether a target may be imported now; `simsplit check` says of others "not examined"."""
    return is_ours(target) or is_permitted(target, module_file(target.partition(":")[0]))


def _imported(target: str, path: str) -> Any:
    module_name, _, name = target.partition(":")
    if not is_examined(target) and is_there(module_name):
        raise ScenarioError(f"may not be imported; {HINT}", path=path, value=target)
    _forget_changed(target)
    with users_code("cannot be imported", path, target):
        module = import_user_module(module_name)
    if not hasattr(module, name):
        offered = sorted(n for n, v in vars(module).items() if isinstance(v, type))
        message = f"{module_name} has no such class"
        raise ScenarioError(message, path=path, value=name, choices=offered)
    return getattr(module, name)


def _check_kind(thing: Any, target: str, path: str, base: Base) -> None:
    if isinstance(thing, type):
        if base is not None and not any(_is_of(thing, one) for one in _several(base)):
            raise ScenarioError(f"the class {_lack(thing, base)}", path=path, value=target)
    elif not isinstance(thing, FunctionType):
        message = f"is neither a class nor a function of your own, but {_kind_of(thing)}"
        raise ScenarioError(message, path=path, value=target)
    elif not _may_make(thing, base):
        message = (
            f"is a function of a library ({thing.__module__}) that does not promise to make "
            f"{_names(base)}; name a class, or a function of your own that makes one"
        )
        raise ScenarioError(message, path=path, value=target)


def _kind_of(thing: Any) -> str:
    kind = type(thing).__name__
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind.replace('_', ' ')}"


def _several(base: type | tuple[type, ...]) -> tuple[type, ...]:
    return base if isinstance(base, tuple) else (base,)


def _is_of(thing: type, base: type) -> bool:
    if getattr(base, "_is_protocol", False):
        return not _lacking(thing, base)
    return issubclass(thing, base)


def _lacking(thing: type, protocol: type) -> list[str]:
    """Methods of a Protocol that a class has not."""
    methods = (name for name, value in vars(protocol).items() if isinstance(value, FunctionType))
    asked = (name for name in methods if name not in ("__init__", "__subclasshook__"))
    return [name for name in asked if not callable(getattr(thing, name, None))]


def _lack(thing: type, base: Base) -> str:
    """What makes a class another than asked for."""
    first = _several(base)[0] if base is not None else object
    if not getattr(first, "_is_protocol", False):
        return f"is not derived from {_names(base)}"
    lacking = " and ".join(f"{name}()" for name in _lacking(thing, first))
    return f"has no {lacking}, which the contract {_names(base)} asks for"


def _names(base: Base) -> str:
    several = () if base is None else _several(base)
    return " or ".join(map(_public_name, several)) or "such an object"


def _public_name(thing: type) -> str:
    """E.g. ``torch.nn.Module``: of the first package on the way to a class that has it."""
    if thing.__module__.startswith(f"{PACKAGE}.") and getattr(thing, "_is_protocol", False):
        return f"{PACKAGE}.contracts.{thing.__name__}"
    parts = thing.__module__.split(".")
    packages = (".".join(parts[:end]) for end in range(1, len(parts) + 1))
    for package in packages:
        if getattr(sys.modules.get(package), thing.__name__, None) is thing:
            return f"{package}.{thing.__name__}"
    return thing.__name__


def _may_make(function: FunctionType, base: Base) -> bool:
    """A user's own function may; a library's must be annotated with what is asked for."""
    file = Path(function.__code__.co_filename)
    if file.is_file() and not is_installed(file):
        return True
    try:
        made = typing.get_type_hints(function).get("return")
    except (NameError, TypeError, AttributeError):  # annotations that cannot be worked out
        return False
    several = () if base is None else _several(base)
    return isinstance(made, type) and any(_is_of(made, one) for one in several)


# --- modules ----------------------------------------------------------------------------------


def import_user_module(name: str) -> ModuleType:
    """Import a module of a user's; from here on ``SIMSPLIT_PATH`` ends Python's path.

    Raises:
        ImportError: There is none; the message says where it was looked for.
        Exception: Whatever the module itself raises.
    """
    for folder in map(str, search_path()):
        if folder not in sys.path:
            sys.path.append(folder)
    try:
        with _no_bytecode():
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise  # the module is there, another one that it needs is not
        folders = ", ".join(map(str, search_path())) or "not set"
        message = f"{error}; modules are looked for among the installed ones and on {VARIABLE}"
        raise ModuleNotFoundError(f"{message} ({folders})", name=error.name) from error


@contextmanager
def _no_bytecode() -> Iterator[None]:
    """Compiled files are told by whole seconds and sizes: one of a moment ago may be stale."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


_imported_files: dict[str, dict[str, tuple[Path, Stamp]]] = {}  # target → its files when imported


def _forget_changed(target: str) -> None:
    """Modules of a user's whose files changed since they were imported are imported anew."""
    before = _imported_files.get(target)
    if before is not None and all(_is_as_before(*one) for one in before.values()):
        return
    now = _stamped(target)
    if before is not None:
        tops = {name.split(".")[0].split("/")[0].split(":")[0] for name in (*before, *now)}
        for name in [name for name in sys.modules if name.split(".")[0] in tops - {PACKAGE}]:
            del sys.modules[name]
        importlib.invalidate_caches()
    _imported_files[target] = now


_handed_files: dict[str, tuple[Any, dict[str, tuple[Path, Stamp]]]] = {}  # target → it, its files


def _check_unchanged(thing: Any, target: str, path: str) -> None:
    """A class that was handed over is what it was when Python imported it, whatever its file says.

    Raises:
        ScenarioError: One of its files has changed since it was first used.
    """
    before = _handed_files.get(target)
    if before is None or before[0] is not thing:
        _handed_files[target] = (thing, _stamped(target))
    elif not all(_is_as_before(*one) for one in before[1].values()):
        message = "its files have changed since it was imported: import it anew, or restart Python"
        raise ScenarioError(message, path=path, value=target)


def _stamped(target: str) -> dict[str, tuple[Path, Stamp]]:
    return {name: (file, stamp(file)) for name, file in source_files(target).items()}


def _is_as_before(path: Path, before: Stamp) -> bool:
    try:
        return stamp(path) == before
    except OSError:  # it is gone
        return False
